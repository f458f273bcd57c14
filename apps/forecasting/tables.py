"""Reads series from CSV and TSV files with prices, from long files and from wide files.

A long file has one row per value and the columns ``unique_id,ds,y``. A wide file has one column per series.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apps.forecasting.calendar import FREQUENCIES, Frequency, are_month_ends, infer_frequency
from apps.forecasting.gaps import check_order, fill_missing, without_gaps
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from seqmodels.data.files import DELIMITERS, read_table, read_text, table_name
from seqmodels.errors import DataError, UsageError

LONG_COLUMNS = ("unique_id", "ds", "y")
DATE_NAMES = ("date", "ds", "datetime", "timestamp", "time", "day", "month", "year")
MISSING = {"", "nan", "na", "n/a", "null", "none", "."}


@dataclass(frozen=True)
class Covariates:
    """Names of the covariate columns, as the user wrote them.

    Attributes:
        known: columns whose future values are known.
        static: columns that are constant in each series.
    """

    known: Sequence[str] = ()
    static: Sequence[str] = ()

    def lower(self) -> Covariates:
        return Covariates([name.lower() for name in self.known], [name.lower() for name in self.static])


@dataclass(frozen=True)
class Table:
    """The cells of a file.

    Attributes:
        path: path of the file.
        lines: line number of each row in the file.
        columns: cells of each column, by lower-case column name.
    """

    path: Path
    lines: list[int]
    columns: dict[str, list[str]]

    def place(self, row: int, column: str = "") -> str:
        return f"{self.path}:{self.lines[row]}" + (f", column {column!r}" if column else "")

    def numbers(self, column: str) -> np.ndarray:
        """Returns a column as float64. Missing cells become NaN.

        Raises:
            DataError: a cell is neither missing nor a finite number.
        """
        cells = self.columns[column]
        try:
            numbers = np.array([cell or "nan" for cell in cells], np.float64)
        except ValueError:
            numbers = np.array([self._number(row, column, cell) for row, cell in enumerate(cells)])
        if np.isinf(numbers).any():
            row = int(np.isinf(numbers).argmax())
            raise DataError(
                f"{self.place(row, column)}: {cells[row]!r} is not finite; expected a number such as 1234.5"
            )
        return numbers

    def _number(self, row: int, column: str, cell: str) -> float:
        if cell.strip().lower() in MISSING:
            return math.nan
        try:
            return float(cell)
        except ValueError:
            raise DataError(
                f"{self.place(row, column)}: {cell!r} is not a number; expected a number such as 1234.5"
            ) from None

    def times(self, column: str) -> np.ndarray:
        """Returns a column of dates or whole numbers: ``(rows,)`` datetime64[s] or int64.

        Raises:
            DataError: a cell is neither a date nor a whole number.
        """
        cells = self.columns[column]
        if all(re.fullmatch(r"-?\d{1,9}", cell) for cell in cells) and not (
            column == "year"
            or all(re.fullmatch(r"(19|20)\d\d((0\d|1[0-2])[0-3]\d)?", cell) for cell in cells)
        ):
            return np.array(cells, np.int64)
        return np.array([self._time(row, column, cell) for row, cell in enumerate(cells)], "datetime64[s]")

    def _time(self, row: int, column: str, cell: str) -> np.datetime64:
        text = cell.strip().replace("/", "-").replace(" ", "T", 1)
        text = re.sub(r"(Z|[+-]\d\d:?\d\d)$", "", text) if "T" in text else text
        if re.fullmatch(r"\d{8}", text):
            text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
        try:
            if not re.match(r"\d{4}", text):
                raise ValueError
            return np.datetime64(text, "s")
        except ValueError:
            raise DataError(
                f"{self.place(row, column)}: {cell!r} is not a date; expected a date such as 2024-01-31 or "
                "2024-01-31 13:00"
            ) from None


def read_file(path: Path, name: str, fill: str, frequency: str | None, covariates: Covariates) -> SeriesData:
    suffix = (table_name(path) or ("", ""))[1]
    if suffix not in DELIMITERS:
        raise UsageError(
            f"{path} has an unsupported extension; expected {', '.join(DELIMITERS)}, or these with .gz"
        )
    content = read_text(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected a header and rows")
    first = content.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    header = [cell.strip().strip('"') for cell in first.split(DELIMITERS[suffix])]
    rows = list(read_table(path, tuple(header)))
    if len(set(map(str.lower, header))) < len(header):
        raise DataError(f"{path}:1: two columns have the same name; rename one of them")
    if len(rows) < 3:
        raise DataError(f"{path} has {len(rows)} rows; a series needs at least 3 rows")
    lines = [line for line, _ in rows]
    columns = dict(zip(map(str.lower, header), map(list, zip(*(row for _, row in rows)))))
    table = Table(path, lines, columns)
    covariates = covariates.lower()
    for option, column in [
        *(("known", column) for column in covariates.known),
        *(("static", column) for column in covariates.static),
    ]:
        if column not in columns:
            raise UsageError(
                f"--{option} {column} is not a column of {path}; expected one of {', '.join(columns)}"
            )
    if set(LONG_COLUMNS) <= columns.keys():
        return _long(table, name, fill, frequency, covariates)
    dates = [column for column in columns if column in DATE_NAMES] or list(columns)[:1]
    if "close" in columns:
        return _prices(table, name, dates[0], fill)
    names = [column for column in header if column.lower() not in (dates[0], *covariates.known)]
    return _wide(table, name, dates[0], names, fill, frequency, replace(covariates, static=()))


def _prices(table: Table, name: str, date: str, fill: str) -> SeriesData:
    times = table.times(date)
    if times.dtype.kind != "M":
        raise DataError(
            f"{table.place(0, date)}: {table.columns[date][0]!r} is not a date; a file of prices needs dates"
        )
    check_order(times, lambda row: table.place(row, date), table.columns[date])
    notes = []
    close = table.numbers("close")
    known = {column: table.numbers(column) for column in PRICE_COLUMNS if column in table.columns}
    adjusted = next((c for c in ("adjclose", "adj close", "adj_close") if c in table.columns), None)
    if adjusted:
        # Dividends and splits must not look like returns. One factor per day adjusts all prices of the day.
        factor = table.numbers(adjusted) / close
        known = {c: v if c == "volume" else v * factor for c, v in known.items()}
        close = known["close"]
        if not np.allclose(factor, 1):
            notes.append(f"prices are adjusted with the column {adjusted}")
    known.setdefault("volume", np.zeros_like(close))
    known.setdefault("open", np.concatenate([close[:1], close[:-1]]))
    known.setdefault("high", np.maximum(known["open"], close))
    known.setdefault("low", np.minimum(known["open"], close))
    missing = [column for column in PRICE_COLUMNS if column not in table.columns]
    if missing:
        notes.append(
            f"the file has no {', '.join(missing)}; missing prices are derived from the closes and a missing "
            "volume is 0"
        )
    values = np.stack([known[column] for column in PRICE_COLUMNS], 1)
    values, filled = fill_missing(values, fill, lambda row, c: table.place(row, PRICE_COLUMNS[c]))
    notes += [f"{filled} missing values are filled ({fill})"] if filled else []
    stem = (table_name(table.path) or ("series", ""))[0]
    series = checked_prices(Series(stem, times, values), [table.place(row) for row in range(len(times))])
    return SeriesData(name, "prices", [series], Frequency("business"), 5, notes)


def checked_prices(series: Series, places: Sequence[str]) -> Series:
    """Checks prices, and corrects the high and low of each day so that they enclose open and close.

    Args:
        series: the prices.
        places: location of each row in the source, for error messages.

    Raises:
        DataError: a price is missing, zero or negative, or a volume is missing or negative.
    """
    prices, volume = series.values[:, :4], series.values[:, 4:]
    bad = ~(prices > 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{places[row]}: {PRICE_COLUMNS[column]} must be above 0; got {prices[row, column]:g}; fix or "
            "remove the row"
        )
    if not (volume >= 0).all():
        row = int((~(volume[:, 0] >= 0)).argmax())
        raise DataError(f"{places[row]}: volume must be 0 or more; got {volume[row, 0]:g}; fix the row")
    high, low = prices.max(1), prices.min(1)
    return replace(series, values=np.stack([prices[:, 0], high, low, prices[:, 3], volume[:, 0]], 1))


def _long(table: Table, name: str, fill: str, frequency: str | None, covariates: Covariates) -> SeriesData:
    identities = table.columns["unique_id"]
    times, values = table.times("ds"), table.numbers("y")
    order: dict[str, list[int]] = {}
    for row, identity in enumerate(identities):
        order.setdefault(identity, []).append(row)
    groups = [(identity, np.array(rows)) for identity, rows in order.items()]
    cut = [(identity, rows, times[rows], values[rows], "y") for identity, rows in groups]
    return _regular(table, name, cut, "ds", fill, frequency, covariates)


def _wide(
    table: Table,
    name: str,
    date: str,
    names: Sequence[str],
    fill: str,
    frequency: str | None,
    covariates: Covariates,
) -> SeriesData:
    times, rows = table.times(date), np.arange(len(table.lines))
    if not names:
        raise DataError(
            f"{table.path}:1: the header has no series column next to {date!r}; add one column per series"
        )
    groups = [(column, rows, times, table.numbers(column.lower()), column.lower()) for column in names]
    return _regular(table, name, groups, date, fill, frequency, covariates)


def _regular(
    table: Table,
    name: str,
    groups: Sequence[tuple],
    date: str,
    fill: str,
    given: str | None,
    covariates: Covariates,
) -> SeriesData:
    """Returns series that all have the same frequency, with gaps filled according to ``fill``.

    Args:
        table: the file.
        name: name of the source.
        groups: one tuple per series: its name, its row indices in the table, its times, its values, and the
            column of the values.
        date: column of the dates.
        fill: value of ``--fill``.
        given: value of ``--frequency``. None infers the frequency.
        covariates: names of the covariate columns.
    """
    found: list[Series] = []
    common: Frequency | None = FREQUENCIES[given] if given else None
    holes = 0
    beside, fixed = _stacked(table, covariates.known), _stacked(table, covariates.static)
    for identity, rows, times, values, column in groups:
        place = lambda row, rows=rows: table.place(int(rows[row]), date)  # noqa: E731
        check_order(times, place, [table.columns[date][row] for row in rows])
        if len(times) < 3:
            raise DataError(
                f"{place(0)}: series {identity!r} has {len(times)} rows; a series needs at least 3 rows"
            )
        own = infer_frequency(times) if given is None else FREQUENCIES[given]
        own = replace(own, at_end=own.unit == "month" and are_month_ends(times))
        if common is not None and own != common:
            raise DataError(
                f"{place(0)}: series {identity!r} has one row per {own}, but earlier series have one row per "
                f"{common}; train each frequency separately"
            )
        common = own
        static = _static(table, str(identity), fixed[rows], rows, covariates.static)
        cells = np.column_stack([values, beside[rows]])
        times, cells = without_gaps(times, cells, own, fill, place)
        # The last rows may have covariates but no value of the series: these are future rows.
        end = len(cells)
        if covariates.known:
            end -= int(np.isfinite(cells[::-1, 0]).argmax())

        def where(
            row: int, place: int, rows: Any = rows, names: Any = (column, *covariates.known), first: int = 0
        ) -> str:
            return table.place(int(rows[min(row, len(rows) - 1)]), names[place + first])

        values, filled = fill_missing(cells[:end, :1], fill, where)
        known, more = fill_missing(cells[:, 1:], fill, partial(where, first=1))
        holes += filled + more
        start = int((np.isfinite(values).all(1) & np.isfinite(known[:end]).all(1)).argmax())
        found.append(Series(str(identity), times[start:end], values[start:], known[start:], static))
    assert common is not None
    notes = [f"{holes} missing values are filled ({fill})"] if holes else []
    return SeriesData(name, "values", found, common, common.season, notes)


def _stacked(table: Table, columns: Sequence[str]) -> np.ndarray:
    """Returns columns of numbers as one array: ``(rows, columns)``."""
    return np.array([table.numbers(column) for column in columns]).reshape(len(columns), len(table.lines)).T


def _static(
    table: Table, identity: str, cells: np.ndarray, rows: np.ndarray, columns: Sequence[str]
) -> np.ndarray:
    """Returns the static covariates of a series. Raises DataError if they are not the same in all rows.

    Args:
        table: the file.
        identity: name of the series.
        cells: static covariates in each row of the series, ``(n, columns)``.
        rows: rows of the series in the table, ``(n,)``.
        columns: names of the static covariates.
    """
    different = cells != cells[0]  # also True for a missing cell, because NaN differs from itself
    if different.any():
        row, column = np.argwhere(different)[0]
        value = "missing" if np.isnan(cells[row, column]) else f"{cells[row, column]:g}"
        raise DataError(
            f"{table.place(int(rows[row]), columns[column])}: the value is {value}, but {cells[0, column]:g} "
            f"in the first row of series {identity!r}; a static covariate must be constant in each series, "
            "use --known for other covariates"
        )
    return cells[0]
