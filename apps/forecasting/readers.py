"""Reads time series from every source that ``--data`` accepts.

=====================  ===================================================================================
``embedded[:market]``  A simulated market with a known true distribution, see ``apps.forecasting.market``.
``embedded:regimes``   A simulated market with a calm and a volatile regime.
``embedded:seasonal``  Simulated monthly series, see ``apps.forecasting.seasonal``.
``FILE``               A ``.csv`` or ``.tsv`` file, also ``.gz``, in one of three formats.
                       Prices: columns date and close; open, high, low and volume are optional.
                       Long: columns ``unique_id`` (the series), ``ds`` (the date) and ``y`` (the value).
                       Wide: a column of dates and one column per series.
``DIR``                A folder of price files, one per stock.
``yahoo:TICKER,...``   Daily prices, downloaded with the package ``yfinance``.
=====================  ===================================================================================

The target of prices is the log-return in percent, ``100 ln(C_t / C_{t-1})``. The dates of prices may be
irregular, because markets close on some days. The target of any other series is its value. The dates of such
a series must be regular. The option ``--fill`` fills gaps.
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
GUESSES = (24, 12, 7, 4, 52, 168)  # candidate season lengths (rows) of series without dates
STRONG = 0.3  # a season is accepted if the differences have a higher autocorrelation at its lag


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
    """Reads the series of a data source.

    Args:
        data: value of ``--data``, see the table at the top of this module.
        fill: treatment of missing values and dates. ``error`` raises an error, ``forward`` repeats the last
            earlier value, and ``zero`` inserts 0. Later values are never used to fill a gap.
        frequency: ``minute``, ``hour``, ``day``, ``business``, ``week``, ``month``, ``quarter``, ``year`` or
            ``step``. None infers the frequency from the dates.
        season: season length in rows. None infers the season from the frequency or the values.
        known: covariate columns whose future values are known. The future values are in additional rows at
            the end of the series. In these rows, the value of the series is empty.
        static: covariate columns of a long file that are constant in each series.
        seed: seed of the simulated data (``embedded``).

    Raises:
        UsageError: ``data`` does not exist, has an unsupported format, or does not have a covariate column.
        DataError: the content is invalid. The message names the location of the error.
    """
    if data.partition(":")[0] == "embedded":
        source = _embedded(data, seed)
    elif data.startswith("yahoo:"):
        source = read_yahoo(data)
    else:
        source = _read_path(data, fill, frequency, Covariates(known, static))
    if known and not source.series[0].known.size:
        raise UsageError(
            f"--known {','.join(known)} applies only to files of values, but {data} holds {source.kind}; "
            "remove --known"
        )
    if static and not source.series[0].static.size:
        raise UsageError(
            f"--static {','.join(static)} needs a long file with the columns {', '.join(LONG_COLUMNS)}; "
            f"convert {data} to this format or remove --static"
        )
    for number, series in enumerate(source.series):
        if np.ptp(source.targets(number)[1:]) == 0:
            raise DataError(f"{data}: series {series.name!r} is constant; remove the series")
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
    from apps.forecasting import (
        market,
        seasonal,
    )  # imported here, because only embedded data needs these modules

    makers: dict[str, Callable[[int], SeriesData]] = {
        "market": market.garch,
        "regimes": market.regimes,
        "seasonal": seasonal.family,
    }
    variant = data.partition(":")[2] or "market"
    if variant not in makers:
        raise UsageError(
            f"{data} is not an embedded data set; expected embedded:{', embedded:'.join(makers)}"
        )
    return replace(makers[variant](seed), name=data)


def read_yahoo(data: str) -> SeriesData:
    """Downloads all available daily prices from Yahoo, adjusted for splits and dividends.

    Raises:
        UsageError: ``data`` has no ticker, or the package ``yfinance`` is not installed.
        DataError: a ticker has no prices, or the download fails.
    """
    tickers = [ticker.strip() for ticker in data.removeprefix("yahoo:").split(",") if ticker.strip()]
    if not tickers:
        raise UsageError(f"{data} has no ticker; expected yahoo:TICKER, for example yahoo:^GSPC")
    try:
        import yfinance
    except ImportError as error:
        raise UsageError(
            f"{data} needs the package yfinance; run python -m pip install -r requirements-yahoo.txt, "
            "or python -m pip install 'seqmodels[yahoo]'"
        ) from error
    found = []
    for ticker in tickers:
        try:
            table = yfinance.Ticker(ticker).history(period="max", interval="1d", auto_adjust=True)
        except Exception as error:
            raise DataError(f"{data}: {ticker} cannot be downloaded ({error}); try again later") from error
        if not len(table):
            raise DataError(
                f"{data}: no prices of {ticker} were found; check the ticker and the network connection"
            )
        columns = [table[name.capitalize()].to_numpy(np.float64) for name in PRICE_COLUMNS]
        times = table.index.tz_localize(None).to_numpy().astype("datetime64[D]").astype("datetime64[s]")
        places = [f"{data}: {ticker}, {date}" for date in times.astype("datetime64[D]")]
        found.append(checked_prices(Series(ticker, times, np.stack(columns, 1)), places))
    return SeriesData(data, "prices", found, Frequency("business"), 5)


def _read_path(data: str, fill: str, frequency: str | None, covariates: Covariates) -> SeriesData:
    path = Path(data)
    if not path.exists():
        raise UsageError(f"{data} does not exist; expected {FORMS}")
    if path.is_dir():
        _, files = list_folder(path)
        files = [file for file in files if (table_name(file) or ("", ""))[1] in DELIMITERS]
        if not files:
            raise UsageError(f"{data} contains no .csv or .tsv file; expected one file of prices per stock")
        parts = [read_file(file, str(file), fill, frequency, covariates) for file in files]
        for file, part in zip(files, parts):
            if part.kind != "prices":
                raise DataError(
                    f"{file} has no 'close' column; all files of a folder must be files of prices"
                )
        return replace(
            parts[0],
            name=data,
            series=[part.series[0] for part in parts],
            notes=[note for part in parts for note in part.notes],
        )
    return read_file(path, data, fill, frequency, covariates)


def _guess(source: SeriesData) -> int:
    """Infers the season length of series without dates from their values.

    For each candidate season length, the autocorrelation of the differences of consecutive values is computed
    at this lag. The result is the candidate with the highest mean autocorrelation over the series. The result
    is 1, no season, if no autocorrelation is above ``STRONG``.
    """
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
