"""Checks the order of the rows of a series, inserts missing rows and fills missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from apps.forecasting.calendar import Frequency
from seqmodels.errors import DataError


def without_gaps(
    times: np.ndarray, values: np.ndarray, frequency: Frequency, fill: str, place: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns times and values with a row for every step of the frequency. New rows have NaN values.

    Args:
        times: times of the rows, ``(T,)``.
        values: values of the rows, ``(T, columns)``.
        frequency: time between two rows.
        fill: value of ``--fill``.
        place: function that receives a row number and returns its location for error messages.

    Raises:
        DataError: rows are missing and ``fill`` is ``error``, a date lies between two steps, or two rows lie
            in the same step.
    """
    if frequency.unit == "business":
        first = times[0].astype("datetime64[D]")
        index = np.busday_count(first, times.astype("datetime64[D]"))
    elif frequency.unit == "month":
        months = times.astype("datetime64[M]").astype(np.int64)
        index, rest = np.divmod(months - months[0], frequency.size)
        check_between(rest, frequency, place)
    else:
        index, rest = np.divmod((times - times[0]).astype(np.int64), frequency.size)
        check_between(rest, frequency, place)
    steps = np.diff(index)
    if (steps < 1).any():
        row = int((steps < 1).argmax()) + 1
        raise DataError(
            f"{place(row)}: the row lies in the same step as the previous row (one row per {frequency}); "
            "keep one row per step"
        )
    missing = int(index[-1] + 1 - len(index))
    if missing and fill == "error":
        row = int((steps > 1).argmax()) + 1
        raise DataError(
            f"{place(row)}: {steps[row - 1] - 1} rows are missing before this row (one row per {frequency}); "
            "add the rows, set --fill forward or --fill zero, or set --frequency"
        )
    if not missing:
        return times, values
    full = np.full((index[-1] + 1, values.shape[1]), np.nan)
    full[index] = values
    between = frequency.after(times[0], int(index[-1]))
    whole = np.concatenate([times[:1], between.astype(times.dtype)])
    whole[index] = times
    return whole, full


def check_between(rest: np.ndarray, frequency: Frequency, place: Callable[[int], str]) -> None:
    if rest.any():
        row = int((rest > 0).argmax())
        raise DataError(
            f"{place(row)}: the date lies between two steps (one row per {frequency}); use one frequency for "
            "all rows, or set --frequency"
        )


def check_order(times: np.ndarray, place: Callable[[int], str], cells: Sequence[str]) -> None:
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        row = int((steps <= 0).argmax()) + 1
        wrong = (
            "occurs twice" if steps[row - 1] == 0 else f"is earlier than {cells[row - 1]} in the row above"
        )
        raise DataError(f"{place(row)}: {cells[row]} {wrong}; sort the rows by date and keep each date once")


def fill_missing(values: np.ndarray, fill: str, place: Callable[[int, int], str]) -> tuple[np.ndarray, int]:
    """Fills missing values. Returns the values and the number of filled values.

    If ``fill`` is ``forward``, missing values before the first known value stay NaN.

    Raises:
        DataError: a value is missing and ``fill`` is ``error``.
    """
    missing = np.isnan(values)
    if not missing.any():
        return values, 0
    if fill == "error":
        row, column = np.argwhere(missing)[0]
        raise DataError(
            f"{place(int(row), int(column))}: the value is missing; set --fill forward or --fill zero"
        )
    if fill == "zero":
        return np.where(missing, 0.0, values), int(missing.sum())
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))[:, None]), axis=0)
    filled = np.where(last < 0, np.nan, np.take_along_axis(values, np.maximum(last, 0), axis=0))
    return filled, int(missing.sum() - np.isnan(filled).sum())
