"""Holidays of countries and exchanges, from the package ``holidays``."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from seqmodels.errors import UsageError

EXPECTED = "use a country such as US or DE-BY, several countries such as US,CA, or an exchange such as NYSE"


def split_names(names: str) -> tuple[list[str], str]:
    """Splits ``--holidays`` into countries and one exchange.

    Raises:
        UsageError: a name is unknown, there are several exchanges, or the package ``holidays`` is missing.

    >>> split_names("US-CA")
    (['US-CA'], '')
    """
    package = _package()
    markets = package.list_supported_financial(include_aliases=True)
    countries: list[str] = []
    exchanges: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if not name:
            continue
        (exchanges if name.upper() in markets else countries).append(name.upper())
    for name in countries:
        _calendar(name, (2000,))
    if len(exchanges) > 1:
        raise UsageError(f"--holidays {names} contains {len(exchanges)} exchanges; use only one exchange")
    return countries, exchanges[0] if exchanges else ""


def closed_days(name: str, first: Any, last: Any) -> np.ndarray:
    """Returns the holidays from ``first`` to ``last``: ``(n,)`` datetime64[D], ascending.

    Args:
        name: a country such as ``US``, a part of a country such as ``DE-BY``, or an exchange such as
            ``NYSE``.
        first: first time, as datetime64.
        last: last time, as datetime64.

    >>> closed_days("NYSE", np.datetime64("2024-07-01"), np.datetime64("2024-07-31"))
    array(['2024-07-04'], dtype='datetime64[D]')
    """
    low, high = (time.astype("datetime64[Y]").astype(int) + 1970 for time in (first, last))
    found = _dates(name, tuple(range(int(low), int(high) + 1)))
    return found[(found >= first.astype("datetime64[D]")) & (found <= last.astype("datetime64[D]"))]


@lru_cache(maxsize=64)
def _dates(name: str, years: tuple[int, ...]) -> np.ndarray:
    return np.array(sorted(_calendar(name, years)), "datetime64[D]")


def _calendar(name: str, years: tuple[int, ...]) -> Any:
    package = _package()
    if name in package.list_supported_financial(include_aliases=True):
        return package.financial_holidays(name, years=years)
    country, _, part = name.partition("-")
    try:
        return package.country_holidays(country, subdiv=part or None, years=years)
    except NotImplementedError:
        raise UsageError(
            f"--holidays {name} is neither a country nor a stock exchange that the Python package holidays "
            f"knows; {EXPECTED}"
        ) from None


def _package() -> Any:
    try:
        import holidays
    except ImportError as error:
        raise UsageError(
            "--holidays needs the package holidays; run python -m pip install 'seqmodels[holidays]'"
        ) from error
    return holidays


def holiday_counts(name: str, times: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns the number of holidays in each time step: ``(rows,)`` float64.

    If a step is shorter than a day and its day is a holiday, the number is 1.

    Args:
        name: name of a country, such as ``US``.
        times: first time of each step, datetime64, ``(rows,)``.
        ends: first time of the next step, ``(rows,)``.
    """
    first = times.astype("datetime64[D]")
    last = np.maximum(ends.astype("datetime64[D]"), first + 1)
    holidays = closed_days(name, first.min(), last.max())
    return (np.searchsorted(holidays, last) - np.searchsorted(holidays, first)).astype(np.float64)
