"""Simulated markets. The true distribution of the next return is known and is the best possible forecast.

:func:`garch` simulates returns with fat tails and clustered volatility. The volatility rises more after
losses than after gains. The recursion of the GARCH model computes the best forecast. :func:`regimes`
simulates a market that switches between a calm and a volatile regime. A hidden Markov chain controls the
regime. Hamilton's filter computes the best forecast that uses only the returns.

The direction of the next return cannot be predicted in either market. The high and the low of a day are
sampled from a Brownian bridge between open and close. The bridge has the volatility of the day. In the
GARCH market, the past returns contain all information about the next return. In the regime market, high and
low contain additional information about the regime. Hamilton's filter ignores this information. Therefore the
baseline ``optimum`` of the regime market is the best forecast only among forecasts that use returns alone.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from apps.forecasting.calendar import EPOCH
from apps.forecasting.records import PRICE_COLUMNS, Series, SeriesData
from apps.forecasting.week import Weekdays

DAYS = 4_000
DRIFT = 0.04  # mean return, percent per day
# GJR-GARCH (Glosten, Jagannathan, Runkle 1993). The variance s2 depends on the previous error e:
# s2_t = OMEGA + (ALPHA + GAMMA [e_{t-1} < 0]) e_{t-1}^2 + BETA s2_{t-1}
OMEGA, ALPHA, GAMMA, BETA, FREEDOM = 0.02, 0.03, 0.12, 0.89, 6.0
STAY = (0.99, 0.97)  # probability of staying in the calm and in the volatile regime
SCALES = (0.6, 1.9)  # standard deviation of the returns in each regime, percent per day


def garch(seed: int) -> SeriesData:
    """Simulates a GJR-GARCH market with Student-t innovations.

    ``truth`` contains the distribution of each return, computed by the recursion of the model.
    """
    random = np.random.default_rng([seed, 1])
    shocks = random.standard_t(FREEDOM, DAYS) * np.sqrt((FREEDOM - 2) / FREEDOM)  # variance 1
    variance, returns = np.empty(DAYS), np.empty(DAYS)
    variance[0] = OMEGA / (1 - ALPHA - GAMMA / 2 - BETA)
    for day in range(DAYS):
        error = np.sqrt(variance[day]) * shocks[day]
        returns[day] = DRIFT + error
        if day + 1 < DAYS:
            variance[day + 1] = OMEGA + (ALPHA + GAMMA * (error < 0)) * error**2 + BETA * variance[day]
    scale = np.sqrt(variance * (FREEDOM - 2) / FREEDOM)
    truth = np.stack([np.full(DAYS, DRIFT), scale, np.full(DAYS, FREEDOM)], 1)
    return _market("embedded:market", returns, np.sqrt(variance), truth, random)


def regimes(seed: int) -> SeriesData:
    """Simulates a market with two normal regimes (Hamilton 1989).

    ``truth`` is the output of Hamilton's filter with the true parameters. The filter computes a mixture of
    two normal distributions. ``truth`` stores the Student-t distribution with the same variance and kurtosis.
    """
    random = np.random.default_rng([seed, 2])
    state, states = 0, np.empty(DAYS, int)
    for day in range(DAYS):
        states[day] = state
        state = state if random.random() < STAY[state] else 1 - state
    scales = np.array(SCALES)
    returns = DRIFT + scales[states] * random.standard_normal(DAYS)
    chain = np.array([[STAY[0], 1 - STAY[0]], [1 - STAY[1], STAY[1]]])
    belief, truth = np.array([1.0, 0.0]), np.empty((DAYS, 3))
    for day in range(DAYS):
        second, fourth = belief @ scales**2, 3 * belief @ scales**4
        # A Student-t distribution with nu degrees of freedom has the kurtosis 3 (nu - 2) / (nu - 4). The code
        # computes nu from the kurtosis of the mixture of the two regimes.
        kurtosis = max(fourth / second**2, 3 + 1e-3)
        freedom = (4 * kurtosis - 6) / (kurtosis - 3)
        truth[day] = DRIFT, np.sqrt(second * (freedom - 2) / freedom), freedom
        belief = belief * stats.norm.pdf(returns[day], DRIFT, scales)
        belief = belief / belief.sum() @ chain
    return _market("embedded:regimes", returns, scales[states], truth, random)


def _market(
    name: str, returns: np.ndarray, volatility: np.ndarray, truth: np.ndarray, random: np.random.Generator
) -> SeriesData:
    """Computes prices from ``returns`` in percent, ``(days,)``.

    The first return is the change from the price 100 to the first close.
    """
    close = 100 * np.exp(np.cumsum(returns) / 100)
    opened = np.concatenate([[100.0], close[:-1]])
    # The maximum of a Brownian bridge from 0 to b is (b + sqrt(b^2 - 2 s^2 ln U)) / 2. Here s is the
    # volatility, and U is uniform in (0, 1). In the formula of the minimum, the root is subtracted.
    reach = np.sqrt(returns**2 - 2 * volatility**2 * np.log(random.random((2, len(returns)))))
    high = opened * np.exp((returns + reach[0]) / 200)
    low = opened * np.exp((returns - reach[1]) / 200)
    volume = np.round(1e6 * np.exp(0.5 * np.log(volatility) + 0.2 * random.standard_normal(len(returns))))
    columns = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    values = np.stack([columns[column] for column in PRICE_COLUMNS], 1)
    times = Weekdays().after(EPOCH, len(returns))
    notes = ["the data are simulated; the baseline 'optimum' uses the true parameters"]
    series = [Series("market", times, values)]
    return SeriesData(name, "prices", series, Weekdays(), 5, notes, truth=[truth])
