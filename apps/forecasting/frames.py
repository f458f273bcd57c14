"""Series from Python objects: DataFrames and lists of numbers, written to files that the readers read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.run import write_text
from seqmodels.errors import UsageError


def store(data: object, folder: Path) -> Path:
    """Writes series as CSV.

    Args:
        data: a DataFrame as the files are (prices, a column for each series, or ``unique_id,ds,y``), whose
            dates may be its index; a pandas Series; or a list of numbers.
        folder: where ``data.csv`` is written.

    Raises:
        UsageError: data of another type.
    """
    import pandas

    if isinstance(data, pandas.Series):
        data = data.to_frame(str(data.name or "value"))
    elif isinstance(data, list) and data and all(isinstance(value, int | float) for value in data):
        data = pandas.DataFrame({"time": range(len(data)), "value": data})
    frame: Any = data
    if not isinstance(frame, pandas.DataFrame):
        raise UsageError(
            f"data is a {type(data).__name__}; expected a path, a DataFrame, a Series, or a list of numbers"
        )
    if isinstance(frame.index, pandas.DatetimeIndex | pandas.PeriodIndex):
        frame = frame.rename_axis("date").reset_index()
    path = folder / "data.csv"
    write_text(path, frame.to_csv(index=False))
    return path


def inputs(given: object, folder: Path) -> list[str]:
    """The files to forecast after: a path, a list of paths, or a DataFrame, which is written to one."""
    if isinstance(given, str | Path):
        return [str(given)]
    if isinstance(given, list) and given and all(isinstance(path, str | Path) for path in given):
        return [str(path) for path in given]
    return [str(store(given, folder))]
