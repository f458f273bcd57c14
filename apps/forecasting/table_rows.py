"""Groups the rows of a table into series, and determines their dates, order and calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pandas as pd

from apps.forecasting import roles
from apps.forecasting.calendar import Fixed, Frequency, Months, Steps
from apps.forecasting.checks import listed
from apps.forecasting.dates import Dates, parse_dates
from apps.forecasting.frequencies import FREQUENCIES
from apps.forecasting.gaps import check_order, check_steps
from apps.forecasting.numbers import Writing, decides_comma, is_number, parse_numbers
from apps.forecasting.observed import Observed, fits, infer, with_exchange
from apps.forecasting.roles import Chosen
from apps.forecasting.week import Weeks
from seqmodels.data.table import Table, cell_text
from seqmodels.data.tables import table_name
from seqmodels.errors import DataError, UsageError

LEAST = 3  # minimum number of rows of a series
JOINED = "/"  # separator of the parts of the name of a series


@dataclass(frozen=True)
class Reading:
    """Options that control how files are read.

    Attributes:
        fill: ``error``, ``forward`` or ``zero``.
        frequency: a key of ``FREQUENCIES``, or ``rows``. Default: inferred.
        columns: columns that the user chose.
        date_format: format of ``strptime`` for the dates. Default: inferred.
        exchange: name of an exchange. On the holidays of this exchange, no rows are expected. An empty string
            means no exchange.
        encoding: encoding of text files. Default: UTF-8.
        expected: calendar of the training. It is used if the rows of a file fit this calendar.
        prefer_utf8: if True, ``encoding`` applies only to files that are not UTF-8.
    """

    fill: str = "error"
    frequency: str | None = None
    columns: Chosen = field(default_factory=Chosen)
    date_format: str | None = None
    exchange: str = ""
    encoding: str | None = None
    expected: Frequency | None = None
    prefer_utf8: bool = False


@dataclass
class Part:
    """The rows of one series.

    Attributes:
        name: name of the series.
        rows: row numbers in the table, in time order, ``(n,)``.
        dates: dates of these rows.
        column: name of the column that contains the values.
    """

    name: str
    rows: np.ndarray
    dates: Dates
    column: str

    def observed(self, prices: bool) -> Observed:
        return Observed(self.dates.times, self.dates.local, self.dates.zone, prices)


class Rows:
    """Reads dates, numbers and series from the rows of one table.

    Args:
        table: the table.
        reading: options that control how the table is read.

    Attributes:
        notes: messages for the user about assumptions.
        chosen: columns that the user chose, spelled as in the table.
        used: maps each role, such as ``dates``, to the names of its columns.
        writing: number format of the file, such as the decimal separator.
    """

    def __init__(self, table: Table, reading: Reading):
        self.table, self.reading = table, reading
        self.notes: list[str] = list(table.notes)
        self.chosen = reading.columns.of(table)
        self.used: dict[str, list[str]] = {}
        self.writing = self._writing()
        self.place: Callable[[int], str] = table.where

    def _writing(self) -> Writing:
        """Decides whether numbers in the file have decimal commas or decimal points."""
        texts = [
            self.table.frame[c] for c in self.table.columns if self.table.frame[c].dtype.kind not in "iufbM"
        ]
        votes = [vote for vote in map(decides_comma, texts) if vote is not None]
        semicolons = any("is delimited by a semicolon" in note for note in self.table.notes)
        return Writing(True in votes or (semicolons and not votes), bool(votes))

    def numbers(self, column: str) -> np.ndarray:
        where = partial(self.table.where, column=column)
        return parse_numbers(self.table.frame[column], where, column, self.writing)

    def dates(self, columns: list[str]) -> Dates:
        """Parses the dates of all rows.

        If the value of ``--frequency`` is ``rows``, the function returns row numbers instead.
        """
        table, reading = self.table, self.reading
        where = partial(table.where, column=columns[0] if columns else "")
        if reading.frequency == "rows":
            self.place = where
            return Dates(np.arange(len(table)))
        if not columns:
            listed = quoted(table.columns)
            raise DataError(
                f"{table.path} has no column of dates; found {listed}; name the column with --date COLUMN, "
                "or use --frequency rows to number the rows"
            )
        cells = roles.date_cells(table, columns)
        self.place = where
        found = parse_dates(cells, where, " ".join(columns), reading.date_format)
        self.notes += [f"{table.path}: {note}" for note in found.notes]
        return found

    def groups(self, dates: Dates) -> list[tuple[str, np.ndarray]]:
        """Returns the name of each series, and the indices of its rows in time order.

        The columns of ``--id`` contain the names. Without ``--id``, the whole table is one series.
        """
        table, chosen = self.table, self.chosen
        if not chosen.id:
            stem = (table_name(table.path) or ("series", ""))[0]
            groups = [(stem, np.arange(len(table)))]
        else:
            names = table.frame[chosen.id[0]].map(cell_text)
            for column in chosen.id[1:]:
                names = names + JOINED + table.frame[column].map(cell_text)
            if (names == "").any():
                row = int((names == "").to_numpy().argmax())
                raise DataError(
                    f"{table.where(row, chosen.id[0])}: the name of the series is missing; fill it in or "
                    "remove the row"
                )
            order = names.groupby(names, sort=False).indices
            groups = [(name, np.sort(order[name])) for name in names.unique()]
        sorted_groups, falling = [], 0
        for name, rows in groups:
            steps = np.diff(dates.times[rows]).astype(np.int64)
            if len(steps) and (steps <= 0).all() and (steps < 0).any():
                rows, falling = rows[::-1], falling + 1
            sorted_groups.append((name, rows))
        if self.reading.frequency == "rows":
            return self._in_order(sorted_groups)
        if falling:
            several = f" of {falling} series" if len(groups) > 1 else ""
            self.notes.append(
                f"the rows{several} of {table.path} are ordered from new to old; they are reversed"
            )
        return sorted_groups

    def _in_order(self, groups: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        """Reverses each series whose rows are ordered from new to old. Other series keep their order.

        This function is used if the option ``--frequency`` has the value ``rows``.
        """
        columns = roles.find_dates(self.table, self.chosen)
        try:
            cells = roles.date_cells(self.table, columns) if columns else None
            times = None if cells is None else parse_dates(cells, str, "", self.reading.date_format).times
        except DataError:
            times = None
        if times is None:
            return groups
        found, falling = [], 0
        for name, rows in groups:
            if (np.diff(times[rows]).astype(np.int64) < 0).all():
                rows, falling = rows[::-1], falling + 1
            found.append((name, rows))
        if falling:
            self.notes.append(
                f"the rows of {self.table.path} are ordered from new to old; they are reversed and numbered"
            )
        return found

    def parts(self, groups: Sequence[tuple[str, np.ndarray, str]], dates: Dates) -> list[Part]:
        """Returns the series with their dates. Drops series with fewer than 3 rows and adds a note.

        Raises:
            DataError: no series has at least 3 rows, or the dates of a series repeat or are not in order.
        """
        found = []
        short = [(name, rows) for name, rows, _ in groups if len(rows) < LEAST]
        if len(short) == len(groups):
            name, rows = short[0]
            raise DataError(
                f"{self.place(int(rows[0]))}: series {name!r} has {len(rows)} rows, but needs at least "
                f"{LEAST} rows; add rows or remove the series"
            )
        if short:
            self.notes.append(
                f"{len(short)} of {len(groups)} series of {self.table.path} have fewer than {LEAST} rows "
                f"and are left out: {listed([name for name, _ in short])}"
            )
        for name, rows, column in groups:
            if len(rows) < LEAST:
                continue
            if self.reading.frequency == "rows":
                found.append(Part(name, rows, Dates(np.arange(len(rows))), column))
                continue
            own = dates.rows(rows)
            self._check_repeats(own, rows)
            cells = [self.shown(int(row)) for row in rows] if not _is_rising(own.times) else []
            check_order(own.times, partial(self._place_of, rows), cells)
            found.append(Part(name, rows, own, column))
        return found

    def _place_of(self, rows: np.ndarray, row: int) -> str:
        return self.place(int(rows[row]))

    def shown(self, row: int) -> str:
        return " ".join(cell_text(self.table.frame[column].iloc[row]) for column in self.used["dates"])

    def _check_repeats(self, dates: Dates, rows: np.ndarray) -> None:
        """Raises DataError if the rows seem to contain several series.

        Many repeated dates are a sign of several series.
        """
        times = dates.times
        if _is_rising(times) or len(np.unique(times)) > 0.8 * len(times):
            return
        frame = self.table.frame.iloc[rows]
        taken = {*self.used["dates"], *self.chosen.id}
        few = [
            column
            for column in self.table.columns
            if column not in taken and 1 < frame[column].nunique() <= len(frame) / 3
        ]
        # Columns are added to ``keyed`` until the date and these columns together identify each row.
        keyed: list[str] = []
        for column in [c for c in few if not is_number(frame[c])] + few:
            if column in keyed:
                continue
            keyed.append(column)
            if not frame[keyed].assign(_time=times).duplicated().any():
                break
        else:
            return
        row = int(pd.Series(times).duplicated().to_numpy().argmax())
        raise DataError(
            f"{self.place(int(rows[row]))}: {self.shown(int(rows[row]))} occurs in several rows; "
            "the file seems to contain several series; set --id to the column with the names of the series, "
            f"such as --id {','.join(keyed)}; if needed, also set --date and --target"
        )

    def frequency(self, part: Part, prices: bool) -> Frequency | None:
        """Returns the calendar of one series, or None if prices follow no calendar.

        ``--frequency`` determines the calendar. Without this option, the calendar of the training is used if
        the rows fit this calendar. Otherwise, the calendar is inferred from the rows.
        """
        given, exchange = self.reading.frequency, self.reading.exchange
        rows = part.observed(prices)
        dated = rows.times.dtype.kind == "M"
        if given == "rows":
            return Steps()
        place = lambda row: self.place(int(part.rows[row]))  # noqa: E731
        if given is not None and (given == "step") == dated:
            raise UsageError(
                f"--frequency {given} does not apply to {self.table.path}, which "
                + (
                    "has dates; use --frequency rows to number the rows"
                    if dated
                    else "has row numbers instead of dates; use --frequency step"
                )
            )
        inferred = infer(rows)
        if given is not None:
            chosen: Frequency | None = _given(given, inferred)
            assert chosen is not None
            check_steps(chosen, rows.times, rows.local, place, f"--frequency {given}")
        elif self.reading.expected is not None and fits(self.reading.expected, rows):
            chosen = self.reading.expected
        else:
            chosen = inferred
        if exchange and chosen is not None:
            chosen = with_exchange(chosen, exchange)
            if chosen is None:
                raise UsageError(
                    f"--holidays {exchange} names an exchange, but series {part.name!r} of {self.table.path} "
                    f"has one row per {inferred}. An exchange is allowed only for rows on business days or "
                    "in business hours; name a country instead, such as --holidays US"
                )
            closed = chosen.positions(rows.times, rows.local)[1]
            if prices and closed.mean() > 0.02:
                row = int(closed.argmax())
                raise DataError(
                    f"{place(row)}: {exchange} is closed at the time of this row. In total, "
                    f"{int(closed.sum())} of {len(closed)} rows are at times when the exchange is closed; if "
                    "the prices come from another exchange, set --holidays to that exchange"
                )
        return chosen


def _given(name: str, inferred: Frequency | None) -> Frequency:
    """Returns the calendar that ``--frequency`` names.

    A weekly calendar keeps the inferred day of the week. A monthly calendar keeps the inferred day of the
    month.
    """
    chosen = FREQUENCIES[name]
    if isinstance(chosen, Months) and isinstance(inferred, Months):
        return replace(inferred, size=chosen.size)
    if isinstance(chosen, Fixed) and name == "week" and isinstance(inferred, Weeks):
        return inferred
    return chosen


def _is_rising(times: np.ndarray) -> bool:
    return bool((np.diff(times).astype(np.int64) > 0).all())


def quoted(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:8])
    return shown + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")
