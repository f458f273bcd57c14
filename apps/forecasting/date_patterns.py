"""Regular expressions for the formats of dates, and functions that convert the matches to dates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from seqmodels.errors import DataError, excerpt

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = r"(?P<name>(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6})\.?"
# If all cells of a column have this format, pandas parses the column, because pandas is faster than the
# patterns below.
ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)?"
CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s*[AaPp]\.?[Mm]\.?)?"

# This pattern splits a cell into its parts. Only the date is required. The day of the week, the time of day,
# and the UTC offset or time zone are optional.
WHOLE = (
    r"^(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+)?"
    r"(?P<date>.+?)"
    r"(?:(?:[T_]|,?\s+(?:at\s+)?|(?<=\d{4}):|(?<=[A-Za-z]{3}\d{4}):)"
    r"(?:(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?)?"
    r"|(?:(?<=\d{8}[T_ ])|(?<=\d\d[-/.]\d\d[T_ ]))(?P<compact>\d{2}|\d{4}|\d{6})"
    r"(?:[.,](?P<compact_fraction>\d{1,9}))?"
    r"|(?P<hour_only>\d{1,2})(?=\s*[AaPp]\.?[Mm]))"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?"
    r"(?:\s*(?P<zone>[Zz]|(?:UTC|GMT)?[+-]\d{1,2}(?::?\d{2})?|[A-Z]{2,4}T|UTC|GMT|UT|Z"
    r"|[A-Z][A-Za-z_]+/[A-Za-z_/+-]+)"
    r"(?:\s+[A-Z]{3,4}|\s*\[(?P<area>[A-Za-z_/+-]+)\]|\s*\([^)]*\))?)?)?$"
)

# Patterns of dates without separators, such as 20240131. The keys are the numbers of digits. Four digits are
# a year. Each longer pattern adds one part: the month, the day, the hour, the minute, then the second.
_YMD = r"(?:1[5-9]|20|21)\d\d(?:0[1-9]|1[0-2])"
_DAY = r"(?:0[1-9]|[12]\d|3[01])"
_HOUR = r"(?:[01]\d|2[0-4])"
STAMPS = {
    4: r"(?:19|20)\d\d",
    6: r"(?:19|20)\d\d(?:0[1-9]|1[0-2])",
    8: rf"{_YMD}{_DAY}",
    10: rf"{_YMD}{_DAY}{_HOUR}",
    12: rf"{_YMD}{_DAY}{_HOUR}[0-5]\d",
    14: rf"{_YMD}{_DAY}{_HOUR}[0-5]\d[0-5]\d",
}

# Formats of a date without the time of day. The first format that matches a cell is used.
FORMS = (
    r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"(?P<year>\d{4})",
    r"(?P<year>\d{4})(?P<month>\d{2})",
    r"(?P<year>\d{4})[-. ]?[Mm](?P<month>\d{1,2})",
    r"(?P<year>\d{4})[-. ]?[Qq](?P<quarter>[1-4])",
    r"[Qq](?P<quarter>[1-4])[-/. ']*(?P<year>\d{4})",
    r"(?P<quarter>[1-4])[Qq][-/. ]?(?P<year>\d{4}|\d{2})",
    r"(?P<year>\d{4})[-. ]?[HhSs](?P<half>[12])",
    r"(?P<year>\d{4})[-. ]?[Ww](?P<week>\d{1,2})(?:-?(?P<weekday>[1-7]))?",
    r"(?P<year>\d{4})-(?P<ordinal>\d{3})",
    r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[-/., ]*{MONTH}[-/., ]*(?P<year>\d{{4}}|\d{{2}})",
    rf"{MONTH}[-/., ]*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[-/., ]+(?P<year>\d{{4}})",
    rf"{MONTH}[-/., ']*(?P<year>\d{{4}}|\d{{2}})",
    rf"(?P<year>\d{{4}})[-/., ]*{MONTH}(?:[-/., ]*(?P<day>\d{{1,2}}))?",
)
NUMERIC = r"(?P<first>\d{1,2})(?P<separator>[-/. ])(?P<second>\d{1,2})(?P=separator)(?P<year>\d{4}|\d{2})"


def time_of_day(parts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the times of day as three arrays ``(rows,)``.

    The first array contains the seconds since midnight, rounded down. The second array contains the remaining
    nanoseconds. The third array is True for impossible times, such as 25:00.
    """
    compact = parts["compact"].fillna("")
    hour = _whole(parts["hour"].fillna(parts["hour_only"]).fillna(compact.str.slice(0, 2)))
    minute = _whole(parts["minute"].fillna(compact.str.slice(2, 4)))
    second = _whole(parts["second"].fillna(compact.str.slice(4, 6)))
    half = parts["half"].str.lower()
    wrong = ((hour < 1) | (hour > 12)) & half.notna().to_numpy()
    hour = np.where(half.notna(), hour % 12 + 12 * (half == "p"), hour)
    wrong |= (hour > 24) | (minute > 59) | (second > 59) | ((hour == 24) & (minute + second > 0))
    fraction = parts["fraction"].fillna(parts["compact_fraction"]).fillna("")
    return 3600 * hour + 60 * minute + second, _whole(fraction.str.ljust(9, "0")), wrong


def days(cells: pd.Series, place: Callable[[int], str], texts: pd.Series) -> np.ndarray:
    """Parses cells that have no time of day: ``(rows,)`` datetime64[D]. Cells that are not dates become NaT.

    Raises:
        DataError: the order of day and month, or of day and year, is unclear.
    """
    cells = cells.str.strip().str.rstrip(",")
    found = np.full(len(cells), "NaT", "datetime64[D]")
    left = np.ones(len(cells), bool)
    for form in FORMS:
        if not left.any():
            return found
        rows = np.flatnonzero(left)
        parts = cells.iloc[rows].str.extract(f"^{form}$")
        match = parts["year"].notna().to_numpy()
        if match.any():
            found[rows[match]] = _of_parts(parts[match])
            left[rows[match]] = False
    rows = np.flatnonzero(left)
    if len(rows):
        parts = cells.iloc[rows].str.extract(f"^{NUMERIC}$")
        match = parts["year"].notna().to_numpy()
        if match.any():
            where = rows[match]
            found[where] = _ordered(parts[match], lambda row: place(int(where[row])), texts.iloc[where])
    return found


def _ordered(parts: pd.DataFrame, place: Callable[[int], str], texts: pd.Series) -> np.ndarray:
    """Parses dates such as ``01/02/2024`` in the only order of day, month and year that fits all rows.

    Raises:
        DataError: several orders fit all rows and give different dates.
    """
    first, second, last = _whole(parts["first"]), _whole(parts["second"]), parts["year"]
    dots = (parts["separator"] == ".").all()
    orders = {"%d/%m/%Y": (_full_year(last), second, first)}
    if not dots:
        orders["%m/%d/%Y"] = (_full_year(last), first, second)
    if (last.str.len() == 2).all() and not (parts["separator"] == "/").any():
        orders["%y-%m-%d"] = (_full_year(parts["first"].str.zfill(2)), second, _whole(last))
    read = {name: _days(*order) for name, order in orders.items()}
    wrong = {name: int(np.isnat(times).sum()) for name, times in read.items()}
    least = min(wrong.values())
    fitting = [name for name, count in wrong.items() if count == least]
    best = read[fitting[0]]
    if least:
        return best  # The caller reports the first row that does not fit.
    for name in fitting[1:]:
        different = best != read[name]
        if different.any():
            row = int(different.argmax())
            separator = str(parts["separator"].iloc[row])
            short = "%y" if len(str(last.iloc[row])) == 2 else "%Y"
            options = [
                "--date-format " + form.replace("%Y", short).replace("/", separator).replace("-", separator)
                for form in fitting
            ]
            raise DataError(
                f"{place(row)}: {excerpt(texts.iloc[row])} may be {best[row]} or {read[name][row]}, and "
                "no row of "
                f"the column shows which date is meant; set {' or '.join(options)}"
            )
    return best


def _of_parts(parts: pd.DataFrame) -> np.ndarray:
    year = _full_year(parts["year"])
    if "week" in parts:
        fourth = _days(year, np.full(len(year), 1), np.full(len(year), 4))
        monday = fourth - (fourth.astype(np.int64) + 3) % 7
        week = _whole(parts["week"])
        first = monday + 7 * (week - 1)
        within = (first + 3).astype("datetime64[Y]").astype(np.int64) + 1970 == year
        day = first + np.maximum(_whole(parts["weekday"]), 1) - 1
        return np.where(within & (week > 0), day, np.datetime64("NaT", "D"))
    if "ordinal" in parts:
        first = _days(year, np.full(len(year), 1), np.full(len(year), 1))
        day = first + _whole(parts["ordinal"]) - 1
        within = day.astype("datetime64[Y]").astype(np.int64) + 1970 == year
        return np.where(within, day, np.datetime64("NaT", "D"))
    month = np.full(len(year), 1)
    if "name" in parts:
        names = parts["name"].str.lower()
        month = names.str.slice(0, 3).map(MONTHS.index).to_numpy() + 1
        month = np.where(names.map(_is_month), month, 0)
    elif "month" in parts:
        month = _whole(parts["month"])
    elif "quarter" in parts:
        month = 3 * _whole(parts["quarter"]) - 2
    elif "half" in parts:
        month = 6 * _whole(parts["half"]) - 5
    day = np.full(len(year), 1)
    if "day" in parts:
        day = np.where(parts["day"].notna(), _whole(parts["day"]), 1)
    return _days(year, month, day)


def _is_month(name: str) -> bool:
    full = (
        "january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
        "november", "december",
    )  # fmt: skip
    return name in MONTHS or name == "sept" or name in full


def _days(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Returns dates ``(n,)``. A date whose month or day does not exist becomes NaT."""
    start = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    length = ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(np.int64)
    exists = (month >= 1) & (month <= 12) & (day >= 1) & (day <= length)
    return np.where(exists, start.astype("datetime64[D]") + day - 1, np.datetime64("NaT", "D"))


def _full_year(cells: pd.Series) -> np.ndarray:
    """Converts years to integers. 70 to 99 become 1970 to 1999, and 00 to 69 become 2000 to 2069."""
    years = _whole(cells)
    short = (cells.str.len() <= 2).to_numpy()
    return np.where(short, years + np.where(years < 70, 2000, 1900), years)


def _whole(cells: pd.Series) -> np.ndarray:
    return cells.replace("", "0").fillna("0").to_numpy().astype(np.int64)
