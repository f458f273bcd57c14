"""Converts UTC offsets and names of time zones to seconds east of UTC."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd

from seqmodels.errors import DataError, excerpt

# Maps abbreviations to UTC offsets in hours. Abbreviations with several usual meanings are not included.
ABBREVIATIONS = {
    "UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2,
    "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8,
    "PDT": -7, "AKST": -9, "AKDT": -8, "HST": -10, "JST": 9, "KST": 9, "HKT": 8, "SGT": 8, "AEST": 10,
    "AEDT": 11,
    "AWST": 8, "NZST": 12, "NZDT": 13, "BRT": -3, "SAST": 2,
}  # fmt: skip


def seconds_east(
    zones: pd.Series,
    areas: pd.Series,
    local: np.ndarray,
    place: Callable[[int], str],
    texts: pd.Series,
) -> tuple[np.ndarray, str]:
    """Returns the UTC offset of each row in seconds, and the name of the time zone.

    The name is empty if the rows have different time zones, or if the rows have only offsets such as
    ``+01:00``.

    Args:
        zones: ``Z``, an offset such as ``+01:00``, an abbreviation, or a name such as ``Europe/Berlin``.
        areas: name in brackets after the offset, such as ``Europe/Berlin`` in ``+01:00[Europe/Berlin]``. The
            value is missing if the cell has no brackets.
        local: local times, ``(rows,)``.
        place: function that receives a row number and returns its location for error messages.
        texts: complete texts of the cells, for error messages.

    Raises:
        DataError: a row has no time zone, the zone is unknown, or the local time does not exist.

    >>> missing, local = pd.Series([None]), np.array(["2024-01-01T00:00"], "datetime64[s]")
    >>> seconds_east(pd.Series(["+01:30"]), missing, local, str, missing)
    (array([5400]), '')
    """
    offsets = np.zeros(len(zones), np.int64)
    distinct = zones.fillna("").unique()
    for zone in distinct:
        rows = np.flatnonzero((zones.fillna("") == zone).to_numpy())
        first = int(rows[0])
        if not zone:
            raise DataError(
                f"{place(first)}: {excerpt(texts.iloc[first])} has no UTC offset, but other rows have "
                "one; add an "
                "offset"
            )
        if zone.upper() in ABBREVIATIONS:
            offsets[rows] = 3600 * ABBREVIATIONS[zone.upper()]
        elif "+" in zone[:4] or "-" in zone[:4]:
            digits = zone.lstrip("UTCGM+-").replace(":", "")
            digits = (digits.zfill(2) if len(digits) < 3 else digits.zfill(4)).ljust(4, "0")
            offsets[rows] = (-1 if "-" in zone else 1) * (3600 * int(digits[:2]) + 60 * int(digits[2:]))
        else:
            offsets[rows] = _of_area(zone, local[rows], partial(_place_of, place, rows))
    names = areas.dropna().unique() if areas.notna().all() else distinct
    return offsets, str(names[0]) if len(names) == 1 and "/" in names[0] else ""


def _place_of(place: Callable[[int], str], rows: np.ndarray, row: int) -> str:
    return place(int(rows[row]))


def _of_area(zone: str, local: np.ndarray, place: Callable[[int], str]) -> np.ndarray:
    """Returns the UTC offsets of local times in a named time zone, in seconds: ``(rows,)``.

    At the end of summer time, the clock is set back, and one hour occurs twice. For a time in this hour, the
    order of the rows shows whether it is summer time or winter time.
    """
    falling = len(local) > 1 and local[0] > local[-1]
    ordered = pd.DatetimeIndex(local[::-1] if falling else local)
    try:
        utc = ordered.tz_localize(zone, ambiguous="infer", nonexistent="raise")
    except (KeyError, pd.errors.InvalidIndexError, ImportError) as error:
        raise DataError(
            f"{place(0)}: the time zone {excerpt(zone)} is unknown; use a UTC offset such as +01:00"
        ) from error
    except ValueError as error:
        if "unknown" in str(error).lower() or "no time zone" in str(error).lower():
            raise DataError(
                f"{place(0)}: the time zone {excerpt(zone)} is unknown; use a UTC offset such as +01:00"
            ) from error
        utc = _single(ordered, zone, place, error)
    east = (ordered - utc.tz_convert("UTC").tz_localize(None)) // pd.Timedelta(seconds=1)
    found = np.asarray(east, np.int64)
    return found[::-1] if falling else found


def _single(
    ordered: pd.DatetimeIndex, zone: str, place: Callable[[int], str], error: Exception
) -> pd.DatetimeIndex:
    """Adds the time zone to local times if the order of the rows does not show which UTC times are meant.

    At the end of summer time, one hour occurs twice. This function reads all times in this hour as summer
    time.
    """
    try:
        return ordered.tz_localize(zone, ambiguous=np.ones(len(ordered), bool), nonexistent="raise")
    except ValueError:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{place(0)}: the column has local times that do not exist in {zone} ({reason}); use UTC offsets"
        ) from error
