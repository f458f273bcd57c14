"""Checks the order of the rows of a series, inserts missing rows and fills missing values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from apps.forecasting.calendar import Frequency
from seqmodels.errors import DataError


def without_gaps(
    times: np.ndarray,
    values: np.ndarray,
    frequency: Frequency,
    fill: str,
    place: Callable[[int], str],
    local: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Inserts the missing rows, and returns the times and the values of all rows.

    The result has one row per step of the calendar. The values of the inserted rows are NaN.

    Args:
        times: times of the rows, ``(T,)``.
        values: values of the rows, ``(T, columns)``.
        frequency: calendar of the rows.
        fill: value of ``--fill``.
        place: function that receives a row number and returns its location for error messages.
        local: local times of the rows, ``(T,)``. Default: ``times``.

    Raises:
        DataError: a date lies between two steps, or two rows lie in the same step. If ``fill`` is
            ``"error"``, a missing row also raises this error.
    """
    index = check_steps(frequency, times, local, place)
    steps = np.diff(index)
    missing = int(index[-1] + 1 - len(index))
    if missing and fill == "error":
        row = int((steps > 1).argmax()) + 1
        raise DataError(
            f"{place(row)}: {steps[row - 1] - 1} rows are missing before this row (one row per {frequency}); "
            "add the rows, set --fill forward or --fill zero, set another --frequency, or ignore the dates "
            "with --frequency rows"
        )
    if not missing:
        return times, values
    full = np.full((index[-1] + 1, values.shape[1]), np.nan)
    full[index] = values
    between = frequency.after(times[0], int(index[-1]))
    whole = np.concatenate([times[:1], between.astype(times.dtype)])
    whole[index] = times
    return whole, full


def check_steps(
    frequency: Frequency,
    times: np.ndarray,
    local: np.ndarray | None,
    place: Callable[[int], str],
    option: str = "",
) -> np.ndarray:
    """Returns the number of steps from the first row to each row: ``(rows,)``.

    Raises:
        DataError: a date lies between two steps, or two rows lie in the same step.
    """
    index, between = frequency.positions(times, local)
    because = f", set by {option}" if option else ""
    if between.any():
        raise DataError(
            f"{place(int(between.argmax()))}: the date lies between two steps of the calendar (one row per "
            f"{frequency}{because}); correct the date, set another --frequency, or ignore the dates with "
            "--frequency rows"
        )
    steps = np.diff(index)
    if (steps < 1).any():
        row = int((steps < 1).argmax()) + 1
        raise DataError(
            f"{place(row)}: this row and the previous row lie in the same step of the calendar (one "
            f"row per {frequency}{because}); remove one of the two rows, or ignore the dates with "
            "--frequency rows"
        )
    return index


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
            f"{place(int(row), int(column))}: the value is missing; add it, or set --fill forward or --fill "
            "zero"
        )
    if fill == "zero":
        return np.where(missing, 0.0, values), int(missing.sum())
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))[:, None]), axis=0)
    filled = np.where(last < 0, np.nan, np.take_along_axis(values, np.maximum(last, 0), axis=0))
    return filled, int(missing.sum() - np.isnan(filled).sum())
