"""Reads tables from JSON files with one object per line, or with an array of objects."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.data.bad_rows import BadRows
from seqmodels.errors import DataError

Columns = tuple[list[str], list[Any], np.ndarray]
"""Column names, columns, and the line of each row. In a JSON array, the number of the row replaces the
line."""


def read_json_lines(path: Path, content: bytes, encoding: str, bad: BadRows) -> Columns:
    """Reads a file with one JSON object per line. Lines with other content are counted in ``bad``."""
    # Only a line feed ends a line. JSON strings may contain other line separators, such as U+2028.
    stream = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="\n")
    rows = _Columns()
    for line, record in json_rows(path, stream, bad):
        rows.add(line, record)
    return rows.result()


def json_rows(path: Path, lines: Iterable[str], bad: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields the line number and the object of each line that is not blank.

    Lines with other content are counted in ``bad``.
    """
    for line, text in enumerate(lines, 1):
        if not text.strip().strip("\ufeff"):
            continue
        try:
            record = parse(text.removeprefix("\ufeff"))
        except (ValueError, RecursionError) as error:
            bad.add(
                line, f"{path}:{line}", f"the line is not valid JSON ({error}); expected one object per line"
            )
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            kind = type(record).__name__
            bad.add(line, f"{path}:{line}", f"the line has the type {kind}; expected one object per line")


def read_json(path: Path, content: bytes, encoding: str, bad: BadRows, notes: list[str]) -> Columns:
    """Reads a file with a JSON array of objects.

    If the file contains one object per line instead, the function reads these objects and appends a note to
    ``notes``.

    Raises:
        DataError: the file is not valid JSON, or does not contain an array.
    """
    text = content.decode(encoding)
    try:
        records = parse(text)
    except (ValueError, RecursionError) as error:
        first = next((line for line in text.split("\n") if line.strip()), "")
        if _is_object(first) and "Extra data" in str(error):
            notes.append(f"{path} has one JSON object per line and is read as .jsonl")
            return read_json_lines(path, content, encoding, bad)
        raise DataError(f"{path} is not valid JSON ({error}); expected an array of objects") from error
    if isinstance(records, dict) and text.strip().count("\n") == 0 and not _nested(records):
        records = [records]
    if not isinstance(records, list):
        raise DataError(
            f"{path} contains one {type(records).__name__}; expected an array of objects; "
            'in pandas, write the table with to_json(path, orient="records")'
        )
    rows = _Columns()
    for number, record in enumerate(records, 1):
        if isinstance(record, dict):
            rows.add(number, record)
        else:
            kind = type(record).__name__
            bad.add(number, f"{path}:{number}", f"the record has the type {kind}; expected an object")
    return rows.result()


def parse(text: str) -> Any:
    """Parses JSON.

    Raises:
        ValueError: the text is not valid JSON, or contains a lone surrogate, which UTF-8 cannot encode.
    """
    value = json.loads(text)
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _nested(record: dict[str, Any]) -> bool:
    return any(isinstance(value, dict | list) for value in record.values())


class _Columns:
    """Collects the values of all records in one list per key. A missing key has the value None."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._lines: list[int] = []

    def add(self, line: int, record: dict[str, Any]) -> None:
        for name in record:
            if name not in self._columns:
                self._columns[name] = [None] * len(self._lines)
        for name, column in self._columns.items():
            column.append(record.get(name))
        self._lines.append(line)

    def result(self) -> Columns:
        import pandas

        columns = [pandas.Series(column, dtype=object) for column in self._columns.values()]
        return list(self._columns), columns, np.array(self._lines, np.int64)
