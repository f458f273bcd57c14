"""Finds the columns of a table: dates, names of series, targets and prices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from apps.forecasting.date_patterns import CLOCK
from apps.forecasting.dates import parse_dates
from seqmodels.data.columns import find_column
from seqmodels.data.table import Table, cell_text
from seqmodels.errors import DataError, UsageError

LONG_COLUMNS = ("unique_id", "ds", "y")
# Names of date columns. If several columns of a file have names in DATE_NAMES, the first column is used.
DATE_NAMES = ("date", "ds", "datetime", "timestamp", "time", "day", "month", "year")
MORE_DATE_NAMES = (
    "unix", "epoch", "unix_time", "unixtime", "unix_timestamp", "date_time", "time_stamp", "dt", "period",
    "quarter", "week", "yearmonth", "year_month", "yyyymm", "yyyymmdd", "trade_date", "trading_day",
    "observation_date", "open_time", "utc", "datum", "unnamed_0", "index",
)  # fmt: skip
CLOCK_NAMES = ("time", "hour", "clock", "hour_of_day", "hr", "hours")
YEAR_NAMES, DAY_NAMES = ("year", "yr", "yyyy"), ("day", "dd", "dom", "day_of_month")
MONTH_NAMES = ("month", "mo", "mm", "mnth")
PRICE_NAMES = {
    "open": ("open", "opening_price", "open_price"),
    "high": ("high", "high_price", "max"),
    "low": ("low", "low_price", "min"),
    "volume": ("volume", "vol", "tick_volume", "tickvol", "volume_base", "shares_traded"),
}
ADJUSTED = ("adjclose", "adj_close", "adjusted_close", "adj_closing_price")
COUNTER_NAMES = ("no", "nr", "id", "index", "row", "number", "level_0", "unnamed_0")
SAMPLE = 20  # number of cells that are tested to find out if a column contains dates


@dataclass(frozen=True)
class Chosen:
    """Columns that the user chose, as written on the command line.

    Attributes:
        date: one column of dates, or several columns that form a date, such as year and month.
        id: columns that name the series.
        target: columns to forecast.
        close: column of closing prices.
        known: covariates whose future values are known.
        static: covariates that are constant in each series.
    """

    date: Sequence[str] = ()
    id: Sequence[str] = ()
    target: Sequence[str] = ()
    close: str | None = None
    known: Sequence[str] = ()
    static: Sequence[str] = ()

    def of(self, table: Table) -> Chosen:
        """Returns the chosen columns, spelled as in the table.

        Raises:
            UsageError: the table does not have a chosen column.
        """

        def found(names: Sequence[str], flag: str) -> list[str]:
            return [find_column(table, name, (), flag) for name in names]

        return Chosen(
            found(self.date, "--date"),
            found(self.id, "--id"),
            found(self.target, "--target"),
            find_column(table, self.close, (), "--close") if self.close else None,
            found(self.known, "--known"),
            found(self.static, "--static"),
        )


def key(name: str) -> str:
    """Simplifies the name of a column: ``4. close``, ``<CLOSE>`` and ``Close*`` become ``close``.

    >>> key("4. Close*"), key("Adj Close"), key("Close/Last")
    ('close', 'adj_close', 'close_last')
    """
    name = re.sub(r"^\s*\d+\.\s+", "", name).casefold()
    return re.sub(r"[^\w%]+", "_", name).strip("_")


def keys_of(table: Table) -> dict[str, str]:
    """Returns ``{simplified name: column}``.

    If two columns have the same simplified name, the result contains only the first of them.
    """
    found: dict[str, str] = {}
    for column in table.columns:
        found.setdefault(key(column), column)
    return found


def first_of(names: Sequence[str], keys: dict[str, str]) -> str | None:
    return next((keys[name] for name in names if name in keys), None)


def find_dates(table: Table, chosen: Chosen) -> list[str]:
    """Returns the columns that form the dates. Returns an empty list if there are no such columns.

    Examples are one column ``date``, two columns ``date`` and ``time``, or a column of row numbers.
    """
    if chosen.date:
        return list(chosen.date)
    keys = keys_of(table)
    others = {*chosen.id, *chosen.target, *chosen.known, *chosen.static, chosen.close}
    keys = {name: column for name, column in keys.items() if column not in others}
    year, month = first_of(YEAR_NAMES, keys), first_of(MONTH_NAMES, keys)
    named = [column for name, column in keys.items() if name in DATE_NAMES]
    whole = [column for column in named if key(column) not in ("year", "month", "day", "time")]
    parts = year and (month or first_of(("quarter", "week"), keys))
    if year and parts and not whole and _repeats(table, year):
        clock = first_of(CLOCK_NAMES, keys)
        month = month or first_of(("quarter", "week"), keys)
        found = [
            year,
            month,
            first_of(DAY_NAMES, keys),
            clock,
            first_of(("minute",), keys) if clock else None,
        ]
        return [column for column in found if column]
    more = sorted(
        (column for name, column in keys.items() if name in MORE_DATE_NAMES),
        key=lambda column: MORE_DATE_NAMES.index(key(column)),
    )
    similar = [
        column
        for name, column in keys.items()
        if re.search(r"date|time|period|quarter|week|month|year|^day|_day$", name)
    ]
    candidates = list(dict.fromkeys([*named, *more, *similar, *keys.values()]))
    # A column with a name in DATE_NAMES is used even if some cells are not dates. The parser of the dates
    # later raises an error that shows such a cell.
    date = next((column for column in named if not _is_clock(table, column)), None)
    if date is None:
        date = next((column for column in candidates if _holds_dates(table, column)), None)
    if date is None and table.columns[0] in keys.values() and _holds_numbers(table, table.columns[0]):
        date = table.columns[0]
    if date is None:
        return []
    clock = next((keys[name] for name in CLOCK_NAMES if name in keys and keys[name] != date), None)
    return [date, clock] if clock and _has_no_time(table, date) and _is_clock(table, clock) else [date]


def _sample(table: Table, column: str) -> list[str]:
    return [text for text in map(cell_text, table.frame[column].head(SAMPLE)) if text.strip()]


def _repeats(table: Table, column: str) -> bool:
    return not table.frame[column].is_unique


def _is_clock(table: Table, column: str) -> bool:
    """Returns True if the cells are times of day without a date, or numbers from 0 to 24."""
    cells = [cell.strip() for cell in _sample(table, column)]
    if not cells:
        return False
    if all(re.fullmatch(CLOCK, cell) for cell in cells):
        return True
    if key(column) == "time":
        return all(re.fullmatch(r"\d{4}|\d{6}", cell) for cell in cells) and _repeats(table, column)
    return key(column) in CLOCK_NAMES and all(cell.isdigit() and int(cell) <= 24 for cell in cells)


def _has_no_time(table: Table, column: str) -> bool:
    """Returns True if the column contains dates without a time of day."""
    cells = table.frame[column].head(SAMPLE)
    try:
        times = parse_dates(cells, str, column).times
    except (DataError, UsageError):
        # The cells cannot be parsed, for example because the order of day and month is unclear. In this case,
        # cells with a colon, as in 12:30, are assumed to contain a time of day.
        return not any(re.search(r"\d:\d", cell_text(cell)) for cell in cells)
    return times.dtype.kind == "M" and bool((times == times.astype("datetime64[D]")).all())


def _holds_dates(table: Table, column: str) -> bool:
    cells = table.frame[column]
    if cells.dtype.kind == "M" or isinstance(cells.dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        return True
    try:
        return parse_dates(cells.head(SAMPLE), str, column).times.dtype.kind == "M"
    except DataError as error:
        return "--date-format" in str(error) and "may be" in str(error)


def _holds_numbers(table: Table, column: str) -> bool:
    try:
        times = parse_dates(table.frame[column], str, column).times
    except DataError:
        return False
    return bool((np.diff(times) > 0).all())


def is_counter(table: Table, column: str) -> bool:
    """Returns True for a column such as ``No`` that counts the rows."""
    if key(column) not in COUNTER_NAMES:
        return False
    texts = table.frame[column].map(cell_text).str.strip()
    return bool(texts.str.fullmatch(r"\d{1,12}").all() and (np.diff(texts.astype("int64")) == 1).all())


def date_cells(table: Table, columns: Sequence[str]) -> pd.Series:
    """Returns the dates as one column. If the dates have several columns, their cells are joined."""
    if len(columns) == 1:
        return table.frame[columns[0]]
    columns = _in_order(columns)
    names = [key(column) for column in columns]
    cells = [table.frame[column].map(cell_text).str.strip() for column in columns]
    if names[0] in YEAR_NAMES or cells[0].str.fullmatch(r"\d{4}").all():
        mark = {"quarter": "Q", "week": "-W"}.get(names[1], "-")
        joined = cells[0] + mark + cells[1].str.removeprefix("Q").str.removeprefix("W")
        rest = list(zip(names[2:], cells[2:]))
        if rest and rest[0][0] not in CLOCK_NAMES and not rest[0][1].str.contains(":").any():
            joined += "-" + rest.pop(0)[1]
        hour, minute = (rest.pop(0)[1] if rest else None for _ in range(2))
        if hour is not None:
            minutes = minute.str.zfill(2) if minute is not None else "00"
            joined += " " + hour.where(hour.str.contains(":"), hour + ":" + minutes)
        return joined
    joined = cells[0]
    for part in cells[1:]:
        joined = joined + " " + part.map(_clock)
    return joined


def _in_order(columns: Sequence[str]) -> list[str]:
    """Sorts the parts of a date: year, month, day, hour, minute. Other columns follow without a change."""
    order = (YEAR_NAMES, (*MONTH_NAMES, "quarter", "week"), DAY_NAMES, CLOCK_NAMES, ("minute",))
    places = [next((i for i, names in enumerate(order) if key(c) in names), len(order)) for c in columns]
    if 0 not in places:
        return list(columns)
    return [column for _, column in sorted(zip(places, columns), key=lambda each: each[0])]


def _clock(text: str) -> str:
    """Converts digits to a time of day: ``930`` becomes ``09:30``, and ``9`` becomes ``9:00``."""
    if not text.isdigit():
        return text
    if len(text) <= 2:
        return f"{text}:00"
    text = text.zfill(4 if len(text) <= 4 else 6)
    return ":".join(text[place : place + 2] for place in range(0, len(text), 2))


def find_close(table: Table, chosen: Chosen) -> str | None:
    """Returns the column of closing prices, or None if the table does not contain prices."""
    if chosen.close or chosen.target:
        return chosen.close
    keys = keys_of(table)
    several = {"open", "high", "low"} <= keys.keys()
    names = ["close", "close_last", "close_price", "closing_price"]
    names += ["price", "last", "last_price", "settle"] if several else []
    found = first_of(names, keys)
    if found is None and {"o", "h", "l", "c"} <= keys.keys():
        return keys["c"]
    return found or first_of(ADJUSTED, keys)


def find_prices(table: Table, close: str) -> dict[str, str]:
    """Returns ``{role: column}`` for open, high, low and volume. Roles without a column are left out."""
    keys = keys_of(table)
    letters = keys.get("c") == close
    found = {}
    for role, names in PRICE_NAMES.items():
        column = first_of((*names, *([role[0]] if letters else [])), keys)
        if column is None and role == "volume":
            column = next((keys[name] for name in keys if name.startswith(("volume", "vol_"))), None)
        if column is not None and column != close:
            found[role] = column
    return found


def is_yahoo_download(table: Table) -> bool:
    """Returns True for the file that ``yfinance.download(...).to_csv()`` writes, with three header rows."""
    if len(table) < 3 or not table.columns:
        return False
    first = [cell_text(cell).strip() for cell in table.frame.iloc[:2, 0]]
    return (
        key(table.columns[0]) in ("price", "ticker")
        and first[0] in ("Ticker", "Price")
        and first[1]
        in (
            "Date",
            "Datetime",
        )
    )
