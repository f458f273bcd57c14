"""Parses columns of dates, Unix times and row numbers in common formats:

- ``2024-01-31 13:00``, also with ``/`` or ``.`` instead of ``-``, without a time, or with fractions of a
  second.
- ``01/31/2024 1:00 PM``, month first or day first. The order must fit all rows of the column.
- ``31 Jan 2024``, with English names of months in any common order.
- ``2024-01``, ``202401``, ``2024M01``, ``01/2024`` and ``Jan 2024``: months.
- ``2024Q1``, ``2024H1`` and ``2024-W05``: quarters, half-years and ISO weeks.
- ``20240131`` and ``2024``: dates and years as numbers, also with hours, minutes and seconds.
- ``1706659200``: Unix time in s, ms, us or ns.
- ``0``, ``1``, ``2``: row numbers.

Times with UTC offsets or names of time zones are converted to UTC. But if all local times are midnight, the
column contains only dates, and these dates are not converted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from apps.forecasting import date_patterns as patterns
from apps.forecasting.zones import seconds_east
from seqmodels.errors import DataError, UsageError, excerpt

MISSING = {"", "nan", "nat", "na", "n/a", "null", "none", "."}
UNIX_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # units per second
UNIX_NAMES = ("unix", "epoch", "timestamp", "unixtime", "unix_timestamp")
YEARS = (1500, 2200)  # first and last plausible year of dates with a month
WHOLE_YEARS = (1000, 2300)  # first and last plausible year in a column of years
UNIX_YEARS = (1970, 2100)
EXPECTED = "expected a date such as 2024-01-31 or 2024-01-31 13:00"

Place = Callable[[int], str]
"""Function that receives a row number and returns the file, line and column for an error message."""


@dataclass(frozen=True)
class Dates:
    """A parsed column of dates.

    Attributes:
        times: datetime64 in UTC, or int64 for row numbers, ``(rows,)``.
        offsets: UTC offset of each row in seconds, positive to the east, ``(rows,)``. None if the file has no
            offsets.
        zone: name of the time zone, such as ``Europe/Berlin``. Empty if the name is unknown.
        notes: messages for the user about conversions.
    """

    times: np.ndarray
    offsets: np.ndarray | None = None
    zone: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def local(self) -> np.ndarray:
        """The local times: ``(rows,)``."""
        if self.offsets is None:
            return self.times
        return self.times + self.offsets.astype("timedelta64[s]")

    def rows(self, rows: np.ndarray) -> Dates:
        offsets = None if self.offsets is None else self.offsets[rows]
        return replace(self, times=self.times[rows], offsets=offsets)


def parse_dates(cells: pd.Series, place: Place, name: str = "date", date_format: str | None = None) -> Dates:
    """Parses a column of dates, Unix times or row numbers.

    Args:
        cells: texts, numbers or dates, as pandas has read them from a file.
        place: function that receives a row number and returns its location for error messages.
        name: name of the column.
        date_format: format of ``strptime`` for ambiguous dates.

    Raises:
        DataError: a cell is not a date, the year is implausible, or the order of day and month is unclear.
        UsageError: no cell has the format ``date_format``.

    >>> parse_dates(pd.Series(["13/01/2024", "14/01/2024"]), str).times.astype("datetime64[D]")
    array(['2024-01-13', '2024-01-14'], dtype='datetime64[D]')
    """
    if isinstance(cells.dtype, pd.PeriodDtype):
        cells = cells.dt.to_timestamp()
    if isinstance(cells.dtype, pd.DatetimeTZDtype) or cells.dtype.kind == "M":
        return _typed(cells, place)
    texts = cells.map(_text)
    missing = texts.str.lower().isin(MISSING).to_numpy()
    if missing.any():
        row = int(missing.argmax())
        raise DataError(f"{place(row)}: the date is missing; fill it in or remove the row")
    digits = None if date_format else _numbers(texts, place, name)
    if digits is not None:
        return digits
    return _written(texts, place, name, date_format)


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else " ".join(str(cell).split())


def _typed(cells: pd.Series, place: Place) -> Dates:
    if cells.isna().any():
        row = int(cells.isna().to_numpy().argmax())
        raise DataError(f"{place(row)}: the date is missing; fill it in or remove the row")
    zone = "" if cells.dt.tz is None else str(cells.dt.tz)
    local = cells.dt.tz_localize(None).to_numpy() if zone else cells.to_numpy()
    if zone in ("", "UTC"):
        return Dates(_coarse(local))
    utc = cells.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy()
    return _converted(local, (local - utc) // np.timedelta64(1, "s"), zone)


def _numbers(texts: pd.Series, place: Place, name: str) -> Dates | None:
    """Parses a column of numbers: years, dates as numbers, Unix times or row numbers.

    Returns None if a cell is not a number.
    """
    if not texts.str.fullmatch(r"-?\d+(\.\d*)?").all():
        return None
    whole = texts.str.replace(r"\.0*$", "", regex=True)
    lengths = whole.str.lstrip("-").str.len()
    longest = int(lengths.max())
    named = name.strip().lower()
    if named == "year" and longest <= 4:
        return _written(whole.str.zfill(4), place, name, None)
    stamp = patterns.STAMPS.get(longest)
    if stamp and lengths.min() == longest:
        valid = whole.str.fullmatch(stamp).to_numpy()
        if valid.all() or (longest >= 6 and valid.mean() > 0.8) or (longest == 8 and valid.any()):
            spaced = whole.str.replace(r"^(\d{8})(\d+)$", r"\1 \2", regex=True)
            return _written(spaced, place, name, None)
    unix = longest >= 10 or (longest == 9 and any(word in named for word in UNIX_NAMES))
    if unix and not whole.str.startswith("-").any():
        return _unix(texts, place, name)
    if longest <= 9 and whole.str.fullmatch(r"-?\d+").all():
        return Dates(whole.to_numpy().astype(np.int64))
    return _elapsed(texts.astype(float).to_numpy(), place, name)


def _unix(texts: pd.Series, place: Place, name: str) -> Dates:
    values = texts.astype(float).to_numpy()
    middle = float(np.median(values))
    year = 365.2425 * 86_400
    low, high = 2.0 * year, (UNIX_YEARS[1] - 1970) * year
    unit = next((unit for unit, ticks in UNIX_UNITS.items() if low <= middle / ticks <= high), None)
    if unit is None:
        raise DataError(
            f"{place(0)}: {excerpt(texts.iloc[0])} is neither a date nor a plausible Unix time in s, "
            "ms, us or ns; " + EXPECTED
        )
    ticks = UNIX_UNITS[unit]
    wrong = (values / ticks < 0) | (values / ticks > high)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{place(row)}: {excerpt(texts.iloc[row])} is read as Unix time in {unit} and has the "
            "implausible year "
            f"{1970 + int(values[row] / ticks // year)}; the median of the column is in the year "
            f"{1970 + int(middle / ticks // year)}; correct the row"
        )
    # A float64 has too few digits for Unix times in nanoseconds. Therefore whole and fractional digits are
    # converted separately.
    parts = texts.str.extract(r"^(\d+)(?:\.(\d*))?$")
    count = parts[0].to_numpy().astype(np.int64) * (10**9 // ticks)
    if unit != "ns" and parts[1].notna().any():
        digits = 9 - (len(str(ticks)) - 1)
        count += parts[1].fillna("").str.slice(0, digits).str.ljust(digits, "0").to_numpy().astype(np.int64)
    note = f"the column {name!r} contains Unix time in {unit}, which is read as UTC"
    return Dates(_coarse(count.astype("datetime64[ns]")), notes=[note])


def _elapsed(values: np.ndarray, place: Place, name: str) -> Dates:
    """Converts equally spaced numbers, such as 0, 0.5 and 1, to row numbers."""
    steps = np.diff(values)
    step = float(np.median(steps)) if len(steps) else 0.0
    numbers = np.round((values - values[0]) / step) if step else np.zeros(0)
    if not step or np.abs(values[0] + numbers * step - values).max() > 0.01 * abs(step):
        raise DataError(
            f"{place(0)}: the numbers of the column {name!r} are neither dates nor equally spaced; "
            "replace the numbers with dates, or ignore the numbers with --frequency rows"
        )
    note = f"the numbers in the column {name!r} are {abs(step):.6g} apart; row numbers replace them"
    return Dates((numbers * np.sign(step)).astype(np.int64), notes=[note])


def _written(texts: pd.Series, place: Place, name: str, date_format: str | None) -> Dates:
    """Parses dates with an optional time of day and an optional UTC offset or time zone."""
    if date_format is None and texts.str.fullmatch(patterns.ISO).all():
        quick = pd.to_datetime(texts, format="ISO8601", errors="coerce")
        if quick.notna().all():
            _check_years(quick.to_numpy().astype("datetime64[D]"), texts, place)
            return Dates(_coarse(quick.to_numpy()))
    parts = texts.str.extract(patterns.WHOLE)
    seconds, fractions, wrong = patterns.time_of_day(parts)
    if date_format is not None:
        days, is_day = _formatted(texts, parts["date"], date_format)
        if not is_day:  # The format includes the time of day.
            seconds, fractions, wrong = np.zeros(len(texts), np.int64), fractions * 0, wrong & False
        bad = np.isnat(days) | wrong
        expected = f"expected a date in the format {date_format} of --date-format"
    else:
        days = patterns.days(parts["date"].fillna(""), lambda row: place(row), texts)
        bad, expected = np.isnat(days) | wrong, EXPECTED
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{place(row)}: {excerpt(texts.iloc[row])} is not a date; {expected}")
    _check_years(days, texts, place)
    local = days.astype("datetime64[s]") + seconds.astype("timedelta64[s]")
    if fractions.any():
        local = _coarse(local.astype("datetime64[ns]") + fractions.astype("timedelta64[ns]"))
    zones = parts["zone"]
    if zones.isna().all():
        return Dates(local)
    offsets, zone = seconds_east(zones, parts["area"], local, place, texts)
    return _converted(local, offsets, zone)


def _formatted(texts: pd.Series, dates: pd.Series, date_format: str) -> tuple[np.ndarray, bool]:
    """Parses dates with ``date_format``.

    Returns two values. The first value contains the dates. The second value is True if the format has no
    time of day.
    """
    for cells, is_day in ((dates.fillna(""), True), (texts, False)):
        try:
            found = pd.to_datetime(cells, format=date_format, errors="coerce", exact=True)
        except ValueError as error:
            raise UsageError(
                f"--date-format {date_format} is not a format of strptime ({error}); use a format such as "
                "%d/%m/%Y"
            ) from error
        if isinstance(found.dtype, pd.DatetimeTZDtype):
            found = found.dt.tz_convert("UTC").dt.tz_localize(None)
        if found.notna().any():
            return _coarse(found.to_numpy().astype("datetime64[ns]")), is_day
    raise UsageError(
        f"--date-format {date_format} does not match the dates of the data, such as "
        f"{excerpt(texts.iloc[0])}; use "
        "the format of these dates, for example %d/%m/%Y"
    )


def _check_years(days: np.ndarray, texts: pd.Series, place: Place) -> None:
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    low, high = WHOLE_YEARS if texts.str.fullmatch(r"\d{4}").all() else YEARS
    wrong = (years < low) | (years > high)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"{place(row)}: {excerpt(texts.iloc[row])} has the implausible year {years[row]}; expected "
            "a year from "
            f"{low} to {high}; correct the row, or set --date-format"
        )


def _converted(local: np.ndarray, offsets: np.ndarray, zone: str) -> Dates:
    """Converts local times to UTC. If all local times are midnight, the times are not converted."""
    if not offsets.any():
        return Dates(_coarse(local))
    if (local == local.astype("datetime64[D]")).all():
        return Dates(
            _coarse(local), notes=["all local times are midnight; therefore only the dates are used"]
        )
    where = f"the time zone {zone}" if zone else "UTC offsets"
    note = f"times with {where} are converted to UTC"
    return Dates(_coarse(local - offsets.astype("timedelta64[s]")), offsets, zone, [note])


def _coarse(times: np.ndarray) -> np.ndarray:
    """Converts times to seconds. If this loses digits, the unit is microseconds or nanoseconds."""
    for unit in ("s", "us"):
        coarse = times.astype(f"datetime64[{unit}]")
        if (coarse == times).all():
            return coarse
    return times.astype("datetime64[ns]")


def is_time_of_day(cells: Sequence[object]) -> bool:
    """Returns True if all cells are times of day, such as ``9:30`` or ``093000``."""
    return all(re.fullmatch(rf"{patterns.CLOCK}|\d{{1,6}}", _text(cell)) for cell in cells)
