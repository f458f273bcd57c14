"""Tests that the training objectives of forecasters equal their scores."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.forecasting import metrics as metrics
from apps.forecasting.losses import forecasting
from apps.forecasting.metrics import Forecast

RNG = np.random.default_rng(0)
TARGETS = RNG.normal(size=(4, 3))
SCALE = np.exp(RNG.normal(size=(4, 3)))
FREEDOM = 2 + np.exp(RNG.normal(size=(4, 3)))
LEVELS = (0.1, 0.5, 0.9)
LOCATION = RNG.normal(size=(4, 3))
STUDENT = np.stack([LOCATION, SCALE, FREEDOM], -1)
NORMAL = np.stack([LOCATION, SCALE], -1)
QUANTILES = np.sort(RNG.normal(size=(4, 3, 3)), -1)


class Fixed:
    """A model that returns the same forecast for all inputs."""

    losses = (tf.constant(5.0),)

    def __init__(self, forecast):
        self.forecast = forecast

    def __call__(self, inputs, training):
        return tf.constant(self.forecast)


def mean_loss(output, forecast, unit=1.0, weights=(1.0, 1.0, 1.0, 1.0), **options):
    objective = forecasting(output, **options)
    outcome = objective(
        Fixed(forecast),
        {"unit": tf.fill((4,), unit)},
        tf.constant(TARGETS),
        tf.constant(weights, tf.float64),
        (),
        True,
    )
    assert outcome.penalty == 0  # The training step adds the regularizers of the weights.
    return float(outcome.total / outcome.count)


def test_likelihoods_equal_the_metrics():
    expected = metrics.negative_log_likelihood(Forecast("student_t", STUDENT), TARGETS).mean()
    assert mean_loss("student_t", STUDENT) == pytest.approx(expected)
    normal = np.concatenate([NORMAL, np.full((4, 3, 1), np.inf)], -1)
    expected = metrics.negative_log_likelihood(Forecast("student_t", normal), TARGETS).mean()
    assert mean_loss("normal", NORMAL) == pytest.approx(expected)


def test_quantile_loss_equals_the_crps_of_the_metrics():
    expected = metrics.crps(Forecast("quantiles", QUANTILES, LEVELS), TARGETS).mean()
    assert mean_loss("quantiles", QUANTILES, levels=LEVELS) == pytest.approx(expected)


def test_errors_of_points():
    point = LOCATION[..., None]
    assert mean_loss("point", point) == pytest.approx(np.mean((TARGETS - LOCATION) ** 2))
    assert mean_loss("point", point, loss="absolute") == pytest.approx(np.mean(np.abs(TARGETS - LOCATION)))


def test_errors_are_divided_by_the_unit_of_the_series():
    point = LOCATION[..., None]
    assert mean_loss("point", point, unit=2.0) == pytest.approx(mean_loss("point", point) / 4)
    assert mean_loss("student_t", STUDENT, unit=2.0) == pytest.approx(
        mean_loss("student_t", STUDENT) - np.log(2)
    )
    one, two = (mean_loss("quantiles", QUANTILES, unit=unit, levels=LEVELS) for unit in (1.0, 2.0))
    assert one == pytest.approx(2 * two)


def test_rows_of_weight_zero_do_not_count():
    forecast = STUDENT.copy()
    forecast[3, :, 0] = 1e6
    expected = metrics.negative_log_likelihood(Forecast("student_t", STUDENT[:3]), TARGETS[:3]).mean()
    assert mean_loss("student_t", forecast, weights=(1.0, 1.0, 1.0, 0.0)) == pytest.approx(expected)


def test_an_unsupported_loss_raises():
    with pytest.raises(ValueError, match=r"loss must be 'auto', .*; got 'absolute' for the output 'normal'"):
        forecasting("normal", loss="absolute")
