"""Reads text files and tables. Error messages contain the file and, if known, the line or the byte.

Each file is read into memory as a whole. The default encoding is UTF-8, with or without a byte order mark.
Files may be compressed, see `seqmodels.data.compression`.
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

Row = tuple[int, tuple[str, ...]]  # line number and values of a row


def unreadable(path: Path | str, error: OSError) -> DataError:
    """Returns the error for a file or folder that exists but cannot be opened."""
    return DataError(f"{path} cannot be read: {error.strerror}; check the path and its permissions")


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files in ``folder`` as two lists, each sorted by name.

    Folders and files whose names start with a dot are skipped.

    Raises:
        DataError: the folder cannot be read.

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
    """Reads a whole text file, which may be compressed. The byte order mark is dropped.

    Args:
        path: path of the file.
        encoding: encoding of the file. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to a file that is not UTF-8.
        notes: list to which a note is appended if the chosen encoding is probably wrong.

    Raises:
        UsageError: the encoding is unknown.
        DataError: the file does not exist or cannot be read; its content cannot be decompressed or is not
            text in the encoding; or the text contains NUL characters.

    >>> _ = (folder / "text.txt").write_text("a film\\n")
    >>> read_text(folder / "text.txt")
    'a film\\n'
    """
    content = read_bytes(path)
    packed = bool(compression(path))
    chosen = check_text(path, content, encoding, packed=packed, prefer_utf8=prefer_utf8, notes=notes)
    return content.decode(chosen).removeprefix("\ufeff")


def table_name(path: Path) -> tuple[str, str] | None:
    """Splits the file name of a table into name and extension, both in lower case and without ``.gz``.

    For example, ``Train.csv.gz`` becomes ``("train", ".csv")``. Returns None if the extension is not one of
    `TABLE_FORMATS`.
    """
    name = Path(path.name.lower().removesuffix(".gz"))
    return (name.stem, name.suffix) if name.suffix in TABLE_FORMATS else None


def read_table(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...] = ()) -> Iterator[Row]:
    """Reads the rows of a table lazily.

    A CSV or TSV file must have a header. A quoted field may contain delimiters and line breaks, as in RFC
    4180. A JSONL file must have one JSON object per line. Blank lines, and columns that are not in
    ``columns``, are ignored.

    Args:
        path: table with an extension of `TABLE_FORMATS`.
        columns: names of the columns to read. In a JSONL file, their values must be strings.
        numbers: names of columns that may also contain whole numbers in a JSONL file.

    Returns:
        Iterator of ``(line number, values)``. The line number is the number of the first line of the row,
        counted from 1. The values are strings in the order of ``columns``.

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
            f"{path} has an unsupported extension; expected {', '.join(TABLE_FORMATS)}, or one of these "
            "followed by .gz"
        )
    content = read_text(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected rows with the columns {', '.join(columns)}")
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
            json.dumps(row, ensure_ascii=False).encode()  # raises an error for a lone surrogate
        except ValueError as error:
            raise DataError(
                f"{place}: the line is not valid JSON ({error}); expected one object per line"
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{place}: the line has the type {type(row).__name__}; expected a JSON object with the keys "
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
