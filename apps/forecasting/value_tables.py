"""Reads tables of values: one column per series (wide), or all series in one column (long)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from apps.forecasting import roles
from apps.forecasting.calendar import Frequency
from apps.forecasting.checks import listed
from apps.forecasting.dates import Dates
from apps.forecasting.gaps import fill_missing, without_gaps
from apps.forecasting.numbers import is_number
from apps.forecasting.observed import fits
from apps.forecasting.records import Series, SeriesData
from apps.forecasting.table_rows import JOINED, LEAST, Part, Rows, quoted
from seqmodels.errors import DataError, UsageError


def read_values(table_rows: Rows, name: str, dates: Dates, date_columns: list[str]) -> SeriesData:
    """Returns the series of a wide or long table. All series have the same calendar."""
    table, chosen = table_rows.table, table_rows.chosen
    taken = {*date_columns, *chosen.id, *chosen.known, *chosen.static}
    targets = list(chosen.target) or [c for c in table.columns if c not in taken]
    if not chosen.target:
        # A column with at least one number is a series. Texts in such a column are errors.
        targets = [c for c in targets if is_number(table.frame[c]) and not roles.is_counter(table, c)]
        keys = roles.keys_of(table)
        if chosen.id and len(targets) > 1:
            if "y" not in keys:
                raise UsageError(
                    f"--id {','.join(chosen.id)} needs --target, because {table.path} has several columns of "
                    f"numbers: {quoted(targets)}; set --target to one or more of them"
                )
            targets = [keys["y"]]
        if not chosen.id and table_rows.reading.columns.static:
            targets = [column for column in targets if column not in chosen.static]
    if not targets:
        after = f" next to {date_columns[0]!r}" if date_columns else ""
        raise DataError(
            f"{table.path}:{table.header_line or 1}: the table has no column of numbers{after}; add one "
            "column per series"
        )
    table_rows.used |= {"values": targets, "known": list(chosen.known), "static": list(chosen.static)}
    several = len(targets) > 1
    groups = [
        (column if not chosen.id else f"{identity}{JOINED}{column}" if several else identity, rows, column)
        for identity, rows in table_rows.groups(dates)
        for column in targets
    ]
    return _regular(table_rows, name, table_rows.parts(groups, dates))


def _regular(table_rows: Rows, name: str, parts: list[Part]) -> SeriesData:
    """Returns the series with one common calendar. ``--fill`` fills missing rows and values."""
    table, fill, chosen = table_rows.table, table_rows.reading.fill, table_rows.chosen
    static_columns = chosen.static if chosen.id else ()
    values = {column: table_rows.numbers(column) for column in dict.fromkeys(part.column for part in parts)}
    if len(parts) > 1 and fill == "error":
        parts = _without_edges(table_rows, parts, values)
    beside, fixed = _stacked(table_rows, chosen.known), _stacked(table_rows, static_columns)
    common = _common(table_rows, parts)
    found: list[Series] = []
    holes = 0
    for part in parts:
        rows = part.rows
        place = lambda row, rows=rows: table_rows.place(int(rows[row]))  # noqa: E731
        static = _static(table_rows, part.name, fixed[rows], rows, static_columns)
        cells = np.column_stack([values[part.column][rows], beside[rows]])
        times, cells = without_gaps(part.dates.times, cells, common, fill, place, part.dates.local)
        # Future rows at the end have covariates but no value of the series.
        end = len(cells)
        if chosen.known:
            end -= int(np.isfinite(cells[::-1, 0]).argmax())

        def where(
            row: int,
            place: int,
            rows: np.ndarray = rows,
            names: Sequence[str] = (part.column, *chosen.known),
            first: int = 0,
        ) -> str:
            return table.where(int(rows[min(row, len(rows) - 1)]), names[place + first])

        filled_values, filled = fill_missing(cells[:end, :1], fill, where)
        known, more = fill_missing(cells[:, 1:], fill, partial(where, first=1))
        holes += filled + more
        start = int((np.isfinite(filled_values).all(1) & np.isfinite(known[:end]).all(1)).argmax())
        found.append(Series(part.name, times[start:end], filled_values[start:], known[start:], static))
    notes = [f"{holes} missing values are filled by --fill {fill}"] if holes else []
    return SeriesData(name, "values", found, common, common.season, notes)


def _without_edges(table_rows: Rows, parts: list[Part], values: dict[str, np.ndarray]) -> list[Part]:
    """Removes the empty cells before the first value and after the last value of each series.

    In a table of several series, such cells mean that a series starts later or ends earlier than other
    series. With known covariates, empty cells at the end are future rows and are kept. Series with fewer than
    ``LEAST`` values are left out. Notes with the names of the changed series are added to
    ``table_rows``.

    Raises:
        DataError: no series has enough rows.
    """
    found, shorter, short = [], [], []
    for part in parts:
        filled = np.flatnonzero(np.isfinite(values[part.column][part.rows]))
        if len(filled) < LEAST:
            short.append(part.name)
            continue
        end = len(part.rows) if table_rows.chosen.known else int(filled[-1]) + 1
        span = np.arange(filled[0], end)
        if len(span) < len(part.rows):
            shorter.append(part.name)
        found.append(Part(part.name, part.rows[span], part.dates.rows(span), part.column))
    if not found:
        raise DataError(f"{table_rows.table.path} has no series with at least {LEAST} values; add rows")
    count, path = len(parts), table_rows.table.path
    if shorter:
        table_rows.notes.append(
            f"{len(shorter)} of {count} series of {path} start later or end earlier than the table, because "
            f"their first or last cells are empty: {listed(shorter)}"
        )
    if short:
        table_rows.notes.append(
            f"{len(short)} of {count} series of {path} have fewer than {LEAST} values and are left out: "
            f"{listed(short)}"
        )
    return found


def _common(table_rows: Rows, parts: list[Part]) -> Frequency:
    """Returns a calendar that fits the rows of all series."""
    own: list[tuple[int, Part, Frequency]] = []
    for part in parts:
        frequency = table_rows.frequency(part, prices=False)
        assert frequency is not None  # Only series of prices may have no calendar.
        own.append((len(part.rows), part, frequency))
    first = own[0][2]
    if all(frequency == first for _, _, frequency in own):
        return first
    for _, _, candidate in sorted(own, key=lambda each: -each[0]):
        if all(frequency == candidate or fits(candidate, p.observed(False)) for _, p, frequency in own):
            return candidate
    part, other = next((part, frequency) for _, part, frequency in own if frequency != first)
    raise DataError(
        f"{table_rows.place(int(part.rows[0]))}: series {part.name!r} has one row per {other}, but earlier "
        f"series have one row per {first}; train one model per frequency"
    )


def _stacked(table_rows: Rows, columns: Sequence[str]) -> np.ndarray:
    """Returns columns of numbers as one array: ``(rows, columns)``."""
    return (
        np.array([table_rows.numbers(column) for column in columns])
        .reshape(len(columns), len(table_rows.table))
        .T
    )


def _static(
    table_rows: Rows, identity: str, cells: np.ndarray, rows: np.ndarray, columns: Sequence[str]
) -> np.ndarray:
    """Returns the static covariates of a series. Raises DataError if they differ between rows.

    Args:
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
            f"{table_rows.table.where(int(rows[row]), columns[column])}: the value is {value}, but "
            f"the first row of series {identity!r} has the value {cells[0, column]:g}; a static covariate "
            "must be constant in each series; use --known for a covariate that changes"
        )
    return cells[0]
