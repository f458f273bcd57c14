"""Reads series from tables of prices and tables of values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from apps.forecasting import roles
from apps.forecasting.price_tables import read_prices
from apps.forecasting.records import SeriesData
from apps.forecasting.roles import LONG_COLUMNS
from apps.forecasting.table_rows import Reading, Rows, quoted
from apps.forecasting.value_tables import read_values
from apps.forecasting.week import BUSINESS, Sessions, Weekdays, Weeks
from seqmodels.data.table import Table, cell_text
from seqmodels.data.tables import read_table
from seqmodels.errors import DataError


def read_file(path: Path, name: str, reading: Reading) -> SeriesData:
    """Reads the series of one file.

    Raises:
        UsageError: the extension is not supported, or a chosen column does not exist.
        DataError: the content is invalid. The message names the file, line and column.
    """
    table = read_table(path, encoding=reading.encoding, prefer_utf8=reading.prefer_utf8)
    if roles.is_yahoo_download(table):
        return _read_yahoo_download(table, name, reading)
    return read_rows(table, name, reading)


def read_rows(table: Table, name: str, reading: Reading) -> SeriesData:
    """Returns the series of a table.

    A table with a column of closing prices contains prices. Every other table contains values.
    """
    rows = Rows(table, reading)
    chosen = rows.chosen
    lower = [column.lower() for column in table.columns]
    if len(set(lower)) < len(lower):
        raise DataError(
            f"{table.path}:{table.header_line or 1}: two columns have the same name; rename one of them"
        )
    if len(table) < 3:
        raise DataError(f"{table.path} has {len(table)} rows; a series needs at least 3 rows; add rows")
    keys = roles.keys_of(table)
    long = set(LONG_COLUMNS) <= keys.keys() and not (chosen.id or chosen.target or chosen.close)
    if long:
        chosen = replace(chosen, id=[keys["unique_id"]], date=chosen.date or [keys["ds"]], target=[keys["y"]])
    rows.chosen = chosen
    dates = roles.find_dates(table, chosen)
    close = None if long else roles.find_close(table, chosen)
    rows.used = {"dates": dates, "names of the series": list(chosen.id)}
    found = rows.dates(dates)
    if close is not None:
        series = read_prices(rows, name, found, close)
    else:
        series = read_values(rows, name, found, dates)
    unused = [c for c in table.columns if not any(c in columns for columns in rows.used.values())]
    usual = len(dates) == 1 and roles.key(dates[0]) in (*roles.DATE_NAMES, *roles.MORE_DATE_NAMES)
    if unused or not usual or (chosen.id and not long):
        roles_used = [f"{role}: {quoted(columns)}" for role, columns in rows.used.items() if columns]
        rest = f"; not used: {quoted(unused)}" if unused else ""
        rows.notes.append(f"columns of {table.path}, {', '.join(roles_used)}{rest}")
    rows.notes += _unusual(table, series)
    return replace(series, notes=[*rows.notes, *rows.writing.notes, *series.notes])


def _unusual(table: Table, series: SeriesData) -> list[str]:
    """Returns a note if the calendar of the rows is unusual, such as business hours."""
    frequency = series.frequency
    usual = isinstance(frequency, Weekdays) and (len(frequency.open) == 7 or frequency.open == BUSINESS)
    if usual or not isinstance(frequency, Weekdays | Weeks | Sessions):
        return []
    return [
        f"the rows of {table.path} are read as one row per {frequency}; use --frequency to set another "
        "calendar"
    ]


def _read_yahoo_download(table: Table, name: str, reading: Reading) -> SeriesData:
    """Reads a file of ``yfinance.download(...).to_csv()``.

    The file has three header rows. They contain the kinds of prices (such as ``Close``), the tickers, and the
    name of the date column.
    """
    names = [cell_text(table.frame[column].iloc[0]).strip() for column in table.columns]
    plain = [
        column.rpartition(".")[0] if column.rpartition(".")[2].isdigit() else column
        for column in table.columns
    ]
    fields, tickers = (plain, names) if names[0] == "Ticker" else (names, plain)
    date = cell_text(table.frame.iloc[1, 0]).strip()
    groups: dict[str, dict[str, str]] = {}
    for column, price, ticker in list(zip(table.columns, fields, tickers))[1:]:
        groups.setdefault(ticker, {})[price] = column
    notes = [f"{table.path} has three header rows, as yfinance writes them"]
    parts: list[SeriesData] = []
    for ticker, columns in groups.items():
        frame = table.frame.iloc[2:][[table.columns[0], *columns.values()]].reset_index(drop=True)
        frame.columns = pd.Index([date, *columns])
        filled = (frame[list(columns)].map(cell_text) != "").any(axis=1).to_numpy()
        # All tickers share the rows of the file. If a ticker has no prices on a day, the cells of the ticker
        # are empty. Such a row is dropped for this ticker.
        rows = np.flatnonzero(filled)
        own = Table(
            table.path,
            frame.iloc[rows].reset_index(drop=True),
            table.lines[2:][rows],
            [],
            table.header,
            table.header_line,
        )
        part = read_rows(own, name, reading)
        if parts and part.kind != parts[0].kind:
            raise DataError(
                f"{table.path}:{table.header_line or 1}: the columns of {ticker} differ from the columns of "
                "the first ticker; download the same columns for all tickers"
            )
        parts.append(replace(part, series=[replace(each, name=ticker) for each in part.series]))
        notes += [note for note in part.notes if note not in notes]
    series = [each for part in parts for each in part.series]
    return replace(parts[0], series=series, notes=notes)
