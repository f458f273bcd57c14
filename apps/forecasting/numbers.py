"""Parses columns of numbers in common formats.

``1,234.5``, ``1.234,5``, ``1 234,5`` and ``1'234.5`` have thousands separators. Currencies, such as ``$``,
``€`` and ``£``, and percent signs are removed. The suffixes ``K``, ``M``, ``B`` and ``T`` multiply a
number by a thousand, million, billion or trillion. ``(5)`` and ``5-`` are negative.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from seqmodels.errors import DataError, excerpt

MISSING = ("", "nan", "na", "n/a", "null", "none", ".", "-", "--", "—", "–", "?", "#n/a", "<na>", "nat")
MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12, "tn": 1e12}
CURRENCIES = r"(?:[$€£¥₹₽₩]|US\$|USD|EUR|GBP|CHF|JPY|CNY|INR)"
PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
WRITTEN = (
    rf"^(?P<open>\()?\s*(?P<sign>[+-])?\s*(?P<currency>{CURRENCIES})?\s*(?P<second>[+-])?"
    r"(?P<digits>\d[\d.,'’]*|[.,]\d+)(?P<power>[eE][+-]?\d+)?"
    rf"\s*(?P<multiple>[KkMBbTt]|[Mm]n|[Bb]n|[Tt]n|m)?\s*(?P<percent>%)?\s*(?P<after>{CURRENCIES})?"
    r"(?P<behind>-)?\s*(?P<close>\))?$"
)

Place = Callable[[int], str]


@dataclass
class Writing:
    """Conventions of the numbers of one file, collected from all columns.

    Attributes:
        decimal_comma: if True, an ambiguous comma, as in ``1,234``, is read as the decimal separator. If
            False, it is read as the thousands separator.
        known: True if at least one number of the file shows which separator separates decimals.
        columns: notes for the user, as a dictionary ``{note: names of columns}``. An example of a note is
            "currency signs are removed". A note applies only to the columns in its list.
    """

    decimal_comma: bool = False
    known: bool = False
    columns: dict[str, list[str]] = field(default_factory=dict)

    def add(self, mark: str, column: str) -> None:
        names = self.columns.setdefault(mark, [])
        if column not in names:
            names.append(column)

    @property
    def notes(self) -> list[str]:
        return [f"{mark} in {_listed(names)}" for mark, names in self.columns.items()]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return f"the column{'s' if len(names) > 1 else ''} {shown}"


def is_number(cells: pd.Series) -> bool:
    """Returns True if at least one cell is a number."""
    if cells.dtype.kind in "iuf":
        return True
    if cells.dtype.kind in "bM" or isinstance(cells.dtype, pd.DatetimeTZDtype):
        return cells.dtype.kind == "b"
    texts = _texts(cells)
    missing = texts.str.lower().isin(MISSING)
    return bool(_clean(texts[~missing]).str.match(WRITTEN).any())


def decides_comma(cells: pd.Series) -> bool | None:
    """Returns True for decimal commas, False for decimal points, and None if the cells fit both."""
    if cells.dtype.kind in "iufbM":
        return None
    texts = _clean(_texts(cells))
    digits = texts[texts.str.match(WRITTEN)].str.replace(r"[^\d.,]", "", regex=True)
    comma = digits.str.contains(",", regex=False)
    if not comma.any():
        return True if (digits.str.count(r"\.") > 1).any() else None
    last_comma = digits.str.rfind(",") > digits.str.rfind(".")
    groups = digits.str.fullmatch(r"[1-9]\d{0,2}(,\d{3})+")
    point = (comma & ~last_comma) | (digits.str.count(",") > 1)
    decimal = comma & last_comma & ~groups & (digits.str.count(",") == 1)
    if point.any() or decimal.any():
        return bool(decimal.sum() > point.sum())
    return None


def parse_numbers(cells: pd.Series, place: Place, name: str, writing: Writing | None = None) -> np.ndarray:
    """Returns a column of numbers as float64: ``(rows,)``. Missing cells become NaN.

    Args:
        cells: the cells, as text or as stored in a typed file.
        place: function that receives a row number and returns its location for error messages.
        name: name of the column.
        writing: conventions of the file. The function adds notes about this column.

    Raises:
        DataError: a cell is neither a number nor missing, a number is infinite, or the separators of a number
            contradict the other cells.

    >>> parse_numbers(pd.Series(["$1,234.50", "(2.5)", "1.2K", "n/a"]), str, "price")
    array([1234.5,   -2.5, 1200. ,    nan])
    """
    writing = writing or Writing()
    if cells.dtype.kind in "iufb":
        values = cells.to_numpy(np.float64, na_value=np.nan)
    else:
        values = _of_texts(_texts(cells), place, name, writing)
    if np.isinf(values).any():
        row = int(np.isinf(values).argmax())
        raise DataError(
            f"{place(row)}: {excerpt(cells.iloc[row])} is not finite; expected a number such as 1234.5"
        )
    return values


def _texts(cells: pd.Series) -> pd.Series:
    return cells.map(lambda cell: "" if cell is None or cell is pd.NA else str(cell).strip())


def _of_texts(texts: pd.Series, place: Place, name: str, writing: Writing) -> np.ndarray:
    grouped = writing.decimal_comma and _has_groups(texts)
    try:
        if not grouped:
            return np.array([text or "nan" for text in texts], np.float64)
    except ValueError:
        pass
    values = np.full(len(texts), np.nan)
    missing = texts.str.lower().isin(MISSING).to_numpy()
    infinite = texts.str.fullmatch(r"[+-]?(?i:inf|infinity)").to_numpy()
    values[infinite] = np.inf
    left = np.flatnonzero(~missing & ~infinite)
    parts = _clean(texts.iloc[left]).str.extract(WRITTEN)
    bad = parts["digits"].isna().to_numpy() | (parts["open"].notna() != parts["close"].notna()).to_numpy()
    if bad.any():
        _refuse(texts, int(left[bad.argmax()]), place)
    digits = parts["digits"].str.replace(r"['’]", "", regex=True)
    digits, wrong, decimal_comma = _without_groups(digits, name, writing, grouped)
    if wrong.any():
        row = int(left[wrong.argmax()])
        comma = "a comma" if decimal_comma else "a point"
        raise DataError(
            f"{place(row)}: {excerpt(texts.iloc[row])} is not a number; in other cells of this file, {comma} "
            "separates decimals; write all numbers in the same way"
        )
    read = (digits + parts["power"].fillna("")).to_numpy().astype(np.float64)
    read *= parts["multiple"].fillna("").str.lower().map(MULTIPLES).to_numpy()
    signs = sum((parts[key] == "-").to_numpy().astype(int) for key in ("sign", "second", "behind"))
    read = np.where((signs % 2 == 1) ^ parts["open"].notna().to_numpy(), -read, read)
    values[left] = read
    for mark, found in (
        ("currency signs are removed", parts["currency"].notna() | parts["after"].notna()),
        ("percent signs are removed, and the values stay in percent,", parts["percent"].notna()),
        ("the suffixes K, M, B and T multiply the numbers", parts["multiple"].notna()),
        ("numbers in parentheses are negative", parts["open"].notna()),
    ):
        if found.any():
            writing.add(mark, name)
    return values


def _clean(texts: pd.Series) -> pd.Series:
    """Removes spaces between groups of digits, and replaces all kinds of minus signs by ``-``."""
    texts = texts.str.replace("[−‒–]", "-", regex=True)
    return texts.str.replace(r"(?<=\d)[\s\u00a0\u202f\u2009](?=\d{3})", "", regex=True)


def _has_groups(texts: pd.Series) -> bool:
    """Returns True if cells contain the character ``.``, and each ``.`` can be a thousands separator."""
    points = texts.str.contains(".", regex=False) & ~texts.isin(MISSING)
    groups = texts.str.fullmatch(r"[^\d.]*[1-9]\d{0,2}(\.\d{3})+(,\d+)?[^\d.]*")
    return bool(points.any() and groups[points].all())


def _without_groups(
    digits: pd.Series, name: str, writing: Writing, grouped: bool
) -> tuple[pd.Series, np.ndarray, bool]:
    """Removes thousands separators and writes decimals with a point.

    Returns three values. The first value contains the numbers as text. The second value is an array, which is
    True for cells whose separators contradict the other cells. The third value is True if the decimal
    separator is a comma.
    """
    commas, points = digits.str.count(","), digits.str.count(r"\.")
    own = True if grouped else decides_comma(digits)
    decimal_comma = writing.decimal_comma if own is None else own
    if not (commas > 0).any() and not grouped and own is None:
        decimal_comma = False
    if (commas > 0).any() and own is None and not writing.known:
        reading = "decimal" if decimal_comma else "thousands"
        writing.add(f"commas are read as {reading} separators", name)
    elif (commas > 0).any() or (decimal_comma and (points > 0).any()):
        writing.add(
            "commas are decimal separators" if decimal_comma else "commas are thousands separators", name
        )
    group, decimal = (".", ",") if decimal_comma else (",", ".")
    escaped = re.escape(group)
    shape = rf"(?:\d{{1,3}}(?:{escaped}\d{{2,3}})*{escaped}\d{{3}}|\d*)(?:{re.escape(decimal)}\d*)?"
    wrong = ~digits.str.fullmatch(shape).to_numpy()
    plain = digits.str.replace(group, "", regex=False).str.replace(decimal, ".", regex=False)
    return plain.where(~wrong, "0"), wrong, decimal_comma


def _refuse(texts: pd.Series, row: int, place: Place) -> None:
    raise DataError(
        f"{place(row)}: {excerpt(texts.iloc[row])} is not a number; expected a number such as 1234.5"
    )
