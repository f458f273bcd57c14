"""Writes DataFrames and lists of numbers to CSV files in a format that this app reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.run import write_text
from seqmodels.errors import UsageError


def store(data: object, folder: Path) -> Path:
    """Writes series to a CSV file and returns the path of the file.

    Args:
        data: a DataFrame, a pandas Series, or a list of numbers. A DataFrame has one of three formats: the
            columns of a price file; one column per series; or the columns ``unique_id,ds,y``. The dates may
            be a column or the index.
        folder: folder in which ``data.csv`` is written.

    Raises:
        UsageError: the type of ``data`` is not supported.
    """
    import pandas

    if isinstance(data, pandas.Series):
        data = data.to_frame(str(data.name or "value"))
    elif isinstance(data, list) and data and all(isinstance(value, int | float) for value in data):
        data = pandas.DataFrame({"time": range(len(data)), "value": data})
    frame: Any = data
    if not isinstance(frame, pandas.DataFrame):
        raise UsageError(
            f"data must be a path, a DataFrame, a Series or a list of numbers; got {type(data).__name__}"
        )
    path = folder / "data.csv"
    if isinstance(frame.columns, pandas.MultiIndex) and frame.columns.nlevels == 2:
        # yfinance.download returns columns with two levels. One level contains the kinds of prices, such as
        # Close. The other level contains the tickers. The order of the levels can vary.
        first = [str(name).lower() for name in frame.columns.get_level_values(0)]
        names = ["Price", "Ticker"] if "close" in first else ["Ticker", "Price"]
        write_text(path, frame.rename_axis("Date").rename_axis(columns=names).to_csv())
        return path
    if isinstance(frame.index, pandas.DatetimeIndex | pandas.PeriodIndex):
        frame = frame.rename_axis("date").reset_index()
    write_text(path, frame.to_csv(index=False))
    return path


def inputs(given: object, folder: Path) -> list[str]:
    """Returns ``given`` as a list of paths. If ``given`` contains data, they are first written to a file."""
    if isinstance(given, str | Path):
        return [str(given)]
    if isinstance(given, list) and given and all(isinstance(path, str | Path) for path in given):
        return [str(path) for path in given]
    return [str(store(given, folder))]
