"""Infers the calendar of a series from its rows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from apps.forecasting.calendar import DAY, SECOND, WEEK, Fixed, Frequency, Months, Steps
from apps.forecasting.week import BUSINESS, Sessions, Weekdays, Weeks

# The trading days of daily prices are inferred from the last RECENT weeks. Before these weeks, the trading
# days may differ.
RECENT = 52
# The trading times of intraday prices are inferred from the last RECENT_SESSIONS weeks. Older rows are
# not used, because a change of daylight saving time may have shifted their trading times.
RECENT_SESSIONS = 8
# Nights are an example of pauses in a calendar. The calendar gets pauses only if a calendar without pauses
# would have at least LARGE times as many rows.
LARGE = 1.15


@dataclass(frozen=True)
class Observed:
    """Times of the rows of one series.

    Attributes:
        times: datetime64 in UTC, or int64 for row numbers, ``(rows,)``, in ascending order.
        local: local times, ``(rows,)``.
        zone: name of the time zone of ``local``. Empty if the name is unknown.
        prices: if True, the rows are prices. Prices may have missing rows, for example on holidays.
    """

    times: np.ndarray
    local: np.ndarray
    zone: str = ""
    prices: bool = False


def infer_frequency(times: np.ndarray, prices: bool = False) -> Frequency:
    """Infers the calendar from times ``(rows,)`` without a time zone."""
    found = infer(Observed(times, times, prices=prices))
    return found or Steps()


def infer(rows: Observed) -> Frequency | None:
    """Infers the calendar of the rows. Returns None if prices follow no calendar."""
    gaps, counts = np.unique(np.diff(rows.times), return_counts=True)
    usual = gaps[counts.argmax()]
    if rows.times.dtype.kind != "M":
        return Steps(int(usual))
    resolution = {"s": SECOND, "us": 1000, "ns": 1}[np.datetime_data(rows.times.dtype)[0]]
    seconds, rest = divmod(int(usual.astype(np.int64)) * resolution, SECOND)
    if rest:
        return Fixed(seconds, rest)
    if seconds >= 28 * DAY:
        return _months(rows.local)
    if seconds > 4 * DAY or (seconds > DAY and _is_weekly(rows.local)):
        return _weeks(rows, seconds)
    if seconds < DAY and not _is_daily(rows.local):
        return _sessions(rows, seconds)
    return _days(rows, max(seconds, DAY))


def _is_daily(local: np.ndarray) -> bool:
    """Returns True if no day has more than one row. The times of day may differ."""
    dates = local.astype("datetime64[D]")
    return len(np.unique(dates)) == len(dates)


def _is_weekly(local: np.ndarray) -> bool:
    gaps = np.diff(local.astype("datetime64[D]")).astype(np.int64)
    return bool(np.median(gaps) >= 6)


def _months(local: np.ndarray) -> Months:
    dates = local.astype("datetime64[D]")
    months = local.astype("datetime64[M]")
    sizes, counts = np.unique(np.diff(months.astype(np.int64)), return_counts=True)
    size = max(int(sizes[counts.argmax()]), 1)
    first, end = months.astype("datetime64[D]"), (months + 1).astype("datetime64[D]") - 1
    number = (dates - first).astype(np.int64) + 1
    if (dates == end).all():
        return Months(size, "end")
    if (number == number[0]).all():
        return Months(size, "day", int(number[0]) if number[0] > 28 else 0)
    if (dates == np.minimum(first + number.max() - 1, end)).all():
        return Months(size, "day", int(number.max()))
    last_workday = np.busday_offset(end, 0, roll="backward")
    first_workday = np.busday_offset(first, 0, roll="forward")
    # Monthly rows may lie on the last workday of the month. If this day is a holiday, the row may lie a few
    # days earlier. Rows on the first workday may lie a few days later.
    for anchor, usual, late in (("last workday", last_workday, -1), ("first workday", first_workday, 1)):
        moved = (dates - usual).astype(np.int64) * late
        if ((moved >= 0) & (moved <= 4)).all() and (moved == 0).mean() >= 0.75:
            return Months(size, anchor)
    return Months(size)


def _weeks(rows: Observed, seconds: int) -> Frequency:
    gaps = np.diff(rows.times).astype("timedelta64[s]").astype(np.int64)
    weekdays = _weekdays(rows.local)
    if seconds == WEEK and gaps.max() > WEEK and (gaps % WEEK == 0).all():
        without = Weeks(int(weekdays[0]), fifty_two=True)
        index, between = without.positions(rows.times, rows.local)
        if (np.diff(index) == 1).all() and not between.any():
            return without
    if (gaps % seconds == 0).all():
        return Fixed(seconds)
    usual = Weeks(int(np.bincount(weekdays).argmax()))
    index, _ = usual.positions(rows.local)
    return usual if (np.diff(index) >= 1).all() else Fixed(seconds)


def _weekdays(local: np.ndarray) -> np.ndarray:
    return (local.astype("datetime64[D]").astype(np.int64) + 3) % 7  # Monday is 0


def _days(rows: Observed, seconds: int) -> Frequency:
    """Infers the days of the week that have rows. For prices, rows may be missing on some of these days."""
    dates = rows.local.astype("datetime64[D]")
    if rows.prices:
        dates = dates[dates >= dates[-1] - 7 * RECENT]
    weekdays = _weekdays(dates)
    seen = np.bincount(weekdays, minlength=7)
    # A change of daylight saving time makes a day 23 or 25 hours long, and shifts the UTC times of later
    # rows. If the rows have different UTC times of day, the calendar counts dates instead of hours.
    clocks = rows.times - rows.times.astype("datetime64[D]")
    every = Fixed(DAY) if (clocks == clocks[0]).all() else Weekdays(tuple(range(7)))
    # ``possible`` counts how often each day of the week occurs between the first and the last row.
    span = np.arange(dates[0], dates[-1] + 1)
    possible = np.bincount(_weekdays(span), minlength=7)
    if rows.prices:
        weekend = [day for day in (5, 6) if possible[day] and seen[day] >= 0.5 * possible[day]]
        sparse = seen[:5].sum() < 0.4 * possible[:5].sum()
        workdays = [d for d in BUSINESS if sparse or possible[d] < 4 or seen[d] >= 0.2 * possible[d]]
        opened = (*workdays, *weekend)
        return every if len(opened) == 7 or not opened else Weekdays(opened)
    opened = tuple(int(day) for day in np.flatnonzero(seen))
    if seconds == DAY:
        business = len(dates) > 7 and opened == BUSINESS
        regular = len(opened) < 7 and (possible[seen == 0] >= 2).all()
        return Weekdays(opened) if business or regular else every
    expected = sum(possible[day] for day in opened)
    if 1 < len(opened) < 7 and len(dates) > 7 and len(dates) > 0.8 * expected:
        return Weekdays(opened)
    return Fixed(seconds)


def _sessions(rows: Observed, seconds: int) -> Frequency | None:
    """Infers the calendar of series with several rows per day, from the times of the week that have rows.

    Returns ``Fixed`` if there are no regular pauses, and None if prices follow no calendar.
    """
    local = rows.local.astype("datetime64[s]")
    if rows.prices:
        recent = local >= local[-1] - np.timedelta64(RECENT_SESSIONS * WEEK, "s")
        local = local[recent]
    gaps = np.diff(rows.times).astype("timedelta64[s]").astype(np.int64)
    aligned = (gaps % seconds == 0).mean()
    span = int((local[-1] - local[0]).astype(np.int64))
    everything = span // seconds + 1
    slots = _open_slots(local, seconds)
    if slots is None or everything < LARGE * _expected(slots, local):
        return Fixed(seconds) if aligned > 0.9 or not rows.prices else None
    offset = int((rows.local[-1] - rows.times[-1]).astype("timedelta64[s]").astype(np.int64))
    found = Sessions(slots, seconds, 0 if rows.zone else offset, rows.zone)
    fitting = (~found.positions(local, local)[1]).mean()
    if rows.prices:
        return found if fitting > 0.8 else (Fixed(seconds) if aligned > 0.9 else None)
    return found if fitting == 1 else Fixed(seconds)


def _open_slots(local: np.ndarray, seconds: int) -> tuple[int, ...] | None:
    """Returns the times of the week at which rows occur regularly, in seconds since Monday 00:00.

    Returns None if rows occur at all times.
    """
    number = local.astype(np.int64) + 3 * DAY
    second = number % WEEK
    day, clock = np.divmod(number, DAY)
    weeks = (number[-1] - number[0]) / WEEK
    if weeks >= 4:
        slots, counts = np.unique(second, return_counts=True)
        opened = slots[counts >= 0.5 * (weeks - 1)]
    else:
        days_with_rows = np.unique(day)
        if len(days_with_rows) < 3:
            return None
        clocks, counts = np.unique(clock, return_counts=True)
        clocks = clocks[counts >= 0.5 * (len(days_with_rows) - 1)]
        span = np.arange(day[0], day[-1] + 1) % 7
        possible = np.bincount(span, minlength=7)
        seen = np.bincount(days_with_rows % 7, minlength=7)
        # A day of the week is closed if it occurs at least twice and never has rows. Saturday and Sunday are
        # closed if they occur at least once and never have rows.
        closed = [d for d in range(7) if not seen[d] and (possible[d] >= 2 or (d > 4 and possible[d]))]
        if not any(possible[d] for d in (5, 6)) and len(clocks) * seconds < DAY:
            # The rows do not reach a weekend. Saturday and Sunday are assumed to be closed.
            closed += [5, 6]
        opened = np.array([d * DAY + c for d in range(7) if d not in closed for c in clocks], np.int64)
    if not len(opened) or len(opened) >= WEEK // seconds:
        return None
    return tuple(int(slot) for slot in opened)


def _expected(slots: tuple[int, ...], local: np.ndarray) -> int:
    """Returns how many rows a series has if it has one row at every time of the week in ``slots``.

    The count starts at the first time in ``local`` and ends at the last time.
    """
    index, _ = Sessions(slots, 1).positions(local[[0, -1]], local[[0, -1]])
    return int(index[-1]) + 1


def fits(frequency: Frequency, rows: Observed) -> bool:
    """Returns True if the rows fit the calendar.

    Two rows must not lie in the same step of the calendar. At least about half of the steps must have a row.
    Rows must not lie between two steps. For prices, up to 20 % of the rows may lie between two steps.
    """
    if (rows.times.dtype.kind == "M") == isinstance(frequency, Steps):
        return False
    index, between = frequency.positions(rows.times, rows.local)
    if between.mean() > (0.2 if rows.prices else 0):
        return False
    return bool((np.diff(index) >= 1).all() and index[-1] + 1 <= 2 * len(index) + 5)


def with_exchange(frequency: Frequency, exchange: str) -> Frequency | None:
    """Removes the holidays of an exchange from the calendar, and returns the new calendar.

    Returns None if the calendar has no regular pauses, such as weekends.
    """
    if isinstance(frequency, Weekdays | Sessions):
        return replace(frequency, exchange=exchange)
    return None
