"""Scores of forecasts, computed in NumPy.

The same functions score the model and its baselines. Therefore their scores are comparable. The targets ``y``
have the shape ``(n, H)`` for n windows of H forecast steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special, stats

from apps.forecasting.intervals import FEWEST_ORIGINS, lags_of, score_intervals
from seqmodels.evaluation import PairedTest, wilson_interval
from seqmodels.models.forecasting import DECILES

INTERVALS = (0.5, 0.8, 0.95)
RISKS = (0.01, 0.05)  # probabilities of the value at risk
PIT_BINS = 20
SMAPE = "mean of 200 |y - f| / (|y| + |f|)"


@dataclass(frozen=True)
class Forecast:
    """Forecasts of H steps in each of n windows.

    Attributes:
        kind: ``point``, ``quantiles`` or ``student_t``. A normal distribution is ``student_t`` with infinite
            degrees of freedom.
        parameters: for ``point``, the points ``(n, H, 1)``. For ``quantiles``, the quantiles in ascending
            order ``(n, H, levels)``. For ``student_t``, location, scale and degrees of freedom ``(n, H, 3)``.
        levels: levels of the quantiles. Empty if ``kind`` is not ``quantiles``.
    """

    kind: str
    parameters: np.ndarray
    levels: tuple[float, ...] = ()

    @cached_property
    def distribution(self) -> Any:
        location, scale, freedom = np.moveaxis(np.asarray(self.parameters, np.float64), -1, 0)
        return _StudentT(location, scale, freedom)

    @property
    def median(self) -> np.ndarray:
        """Median of each forecast: ``(n, H)``. The median minimizes the expected absolute error."""
        if self.kind == "quantiles":
            return self.quantile(0.5)
        return self.parameters[..., 0]

    def quantile(self, level: float) -> np.ndarray:
        """Returns the quantile at a level: ``(n, H)``.

        If the forecast consists of quantiles, the result is interpolated linearly between these quantiles.
        For a level below or above all forecast levels, the result is the nearest forecast quantile.
        """
        if self.kind == "student_t":
            return self.distribution.quantile(level)
        if self.kind == "point":
            return self.parameters[..., 0]
        place = float(np.interp(level, self.levels, np.arange(len(self.levels))))
        below = int(place)
        above = min(below + 1, len(self.levels) - 1)
        share = place - below
        return (1 - share) * self.parameters[..., below] + share * self.parameters[..., above]

    def rows(self, index: Any) -> Forecast:
        return Forecast(self.kind, self.parameters[index], self.levels)


class _StudentT:
    """Student-t distributions, one per element of the arrays location, scale and degrees of freedom."""

    def __init__(self, location: np.ndarray, scale: np.ndarray, freedom: np.ndarray):
        self.location, self.scale, self.freedom = location, scale, freedom
        # For infinite degrees of freedom, stats.norm gives the same values as stats.t and is much faster.
        self.standard = stats.norm if np.isinf(freedom).all() else stats.t(freedom)

    def quantile(self, level: float) -> np.ndarray:
        return self.location + self.scale * self.standard.ppf(level)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return self.standard.cdf((y - self.location) / self.scale)

    def negative_log_likelihood(self, y: np.ndarray) -> np.ndarray:
        return np.log(self.scale) - self.standard.logpdf((y - self.location) / self.scale)

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Computes the closed form of the CRPS (Jordan, Krueger, Lerch 2019, appendix A.2).

        The scale is s, the degrees of freedom are v, and z is the standardized target. The standard
        distribution has the CDF F and the density f. The CRPS is
        ``s (z (2 F(z) - 1) + 2 f(z) (v + z^2) / (v - 1) - c)``. The constant is
        ``c = 2 sqrt(v) / (v - 1) B(1/2, v - 1/2) / B(1/2, v/2)^2``, where B is the beta function. The CRPS is
        finite for v > 1. For the normal distribution, the CRPS is
        ``s (z (2 F(z) - 1) + 2 f(z) - 1 / sqrt(pi))``.
        """
        z = (y - self.location) / self.scale
        normal = self.freedom > 1e6
        v = np.where(normal, 1e6, self.freedom)
        ratio = np.where(normal, 1.0, (v + z**2) / (v - 1))
        logs = special.betaln(0.5, v - 0.5) - 2 * special.betaln(0.5, v / 2)
        last = np.where(normal, 1 / np.sqrt(np.pi), 2 * np.sqrt(v) / (v - 1) * np.exp(logs))
        return self.scale * (z * (2 * self.standard.cdf(z) - 1) + 2 * self.standard.pdf(z) * ratio - last)


def negative_log_likelihood(forecast: Forecast, y: np.ndarray) -> np.ndarray | None:
    """Computes the negative log-likelihood in nats: ``(n, H)``.

    Points and quantiles do not define a density. The result is then None.
    """
    return forecast.distribution.negative_log_likelihood(y) if forecast.kind == "student_t" else None


def crps(forecast: Forecast, y: np.ndarray) -> np.ndarray:
    """Computes the continuous ranked probability score (CRPS) in the units of ``y``: ``(n, H)``.

    The CRPS of a point is its absolute error. For quantiles, the score is twice the mean quantile loss. This
    score approaches the CRPS as the number of levels grows (Gneiting, Ranjan 2011, equation 17).
    """
    if forecast.kind == "student_t":
        return forecast.distribution.crps(y)
    if forecast.kind == "point":
        return np.abs(y - forecast.parameters[..., 0])
    losses = [
        quantile_loss(y, forecast.parameters[..., index], level)
        for index, level in enumerate(forecast.levels)
    ]
    return 2 * np.mean(losses, axis=0)


def quantile_loss(y: np.ndarray, quantile: np.ndarray, level: float) -> np.ndarray:
    """Computes ``(level - [y < q]) (y - q)``, where q is the quantile (Koenker, Bassett 1978)."""
    return (level - (y < quantile)) * (y - quantile)


def weighted_quantile_loss(forecast: Forecast, y: np.ndarray, levels: Sequence[float] = DECILES) -> float:
    """Computes ``2 sum(quantile loss) / sum |y|`` for each level, and returns the mean of these values.

    This score is called rho-risk in Salinas et al. 2020, section 4.1.
    """
    total = max(float(np.abs(y).sum()), 1e-12)
    losses = [2 * quantile_loss(y, forecast.quantile(level), level).sum() / total for level in levels]
    return float(np.mean(losses))


def coverage(forecast: Forecast, y: np.ndarray) -> dict[str, float]:
    """Returns ``{nominal coverage: fraction of targets in the interval}`` for the central intervals."""
    found = {}
    for share in INTERVALS:
        low, high = forecast.quantile((1 - share) / 2), forecast.quantile((1 + share) / 2)
        found[f"{share:.0%}"] = float(np.mean((low <= y) & (y <= high)))
    return found


def pit(forecast: Forecast, y: np.ndarray) -> list[float]:
    """Returns the histogram of the probability integral transform: the fraction of targets in each bin.

    The histogram has ``PIT_BINS`` bins. If the forecasts are calibrated, the expected fractions of all bins
    are equal (Gneiting et al. 2007, section 3.1).
    """
    if forecast.kind == "student_t":
        counts, _ = np.histogram(forecast.distribution.cdf(y).ravel(), PIT_BINS, (0, 1))
    else:
        edges = [forecast.quantile(bin / PIT_BINS) for bin in range(1, PIT_BINS)]
        counts = np.bincount(np.sum([edge < y for edge in edges], axis=0).ravel(), minlength=PIT_BINS)
    return (counts / counts.sum()).tolist()


def smape(y: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Computes ``200 |y - f| / (|y| + |f|)`` for point forecasts f: ``(n, H)``, from 0 to 200.

    The result is 0 if target and forecast are 0.
    """
    size = np.abs(y) + np.abs(point)
    return 200 * np.abs(y - point) / np.where(size == 0, 1, size)


def kupiec(exceedances: int, days: int, probability: float) -> float:
    """Returns the p-value of Kupiec's proportion-of-failures test (1995).

    The test is a likelihood-ratio test with one degree of freedom.

    Args:
        exceedances: number of days with a loss larger than the value at risk.
        days: number of all days.
        probability: forecast probability of an exceedance.
    """
    observed = exceedances / days

    def log_likelihood(p: float) -> float:
        return float(special.xlogy(exceedances, p) + special.xlogy(days - exceedances, 1 - p))

    return float(stats.chi2.sf(2 * (log_likelihood(observed) - log_likelihood(probability)), 1))


def diebold_mariano(differences: np.ndarray, lags: int) -> tuple[float, PairedTest]:
    """Tests if the mean of ``differences`` is 0. Returns the statistic and the result of the test.

    The statistic follows section 1.1 of Diebold, Mariano 1995. The variance is the estimate of Newey, West
    1987. This estimate weights the autocovariances such that the variance is positive.

    Args:
        differences: losses of the first forecast minus losses of the second forecast, in time order,
            ``(days,)``.
        lags: number of autocovariances that the variance includes.
    """
    days, mean = len(differences), float(differences.mean())
    if days < 2 or np.ptp(differences) == 0:
        return 0.0, PairedTest(mean, None, 1.0, "Diebold-Mariano")
    centered = differences - differences.mean()
    variance = centered @ centered / days
    for lag in range(1, min(lags, days - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centered[lag:] @ centered[:-lag]) / days
    error = float(np.sqrt(variance / days))
    half = float(stats.norm.isf(0.025)) * error
    p = float(2 * stats.norm.sf(abs(mean / error)))
    return mean / error, PairedTest(mean, [mean - half, mean + half], p, "Diebold-Mariano")


def compare(loss: np.ndarray, other: np.ndarray, times: np.ndarray, steps: int) -> dict[str, Any]:
    """Returns the mean difference of the losses of two forecasts, and the result of a Diebold-Mariano test.

    The losses at one origin time are added up over all steps and over all series that have this origin time.
    Forecasts of several steps overlap, and their losses are correlated over time. Therefore the
    variance in the test includes autocovariances. Their number is ``max(steps - 1, 4 (T / 100)^(2/9))``,
    where T is the number of origin times (Newey, West 1994). With fewer than 30 origin times, the test treats
    all windows as independent.

    Args:
        loss, other: losses of the two forecasts, ``(n, H)``. The difference is ``loss - other``.
        times: time of the origin of each window, ``(n,)``.
        steps: number of steps of a forecast, H.
    """
    difference = (loss - other).mean(axis=1)
    distinct, group = np.unique(times, return_inverse=True)
    if len(distinct) >= FEWEST_ORIGINS:
        # The mean of these values is the mean difference over all windows.
        difference = np.bincount(group, difference) * (len(distinct) / len(difference))
        lags = lags_of(len(difference), steps)
    else:
        lags = 0
    statistic, test = diebold_mariano(difference, lags)
    return {
        "difference": test.effect,
        "interval": test.interval,
        "statistic": statistic,
        "p": test.p,
        "origins": len(difference),
    }


def direction(forecast: Forecast, y: np.ndarray) -> dict[str, Any]:
    """Computes how often the forecast of the first step has the correct direction.

    ``accuracy`` is the fraction of windows in which median and target have the same sign. ``interval`` is the
    95 % confidence interval of the accuracy (Wilson 1927). ``majority`` is the accuracy of a forecast that
    always predicts the more frequent direction. Windows with the target 0 are dropped.
    """
    moved = y[:, 0] != 0
    up, said = y[moved, 0] > 0, forecast.median[moved, 0] > 0
    correct, count = int(np.sum(up == said)), max(int(moved.sum()), 1)
    return {
        "accuracy": correct / count,
        "interval": wilson_interval(correct, count),
        "majority": float(max(up.mean(), 1 - up.mean())) if len(up) else 1.0,
    }


def market_scores(forecast: Forecast, y: np.ndarray, blocks: np.ndarray | None = None) -> dict[str, Any]:
    """Computes the JSON-ready scores of forecasts of returns.

    The scores of the direction and of the value at risk use only the first step.

    Args:
        forecast: the forecasts.
        y: targets, ``(n, H)``.
        blocks: block of each window for the 95 % intervals, ``(n,)``; see :mod:`apps.forecasting.intervals`.
            Default: no intervals.
    """
    losses, ranked = negative_log_likelihood(forecast, y), crps(forecast, y)
    first, returns = forecast.rows((slice(None), slice(0, 1))), y[:, :1]
    risk = {}
    for probability in RISKS:
        exceedances = int(np.sum(returns < first.quantile(probability)))
        risk[f"{probability:.0%}"] = {
            "exceedances": exceedances,
            "expected": probability * len(y),
            "kupiec_p": kupiec(exceedances, len(y), probability),
        }
    error = y - forecast.median
    means = {} if losses is None else {"nll": losses}
    means |= {"crps": ranked, "mae": np.abs(error), "rmse": error**2}
    return {
        **_intervals(means, blocks),
        "windows": len(y),
        **({} if losses is None else {"nll": float(losses.mean())}),
        "crps": float(ranked.mean()),
        "mae": float(np.abs(y - forecast.median).mean()),
        "rmse": float(np.sqrt(np.mean((y - forecast.median) ** 2))),
        "direction": direction(forecast, y),
        "coverage": coverage(forecast, y),
        "value_at_risk": risk,
        "pit": pit(forecast, y),
        "crps_by_step": ranked.mean(axis=0).tolist(),
    }


def _intervals(
    losses: dict[str, np.ndarray], blocks: np.ndarray | None, ratios: dict[str, np.ndarray] | None = None
) -> dict[str, list[float] | None]:
    """Returns the intervals of scores from the losses of all windows and steps, ``(n, H)``."""
    if blocks is None:
        return {}
    windows = {name: values.mean(axis=1) for name, values in losses.items()}
    return score_intervals(windows, blocks, ratios or {})


def value_scores(
    forecast: Forecast,
    y: np.ndarray,
    seasonal_changes: np.ndarray,
    deviations: np.ndarray,
    blocks: np.ndarray | None = None,
) -> dict[str, Any]:
    """Computes the JSON-ready scores of forecasts of values.

    Args:
        forecast: the forecasts.
        y: targets, ``(n, H)``.
        seasonal_changes: for each window, the seasonal change of its series, ``(n,)``. The seasonal change is
            ``mean |y_t - y_{t-season}|`` over the rows before the test split. The MASE divides the errors by
            the seasonal change (Hyndman, Koehler 2006).
        deviations: for each window, the standard deviation of the training rows of its series, ``(n,)``. The
            scaled scores divide the errors by this standard deviation.
        blocks: block of each window for the 95 % intervals, ``(n,)``; see :mod:`apps.forecasting.intervals`.
            Default: no intervals.
    """
    error = y - forecast.median
    losses, ranked = negative_log_likelihood(forecast, y), crps(forecast, y)
    known = seasonal_changes > 0
    scale = deviations[:, None]
    means = {} if losses is None else {"nll": losses}
    means |= {
        "mase": np.abs(error) * (known / np.where(known, seasonal_changes, 1))[:, None],
        "smape": smape(y, forecast.median),
        "mae": np.abs(error),
        "rmse": error**2,
        "mse_scaled": (error / scale) ** 2,
        "mae_scaled": np.abs(error / scale),
        "crps": ranked,
        "crps_scaled": ranked / scale,
        "wql": np.mean([2 * quantile_loss(y, forecast.quantile(level), level) for level in DECILES], axis=0),
    }
    ratios = {"mase": known.astype(float), "wql": np.abs(y).mean(axis=1)}
    return {
        **_intervals(means, blocks, ratios),
        "windows": len(y),
        "mase": float(np.mean(np.abs(error[known]).mean(1) / seasonal_changes[known]))
        if known.any()
        else 0.0,
        "smape": float(smape(y, forecast.median).mean()),
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mse_scaled": float(np.mean((error / deviations[:, None]) ** 2)),
        "mae_scaled": float(np.mean(np.abs(error / deviations[:, None]))),
        "crps": float(ranked.mean()),
        "crps_scaled": float(np.mean(ranked / deviations[:, None])),
        **({} if losses is None else {"nll": float(losses.mean())}),
        "wql": weighted_quantile_loss(forecast, y),
        "coverage": coverage(forecast, y),
        "pit": pit(forecast, y),
        "mase_by_step": (np.abs(error[known]) / seasonal_changes[known, None]).mean(axis=0).tolist(),
    }


def overall_weighted_average(scores: dict[str, Any], naive2: dict[str, Any]) -> float:
    """Computes the OWA of the M4 competition.

    The OWA is the mean of two ratios: the sMAPE divided by the sMAPE of Naive 2, and the MASE divided by the
    MASE of Naive 2.
    """
    return (scores["smape"] / naive2["smape"] + scores["mase"] / naive2["mase"]) / 2
