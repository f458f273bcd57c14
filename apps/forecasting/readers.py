"""Reads time series from every source that ``--data`` accepts.

=====================  ===================================================================================
``embedded[:market]``  A simulated market with a known true distribution, see ``apps.forecasting.market``.
``embedded:regimes``   A simulated market with a calm and a volatile regime.
``embedded:seasonal``  Simulated monthly series, see ``apps.forecasting.seasonal``.
``FILE``               A table in any format of ``seqmodels.data.tables``, with one of three kinds
                       of columns.
                       Prices: a date and a close; open, high, low and volume are optional.
                       Long: ``unique_id,ds,y``, or the columns of ``--id``, ``--date`` and ``--target``.
                       Wide: a date and one column per series.
``DIR``                A folder of price files, one per stock.
``yahoo:TICKER,...``   Daily prices, downloaded with the package ``yfinance``.
=====================  ===================================================================================

For prices, the target is the log-return in percent, ``100 ln(C_t / C_{t-1})``. The dates may be irregular,
because markets close on some days. For all other series, the target is the value itself, and the dates must
be regular. ``--fill`` fills gaps. The calendar is inferred from the rows, see ``apps.forecasting.calendar``.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from apps.forecasting.calendar import Fixed, Frequency, Steps, days
from apps.forecasting.checks import early_ends, with_holidays, without_constant
from apps.forecasting.frequencies import FREQUENCIES
from apps.forecasting.holiday import split_names
from apps.forecasting.prices import checked_prices
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from apps.forecasting.roles import LONG_COLUMNS, Chosen
from apps.forecasting.tables import Reading, read_file
from apps.forecasting.week import Weekdays
from seqmodels.data.files import list_folder
from seqmodels.data.tables import FORMATS, table_name
from seqmodels.errors import DataError, UsageError

FORMS = "a table, a folder of price files, embedded or yahoo:TICKER"
GUESSES = (24, 12, 7, 4, 52, 168)  # candidate season lengths of series without dates
STRONG = 0.3  # minimum autocorrelation of the changes from row to row at the lag of a season


def load_series(
    data: str,
    *,
    fill: str = "error",
    frequency: str | None = None,
    season: int | None = None,
    known: Sequence[str] = (),
    static: Sequence[str] = (),
    seed: int = 0,
    date: Sequence[str] = (),
    id: Sequence[str] = (),
    target: Sequence[str] = (),
    close: str | None = None,
    date_format: str | None = None,
    holidays: str = "",
    encoding: str | None = None,
    prefer_utf8: bool = False,
    expected: Frequency | None = None,
) -> SeriesData:
    """Reads the series that ``data`` names.

    Args:
        data: name of the source, see the table at the top of this module.
        fill: treatment of missing values and dates. ``error`` raises DataError. ``forward`` repeats the last
            earlier value. ``zero`` inserts 0. Later values are never used.
        frequency: a name in ``FREQUENCIES``, or ``rows`` to number the rows. Default: inferred.
        season: season length in rows. Default: inferred.
        known: covariate columns whose future values are known. The last rows of the data contain these future
            values. In these rows, the columns of ``target`` are empty.
        static: covariate columns that are constant in each series. Each row must contain the name of its
            series. Therefore ``id`` must be set, or the file must have the columns ``unique_id,ds,y``.
        seed: seed of embedded data.
        date: columns of the dates. Default: found by name and content.
        id: columns with the names of the series, for a table in which one column contains the values of
            several series.
        target: columns to forecast.
        close: column of closing prices.
        date_format: format of ``strptime`` for ambiguous dates.
        holidays: countries or one exchange. The holidays of a country become known covariates. On the
            holidays of an exchange, no rows are expected.
        encoding: encoding of text files. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to files that are not UTF-8.
        expected: calendar of the training. It is used if the rows of ``data`` fit this calendar.

    Raises:
        UsageError: ``data`` does not exist, has an unsupported format, or lacks a chosen column.
        DataError: the content is invalid. The message names the file, line and column.
    """
    countries, exchange = split_names(holidays) if holidays else ([], "")
    if data.partition(":")[0] == "embedded" or data.startswith("yahoo:"):
        source = _embedded(data, seed) if data.startswith("embedded") else read_yahoo(data)
        chosen = {
            "--date": date,
            "--id": id,
            "--target": target,
            "--close": close,
            "--date-format": date_format,
        }
        for option, value in chosen.items():
            if value:
                shown = value if isinstance(value, str) else ",".join(value)
                raise UsageError(
                    f"{option} {shown} applies only to files, but --data is {data}; remove {option}"
                )
        if frequency is not None and FREQUENCIES.get(frequency) != source.frequency:
            raise UsageError(
                f"--frequency {frequency} does not apply to {data}, which has one row per "
                f"{source.frequency}; remove --frequency"
            )
        if exchange:
            if not isinstance(source.frequency, Weekdays) or data.startswith("embedded"):
                raise UsageError(f"--holidays {exchange} does not apply to {data}; remove --holidays")
            source = replace(source, frequency=replace(source.frequency, exchange=exchange))
    else:
        columns = Chosen(date, id, target, close, known, static)
        reading = Reading(fill, frequency, columns, date_format, exchange, encoding, expected, prefer_utf8)
        source = _read_path(data, reading)
    if known and not source.series[0].known.size:
        raise UsageError(
            f"--known {','.join(known)} does not apply to {data}. Prices and embedded data have no known "
            "covariates; remove --known"
        )
    if static and not source.series[0].static.size:
        raise UsageError(
            f"--static {','.join(static)} does not apply to {data}. Static covariates need the option "
            f"--id or a file with the columns {', '.join(LONG_COLUMNS)}; remove --static"
        )
    source = without_constant(source)
    if countries:
        source = with_holidays(source, countries)
    notes = [*source.notes, *early_ends(source)]
    return replace(source, notes=notes, season=season or _season(source), sha256=_digest(source))


def _digest(source: SeriesData) -> str:
    digest = hashlib.sha256(source.kind.encode())
    for series in source.series:
        digest.update(series.name.encode())
        digest.update(days(series.times).tobytes())
        digest.update(series.values.tobytes())
        digest.update(series.known.tobytes())
        digest.update(series.static.tobytes())
    return digest.hexdigest()


def _season(source: SeriesData) -> int:
    """Returns the season length in rows. Usually, the calendar determines the season length.

    In these cases, the season length is inferred from the values instead:

    - The series have no dates.
    - The time between two rows is not a whole number of seconds.
    - The rows are less than an hour apart, and the shortest series has at most one season of the calendar.
    """
    shortest = min(len(series) for series in source.series)
    if isinstance(source.frequency, Fixed) and source.frequency.seconds < 3600 and source.season >= shortest:
        return _guess(source)
    fine = isinstance(source.frequency, Fixed) and source.frequency.nanoseconds > 0
    undated = isinstance(source.frequency, Steps) or fine
    return _guess(source) if source.season <= 1 and undated else source.season


def _embedded(data: str, seed: int) -> SeriesData:
    from apps.forecasting import market, seasonal  # imported only for embedded data

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
    return SeriesData(data, "prices", found, Weekdays(), 5)


def _read_path(data: str, reading: Reading) -> SeriesData:
    path = Path(data)
    if not path.exists():
        raise UsageError(f"{data} does not exist; expected {FORMS}")
    if not path.is_dir():
        return read_file(path, data, reading)
    _, files = list_folder(path)
    files = [file for file in files if table_name(file)]
    if not files:
        raise UsageError(
            f"{data} contains no table ({', '.join(FORMATS)}); expected one file of prices per stock"
        )
    parts = [read_file(file, str(file), reading) for file in files]
    for file, part in zip(files, parts):
        if part.kind != "prices":
            raise DataError(
                f"{file} has no column 'close', but all files of a folder must contain prices; name the "
                "column of closing prices with --close"
            )
    series = [each for part in parts for each in part.series]
    calendars = list(dict.fromkeys(each.calendar or part.frequency for part in parts for each in part.series))
    different = next((each for each in calendars if each.step != calendars[0].step), None)
    if different is not None and not (different.daily and calendars[0].daily):
        file = next(file for file, part in zip(files, parts) if part.frequency == different)
        raise DataError(
            f"{file} has one row per {different}, but {files[0]} has one row per {calendars[0]}; train one "
            "model per frequency"
        )
    # Notes that differ only in the name of the file are merged into one note.
    texts = Counter(
        note.replace(str(file), "FILE") for file, part in zip(files, parts) for note in part.notes
    )
    notes = [
        text.replace("FILE", str(path)) + (f" ({count} files)" if count > 1 else "")
        for text, count in texts.items()
    ]
    return replace(parts[0], name=data, series=series, notes=notes)


def _guess(source: SeriesData) -> int:
    """Infers the season length from the values. Returns 1 if the series have no clear season.

    The function computes the changes from row to row, and their autocorrelation at each lag in ``GUESSES``.
    The lag with the highest mean autocorrelation over all series is the season length.
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
