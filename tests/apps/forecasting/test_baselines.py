"""Tests of the baselines against their formulas and against other libraries."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from arch import arch_model
from scipy import stats
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

from apps.forecasting import baselines as forecasts
from apps.forecasting import market

MONTHS = np.arange(120.0)
SEASONAL = (
    50 + 0.3 * MONTHS + 10 * np.sin(2 * np.pi * MONTHS / 12) + np.random.default_rng(0).normal(size=120)
)
RETURNS = market.garch(0).targets(0)[:1500]
METHODS = {
    **{name: (method, SEASONAL) for name, method in forecasts.methods("values", 12).items()},
    **{name: (method, RETURNS) for name, method in forecasts.methods("prices", 5).items()},
}


@pytest.mark.parametrize("name", METHODS)
def test_forecasts_do_not_depend_on_values_after_the_origin(name):
    method, values = METHODS[name]
    fitted, origins = int(0.6 * len(values)), np.array([int(0.7 * len(values)), int(0.8 * len(values))])
    before = method(values, fitted, origins, 6)
    changed = values.copy()
    changed[origins[-1] + 1 :] *= -3.7
    np.testing.assert_allclose(method(changed, fitted, origins, 6), before, rtol=1e-9)
    changed = values.copy()
    changed[origins[0] + 1 :] *= 2.0
    np.testing.assert_allclose(method(changed, fitted, origins, 6)[0], before[0], rtol=1e-9)
    assert before.shape == (2, 6, 3)
    assert np.isfinite(before[..., :2]).all()
    assert (before[..., 1] > 0).all()


def test_naive_forecasts_by_hand():
    values = np.array([1.0, 5.0, 2.0, 6.0, 3.0, 7.0])
    last = np.array([5])
    assert forecasts.naive(values, 6, last, 2)[0, :, 0].tolist() == [7, 7]
    assert forecasts.seasonal_naive(values, 6, last, 3, season=2)[0, :, 0].tolist() == [3, 7, 3]
    np.testing.assert_allclose(forecasts.drift(values, 6, last, 2)[0, :, 0], [8.2, 9.4])
    spread = forecasts.naive(values, 6, last, 4)[0, :, 1]
    np.testing.assert_allclose(spread / spread[0], np.sqrt([1, 2, 3, 4]))
    spread = forecasts.seasonal_naive(values, 6, last, 4, season=2)[0, :, 1]
    np.testing.assert_allclose(spread / spread[0], np.sqrt([1, 1, 2, 2]))


def test_naive2_adjusts_for_the_season():
    season = np.tile([0.5, 1.0, 1.5, 1.0], 12)
    found = forecasts.naive2(10 * season, 40, np.array([42]), 5, season=4)[0, :, 0]
    np.testing.assert_allclose(found, 10 * season[43:48])
    noise = np.random.default_rng(1).normal(10, 1, 48)
    plain = forecasts.naive2(noise, 40, np.array([42]), 3, season=4)[0, :, 0]
    np.testing.assert_allclose(plain, noise[42])


@pytest.mark.parametrize("season", [12, 1])
def test_ets_equals_statsmodels(season):
    form = {"error": "add", "trend": "add", "damped_trend": True, "initialization_method": "heuristic"}
    form |= {"seasonal": "add", "seasonal_periods": season} if season > 1 else {}
    unit = np.sqrt(np.mean(np.diff(SEASONAL[:96]) ** 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parameters = ETSModel(SEASONAL[:96] / unit, **form).fit(disp=False).params
        dates = pd.period_range("2000-01", periods=109, freq="M")
        smoothed = ETSModel(pd.Series(SEASONAL[:109] / unit, dates), **form).smooth(parameters)
        prediction = smoothed.get_prediction(start=109, end=126)
    found = forecasts.ets(SEASONAL, 96, np.array([108]), 18, season)[0]
    np.testing.assert_allclose(found[:, 0], unit * smoothed.forecast(18), rtol=1e-6)
    ratio = found[:, 1] / (unit * np.sqrt(prediction.forecast_variance))
    # The scales differ by a constant factor, because they are computed from different sets of residuals.
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_garch_follows_its_recursion_from_the_fitted_parameters(asymmetric):
    fitted, origins = 1000, np.arange(1100, 1110)
    found = forecasts.garch(RETURNS, fitted, origins, 3, asymmetric)
    returns = RETURNS[1:]
    fit = arch_model(returns, p=1, o=int(asymmetric), q=1, dist="t").fit(last_obs=fitted - 1, disp="off")
    p = fit.params
    gamma = p["gamma[1]"] if asymmetric else 0.0
    variance = fit.conditional_volatility[fitted - 2] ** 2
    for day in range(fitted - 2, len(returns)):
        if day + 1 in origins:
            scale = np.sqrt(variance * (p["nu"] - 2) / p["nu"])
            row = day + 1 - origins[0]
            assert day > fitted
            if row:
                assert found[row - 1, 0, 1] == pytest.approx(scale, rel=1e-6)
        error = returns[day] - p["mu"]
        variance = p["omega"] + (p["alpha[1]"] + gamma * (error < 0)) * error**2 + p["beta[1]"] * variance
    persistence = p["alpha[1]"] + gamma / 2 + p["beta[1]"]
    ahead = found[0, :, 1] ** 2 * p["nu"] / (p["nu"] - 2)
    np.testing.assert_allclose(ahead[2], p["omega"] + persistence * ahead[1], rtol=1e-4)


def test_constant_maximizes_the_likelihood():
    location, scale, freedom = forecasts.constant(RETURNS, 1000, np.array([1200]), 2)[0, 1]
    returns = RETURNS[1:1000]
    best = stats.t.logpdf(returns, freedom, location, scale).sum()
    for factor in (0.97, 1.03):
        assert stats.t.logpdf(returns, freedom * factor, location, scale).sum() < best
        assert stats.t.logpdf(returns, freedom, location, scale * factor).sum() < best


def test_ewma_decays():
    found = forecasts.ewma(RETURNS, 1000, np.array([1200, 1201]), 1)[:, 0, 1] ** 2
    variance = np.nanvar(RETURNS[:1000])
    for day in range(1, 1201):
        variance = 0.94 * variance + 0.06 * RETURNS[day] ** 2
    after = 0.94 * variance + 0.06 * RETURNS[1201] ** 2
    assert found[1] / found[0] == pytest.approx(after / variance)


def test_forecasts_of_several_series_keep_the_order_of_the_windows():
    windows = np.array([[1, 60], [0, 70], [1, 80]])
    found = forecasts.forecast(forecasts.naive, [SEASONAL, -SEASONAL], np.array([50, 50]), windows, 2)
    np.testing.assert_array_equal(found[:, 0, 0], [-SEASONAL[60], SEASONAL[70], -SEASONAL[80]])
