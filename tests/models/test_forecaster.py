"""Forecasters: comparison with NumPy, dependence on future inputs, and equivariance to units."""

from __future__ import annotations

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from seqmodels.models import FixedWindowForecaster, Forecaster
from seqmodels.models.forecasting import scaling as windows
from seqmodels.registry import FORECAST_OUTPUTS, SCALINGS

LOOKBACK, HORIZON, ROWS = 40, 5, 6
MODELS = {
    "direct": partial(Forecaster, units=3),
    "autoregressive": partial(Forecaster, units=3, decoder="autoregressive"),
    "segments": partial(Forecaster, units=3, segment=4, layers=2, cell="lstm"),
    "autoregressive segments": partial(Forecaster, units=3, segment=3, decoder="autoregressive", skip=False),
    "nlinear": partial(FixedWindowForecaster, form="nlinear"),
    "dlinear": partial(FixedWindowForecaster, form="dlinear"),
    "mlp": partial(FixedWindowForecaster, form="mlp", units=4),
}


def inputs(kind="values", seed=0):
    rng = np.random.default_rng(seed)
    level = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (ROWS, LOOKBACK)), 1))
    past = level[..., None]
    if kind == "prices":
        spread = np.exp(np.abs(rng.normal(0, 0.01, level.shape)))
        past = np.stack([level, level * spread, level / spread, level, 1e5 * spread], -1)
    days = np.arange(LOOKBACK + HORIZON) + 10.0 * np.arange(ROWS)[:, None]
    arrays = {"past": past, "past_time": days[:, :LOOKBACK], "future_time": days[:, LOOKBACK:]}
    found = {name: tf.constant(array, tf.float32) for name, array in arrays.items()}
    return {**found, "series": tf.constant([0, 1, 2, 0, 1, 2])}


def made(name, **options):
    keras.utils.set_random_seed(1)
    model = MODELS[name](LOOKBACK, HORIZON, **options)
    model.build()
    rng = np.random.default_rng(2)
    for weight in model.trainable_weights:
        weight.assign(rng.normal(0, 0.2, weight.shape))
    return model


@pytest.mark.parametrize("output", FORECAST_OUTPUTS)
@pytest.mark.parametrize("kind", ["values", "prices"])
@pytest.mark.parametrize("name", MODELS)
def test_forecasts_have_valid_shapes_and_values(name, kind, output):
    model = made(name, kind=kind, output=output, periods=(7.0,), series=3, series_units=2)
    forecast = model(inputs(kind)).numpy()
    assert forecast.shape == (ROWS, HORIZON, windows.width(output, model.levels))
    assert np.isfinite(forecast).all()
    if output == "quantiles":
        assert (np.diff(forecast, axis=-1) > 0).all()
    if output in ("normal", "student_t"):
        assert (forecast[..., 1] > 0).all()
    if output == "student_t":
        assert (forecast[..., 2] > 2).all()


@pytest.mark.parametrize("scaling", ["mean", "robust", "instance", "last"])
def test_forecasts_are_in_the_units_of_the_past(scaling):
    model = made("segments", output="quantiles", scaling=scaling)
    once = model(inputs())
    thousandfold = model({**inputs(), "past": 1000 * inputs()["past"]})
    np.testing.assert_allclose(thousandfold, 1000 * once, rtol=1e-3)
    if scaling != "mean":
        shifted = model({**inputs(), "past": 500 + inputs()["past"]})
        np.testing.assert_allclose(shifted, 500 + once, rtol=1e-3)


def test_returns_do_not_depend_on_the_currency():
    model = made("direct", kind="prices")
    factor = tf.constant([30.0, 30.0, 30.0, 30.0, 1.0])
    once, other = (
        model(inputs("prices")),
        model({**inputs("prices"), "past": factor * inputs("prices")["past"]}),
    )
    np.testing.assert_allclose(once, other, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_scalings_against_numpy(scaling):
    past = np.random.default_rng(3).normal(5, 2, (4, 31))
    window = windows.of_values(tf.constant(past[..., None]), scaling, False)
    expected = {
        "none": (0 * past[:, 0], 0 * past[:, 0] + 1),
        "mean": (0 * past[:, 0], np.abs(past).mean(1)),
        "robust": (np.median(past, 1), stats.iqr(past, 1) / 1.349),
        "instance": (past.mean(1), past.std(1)),
        "last": (past[:, -1], past.std(1)),
    }[scaling]
    np.testing.assert_allclose(window.location[:, 0], expected[0], atol=1e-9)
    np.testing.assert_allclose(window.scale[:, 0], expected[1], rtol=1e-6)
    np.testing.assert_allclose(window.whole * window.scale + window.location, past, rtol=1e-6)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_constant_window_has_scale_one(scaling):
    window = windows.of_values(tf.fill((1, 20, 1), 7.0 if scaling != "mean" else 0.0), scaling, False)
    assert window.scale.numpy().item() == 1


def test_decomposition_adds_up_and_its_trend_is_a_moving_average():
    values = np.random.default_rng(4).normal(size=(2, 60))
    padded = np.pad(values, ((0, 0), (12, 12)), mode="edge")
    expected = np.stack([np.convolve(row, np.ones(25) / 25, "valid") for row in padded])
    np.testing.assert_allclose(windows.moving_average(tf.constant(values), 25), expected)
    window = windows.of_values(tf.constant(values[..., None]), "none", True)
    np.testing.assert_allclose(tf.reduce_sum(window.steps, -1), values)


def test_features_of_prices_against_numpy():
    past = inputs("prices")["past"].numpy().astype(np.float64)
    window = windows.of_prices(tf.constant(past))
    returns = 100 * np.diff(np.log(past[..., 3]), axis=1)
    weights = (1 - 2 / 23) ** np.arange(returns.shape[1])[::-1]
    variance = (returns**2 * weights).sum(1) / weights.sum() + windows.FLOOR
    np.testing.assert_allclose(window.scale[:, 0], np.sqrt(variance))
    np.testing.assert_allclose(window.steps[..., 0], returns / np.sqrt(variance)[:, None])
    before = past[:, :-1, 3]
    span = 100 * np.log(np.maximum(past[:, 1:, 1], before) / np.minimum(past[:, 1:, 2], before))
    np.testing.assert_allclose(window.steps[..., 3], span / np.sqrt(variance)[:, None])
    assert window.whole.shape[1] == 3 * len(windows.SPANS) + 6


def test_calendar_encodes_the_phase_of_each_period():
    times = tf.constant([[0.0, 1.75, 7.0, 3650.0]])
    waves = windows.calendar(times, (7.0,)).numpy()[0]
    np.testing.assert_allclose(waves[0], [0, 1], atol=1e-6)
    np.testing.assert_allclose(waves[1], [1, 0], atol=1e-5)
    np.testing.assert_allclose(waves[2], [0, 1], atol=1e-5)


def test_linear_forms_equal_the_equations_of_the_paper():
    past = inputs()["past"].numpy()[..., 0]
    model = made("nlinear", output="point")
    weights = {weight.name: weight.numpy() for weight in model.trainable_weights}
    last = past[:, -1:]
    expected = last + (past - last) @ weights["kernel"] + past.std(1, keepdims=True) * weights["bias"][:, 0]
    np.testing.assert_allclose(model(inputs())[..., 0], expected, rtol=1e-4)
    model = made("dlinear", output="point")
    weights = {weight.name: weight.numpy() for weight in model.trainable_weights}
    scaled = (past - past.mean(1, keepdims=True)) / past.std(1, keepdims=True)
    trend = windows.moving_average(tf.constant(scaled), 25).numpy()
    linear = np.concatenate([scaled - trend, trend], 1) @ weights["kernel"] + weights["bias"][:, 0]
    expected = past.mean(1, keepdims=True) + past.std(1, keepdims=True) * linear
    np.testing.assert_allclose(model(inputs())[..., 0], expected, rtol=1e-4)


def test_steps_do_not_depend_on_later_known_features():
    for name in ("direct", "autoregressive"):
        model = made(name, periods=(7.0, 365.0))
        before = model(inputs())
        future = inputs()["future_time"] + tf.constant([0.0, 0.0, 0.0, 2.5, 0.0])
        after = model({**inputs(), "future_time": future})
        same = np.isclose(before, after, atol=1e-7).all(axis=(0, 2))
        assert same[:3].all()
        assert not same[3]
        assert same[4] == (name == "direct")


def test_covariates_change_the_forecast():
    model = made(
        "segments",
        known=[(0.0, 1.0), (1.0, 2.0)],
        static=[(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)],
        output="point",
    )
    rng = np.random.default_rng(5)
    known = tf.constant(rng.normal(size=(ROWS, LOOKBACK + HORIZON, 2)), tf.float32)
    static = tf.constant(rng.normal(size=(ROWS, 3)), tf.float32)
    full = {**inputs(), "known": known, "static": static}
    before = model(full).numpy()
    for name, change in (("known", known + 1), ("static", static + 1)):
        assert not np.allclose(model({**full, name: change}), before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "words"}, "kind must be one of values, prices; got 'words'"),
        ({"output": "mean"}, "output must be one of .*; got 'mean'"),
        ({"scaling": "big"}, "scaling must be one of .*; got 'big'"),
        ({"output": "quantiles", "levels": (0.1, 0.9)}, "levels must be .* and their number must be odd"),
        ({"decoder": "beam"}, "decoder must be one of .*; got 'beam'"),
        ({"segment": 40}, "segment must be at least 1 and below the lookback 40; got 40"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Forecaster(LOOKBACK, HORIZON, **options)
    with pytest.raises(ValueError, match=r"form must be one of .*; got 'tree'"):
        FixedWindowForecaster(LOOKBACK, HORIZON, form="tree")
    with pytest.raises(ValueError, match="got lookback 40 and horizon 0"):
        Forecaster(LOOKBACK, 0)
