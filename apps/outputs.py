"""Writes the records of ``predict --to FILE`` as a stream.

The memory use does not depend on the number of records. The file is created or replaced only after all
records have been written.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from seqmodels.errors import UserError

BATCH = 4096  # number of rows per row group of a .parquet file

Record = dict[str, Any]


def json_line(value: Any) -> str:
    """Returns a value as one line of JSON. NaN and infinity become null, because JSON cannot express them."""

    def finite(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: finite(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [finite(item) for item in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(finite(value), ensure_ascii=False)


def flat(record: Record) -> list[Record]:
    """Converts a record to a list with one row.

    Nested names are joined by dots. Lists are converted to JSON text.

    >>> flat({"text": "a", "probabilities": {"good": 0.9}, "words": ["a"]})
    [{'text': 'a', 'probabilities.good': 0.9, 'words': '["a"]'}]
    """
    row: Record = {}
    for name, value in record.items():
        if isinstance(value, dict):
            row |= {f"{name}.{key}": cell for key, cell in flat(value)[0].items()}
        else:
            row[name] = json_line(value) if isinstance(value, list | tuple) else value
    return [row]


def write_records(
    path: Path, records: Iterable[Record], rows_of: Callable[[Record], list[Record]] = flat
) -> int:
    """Writes records to a file, which is created or replaced only after all records have been written.

    Args:
        path: output file. A ``.jsonl`` file contains one record per line, and a ``.json`` file contains an
            array of records. For a ``.csv`` or ``.parquet`` file, ``rows_of`` converts each
            record to table rows.
        records: the records. They are written as they arrive and are not kept in memory.
        rows_of: function that converts a record to table rows. Default: one row per record.

    Returns:
        The number of records.

    Raises:
        UserError: the file cannot be written.
    """
    count = 0

    def counted() -> Iterator[Record]:
        nonlocal count
        for record in records:
            count += 1
            yield record

    with _whole_file(path) as temporary:
        suffix = path.suffix.lower()
        if suffix in (".jsonl", ".json"):
            _write_json(temporary, counted(), array=suffix == ".json")
        else:
            rows = (row for record in counted() for row in rows_of(record))
            (_write_csv if suffix == ".csv" else _write_parquet)(temporary, rows)
    return count


@contextmanager
def _whole_file(path: Path) -> Iterator[Path]:
    """Yields the path of a temporary file.

    If the ``with`` block ends without an error, the temporary file replaces ``path``.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{uuid4().hex}.partial")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(
            f"--to {path} cannot be written ({error.strerror or error}); check the folder and the free "
            "disk space"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _write_json(path: Path, records: Iterator[Record], array: bool) -> None:
    start, between, end = ("[\n", ",\n", "\n]\n") if array else ("", "\n", "\n")
    with open(path, "w", encoding="utf-8") as file:
        first = True
        for record in records:
            file.write((start if first else between) + json_line(record))
            first = False
        file.write(end if not first else "[]\n" if array else "")


def _write_csv(path: Path, rows: Iterator[Record]) -> None:
    first = list(islice(rows, BATCH))
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _names(first), lineterminator="\n")
        if first:
            writer.writeheader()
        writer.writerows({name: _cell(cell) for name, cell in row.items()} for row in chain(first, rows))


def _cell(value: Any) -> Any:
    """Returns the value of a cell of a .csv file. NaN and infinity become an empty cell."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_parquet(path: Path, rows: Iterator[Record]) -> None:
    import pyarrow
    from pyarrow import parquet

    first = list(islice(rows, BATCH))
    names = _names(first)
    inferred = [pyarrow.array([row.get(name) for row in first]).type for name in names]
    # If all values of a column are missing in the first rows, the type of the column is unknown. Later rows
    # may contain texts, so the type is set to string.
    types = [pyarrow.string() if pyarrow.types.is_null(each) else each for each in inferred]
    schema = pyarrow.schema(list(zip(names, types)))
    with parquet.ParquetWriter(path, schema) as writer:
        batch = first
        while batch:
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))
            batch = list(islice(rows, BATCH))


def _names(rows: Sequence[Record]) -> list[str]:
    """Returns the column names of all rows, in the order of their first occurrence."""
    return list(dict.fromkeys(name for row in rows for name in row))
