"""What a forecaster sees of a window, and how its numbers become a forecast in the user's units.

All of it is computed in the graph from the window alone: nothing after the origin can have a part in it, and
an exported model takes the series as the user has it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

SPANS = (2, 5, 10, 22, 66, 250)  # days of the averages that a market is described by
LEVEL = SPANS.index(22)  # the one that a window is measured in
FLOOR = 1e-3  # squared percent: days without any movement
TREND = 25  # steps of the moving average of a decomposition (Zeng et al. 2023, section 4)


class Window(NamedTuple):
    """A window in numbers of size 1.

    Attributes:
        steps: ``(n, T, f)``: what a recurrent encoder reads.
        whole: ``(n, s)``: what a linear layer reads.
        location, scale: ``(n, 1)``: zero and one of these numbers in the user's units.
    """

    steps: tf.Tensor
    whole: tf.Tensor
    location: tf.Tensor
    scale: tf.Tensor


def of_values(past: tf.Tensor, scaling: str, decomposition: bool) -> Window:
    """A window of values ``(n, L, 1)``.

    - ``none``: as they are.
    - ``mean``: over the mean absolute value (Salinas et al. 2020, section 3.3).
    - ``robust``: minus the median, over the interquartile range divided by 1.349, a normal's standard
      deviation.
    - ``instance``: minus the mean, over the standard deviation (Kim et al. 2022, equation 1).
    - ``last``: minus the last value (Zeng et al. 2023, section 4, NLinear), over the standard deviation.

    Where all values of a window are the same, its scale is 1. A decomposition hands on the moving average of
    ``TREND`` steps, the ends repeated, and what is left beside each other.
    """
    values = past[..., 0]  # (batch, time)
    zero = tf.zeros_like(values[:, :1])
    location, scale = zero, zero + 1.0
    if scaling == "mean":
        scale = tf.reduce_mean(tf.abs(values), axis=1, keepdims=True)
    elif scaling == "robust":
        time = values.shape[1]
        ordered = tf.math.top_k(values, k=time).values  # (batch, time), falling
        low, middle, high = (_between(ordered, (1 - level) * (time - 1)) for level in (0.25, 0.5, 0.75))
        location, scale = middle, (high - low) / 1.349
    elif scaling in ("instance", "last"):
        mean = tf.reduce_mean(values, axis=1, keepdims=True)
        location = mean if scaling == "instance" else values[:, -1:]
        scale = tf.sqrt(tf.reduce_mean(tf.square(values - mean), axis=1, keepdims=True) + 1e-20)
    # A deviation that rounding alone explains is none.
    smallest = 1e-6 * tf.reduce_max(tf.abs(values), axis=1, keepdims=True) + 1e-9
    scale = tf.where(scale > smallest, scale, tf.ones_like(scale))
    scaled = (values - location) / scale
    if not decomposition:
        return Window(scaled[..., None], scaled, location, scale)
    trend = moving_average(scaled, TREND)
    return Window(
        tf.stack([scaled - trend, trend], -1), tf.concat([scaled - trend, trend], 1), location, scale
    )


def _between(ordered: tf.Tensor, place: float) -> tf.Tensor:
    """The value at a place between two columns: ``(n, 1)``."""
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    share = place - below
    return (1 - share) * ordered[:, below : below + 1] + share * ordered[:, above : above + 1]


def moving_average(values: tf.Tensor, width: int) -> tf.Tensor:
    """The centered mean of ``width`` steps, the first and the last value repeated beyond the ends: ``(n,
    T)``."""
    time = values.shape[1]
    sources = np.arange(time)[:, None] + np.arange(width) - (width - 1) // 2
    mean = np.zeros((time, time))
    np.add.at(mean, (np.clip(sources, 0, time - 1), np.arange(time)[:, None]), 1 / width)
    return tf.matmul(values, tf.constant(mean, values.dtype))


def of_prices(past: tf.Tensor) -> Window:
    """A window of prices ``(n, L, 5)``: open, high, low, close, volume. Its scale is a volatility in percent.

    - ``r_t = 100 ln(C_t / C_{t-1})``, and the part of it before the opening, ``100 ln(O_t / C_{t-1})``;
    - the range ``100 ln(max(H_t, C_{t-1}) / min(L_t, C_{t-1}))``, whose square over ``4 ln 2`` estimates the
      day's variance five times better than ``r_t^2`` does (Parkinson 1980);
    - the change of the volume's logarithm.

    Steps are these in units of the window's own volatility, the root of the mean of ``r^2`` that decays over
    22 days. ``whole`` has the logarithms of such means of ``r^2`` and of the ranges over ``SPANS`` days,
    those of signed returns (falls stir a market more than rises), the last day's numbers, and the logarithm
    of the volatility itself.
    """
    before = past[:, :-1, 3]
    opened, high, low, close = tf.unstack(past[:, 1:, :4], axis=-1)  # each (batch, L - 1)
    low = tf.minimum(low, before)
    returns, gap = _percent(before, close), _percent(before, opened)
    span = _percent(low, tf.maximum(high, before))
    volume = tf.math.log(past[..., 4] + 1.0)
    change = tf.clip_by_value(volume[:, 1:] - volume[:, :-1], -3.0, 3.0)
    decay = tf.constant(_decay(returns.shape[1]), returns.dtype)  # (L - 1, spans)
    squares = tf.matmul(tf.square(returns), decay) + FLOOR  # (batch, spans)
    ranges = tf.matmul(tf.square(span), decay) / (4 * math.log(2)) + FLOOR
    signed = tf.matmul(returns, decay)
    scale = tf.sqrt(squares[:, LEVEL : LEVEL + 1])
    by_level = tf.stack([returns, tf.abs(returns), gap, span], -1) / scale[..., None]
    steps = tf.concat([by_level, change[..., None]], -1)
    last = by_level[:, -1]  # (batch, 4)
    whole = tf.concat(
        [
            tf.math.log(squares) - 2 * tf.math.log(scale),
            tf.math.log(ranges) - 2 * tf.math.log(scale),
            signed / scale,
            last,
            tf.minimum(last[:, :1], 0.0),
            tf.math.log(scale),
        ],
        axis=1,
    )
    return Window(steps, whole, tf.zeros_like(scale), scale)


def _percent(before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
    """``100 ln(after / before)``: a difference of prices keeps all digits, one of logarithms does not."""
    return 100 * tf.math.log1p((after - before) / before)


def _decay(days: int) -> np.ndarray:
    """Weights that fall by ``1 - 2 / (span + 1)`` a day into the past, with a sum of 1: ``(days, spans)``."""
    age = np.arange(days)[::-1, None]
    weights = (1 - 2 / (np.array(SPANS) + 1)) ** age
    return weights / weights.sum(0)


def calendar(times: tf.Tensor, periods: Sequence[float]) -> tf.Tensor:
    """Sine and cosine of the phase in each period: ``(n, T)`` to ``(n, T, 2 periods)``."""
    phases = [2 * math.pi * (times / period - tf.floor(times / period)) for period in periods]
    waves = [wave(phase) for phase in phases for wave in (tf.sin, tf.cos)]
    return tf.stack(waves, -1) if waves else tf.zeros((*tf.unstack(tf.shape(times)), 0), times.dtype)


def width(output: str, levels: Sequence[float]) -> int:
    """Numbers of one forecast."""
    return {"point": 1, "quantiles": len(levels), "normal": 2, "student_t": 3}[output]


def forecast(raw: tf.Tensor, window: Window, output: str, levels: Sequence[float]) -> tf.Tensor:
    """Unbounded numbers ``(n, H, p)`` to what they mean in the user's units, in float32 or wider.

    - ``point``: the value, p = 1.
    - ``quantiles``: one for each level, rising: the middle one and positive distances from it.
    - ``normal``: location and scale.
    - ``student_t``: location, scale, and degrees of freedom above 2, where the variance is finite.
    """
    location, scale = window.location[..., None], window.scale[..., None]  # (batch, 1, 1)
    if output == "point":
        return location + scale * raw
    if output == "quantiles":
        middle = len(levels) // 2
        gaps = tf.nn.softplus(raw)
        parts = [raw[..., middle : middle + 1]]
        for index in range(middle + 1, len(levels)):
            parts.append(parts[-1] + gaps[..., index : index + 1])
        for index in range(middle - 1, -1, -1):
            parts.insert(0, parts[0] - gaps[..., index : index + 1])
        return location + scale * tf.concat(parts, -1)
    spread = scale * tf.exp(tf.clip_by_value(raw[..., 1:2], -7.0, 7.0))
    parts = [location + scale * raw[..., :1], spread]
    if output == "student_t":
        parts.append(2.05 + tf.nn.softplus(raw[..., 2:3] + 4.0))
    return tf.concat(parts, -1)
