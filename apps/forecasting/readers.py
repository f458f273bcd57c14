"""Time series from everything that ``--data`` may name, how they are split by time, and their windows.

=====================  ===================================================================================
``embedded[:market]``  a simulated market whose true distribution is known, see ``embedded.market``
``embedded:regimes``   one that jumps between calm and storm
``embedded:seasonal``  a family of monthly series, see ``embedded.seasonal``
``FILE``               ``.csv`` or ``.tsv``, also ``.gz``: prices (a date and a close; open, high, low, volume
                       where there are), long (``unique_id,ds,y``), or wide (a date, and a column for each
                       series)
``DIR``                a folder of such price files, one for each stock
``yahoo:TICKER,...``   daily prices by the package ``yfinance``
=====================  ===================================================================================

Prices are what a market is made of: the target is the log-return in percent, ``100 ln(C_t / C_{t-1})``, and
irregular dates are what trading days are. Of all other series the target is the value itself, and their
dates must follow each other without a gap.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from apps.forecasting.calendar import FREQUENCIES, Frequency, are_month_ends, days, infer_frequency
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from seqmodels.data.files import DELIMITERS, list_folder, read_table, read_text, table_name
from seqmodels.errors import DataError, UsageError

LONG_COLUMNS = ("unique_id", "ds", "y")
DATE_NAMES = ("date", "ds", "datetime", "timestamp", "time", "day", "month", "year")
MISSING = {"", "nan", "na", "n/a", "null", "none", "."}
FORMS = "a .csv or .tsv file (also .gz), a folder of price files, embedded or yahoo:TICKER"
GUESSES = (24, 12, 7, 4, 52, 168)  # seasons that a series without dates may have
STRONG = 0.3  # autocorrelation of the differences at the season, from which it is taken for one


def load_series(
    data: str,
    *,
    fill: str = "error",
    frequency: str | None = None,
    season: int | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
    seed: int = 0,
) -> SeriesData:
    """Reads ``data``.

    Args:
        data: see the table at the top.
        fill: what stands for a missing value or date: ``error`` refuses it, ``forward`` repeats the last
            value, ``zero`` puts 0. Nothing is ever filled from the future.
        frequency: ``minute``, ``hour``, ``day``, ``business``, ``week``, ``month``, ``quarter``, ``year`` or
            ``step``; inferred if None.
        season: steps of a season; inferred if None.
        known: columns that are covariates and known in advance; rows at the end in which the series are empty
            give those of the future.
        static: columns of a long file that are covariates and the same in all rows of a series.
        seed: of embedded data.

    Raises:
        UsageError: ``data`` does not exist or has no known form, or has no such columns.
        DataError: what was read is broken; names file, line and column.
    """
    if data.partition(":")[0] == "embedded":
        source = _embedded(data, seed)
    elif data.startswith("yahoo:"):
        source = read_yahoo(data)
    else:
        source = _read_path(data, fill, frequency, _Covariates(known, static))
    if known and not source.series[0].known.size:
        raise UsageError(f"--known {','.join(known)}: is for files of values; {data} holds {source.kind}")
    if static and not source.series[0].static.size:
        raise UsageError(
            f"--static {','.join(static)}: is for long files, of {', '.join(LONG_COLUMNS)}; {data} is none"
        )
    for number, series in enumerate(source.series):
        if np.ptp(source.targets(number)[1:]) == 0:
            raise DataError(f"{data}: {series.name} is constant; leave it out, there is nothing to forecast")
    inferred = source.season if source.season > 1 or source.frequency.unit != "step" else _guess(source)
    digest = hashlib.sha256(source.kind.encode())
    for series in source.series:
        digest.update(series.name.encode())
        digest.update(days(series.times).tobytes())
        digest.update(series.values.tobytes())
        digest.update(series.known.tobytes())
        digest.update(series.static.tobytes())
    return replace(source, season=season or inferred, sha256=digest.hexdigest())


def _embedded(data: str, seed: int) -> SeriesData:
    from apps.forecasting import market, seasonal  # they are made of this module's records

    makers: dict[str, Callable[[int], SeriesData]] = {
        "market": market.garch,
        "regimes": market.regimes,
        "seasonal": seasonal.family,
    }
    variant = data.partition(":")[2] or "market"
    if variant not in makers:
        raise UsageError(f"{data}: no such embedded series; expected embedded:{', embedded:'.join(makers)}")
    return replace(makers[variant](seed), name=data)


def read_yahoo(data: str) -> SeriesData:
    """Daily prices of all years that Yahoo has, adjusted for splits and dividends.

    Raises:
        UsageError: the package ``yfinance`` is not installed.
        DataError: there is nothing under that ticker, or no network.
    """
    tickers = [ticker.strip() for ticker in data.removeprefix("yahoo:").split(",") if ticker.strip()]
    if not tickers:
        raise UsageError(f"{data}: names no ticker; expected yahoo:TICKER, for example yahoo:^GSPC")
    try:
        import yfinance
    except ImportError as error:
        raise UsageError(
            f"{data}: needs the package yfinance; python -m pip install -r requirements-yahoo.txt "
            "or 'seqmodels[yahoo]'"
        ) from error
    found = []
    for ticker in tickers:
        try:
            table = yfinance.Ticker(ticker).history(period="max", interval="1d", auto_adjust=True)
        except Exception as error:
            raise DataError(f"{data}: {ticker} cannot be downloaded ({error}); try again later") from error
        if not len(table):
            raise DataError(f"{data}: there are no prices of {ticker}; check the ticker and the network")
        columns = [table[name.capitalize()].to_numpy(np.float64) for name in PRICE_COLUMNS]
        times = table.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype("datetime64[s]")
        places = [f"{data}: {ticker}, {date}" for date in times.astype("datetime64[D]")]
        found.append(_checked_prices(Series(ticker, times, np.stack(columns, 1)), places))
    return SeriesData(data, "prices", found, Frequency("business"), 5)


def _read_path(data: str, fill: str, frequency: str | None, covariates: _Covariates) -> SeriesData:
    path = Path(data)
    if not path.exists():
        raise UsageError(f"{data}: no such file or folder; expected {FORMS}")
    if path.is_dir():
        _, files = list_folder(path)
        files = [file for file in files if (table_name(file) or ("", ""))[1] in DELIMITERS]
        if not files:
            raise UsageError(f"{data}: has no .csv or .tsv file; expected one file of prices for each stock")
        parts = [_read_file(file, str(file), fill, frequency, covariates) for file in files]
        for file, part in zip(files, parts):
            if part.kind != "prices":
                raise DataError(f"{file}: has no 'close' column; a folder holds files of prices only")
        return replace(
            parts[0],
            name=data,
            series=[part.series[0] for part in parts],
            notes=[note for part in parts for note in part.notes],
        )
    return _read_file(path, data, fill, frequency, covariates)


@dataclass(frozen=True)
class _Covariates:
    """Names of columns, as the user wrote them: known in advance, and the same in all rows of a series."""

    known: Sequence[str] = ()
    static: Sequence[str] = ()

    def lower(self) -> _Covariates:
        return _Covariates([name.lower() for name in self.known], [name.lower() for name in self.static])


@dataclass(frozen=True)
class _Table:
    """The cells of a file: its lines, and by lower-case name each column's text."""

    path: Path
    lines: list[int]
    columns: dict[str, list[str]]

    def place(self, row: int, column: str = "") -> str:
        return f"{self.path}:{self.lines[row]}" + (f", column {column!r}" if column else "")

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64; missing cells are not a number.

        Raises:
            DataError: a cell that is neither a number nor missing, or is infinite.
        """
        cells = self.columns[column]
        try:
            numbers = np.array([cell or "nan" for cell in cells], np.float64)
        except ValueError:
            numbers = np.array([self._number(row, column, cell) for row, cell in enumerate(cells)])
        if np.isinf(numbers).any():
            row = int(np.isinf(numbers).argmax())
            raise DataError(f"{self.place(row, column)}: {cells[row]!r} is no finite number")
        return numbers

    def _number(self, row: int, column: str, cell: str) -> float:
        if cell.strip().lower() in MISSING:
            return math.nan
        try:
            return float(cell)
        except ValueError:
            raise DataError(
                f"{self.place(row, column)}: {cell!r} is no number; expected one like 1234.5"
            ) from None

    def times(self, column: str) -> np.ndarray:
        """A column of dates or whole numbers, ``(rows,)`` datetime64[s] or int64.

        Raises:
            DataError: a cell that is neither.
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
                f"{self.place(row, column)}: {cell!r} is no date; expected one like 2024-01-31 or "
                "2024-01-31 13:00"
            ) from None


def _read_file(
    path: Path, name: str, fill: str, frequency: str | None, covariates: _Covariates
) -> SeriesData:
    suffix = (table_name(path) or ("", ""))[1]
    if suffix not in DELIMITERS:
        raise UsageError(
            f"{path}: unsupported extension; expected {', '.join(DELIMITERS)}, or these with .gz"
        )
    content = read_text(path)
    if not content.strip():
        raise DataError(f"{path} is empty; expected a header and rows")
    first = content.lstrip("\r\n").split("\n", 1)[0].rstrip("\r")
    header = [cell.strip().strip('"') for cell in first.split(DELIMITERS[suffix])]
    rows = list(read_table(path, tuple(header)))
    if len(set(map(str.lower, header))) < len(header):
        raise DataError(f"{path}:1: two columns have the same name; rename one")
    if len(rows) < 3:
        raise DataError(f"{path}: has {len(rows)} rows; a series has at least 3")
    lines = [line for line, _ in rows]
    columns = dict(zip(map(str.lower, header), map(list, zip(*(row for _, row in rows)))))
    table = _Table(path, lines, columns)
    covariates = covariates.lower()
    for option, column in [
        *(("known", column) for column in covariates.known),
        *(("static", column) for column in covariates.static),
    ]:
        if column not in columns:
            raise UsageError(f"--{option} {column}: {path} has no such column, only {', '.join(columns)}")
    if set(LONG_COLUMNS) <= columns.keys():
        return _long(table, name, fill, frequency, covariates)
    dates = [column for column in columns if column in DATE_NAMES] or list(columns)[:1]
    if "close" in columns:
        return _prices(table, name, dates[0], fill)
    names = [column for column in header if column.lower() not in (dates[0], *covariates.known)]
    return _wide(table, name, dates[0], names, fill, frequency, replace(covariates, static=()))


def _prices(table: _Table, name: str, date: str, fill: str) -> SeriesData:
    times = table.times(date)
    if times.dtype.kind != "M":
        raise DataError(f"{table.place(0, date)}: {table.columns[date][0]!r} is no date; prices need dates")
    _check_order(times, lambda row: table.place(row, date), table.columns[date])
    notes = []
    close = table.numbers("close")
    known = {column: table.numbers(column) for column in PRICE_COLUMNS if column in table.columns}
    adjusted = next((c for c in ("adjclose", "adj close", "adj_close") if c in table.columns), None)
    if adjusted:
        # Dividends and splits are no returns: all prices of a day are multiplied by the same factor.
        factor = table.numbers(adjusted) / close
        known = {c: v if c == "volume" else v * factor for c, v in known.items()}
        close = known["close"]
        if not np.allclose(factor, 1):
            notes.append(f"prices are adjusted by {adjusted}")
    known.setdefault("volume", np.zeros_like(close))
    known.setdefault("open", np.concatenate([close[:1], close[:-1]]))
    known.setdefault("high", np.maximum(known["open"], close))
    known.setdefault("low", np.minimum(known["open"], close))
    missing = [column for column in PRICE_COLUMNS if column not in table.columns]
    if missing:
        notes.append(f"no {', '.join(missing)}: the range of a day is that from close to close")
    values = np.stack([known[column] for column in PRICE_COLUMNS], 1)
    values, filled = _fill(values, fill, lambda row, c: table.place(row, PRICE_COLUMNS[c]))
    notes += [f"{filled} missing values are filled ({fill})"] if filled else []
    stem = (table_name(table.path) or ("series", ""))[0]
    series = _checked_prices(Series(stem, times, values), [table.place(row) for row in range(len(times))])
    return SeriesData(name, "prices", [series], Frequency("business"), 5, notes)


def _checked_prices(series: Series, places: Sequence[str]) -> Series:
    """Prices that are possible; the day's range is widened to hold open and close.

    Raises:
        DataError: a price that is missing, zero or negative, or a negative volume.
    """
    prices, volume = series.values[:, :4], series.values[:, 4:]
    bad = ~(prices > 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{places[row]}: {PRICE_COLUMNS[column]} is {prices[row, column]:g}; a price is above 0: mend or "
            "remove the row"
        )
    if not (volume >= 0).all():
        row = int((~(volume[:, 0] >= 0)).argmax())
        raise DataError(f"{places[row]}: volume is {volume[row, 0]:g}; expected 0 or more")
    high, low = prices.max(1), prices.min(1)
    return replace(series, values=np.stack([prices[:, 0], high, low, prices[:, 3], volume[:, 0]], 1))


def _long(table: _Table, name: str, fill: str, frequency: str | None, covariates: _Covariates) -> SeriesData:
    identities = table.columns["unique_id"]
    times, values = table.times("ds"), table.numbers("y")
    order: dict[str, list[int]] = {}
    for row, identity in enumerate(identities):
        order.setdefault(identity, []).append(row)
    groups = [(identity, np.array(rows)) for identity, rows in order.items()]
    cut = [(identity, rows, times[rows], values[rows], "y") for identity, rows in groups]
    return _regular(table, name, cut, "ds", fill, frequency, covariates)


def _wide(
    table: _Table,
    name: str,
    date: str,
    names: Sequence[str],
    fill: str,
    frequency: str | None,
    covariates: _Covariates,
) -> SeriesData:
    times, rows = table.times(date), np.arange(len(table.lines))
    if not names:
        raise DataError(f"{table.path}:1: has no column beside {date!r}; expected one for each series")
    groups = [(column, rows, times, table.numbers(column.lower()), column.lower()) for column in names]
    return _regular(table, name, groups, date, fill, frequency, covariates)


def _regular(
    table: _Table,
    name: str,
    groups: Sequence[tuple],
    date: str,
    fill: str,
    given: str | None,
    covariates: _Covariates,
) -> SeriesData:
    """Series whose steps are all of one size, filled where ``fill`` says so."""
    found: list[Series] = []
    common: Frequency | None = FREQUENCIES[given] if given else None
    holes = 0
    beside, fixed = _stacked(table, covariates.known), _stacked(table, covariates.static)
    for identity, rows, times, values, column in groups:
        place = lambda row, rows=rows: table.place(int(rows[row]), date)  # noqa: E731
        _check_order(times, place, [table.columns[date][row] for row in rows])
        if len(times) < 3:
            raise DataError(f"{place(0)}: series {identity!r} has {len(times)} rows; a series has at least 3")
        own = infer_frequency(times) if given is None else FREQUENCIES[given]
        own = replace(own, at_end=own.unit == "month" and are_month_ends(times))
        if common is not None and own != common:
            raise DataError(
                f"{place(0)}: series {identity!r} has one row a {own}, others one a {common}; "
                "train each frequency by itself"
            )
        common = own
        static = _static(table, str(identity), fixed[rows], rows, covariates.static)
        cells = np.column_stack([values, beside[rows]])
        times, cells = _without_gaps(times, cells, own, fill, place)
        # Rows to come: the covariates are there, and the series is not.
        end = len(cells)
        if covariates.known:
            end -= int(np.isfinite(cells[::-1, 0]).argmax())

        def where(
            row: int, place: int, rows: Any = rows, names: Any = (column, *covariates.known), first: int = 0
        ) -> str:
            return table.place(int(rows[min(row, len(rows) - 1)]), names[place + first])

        values, filled = _fill(cells[:end, :1], fill, where)
        known, more = _fill(cells[:, 1:], fill, partial(where, first=1))
        holes += filled + more
        start = int((np.isfinite(values).all(1) & np.isfinite(known[:end]).all(1)).argmax())
        found.append(Series(str(identity), times[start:end], values[start:], known[start:], static))
    assert common is not None
    notes = [f"{holes} missing values are filled ({fill})"] if holes else []
    return SeriesData(name, "values", found, common, common.season, notes)


def _stacked(table: _Table, columns: Sequence[str]) -> np.ndarray:
    """Columns of numbers side by side: ``(rows, columns)``."""
    return np.array([table.numbers(column) for column in columns]).reshape(len(columns), len(table.lines)).T


def _static(
    table: _Table, identity: str, cells: np.ndarray, rows: np.ndarray, columns: Sequence[str]
) -> np.ndarray:
    """The row that all rows ``cells (n, columns)`` of a series are; raises DataError where they differ."""
    different = cells != cells[0]  # also where a cell is missing, which is not even itself
    if different.any():
        row, column = np.argwhere(different)[0]
        value = "missing" if np.isnan(cells[row, column]) else f"{cells[row, column]:g}"
        raise DataError(
            f"{table.place(int(rows[row]), columns[column])}: is {value}, and {cells[0, column]:g} in the "
            f"first row of series {identity!r}; a static covariate is the same in all its rows, others are "
            "--known"
        )
    return cells[0]


def _without_gaps(
    times: np.ndarray, values: np.ndarray, frequency: Frequency, fill: str, place: Callable[[int], str]
) -> tuple[np.ndarray, np.ndarray]:
    """The rows with those that are missing put in as not a number.

    Raises:
        DataError: dates are missing and ``fill`` is ``error``, or a date lies between two steps.
    """
    if frequency.unit == "business":
        first = times[0].astype("datetime64[D]")
        index = np.busday_count(first, times.astype("datetime64[D]"))
    elif frequency.unit == "month":
        months = times.astype("datetime64[M]").astype(np.int64)
        index, rest = np.divmod(months - months[0], frequency.size)
        _check_between(rest, frequency, place)
    else:
        index, rest = np.divmod((times - times[0]).astype(np.int64), frequency.size)
        _check_between(rest, frequency, place)
    steps = np.diff(index)
    if (steps < 1).any():
        row = int((steps < 1).argmax()) + 1
        raise DataError(f"{place(row)}: is in the same {frequency} as the row before; give one row for each")
    missing = int(index[-1] + 1 - len(index))
    if missing and fill == "error":
        row = int((steps > 1).argmax()) + 1
        raise DataError(
            f"{place(row)}: {steps[row - 1] - 1} rows are missing before it (one row a {frequency}); "
            "add them, or --fill forward or zero, or --frequency"
        )
    if not missing:
        return times, values
    full = np.full((index[-1] + 1, values.shape[1]), np.nan)
    full[index] = values
    between = frequency.after(times[0], int(index[-1]))
    whole = np.concatenate([times[:1], between.astype(times.dtype)])
    whole[index] = times
    return whole, full


def _check_between(rest: np.ndarray, frequency: Frequency, place: Callable[[int], str]) -> None:
    if rest.any():
        row = int((rest > 0).argmax())
        raise DataError(
            f"{place(row)}: lies between two steps (one row a {frequency}); the frequencies are mixed: bring "
            "the rows to one, or name it with --frequency"
        )


def _check_order(times: np.ndarray, place: Callable[[int], str], cells: Sequence[str]) -> None:
    steps = np.diff(times).astype(np.int64)
    if (steps <= 0).any():
        row = int((steps <= 0).argmax()) + 1
        wrong = "is there twice" if steps[row - 1] == 0 else f"is before {cells[row - 1]}, the row above"
        raise DataError(f"{place(row)}: {cells[row]} {wrong}; sort the rows by date, each date once")


def _fill(values: np.ndarray, fill: str, place: Callable[[int, int], str]) -> tuple[np.ndarray, int]:
    """Values without missing ones, and how many were filled; leading ones stay missing under ``forward``."""
    missing = np.isnan(values)
    if not missing.any():
        return values, 0
    if fill == "error":
        row, column = np.argwhere(missing)[0]
        raise DataError(
            f"{place(int(row), int(column))}: is missing; --fill forward or zero puts a value there"
        )
    if fill == "zero":
        return np.where(missing, 0.0, values), int(missing.sum())
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(values))[:, None]), axis=0)
    filled = np.where(last < 0, np.nan, np.take_along_axis(values, np.maximum(last, 0), axis=0))
    return filled, int(missing.sum() - np.isnan(filled).sum())


def _guess(source: SeriesData) -> int:
    """The season of series without dates: where their differences repeat themselves most, or 1."""
    best, strongest = 1, STRONG
    for season in GUESSES:
        found = []
        for series in source.series:
            change = np.diff(series.values[: int(0.7 * len(series)), 0])
            if len(change) > 3 * season and change.std() > 0:
                change = (change - change.mean()) / change.std()
                found.append(float(np.mean(change[season:] * change[:-season])))
        if found and np.mean(found) > strongest:
            best, strongest = season, float(np.mean(found))
    return best
