"""Settings of a model that depend on the training data. They are stored in the run directory."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.forecasting import windows
from apps.forecasting.calendar import DAY, Fixed, Frequency
from apps.forecasting.checks import is_counts
from apps.forecasting.frequencies import restored
from apps.forecasting.options import Train
from apps.forecasting.records import SeriesData
from apps.forecasting.trainable import trainable
from apps.forecasting.week import Weekdays
from apps.run import write_text
from seqmodels.errors import DataError

PRICE_LOOKBACK, PRICE_HORIZON = 250, 1
YEAR = 365.2425
LONG_PAST = 8  # If the lookback has at least this number of seasons, the default segment is one season.


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
        frequency: value of ``--frequency``. None means that the calendar was inferred from the dates.
        split: split specification, see :func:`apps.forecasting.windows.boundaries`.
        unit: ``none``, ``deviation`` or ``season``. The loss divides the errors of each series by this
            unit, see :func:`apps.forecasting.windows.units`.
        periods: periods of the calendar inputs. The unit is days, or rows for series without dates.
        series_units: dimension of the learned embedding of each series. 0 means no embedding.
        dated: True if the times are dates, False if they are numbers.
        known: mean and standard deviation of each known covariate in the training rows.
        static: mean and standard deviation of each static covariate over the series.
        calendar: calendar of the rows, see :func:`apps.forecasting.frequencies.restored`. It is empty in runs
            of earlier versions.
        minimum: lower limit of the forecast quantiles. None means no limit.
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
    calendar: dict[str, Any] = field(default_factory=dict)
    minimum: float | None = None

    @property
    def frequency_of_rows(self) -> Frequency | None:
        """The calendar of the training rows, or None if an earlier version of the app wrote the run."""
        return restored(self.calendar) if self.calendar else None

    @property
    def step(self) -> str:
        """The time between two rows as a noun, such as ``hour``."""
        found = self.frequency_of_rows
        return found.step if found else "day" if self.kind == "prices" else "step"

    def save(self, folder: Path) -> None:
        write_text(folder / "forecast.json", json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Assets:
        """Loads the assets from a folder. Raises DataError if the file is missing or damaged."""
        try:
            return cls(**json.loads((folder / "forecast.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{folder}/forecast.json cannot be read ({error}); train the run again"
            ) from error


def choose(options: Train, source: SeriesData) -> tuple[SeriesData, Assets]:
    """Returns the series for the training, and the settings of the model.

    The function may add notes to the series, for example about a reduced horizon.
    """
    prices, several = source.kind == "prices", len(source.series) > 1
    dated = source.series[0].times.dtype.kind == "M"
    split = options.split
    if split == "auto":
        split = "horizon" if several and not dated else windows.SHARES
    unit = options.error_unit
    unit = ("none" if prices else "deviation") if unit == "auto" else unit
    season = source.season
    notes = []
    horizon = options.horizon or (PRICE_HORIZON if prices else season if season > 1 else 12)
    source = trainable(source, split, horizon, unit)
    if not options.horizon:
        room = _room(source, split)
        if horizon > room > 0:
            notes.append(
                f"the horizon is {room} rows instead of {horizon}, because the smallest split has {room} "
                "rows; set --horizon or --split to change this"
            )
            horizon = room
    # By default, the lookback spans several seasons. A training window contains the lookback and the horizon.
    # If the shortest series has too few training rows for such a window, the lookback is reduced.
    wished = PRICE_LOOKBACK if prices else max(3 * season, 2 * horizon, 24)
    ends = windows.boundaries(source, split, horizon)
    known = [series.known[:end] for series, end in zip(source.series, ends[:, 0])]
    room = int(ends[:, 0].min()) - horizon
    lookback = options.lookback or max(min(wished, room - max(room // 4, 1)), 2)
    if not options.lookback and 2 * lookback < wished <= np.median(ends[:, 0]) - horizon:
        short = source.series[int(ends[:, 0].argmin())].name
        notes.append(
            f"the lookback is {lookback} rows instead of {wished}, because series {short!r} has "
            f"{ends[:, 0].min()} training rows; set --lookback or remove the series"
        )
    segment = options.segment or (
        season if not prices and season > 1 and lookback >= LONG_PAST * season else 1
    )
    past = np.concatenate([series.values[:end, 0] for series, end in zip(source.series, ends[:, 0])])
    counts = not prices and is_counts(past)
    if counts:
        zeros = np.mean(past == 0)
        notes.append(
            f"the training values are counts, and {zeros:.0%} of them are 0; forecast quantiles below 0 are "
            "set to 0"
        )
    source = replace(source, notes=[*source.notes, *notes])
    return source, Assets(
        kind=source.kind,
        names=[series.name for series in source.series],
        lookback=lookback,
        horizon=horizon,
        segment=segment,
        season=season,
        frequency=options.frequency,
        split=split,
        unit=unit,
        periods=_periods(source) if options.calendar else [],
        series_units=options.series_units if options.architecture in ("recurrent", "mlp") else 0,
        dated=dated,
        known=_standards(np.concatenate(known)),
        static=_standards(np.stack([series.static for series in source.series])),
        calendar=source.frequency.stored(),
        minimum=0.0 if counts else None,
    )


def _room(source: SeriesData, split: str) -> int:
    """Returns the largest horizon for which every split has at least one window."""
    if split == "horizon":
        return (max(len(series) for series in source.series) - 2) // 3
    ends = windows.boundaries(source, split, 1)
    sizes = np.diff(ends, axis=1, prepend=0) - [2, 0, 0]
    return int(sizes.max(0).min())


def _standards(rows: np.ndarray) -> list[list[float]]:
    """Returns the mean and standard deviation of each column. The deviation of a constant column is 1."""
    if not rows.size:
        return []
    deviations = rows.std(0)
    return np.stack([rows.mean(0), np.where(deviations > 0, deviations, 1.0)], 1).tolist()


def _periods(source: SeriesData) -> list[float]:
    """Returns the periods of the calendar inputs. The possible periods are a day, a week and a year.

    A period is returned if it spans at least two rows and the series spans at least two periods. For daily
    prices, the only period is the week. For other prices, the year is never returned. For series without
    dates, the only period is the season.
    """
    if source.series[0].times.dtype.kind != "M":
        return [float(source.season)] if source.season > 1 else []
    prices = source.kind == "prices"
    if prices and (isinstance(source.frequency, Weekdays) or source.frequency == Fixed(DAY)):
        return [7.0]
    days = source.days(0)
    step, length = float(np.median(np.diff(days))), float(days[-1] - days[0])
    # A few years of prices are too short to learn a yearly pattern.
    periods = (1.0, 7.0) if prices else (1.0, 7.0, YEAR)
    return [period for period in periods if 2 * step <= period <= length / 2]
