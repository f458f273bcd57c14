"""Calendars: the times at which a series has rows.

A calendar counts the rows between two times and continues the times into the future. This module has the
calendars ``Steps`` (whole numbers), ``Fixed`` (a fixed duration) and ``Months`` (months, quarters and years).
``apps.forecasting.week`` has the calendars that depend on the days of the week.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

EPOCH = np.datetime64("2000-01-01T00:00:00", "s")
DAY = 86_400  # seconds
WEEK = 7 * DAY
SECOND = 10**9  # nanoseconds
UNITS = (("week", WEEK), ("day", DAY), ("hour", 3600), ("minute", 60), ("second", 1))


def days(times: np.ndarray) -> np.ndarray:
    """Converts dates to days since 2000-01-01 in float64. Row numbers keep their values."""
    if times.dtype.kind == "M":
        return (times - EPOCH) / np.timedelta64(DAY, "s")
    return times.astype(np.float64)


@dataclass(frozen=True)
class Frequency:
    """Base class of all calendars."""

    name: ClassVar[str]

    @property
    def step(self) -> str:
        """Text that describes the time between two rows, such as ``hour`` or ``15 minutes``."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.step

    @property
    def steps(self) -> str:
        """Plural of ``step``."""
        return self.step if self.step[0].isdigit() else f"{self.step}s"

    @property
    def season(self) -> int:
        """Usual season length in rows. 1 means no season."""
        return 1

    @property
    def daily(self) -> bool:
        """True if the calendar has at most one row per day and at least one per week."""
        return False

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Returns the number of calendar steps from the first time to each time.

        Args:
            times: datetime64 or int64, ``(rows,)``, in ascending order.
            local: local times, ``(rows,)``. Default: ``times``.

        Returns:
            Two arrays ``(rows,)``. The first array contains the numbers of steps (int64). The second array is
            True for times that lie between two steps (bool).
        """
        raise NotImplementedError

    def after(self, last: Any, steps: int) -> np.ndarray:
        """Returns the next ``steps`` times after ``last``: ``(steps,)``."""
        raise NotImplementedError

    def stored(self) -> dict[str, Any]:
        """Returns the calendar as JSON-ready values.

        :func:`apps.forecasting.frequencies.restored` converts these values back to a calendar.
        """
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class Steps(Frequency):
    """Calendar of row numbers. The row number increases by ``size`` from row to row."""

    size: int = 1
    name: ClassVar[str] = "steps"

    @property
    def step(self) -> str:
        return "step" if self.size == 1 else f"{self.size} steps"

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        index, rest = np.divmod(times - times[0], self.size)
        return index, rest != 0

    def after(self, last: Any, steps: int) -> np.ndarray:
        return last + self.size * np.arange(1, steps + 1)


@dataclass(frozen=True)
class Fixed(Frequency):
    """Calendar with a constant time between rows. This time is the sum of ``seconds`` and ``nanoseconds``."""

    seconds: int
    nanoseconds: int = 0
    name: ClassVar[str] = "fixed"

    @property
    def step(self) -> str:
        if self.nanoseconds:
            return f"{self.seconds + self.nanoseconds / SECOND:.9g} seconds"
        name, size = next((name, size) for name, size in UNITS if self.seconds % size == 0)
        count = self.seconds // size
        return name if count == 1 else f"{count} {name}s"

    @property
    def season(self) -> int:
        for span in (DAY, WEEK, 52 * WEEK):
            if not self.nanoseconds and self.seconds < span:
                return span // self.seconds
        return 1

    @property
    def daily(self) -> bool:
        return DAY <= self.seconds <= WEEK

    @property
    def duration(self) -> np.timedelta64:
        if not self.nanoseconds:
            return np.timedelta64(self.seconds, "s")
        if self.nanoseconds % 1000 == 0:
            return np.timedelta64(self.seconds * 10**6 + self.nanoseconds // 1000, "us")
        return np.timedelta64(self.seconds * SECOND + self.nanoseconds, "ns")

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        since = times - times[0]
        index = since // self.duration
        return index.astype(np.int64), since != index * self.duration

    def after(self, last: Any, steps: int) -> np.ndarray:
        return last + self.duration * np.arange(1, steps + 1)


@dataclass(frozen=True)
class Months(Frequency):
    """One row every ``size`` months.

    Attributes:
        size: number of months.
        anchor: rule that selects the day of the month. The value ``"end"`` selects the last day. The values
            ``"first workday"`` and ``"last workday"`` select a day from Monday to Friday. The value ``"day"``
            selects the day in the attribute ``day``.
        day: day of the month, from 1 to 31. In shorter months, the last day of the month is selected. If
            ``day`` is 0, future rows have the same day of the month as the last known row.
    """

    size: int = 1
    anchor: str = "day"
    day: int = 0
    name: ClassVar[str] = "months"

    @property
    def step(self) -> str:
        if self.size % 12 == 0:
            return "year" if self.size == 12 else f"{self.size // 12} years"
        return {1: "month", 3: "quarter"}.get(self.size, f"{self.size} months")

    @property
    def season(self) -> int:
        return max(12 // self.size, 1)

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        months = (times if local is None else local).astype("datetime64[M]").astype(np.int64)
        index, rest = np.divmod(months - months[0], self.size)
        return index, rest != 0

    def after(self, last: Any, steps: int) -> np.ndarray:
        day = last.astype("datetime64[D]")
        clock = last - day
        months = last.astype("datetime64[M]") + self.size * np.arange(1, steps + 1)
        first, end = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
        if self.anchor == "end":
            chosen = end
        elif self.anchor == "last workday":
            chosen = np.busday_offset(end, 0, roll="backward")
        elif self.anchor == "first workday":
            chosen = np.busday_offset(first, 0, roll="forward")
        else:
            number = (
                self.day or int((day - last.astype("datetime64[M]").astype("datetime64[D]")).astype(int)) + 1
            )
            chosen = np.minimum(first + (number - 1), end)
        return chosen.astype(last.dtype) + clock
