"""Computes confidence intervals of scores."""

from __future__ import annotations

from scipy.stats import binomtest


def wilson_interval(correct: int, count: int, confidence: float = 0.95) -> list[float]:
    """Computes a confidence interval of the proportion ``correct / count`` by the method of Wilson (1927).

    Args:
        correct: number of successes, at most ``count``.
        count: number of trials, at least 1.
        confidence: probability that the interval contains the true proportion.

    Returns:
        The list ``[low, high]`` of the two limits.

    >>> [round(edge, 3) for edge in wilson_interval(90, 100)]
    [0.826, 0.945]
    """
    interval = binomtest(correct, count).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]
