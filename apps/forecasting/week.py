"""Calendars that depend on the days of the week: workdays, weekly rows and business hours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from apps.forecasting.calendar import DAY, WEEK, Fixed, Frequency
from apps.forecasting.holiday import closed_days

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BUSINESS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Weekdays(Frequency):
    """Calendar with one row per day, but only on some days of the week.

    Attributes:
        open: weekdays with rows. Each weekday is a number, and Monday is 0.
        exchange: name of an exchange. The calendar has no rows on the holidays of this exchange. An empty
            string means no holidays.
    """

    open: tuple[int, ...] = BUSINESS
    exchange: str = ""
    name: ClassVar[str] = "weekdays"

    @property
    def step(self) -> str:
        return "trading day" if self.exchange else "day"

    def __str__(self) -> str:
        if self.exchange:
            return f"trading day of {self.exchange}"
        if len(self.open) == 7:
            return "day"
        return "business day" if self.open == BUSINESS else f"day, {_listed(self.open)}"

    @property
    def season(self) -> int:
        return len(self.open)

    @property
    def daily(self) -> bool:
        return True

    def _calendar(self, first: Any, last: Any) -> np.busdaycalendar:
        mask = "".join("1" if day in self.open else "0" for day in range(7))
        return np.busdaycalendar(mask, closed_days(self.exchange, first, last) if self.exchange else [])

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        dates = (times if local is None else local).astype("datetime64[D]")
        calendar = self._calendar(dates[0], dates[-1])
        return np.busday_count(dates[0], dates, busdaycal=calendar), ~np.is_busday(dates, busdaycal=calendar)

    def after(self, last: Any, steps: int) -> np.ndarray:
        date = last.astype("datetime64[D]")
        ahead = np.arange(1, steps + 1)
        end = date + 3 * (7 * steps // len(self.open) + 14)
        found = np.busday_offset(date, ahead, roll="backward", busdaycal=self._calendar(date, end))
        return found.astype(last.dtype) + (last - date)


@dataclass(frozen=True)
class Weeks(Frequency):
    """One row per week, usually on the same day. In weeks with a holiday, the row may lie on an earlier day.

    Attributes:
        day: number of the usual day. Monday is 0.
        fifty_two: if True, every year has 52 rows, and ISO week 53 has no row.
    """

    day: int = 4
    fifty_two: bool = False
    name: ClassVar[str] = "weeks"

    @property
    def step(self) -> str:
        return "week"

    def __str__(self) -> str:
        return "week without ISO week 53" if self.fifty_two else f"week, usually on {WEEKDAYS[self.day]}"

    @property
    def season(self) -> int:
        return 52

    @property
    def daily(self) -> bool:
        return True

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        dates = (times if local is None else local).astype("datetime64[D]")
        if self.fifty_two:
            iso = pd.DatetimeIndex(dates).isocalendar()
            numbers = iso["year"].to_numpy(np.int64) * 52 + iso["week"].to_numpy(np.int64)
            return numbers - numbers[0], (iso["week"] == 53).to_numpy(bool)
        # Here a week ends on the weekday ``self.day``. As integers, ``dates`` count from Thursday 1970-01-01.
        # Therefore ``dates + 2 - self.day`` is a multiple of 7 on the first day of each week.
        weeks = (dates.astype(np.int64) + 2 - self.day) // 7
        return weeks - weeks[0], np.zeros(len(times), bool)

    def after(self, last: Any, steps: int) -> np.ndarray:
        date = last.astype("datetime64[D]")
        number = date.astype(np.int64)
        if self.fifty_two:
            weeks = date + 7 * np.arange(1, steps + steps // 52 + 3)
            found = weeks[(pd.DatetimeIndex(weeks).isocalendar()["week"] != 53).to_numpy(bool)][:steps]
        else:
            found = date + (self.day - 3 - number) % 7 + 7 * np.arange(1, steps + 1)
        return found.astype(last.dtype) + (last - date)


@dataclass(frozen=True)
class Sessions(Frequency):
    """Calendar with rows at fixed times of the week, such as business hours.

    The times may differ between the days of the week.

    Attributes:
        slots: times of the rows in a week, in seconds since Monday 00:00 local time, in ascending order.
        seconds: usual time between two rows.
        offset: UTC offset of the local time in seconds. It is used only if ``zone`` is empty.
        zone: name of the time zone. Empty if the name is unknown.
        exchange: name of an exchange. The calendar has no rows on the holidays of this exchange. An empty
            string means no holidays.
    """

    slots: tuple[int, ...]
    seconds: int
    offset: int = 0
    zone: str = ""
    exchange: str = ""
    name: ClassVar[str] = "sessions"

    @property
    def step(self) -> str:
        return Fixed(self.seconds).step

    def __str__(self) -> str:
        first = [slot % DAY for slot in self.slots]
        opened, closed = (
            f"{second // 3600:02d}:{second % 3600 // 60:02d}" for second in (min(first), max(first))
        )
        where = f" of {self.exchange}" if self.exchange else ""
        return f"{self.step}, {_listed(self.open)} {opened} to {closed}{where}"

    @property
    def open(self) -> tuple[int, ...]:
        return tuple(sorted({slot // DAY for slot in self.slots}))

    @property
    def season(self) -> int:
        """The season length is the number of rows in a usual day.

        If a usual day has only one row, the season length is the number of rows in a week.
        """
        counts = np.bincount(np.array(self.slots) // DAY, minlength=7)
        usual = int(np.bincount(counts[counts > 0]).argmax())
        return usual if usual > 1 else len(self.slots)

    @cached_property
    def _slots(self) -> np.ndarray:
        return np.array(self.slots, np.int64)

    def local(self, times: np.ndarray) -> np.ndarray:
        """Converts UTC to local times: ``(rows,)``."""
        if self.zone:
            index = pd.DatetimeIndex(times).tz_localize("UTC").tz_convert(self.zone)
            return index.tz_localize(None).to_numpy().astype("datetime64[s]")
        return times.astype("datetime64[s]") + np.timedelta64(self.offset, "s")

    def _count(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns two arrays ``(rows,)`` for the local times ``(rows,)``.

        For each local time, the first array contains the number of earlier rows of this calendar. The count
        starts at Monday 1969-12-29. The second array is True if this calendar has no row at the local time.
        """
        # Monday 1969-12-29 is 3 days before the epoch of datetime64.
        weeks, second = np.divmod(local.astype("datetime64[s]").astype(np.int64) + 3 * DAY, WEEK)
        index = np.searchsorted(self._slots, second)
        at = np.minimum(index, len(self._slots) - 1)
        return weeks * len(self._slots) + index, self._slots[at] != second

    def positions(self, times: np.ndarray, local: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        local = self.local(times) if local is None else local
        index, between = self._count(local)
        if self.exchange:
            closed = closed_days(self.exchange, local[0], local[-1])
            starts, _ = self._count(closed.astype("datetime64[s]"))
            ends, _ = self._count((closed + 1).astype("datetime64[s]"))
            before = np.concatenate([[0], np.cumsum(ends - starts)])
            index = index - before[np.searchsorted(closed, local.astype("datetime64[D]"))]
        return index - index[0], between

    def after(self, last: Any, steps: int) -> np.ndarray:
        local = self.local(np.array([last]))[0]
        (index,), (between,) = self._count(np.array([local]))
        first = index if between else index + 1
        # More times than needed are computed, because the times on holidays are removed below.
        count = steps if not self.exchange else 2 * steps + 5 * len(self.slots)
        weeks, place = np.divmod(first + np.arange(count), len(self.slots))
        seconds = weeks * WEEK + self._slots[place] - 3 * DAY
        found = seconds.astype("datetime64[s]")
        if self.exchange:
            closed = closed_days(self.exchange, found[0], found[-1])
            found = found[~np.isin(found.astype("datetime64[D]"), closed)][:steps]
        if not self.zone:
            return (found - np.timedelta64(self.offset, "s")).astype(last.dtype)
        index = pd.DatetimeIndex(found).tz_localize(self.zone, ambiguous=True, nonexistent="shift_forward")
        return index.tz_convert("UTC").tz_localize(None).to_numpy().astype(last.dtype)


def _listed(open_days: tuple[int, ...]) -> str:
    """Returns the names of days of the week as text, such as ``Monday to Friday``."""
    first, last = open_days[0], open_days[-1]
    if len(open_days) > 2 and open_days == tuple(range(first, last + 1)):
        return f"{WEEKDAYS[first]} to {WEEKDAYS[last]}"
    # The open days may extend from the end of one week into the next week, as in Sunday to Thursday.
    closed = [day for day in range(7) if day not in open_days]
    if len(open_days) > 2 and closed and closed == list(range(closed[0], closed[-1] + 1)):
        return f"{WEEKDAYS[(closed[-1] + 1) % 7]} to {WEEKDAYS[closed[0] - 1]}"
    return ", ".join(WEEKDAYS[day] for day in open_days)
