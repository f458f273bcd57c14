"""A table in memory: a pandas DataFrame with the path of its file and the line of each row."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.errors import DataError, excerpt

if TYPE_CHECKING:
    import pandas

UNNAMED = re.compile(r"(unnamed: ?\d+.*|__index_level_\d+__)?", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        path: path of the file.
        frame: the named columns of the file. In .csv and .tsv files, every cell is a text, which may be
            empty. In other formats, a cell has the value that the file stores.
        lines: for each row, the number of the line on which the row starts, ``(rows,)``. In a format without
            lines, the array contains the row numbers 1, 2, ...
        notes: sentences about what the reader did, for example that it left out a column.
        header: cells of the header as they are in the file. The list is empty if the format has no header.
        header_line: line of the header, or 0 in a format without a header.

    >>> import pandas
    >>> table = table_of(pandas.DataFrame({"text": ["a film"], "label": [1]}))
    >>> table.columns, len(table), table.texts("label")
    (['text', 'label'], 1, ['1'])
    """

    path: Path
    frame: pandas.DataFrame
    lines: np.ndarray
    notes: list[str]
    header: list[str] = field(default_factory=list)
    header_line: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return [str(name) for name in self.frame.columns]

    def where(self, row: int, column: str = "") -> str:
        """Returns the location of a row or cell for an error message.

        Args:
            row: number of the row, from 0.
            column: name of a column. Default: the whole row.
        """
        return f"{self.path}:{self.lines[row]}" + f", column {excerpt(column)}" * bool(column)

    def texts(self, column: str) -> list[str]:
        """Returns the cells of a column as texts. A missing value becomes an empty string.

        Raises:
            DataError: a cell contains a list or another nested value, or bytes that are not UTF-8.
        """
        cells: list[str] = []
        try:
            for cell in self.frame[column].tolist():
                cells.append(cell if type(cell) is str else cell_text(cell))
        except ValueError as error:
            raise DataError(f"{self.where(len(cells), column)}: {error}; expected a text") from error
        return cells


def cell_text(value: Any) -> str:
    """Converts a cell to text. A missing value becomes an empty string, and the number 1.0 becomes "1".

    Raises:
        ValueError: the value is nested, such as a list, or consists of bytes that are not UTF-8.

    >>> [cell_text(value) for value in ("a", None, float("nan"), 1.0, 0.5)]
    ['a', '', '', '1', '0.5']
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict | list | tuple | set | np.ndarray):
        raise ValueError(f"the value has the type {type(value).__name__}")
    if isinstance(value, bytes):
        return value.decode()
    if value is None or str(value) in ("nan", "NaN", "NaT", "<NA>"):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def table_of(frame: pandas.DataFrame) -> Table:
    """Converts a DataFrame to a table with the columns that `flat_columns` returns.

    >>> import pandas
    >>> table_of(pandas.DataFrame({"text": ["a film"]})).where(0)
    'DataFrame:1'
    """
    flat, notes, path = flat_columns(frame), list[str](), Path("DataFrame")
    columns = [flat.iloc[:, index].reset_index(drop=True) for index in range(flat.shape[1])]
    named = named_frame(path, list(flat.columns), columns, notes)
    return Table(path, named, np.arange(1, len(flat) + 1), notes)


def flat_columns(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns a DataFrame whose column names are texts. Index levels that have a name become columns.

    >>> import pandas
    >>> frame = pandas.DataFrame({("a", "x"): [1]}, index=pandas.Index(["k"], name="key"))
    >>> list(flat_columns(frame).columns)
    ['key', 'a x']
    """
    named = [name for name in frame.index.names if name is not None and name not in frame.columns]
    flat = frame.reset_index(named) if named else frame
    names = flat.columns.to_flat_index()
    texts = [" ".join(map(str, each)).strip() if isinstance(each, tuple) else str(each) for each in names]
    return flat.set_axis(texts, axis=1)


def named_frame(path: Path, names: list[str], columns: list[Any], notes: list[str]) -> pandas.DataFrame:
    """Returns a DataFrame of the columns, and appends a note for each column without a name.

    A column without a name is left out if it is empty or contains only row numbers. Otherwise, the function
    gives it a name.
    """
    import pandas

    kept: dict[str, Any] = {}
    empty: list[str] = []
    for index, (name, column) in enumerate(zip(names, columns)):
        clean = " ".join(str(name).split())
        if UNNAMED.fullmatch(clean):
            place = f"column {index + 1} of {path} has no name"
            values = column.astype(str).str.strip()
            filled = values[column.notna() & (values != "")]
            if filled.empty:
                empty.append(str(index + 1))
                continue
            if _counts(filled):
                notes.append(f"{place} and contains only row numbers, so it is left out")
                continue
            clean = f"Unnamed: {index}"
            notes.append(f"{place} and is named {clean!r}; it has values in {len(filled)} rows")
        unique, copies = clean, 0
        while unique in kept:
            copies += 1
            unique = f"{clean}.{copies}"
        if copies:
            notes.append(
                f"{path} has more than one column {clean!r}; the column {index + 1} is named {unique!r}"
            )
        kept[unique] = column
    if empty:
        columns_have = "column {} has" if len(empty) == 1 else "columns {} have"
        notes.append(f"{columns_have.format(', '.join(empty))} no name and no values in {path}; left out")
    return pandas.DataFrame(kept)


def _counts(values: pandas.Series) -> bool:
    """Returns True if the values are probably row numbers, such as the index that pandas writes.

    Row numbers are distinct whole numbers. Sorted values must start or end with 0 or 1, because other sorted
    values may be years. Unsorted values may have any minimum.
    """
    if not values.str.fullmatch(r"\d{1,12}(\.0)?").all():
        return False
    numbers = values.astype(float)
    in_order = numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing
    return numbers.is_unique and (numbers.min() <= 1 or not in_order)
