"""Prepares series for a model.

This module chooses the default settings that depend on the data, splits the series, and returns batches of
windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from apps.forecasting import windows
from apps.forecasting.assets import Assets, choose
from apps.forecasting.calendar import Frequency
from apps.forecasting.checks import shown
from apps.forecasting.options import Train
from apps.forecasting.readers import load_series
from apps.forecasting.records import SeriesData
from apps.forecasting.trainable import trainable
from apps.forecasting.windows import PARTS, Panel
from apps.task import Data
from seqmodels.errors import DataError


@dataclass(frozen=True)
class Prepared:
    """Series that are split and ready to be batched for a model.

    Attributes:
        source: the series.
        ends: index of the first row after each split, ``(series, 3)``. The splits are training, validation
            and test.
        panel: arrays from which the batches of windows are gathered.
        numbers: index of each series in ``assets.names``, ``(series,)``. If the model does not learn an
            embedding of each series, all indexes are 0.
        assets: settings of the model.
    """

    source: SeriesData
    ends: np.ndarray
    panel: Panel
    numbers: np.ndarray
    assets: Assets

    @classmethod
    def of(cls, source: SeriesData, assets: Assets) -> Prepared:
        """Splits series for a model. Raises DataError if the model does not support the series."""
        numbers = numbers_of(source, assets)
        ends = windows.boundaries(source, assets.split, assets.horizon)
        units = windows.units(source, ends, assets.unit)
        return cls(source, ends, Panel.of(source, units), numbers, assets)

    def origins(self, part: str) -> np.ndarray:
        return windows.origins(self.source, self.ends, part, self.assets.lookback, self.assets.horizon)

    def batches(self, origins: np.ndarray, batch_size: int, **order: Any) -> Any:
        shape = (self.assets.lookback, self.assets.horizon, batch_size)
        return self.panel.batches(origins, *shape, numbers=self.numbers, **order)

    @property
    def targets(self) -> list[np.ndarray]:
        return [self.source.targets(number) for number in range(len(self.source.series))]

    def truth(self, origins: np.ndarray) -> np.ndarray:
        """Returns the targets after each origin: ``(n, horizon)``."""
        return self.panel.truth(origins, self.assets.horizon)


def read(
    options: Train,
    data: str | None = None,
    expected: Frequency | None = None,
    encoding: str | None = None,
) -> SeriesData:
    """Reads ``data`` with the options of the training.

    Args:
        options: options of the training.
        data: a value of ``--data``. Default: the ``--data`` of the training.
        expected: calendar of the training. It is used if the rows of ``data`` fit this calendar.
        encoding: encoding of ``data``. Default: ``options.encoding``. If ``data`` is given, but not
            ``encoding``, UTF-8 is tried first. A file that is not UTF-8 is then read with
            ``options.encoding``.
    """
    source = load_series(
        data or options.data,
        fill=options.fill,
        frequency=options.frequency,
        season=options.season,
        known=_listed(options.known),
        static=_listed(options.static),
        seed=options.seed,
        date=_listed(options.date),
        id=_listed(options.id),
        target=_listed(options.target),
        close=options.close or None,
        date_format=options.date_format,
        holidays=options.holidays,
        encoding=encoding or options.encoding,
        prefer_utf8=data is not None and encoding is None,
        expected=expected,
    )
    if expected is not None and source.frequency.step != expected.step:
        note = (
            f"{source.name} has one row per {source.frequency.step}, but the run was trained on one row per "
            f"{expected.step}; the forecasts may be wrong"
        )
        source = replace(source, notes=[*source.notes, note])
    return source


def _listed(columns: str) -> list[str]:
    return [column.strip() for column in columns.split(",") if column.strip()]


def load(options: Train, assets: Assets | None) -> Data:
    """Reads the series and splits them into windows.

    The default settings of a model may depend on the number and the dates of all rows. To keep the evaluation
    fair, these settings do not depend on the values in validation and test rows.

    Args:
        options: options of the training.
        assets: settings of the run that is resumed or continued. If None, the settings are chosen from the
            options and the data.
    """
    source = read(options)
    if assets is None:
        source, assets = choose(options, source)
    else:
        source = _trained(source, assets)
    return data_of(Prepared.of(source, assets), options)


def prepare(source: SeriesData, assets: Assets) -> Prepared:
    """Drops unusable series, and splits all other series with the settings of the model.

    A series is unusable if it is constant in its training rows, or if it starts after the training split. See
    :func:`apps.forecasting.trainable.trainable`.
    """
    return Prepared.of(_trained(source, assets), assets)


def _trained(source: SeriesData, assets: Assets) -> SeriesData:
    return trainable(source, assets.split, assets.horizon, assets.unit)


def data_of(prepared: Prepared, options: Train) -> Data:
    """Returns the training and validation batches of prepared series, and the facts about the data."""
    train, valid = prepared.origins("train"), prepared.origins("valid")
    return Data(
        train=lambda epoch: prepared.batches(
            train, options.batch_size, seed=options.seed, epoch=epoch, limit=options.windows
        ),
        valid=lambda: prepared.batches(valid, options.batch_size),
        assets=prepared.assets,
        facts=_facts(prepared, {"train": train, "valid": valid, "test": prepared.origins("test")}),
        source=prepared,
    )


def _facts(prepared: Prepared, origins: dict[str, np.ndarray]) -> dict[str, Any]:
    source, assets = prepared.source, prepared.assets
    first = source.series[0]
    edges = [0, *prepared.ends[0]]
    spans = {
        part: f"{shown(first.times[start])} to {shown(first.times[end - 1])}"
        for part, start, end in zip(PARTS, edges, edges[1:])
    }
    return {
        "source": source.name,
        "sha256": source.sha256,
        "notes": source.notes,
        "counts": {part: len(found) for part, found in origins.items()},
        "series": len(source.series),
        "rows": int(sum(len(series) for series in source.series)),
        "kind": source.kind,
        "one row a": str(source.frequency),
        "season": assets.season,
        "lookback": assets.lookback,
        "horizon": assets.horizon,
        f"rows of {first.name}": spans,
    }


def numbers_of(source: SeriesData, assets: Assets) -> np.ndarray:
    """Returns the index of each series in ``assets.names``: ``(series,)``.

    If the model does not learn an embedding of each series, all indexes are 0.

    Raises:
        DataError: the kind of the series (prices or values) differs from the training, or the model has no
            embedding for one of the series.
    """
    if source.kind != assets.kind:
        raise DataError(
            f"{source.name} contains {source.kind}, but the run was trained on {assets.kind}; "
            f"pass data that contain {assets.kind}"
        )
    if not assets.series_units:
        return np.zeros(len(source.series), np.int64)
    return windows.check_names(source, assets.names)
