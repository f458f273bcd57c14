"""Splits delimited text (.csv, .tsv) into rows. Recognises the delimiter and the quotes, and counts lines.

Python's ``csv`` module splits the rows, because pandas does not report the line numbers of malformed rows.
"""

from __future__ import annotations

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqmodels.data.bad_rows import BadRows
from seqmodels.errors import DataError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
CANDIDATES = ("\t", ";", "|", ",")  # the comma is last, because it may be a decimal comma
NAMES = {",": "a comma", "\t": "a tab", ";": "a semicolon", "|": "a vertical bar"}
SAMPLE_ROWS = 50
RESTARTS = 20  # after this number of unclosed quotes, each line is read as one row


@dataclass(frozen=True)
class Dialect:
    """Format of a delimited file.

    Attributes:
        delimiter: character between two cells.
        quoted: if True, a cell may be enclosed in quotes. If False, quotes have no special meaning.
        blanks: if True, blanks after a delimiter are dropped.
    """

    delimiter: str
    quoted: bool = True
    blanks: bool = False

    def reader(self, lines: Iterator[str]) -> Any:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE,
            skipinitialspace=self.blanks,
            strict=True,
        )


class _Lines:
    """Iterator over lines that can return to an earlier line.

    An unclosed quote can join many lines into one malformed row. `split_rows` skips only the first line of
    such a row, and then continues with the second line.
    """

    def __init__(self, stream: Iterator[str]):
        self._stream = stream
        self._again: deque[str] = deque()
        self.row: list[str] = []  # lines of the current row
        self.number = 0  # number of the last line

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._stream)
        self.row.append(line)
        self.number += 1
        return line

    def return_to_second_line(self) -> None:
        self._again.extendleft(reversed(self.row[1:]))
        self.number -= len(self.row) - 1
        del self.row[1:]


def open_lines(content: bytes, encoding: str) -> Iterator[str]:
    """Yields the decoded lines of a file. A line ends with a line feed, a carriage return, or both."""
    stream = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    for line in stream:
        yield line.removeprefix("\ufeff")
        break
    yield from stream


def recognise(lines: list[str], suffix: str) -> tuple[Dialect, int]:
    """Recognises the format of a delimited file.

    Candidates for the delimiter are tab, semicolon, vertical bar and comma. A candidate must split the header
    into at least two cells. Each candidate is scored by the share of rows with as many cells as the header.
    The candidate with the largest share is the delimiter. If no candidate fits, the file has one column. The
    result then contains the usual delimiter: a comma for ``.csv`` and a tab for ``.tsv``.

    Args:
        lines: the first lines of the file.
        suffix: ``.csv`` or ``.tsv``.

    Returns:
        The format, and the number of lines before the header: 1 if the first line is, for example, ``sep=;``,
        else 0.

    >>> recognise(["text;label\\n", "fine, really;1\\n"], ".csv")
    (Dialect(delimiter=';', quoted=True, blanks=False), 0)
    """
    first = next((line for line in lines if line.strip()), "").strip()
    if first[:4].lower() == "sep=" and first[4:] in (*CANDIDATES, ""):
        chosen, skipped = Dialect(first[4:] or "\t"), 1
        lines = lines[1:]
    else:
        agreements = [(_agreement(lines, candidate), candidate) for candidate in CANDIDATES]
        best, delimiter = max(agreements, key=lambda each: each[0])  # in a tie, the first candidate
        chosen, skipped = Dialect(delimiter if best > 0 else DELIMITERS[suffix]), 0
    header = next((line for line in lines if line.strip()), "").rstrip("\r\n")
    if chosen.delimiter == "\t":
        cells = header.split("\t")
        chosen = replace(chosen, quoted=all(len(c) > 1 and c[0] == c[-1] == '"' for c in cells))
    elif header.count(chosen.delimiter) == header.count(chosen.delimiter + " ") > 0:
        chosen = replace(chosen, blanks=True)
    return chosen, skipped


def _agreement(lines: list[str], delimiter: str) -> float:
    """Returns the share of rows with as many cells as the header, or 0 if the header has one cell."""
    reader = Dialect(delimiter, quoted=delimiter != "\t").reader(iter(lines))
    widths: list[int] = []
    while len(widths) < SAMPLE_ROWS:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error:
            row = ["malformed"]
        if row:
            widths.append(len(row))
    if not widths or widths[0] == 1:
        return 0.0
    # There may be rows, but none with as many cells as the header. Then the delimiter is probably part of a
    # column name, such as the comma in "sales, EUR". The result is 0 in this case.
    return widths.count(widths[0]) / len(widths) if widths.count(widths[0]) > 1 or len(widths) == 1 else 0.0


Row = tuple[int, list[str]]


def split_rows(
    path: Path, lines: Iterator[str], dialect: Dialect, skipped: int, bad: BadRows
) -> Iterator[Row]:
    """Yields the header and the rows, each with the line on which the row starts.

    Blank rows are skipped. A row is malformed if its quotes are malformed, or if it has more or fewer cells
    than the header. Malformed rows are counted in ``bad`` and not yielded. An unclosed quote can join many
    lines into one row. If the quotes of a row are malformed, only the first line of this row is skipped.

    Raises:
        DataError: the header is malformed.
    """
    csv.field_size_limit(2**31 - 1)  # Python's limit, 131072, is shorter than some documents
    source = _Lines(lines)
    for _ in range(skipped):
        next(source, None)
    reader, width, restarts = dialect.reader(source), 0, 0
    while True:
        source.row = []
        line = source.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not width:
                raise DataError(
                    f"{path}:{line}: the header is malformed ({error}); close its quotes, and double the "
                    "quotes inside a column name"
                ) from error
            bad.add(line, f"{path}:{line}", _malformed(error))
            if len(source.row) > 1:
                source.return_to_second_line()
                restarts += 1
                if restarts == RESTARTS:
                    yield from _single_lines(path, source, dialect, width, bad)
                    return
                reader = dialect.reader(source)
            continue
        if not any(map(str.strip, row)):
            bad.blank += len(row) > 1
            continue
        if not width:
            width = len(row)
        elif len(row) != width:
            bad.add(line, f"{path}:{line}", _wrong_width(row, width))
            continue
        yield line, row


def _single_lines(path: Path, source: _Lines, dialect: Dialect, width: int, bad: BadRows) -> Iterator[Row]:
    """Yields each line as one row.

    `split_rows` goes back and reads lines again after each unclosed quote. This is slow if a file has many
    unclosed quotes. `split_rows` then uses this faster function for the rest of the file.
    """
    for text in source:
        source.row = []
        try:
            row: list[str] = next(dialect.reader(iter([text])), [])
        except csv.Error as error:
            bad.add(source.number, f"{path}:{source.number}", _malformed(error))
            continue
        if not any(map(str.strip, row)):
            bad.blank += len(row) > 1
            continue
        if len(row) == width:
            yield source.number, row
        else:
            bad.add(source.number, f"{path}:{source.number}", _wrong_width(row, width))


def _malformed(error: csv.Error) -> str:
    return f"the row is malformed ({error}); quote the field and double the quotes inside it"


def _wrong_width(row: list[str], width: int) -> str:
    return (
        f"the row has {len(row)} fields; expected {width} as in the header; quote a field that contains the "
        "delimiter"
    )
