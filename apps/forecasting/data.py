"""Prepares series for a model.

This module chooses the default settings that depend on the data, splits the series, and returns batches of
windows.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.forecasting import windows
from apps.forecasting.options import Train
from apps.forecasting.readers import load_series
from apps.forecasting.records import SeriesData
from apps.forecasting.windows import PARTS, Panel
from apps.run import write_text
from apps.task import Data
from seqmodels.errors import DataError

PRICE_LOOKBACK, PRICE_HORIZON = 250, 1
YEAR = 365.2425
LONG_PAST = 8  # with a lookback of at least this number of seasons, one time step reads one season


@dataclass(frozen=True)
class Assets:
    """Settings of a trained model, stored in the run directory as ``forecast.json``.

    Attributes:
        kind: ``prices`` or ``values``.
        names: names of the series. The model identifies a series by its index in this list.
        lookback: number of past rows that the model reads.
        horizon: number of rows to forecast.
        segment: number of rows that the model reads per time step.
        season: season length in rows.
        frequency: value of ``--frequency``, or None.
        split: split specification, see :func:`apps.forecasting.windows.boundaries`.
        unit: unit by which errors are divided in the loss, see :func:`apps.forecasting.windows.units`.
        periods: periods of the calendar inputs. The unit is days, or rows for series without dates.
        series_units: dimension of the learned embedding of each series; 0 disables it.
        dated: True if the times are dates, False if they are numbers.
        known: mean and standard deviation of each known covariate in the training rows.
        static: mean and standard deviation of each static covariate over the series.
    """

    kind: str
    names: list[str]
    lookback: int
    horizon: int
    segment: int
    season: int
    frequency: str | None
    split: str
    unit: str
    periods: list[float]
    series_units: int
    dated: bool
    known: list[list[float]]
    static: list[list[float]]

    def save(self, folder: Path) -> None:
        write_text(folder / "forecast.json", json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Assets:
        """Loads the assets from a folder; raises DataError if the file is missing or damaged."""
        try:
            return cls(**json.loads((folder / "forecast.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{folder}: the assets cannot be read ({error}); train the run again") from error


@dataclass(frozen=True)
class Prepared:
    """Series that are split and ready to be batched for a model.

    Attributes:
        source: the series.
        ends: rows at which training, validation and test split of each series end, ``(series, 3)``.
        panel: arrays from which the windows are gathered.
        numbers: index of each series in ``assets.names``, ``(series,)``. 0 if the model has no series
            embeddings.
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
        numbers = _numbers(source, assets)
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


def read(options: Train, data: str | None = None) -> SeriesData:
    """Reads the series ``data`` with the options of a training.

    Default: the series of the training.
    """
    return load_series(
        data or options.data,
        fill=options.fill,
        frequency=options.frequency,
        season=options.season,
        known=_listed(options.known),
        static=_listed(options.static),
        seed=options.seed,
    )


def _listed(columns: str) -> list[str]:
    return [column.strip() for column in columns.split(",") if column.strip()]


def load(options: Train, assets: Assets | None) -> Data:
    """Reads the series and splits them into windows.

    The default settings may depend on the number of all rows and on their dates. They do not depend on the
    values of validation and test rows.

    Args:
        options: options of the training.
        assets: settings of the run that is resumed or continued. If None, the settings are chosen from the
            options and the data.
    """
    source = read(options)
    assets = assets or _assets(options, source)
    prepared = Prepared.of(source, assets)
    return data_of(prepared, options)


def data_of(prepared: Prepared, options: Train) -> Data:
    """Returns prepared series in the form that the training needs, with training and validation batches."""
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


def _assets(options: Train, source: SeriesData) -> Assets:
    prices, several = source.kind == "prices", len(source.series) > 1
    dated = source.series[0].times.dtype.kind == "M"
    split = options.split
    if split == "auto":
        split = "horizon" if several and not dated else windows.SHARES
    season = source.season
    horizon = options.horizon or (PRICE_HORIZON if prices else season if season > 1 else 12)
    # The lookback spans several seasons. It is reduced if the shortest series would have no training window.
    wished = PRICE_LOOKBACK if prices else max(3 * season, 2 * horizon, 24)
    ends = windows.boundaries(source, split, horizon)
    known = [series.known[:end] for series, end in zip(source.series, ends[:, 0])]
    room = int(ends[:, 0].min()) - horizon
    lookback = options.lookback or max(min(wished, room - max(room // 4, 1)), 2)
    segment = options.segment or (
        season if not prices and season > 1 and lookback >= LONG_PAST * season else 1
    )
    unit = options.error_unit
    return Assets(
        kind=source.kind,
        names=[series.name for series in source.series],
        lookback=lookback,
        horizon=horizon,
        segment=segment,
        season=season,
        frequency=options.frequency,
        split=split,
        unit=("none" if prices else "deviation") if unit == "auto" else unit,
        periods=_periods(source) if options.calendar else [],
        series_units=options.series_units if options.architecture in ("recurrent", "mlp") else 0,
        dated=dated,
        known=_standards(np.concatenate(known)),
        static=_standards(np.stack([series.static for series in source.series])),
    )


def _standards(rows: np.ndarray) -> list[list[float]]:
    """Returns the mean and standard deviation of each column. The deviation of a constant column is 1."""
    if not rows.size:
        return []
    deviations = rows.std(0)
    return np.stack([rows.mean(0), np.where(deviations > 0, deviations, 1.0)], 1).tolist()


def _periods(source: SeriesData) -> list[float]:
    """Returns the periods of the calendar inputs.

    Series with dates can have three periods, in days: the day, the week and the year. A period is returned if
    it spans at least two rows and the first series spans at least two periods. For prices, only the week is
    returned. For series without dates, the season in rows is the only period.
    """
    if source.series[0].times.dtype.kind != "M":
        return [float(source.season)] if source.season > 1 else []
    if source.kind == "prices":
        return [7.0]  # price series of a few years are too short to learn a yearly pattern
    days = source.days(0)
    step, length = float(np.median(np.diff(days))), float(days[-1] - days[0])
    return [period for period in (1.0, 7.0, YEAR) if 2 * step <= period <= length / 2]


def _facts(prepared: Prepared, origins: dict[str, np.ndarray]) -> dict[str, Any]:
    source, assets = prepared.source, prepared.assets
    first = source.series[0]
    edges = [0, *prepared.ends[0]]
    spans = {
        part: f"{_shown(first.times[start])} to {_shown(first.times[end - 1])}"
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


def _shown(time: Any) -> str:
    return str(time).removesuffix("T00:00:00") if isinstance(time, np.datetime64) else str(int(time))


def at_ends(prepared: Prepared) -> np.ndarray:
    """Returns the last row of each series as the origin of a forecast: ``(series, 2)``.

    Raises:
        DataError: a series has fewer rows than the lookback.
    """
    lookback = prepared.assets.lookback
    for series in prepared.source.series:
        if len(series) < lookback:
            raise DataError(
                f"{prepared.source.name}: series {series.name!r} has {len(series)} rows, but the model needs "
                f"at least {lookback}; add earlier rows"
            )
    return np.array([[number, len(series) - 1] for number, series in enumerate(prepared.source.series)])


def whole(source: SeriesData, assets: Assets) -> Prepared:
    """Prepares series for a forecast from their last row.

    Future rows are appended to each series, because a window includes its target rows. Their values are
    placeholders that the model does not read.
    """
    numbers = _numbers(source, assets)
    horizon = assets.horizon
    for each in source.series:
        if assets.known and len(each.known) < len(each) + horizon:
            raise DataError(
                f"{source.name}: the known covariates of series {each.name!r} cover "
                f"{len(each.known) - len(each)} future rows, but the model needs {horizon}; add future rows "
                "that contain the covariates, and leave the series columns empty"
            )
    series = [
        replace(
            each,
            times=np.concatenate([each.times, source.frequency.after(each.times[-1], horizon)]),
            values=np.concatenate([each.values, np.repeat(each.values[-1:], horizon, 0)]),
        )
        for each in source.series
    ]
    count = len(series)
    longer = replace(source, series=series, truth=None)
    return Prepared(source, np.zeros((count, 3), np.int64), Panel.of(longer, np.ones(count)), numbers, assets)


def _numbers(source: SeriesData, assets: Assets) -> np.ndarray:
    """Returns the index of each series in ``assets.names``: ``(series,)``; 0 without series embeddings.

    Raises:
        DataError: the kind of the series differs from the training, or the model does not have a series.
    """
    if source.kind != assets.kind:
        raise DataError(
            f"{source.name} holds {source.kind}, but the run was trained on {assets.kind}; "
            f"pass data with {assets.kind}"
        )
    if not assets.series_units:
        return np.zeros(len(source.series), np.int64)
    return windows.check_names(source, assets.names)
