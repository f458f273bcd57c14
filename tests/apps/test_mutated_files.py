"""Mutated files: every reader returns data, or raises an error of one line with exit status 1 or 2."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.forecasting.readers import load_series
from apps.language_modeling.corpora import Reading, load_texts
from apps.sentiment import labeled_table
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.translation import pair_table
from apps.translation.pairs import load_pairs
from seqmodels.errors import UserError

ROWS = 40
TEXTS = pandas.DataFrame(
    {
        "text": [f'a "{word}" film, no {n}' for n in range(ROWS // 2) for word in ("dull", "große")],
        "label": [label for _ in range(ROWS // 2) for label in ("bad", "good")],
        "stars": range(ROWS),
    }
)
PAIRS = pandas.DataFrame(
    {"en": [f"The cat {n} eats." for n in range(ROWS)], "fr": [f"Le chat {n} mangé." for n in range(ROWS)]}
)

DATES = pandas.date_range("2024-01-29", periods=ROWS, name="date").astype(str)
SERIES = pandas.DataFrame({"date": DATES, "sold": range(3, ROWS + 3), "größe": [1.5, 2.5] * (ROWS // 2)})
PRICES = pandas.DataFrame({"Date": DATES, "Close": [f"${1000 + n % 7:,}.50" for n in range(ROWS)]})


def written(frame: pandas.DataFrame, write: Callable[[pandas.DataFrame, io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(frame, buffer)
    return buffer.getvalue()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", content)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """Returns a dictionary with valid files of every format. Each key begins with the name of an app."""
    found: dict[str, bytes] = {}
    for app, frame in (
        ("texts", TEXTS),
        ("pairs", PAIRS),
        ("lines", TEXTS[["text"]]),
        ("series", SERIES),
        ("prices", PRICES),
    ):
        csv = frame.to_csv(index=False).encode()
        lines = frame.to_json(orient="records", lines=True, force_ascii=False).encode()
        found |= {
            f"{app}.csv": csv,
            f"{app}_index.csv": frame.to_csv(sep=";").encode(),
            f"{app}_wide.csv": frame.to_csv(index=False).encode("utf-16"),
            f"{app}_latin.csv": frame.to_csv(index=False).encode("latin-1"),
            f"{app}.tsv": frame.to_csv(index=False, sep="\t").encode(),
            f"{app}.jsonl": lines,
            f"{app}.json": frame.to_json(orient="records").encode(),
            f"{app}.parquet": written(frame, lambda f, b: f.to_parquet(b)),
            f"{app}.feather": written(frame, lambda f, b: f.to_feather(b)),
            f"{app}.csv.gz": gzip.compress(csv),
            f"{app}.csv.bz2": bz2.compress(csv),
            f"{app}.jsonl.xz": lzma.compress(lines),
            f"{app}.csv.zip": zipped(csv),
            f"{app}.zip": zipped(csv),
        }
        if find_spec("openpyxl"):
            found[f"{app}.xlsx"] = written(frame, lambda f, b: f.to_excel(b, index=False))
    text = "\n".join(TEXTS["text"]).encode()
    pairs = "\n".join(f"{en}\t{fr}" for en, fr in zip(PAIRS["en"], PAIRS["fr"])).encode()
    return {**found, "lines.txt": text, "lines.txt.xz": lzma.compress(text), "pairs.txt": pairs}


FILES = files()
EXTENSIONS = (
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".parquet",
    ".arrow",
    ".feather",
    ".csv.zip",
    ".csv.gz",
    ".txt",
)
ENCODINGS = (None, None, None, "latin-1", "utf-16", "gb18030", "shift_jis", "utf-8")
INSERTED = st.one_of(
    st.binary(max_size=8),
    st.sampled_from(
        [
            *(
                b'"',
                b"'",
                b"\n",
                b"\r",
                b"\t",
                b",",
                b";",
                b"|",
                b"\0",
                b"{",
                b"]",
                b"null",
                b"NaN",
                b"1e999",
            ),
            *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\\ud800", b"<html>"),
            *(b"[" * 3000, b'{"a":' * 2000, b'"' * 50),
        ]
    ),
)
CHANGE = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "cut", "repeat"]), st.floats(0, 1), st.floats(0, 1), INSERTED
)


def mutated(content: bytes, changes: list[tuple[str, float, float, bytes]]) -> bytes:
    for kind, place, share, inserted in changes:
        at = int(place * len(content))
        stop = at + 1 + int(share**4 * len(content))
        part = content[at:stop]
        if kind == "flip" and part:
            new = bytes([part[0] ^ (1 + int(share * 254))]) + part[1:]
        elif kind == "insert":
            new = inserted + part
        elif kind == "repeat":
            new = part + part
        else:
            new = b""
        content = content[:at] + new + (b"" if kind == "cut" else content[stop:])
    return content


def app_of(name: str) -> str:
    return name.partition(".")[0].partition("_")[0]


def rows_of(data: Any) -> int:
    return sum(len(split) for split in (data.train, data.valid, data.test))


def read(path: Path, encoding: str | None, skip: bool) -> int:
    """Returns the number of texts or pairs of all splits, or the number of series."""
    on_bad_rows = "skip" if skip else "error"
    if path.name.startswith("lines"):
        return rows_of(load_texts(str(path), 0, reading=Reading(encoding)))
    if path.name.startswith(("series", "prices")):
        return len(load_series(str(path), encoding=encoding, fill="zero" if skip else "error").series)
    if path.name.startswith("pairs"):
        how = pair_table.Reading(encoding=encoding, on_bad_rows=on_bad_rows)
        return rows_of(load_pairs(str(path), reading=how))
    reading = labeled_table.Reading(encoding=encoding, on_bad_rows=on_bad_rows)
    return rows_of(load_labeled_texts(str(path), 0, reading=reading))


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_valid_before_the_mutation(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(FILES[name])
    encoding = {"wide": "utf-16", "latin": "latin-1"}.get(Path(name).stem.partition("_")[2])
    assert read(tmp_path / name, encoding, skip=False) == {"series": 2, "prices": 1}.get(app_of(name), ROWS)


def check(
    folder: Path, name: str, changes: list, extension: str | None, encoding: str | None, skip: bool
) -> None:
    path = folder / (name.partition(".")[0] + (extension or name[name.index(".") :]))
    path.write_bytes(mutated(FILES[name], changes))
    found: UserError | None = None
    try:
        read(path, encoding, skip)
    except UserError as error:
        found = error
    finally:
        path.unlink()
    if found is not None:
        assert found.exit_status in (1, 2)
        assert len(str(found).splitlines()) == 1, str(found)
        assert len(str(found)) < 2000 + 6 * len(str(path)), str(found)


ARGUMENTS = {
    "name": st.sampled_from(sorted(FILES)),
    "changes": st.lists(CHANGE, min_size=1, max_size=4),
    "extension": st.one_of(st.none(), st.none(), st.none(), st.sampled_from(EXTENSIONS)),
    "encoding": st.sampled_from(ENCODINGS),
    "skip": st.booleans(),
}
COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}


@settings(max_examples=150, derandomize=True, **COMMON)
@given(**ARGUMENTS)
def test_mutated_files(tmp_path, name, changes, extension, encoding, skip) -> None:
    check(tmp_path, name, changes, extension, encoding, skip)


@pytest.mark.slow
@settings(max_examples=2000, **COMMON)
@given(**ARGUMENTS)
def test_many_mutated_files(tmp_path, name, changes, extension, encoding, skip) -> None:
    check(tmp_path, name, changes, extension, encoding, skip)
