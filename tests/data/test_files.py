"""Readers of files; the error of a broken file is one line with the file and the line or byte."""

import gzip
import os
from pathlib import Path

import pytest

from seqmodels.data.files import list_folder, read_table, read_text
from seqmodels.errors import DataError, UsageError, UserError

COLUMNS = ("text", "label")


def message(error: type[UserError], function, *arguments) -> str:
    """Returns the one-line message of the error that ``function(*arguments)`` raises."""
    with pytest.raises(error) as caught:
        list(function(*arguments))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "A.TXT.GZ"])
def test_text_is_read_without_its_byte_order_mark(tmp_path, name):
    path = tmp_path / name
    content = "\ufeffnaïve\r\n".encode()
    path.write_bytes(gzip.compress(content) if name.lower().endswith("gz") else content)
    assert read_text(path) == "naïve\r\n"


@pytest.mark.parametrize(("name", "extra"), [("a.txt", ""), ("a.txt.gz", " of the uncompressed content")])
def test_an_error_names_the_offset_of_invalid_bytes(tmp_path, name, extra):
    bad = message(DataError, read_text, write(tmp_path, name, "é".encode() + b"x\xff"))
    assert f"{name}:1: byte 3{extra} is 0xff" in bad
    nul = message(DataError, read_text, write(tmp_path, name, b"\xef\xbb\xbfab\0"))
    assert f"{name}:1: byte 5{extra} is 0x00" in nul


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: content[:5], lambda content: b"text,label\n"]
)
def test_truncated_and_corrupt_gzip(tmp_path, damage):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(1000))))
    assert f"{path} is a truncated or corrupt gzip file" in message(DataError, read_text, path)


def test_gzip_with_flipped_bits(tmp_path):
    content = bytearray(gzip.compress(b"text,label\n" * 100))
    content[15] ^= 0xFF
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    assert "truncated or corrupt gzip" in message(DataError, read_text, path)


def test_files_and_folders_without_read_permission(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    assert "a.csv cannot be read: Permission denied" in message(DataError, read_text, tmp_path / "a.csv")
    assert f"{tmp_path} cannot be read: Permission denied" in message(DataError, list_folder, tmp_path)


def test_folders_and_files_are_sorted_without_hidden_ones(tmp_path):
    for name in ("b", "a", ".git"):
        (tmp_path / name).mkdir()
    for name in ("z.txt", "y.txt", ".DS_Store"):
        (tmp_path / name).touch()
    folders, files = list_folder(tmp_path)
    assert [path.name for path in folders] == ["a", "b"]
    assert [path.name for path in files] == ["y.txt", "z.txt"]


def test_csv_with_quotes_line_breaks_and_other_columns(tmp_path):
    content = 'id,label,text\r\n1,good,"fine, ""very"" fine\r\nindeed"\r\n\r\n2,bad,it \'s "meh"\r\n'
    rows = list(read_table(write(tmp_path, "a.csv", content), COLUMNS))
    assert rows == [(2, ('fine, "very" fine\r\nindeed', "good")), (5, ('it \'s "meh"', "bad"))]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_formats_agree(tmp_path, name, packed):
    rows = {
        "a.csv": 'text,label\n"one, two",1\nthree,0\n',
        "a.tsv": "label\ttext\n1\tone, two\n0\tthree\n",
        "a.jsonl": '{"text": "one, two", "label": 1}\r\n{"label": "0", "text": "three", "id": null}\r\n',
    }
    path = write(tmp_path, name + packed, rows[name])
    values = [values for _, values in read_table(path, COLUMNS, ("label",))]
    assert values == [("one, two", "1"), ("three", "0")]


def test_jsonl_lines_end_at_line_feeds_alone(tmp_path):
    content = '{"text": "a\u2028b", "label": "x"}\n\n{"text": "c", "label": "y"}'
    assert list(read_table(write(tmp_path, "a.jsonl", content), COLUMNS)) == [
        (1, ("a\u2028b", "x")),
        (3, ("c", "y")),
    ]


def test_a_field_may_exceed_pythons_limit(tmp_path):
    text = "word " * 100_000
    [(line, values)] = read_table(write(tmp_path, "a.csv", f"text,label\n{text},good\n"), COLUMNS)
    assert (line, values) == (2, (text, "good"))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.jsonl", " \n\n", "a.jsonl is empty"),
        (
            "a.csv",
            "sentence,label\na,b\n",
            "a.csv:1: the column 'text' is missing; found 'sentence', 'label'",
        ),
        ("a.csv", "text\tlabel\na\tb\n", "a.csv:1: the column 'text' is missing; found 'text\\tlabel'"),
        ("a.csv", "text,label\na,b\nc, d,e\n", "a.csv:3: the row has 3 fields; expected 2"),
        ("a.csv", "text,label\na\n", "a.csv:2: the row has 1 fields; expected 2"),
        ("a.csv", 'text,label\na,b\n"c,d\ne,f\n', "a.csv:3: the row is malformed (unexpected end of data)"),
        ("a.csv", 'text,label\n"a" b,c\n', "a.csv:2: the row is malformed (',' expected after '\"')"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n{"text"\n', "a.jsonl:2: the line is not valid JSON"),
        ("a.jsonl", '{"text": "\\ud800", "label": "b"}\n', "a.jsonl:1: the line is not valid JSON"),
        ("a.jsonl", '["a", "b"]\n', "a.jsonl:1: the line has the type list; expected a JSON object"),
        (
            "a.jsonl",
            '{"text": "a", "score": 1}\n',
            "a.jsonl:1: the column 'label' is missing; found 'text', 'score'",
        ),
        ("a.jsonl", '{"text": 1, "label": 1}\n', "a.jsonl:1: text is 1; expected a string"),
        ("a.jsonl", '{"text": "a", "label": true}\n', "a.jsonl:1: label is true; expected a string or"),
        ("a.jsonl", '{"text": "a", "label": 0.5}\n', "a.jsonl:1: label is 0.5; expected a string or"),
        ("a.jsonl", '{"text": "a", "label": null}\n', "a.jsonl:1: label is null; expected a string or"),
    ],
)
def test_malformed_tables(tmp_path, name, content, expected):
    path = write(tmp_path, name, content)
    assert f"{tmp_path}/{expected}" in message(DataError, read_table, path, COLUMNS, ("label",))


def test_other_extensions_are_errors(tmp_path):
    assert "expected .csv, .tsv, .jsonl" in message(UsageError, read_table, tmp_path / "a.xlsx", COLUMNS)
