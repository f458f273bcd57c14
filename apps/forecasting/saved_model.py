"""Builds the signature ``forecast`` of exported models.

The signature receives unscaled past values, in the units of the data. If the data are not prices, all outputs
are in the units of the data. For prices, the outputs ``parameters`` and ``quantiles`` describe the
log-returns of the closing price between successive rows, in percent. The output ``prices`` is in the units of
the data.
"""

from __future__ import annotations

import inspect

import keras
import numpy as np
import tensorflow as tf
from numpy.polynomial import chebyshev
from scipy import stats

from apps.forecasting.data import Assets
from apps.forecasting.records import PRICE_COLUMNS
from seqmodels.export.signature import Signature
from seqmodels.models.forecasting.base import DECILES

LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
LEAST_FREEDOM = 2.0  # lower limit of the degrees of freedom that a model forecasts
# Formulas with the kurtosis use at least this many degrees of freedom. The kurtosis is finite only above 4.
LEAST_KURTOSIS_FREEDOM = 4.05


def signatures(model: keras.Model, assets: Assets) -> list[Signature]:
    """Returns the signature ``forecast`` for any number of windows; see :func:`forecast_signature`."""
    return [forecast_signature(model, assets, None)]


def forecast_signature(model: keras.Model, assets: Assets, rows: int | None) -> Signature:
    """Returns the signature ``forecast``, which maps unscaled past values to forecasts.

    In the shapes, n is the number of windows, L the lookback and H the horizon. The signature has only the
    inputs that the model uses:

    - ``past``: open, high, low, close and volume ``(n, L, 5)`` for prices, or values ``(n, L, 1)``.
    - ``past_time (n, L)`` and ``future_time (n, H)``: days since 2000-01-01, or row numbers for series
      without dates. The signature has these inputs only if the model has calendar inputs.
    - ``known (n, L + H, covariates)``: known covariates of past and future rows.
    - ``static (n, covariates)``: static covariates.
    - ``series (n,)``: index of each series in ``assets.names``, for a model with series embeddings.

    Outputs:

    - ``parameters (n, H, p)``: point forecasts, deciles, or parameters of a distribution. For prices, these
      outputs describe the log-returns of the closing price between successive rows, in percent.
    - ``quantiles (n, H, 7)``: quantiles at ``LEVELS``, interpolated if the model forecasts deciles. For
      prices, the quantiles also describe the log-return in percent. For counts, all quantiles are at least 0.
    - ``prices (n, H, 7)``, only for prices: quantiles of the closing price of each row, in the units of the
      data.

    Args:
        model: the trained model.
        assets: settings of the model.
        rows: number of windows n. None allows any number.
    """
    prices = assets.kind == "prices"
    length, horizon = assets.lookback, assets.horizon

    def outputs(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        parameters = model({**_defaults(inputs, horizon), **inputs}, training=False)
        found = {
            "parameters": parameters,
            "quantiles": quantiles(parameters, model.output_kind, assets.minimum),
        }
        if prices:
            close = inputs["past"][:, -1:, PRICE_COLUMNS.index("close"), None]  # (n, 1, 1)
            sums = cumulated(parameters, model.output_kind)
            found["prices"] = close * tf.exp(sums / 100)
        return found

    specs = {
        "past": tf.TensorSpec((rows, length, len(PRICE_COLUMNS) if prices else 1)),
        "past_time": tf.TensorSpec((rows, length)),
        "future_time": tf.TensorSpec((rows, horizon)),
        "known": tf.TensorSpec((rows, length + horizon, len(assets.known))),
        "static": tf.TensorSpec((rows, len(assets.static))),
        "series": tf.TensorSpec((rows,), tf.int32),
    }
    names = input_names(assets)

    def forecast(*tensors: tf.Tensor, **named: tf.Tensor) -> dict[str, tf.Tensor]:
        return outputs({**dict(zip(names, tensors)), **named})

    # The function has one argument for each input that this model reads, and no other arguments.
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    forecast.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return Signature(
        "forecast",
        forecast,
        {name: specs[name] for name in names},
        ("parameters", "quantiles", *(["prices"] if prices else [])),
        [variable.value for variable in model.variables],
    )


def input_names(assets: Assets) -> list[str]:
    """Returns the names of the model inputs, in the order of the signature."""
    names = ["past"] + ["past_time", "future_time"] * bool(assets.periods)
    names += ["known"] * bool(assets.known) + ["static"] * bool(assets.static)
    return names + ["series"] * bool(assets.series_units)


def _defaults(inputs: dict[str, tf.Tensor], horizon: int) -> dict[str, tf.Tensor]:
    """Returns zeros for ``past_time``, ``future_time`` and ``series``.

    The Keras model always needs these inputs, but some signatures do not have them. Then the zeros have no
    effect: a model without calendar inputs does not use the times, and a model without series embeddings
    does not use ``series``.
    """
    past = inputs["past"]
    return {
        "past_time": tf.zeros_like(past[..., 0]),
        "future_time": tf.zeros_like(past[:, :1, 0]) + tf.zeros((1, horizon)),
        "series": tf.zeros_like(past[:, 0, 0], tf.int32),
    }


def quantiles(parameters: tf.Tensor, output: str, minimum: float | None = None) -> tf.Tensor:
    """Converts the outputs of a model ``(n, H, p)`` to quantiles at ``LEVELS``: ``(n, H, 7)``.

    In the shapes, n is the number of windows and H the number of forecast steps. For a point forecast,
    all quantiles are equal to this forecast.

    Args:
        parameters: outputs of the model.
        output: value of ``--output`` in the training.
        minimum: lower limit of the quantiles. Default: no limit.
    """
    found = _quantiles(parameters, output)
    return found if minimum is None else tf.maximum(found, tf.constant(minimum, found.dtype))


def _quantiles(parameters: tf.Tensor, output: str) -> tf.Tensor:
    if output in ("point", "quantiles"):
        return _between(parameters, DECILES if output == "quantiles" else (0.5,))
    location, scale = parameters[..., 0:1], parameters[..., 1:2]
    if output == "normal":
        return location + scale * tf.constant(stats.norm.ppf(LEVELS), parameters.dtype)
    return location + scale * standard_quantiles(parameters[..., 2:3], LEAST_FREEDOM)


def cumulated(parameters: tf.Tensor, output: str) -> tf.Tensor:
    """Computes the quantiles of the cumulative return from the origin to each of H days: ``(n, H, 7)``.

    The returns of the days are treated as independent. Therefore their means and variances are added. The
    cumulative return is approximated by a Student-t distribution. Its mean, variance and kurtosis are those
    of the cumulative return. An excess kurtosis k corresponds to ``4 + 6 / k`` degrees of freedom. The
    first day needs no approximation, because its cumulative return is the forecast return.

    If the model forecasts deciles, each day is approximated by a normal distribution. The mean of this
    distribution is the median forecast. The standard deviation is computed from the distance between the
    first and last deciles. If the model forecasts points, the point forecasts of the days are added.
    """
    first = quantiles(parameters, output)[:, :1]
    if output == "point":
        return tf.cumsum(quantiles(parameters, output), axis=1)
    if output == "student_t":
        location, scale, freedom = (parameters[..., index : index + 1] for index in range(3))
        freedom = tf.maximum(freedom, LEAST_KURTOSIS_FREEDOM)
        variance = tf.square(scale) * freedom / (freedom - 2)
        excess = 6 / (freedom - 4)
    else:
        deciles = output == "quantiles"
        location = parameters[..., 4:5] if deciles else parameters[..., 0:1]
        width = (
            (parameters[..., -1:] - parameters[..., :1]) / (2 * stats.norm.ppf(0.9))
            if deciles
            else parameters[..., 1:2]
        )
        variance, excess = tf.square(width), tf.zeros_like(width)
    total = tf.cumsum(variance, axis=1)
    kurtosis = tf.cumsum(excess * tf.square(variance), axis=1) / tf.square(total)
    freedom = 4 + 6 / tf.maximum(kurtosis, 1e-3)
    deviation = tf.sqrt(total * (freedom - 2) / freedom)
    later = tf.cumsum(location, axis=1) + deviation * standard_quantiles(freedom, 4.0)
    return tf.concat([first, later[:, 1:]], axis=1)


def standard_quantiles(freedom: tf.Tensor, least: float) -> tf.Tensor:
    """Computes the quantiles of standard Student-t distributions at ``LEVELS``: ``(n, H, 7)``.

    TFLite has no operator for these quantiles. The quantiles are smooth functions of ``1 / freedom``.
    Therefore polynomials through Chebyshev nodes approximate them. The error is below 1e-5.

    Args:
        freedom: degrees of freedom, ``(n, H, 1)``.
        least: lower limit of ``freedom``. Smaller values are replaced by this limit.
    """
    degree = 14
    nodes = np.cos(np.pi * (np.arange(degree + 1) + 0.5) / (degree + 1))  # in [-1, 1]
    inverse = (nodes + 1) / 2 / least
    with np.errstate(divide="ignore"):
        values = stats.t.ppf(np.array(LEVELS), 1 / inverse[:, None])  # (nodes, levels)
    coefficients = chebyshev.chebfit(nodes, values, degree)  # (degree + 1, levels)
    x = tf.clip_by_value(2 * least / freedom - 1, -1.0, 1.0)
    # Clenshaw's recurrence evaluates the polynomial.
    after, current = tf.zeros_like(x), tf.zeros_like(x)
    for row in coefficients[:0:-1]:
        after, current = current, tf.constant(row, x.dtype) + 2 * x * current - after
    return tf.constant(coefficients[0], x.dtype) + x * current - after


def _between(parameters: tf.Tensor, levels: tuple[float, ...]) -> tf.Tensor:
    """Converts quantiles at ``levels`` to quantiles at ``LEVELS`` by linear interpolation.

    For a level outside the range of ``levels``, the result is the nearest given quantile.
    """
    places = np.interp(LEVELS, levels, np.arange(len(levels)))
    below = np.minimum(places.astype(int), len(levels) - 1)
    weights = np.zeros((len(levels), len(LEVELS)))
    weights[below, np.arange(len(LEVELS))] += 1 - (places - below)
    weights[np.minimum(below + 1, len(levels) - 1), np.arange(len(LEVELS))] += places - below
    return tf.tensordot(parameters, tf.constant(weights, parameters.dtype), 1)


def examples(assets: Assets) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns two example batches: one with 5 windows, and one with 1 window.

    The batch of 5 windows contains windows with small, medium and large changes, and one constant window.
    """
    random = np.random.default_rng(0)
    steps = random.normal(0, 0.01, (5, assets.lookback)) * np.array([[0.1], [1], [3], [1], [0]])
    level = 100 * np.exp(np.cumsum(steps, 1))
    if assets.kind == "prices":
        spread = np.exp(np.abs(random.normal(0, 0.005, level.shape)))
        past = np.stack([level, level * spread, level / spread, level, 1e6 * spread], -1)
    else:
        past = level[..., None]
    time = np.arange(assets.lookback + assets.horizon) + np.zeros((5, 1))
    arrays = {
        "past": past.astype(np.float32),
        "past_time": time[:, : assets.lookback].astype(np.float32),
        "future_time": time[:, assets.lookback :].astype(np.float32),
        "known": random.normal(size=(5, time.shape[1], len(assets.known))).astype(np.float32),
        "static": random.normal(size=(5, len(assets.static))).astype(np.float32),
        "series": np.zeros(5, np.int32),
    }
    wanted = input_names(assets)
    return [
        ("forecast", {name: arrays[name][rows] for name in wanted}) for rows in (slice(0, 5), slice(0, 1))
    ]
