"""Baselines: naive forecasts, exponential smoothing and volatility models.

Each baseline is fitted once per series. The argument ``fitted`` is the number of rows for the fit, counted
from the start of the series. The origin of a window is its last known row. At every origin, the baseline uses
the rows up to the origin and forecasts the next ``horizon`` rows. The forecasts
are Student-t distributions, stored as location, scale and degrees of freedom ``(windows, horizon, 3)``.
Infinite degrees of freedom mean a normal distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from arch import arch_model
from scipy import stats
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.seasonal import seasonal_decompose

DECAY = 0.94  # RiskMetrics technical document (1996), section 5.3.2.1, for daily returns

Method = Callable[[np.ndarray, int, np.ndarray, int], np.ndarray]
"""Function that forecasts k windows of a series of T rows.

It receives ``(values (T,), fitted, origins (k,), horizon)`` and returns the forecasts ``(k, horizon, 3)``.
"""


def methods(kind: str, season: int) -> dict[str, Method]:
    """Returns the baselines by name. For the kind ``prices``, they forecast log returns in percent."""
    if kind == "prices":
        return {
            "persistence": persistence,
            "constant Student-t": constant,
            "EWMA volatility": ewma,
            "GARCH(1,1)-t": partial(garch, asymmetric=False),
            "GJR-GARCH-t": partial(garch, asymmetric=True),
        }
    seasonal: dict[str, Method] = {
        "seasonal naive": partial(seasonal_naive, season=season),
        "naive 2": partial(naive2, season=season),
    }
    return {
        "naive": naive,
        "drift": drift,
        **(seasonal if season > 1 else {}),
        "ETS": partial(ets, season=season),
    }


def forecast(
    method: Method, values: Sequence[np.ndarray], fitted: np.ndarray, windows: np.ndarray, horizon: int
) -> np.ndarray:
    """Returns the forecasts of one method for all windows: ``(windows, horizon, 3)``.

    Args:
        method: a baseline from :func:`methods`.
        values: values or returns of each series, ``(T,)``.
        fitted: number of rows for the fit, counted from the start of each series, ``(series,)``.
        windows: array ``(windows, 2)``. Each row contains the index of a series and the row number of an
            origin in this series.
        horizon: number of rows to forecast.
    """
    found = np.empty((len(windows), horizon, 3))
    for number in np.unique(windows[:, 0]):
        rows = windows[:, 0] == number
        found[rows] = method(values[number], int(fitted[number]), windows[rows, 1], horizon)
    return found


def naive(values: np.ndarray, fitted: int, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts the last known value. The variance grows in proportion to the number of steps ahead.

    See Hyndman, Athanasopoulos 2021, table 5.2.
    """
    return seasonal_naive(values, fitted, origins, horizon, season=1)


def seasonal_naive(
    values: np.ndarray, fitted: int, origins: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Forecasts the last known value from the same point of the season.

    With monthly rows, for example, the forecast for a January is the value of the last known January. The
    variance is proportional to the number of seasons between this value and the forecast row.

    See Hyndman, Athanasopoulos 2021, table 5.2.
    """
    ahead = np.arange(1, horizon + 1)
    seasons = (ahead - 1) // season + 1
    location = values[np.maximum(origins[:, None] + ahead - seasons * season, 0)]
    sigma = _spread(values[season:fitted] - values[: fitted - season])
    return _normal(location, sigma * np.sqrt(seasons))


def drift(values: np.ndarray, fitted: int, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts by extending the line through the first value and the last known value.

    The variance h steps ahead is ``s^2 h (1 + h / T)``. Here s^2 is the mean squared difference of
    consecutive values, and T is the index of the origin row. See Hyndman, Athanasopoulos 2021, table 5.2.
    """
    ahead = np.arange(1, horizon + 1)
    slope = (values[origins] - values[0]) / np.maximum(origins, 1)
    location = values[origins][:, None] + slope[:, None] * ahead
    sigma = _spread(np.diff(values[:fitted]))
    return _normal(location, sigma * np.sqrt(ahead * (1 + ahead / np.maximum(origins, 1)[:, None])))


def naive2(values: np.ndarray, fitted: int, origins: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Computes the Naive 2 forecasts of the M4 competition.

    First, a multiplicative decomposition removes the season from the rows up to the origin. The last adjusted
    value is the forecast for all steps. Each step is then multiplied by its seasonal index. The season is
    removed only if the autocorrelation at the lag of one season is significant at 90 %. See section 2 of
    Makridakis et al. 2020 and the code of the M4 benchmarks.
    """
    ahead = np.arange(1, horizon + 1)
    location = np.empty((len(origins), horizon))
    for row, origin in enumerate(origins):
        past = values[: origin + 1]
        index = np.ones(season)
        if len(past) >= 3 * season and past.min() > 0 and _seasonal(past, season):
            index = seasonal_decompose(past, model="multiplicative", period=season).seasonal[:season]
        location[row] = past[-1] / index[origin % season] * index[(origin + ahead) % season]
    sigma = _spread(np.diff(values[:fitted]))
    return _normal(location, sigma * np.sqrt(ahead))


def _seasonal(values: np.ndarray, season: int) -> bool:
    centered = values - values.mean()
    correlations = np.array([centered[lag:] @ centered[:-lag] for lag in range(1, season + 1)])
    correlations /= max(centered @ centered, 1e-300)
    limit = 1.645 * np.sqrt((1 + 2 * np.sum(correlations[:-1] ** 2)) / len(values))
    return bool(abs(correlations[-1]) > limit)


def ets(values: np.ndarray, fitted: int, origins: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """Forecasts with the exponential smoothing of statsmodels.

    The model is ETS(A, Ad, A). Without a season, or with too little data, the model is ETS(A, Ad, N).

    The parameters are fitted on the first ``fitted`` rows. The states at an origin are computed from the rows
    up to the origin. The variance h steps ahead is ``s^2 (1 + sum_{j<h} c_j^2)`` with
    ``c_j = alpha + beta phi_j + gamma [j mod season = 0]`` and ``phi_j = phi + ... + phi^j`` (Hyndman et al.
    2008, table 6.2). Here s is the standard deviation of the residuals, and phi is the damping factor of the
    trend. Alpha, beta and gamma are the smoothing parameters of level, trend and season.
    """
    has_season = season > 1 and fitted >= 2 * season + 4
    form = {"error": "add", "trend": "add", "damped_trend": True, "initialization_method": "heuristic"}
    form |= {"seasonal": "add", "seasonal_periods": season} if has_season else {}
    unit = _spread(np.diff(values[:fitted]))  # The optimizer works best if the differences are near 1.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit without convergence is still usable
        parameters = ETSModel(values[:fitted] / unit, **form).fit(disp=False).params
        smoothed = ETSModel(values / unit, **form).smooth(parameters)
    states = np.asarray(smoothed.states)  # (T, level, trend[, season])
    named = dict(zip(smoothed.model.param_names, parameters))
    phi = named["damping_trend"]
    ahead = np.arange(1, horizon + 1)
    damped = np.cumsum(phi**ahead)  # phi + ... + phi^h
    location = states[origins, :1] + states[origins, 1:2] * damped
    response = named["smoothing_level"] + named["smoothing_trend"] * damped
    if has_season:
        location = location + states[origins[:, None] - season + 1 + (ahead - 1) % season, 2]
        response = response + named["smoothing_seasonal"] * (ahead % season == 0)
    sigma = _spread(np.asarray(smoothed.resid)[:fitted])
    spread = sigma * np.sqrt(1 + np.concatenate([[0], np.cumsum(response[:-1] ** 2)]))
    return _normal(unit * location, unit * spread)


def persistence(returns: np.ndarray, fitted: int, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts an unchanged price.

    The forecast of a return is a normal distribution with mean 0. The standard deviation is the root mean
    square of the first ``fitted`` returns.
    """
    sigma = float(np.sqrt(np.nanmean(returns[:fitted] ** 2)))
    return _normal(np.zeros((len(origins), horizon)), np.full(horizon, sigma))


def constant(returns: np.ndarray, fitted: int, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts one Student-t distribution for all days. The distribution is fitted by maximum likelihood."""
    freedom, location, scale = stats.t.fit(_real(returns[:fitted]))
    return np.broadcast_to([location, scale, freedom], (len(origins), horizon, 3)).copy()


def ewma(returns: np.ndarray, fitted: int, origins: np.ndarray, horizon: int) -> np.ndarray:
    """Forecasts with an exponentially weighted variance. All days after an origin have the same forecast.

    The variance of day t is ``s2_t = 0.94 s2_{t-1} + 0.06 r_{t-1}^2``, where r is the return. Each return is
    divided by the standard deviation of its day. A Student-t distribution with location 0 is fitted to the
    results.
    """
    variance = np.empty(len(returns) + 1)
    variance[:2] = np.nanvar(returns[:fitted])
    for day in range(1, len(returns)):
        variance[day + 1] = DECAY * variance[day] + (1 - DECAY) * returns[day] ** 2
    deviation = np.sqrt(variance)
    freedom, _, scale = stats.t.fit(_real(returns[:fitted] / deviation[:fitted]), floc=0)
    found = np.zeros((len(origins), horizon, 3))
    found[..., 1] = scale * deviation[origins + 1][:, None]
    found[..., 2] = freedom
    return found


def garch(
    returns: np.ndarray, fitted: int, origins: np.ndarray, horizon: int, asymmetric: bool
) -> np.ndarray:
    """Forecasts with a GARCH(1,1) model, or with a GJR-GARCH model if ``asymmetric`` is True.

    The shocks follow a Student-t distribution. The package ``arch`` fits the parameters. The model predicts
    the variance of each day. The degrees of freedom are the same for all days. See Bollerslev 1986 and
    Glosten et al. 1993.
    """
    model = arch_model(_real(returns), mean="Constant", vol="GARCH", p=1, o=int(asymmetric), q=1, dist="t")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The first return is NaN and was removed. Therefore the fit uses the first ``fitted - 1`` returns.
        fit = model.fit(last_obs=fitted - 1, disp="off")
    first = int(origins.min()) - 1
    variance = fit.forecast(horizon=horizon, start=first, reindex=False).variance.to_numpy()
    freedom = fit.params["nu"]
    found = np.empty((len(origins), horizon, 3))
    found[..., 0] = fit.params["mu"]
    found[..., 1] = np.sqrt(variance[origins - 1 - first] * (freedom - 2) / freedom)
    found[..., 2] = freedom
    return found


def _real(returns: np.ndarray) -> np.ndarray:
    return returns[np.isfinite(returns)]


def _spread(errors: np.ndarray) -> float:
    """Returns the root mean square of the errors, but at least 1e-9. Returns 1 if there are no errors."""
    return float(max(np.sqrt(np.mean(errors**2)), 1e-9)) if len(errors) else 1.0


def _normal(location: np.ndarray, scale: np.ndarray) -> np.ndarray:
    scale = np.broadcast_to(scale, location.shape)
    return np.stack([location, scale, np.full(location.shape, np.inf)], axis=-1)
