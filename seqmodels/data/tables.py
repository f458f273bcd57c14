"""Reads tables in the formats ``.csv .tsv .jsonl .json .parquet .arrow .feather .xlsx``.

The files may be compressed.

If a table cannot be read, the error describes the problem: a wrong encoding, an Excel file with the extension
``.csv``, an HTML page, a file without a header, or malformed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.bad_rows import BadRows
from seqmodels.data.columns import find_column, has_column
from seqmodels.data.compression import COMPRESSIONS, compression, plain_name, read_bytes
from seqmodels.data.delimited import DELIMITERS, NAMES, open_lines, recognise, split_rows
from seqmodels.data.encodings import check_encoding, check_text
from seqmodels.data.kinds import check_kind, check_text_format
from seqmodels.data.records import read_json, read_json_lines
from seqmodels.data.table import Table, cell_text, flat_columns, named_frame, table_of
from seqmodels.data.typed import read_arrow, read_excel, read_parquet
from seqmodels.errors import DataError, UsageError

TEXT_FORMATS = (".csv", ".tsv", ".jsonl", ".json")
FORMATS = (*TEXT_FORMATS, ".parquet", ".arrow", ".feather", ".xlsx")
SAMPLE_LINES, SAMPLE_CHARACTERS = 1000, 1 << 20  # largest sample from which the delimiter is recognised
CHUNK = 50_000  # number of rows that are in memory as Python strings at the same time


__all__ = [
    "FORMATS",
    "BadRows",
    "Table",
    "cell_text",
    "find_column",
    "flat_columns",
    "has_column",
    "read_table",
    "table_name",
    "table_of",
]


def table_name(path: Path) -> tuple[str, str] | None:
    """Splits the file name of a table into name and extension, both in lower case.

    An extension such as ``.gz`` is dropped first. Returns None if the remaining extension is not one of
    `FORMATS`.

    >>> table_name(Path("Train.csv.gz"))
    ('train', '.csv')
    """
    name = Path(plain_name(path))
    return (name.stem, name.suffix) if name.suffix in FORMATS else None


def read_table(
    path: Path, *, encoding: str | None = None, bad: BadRows | None = None, prefer_utf8: bool = False
) -> Table:
    """Reads a table.

    The delimiter of .csv and .tsv files is recognised. Cells may be quoted as in RFC 4180. There is one
    exception: if the delimiter is a tab, quotes have a special meaning only if all column names are quoted.
    A column without a name is left out if it contains only row numbers or is empty.

    Args:
        path: a file in one of `FORMATS`, which may be compressed.
        encoding: encoding of a text format. Default: UTF-8.
        bad: object that counts the malformed rows. The table does not contain these rows. Default: malformed
            rows raise DataError.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.

    Raises:
        UsageError: the path does not exist, its extension is not supported, or the encoding is unknown.
        DataError: the file cannot be read, the file is empty, or its content does not fit its extension.

    >>> _ = (folder / "reviews.csv").write_text("text;label\\na dull film;0\\n")
    >>> table = read_table(folder / "reviews.csv")
    >>> table.frame.to_dict("records"), table.lines.tolist(), table.notes[0].partition(" ")[2]
    ([{'text': 'a dull film', 'label': '0'}], [2], 'is delimited by a semicolon')
    """
    check_encoding(encoding)
    name = table_name(path)
    if not name:
        hint = "; save an .xls file as .xlsx or .csv" * (Path(plain_name(path)).suffix == ".xls")
        raise UsageError(
            f"{path} has an unsupported extension; expected {', '.join(FORMATS)}, optionally "
            f"followed by {', '.join(COMPRESSIONS)}{hint}"
        )
    if not path.exists():
        raise UsageError(f"{str(path)!r} does not exist; check the path")
    content = read_bytes(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected rows")
    check_kind(path, content, name[1])
    found, notes = BadRows(path) if bad is None else bad, list[str]()
    if name[1] in TEXT_FORMATS:
        packed = bool(compression(path))
        encoding = check_text(path, content, encoding, packed=packed, prefer_utf8=prefer_utf8, notes=notes)
    elif encoding and not prefer_utf8:
        notes.append(f"{path} is not a text format, so --encoding {encoding} does not apply to it")
    header, header_line, names, columns, lines = _READERS[name[1]](path, content, encoding, found, notes)
    frame = named_frame(path, names, columns, notes)
    if bad is None:
        found.settle("error", len(frame) + found.count, [])
    elif not len(frame):
        bad.settle("skip", bad.count, [])
    if not len(frame):
        raise DataError(f"{path} has no rows below its header; expected at least one row")
    return Table(path, frame, lines, notes, header, header_line)


Parts = tuple[list[str], int, list[str], list[Any], np.ndarray]
"""Cells of the header, line of the header, column names, columns, and the line of each row."""


def _read_delimited(path: Path, content: bytes, encoding: str, bad: BadRows, notes: list[str]) -> Parts:
    import pyarrow

    suffix = (table_name(path) or ("", ".csv"))[1]
    first: list[str] = []
    characters = 0
    for line in open_lines(content, encoding):
        first.append(line)
        characters += len(line)
        if len(first) == SAMPLE_LINES or characters > SAMPLE_CHARACTERS:
            break
    check_text_format(path, "".join(first[:20]), suffix)
    dialect, skipped = recognise(first, suffix)
    if dialect.delimiter != DELIMITERS[suffix]:
        notes.append(f"{path} is delimited by {NAMES[dialect.delimiter]}")
    rows = split_rows(path, open_lines(content, encoding), dialect, skipped, bad)
    header_line, header = next(rows, (0, []))
    if not header:
        raise DataError(f"{path} is empty; expected rows")
    chunks: list[list[Any]] = [[] for _ in header]
    lines: list[np.ndarray] = [np.empty(0, np.int64)]
    for block in _blocks(rows):
        lines.append(np.array([line for line, _ in block], np.int64))
        for chunk, cells in zip(chunks, zip(*(row for _, row in block))):
            chunk.append(pyarrow.array(cells, pyarrow.large_string()))
    if bad.blank:
        notes.append(f"{bad.blank} rows of {path} have no values and are skipped")
    columns = [pyarrow.chunked_array(chunk, pyarrow.large_string()).to_pandas() for chunk in chunks]
    return header, header_line, header, columns, np.concatenate(lines)


def _blocks(rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[tuple[int, list[str]]]]:
    block: list[tuple[int, list[str]]] = []
    for row in rows:
        block.append(row)
        if len(block) == CHUNK:
            yield block
            block = []
    if block:
        yield block


def _read_json_lines(path: Path, content: bytes, encoding: str, bad: BadRows, notes: list[str]) -> Parts:
    names, columns, lines = read_json_lines(path, content, encoding, bad)
    return [], 0, names, columns, lines


def _read_json(path: Path, content: bytes, encoding: str, bad: BadRows, notes: list[str]) -> Parts:
    names, columns, lines = read_json(path, content, encoding, bad, notes)
    return [], 0, names, columns, lines


def _typed(read: Callable[[Path, bytes], tuple[list[str], list[Any]]]) -> Callable[..., Parts]:
    def parts(path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]) -> Parts:
        names, columns = read(path, content)
        rows = len(columns[0]) if columns else 0
        return [], 0, names, columns, np.arange(1, rows + 1)

    return parts


def _read_excel(path: Path, content: bytes, encoding: str | None, bad: BadRows, notes: list[str]) -> Parts:
    header_line, header, columns, lines = read_excel(path, content, notes)
    return header, header_line, header, columns, lines


_READERS: dict[str, Callable[..., Parts]] = {
    ".csv": _read_delimited,
    ".tsv": _read_delimited,
    ".jsonl": _read_json_lines,
    ".json": _read_json,
    ".parquet": _typed(read_parquet),
    ".arrow": _typed(read_arrow),
    ".feather": _typed(read_arrow),
    ".xlsx": _read_excel,
}
