"""Reads tables of prices."""

from __future__ import annotations

import numpy as np

from apps.forecasting import roles
from apps.forecasting.calendar import Steps
from apps.forecasting.dates import Dates
from apps.forecasting.gaps import fill_missing
from apps.forecasting.prices import checked_prices, complete, split_notes
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from apps.forecasting.table_rows import Rows
from seqmodels.errors import DataError


def read_prices(table_rows: Rows, name: str, dates: Dates, close_column: str) -> SeriesData:
    """Returns the series of prices in a table. Raises DataError if a price is missing or not above 0."""
    table = table_rows.table
    if dates.times.dtype.kind != "M" and table_rows.reading.frequency != "rows":
        raise DataError(
            f"{table_rows.place(0)}: {table_rows.shown(0)!r} is not a date, but prices need dates; "
            "add dates, or use --frequency rows to number the rows"
        )
    notes = []
    groups = [(identity, rows, close_column) for identity, rows in table_rows.groups(dates)]
    parts = table_rows.parts(groups, dates)
    columns = {"close": close_column, **roles.find_prices(table, close_column)}
    known = {role: table_rows.numbers(columns[role]) for role in PRICE_COLUMNS if role in columns}
    keys = roles.keys_of(table)
    adjusted = roles.first_of(roles.ADJUSTED, keys)
    if adjusted == close_column and "close" in keys:
        columns["close"] = keys["close"]
        known["close"] = table_rows.numbers(keys["close"])
    table_rows.used |= {role: [column] for role, column in columns.items()}
    if adjusted and adjusted != columns["close"]:
        # The adjusted close is corrected for dividends and splits. Its ratio to the close
        # corrects all other prices.
        factor = table_rows.numbers(adjusted) / known["close"]
        known = {c: v if c == "volume" else v * factor for c, v in known.items()}
        table_rows.used["adjusted close"] = [adjusted]
        if not np.allclose(factor, 1):
            notes.append(f"prices are adjusted with the column {adjusted.lower()}")
    missing = [column for column in PRICE_COLUMNS if column not in columns]
    if missing:
        notes.append(
            f"the file has no {', '.join(missing)}; missing prices are derived from the closing prices, "
            "and a missing volume is 0"
        )
    found, filled_cells, calendars = [], 0, []
    for part in parts:
        rows = part.rows
        values = complete({role: column[rows] for role, column in known.items()})
        where = lambda row, c, rows=rows: table.where(  # noqa: E731
            int(rows[row]), columns.get(PRICE_COLUMNS[c], close_column)
        )
        values, filled = fill_missing(values, table_rows.reading.fill, where)
        filled_cells += filled
        frequency = table_rows.frequency(part, prices=True)
        if frequency is None and len(parts) > 1:
            raise DataError(
                f"{table_rows.place(int(rows[0]))}: the dates of series {part.name!r} follow no calendar; "
                "set --frequency, or use --frequency rows to number the rows"
            )
        if frequency is None:
            notes.append(
                f"the dates of series {part.name!r} follow no calendar; the rows are numbered instead; "
                "use --frequency to set a calendar"
            )
            frequency, part.dates = Steps(), Dates(np.arange(len(rows)))
        calendars.append(frequency)
        series = Series(part.name, part.dates.times, values, calendar=frequency)
        places = [table.where(int(row)) for row in rows]
        found.append(checked_prices(series, places))
        notes += split_notes(found[-1])
    notes += (
        [f"{filled_cells} missing values are filled by --fill {table_rows.reading.fill}"]
        if filled_cells
        else []
    )
    return SeriesData(name, "prices", found, calendars[0], calendars[0].season, notes)
