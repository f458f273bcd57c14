"""A table in memory: a pandas frame that knows where its rows come from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seqmodels.errors import DataError

if TYPE_CHECKING:
    import pandas

UNNAMED = re.compile(r"(unnamed: ?\d+.*|__index_level_\d+__)?", re.IGNORECASE)


@dataclass(frozen=True)
class Table:
    """The rows of a file.

    Attributes:
        path: path of the file.
        frame: one column per named column. A cell of .csv and .tsv is the text in the file, or an empty
            string. A cell of another format is the value that the file stores.
        lines: line on which each row starts ``(rows,)``, or the number of the row, from 1, in a format
            without lines.
        notes: one sentence per decision of the reader, such as a column that is left out.
        header: cells of the header as they are in the file.
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
        return f"{self.path}:{self.lines[row]}" + f", column {column!r}" * bool(column)

    def texts(self, column: str) -> list[str]:
        """Returns the cells of a column as texts; a missing value is an empty string.

        Raises:
            DataError: a cell is a list or another nested value, or bytes that are not UTF-8.
        """
        cells: list[str] = []
        try:
            for cell in self.frame[column].tolist():
                cells.append(cell if type(cell) is str else cell_text(cell))
        except ValueError as error:
            raise DataError(f"{self.where(len(cells), column)}: {error}; expected a text") from error
        return cells


def cell_text(value: Any) -> str:
    """Converts a cell to text. A missing value is an empty string, and 1.0 is ``1``.

    Raises:
        ValueError: the value is nested, or bytes that are not UTF-8.

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
    """Returns a DataFrame as a table, with the columns of `flat_columns`.

    >>> import pandas
    >>> table_of(pandas.DataFrame({"text": ["a film"]})).where(0)
    'DataFrame:1'
    """
    flat, notes, path = flat_columns(frame), list[str](), Path("DataFrame")
    columns = [flat.iloc[:, index].reset_index(drop=True) for index in range(flat.shape[1])]
    named = named_frame(path, list(flat.columns), columns, notes)
    return Table(path, named, np.arange(1, len(flat) + 1), notes)


def flat_columns(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns a frame whose columns have texts as names. Levels of the index that have a name are columns.

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
    """Returns the named columns as a frame, and appends a note for each column without a name."""
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
                notes.append(f"{place}, counts the rows, and is left out")
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
        notes.append(f"{columns_have.format(', '.join(empty))} no name and no values in {path}, left out")
    return pandas.DataFrame(kept)


def _counts(values: pandas.Series) -> bool:
    """Returns True for the index that pandas writes: distinct whole numbers, from 0 or 1, or not in order.

    Ascending or descending numbers such as years may be dates, so these are not an index.
    """
    if not values.str.fullmatch(r"\d{1,12}(\.0)?").all():
        return False
    numbers = values.astype(float)
    in_order = numbers.is_monotonic_increasing or numbers.is_monotonic_decreasing
    return numbers.is_unique and (numbers.min() <= 1 or not in_order)
