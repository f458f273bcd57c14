"""Scores of forecasts, computed in NumPy from what was forecast and what came.

A model and the baselines it must beat go through the same functions, so that their numbers compare. With
``n`` windows of ``H`` steps each, targets ``y`` are ``(n, H)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special, stats

from seqmodels.evaluation import wilson_interval
from seqmodels.models.forecasting import DECILES

INTERVALS = (0.5, 0.8, 0.95)
RISKS = (0.01, 0.05)  # probabilities of the value at risk
PIT_BINS = 20
SMAPE = "mean of 200 |y - f| / (|y| + |f|)"


@dataclass(frozen=True)
class Forecast:
    """Forecasts of ``(n, H)`` numbers.

    Attributes:
        kind: ``point``; ``quantiles``; ``student_t``, of which a normal distribution has infinitely many
            degrees of freedom.
        parameters: ``(n, H, 1)``; ``(n, H, levels)``, rising; location, scale and degrees of freedom, ``(n,
            H, 3)``.
        levels: of the quantiles.
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
        """What minimises the expected absolute error: ``(n, H)``."""
        if self.kind == "quantiles":
            return self.quantile(0.5)
        return self.parameters[..., 0]

    def quantile(self, level: float) -> np.ndarray:
        """``(n, H)``; between forecast quantiles by a straight line, beyond them the outermost."""
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
    """Location, scale and degrees of freedom of any one shape."""

    def __init__(self, location: np.ndarray, scale: np.ndarray, freedom: np.ndarray):
        self.location, self.scale, self.freedom = location, scale, freedom
        # The same numbers, many times faster where there are millions of them.
        self.standard = stats.norm if np.isinf(freedom).all() else stats.t(freedom)

    def quantile(self, level: float) -> np.ndarray:
        return self.location + self.scale * self.standard.ppf(level)

    def cdf(self, y: np.ndarray) -> np.ndarray:
        return self.standard.cdf((y - self.location) / self.scale)

    def negative_log_likelihood(self, y: np.ndarray) -> np.ndarray:
        return np.log(self.scale) - self.standard.logpdf((y - self.location) / self.scale)

    def crps(self, y: np.ndarray) -> np.ndarray:
        """Closed form (Jordan, Krueger, Lerch 2019, appendix A.2).

        ``s (z (2 F(z) - 1) + 2 f(z) (v + z^2) / (v - 1) - c)`` with
        ``c = 2 sqrt(v) / (v - 1) B(1/2, v - 1/2) / B(1/2, v/2)^2``, of the normal
        ``s (z (2 F(z) - 1) + 2 f(z) - 1 / sqrt(pi))``; finite for v > 1.
        """
        z = (y - self.location) / self.scale
        normal = self.freedom > 1e6
        v = np.where(normal, 1e6, self.freedom)
        ratio = np.where(normal, 1.0, (v + z**2) / (v - 1))
        logs = special.betaln(0.5, v - 0.5) - 2 * special.betaln(0.5, v / 2)
        last = np.where(normal, 1 / np.sqrt(np.pi), 2 * np.sqrt(v) / (v - 1) * np.exp(logs))
        return self.scale * (z * (2 * self.standard.cdf(z) - 1) + 2 * self.standard.pdf(z) * ratio - last)


def negative_log_likelihood(forecast: Forecast, y: np.ndarray) -> np.ndarray | None:
    """In nats, ``(n, H)``; None for forecasts without a density."""
    return forecast.distribution.negative_log_likelihood(y) if forecast.kind == "student_t" else None


def crps(forecast: Forecast, y: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score, ``(n, H)``, in the units of ``y``; of a point its absolute error.

    Of quantiles twice their mean quantile loss, which is what it tends to with more levels (Gneiting, Ranjan
    2011, equation 17).
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
    """``(level - [y < q]) (y - q)`` (Koenker, Bassett 1978)."""
    return (level - (y < quantile)) * (y - quantile)


def weighted_quantile_loss(forecast: Forecast, y: np.ndarray, levels: Sequence[float] = DECILES) -> float:
    """``mean over levels of 2 sum loss / sum |y|`` (Salinas et al. 2020, section 4.1, as the rho-risk)."""
    total = max(float(np.abs(y).sum()), 1e-12)
    losses = [2 * quantile_loss(y, forecast.quantile(level), level).sum() / total for level in levels]
    return float(np.mean(losses))


def coverage(forecast: Forecast, y: np.ndarray) -> dict[str, float]:
    """Share of targets inside the central intervals, by their nominal share."""
    found = {}
    for share in INTERVALS:
        low, high = forecast.quantile((1 - share) / 2), forecast.quantile((1 + share) / 2)
        found[f"{share:.0%}"] = float(np.mean((low <= y) & (y <= high)))
    return found


def pit(forecast: Forecast, y: np.ndarray) -> list[float]:
    """Histogram of the probability integral transform: shares of ``PIT_BINS`` bins, all equal if forecasts
    are calibrated (Gneiting et al. 2007, section 3.1)."""
    if forecast.kind == "student_t":
        counts, _ = np.histogram(forecast.distribution.cdf(y).ravel(), PIT_BINS, (0, 1))
    else:
        edges = [forecast.quantile(bin / PIT_BINS) for bin in range(1, PIT_BINS)]
        counts = np.bincount(np.sum([edge < y for edge in edges], axis=0).ravel(), minlength=PIT_BINS)
    return (counts / counts.sum()).tolist()


def smape(y: np.ndarray, point: np.ndarray) -> np.ndarray:
    """``200 |y - f| / (|y| + |f|)``, 0 where both are 0: ``(n, H)``, between 0 and 200."""
    size = np.abs(y) + np.abs(point)
    return 200 * np.abs(y - point) / np.where(size == 0, 1, size)


def kupiec(exceedances: int, days: int, probability: float) -> float:
    """p-value of Kupiec's proportion-of-failures test (1995), a likelihood ratio of one degree."""
    observed = exceedances / days

    def log_likelihood(p: float) -> float:
        return float(special.xlogy(exceedances, p) + special.xlogy(days - exceedances, 1 - p))

    return float(stats.chi2.sf(2 * (log_likelihood(observed) - log_likelihood(probability)), 1))


def diebold_mariano(differences: np.ndarray, lags: int) -> tuple[float, float]:
    """Whether the mean of loss differences over time is 0: the statistic and its two-sided p-value.

    Diebold, Mariano 1995, equation in section 1.1, with the variance of Newey and West 1987, whose weights
    keep it positive.

    Args:
        differences: ``(days,)``, loss of one minus loss of the other, in the order of time.
        lags: autocovariances that count.
    """
    days = len(differences)
    if days < 2 or np.ptp(differences) == 0:
        return 0.0, 1.0
    centered = differences - differences.mean()
    variance = centered @ centered / days
    for lag in range(1, min(lags, days - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centered[lag:] @ centered[:-lag]) / days
    statistic = float(differences.mean() / np.sqrt(variance / days))
    return statistic, float(2 * stats.norm.sf(abs(statistic)))


def compare(loss: np.ndarray, other: np.ndarray, times: np.ndarray, steps: int) -> dict[str, float]:
    """The mean difference of two losses, with the Diebold-Mariano test.

    Losses of one origin are averaged over its steps, and over all series that have it. Forecasts of ``steps``
    steps overlap, so that at least ``steps - 1`` lags count, and ``4 (T / 100)^(2/9)`` (Newey, West 1994)
    where that is more. With fewer than 30 origins, series are what is compared, as if they were independent.

    Args:
        loss, other: ``(n, H)``.
        times: of the origins, ``(n,)``.
        steps: from one target to the end of an overlap, H.
    """
    difference = (loss - other).mean(axis=1)
    distinct, group = np.unique(times, return_inverse=True)
    if len(distinct) >= 30:
        difference = np.bincount(group, difference) / np.bincount(group)
        lags = max(steps - 1, int(4 * (len(difference) / 100) ** (2 / 9)))
    else:
        lags = 0
    statistic, p = diebold_mariano(difference, lags)
    return {
        "difference": float(difference.mean()),
        "statistic": statistic,
        "p": p,
        "origins": len(difference),
    }


def direction(forecast: Forecast, y: np.ndarray) -> dict[str, Any]:
    """How often the sign of the median is that of the first step's target, beside always saying "up" or
    "down".

    Targets of 0 are left out. The interval is the 95 % score interval (Wilson 1927).
    """
    moved = y[:, 0] != 0
    up, said = y[moved, 0] > 0, forecast.median[moved, 0] > 0
    correct, count = int(np.sum(up == said)), max(int(moved.sum()), 1)
    return {
        "accuracy": correct / count,
        "interval": wilson_interval(correct, count),
        "majority": float(max(up.mean(), 1 - up.mean())) if len(up) else 1.0,
    }


def market_scores(forecast: Forecast, y: np.ndarray) -> dict[str, Any]:
    """Scores of forecast returns, JSON-ready: of all steps; direction and risk of the first."""
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
    return {
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


def value_scores(
    forecast: Forecast, y: np.ndarray, seasonal_changes: np.ndarray, deviations: np.ndarray
) -> dict[str, Any]:
    """Scores of forecast values, JSON-ready.

    Args:
        forecast: what was forecast.
        y: what came, ``(n, H)``.
        seasonal_changes: ``mean |y_t - y_{t-season}|`` of each window's series before the test, ``(n,)``: the
            denominator of the MASE (Hyndman, Koehler 2006).
        deviations: standard deviation of each window's series in training, ``(n,)``: the unit of ``mse``,
            which is that of series standardised by their training rows.
    """
    error = y - forecast.median
    losses, ranked = negative_log_likelihood(forecast, y), crps(forecast, y)
    known = seasonal_changes > 0
    return {
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
    """OWA of the M4 competition: the mean of sMAPE and MASE, each over that of Naive 2."""
    return (scores["smape"] / naive2["smape"] + scores["mase"] / naive2["mase"]) / 2
