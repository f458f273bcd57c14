"""Converts the inputs and the results of the Python API.

DataFrames and lists from the user are written to files. Predictions and scores are converted to DataFrames.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.console import log
from apps.run import write_text
from seqmodels.errors import UsageError

if TYPE_CHECKING:
    from seqmodels.data.tables import Table


class Records(list):
    """A list of records, one per input. A record is a dictionary that JSON can store.

    >>> Records([{"text": "a", "probabilities": {"good": 0.9}}]).to_frame().columns.tolist()
    ['text', 'probabilities.good']
    """

    def to_frame(self) -> Any:
        """Returns a pandas DataFrame with one row per record. Nested keys are joined by dots."""
        import pandas

        return pandas.json_normalize(list(self))

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()


class Scores(dict):
    """A dictionary of the scores of a model and its baselines. Jupyter notebooks show it as a table."""

    def to_frame(self) -> Any:
        """Returns a pandas DataFrame with one row per model or baseline, and one column per score.

        Variants of the model, such as a mixture with n-grams, have their own rows.
        """
        import pandas

        rows = {**self.get("baselines", {}), "model": self.get("model", {})}
        rows |= {f"model {name}": row for name, row in self.get("variants", {}).items()}
        numbers = {
            name: {key: value for key, value in row.items() if isinstance(value, int | float)}
            for name, row in rows.items()
        }
        return pandas.DataFrame.from_dict(numbers, orient="index")

    def _repr_html_(self) -> str:
        return self.to_frame()._repr_html_()


def write_table(data: object, folder: Path, columns: Sequence[str], lists: bool = False) -> Path:
    """Writes a table to a CSV file and returns the path of the file.

    The file contains all columns of the data. Named index levels of a DataFrame also become columns. A
    missing value becomes an empty cell.

    Args:
        data: a DataFrame; a list with one dictionary per row; a list with one tuple per row; or a tuple with
            one list per column. The items of a tuple must be in the order of ``columns``.
        folder: folder in which ``data.csv`` is written.
        columns: column names for data without column names.
        lists: if True, cells may contain lists, which are written as JSON. Default: lists are refused.

    Raises:
        UsageError: ``data`` has none of these types.
    """
    import pandas

    from seqmodels.data.tables import cell_text, flat_columns

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
            f"data must be a path, a DataFrame or a list of tuples ({', '.join(columns)}); "
            f"got {type(data).__name__}"
        )
    path = folder / "data.csv"
    try:
        texts = flat_columns(frame).map(_list_text if lists else cell_text)
    except ValueError as error:
        raise UsageError(f"data must contain only texts and numbers in its cells; {error}") from error
    write_unicode(path, texts.to_csv(index=False))
    return path


def _list_text(value: Any) -> str:
    from seqmodels.data.tables import cell_text

    if isinstance(value, list | tuple | np.ndarray):
        return json.dumps([cell_text(each) for each in value], ensure_ascii=False)
    return cell_text(value)


def write_unicode(path: Path, text: str) -> None:
    """Writes a text to a UTF-8 file. The text contains data that the user passed to the Python API.

    Raises:
        UsageError: the text contains a lone surrogate, a code point that UTF-8 cannot encode.
    """
    try:
        write_text(path, text)
    except UnicodeEncodeError as error:
        character = f"\\u{ord(error.object[error.start]):04x}"
        raise UsageError(
            f"data contains the character {character}, a lone surrogate that UTF-8 cannot encode; remove it"
        ) from error


def write_lines(data: object, folder: Path) -> Path:
    """Writes texts to a file with one text per line, and returns the path of the file.

    Args:
        data: a list of texts, a pandas Series, or a DataFrame with the column ``text``.
        folder: folder in which ``data.txt`` is written.

    Raises:
        UsageError: ``data`` has none of these types.
    """
    path = folder / "data.txt"
    write_unicode(path, "".join(f"{text}\n" for text in _texts(data, "text")))
    return path


def texts(inputs: object, folder: Path, column: str = "text") -> list[str]:
    """Returns the inputs of ``predict`` as a list of texts.

    Args:
        inputs: one text, a list of texts, a pandas Series, a DataFrame, or a ``Path``. A ``Path`` is the
            path of a table file, or of a file with one text per line.
        folder: not used. The function has this argument because ``Task.inputs`` is called with a folder.
        column: column of a DataFrame or table that contains the texts.

    Raises:
        UsageError: ``inputs`` has none of these types, or a DataFrame does not have the column.
        DataError: a file cannot be read, or a table does not have the column.
    """
    from seqmodels.data.files import read_text
    from seqmodels.data.tables import find_column, read_table, table_name

    if isinstance(inputs, str):
        return [inputs]
    if isinstance(inputs, Path):
        if table_name(inputs):
            table = read_table(inputs)
            return table.texts(find_column(table, None, (column,), ""))
        return read_text(inputs).splitlines()
    return list(_texts(inputs, column))


def table_texts(
    inputs: object, choose: Callable[[Table, Mapping[str, Any]], str], options: Mapping[str, Any]
) -> list[str] | None:
    """Returns the texts in a DataFrame or in a table file. For all other inputs, it returns None.

    Args:
        inputs: inputs of ``predict``.
        choose: function that receives the table and the options, and returns the name of the text column.
        options: options of the training. Their ``encoding`` is used for a file that is not UTF-8.
    """
    import pandas

    from seqmodels.data.tables import read_table, table_name, table_of

    if isinstance(inputs, pandas.DataFrame):
        table = table_of(inputs)
    elif isinstance(inputs, Path) and table_name(inputs):
        table = read_table(inputs, encoding=options.get("encoding"), prefer_utf8=True)
        for note in table.notes:
            log.print(f"note: {note}")
    else:
        return None
    return table.texts(choose(table, options))


def _texts(data: object, column: str) -> Iterable[str]:
    import pandas

    from seqmodels.data.tables import cell_text, find_column, table_of

    if isinstance(data, pandas.DataFrame):
        table = table_of(data)
        return table.texts(find_column(table, None, (column,), ""))
    if isinstance(data, pandas.Series):
        return [cell_text(text) for text in data.tolist()]
    if isinstance(data, list | tuple) and all(isinstance(text, str) for text in data):
        return data
    raise UsageError(
        f"texts must be a str, a list of str, a DataFrame with the column {column!r} or a Path; "
        f"got {type(data).__name__}"
    )
