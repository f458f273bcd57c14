"""Conversion of windows to model inputs, and of model outputs to forecasts in the units of the data.

The model itself computes all scales and features, and it uses only the values in the window. Values after the
window therefore have no influence on the inputs of the model, and an exported model accepts the series in its
original units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

SPANS = (2, 5, 10, 22, 66, 250)  # spans in days of the decaying averages over a window of prices
LEVEL = SPANS.index(22)  # index of the span whose volatility is the scale of a window of prices
FLOOR = 1e-3  # added to a variance in squared percent, so that constant prices have a variance above 0
TREND = 25  # number of steps in the moving average of a decomposition (Zeng et al. 2023, section 4)


class Window(NamedTuple):
    """A window after scaling. Scaling brings most numbers to a magnitude of about 1.

    Attributes:
        steps: features of each time step, ``(n, T, f)``. They are the input of a recurrent encoder.
        whole: features of the whole window, ``(n, s)``. They are the input of a linear layer.
        location, scale: ``(n, 1)``. The formula ``location + scale * x`` converts a scaled number x to the
            units of the data.
    """

    steps: tf.Tensor
    whole: tf.Tensor
    location: tf.Tensor
    scale: tf.Tensor


def of_values(past: tf.Tensor, scaling: str, decomposition: bool) -> Window:
    """Scales n windows of L values, ``(n, L, 1)``. The argument ``scaling`` selects the method:

    - ``none``: the values do not change.
    - ``mean``: values divided by their mean absolute value (Salinas et al. 2020, section 3.3).
    - ``robust``: values minus their median, divided by ``interquartile range / 1.349``. For a normal
      distribution, this divisor is the standard deviation.
    - ``instance``: values minus their mean, divided by their standard deviation
      (Kim et al. 2022, equation 1).
    - ``last``: values minus the last value (Zeng et al. 2023, section 4, NLinear), divided by the standard
      deviation.

    If all values of a window are equal, the divisor is 1. With ``decomposition``, the scaled values are split
    into two features: the moving average over ``TREND`` steps, and the remainder.
    """
    values = past[..., 0]  # (batch, time)
    zero = tf.zeros_like(values[:, :1])
    location, scale = zero, zero + 1.0
    if scaling == "mean":
        scale = tf.reduce_mean(tf.abs(values), axis=1, keepdims=True)
    elif scaling == "robust":
        time = values.shape[1]
        ordered = tf.math.top_k(values, k=time).values  # (batch, time), in falling order
        low, middle, high = (_between(ordered, (1 - level) * (time - 1)) for level in (0.25, 0.5, 0.75))
        location, scale = middle, (high - low) / 1.349
    elif scaling in ("instance", "last"):
        mean = tf.reduce_mean(values, axis=1, keepdims=True)
        location = mean if scaling == "instance" else values[:, -1:]
        scale = tf.sqrt(tf.reduce_mean(tf.square(values - mean), axis=1, keepdims=True) + 1e-20)
    # If all values are equal, their spread should be 0, but rounding can make it slightly larger. A scale
    # that is not above ``smallest`` is therefore replaced by 1.
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
    """Returns one column of ``ordered``. The result has the shape ``(n, 1)``.

    ``place`` is the index of the column. If ``place`` is not an integer, the result is interpolated between
    the two nearest columns.
    """
    below = int(place)
    above = min(below + 1, ordered.shape[1] - 1)
    share = place - below
    return (1 - share) * ordered[:, below : below + 1] + share * ordered[:, above : above + 1]


def moving_average(values: tf.Tensor, width: int) -> tf.Tensor:
    """Returns the mean of the ``width`` values around each step, ``(n, T)``.

    At both ends of ``values``, some of the values around a step are missing. The first value replaces the
    missing values before the start. The last value replaces the missing values after the end.
    """
    time = values.shape[1]
    sources = np.arange(time)[:, None] + np.arange(width) - (width - 1) // 2
    mean = np.zeros((time, time))
    np.add.at(mean, (np.clip(sources, 0, time - 1), np.arange(time)[:, None]), 1 / width)
    return tf.matmul(values, tf.constant(mean, values.dtype))


def of_prices(past: tf.Tensor) -> Window:
    """Scales n windows of daily prices, ``(n, days, 5)``.

    The columns are open, high, low, close and volume. ``O_t``, ``H_t``, ``L_t`` and ``C_t`` are the open,
    high, low and close prices of day t. The features of day t are:

    - the return ``r_t = 100 ln(C_t / C_{t-1})``;
    - the absolute value of the return;
    - the part of the return before the opening, ``100 ln(O_t / C_{t-1})``;
    - the range ``100 ln(max(H_t, C_{t-1}) / min(L_t, C_{t-1}))``. The squared range divided by ``4 ln 2``
      estimates the variance of the day. The variance of this estimate is five times smaller than the variance
      of ``r_t^2`` (Parkinson 1980);
    - the change of the log-volume.

    A decaying mean is a weighted mean over the days. Recent days have larger weights (:func:`_decay`). The
    volatility v of the window, in percent, is the square root of a decaying mean of ``r^2``. The span of this
    mean is 22 days. The scale of the window is v. The first four features of each day are divided by v.

    The features of the whole window are:

    - for each span in ``SPANS``: ``ln(a / v^2)``, where a is the decaying mean of ``r^2``;
    - for each span in ``SPANS``: ``ln(b / v^2)``. Here, b is the decaying mean of the squared range, divided
      by ``4 ln 2``;
    - for each span in ``SPANS``: ``c / v``, where c is the decaying mean of the returns. The sign of c is
      useful, because losses raise the volatility more than gains do;
    - the first four features of the last day;
    - the first feature of the last day if it is negative, else 0;
    - ``ln(v)``.
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
    """Returns ``100 ln(after / before)``.

    The result is computed from the difference of the prices, because the difference of their logarithms has
    larger rounding errors.
    """
    return 100 * tf.math.log1p((after - before) / before)


def _decay(days: int) -> np.ndarray:
    """Returns the weights of the decaying means, ``(days, spans)``. The weights of a span sum to 1.

    The weight of a day is ``1 - 2 / (span + 1)`` times the weight of the day after it.
    """
    age = np.arange(days)[::-1, None]
    weights = (1 - 2 / (np.array(SPANS) + 1)) ** age
    return weights / weights.sum(0)


def calendar(times: tf.Tensor, periods: Sequence[float]) -> tf.Tensor:
    """Returns the phase of each time as a sine and a cosine per period, ``(n, T, 2 periods)``."""
    phases = [2 * math.pi * (times / period - tf.floor(times / period)) for period in periods]
    waves = [wave(phase) for phase in phases for wave in (tf.sin, tf.cos)]
    return tf.stack(waves, -1) if waves else tf.zeros((*tf.unstack(tf.shape(times)), 0), times.dtype)


def width(output: str, levels: Sequence[float]) -> int:
    """Returns the number of parameters that describe the forecast of one step."""
    return {"point": 1, "quantiles": len(levels), "normal": 2, "student_t": 3}[output]


def forecast(raw: tf.Tensor, window: Window, output: str, levels: Sequence[float]) -> tf.Tensor:
    """Converts unconstrained parameters ``(n, H, p)`` to forecasts in the units of the data.

    n is the number of windows, H is the number of future steps, and p is the number of parameters. The
    result is float32 or wider. Its last axis depends on ``output``:

    - ``point``: the forecast value (p = 1).
    - ``quantiles``: one quantile per level, in rising order. The middle column of ``raw`` determines the
      middle quantile. The other columns determine the gaps between neighbouring quantiles. A softplus makes
      the gaps positive.
    - ``normal``: the location and scale of a normal distribution.
    - ``student_t``: the location, scale and degrees of freedom of a Student t distribution. The degrees of
      freedom are above 2, so that the variance is finite.
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
