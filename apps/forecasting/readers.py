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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from apps.forecasting.calendar import Frequency, days
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from apps.forecasting.tables import LONG_COLUMNS, Covariates, checked_prices, read_file
from seqmodels.data.files import DELIMITERS, list_folder, table_name
from seqmodels.errors import DataError, UsageError

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
        source = _read_path(data, fill, frequency, Covariates(known, static))
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
        found.append(checked_prices(Series(ticker, times, np.stack(columns, 1)), places))
    return SeriesData(data, "prices", found, Frequency("business"), 5)


def _read_path(data: str, fill: str, frequency: str | None, covariates: Covariates) -> SeriesData:
    path = Path(data)
    if not path.exists():
        raise UsageError(f"{data}: no such file or folder; expected {FORMS}")
    if path.is_dir():
        _, files = list_folder(path)
        files = [file for file in files if (table_name(file) or ("", ""))[1] in DELIMITERS]
        if not files:
            raise UsageError(f"{data}: has no .csv or .tsv file; expected one file of prices for each stock")
        parts = [read_file(file, str(file), fill, frequency, covariates) for file in files]
        for file, part in zip(files, parts):
            if part.kind != "prices":
                raise DataError(f"{file}: has no 'close' column; a folder holds files of prices only")
        return replace(
            parts[0],
            name=data,
            series=[part.series[0] for part in parts],
            notes=[note for part in parts for note in part.notes],
        )
    return read_file(path, data, fill, frequency, covariates)


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
