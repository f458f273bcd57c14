"""Training objectives (loss functions) of forecasting models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqmodels.registry import FORECAST_LOSSES
from seqmodels.training.objectives import Objective, Outcome


def normal_loss(targets: tf.Tensor, forecast: tf.Tensor) -> tf.Tensor:
    """Computes the negative log-likelihood of a normal distribution, in nats.

    Args:
        targets: targets, ``(...)``.
        forecast: location and scale, ``(..., 2)``.
    """
    location, scale = tf.unstack(forecast, axis=-1)
    return 0.5 * tf.square((targets - location) / scale) + tf.math.log(scale) + 0.5 * math.log(2 * math.pi)


def student_t_loss(targets: tf.Tensor, forecast: tf.Tensor) -> tf.Tensor:
    """Computes the negative log-likelihood of a Student-t distribution, in nats.

    Args:
        targets: targets, ``(...)``.
        forecast: location, scale and degrees of freedom, ``(..., 3)``.
    """
    location, scale, freedom = tf.unstack(forecast, axis=-1)
    z = (targets - location) / scale
    normalizer = tf.math.lgamma((freedom + 1) / 2) - tf.math.lgamma(freedom / 2)
    return (
        (freedom + 1) / 2 * tf.math.log1p(tf.square(z) / freedom)
        + tf.math.log(scale)
        + 0.5 * tf.math.log(math.pi * freedom)
        - normalizer
    )


def quantile_loss(targets: tf.Tensor, forecast: tf.Tensor, levels: Sequence[float]) -> tf.Tensor:
    """Computes twice the mean quantile loss over the levels (Koenker, Bassett 1978).

    The quantile loss of a forecast f at the level q is ``max(q (y - f), (q - 1)(y - f))``.

    Args:
        targets: targets y, ``(...)``.
        forecast: forecast quantiles, ``(..., levels)``.
        levels: levels of the quantiles.
    """
    error = targets[..., None] - forecast
    level = tf.constant(levels, error.dtype)
    return 2 * tf.reduce_mean(tf.maximum(level * error, (level - 1) * error), axis=-1)


def forecasting(output: str, levels: Sequence[float] = (), loss: str = "auto") -> Objective:
    """Returns the training objective: the mean loss over all windows and forecast steps.

    Before the loss is computed, targets and forecasts are divided by a unit. The option ``--error-unit``
    selects the unit of each series.

    Args:
        output: ``point``, ``quantiles``, ``normal`` or ``student_t``.
        levels: levels of the quantiles.
        loss: ``auto``, ``absolute`` or ``squared``. ``auto`` is the negative log-likelihood for
            distributions, the quantile loss for quantiles, and the squared error for points. ``absolute`` and
            ``squared`` are allowed only for points: they select the absolute or the squared error.

    Raises:
        ValueError: the output does not support the loss.
    """
    if loss not in FORECAST_LOSSES or (loss != "auto" and output != "point"):
        raise ValueError(
            "loss must be 'auto', 'absolute' or 'squared'; outputs other than 'point' support only 'auto'; "
            f"got {loss!r} for the output {output!r}"
        )

    def objective(
        model: keras.Model, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        forecast = model(inputs, training=training)  # (batch, horizon, parameters)
        unit = tf.cast(inputs["unit"], forecast.dtype)[:, None]  # (batch, 1)
        targets = tf.cast(targets, forecast.dtype) / unit
        if output == "student_t":
            forecast = tf.concat([forecast[..., :2] / unit[..., None], forecast[..., 2:]], -1)
            losses = student_t_loss(targets, forecast)
        else:
            forecast = forecast / unit[..., None]
            if output == "normal":
                losses = normal_loss(targets, forecast)
            elif output == "quantiles":
                losses = quantile_loss(targets, forecast, levels)
            else:
                error = targets - forecast[..., 0]
                losses = tf.abs(error) if loss == "absolute" else tf.square(error)
        middle = forecast[..., len(levels) // 2] if output == "quantiles" else forecast[..., 0]
        absolute = tf.reduce_mean(tf.abs(targets - middle), axis=1)
        return Outcome(
            total=tf.reduce_sum(tf.reduce_mean(losses, axis=1) * weights),
            count=tf.reduce_sum(weights),
            scores={"absolute_error": tf.reduce_sum(absolute * weights)},
            carried=carried,
        )

    return objective
