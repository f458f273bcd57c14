"""Drops the series on which no model can be trained: constant series, and series without training rows."""

from __future__ import annotations

from dataclasses import replace

from apps.forecasting import windows
from apps.forecasting.checks import listed, shown, subset
from apps.forecasting.records import Series, SeriesData
from seqmodels.errors import DataError

LEAST_PRICES = 10  # minimum number of rows before the test split that the volatility baselines need


def trainable(source: SeriesData, split: str, horizon: int, unit: str) -> SeriesData:
    """Drops the series that are constant in their training rows, or that start after the training split.

    A series may be constant only at its start. Therefore the function first removes these constant rows and
    splits the shorter series. If its new training rows vary, the shorter series is kept.

    Args:
        source: the series.
        split: a value of ``--split`` except ``auto``.
        horizon: number of rows to forecast.
        unit: unit of the errors, see :func:`apps.forecasting.windows.units`.

    Raises:
        DataError: no series is left.
    """
    keep = _varies(source, split, horizon, unit)
    if all(keep):
        return source
    begun = [series if kept else _begun(series) for series, kept in zip(source.series, keep)]
    shorter = replace(source, series=begun)
    kept_now = _varies(shorter, split, horizon, unit)
    notes = []
    for old, new, before, now in zip(source.series, begun, keep, kept_now):
        if now and not before:
            notes.append(
                f"the first {len(old) - len(new)} rows of series {old.name!r} are constant and left out; "
                f"the series starts at {shown(new.times[0])}"
            )
    late = [series.name for series, now in zip(source.series, kept_now) if not now]
    if len(late) == len(kept_now):
        raise DataError(
            f"{source.name}: series {late[0]!r} is constant in its training rows; remove the series or "
            "change --split"
        )
    series = [
        new if now and not before else old
        for old, new, before, now in zip(source.series, begun, keep, kept_now)
    ]
    source = replace(source, series=series, notes=[*source.notes, *notes])
    if not late:
        return source
    note = (
        f"{len(late)} of {len(kept_now)} series are left out, because they are constant or have too few "
        f"rows in the training split: {listed(late)}; change --split to include them"
    )
    return subset(source, kept_now, note)


def _varies(source: SeriesData, split: str, horizon: int, unit: str) -> list[bool]:
    try:
        ends = windows.boundaries(source, split, horizon)
    except DataError:
        return [True] * len(source.series)  # The caller computes the boundaries again and raises this error.
    if source.kind == "prices":
        return [end >= LEAST_PRICES for end in ends[:, 1]] if len(ends) > 1 else [True]
    if unit == "none":
        return [end > 0 for end in ends[:, 0]]
    return [
        bool(end > 1 and windows.unit_of(source.targets(number)[:end], unit, source.season) > 0)
        for number, end in enumerate(ends[:, 0])
    ]


def _begun(series: Series) -> Series:
    """Removes the constant rows at the start of a series, but keeps the last of these rows."""
    values = series.values[:, 0]
    changed = values != values[0]
    first = max(int(changed.argmax()) - 1, 0) if changed.any() else 0
    return replace(
        series, times=series.times[first:], values=series.values[first:], known=series.known[first:]
    )
