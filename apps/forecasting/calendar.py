"""Frequencies of series. A frequency is the time between two rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

EPOCH = np.datetime64("2000-01-01T00:00:00", "s")
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Frequency:
    """Time between two rows of a series.

    Attributes:
        unit: ``second``, ``month``, ``business`` (Monday to Friday), or ``step`` for series with numbers
            instead of dates.
        size: number of units between two rows.
        at_end: used only with the unit ``month``. If True, each date is the last day of its month. If False,
            future dates have the same day of the month as the last date.
    """

    unit: str
    size: int = 1
    at_end: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if self.unit != "second":
            longer = {3: "quarter", 12: "year"}.get(self.size, f"{self.size} {self.unit}s")
            return self.unit if self.size == 1 else longer
        for name, seconds in (("week", 7 * DAY), ("day", DAY), ("hour", 3600), ("minute", 60)):
            if self.size % seconds == 0:
                count = self.size // seconds
                return name if count == 1 else f"{count} {name}s"
        return f"{self.size} seconds"

    @property
    def season(self) -> int:
        """Usual season length in rows. 1 means no season."""
        if self.unit == "business":
            return 5
        if self.unit == "month":
            return max(12 // self.size, 1)
        if self.unit == "second":
            for span in (DAY, 7 * DAY, 364 * DAY):
                if self.size < span:
                    return span // self.size
        return 1

    def after(self, last: Any, steps: int) -> np.ndarray:
        """Returns the next ``steps`` times: ``(steps,)``. Market holidays are not considered."""
        ahead = np.arange(1, steps + 1)
        if self.unit == "step":
            return last + self.size * ahead
        if self.unit == "second":
            return last + (self.size * ahead).astype("timedelta64[s]")
        if self.unit == "business":
            return np.busday_offset(last.astype("datetime64[D]"), ahead, roll="backward").astype(
                "datetime64[s]"
            )
        month = last.astype("datetime64[M]")
        rest = last - month.astype("datetime64[s]")
        if self.at_end:
            return (month + self.size * ahead + 1).astype("datetime64[s]") - np.timedelta64(DAY, "s")
        return (month + self.size * ahead).astype("datetime64[s]") + rest


def days(times: np.ndarray) -> np.ndarray:
    """Converts times to float64. Dates become days since 2000-01-01, and numbers keep their values."""
    if times.dtype.kind == "M":
        return (times - EPOCH) / np.timedelta64(DAY, "s")
    return times.astype(np.float64)


FREQUENCIES = {
    "minute": Frequency("second", 60),
    "hour": Frequency("second", 3600),
    "day": Frequency("second", DAY),
    "business": Frequency("business"),
    "week": Frequency("second", 7 * DAY),
    "month": Frequency("month"),
    "quarter": Frequency("month", 3),
    "year": Frequency("month", 12),
    "step": Frequency("step"),
}


def are_month_ends(times: np.ndarray) -> bool:
    following = (times.astype("datetime64[D]") + 1).astype("datetime64[M]")
    return bool((following > times.astype("datetime64[M]")).all())


def infer_frequency(times: np.ndarray) -> Frequency:
    """Infers the frequency from the most common distance between consecutive times."""
    gaps, counts = np.unique(np.diff(times).astype(np.int64), return_counts=True)
    usual = int(gaps[counts.argmax()])
    if times.dtype.kind != "M":
        return Frequency("step", usual)
    if usual >= 28 * DAY:
        months = np.unique(np.diff(times.astype("datetime64[M]").astype(int)), return_counts=True)
        return Frequency("month", int(months[0][months[1].argmax()]))
    weekdays = (times.astype("datetime64[D]").astype(int) + 3) % 7  # Monday is 0
    if usual == DAY and len(times) > 7 and weekdays.max() < 5:
        return Frequency("business")
    return Frequency("second", usual)
