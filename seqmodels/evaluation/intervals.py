"""Confidence intervals of scores."""

from __future__ import annotations

from scipy.stats import binomtest


def wilson_interval(correct: int, count: int, confidence: float = 0.95) -> list[float]:
    """Computes the confidence interval ``[low, high]`` of a proportion by the method of Wilson (1927).

    The proportion is ``correct / count``.

    Args:
        correct: number of successes, at most ``count``.
        count: number of trials, at least 1.
        confidence: probability that the interval contains the true proportion.

    >>> [round(edge, 3) for edge in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    interval = binomtest(correct, count).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]
