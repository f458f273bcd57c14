"""Divides series into training, validation and test splits, and returns batches of windows.

The origin of a window is its last known row. The past of a window is the ``lookback`` rows up to the origin.
The targets of a window are the ``horizon`` rows after the origin. A window belongs to the split that contains
all of its targets. The past of a window may reach into an earlier split. A window whose targets lie in two
splits is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from apps.forecasting.calendar import days
from apps.forecasting.records import SeriesData
from seqmodels.data.prefetch import prefetched
from seqmodels.errors import DataError, UsageError

PARTS = ("train", "valid", "test")
SHARES = "0.7,0.1,0.2"


def boundaries(source: SeriesData, spec: str, horizon: int) -> np.ndarray:
    """Returns the rows at which the three splits of each series end: training, validation and test.

    The specification ``spec`` has one of three forms:

    - ``horizon``: the last ``horizon`` rows of each series are the test split. The ``horizon`` rows before
      the test split are the validation split.
    - Three fractions such as ``0.7,0.1,0.2``: if there are several series with dates, all series are split at
      the same dates. Therefore the training rows of every series are before the test rows of every series.
      The function chooses dates at which the splits contain these fractions of the rows of all series. If
      there is only one series, or no dates, each series is split at these fractions of its own rows.
    - Three numbers of rows: sizes of the three splits, from the first row of each series. Rows after the test
      split are not used.

    Args:
        source: the series.
        spec: the specification, a value of ``--split`` except ``auto``.
        horizon: number of rows to forecast.

    Returns:
        The index of the row after the end of each split, ``(series, 3)`` int64.

    Raises:
        UsageError: ``spec`` has none of these forms.
        DataError: a series is too short for ``spec``.
    """
    lengths = np.array([len(series) for series in source.series])
    if spec == "horizon":
        ends = lengths[:, None] - horizon * np.array([2, 1, 0])
    else:
        try:
            first, second, third = map(float, spec.split(","))
        except ValueError:
            raise UsageError(
                f"--split {spec} must be 'horizon', three numbers of rows, or three fractions such as "
                f"{SHARES}"
            ) from None
        sizes = np.array([first, second, third])
        if (sizes <= 0).any() or (sizes.sum() > 1 + 1e-9 and (sizes % 1 != 0).any()):
            raise UsageError(
                f"--split {spec} must be three positive fractions with a sum of at most 1, or three positive "
                "integers (numbers of rows)"
            )
        sums = np.cumsum(sizes)
        if sums[-1] > 1 + 1e-9:
            ends = np.broadcast_to(sums.astype(np.int64), (len(lengths), 3))
        elif source.series[0].times.dtype.kind == "M" and len(lengths) > 1:
            pooled = np.sort(np.concatenate([series.times for series in source.series]))
            cuts = [pooled[min(int(share * len(pooled) + 1e-9), len(pooled) - 1)] for share in sums]
            ends = np.array([np.searchsorted(series.times, cuts) for series in source.series])
            if sums[-1] > 1 - 1e-9:
                ends[:, 2] = lengths
        else:
            ends = (lengths[:, None] * sums + 1e-9).astype(np.int64)
    if (ends[:, 2] > lengths).any():
        number = int((ends[:, 2] > lengths).argmax())
        raise DataError(
            f"{source.name}: series {source.series[number].name!r} has {lengths[number]} rows, but "
            f"--split {spec} needs {ends[number, 2]} rows; use smaller numbers, or fractions such as {SHARES}"
        )
    return np.asarray(ends, np.int64)


def origins(source: SeriesData, ends: np.ndarray, part: str, lookback: int, horizon: int) -> np.ndarray:
    """Returns the windows of one split, sorted by series and time: ``(windows, 2)`` int64.

    Each window is a pair: the index of its series, and the row of its origin in this series.

    Args:
        source: the series.
        ends: result of :func:`boundaries`.
        part: one of ``PARTS``.
        lookback: number of past rows.
        horizon: number of rows to forecast.

    Raises:
        DataError: no window fits into the split.
    """
    place = PARTS.index(part)
    found = []
    for number, row in enumerate(ends):
        begin = row[place - 1] if place else 0
        # The first row of a price series has no return in percent, so row 0 must not be a target. This is
        # always satisfied: at least one past row comes before the targets.
        first, last = max(int(begin) - 1, lookback - 1), int(row[place]) - horizon - 1
        rows = np.arange(first, last + 1)
        found.append(np.stack([np.full(len(rows), number), rows], 1))
    windows = np.concatenate(found)
    if not len(windows):
        longest = int((ends[:, place] - (ends[:, place - 1] if place else 0)).max())
        raise DataError(
            f"{source.name}: no window fits into the {part} split; a window has {lookback} past rows and "
            f"{horizon} target rows, but the split has at most {longest} rows per series; reduce "
            "--lookback or --horizon, or change --split"
        )
    return windows.astype(np.int64)


@dataclass(frozen=True)
class Panel:
    """Arrays from which windows are gathered.

    The arrays contain the rows of all series: all rows of the first series, then all rows of the second
    series, and so on.

    Attributes:
        past: values that the model reads, ``(rows, columns)`` float32.
        targets: values to forecast, ``(rows,)`` float32. They are returns in percent for prices.
        times: days since 2000-01-01 or row numbers, ``(rows,)`` float32.
        begins: first row of each series in these arrays, ``(series,)``.
        units: unit by which errors of each series are divided in the loss, ``(series,)`` float32.
        known: known covariates, ``(rows and future rows, covariates)`` float32.
        known_begins: first row of each series in ``known``, ``(series,)``.
        static: static covariates of each series, ``(series, covariates)`` float32.
    """

    past: np.ndarray
    targets: np.ndarray
    times: np.ndarray
    begins: np.ndarray
    units: np.ndarray
    known: np.ndarray
    known_begins: np.ndarray
    static: np.ndarray

    @classmethod
    def of(cls, source: SeriesData, units: np.ndarray) -> Panel:
        lengths = [len(series) for series in source.series]
        return cls(
            np.concatenate([series.values for series in source.series]).astype(np.float32),
            np.nan_to_num(np.concatenate([source.targets(number) for number in range(len(lengths))])).astype(
                np.float32
            ),
            np.concatenate([days(series.times) for series in source.series]).astype(np.float32),
            np.concatenate([[0], np.cumsum(lengths)[:-1]]),
            units.astype(np.float32),
            np.concatenate([series.known for series in source.series]).astype(np.float32),
            np.concatenate([[0], np.cumsum([len(series.known) for series in source.series])[:-1]]),
            np.stack([series.static for series in source.series]).astype(np.float32),
        )

    def truth(self, windows: np.ndarray, horizon: int) -> np.ndarray:
        """Returns the targets of the windows: ``(windows, horizon)``."""
        return self.targets[self.flat(windows)[:, None] + np.arange(1, horizon + 1)]

    def flat(self, windows: np.ndarray) -> np.ndarray:
        """Converts the origin of each window to a row number in the arrays of this panel: ``(windows,)``."""
        return self.begins[windows[:, 0]] + windows[:, 1]

    def batches(
        self,
        windows: np.ndarray,
        lookback: int,
        horizon: int,
        batch_size: int,
        *,
        numbers: np.ndarray | None = None,
        seed: int = 0,
        epoch: int | None = None,
        limit: int | None = None,
    ) -> tf.data.Dataset:
        """Returns a TensorFlow data set of window batches. All batches have the same shape.

        Args:
            windows: windows from :func:`origins`.
            lookback: number of past rows, L.
            horizon: number of rows to forecast, H.
            batch_size: number of windows per batch, n. The last batch is padded with windows of weight 0.
            numbers: index by which the model identifies each series, ``(series,)``. Default: the index of the
                series in this panel.
            seed: seed of the shuffle.
            epoch: number of the epoch. The shuffle depends only on ``(seed, epoch)``. None disables the
                shuffle.
            limit: maximum number of windows. The shuffle chooses which windows are used. Without a shuffle,
                ``limit`` has no effect. Default: all windows.

        Returns:
            Elements ``({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H),
            "series": (n,) int32, "unit": (n,)}, targets (n, H), weights (n,))``. With known covariates, the
            inputs also contain ``"known": (n, L + H, covariates)``. With static covariates, they also contain
            ``"static": (n, covariates)``.
        """
        if epoch is not None:
            windows = windows[np.random.default_rng([seed, epoch]).permutation(len(windows))[:limit]]
        count = -(-len(windows) // batch_size) * batch_size
        filled = np.concatenate([windows, np.repeat(windows[:1], count - len(windows), 0)])
        weights = np.arange(count) < len(windows)
        with tf.device("CPU"):
            past, targets, times = map(tf.constant, (self.past, self.targets, self.times))
            rows = tf.constant(self.flat(filled))
            covariates = tf.constant(self.known)
            covariate_rows = tf.constant(self.known_begins[filled[:, 0]] + filled[:, 1])
            of_series = filled[:, 0]
            known = tf.constant((of_series if numbers is None else numbers[of_series]).astype(np.int32))
            unit = tf.constant(self.units[of_series])
            static = tf.constant(self.static[of_series])
            real = tf.constant(weights.astype(np.float32))

        def rows_of(x: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
            return tf.ensure_shape(x[start : start + batch_size], [batch_size, *x.shape[1:]])

        @tf.autograph.experimental.do_not_convert
        def cut(start: tf.Tensor) -> tuple:
            at = rows_of(rows, start)[:, None]
            before = at + tf.range(1 - lookback, 1, dtype=at.dtype)
            after = at + tf.range(1, horizon + 1, dtype=at.dtype)
            inputs = {
                "past": tf.gather(past, before),
                "past_time": tf.gather(times, before),
                "future_time": tf.gather(times, after),
                "series": rows_of(known, start),
                "unit": rows_of(unit, start),
            }
            if self.known.size:
                around = rows_of(covariate_rows, start)[:, None]
                span = tf.range(1 - lookback, horizon + 1, dtype=around.dtype)
                inputs["known"] = tf.gather(covariates, around + span)
            if self.static.size:
                inputs["static"] = rows_of(static, start)
            return inputs, tf.gather(targets, after), rows_of(real, start)

        starts = np.arange(0, count, batch_size)
        return prefetched(tf.data.Dataset.from_tensor_slices(starts).map(cut))


def units(source: SeriesData, ends: np.ndarray, kind: str) -> np.ndarray:
    """Returns the unit by which errors of each series are divided in the loss: ``(series,)``.

    The unit of a series is computed from its training rows.

    Args:
        source: the series.
        ends: result of :func:`boundaries`.
        kind: the type of unit. For ``none``, the unit is 1. For ``deviation``, the unit is the standard
            deviation. For ``season``, the unit is :func:`seasonal_change`, the denominator of the MASE.

    Raises:
        DataError: the unit of a series is 0, because the series is constant in its training rows.
    """
    if kind == "none":
        return np.ones(len(ends))
    found = np.array(
        [
            unit_of(source.targets(number)[: ends[number, 0]], kind, source.season)
            for number in range(len(ends))
        ]
    )
    if not (found > 0).all():
        number = int((~(found > 0)).argmax())
        raise DataError(
            f"{source.name}: series {source.series[number].name!r} is constant in its training rows; remove "
            "the series or change --split"
        )
    return found


def unit_of(values: np.ndarray, kind: str, season: int) -> float:
    """Returns the number by which the errors of a series are divided. It is 0 if all values are equal.

    Args:
        values: training values of the series, ``(T,)``.
        kind: ``deviation`` or ``season``, see :func:`units`.
        season: season length in rows.
    """
    return deviation(values) if kind == "deviation" else seasonal_change(values, season)


def deviation(values: np.ndarray) -> float:
    return float(np.nanstd(values))


def seasonal_change(values: np.ndarray, season: int) -> float:
    """Computes ``mean |y_t - y_{t-season}|``. Returns 0 if the series is not longer than one season."""
    values = values[np.isfinite(values)]
    return float(np.mean(np.abs(values[season:] - values[:-season]))) if len(values) > season else 0.0


def check_names(source: SeriesData, names: Sequence[str]) -> np.ndarray:
    """Returns one index into ``names`` for each series: ``(series,)``.

    The model was trained on the series in ``names``.

    Raises:
        DataError: the name of a series is not in ``names``.
    """
    for series in source.series:
        if series.name not in names:
            listed = ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")
            raise DataError(
                f"{source.name}: the model was not trained on series {series.name!r}; expected one of "
                f"{listed}"
            )
    return np.array([list(names).index(series.name) for series in source.series])
