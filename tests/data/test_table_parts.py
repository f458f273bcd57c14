"""Tests of tables in parts: the parts contain the whole table, and the errors are the same."""

import pandas
import pytest

from seqmodels.data.table_parts import table_parts, text_encoding, text_lines
from seqmodels.data.tables import read_table
from seqmodels.errors import DataError, UsageError

FRAME = pandas.DataFrame({"text": [f'row {i}, "q" é' for i in range(50)], "label": ["a", "b"] * 25})
WRITERS = {
    "a.csv": lambda path: FRAME.to_csv(path),
    "semicolon.csv.gz": lambda path: FRAME.to_csv(path, sep=";"),
    "a.csv.zip": lambda path: FRAME.to_csv(path),
    "a.csv.bz2": lambda path: FRAME.to_csv(path),
    "a.tsv.xz": lambda path: FRAME.to_csv(path, sep="\t", quoting=3, index=False),
    "a.jsonl": lambda path: FRAME.to_json(path, orient="records", lines=True, force_ascii=False),
    "a.json": lambda path: FRAME.to_json(path, orient="records"),
    "a.parquet": lambda path: FRAME.to_parquet(path),
    "a.arrow": lambda path: FRAME.to_feather(path, compression="uncompressed"),
    "latin-1.csv": lambda path: FRAME.to_csv(path, encoding="latin-1"),
    "utf-16.csv": lambda path: FRAME.to_csv(path, encoding="utf-16"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("rows", [7, 1000])
def test_the_parts_contain_the_whole_table(name, rows, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    encoding = name.removesuffix(".csv") if name in ("latin-1.csv", "utf-16.csv") else None
    whole = read_table(path, encoding=encoding)
    parts = list(table_parts(path, rows, encoding=encoding, prefer_utf8=encoding is not None))
    assert [text for part in parts for text in part.texts("text")] == whole.texts("text")
    assert [line for part in parts for line in part.lines] == whole.lines.tolist()
    assert max(map(len, parts)) <= rows
    assert (parts[0].columns, parts[0].notes) == (whole.columns, whole.notes)
    assert not any(part.notes for part in parts[1:])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\na,b\nc\n", "a.csv:3: the row has 1 fields; expected 2"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"text,label\n", "has no rows below its header"),
        ("a.csv", b"text\nnai\xefve\n", "--encoding latin-1"),
        ("a.csv", b"<html>", "is an HTML page"),
        ("a.csv.gz", b"text\n", "is truncated or corrupt"),
        ("a.csv.zip", b"text\n", "is truncated or corrupt"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', "a.jsonl:2: the line has the type list"),
        ("a.parquet", b"PAR1 no", "is not a readable .parquet file"),
        ("a.arrow", b"ARROW1 no", "is not a readable .arrow file"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_one_line_error(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        list(table_parts(tmp_path / name))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        list(table_parts(tmp_path / "no.csv"))


def test_a_malformed_row_raises_when_its_part_is_read(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "a,b\n" * 10 + "c\n")
    parts = table_parts(tmp_path / "a.csv", 4)
    assert [len(next(parts)) for _ in range(2)] == [4, 4]
    with pytest.raises(DataError, match="csv:12"):
        list(parts)


def test_lines_of_a_text_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffnaïve\u2028a\r\nb\rc".encode())
    assert list(text_lines(path, text_encoding(path))) == ["naïve\u2028a\r\n", "b\r", "c"]
