"""Prepares series so that a model can forecast their future rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from apps.forecasting.checks import listed, subset, with_future_holidays
from apps.forecasting.data import Assets, Prepared, numbers_of
from apps.forecasting.records import SeriesData
from apps.forecasting.windows import Panel
from seqmodels.errors import DataError


def at_ends(prepared: Prepared) -> np.ndarray:
    """Returns an array of two columns: the index of each series, and the index of its last row.

    The array has the shape ``(series, 2)``. The last row is the origin of a forecast.
    """
    return np.array([[number, len(series) - 1] for number, series in enumerate(prepared.source.series)])


def whole(source: SeriesData, assets: Assets) -> Prepared:
    """Prepares series so that a model can forecast their future rows.

    The function adds placeholder values after the last row, but the model never reads these values. Series
    that the model cannot forecast are left out, and a note lists them.

    Raises:
        DataError: the model can forecast none of the series, or a known covariate has too few future rows.
    """
    if assets.series_units:
        source = _known_names(source, assets)
    # This call only checks the series. It raises an error if the model was trained on prices and the series
    # are not prices, or the reverse. It also raises an error if the model was trained on none of the series.
    # Without this check, the next line could raise a misleading error about short series.
    numbers_of(source, assets)
    source = _long_enough(source, assets)
    numbers = numbers_of(source, assets)
    horizon = assets.horizon
    if source.countries and source.series[0].known.shape[1] == len(source.countries):
        later = [
            with_future_holidays(source, number, source.countries, horizon)
            for number in range(len(source.series))
        ]
        source = replace(source, series=later)
    for each in source.series:
        if assets.known and len(each.known) < len(each) + horizon:
            raise DataError(
                f"{source.name}: the known covariates of series {each.name!r} cover "
                f"{len(each.known) - len(each)} future rows, but the model needs {horizon} future rows; "
                "add the missing rows at the end of the data, with values for these covariates and empty "
                "target cells"
            )
    series = [
        replace(
            each,
            times=np.concatenate([each.times, source.after(number, each.times[-1], horizon)]),
            values=np.concatenate([each.values, np.repeat(each.values[-1:], horizon, 0)]),
        )
        for number, each in enumerate(source.series)
    ]
    count = len(series)
    longer = replace(source, series=series, truth=None)
    return Prepared(source, np.zeros((count, 3), np.int64), Panel.of(longer, np.ones(count)), numbers, assets)


def _long_enough(source: SeriesData, assets: Assets) -> SeriesData:
    """Drops series with fewer rows than the lookback. Raises DataError if no series is left."""
    keep = [len(series) >= assets.lookback for series in source.series]
    if all(keep):
        return source
    short = next(series for series, kept in zip(source.series, keep) if not kept)
    if not any(keep):
        raise DataError(
            f"{source.name}: series {short.name!r} has {len(short)} rows, but the model needs at least "
            f"{assets.lookback} rows; add earlier rows"
        )
    names = [series.name for series, kept in zip(source.series, keep) if not kept]
    note = (
        f"{len(names)} of {len(keep)} series have fewer than {assets.lookback} rows and are left out: "
        f"{listed(names)}"
    )
    return subset(source, keep, note)


def _known_names(source: SeriesData, assets: Assets) -> SeriesData:
    """Drops the series on which the model was not trained.

    If the model was trained on none of the series, the function returns all series. The caller then calls
    :func:`numbers_of`, which raises an error about the unknown series.
    """
    keep = [series.name in assets.names for series in source.series]
    if all(keep) or not any(keep):
        return source
    names = [series.name for series, kept in zip(source.series, keep) if not kept]
    return subset(
        source, keep, f"the model was not trained on {len(names)} series, which are left out: {listed(names)}"
    )
