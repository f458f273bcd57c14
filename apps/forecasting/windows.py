"""Where series are cut into train, validation and test, and the windows that a model sees of them.

A window has an origin, the last row that is known; the ``lookback`` rows up to it are the past, the
``horizon`` rows after it are to be forecast. A window belongs to the split in which all of its targets lie:
its past may reach into an earlier split, its targets never into a later one.
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
    """For each series the rows at which train, validation and test end: ``(series, 3)`` int64.

    Args:
        source: the series.
        spec: ``horizon``: the last ``horizon`` rows of each series are its test, those before them its
            validation. Three shares: several series with dates are cut at the same dates, those by which that
            share of all rows lies in the past, so that no series knows the future of another; without dates
            each at its own rows. Three numbers of rows: from the first row of each series; what is left over
            is not used.
        horizon: rows to be forecast.

    Raises:
        UsageError: the spec is none of these.
        DataError: a series is too short for it.
    """
    lengths = np.array([len(series) for series in source.series])
    if spec == "horizon":
        ends = lengths[:, None] - horizon * np.array([2, 1, 0])
    else:
        try:
            first, second, third = map(float, spec.split(","))
        except ValueError:
            raise UsageError(
                f"--split {spec}: expected three shares as {SHARES}, three numbers of rows, or horizon"
            ) from None
        sizes = np.array([first, second, third])
        if (sizes <= 0).any() or (sizes.sum() > 1 + 1e-9 and (sizes % 1 != 0).any()):
            raise UsageError(
                f"--split {spec}: shares are above 0 with a sum of at most 1, rows are whole numbers"
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
            f"{source.name}: {source.series[number].name} has {lengths[number]} rows; --split {spec} needs "
            f"{ends[number, 2]}"
        )
    return np.asarray(ends, np.int64)


def origins(source: SeriesData, ends: np.ndarray, part: str, lookback: int, horizon: int) -> np.ndarray:
    """The windows of one split: ``(windows, 2)`` int64, a series and its origin, by series and time.

    Args:
        source: the series.
        ends: of :func:`boundaries`.
        part: of ``PARTS``.
        lookback: rows of the past.
        horizon: rows to be forecast.

    Raises:
        DataError: there is no window.
    """
    place = PARTS.index(part)
    found = []
    for number, row in enumerate(ends):
        begin = row[place - 1] if place else 0
        # The first target of prices needs a price before it, which the past of any window has.
        first, last = max(int(begin) - 1, lookback - 1), int(row[place]) - horizon - 1
        rows = np.arange(first, last + 1)
        found.append(np.stack([np.full(len(rows), number), rows], 1))
    windows = np.concatenate(found)
    if not len(windows):
        longest = int((ends[:, place] - (ends[:, place - 1] if place else 0)).max())
        raise DataError(
            f"{source.name}: no window fits into {part}, of at most {longest} rows: one has {lookback} of "
            f"the past and {horizon} to forecast; shorten --lookback or --horizon, or change --split"
        )
    return windows.astype(np.int64)


@dataclass(frozen=True)
class Panel:
    """All series one after another, as windows are cut from them.

    Attributes:
        past: ``(rows, columns)`` float32: what a model sees.
        targets: ``(rows,)`` float32.
        times: ``(rows,)`` float32, days since 2000 or the numbers of the rows.
        begins: row of each series' first, ``(series,)``.
        units: what an error of each series is measured in, ``(series,)`` float32.
        known: covariates, rows to come included, ``(more rows, covariates)`` float32; ``known_begins``: as
            begins.
        static: covariates of each series, ``(series, covariates)`` float32.
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
        """The targets of windows: ``(windows, horizon)``."""
        return self.targets[self.flat(windows)[:, None] + np.arange(1, horizon + 1)]

    def flat(self, windows: np.ndarray) -> np.ndarray:
        """The rows of the origins: ``(windows,)``."""
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
        """Batches of windows, all of one shape.

        Args:
            windows: of :func:`origins`.
            lookback: rows of the past, L.
            horizon: rows to be forecast, H.
            batch_size: windows of a batch, n; the last one is filled up with windows of weight 0.
            numbers: of each series as a model knows it, ``(series,)``; their order by default.
            seed: with ``epoch``, decides the order.
            epoch: windows are shuffled in an order that depends on ``(seed, epoch)`` alone. None: as they
                are.
            limit: windows of an epoch, at most; drawn anew for each.

        Returns:
            Elements ``({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H),
            "series": (n,) int32, "unit": (n,)}, targets (n, H), weights (n,))``; with covariates also
            ``"known": (n, L + H, covariates)`` and ``"static": (n, covariates)``.
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
    """What an error of each series is measured in, from its training rows alone: ``(series,)``.

    Args:
        source: the series.
        ends: of :func:`boundaries`.
        kind: ``none``: 1. ``deviation``: the standard deviation. ``season``: the mean absolute change from
            one season to the next, the denominator of the MASE.

    Raises:
        DataError: a training split is constant.
    """
    if kind == "none":
        return np.ones(len(ends))
    found = np.array(
        [
            deviation(source.targets(number)[: ends[number, 0]])
            if kind == "deviation"
            else seasonal_change(source.targets(number)[: ends[number, 0]], source.season)
            for number in range(len(ends))
        ]
    )
    if not (found > 0).all():
        number = int((~(found > 0)).argmax())
        raise DataError(
            f"{source.name}: {source.series[number].name} is constant in its training rows; leave it out, "
            "or change --split"
        )
    return found


def deviation(values: np.ndarray) -> float:
    return float(np.nanstd(values))


def seasonal_change(values: np.ndarray, season: int) -> float:
    """``mean |y_t - y_{t-season}|``."""
    values = values[np.isfinite(values)]
    return float(np.mean(np.abs(values[season:] - values[:-season]))) if len(values) > season else 0.0


def check_names(source: SeriesData, names: Sequence[str]) -> np.ndarray:
    """The number of each series in training, ``(series,)``; raises DataError for an unknown one."""
    for series in source.series:
        if series.name not in names:
            listed = ", ".join(list(names)[:5]) + (", ..." if len(names) > 5 else "")
            raise DataError(f"{source.name}: series {series.name!r} was not trained; expected of {listed}")
    return np.array([list(names).index(series.name) for series in source.series])
