"""DataFrames and lists for the Python API: written to files that the readers read, and made of records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from apps.run import write_text
from seqmodels.errors import UsageError


class Records(list):
    """A list of JSON-ready records, one for each input.

    >>> Records([{"text": "a", "probabilities": {"good": 0.9}}]).to_frame().columns.tolist()
    ['text', 'probabilities.good']
    """

    def to_frame(self) -> Any:
        """A pandas DataFrame with one row for each record; nested names are joined by dots."""
        import pandas

        return pandas.json_normalize(list(self))

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()


class Scores(dict):
    """The scores of a model beside its baselines; a notebook shows them as a table."""

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row for the model and each baseline, and a column for each number."""
        import pandas

        rows = {**self.get("baselines", {}), "model": self.get("model", {})}
        numbers = {
            name: {key: value for key, value in row.items() if isinstance(value, int | float)}
            for name, row in rows.items()
        }
        return pandas.DataFrame.from_dict(numbers, orient="index")

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()


def write_table(data: object, folder: Path, columns: Sequence[str]) -> Path:
    """Writes a DataFrame, or a list of rows with these columns, as CSV.

    Args:
        data: a DataFrame; a list of dictionaries, or of tuples in the order of ``columns``; or a tuple with a
            list for each column.
        folder: where ``data.csv`` is written.
        columns: names for rows that have none.

    Raises:
        UsageError: data of another type.
    """
    import pandas

    if isinstance(data, tuple) and len(data) == len(columns):
        data = list(zip(*data, strict=True))
    if isinstance(data, pandas.DataFrame):
        frame = data
    elif isinstance(data, list) and data and isinstance(data[0], dict):
        frame = pandas.DataFrame(data)
    elif isinstance(data, list) and all(isinstance(row, tuple | list) for row in data):
        frame = pandas.DataFrame(data, columns=list(columns))
    else:
        raise UsageError(
            f"data is a {type(data).__name__}; expected a path, a DataFrame, or a list of "
            f"({', '.join(columns)})"
        )
    path = folder / "data.csv"
    write_text(path, frame.to_csv(index=False))
    return path


def write_lines(data: object, folder: Path) -> Path:
    """Writes a list of texts, or the column ``text`` of a DataFrame, with one text a line.

    Raises:
        UsageError: data of another type.
    """
    path = folder / "data.txt"
    write_text(path, "".join(f"{text}\n" for text in _texts(data, "text")))
    return path


def texts(inputs: object, folder: Path, column: str = "text") -> list[str]:
    """The inputs of ``predict``: one text, a list of texts, a DataFrame's column, or a file.

    Args:
        inputs: a string is a text; a ``Path`` is a table, or a file with one text a line.
        folder: not used.
        column: of a DataFrame or table.

    Raises:
        UsageError: inputs of another type, or a table without the column.
        DataError: a file that cannot be read.
    """
    from seqmodels.data.files import read_table, read_text, table_name

    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, Path):
        if table_name(inputs):
            return [values[0] for _, values in read_table(inputs, (column,))]
        return read_text(inputs).splitlines()
    return list(_texts(inputs, column))


def _texts(data: object, column: str) -> Iterable[str]:
    import pandas

    if isinstance(data, pandas.DataFrame):
        if column not in data.columns:
            listed = ", ".join(map(str, data.columns))
            raise UsageError(f"the DataFrame has the columns {listed}; expected {column!r}")
        return data[column].astype(str).tolist()
    if isinstance(data, pandas.Series):
        return data.astype(str).tolist()
    if isinstance(data, list | tuple) and all(isinstance(text, str) for text in data):
        return data
    raise UsageError(
        f"got a {type(data).__name__}; expected a text, a list of texts, a DataFrame with {column!r}, "
        "or a Path"
    )
