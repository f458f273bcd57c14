"""Parses tables of prices, long series and wide series into series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from apps.forecasting import roles
from apps.forecasting.calendar import FREQUENCIES, Fixed, Frequency, Months, Steps, Weeks
from apps.forecasting.dates import Dates, parse_dates
from apps.forecasting.gaps import check_order, check_steps, fill_missing, without_gaps
from apps.forecasting.numbers import Writing, decides_comma, is_number, parse_numbers
from apps.forecasting.observed import Observed, fits, infer, with_exchange
from apps.forecasting.prices import checked_prices, complete, split_notes
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from apps.forecasting.roles import LONG_COLUMNS, Chosen
from seqmodels.data.table import Table, cell_text
from seqmodels.data.tables import read_table, table_name
from seqmodels.errors import DataError, UsageError

JOINED = "/"  # between the parts of the name of a series


@dataclass(frozen=True)
class Reading:
    """Options of reading files.

    Attributes:
        fill: ``error``, ``forward`` or ``zero``.
        frequency: a key of ``FREQUENCIES``, ``rows``, or None to infer it.
        columns: columns that the user chose.
        date_format: format of ``strptime``, or None.
        exchange: exchange whose holidays have no rows.
        encoding: encoding of text files, or None for UTF-8.
        expected: calendar of the training, used for other data whose rows lie on it.
    """

    fill: str = "error"
    frequency: str | None = None
    columns: Chosen = field(default_factory=Chosen)
    date_format: str | None = None
    exchange: str = ""
    encoding: str | None = None
    expected: Frequency | None = None


@dataclass
class Part:
    """The rows of one series.

    Attributes:
        name: name of the series.
        rows: rows in the table, in time order, ``(n,)``.
        dates: their dates.
        column: column of the values.
    """

    name: str
    rows: np.ndarray
    dates: Dates
    column: str

    def observed(self, prices: bool) -> Observed:
        return Observed(self.dates.times, self.dates.local, self.dates.zone, prices)


class Reader:
    """Reads one table; ``notes`` and ``used`` collect the decisions."""

    def __init__(self, table: Table, name: str, reading: Reading):
        self.table, self.name, self.reading = table, name, reading
        self.notes: list[str] = list(table.notes)
        self.chosen = reading.columns.of(table)
        self.used: dict[str, list[str]] = {}
        self.writing = self._writing()

    def _writing(self) -> Writing:
        """Decides between decimal commas and points for the whole file."""
        texts = [self.table.frame[c] for c in self.table.columns if self.table.frame[c].dtype.kind not in "iufbM"]
        votes = [vote for vote in map(decides_comma, texts) if vote is not None]
        semicolons = any("is delimited by a semicolon" in note for note in self.table.notes)
        return Writing(True in votes or (semicolons and not votes), bool(votes))

    def numbers(self, column: str) -> np.ndarray:
        where = partial(self.table.where, column=column)
        return parse_numbers(self.table.frame[column], where, column, self.writing)

    def read(self) -> SeriesData:
        table, chosen = self.table, self.chosen
        lower = [column.lower() for column in table.columns]
        if len(set(lower)) < len(lower):
            raise DataError(f"{table.path}:{table.header_line or 1}: two columns have the same name; rename one of them")
        if len(table) < 3:
            raise DataError(f"{table.path} has {len(table)} rows; a series needs at least 3 rows")
        keys = roles.keys_of(table)
        self.long = set(LONG_COLUMNS) <= keys.keys() and not (chosen.id or chosen.target or chosen.close)
        if self.long:
            chosen = replace(chosen, id=[keys["unique_id"]], date=chosen.date or [keys["ds"]], target=[keys["y"]])
        self.chosen = chosen
        dates = roles.find_dates(table, chosen)
        close = None if self.long else roles.find_close(table, chosen)
        self.used = {"dates": dates, "names of the series": list(chosen.id)}
        found = self._dates(dates)
        if close is not None:
            series = self._prices(found, close)
        else:
            series = self._values(found, dates)
        unused = [c for c in table.columns if not any(c in columns for columns in self.used.values())]
        usual = len(dates) == 1 and roles.key(dates[0]) in (*roles.DATE_NAMES, *roles.MORE_DATE_NAMES)
        if unused or not usual or chosen.id and not self.long:
            roles_used = [f"{role}: {_quoted(columns)}" for role, columns in self.used.items() if columns]
            rest = f"; not used: {_quoted(unused)}" if unused else ""
            self.notes.append(f"columns of {table.path}, {', '.join(roles_used)}{rest}")
        return replace(series, notes=[*self.notes, *self.writing.notes, *series.notes])

    def _dates(self, columns: list[str]) -> Dates:
        """Parses the dates; ``--frequency rows`` numbers the rows."""
        table, reading = self.table, self.reading
        where = partial(table.where, column=columns[0] if columns else "")
        if reading.frequency == "rows":
            self._place = where
            return Dates(np.arange(len(table)))
        if not columns:
            listed = _quoted(table.columns)
            raise DataError(
                f"{table.path} has no column of dates; found {listed}; choose it with --date COLUMN, or count the "
                "rows with --frequency rows"
            )
        cells = roles.date_cells(table, columns)
        self._place = where
        found = parse_dates(cells, where, " ".join(columns), reading.date_format)
        self.notes += [f"{table.path}: {note}" for note in found.notes]
        return found

    def _groups(self, dates: Dates) -> list[tuple[str, np.ndarray]]:
        """Returns the name and the rows of each series of ``--id``, in time order."""
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
                    f"{table.where(row, chosen.id[0])}: the name of the series is missing; fill it in or remove "
                    "the row"
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
            self.notes.append(f"the rows{several} of {table.path} are newest first, and are sorted by date")
        return sorted_groups

    def _in_order(self, groups: list[tuple[str, np.ndarray]]) -> list[tuple[str, np.ndarray]]:
        """Reverses rows that are newest first, for ``--frequency rows``; other rows keep their order."""
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
            self.notes.append(f"the rows of {self.table.path} are newest first, and are numbered by date")
        return found

    def _parts(self, groups: Sequence[tuple[str, np.ndarray, str]], dates: Dates, prices: bool) -> list[Part]:
        found = []
        for name, rows, column in groups:
            if self.reading.frequency == "rows":
                found.append(Part(name, rows, Dates(np.arange(len(rows))), column))
                continue
            own = dates.rows(rows)
            self._check_repeats(own, rows)
            cells = [self._shown(int(row)) for row in rows] if not _is_rising(own.times) else []
            check_order(own.times, lambda row, rows=rows: self._place(int(rows[row])), cells)
            if len(rows) < 3 and not prices:
                raise DataError(
                    f"{self._place(int(rows[0]))}: series {name!r} has {len(rows)} rows; a series needs at least 3 "
                    "rows"
                )
            found.append(Part(name, rows, own, column))
        return found

    def _shown(self, row: int) -> str:
        return " ".join(cell_text(self.table.frame[column].iloc[row]) for column in self.used["dates"])

    def _check_repeats(self, dates: Dates, rows: np.ndarray) -> None:
        """Raises DataError if the dates repeat because the rows belong to several series."""
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
        # The least number of columns, in the order of the file, that make every date unique.
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
            f"{self._place(int(rows[row]))}: {self._shown(int(rows[row]))} occurs in several rows, so that the file "
            f"seems to hold several series; name their column with --id, such as --id {','.join(keyed)}, the dates "
            "with --date and the values with --target"
        )

    def _prices(self, dates: Dates, close_column: str) -> SeriesData:
        table = self.table
        if dates.times.dtype.kind != "M" and self.reading.frequency != "rows":
            raise DataError(
                f"{self._place(0)}: {self._shown(0)!r} is not a date; a file of prices needs dates; set "
                "--frequency rows to count the rows"
            )
        notes = []
        groups = [(name, rows, close_column) for name, rows in self._groups(dates)]
        parts = self._parts(groups, dates, prices=True)
        columns = {"close": close_column, **roles.find_prices(table, close_column)}
        known = {role: self.numbers(columns[role]) for role in PRICE_COLUMNS if role in columns}
        keys = roles.keys_of(table)
        adjusted = roles.first_of(roles.ADJUSTED, keys)
        if adjusted == close_column and "close" in keys:
            columns["close"] = keys["close"]
            known["close"] = self.numbers(keys["close"])
        self.used |= {role: [column] for role, column in columns.items()}
        if adjusted and adjusted != columns["close"]:
            # Dividends and splits are not returns: one factor adjusts all prices of a row.
            factor = self.numbers(adjusted) / known["close"]
            known = {c: v if c == "volume" else v * factor for c, v in known.items()}
            self.used["adjusted close"] = [adjusted]
            if not np.allclose(factor, 1):
                notes.append(f"prices are adjusted with the column {adjusted.lower()}")
        missing = [column for column in PRICE_COLUMNS if column not in columns]
        if missing:
            notes.append(
                f"the file has no {', '.join(missing)}; missing prices are derived from the closes and a missing "
                "volume is 0"
            )
        found, filled_cells, calendars = [], 0, []
        for part in parts:
            rows = part.rows
            values = complete({role: column[rows] for role, column in known.items()})
            where = lambda row, c, rows=rows: table.where(  # noqa: E731
                int(rows[row]), columns.get(PRICE_COLUMNS[c], close_column)
            )
            values, filled = fill_missing(values, self.reading.fill, where)
            filled_cells += filled
            frequency = self._frequency(part, prices=True)
            if frequency is None:
                notes.append(
                    f"the dates of series {part.name!r} follow no calendar, so that its rows are numbered; "
                    "--frequency sets a calendar"
                )
                frequency, part.dates = Steps(), Dates(np.arange(len(rows)))
            calendars.append(frequency)
            series = Series(part.name, part.dates.times, values, calendar=frequency)
            places = [table.where(int(row)) for row in rows]
            found.append(checked_prices(series, places))
            notes += split_notes(found[-1])
        notes += [f"{filled_cells} missing values are filled ({self.reading.fill})"] if filled_cells else []
        return SeriesData(self.name, "prices", found, calendars[0], calendars[0].season, notes)

    def _values(self, dates: Dates, date_columns: list[str]) -> SeriesData:
        table, chosen = self.table, self.chosen
        taken = {*date_columns, *chosen.id, *chosen.known, *chosen.static}
        targets = list(chosen.target) or [c for c in table.columns if c not in taken]
        if not chosen.target:
            # A column of texts is not a series; a column with one number is, and its other cells are errors.
            targets = [column for column in targets if is_number(table.frame[column])]
            keys = roles.keys_of(table)
            if chosen.id and len(targets) > 1:
                if "y" not in keys:
                    raise UsageError(
                        f"--id {','.join(chosen.id)} needs --target, because {table.path} has several columns of "
                        f"numbers: {_quoted(targets)}; choose one or several"
                    )
                targets = [keys["y"]]
            if not chosen.id and self.reading.columns.static:
                targets = [column for column in targets if column not in chosen.static]
        if not targets:
            after = f" next to {date_columns[0]!r}" if date_columns else ""
            raise DataError(
                f"{table.path}:{table.header_line or 1}: the header has no series column{after}; add one column per "
                "series"
            )
        self.used |= {"values": targets, "known": list(chosen.known), "static": list(chosen.static)}
        several = len(targets) > 1
        groups = [
            (name if chosen.id and not several else column if not chosen.id else f"{name}{JOINED}{column}", rows, column)
            for name, rows in self._groups(dates)
            for column in targets
        ]
        return self._regular(self._parts(groups, dates, prices=False))

    def _regular(self, parts: list[Part]) -> SeriesData:
        """Returns series of one calendar; missing rows and values are filled according to ``fill``."""
        table, fill, chosen = self.table, self.reading.fill, self.chosen
        static_columns = chosen.static if chosen.id else ()
        values = {column: self.numbers(column) for column in dict.fromkeys(part.column for part in parts)}
        beside, fixed = self._stacked(chosen.known), self._stacked(static_columns)
        common = self._common(parts)
        found: list[Series] = []
        holes = 0
        for part in parts:
            rows = part.rows
            place = lambda row, rows=rows: self._place(int(rows[row]))  # noqa: E731
            static = self._static(part.name, fixed[rows], rows, static_columns)
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
        notes = [f"{holes} missing values are filled ({fill})"] if holes else []
        return SeriesData(self.name, "values", found, common, common.season, notes)

    def _common(self, parts: list[Part]) -> Frequency:
        """Returns the calendar on which the rows of all series lie."""
        own: list[tuple[int, Part, Frequency]] = []
        for part in parts:
            frequency = self._frequency(part, prices=False)
            assert frequency is not None  # only prices follow no calendar
            own.append((len(part.rows), part, frequency))
        first = own[0][2]
        if all(frequency == first for _, _, frequency in own):
            return first
        for _, _, candidate in sorted(own, key=lambda each: -each[0]):
            if all(frequency == candidate or fits(candidate, p.observed(False)) for _, p, frequency in own):
                return candidate
        part, other = next((part, frequency) for _, part, frequency in own if frequency != first)
        raise DataError(
            f"{self._place(int(part.rows[0]))}: series {part.name!r} has one row per {other}, but earlier series "
            f"have one row per {first}; train each frequency separately"
        )

    def _frequency(self, part: Part, prices: bool) -> Frequency | None:
        """Returns the calendar of one series: given, the one of the training, or inferred."""
        given, exchange = self.reading.frequency, self.reading.exchange
        rows = part.observed(prices)
        dated = rows.times.dtype.kind == "M"
        if given == "rows":
            return Steps()
        place = lambda row: self._place(int(part.rows[row]))  # noqa: E731
        if given is not None and (given == "step") == dated:
            raise UsageError(
                f"--frequency {given} does not apply to {self.table.path}, which "
                + ("has dates; use --frequency rows to count the rows" if dated else "has row numbers; use dates")
            )
        inferred = infer(rows) if len(rows.times) > 1 else self.reading.expected
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
                    f"--holidays {exchange} is an exchange, but series {part.name!r} of {self.table.path} has one row "
                    f"per {inferred}; name a country, such as --holidays US"
                )
            closed = chosen.positions(rows.times, rows.local)[1]
            if prices and closed.mean() > 0.02:
                row = int(closed.argmax())
                raise DataError(
                    f"{place(row)}: {exchange} is closed at this time, as in {int(closed.sum())} of {len(closed)} "
                    "rows; name the exchange of the prices with --holidays"
                )
        return chosen

    def _stacked(self, columns: Sequence[str]) -> np.ndarray:
        """Returns columns of numbers as one array: ``(rows, columns)``."""
        return np.array([self.numbers(column) for column in columns]).reshape(len(columns), len(self.table)).T

    def _static(self, identity: str, cells: np.ndarray, rows: np.ndarray, columns: Sequence[str]) -> np.ndarray:
        """Returns the static covariates of a series; raises DataError if the rows of ``cells`` differ.

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
                f"{self.table.where(int(rows[row]), columns[column])}: the value is {value}, but "
                f"{cells[0, column]:g} in the first row of series {identity!r}; a static covariate must be constant "
                "in each series, use --known for other covariates"
            )
        return cells[0]


def _given(name: str, inferred: Frequency | None) -> Frequency:
    """Returns the calendar of ``--frequency``, on the days of the month or week that the rows have."""
    chosen = FREQUENCIES[name]
    if isinstance(chosen, Months) and isinstance(inferred, Months):
        return replace(inferred, size=chosen.size)
    if isinstance(chosen, Fixed) and name == "week" and isinstance(inferred, Weeks):
        return inferred
    return chosen


def _is_rising(times: np.ndarray) -> bool:
    return bool((np.diff(times).astype(np.int64) > 0).all())


def _quoted(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:8])
    return shown + (f" and {len(columns) - 8} more" if len(columns) > 8 else "")


def read_file(path: Path, name: str, reading: Reading) -> SeriesData:
    """Reads the series of one file.

    Raises:
        UsageError: the extension is not supported, or a chosen column does not exist.
        DataError: the content is invalid; the message names the file, line and column.
    """
    table = read_table(path, encoding=reading.encoding)
    if roles.is_yahoo_download(table):
        return _read_yahoo_download(table, name, reading)
    return Reader(table, name, reading).read()


def _read_yahoo_download(table: Table, name: str, reading: Reading) -> SeriesData:
    """Reads the three header rows of ``yfinance.download(...).to_csv()``: prices, tickers and the index."""
    names = [cell_text(table.frame[column].iloc[0]).strip() for column in table.columns]
    plain = [column.rpartition(".")[0] if column.rpartition(".")[2].isdigit() else column for column in table.columns]
    fields, tickers = (plain, names) if names[0] == "Ticker" else (names, plain)
    date = cell_text(table.frame.iloc[1, 0]).strip()
    groups: dict[str, dict[str, str]] = {}
    for column, price, ticker in list(zip(table.columns, fields, tickers))[1:]:
        groups.setdefault(ticker, {})[price] = column
    notes = [*table.notes[:0], f"{table.path} has three header rows, as yfinance writes them"]
    parts = []
    for ticker, columns in groups.items():
        frame = table.frame.iloc[2:][[table.columns[0], *columns.values()]].reset_index(drop=True)
        frame.columns = pd.Index([date, *columns])
        filled = (frame[list(columns)].map(cell_text) != "").any(axis=1).to_numpy()
        rows = np.flatnonzero(filled)  # a ticker has empty rows where others have prices
        own = Table(
            table.path, frame.iloc[rows].reset_index(drop=True), table.lines[2:][rows], [], table.header, table.header_line
        )
        part = Reader(own, name, reading).read()
        parts.append(replace(part, series=[replace(each, name=ticker) for each in part.series]))
        notes += [note for note in part.notes if note not in notes]
    series = [each for part in parts for each in part.series]
    return replace(parts[0], series=series, notes=notes)
