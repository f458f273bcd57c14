"""Readers of text files and tables; every error names the file and the line or byte.

Files are read as a whole, are UTF-8 by default, and may be compressed, see `seqmodels.data.compression`.
"""

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from seqmodels.data.compression import compression, read_bytes
from seqmodels.data.encodings import check_text
from seqmodels.errors import DataError, UsageError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
TABLE_FORMATS = (*DELIMITERS, ".jsonl")

Row = tuple[int, tuple[str, ...]]  # line number, values


def unreadable(path: Path | str, error: OSError) -> DataError:
    """Returns the error for a file or folder that exists but cannot be opened."""
    return DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions")


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Lists the folders and the files in ``folder``, sorted by name, without hidden ones.

    >>> _ = (folder / "reviews.csv").write_text("text\\n")
    >>> [[path.name for path in paths] for paths in list_folder(folder)]
    [[], ['reviews.csv']]
    """
    folders: list[Path] = []
    files: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    (folders if entry.is_dir() else files).append(Path(entry.path))
    except OSError as error:
        raise unreadable(folder, error) from error
    return sorted(folders), sorted(files)


def read_text(
    path: Path, encoding: str | None = None, *, prefer_utf8: bool = False, notes: list[str] | None = None
) -> str:
    """Reads a whole file, also a compressed one, without its byte order mark.

    Args:
        path: path of the file.
        encoding: encoding of the file. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.
        notes: list to which a note is appended if the chosen encoding is probably wrong.

    Raises:
        UsageError: the encoding is unknown.
        DataError: the file does not exist, cannot be read or decompressed, or has NUL bytes or bytes that
            are not text in the encoding.

    >>> _ = (folder / "text.txt").write_text("a film\\n")
    >>> read_text(folder / "text.txt")
    'a film\\n'
    """
    content = read_bytes(path)
    packed = bool(compression(path))
    chosen = check_text(path, content, encoding, packed=packed, prefer_utf8=prefer_utf8, notes=notes)
    return content.decode(chosen).removeprefix("\ufeff")


def table_name(path: Path) -> tuple[str, str] | None:
    """Splits the name of a table, such as ``Train.csv.gz`` into ``("train", ".csv")``.

    Returns None if the extension is not one of `TABLE_FORMATS`.
    """
    name = Path(path.name.lower().removesuffix(".gz"))
    return (name.stem, name.suffix) if name.suffix in TABLE_FORMATS else None


def read_table(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...] = ()) -> Iterator[Row]:
    """Reads the rows of a table, each as the number of its first line, from 1, and its values of ``columns``.

    CSV and TSV files have a header. They have quotes as in RFC 4180, so that a field may contain delimiters
    and line breaks. JSONL files have one object per line with string values. The values of the columns
    ``numbers`` may also be whole numbers. Blank lines and other columns are ignored.

    Raises:
        UsageError: the extension of ``path`` is not one of `TABLE_FORMATS`.
        DataError: the file cannot be read (see `read_text`) or is empty, a column is missing, or a row is
            malformed.

    >>> _ = (folder / "reviews.csv").write_text("text,label\\na dull film,0\\n")
    >>> list(read_table(folder / "reviews.csv", ("text", "label")))
    [(2, ('a dull film', '0'))]
    """
    name = table_name(path)
    if not name:
        raise UsageError(
            f"{path} has an unsupported extension; expected {', '.join(TABLE_FORMATS)}, or these with .gz"
        )
    content = read_text(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected rows with {', '.join(columns)}")
    if name[1] == ".jsonl":
        return _jsonl_rows(path, content, columns, numbers)
    return _csv_rows(path, content, columns, DELIMITERS[name[1]])


def _csv_rows(path: Path, content: str, columns: tuple[str, ...], delimiter: str) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)  # Python's limit, 131072, is shorter than some documents
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1
    try:
        for row in reader:
            if row and not header:
                header = row
                _check_columns(f"{path}:{line}", header, columns)
                places = [header.index(column) for column in columns]
            elif row and len(row) != len(header):
                raise DataError(
                    f"{path}:{line}: the row has {len(row)} fields; expected {len(header)} as in the header; "
                    "quote a field that contains the delimiter"
                )
            elif row:
                yield line, tuple(row[place] for place in places)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: the row is malformed ({error}); quote the field and double the quotes inside it"
        ) from error


def _jsonl_rows(
    path: Path, content: str, columns: tuple[str, ...], numbers: tuple[str, ...]
) -> Iterator[Row]:
    for number, line in enumerate(io.StringIO(content), 1):
        if not line.strip():
            continue
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()  # a lone surrogate is valid JSON but not text
        except ValueError as error:
            raise DataError(
                f"{place}: the line is not valid JSON ({error}); expected one object per line"
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{place}: the line has the type {type(row).__name__}; expected an object with "
                f"{', '.join(columns)}"
            )
        _check_columns(place, row, columns)
        for column in columns:
            is_number = (
                column in numbers and isinstance(row[column], int) and not isinstance(row[column], bool)
            )
            if not isinstance(row[column], str) and not is_number:
                expected = "a string or a whole number" if column in numbers else "a string"
                raise DataError(f"{place}: {column} is {json.dumps(row[column])}; expected {expected}")
        yield number, tuple(str(row[column]) for column in columns)


def _check_columns(place: str, found: Iterable[str], columns: tuple[str, ...]) -> None:
    for column in columns:
        if column not in found:
            listed = ", ".join(map(repr, found))
            raise DataError(
                f"{place}: the column {column!r} is missing; found {listed}; expected {', '.join(columns)}"
            )
