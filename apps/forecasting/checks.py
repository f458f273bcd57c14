"""Checks the series that were read, and adds holidays to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from apps.forecasting.calendar import Steps
from apps.forecasting.holiday import holiday_counts
from apps.forecasting.records import Series, SeriesData
from seqmodels.errors import DataError, UsageError

SHOWN = 5  # maximum number of series that a note lists
ZEROS = 0.25  # whole numbers are treated as counts if at least this fraction of the numbers is 0


def listed(names: Sequence[str]) -> str:
    """Returns at most ``SHOWN`` names as text. If there are more names, the text ends, for example,
    with "and 3 more".

    >>> listed(["a", "b"])
    "'a', 'b'"
    """
    return ", ".join(map(repr, names[:SHOWN])) + (
        f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    )


def without_constant(source: SeriesData) -> SeriesData:
    """Drops constant series. Raises DataError if all series are constant."""
    keep = [bool(np.ptp(source.targets(number)[1:]) != 0) for number in range(len(source.series))]
    if all(keep):
        return source
    names = [series.name for series, kept in zip(source.series, keep) if not kept]
    if not any(keep):
        which = f"series {names[0]!r} is" if len(names) == 1 else f"all {len(names)} series are"
        raise DataError(f"{source.name}: {which} constant; pass a series whose values change")
    note = f"{len(names)} of {len(keep)} series are constant and left out: {listed(names)}"
    return subset(source, keep, note)


def subset(source: SeriesData, keep: Sequence[bool], note: str) -> SeriesData:
    """Keeps only the series whose value in ``keep`` is True, and adds ``note`` to the notes."""
    truth = None if source.truth is None else [each for each, kept in zip(source.truth, keep) if kept]
    series = [each for each, kept in zip(source.series, keep) if kept]
    return replace(source, series=series, truth=truth, notes=[*source.notes, note])


def early_ends(source: SeriesData) -> list[str]:
    """Returns a list with a note about the series that end before the latest date of all series."""
    if len(source.series) < 2 or isinstance(source.frequency, Steps):
        return []
    ends = [series.times[-1] for series in source.series]
    last = max(ends)
    early = [f"{series.name} ({shown(end)})" for series, end in zip(source.series, ends) if end < last]
    if not early:
        return []
    more = f" and {len(early) - SHOWN} more" if len(early) > SHOWN else ""
    return [
        f"{len(early)} of {len(ends)} series end before the last date {shown(last)}: "
        f"{', '.join(early[:SHOWN])}{more}; the forecast of each series starts after its own last row"
    ]


def is_counts(values: np.ndarray) -> bool:
    """Returns True if all values are whole numbers of at least 0, and at least 25 % of the values are 0.

    >>> is_counts(np.array([0.0, 3.0])), is_counts(np.array([0.0, 0.5]))
    (True, False)
    """
    return bool((values >= 0).all() and (values % 1 == 0).all() and (values == 0).mean() >= ZEROS)


def with_holidays(source: SeriesData, countries: Sequence[str]) -> SeriesData:
    """Adds one known covariate per country: the number of holidays in each time step."""
    if source.series[0].times.dtype.kind != "M":
        raise UsageError(
            f"--holidays {','.join(countries)} needs dates, but {source.name} has row numbers; remove "
            "--holidays"
        )
    series = [
        with_future_holidays(source, number, countries, len(each.known) - len(each) if each.known.size else 0)
        for number, each in enumerate(source.series)
    ]
    return replace(source, series=series, countries=tuple(countries))


def with_future_holidays(source: SeriesData, number: int, countries: Sequence[str], ahead: int) -> Series:
    """Adds one known covariate per country to a series: the number of holidays in each row.

    The known covariates then have values for all rows of the series and for ``ahead`` future rows.
    """
    series = source.series[number]
    known = series.known[:, : series.known.shape[1] - len(source.countries)]
    following = source.after(number, series.times[-1], ahead + 1)
    times = np.concatenate([series.times, following])
    columns = [holiday_counts(name, times[:-1], times[1:]) for name in countries]
    own = known if known.shape[1] else np.zeros((len(times) - 1, 0))
    return replace(series, known=np.column_stack([own, *columns]))


def shown(time: object) -> str:
    """Formats a time or a row number.

    >>> shown(np.datetime64("2024-01-31T00:00:00"))
    '2024-01-31'
    """
    return str(time).removesuffix("T00:00:00") if isinstance(time, np.datetime64) else str(int(time))  # type: ignore[call-overload]
