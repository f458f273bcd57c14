"""The reader of tables: formats, delimiters, encodings, headers, and one error that names each problem."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest

from seqmodels.data.bad_rows import BadRows
from seqmodels.data.encodings import guess_encoding
from seqmodels.data.tables import Table, cell_text, find_column, read_table, table_name, table_of
from seqmodels.errors import DataError, UsageError, UserError

FRAME = pandas.DataFrame({"text": ["one, two", 'a "b"', "c;d"], "label": ["x", "y", "x"]})


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def message(error: type[UserError], function: Callable, *arguments: object, **options: object) -> str:
    with pytest.raises(error) as caught:
        function(*arguments, **options)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def rows(table: Table) -> list[list[str]]:
    return [list(row) for row in zip(*(table.texts(column) for column in table.columns))]


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("packed", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_all_formats_agree(tmp_path, suffix, packed):
    path = tmp_path / f"a{suffix}"
    {
        ".csv": lambda: FRAME.to_csv(path, index=False),
        ".jsonl": lambda: FRAME.to_json(path, orient="records", lines=True),
        ".json": lambda: FRAME.to_json(path, orient="records"),
        ".parquet": lambda: FRAME.to_parquet(path),
        ".arrow": lambda: FRAME.to_feather(path),
        ".feather": lambda: FRAME.to_feather(path),
    }[suffix]()
    content = path.read_bytes()
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": lambda b: zipped(a_x=b)}
    if packed:
        path = write(tmp_path, f"a{suffix}{packed}", pack[packed](content))
    table = read_table(path)
    assert rows(table) == FRAME.to_numpy().tolist()
    assert table.columns == ["text", "label"]
    assert table.notes == []
    first = 2 if suffix == ".csv" else 1
    assert table.lines.tolist() == [first, first + 1, first + 2]
    assert table.where(1, "text") == f"{path}:{first + 1}, column 'text'"


def test_excel_reads_the_first_sheet(tmp_path):
    pytest.importorskip("openpyxl")
    frame = FRAME.assign(day=pandas.Timestamp("2024-01-02"), number=[1, None, 2.5])
    with pandas.ExcelWriter(tmp_path / "a.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False)
        frame.to_excel(book, sheet_name="second")
    table = read_table(tmp_path / "a.xlsx")
    assert table.texts("number") == ["1", "", "2.5"]
    assert table.frame["day"][0] == pandas.Timestamp("2024-01-02")
    assert table.lines.tolist() == [2, 3, 4]
    assert table.notes == [f"{tmp_path}/a.xlsx has 2 sheets; only the first, 'first', is read"]


def test_excel_without_openpyxl_names_the_extra(tmp_path, monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name: str, *arguments: object) -> object:
        if name.startswith("openpyxl"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    path = write(tmp_path, "a.xlsx", zipped(xl_workbook="x"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    assert "pip install 'seqmodels[excel]'" in message(UsageError, read_table, path)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_the_delimiter_is_recognised(tmp_path, name, delimiter):
    lines = [delimiter.join(cells) for cells in (["date", "x y"], ["2024-01-01", "1"], ["2024-01-02", "2"])]
    table = read_table(write(tmp_path, name, "\n".join(lines)))
    assert rows(table) == [["2024-01-01", "1"], ["2024-01-02", "2"]]
    own = {"a.csv": ",", "a.tsv": "\t"}[name]
    assert len(table.notes) == (delimiter != own)


@pytest.mark.parametrize(
    ("content", "columns", "first"),
    [
        ("date;close\n2024-01-01;5,5\n2024-01-02;6,5\n", ["date", "close"], ["2024-01-01", "5,5"]),
        ("day;sales, EUR\n1;5,5\n2;6,5\n", ["day", "sales, EUR"], ["1", "5,5"]),
        ("text;label\na, b, c;x\nd, e;y\n", ["text", "label"], ["a, b, c", "x"]),
        ('text,label\n"a; b",x\n"c; d",y\n', ["text", "label"], ["a; b", "x"]),
        ("text,label\nfine; very | fine,x\n", ["text", "label"], ["fine; very | fine", "x"]),
        ("sep=;\nx;y\n1;2\n", ["x", "y"], ["1", "2"]),
        ("text\nno other column\n", ["text"], ["no other column"]),
        ('date,"sales, EUR"\n1,5\n', ["date", "sales, EUR"], ["1", "5"]),
        ('text, label\n"a, b", "x, y"\nc, d\n', ["text", "label"], ["a, b", "x, y"]),
        (" text ,  my\u00a0 label\na,x\n", ["text", "my label"], ["a", "x"]),
        ("\ufefftext,label\ra,x\r", ["text", "label"], ["a", "x"]),
        ('text,label\n"two\r\nlines, ""so""",x\n', ["text", "label"], ['two\r\nlines, "so"', "x"]),
    ],
)
def test_forms_of_csv(tmp_path, content, columns, first):
    table = read_table(write(tmp_path, "a.csv", content))
    assert table.columns == columns
    assert rows(table)[0] == first


def test_a_quote_in_tsv_is_a_character(tmp_path):
    content = 'text\tlabel\n"open\tx\nhe said "hi"\ty\nclosed"\tx\n'
    table = read_table(write(tmp_path, "a.tsv", content))
    assert table.texts("text") == ['"open', 'he said "hi"', 'closed"']
    quoted = read_table(write(tmp_path, "b.tsv", '"text"\t"label"\n"a\tb"\t"x"\n'))
    assert rows(quoted) == [["a\tb", "x"]]


def test_columns_without_a_name(tmp_path):
    def columns(content: str) -> tuple[list[str], int]:
        table = read_table(write(tmp_path, "a.csv", content))
        return table.columns, len(table.notes)

    assert columns(",text\n0,a\n1,b\n") == (["text"], 1)
    assert columns("Unnamed: 0,text\n7,a\n3,b\n12,c\n") == (["text"], 1)
    assert columns("text,,\na,,\nb,,\n") == (["text"], 1)
    # A column without a name is kept if it contains dates, years or texts instead of row numbers.
    assert columns(",close\n2024-01-01,1\n2024-01-02,2\n") == (["Unnamed: 0", "close"], 1)
    assert columns(",close\n1990,1\n1991,2\n") == (["Unnamed: 0", "close"], 1)
    assert columns("text,text,label\na,b,c\n") == (["text", "text.1", "label"], 1)
    index = FRAME.set_index(pandas.Index([5, 3, 9]))
    index.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").columns == ["text", "label"]


@pytest.mark.parametrize(
    ("text", "encoding", "hint"),
    [
        ("A naïve film for £5", "latin-1", "latin-1"),
        ("It’s “good” – 5 €", "cp1252", "cp1252"),
        ("Le film était très bon, à voir", "cp1252", "latin-1"),
        ("Die Größe", "latin-1", "latin-1"),
        ("这部电影非常好看，和朋友", "gb18030", "gb18030"),
        ("很好" * 30, "gb18030", "gb18030"),
        ("この映画はとても面白い。最高", "shift_jis", "shift_jis"),
        ("A good film", "utf-16", "utf-16"),
        ("A good film", "utf-16-le", "utf-16-le"),
        ("Ein großer Film", "utf-16-be", "utf-16-be"),
    ],
)
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_encodings_have_a_hint_that_works(tmp_path, text, encoding, hint, packed):
    content = f"text,label\n{text.replace(',', ' ')},x\n".encode(encoding)
    path = write(tmp_path, f"a.csv{packed}", gzip.compress(content) if packed else content)
    assert f"read it with --encoding {hint}" in message(DataError, read_table, path)
    assert read_table(path, encoding=hint).texts("text") == [text.replace(",", " ")]
    lines = write(tmp_path, "a.jsonl", f'{{"text": "{text}"}}\n'.encode(encoding))
    assert read_table(lines, encoding=hint).texts("text") == [text]


@pytest.mark.parametrize("encoding", ["cp1251", "euc_kr", "koi8_r"])
def test_no_wrong_hint_for_other_scripts(encoding):
    text = {"euc_kr": "정말 좋은 영화입니다 그리고 재미있어요"}.get(encoding, "Очень хороший фильм")
    assert guess_encoding(text.encode(encoding)) is None


def test_chosen_encodings(tmp_path):
    path = write(tmp_path, "a.csv", "text\nnaïve\n")
    assert read_table(path, encoding="utf8").texts("text") == ["naïve"]
    assert "is valid UTF-8 but is read as latin-1" in read_table(path, encoding="latin-1").notes[0]
    assert read_table(path, encoding="latin-1", prefer_utf8=True).texts("text") == ["naïve"]
    assert "is UTF-8 text, not utf-16" in message(DataError, read_table, path, encoding="utf-16")
    assert "not gb18030 text" in message(
        DataError, read_table, write(tmp_path, "b.csv", b"text\na\xff\n"), encoding="gb18030"
    )
    for name in ("klingon", "rot13", "hex", "a\0b"):
        assert "is not a text encoding" in message(UsageError, read_table, path, encoding=name)


def excel() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", b"", "a.csv is empty; expected rows"),
        ("a.jsonl", b" \n\n", "a.jsonl is empty"),
        ("a.csv", b"text,label\n", "a.csv has no rows below its header"),
        ("a.csv", b"text,label\na,b\nc,d,e\nf\n", "a.csv:3: the row has 3 fields; expected 2"),
        ("a.csv", b'text,label\n"a" b,c\nd,e\n', "a.csv:2: the row is malformed (',' expected after '\"')"),
        ("a.csv", b"<!DOCTYPE html>\n<html>", "a.csv is an HTML page, not a .csv file; download"),
        ("a.parquet", b"\n <HTML><body>", "a.parquet is an HTML page"),
        ("a.csv", excel(), "a.csv is an Excel file, not a .csv file; rename it to .xlsx"),
        ("a.csv", zipped(a_csv=b"x"), "a.csv is a zip archive, not a .csv file; add .zip"),
        ("a.csv", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.csv is an Excel file of the old format .xls"),
        ("a.csv", gzip.compress(b"x", mtime=0), "a.csv is a gzip file, not a .csv file; add .gz"),
        ("a.tsv", b'{"text": "a"}', "a.tsv is JSON, not a .tsv file; rename it to .jsonl"),
        ("a.csv", b'[{"text": "a"}]', "a.csv is JSON, not a .csv file; rename it to .json"),
        ("a.csv", bytes(range(256)), "a.csv:2: byte 128 is 0x80, not UTF-8 text; the file looks binary"),
        ("a.csv", b"version https://git-lfs.github.com/spec/v1\n", "a.csv is a Git LFS pointer"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n["b"]\n', "2 bad rows in"),
        ("a.jsonl", b'{"text": "\\ud800"}\n{"text": "a"}', "a.jsonl:1: the line is not valid JSON"),
        ("a.json", b'{"text": {"0": "a"}}', "a.json contains one dict; expected an array of objects"),
        ("a.json", b"[1", "a.json is not valid JSON"),
        ("a.parquet", b"PAR1" + b"x" * 50, "a.parquet is not a readable Parquet file"),
        ("a.arrow", b"ARROW1" + b"x" * 50, "a.arrow is not a readable Arrow file"),
        ("a.csv.gz", b"text,label\n", "a.csv.gz is a truncated or corrupt gzip file"),
        ("a.csv.bz2", b"text,label\n", "a.csv.bz2 is a truncated or corrupt bz2 file"),
        ("a.csv.xz", lzma.compress(b"x" * 99)[:-9], "a.csv.xz is a truncated or corrupt xz file"),
        ("a.csv.zip", zipped(a_csv=b"x", b_csv=b"y"), "a.csv.zip contains 2 files: a.csv, b.csv; expected"),
    ],
)
def test_errors_for_files_that_are_not_tables(tmp_path, name, content, expected):
    assert expected in message(DataError, read_table, write(tmp_path, name, content))


def test_missing_files_and_other_extensions(tmp_path):
    assert "does not exist" in message(UsageError, read_table, tmp_path / "a.csv")
    assert "expected .csv, .tsv, .jsonl" in message(UsageError, read_table, tmp_path / "a.doc")
    assert "save an .xls file as .xlsx" in message(UsageError, read_table, tmp_path / "a.xls")
    assert table_name(tmp_path / "a.txt.gz") is None
    path = write(tmp_path, "Archive.ZIP", zipped(train_csv=b"x"))
    assert table_name(path) == ("archive", ".csv")


def test_bad_rows_are_counted_and_five_are_named(tmp_path):
    lines = ["text,label", *(f"row {n},x" if n % 3 else f"row {n},x,y" for n in range(30))]
    path = write(tmp_path, "a.csv", "\n".join(lines))
    found = message(DataError, read_table, path)
    assert found.count("the row has 3 fields") == 5
    assert found.count(f"{path}:") == 5
    assert "and 5 more" in found
    assert "10 bad rows" in found
    bad, notes = BadRows(path), list[str]()
    table = read_table(path, bad=bad)
    assert (len(table), bad.count) == (20, 10)
    assert table.lines[0] == 3
    bad.settle("skip", 30, notes)
    assert notes[0].startswith("10 of 30 rows of ")


def test_reading_continues_after_an_unclosed_quote(tmp_path):
    lines = ["text,label", *(f"a {n},x" for n in range(5)), '"open,x', *(f"b {n},y" for n in range(5))]
    bad = BadRows("a.csv")
    table = read_table(write(tmp_path, "a.csv", "\n".join(lines)), bad=bad)
    assert bad.count == 1
    assert bad.first[0][0] == 7
    assert table.texts("text") == [f"a {n}" for n in range(5)] + [f"b {n}" for n in range(5)]
    assert table.lines.tolist() == [2, 3, 4, 5, 6, 8, 9, 10, 11, 12]


def test_many_unclosed_quotes_take_linear_time(tmp_path):
    lines = ["text,label", *(f'"row {n} "x" y,z' if n % 2 else f"row {n},z" for n in range(20_000))]
    bad = BadRows("a.csv")
    table = read_table(write(tmp_path, "a.csv", "\n".join(lines)), bad=bad)
    assert (len(table), bad.count) == (10_000, 10_000)


def test_rows_without_values_are_skipped_with_a_note(tmp_path):
    table = read_table(write(tmp_path, "a.csv", "a,b\n1,2\n,\n\n , \n3,4\n"))
    assert len(table) == 2
    assert table.notes == [f"2 rows of {tmp_path}/a.csv have no values and are skipped"]


def test_json_lines_end_at_line_feeds_alone(tmp_path):
    path = write(tmp_path, "a.jsonl", '{"text": "a\u2028b"}\n\n{"text": "c", "n": 1}')
    table = read_table(path)
    assert table.texts("text") == ["a\u2028b", "c"]
    assert table.frame["n"].tolist() == [None, 1]
    assert table.lines.tolist() == [1, 3]
    renamed = read_table(write(tmp_path, "a.json", path.read_bytes()))
    assert (len(renamed), len(renamed.notes)) == (2, 1)


def test_cells_as_text(tmp_path):
    values = [1, 1.0, 0.5, True, None, float("nan"), pandas.NaT, pandas.NA, np.int64(3), b"ab"]
    assert [cell_text(value) for value in values] == ["1", "1", "0.5", "True", "", "", "", "", "3", "ab"]
    table = read_table(write(tmp_path, "a.jsonl", '{"text": "a"}\n{"text": ["b"]}\n'))
    assert "a.jsonl:2, column 'text': the value has the type list" in message(DataError, table.texts, "text")


def table(*columns: str) -> Table:
    return table_of(pandas.DataFrame([["x"] * len(columns)], columns=list(columns)))


def test_find_column():
    assert find_column(table("Text", "n"), None, ("text",), "--text") == "Text"
    assert find_column(table("te xt", "text"), None, ("text",), "--text") == "text"
    assert find_column(table("n", "My Text"), "mytext", (), "--text") == "My Text"
    assert find_column(table("n", "review"), None, ("text",), "--text", alternatives=("review",)) == "review"
    assert find_column(table("review", "text"), None, ("text",), "--text", alternatives=("review",)) == "text"
    two = table("review", "content")
    assert "2 columns that could be 'text': 'review' and 'content'; choose the column with --text" in message(
        DataError, find_column, two, None, ("text",), "--text", alternatives=("review", "content")
    )
    assert "--text x is not a column of DataFrame; found 'review', 'content'" in message(
        UsageError, find_column, two, "x", (), "--text"
    )
    assert "has no column 'text'; found 'review', 'content'; choose the column with --text" in message(
        DataError, find_column, two, None, ("text",), "--text"
    )


@pytest.mark.parametrize(
    "content",
    [
        "weak cast,neg\nsuperb cast,pos\ndull plot,neg\n",
        "What a great and moving film it was,5\nDull,1\n",
        "2024-01-01,5.5\n2024-01-02,6.5\n",
        "A fine film.,Ein guter Film.\nA dull one.,Ein fader.\n",
    ],
)
def test_a_file_without_a_header(tmp_path, content):
    found = read_table(write(tmp_path, "a.csv", content))
    assert "a.csv:1: the column names are missing; the first row looks like data" in message(
        DataError, find_column, found, None, ("text",), "--text"
    )


def test_a_dataframe_keeps_its_columns():
    frame = pandas.DataFrame({("a", "x"): [1], ("b", ""): ["c"]}, index=pandas.Index(["k"], name="key"))
    assert table_of(frame).columns == ["key", "a x", "b"]
    assert table_of(pandas.DataFrame({0: ["a"], "b": ["c"]}, index=[7])).columns == ["0", "b"]


def test_a_large_file_is_read_in_blocks(tmp_path):
    lines = "".join(f"text number {n},{n % 3}\n" for n in range(120_000))
    found = read_table(write(tmp_path, "a.csv", "text,label\n" + lines))
    assert found.texts("text")[119_999] == "text number 119999"
    assert found.lines[-1] == 120_001


def test_a_field_may_exceed_pythons_limit(tmp_path):
    text = "word " * 100_000
    table = read_table(write(tmp_path, "a.csv", f"text,label\n{text},good\n"))
    assert (table.texts("text"), table.lines.tolist()) == ([text], [2])
