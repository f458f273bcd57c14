"""Reads tables in formats that store typed values: Parquet, Arrow, Feather and Excel."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.errors import DataError, UsageError


def read_parquet(path: Path, content: bytes) -> tuple[list[str], list[Any]]:
    """Returns the column names and the columns of a Parquet file."""
    from pyarrow import BufferReader, parquet

    try:
        return _of_arrow(parquet.ParquetFile(BufferReader(content)).read())
    except Exception as error:  # a damaged file raises errors of any type
        raise _damaged(path, "Parquet", error) from error


def read_arrow(path: Path, content: bytes) -> tuple[list[str], list[Any]]:
    """Returns the column names and the columns of a Feather file, an Arrow file or an Arrow stream."""
    from pyarrow import BufferReader, feather, ipc

    try:
        if content.startswith(b"FEA1"):
            return _of_arrow(feather.read_table(BufferReader(content)))
        source = BufferReader(content)
        opened = ipc.open_file(source) if content.startswith(b"ARROW1") else ipc.open_stream(source)
        table = opened.read_all()
        table.validate(full=True)  # the offsets in a damaged file can point outside its memory
        return _of_arrow(table)
    except Exception as error:  # a damaged file raises errors of any type
        raise _damaged(path, "Arrow", error) from error


def _of_arrow(table: Any) -> tuple[list[str], list[Any]]:
    """Returns the column names and the columns of an Arrow table.

    A column of whole numbers with missing values is not converted to floats. If the table contains the index
    of a DataFrame, the index becomes a column.
    """
    columns = [column.to_pandas(integer_object_nulls=True) for column in table.columns]
    return [str(name) for name in table.column_names], columns


def _damaged(path: Path, kind: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return DataError(f"{path} is not a readable {kind} file ({reason}); write or copy it again")


def read_excel(path: Path, content: bytes, notes: list[str]) -> tuple[int, list[str], list[Any], np.ndarray]:
    """Reads the first sheet of an Excel file.

    Returns:
        The row number of the header, the column names, the columns, and the row numbers of the data.

    Raises:
        UsageError: openpyxl is not installed.
        DataError: the file is damaged, or the sheet is empty.
    """
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise UsageError(
            f"{path} needs openpyxl; install it with pip install 'seqmodels[excel]', or save the file as .csv"
        ) from error
    import pandas

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = [(number, row) for number, row in enumerate(sheet.iter_rows(values_only=True), 1)]
    except Exception as error:  # a damaged file raises errors of any type
        raise _damaged(path, "Excel", error) from error
    rows = [(number, row) for number, row in rows if any(cell is not None and cell != "" for cell in row)]
    if not rows:
        raise DataError(
            f"{path} is empty: the sheet {sheet.title!r} has no values; add a header and at least one row"
        )
    if len(book.sheetnames) > 1:
        notes.append(f"{path} has {len(book.sheetnames)} sheets; only the first, {sheet.title!r}, is read")
    width = max(len(row) for _, row in rows)
    padded = [[*row, *[None] * (width - len(row))] for _, row in rows]
    header = ["" if cell is None else str(cell) for cell in padded[0]]
    columns = [pandas.Series([row[index] for row in padded[1:]], dtype=object) for index in range(width)]
    return rows[0][0], header, columns, np.array([number for number, _ in rows[1:]], np.int64)
