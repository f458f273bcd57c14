"""Tests that simulated series follow their true distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from apps.forecasting import market, seasonal
from apps.forecasting.readers import load_series


@pytest.mark.parametrize("variant", ["market", "regimes", "seasonal"])
def test_series_depend_on_the_seed(variant):
    one, same, other = (load_series(f"embedded:{variant}", seed=seed) for seed in (1, 1, 2))
    assert one.sha256 == same.sha256 != other.sha256


def test_the_garch_market_follows_its_recursion():
    source = market.garch(0)
    (truth,), returns = source.truth, source.targets(0)
    scale = truth[:, 1]
    variance = scale**2 * market.FREEDOM / (market.FREEDOM - 2)
    for day in range(1, 200):
        error = returns[day] - market.DRIFT
        expected = (
            market.OMEGA
            + (market.ALPHA + market.GAMMA * (error < 0)) * error**2
            + market.BETA * variance[day]
        )
        assert variance[day + 1] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("make", [market.garch, market.regimes, seasonal.family])
def test_targets_follow_their_true_distribution(make):
    source = make(3)
    values = []
    for number, truth in enumerate(source.truth):
        location, scale, freedom = truth.T
        values.append(stats.t.cdf((source.targets(number) - location) / scale, freedom)[1:])
    assert stats.kstest(np.concatenate(values), "uniform").pvalue > 0.001


def test_high_and_low_are_consistent_with_open_close_and_volatility():
    opened, high, low, close, volume = market.garch(1).series[0].values.T
    assert (high >= np.maximum(opened, close)).all()
    assert (low <= np.minimum(opened, close)).all()
    assert (low > 0).all()
    assert (volume > 0).all()
    # The mean of the squared range over 4 ln 2 is the variance of the Brownian motion (Parkinson 1980).
    sigma2 = market.garch(1).truth[0][:, 1] ** 2 * market.FREEDOM / (market.FREEDOM - 2)
    ratio = (100 * np.log(high / low)) ** 2 / (4 * np.log(2)) / sigma2
    assert np.mean(ratio) == pytest.approx(1, abs=0.1)
