"""Computes confidence intervals of scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats

RESAMPLES = 2000
LARGEST = 10_000  # with more units, the bootstrap resamples this number of random groups of units
BATCH = 50  # number of resamples that are drawn together

ScoreOfSums = Callable[[NDArray], NDArray]
"""Function that receives sums over all examples ``(resamples, k)`` and returns scores ``(resamples,)``."""


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
    interval = stats.binomtest(correct, count).proportion_ci(confidence, method="wilson")
    return [float(interval.low), float(interval.high)]


def bootstrap_interval(sums: ArrayLike, score: ScoreOfSums, confidence: float = 0.95) -> list[float] | None:
    """Computes a bootstrap interval of a score that depends only on sums over the examples.

    The examples are resampled with replacement. The interval is the expanded percentile interval (Hesterberg
    2015, "What Teachers Should Know About the Bootstrap", section 5.3). It is wider than the percentile
    interval if there are few examples. The random seed is fixed, so the result is reproducible.

    Args:
        sums: contribution of each of n examples to the k sums, ``(n, k)``. The array can also be a sparse
            array of SciPy. Examples that depend on each other must be added up to one row.
        score: function that receives sums over all examples, ``(resamples, k)``, and returns the scores
            ``(resamples,)``.
        confidence: probability that the interval contains the true score.

    Returns:
        The list ``[low, high]`` of the two limits, or None if there are fewer than two examples.

    Raises:
        ValueError: ``sums`` does not have the shape ``(n, k)``.

    >>> losses = np.linspace(0, 1, 50)[:, None]
    >>> [round(edge, 2) for edge in bootstrap_interval(losses, lambda sums: sums[:, 0] / 50)]
    [0.42, 0.58]
    """
    if np.shape(sums)[0] < 2:
        return None
    return expanded_interval(bootstrap_scores(sums, score), np.shape(sums)[0], confidence)


def bootstrap_scores(sums: ArrayLike, score: ScoreOfSums) -> NDArray:
    """Returns the scores of the bootstrap resamples, ``(resamples,)``. See :func:`bootstrap_interval`."""
    units: Any = sums if sparse.issparse(sums) else np.asarray(sums, np.float64)
    if len(units.shape) != 2:
        raise ValueError(f"sums must have the shape (n, k); got {units.shape}")
    units = _grouped(units)
    count = units.shape[0]

    def statistic(chosen: NDArray, axis: int = -1) -> NDArray:
        chosen = np.atleast_2d(chosen)  # (resamples, n): indices of the examples
        # A row of this matrix counts how often each example occurs in one resample. Entries at the same place
        # are added up.
        starts = np.arange(len(chosen) + 1) * count
        counts = sparse.csr_array((np.ones(chosen.size), chosen.ravel(), starts), (len(chosen), count))
        sums = counts @ units  # (resamples, k)
        return np.asarray(score(sums.toarray() if sparse.issparse(sums) else sums), np.float64)

    drawn = stats.bootstrap(
        (np.arange(count),),
        statistic,
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return drawn.bootstrap_distribution.ravel()


def expanded_interval(drawn: NDArray, count: int, confidence: float = 0.95) -> list[float]:
    """Returns the expanded percentile interval of bootstrap scores.

    Args:
        drawn: scores of the resamples, ``(resamples,)``.
        count: number of examples, at least 2.
        confidence: probability that the interval contains the true score.
    """
    t = stats.t.isf((1 - confidence) / 2, count - 1) * np.sqrt(count / (count - 1))
    tail = stats.norm.sf(t)
    return [float(edge) for edge in np.quantile(drawn, [tail, 1 - tail])]


def expanded_p_value(drawn: NDArray, count: int, null: float) -> float:
    """Returns the two-sided p-value of the hypothesis that the true score is ``null``.

    The p-value is 1 minus the largest confidence at which the interval excludes ``null``. The interval is
    the result of :func:`expanded_interval`.
    """
    fewer = min(np.count_nonzero(drawn <= null), np.count_nonzero(drawn >= null))
    tail = min((fewer + 1) / (len(drawn) + 1), 0.5)
    return float(2 * stats.t.sf(stats.norm.isf(tail) / np.sqrt(count / (count - 1)), count - 1))


def _grouped(units: NDArray) -> NDArray:
    """Adds up the examples of each random group, so that at most ``LARGEST`` rows remain."""
    count = units.shape[0]
    if count <= LARGEST:
        return units
    group = np.random.default_rng(0).permutation(count) % LARGEST
    return sparse.csr_array((np.ones(count), (group, np.arange(count))), (LARGEST, count)) @ units
