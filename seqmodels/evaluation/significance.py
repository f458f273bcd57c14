"""Tests whether two systems that are scored on the same examples differ by more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from seqmodels.evaluation.intervals import (
    ScoreOfSums,
    bootstrap_scores,
    expanded_interval,
    expanded_p_value,
)

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedTest:
    """Result of a paired test of two systems.

    Attributes:
        effect: score of the first system minus score of the second system, or the ratio of the two scores.
        interval: 95 % confidence interval ``[low, high]`` of the effect. None if there are too few examples.
        p: two-sided p-value of the hypothesis that the true effect is ``null``.
        test: name of the test.
        null: effect of two equal systems: 0 for differences, 1 for ratios.

    >>> PairedTest(0.032, [0.011, 0.053], 0.003, "McNemar").significant
    True
    """

    effect: float
    interval: list[float] | None
    p: float
    test: str
    null: float = 0.0

    @property
    def significant(self) -> bool:
        """True if the p-value is below 0.05, and the interval does not contain the effect ``null``.

        An interval of McNemar's test can contain 0 although the p-value is slightly below 0.05.
        """
        outside = self.interval is not None and not self.interval[0] <= self.null <= self.interval[1]
        return self.p < SIGNIFICANT and outside


def mcnemar(first: ArrayLike, second: ArrayLike) -> PairedTest:
    """Compares the proportions of correct answers of two systems by McNemar's test (1947).

    The p-value is the mid-p value of the exact test (Fagerland, Lydersen, Laake 2013). The test uses only the
    examples that exactly one system answers correctly. The interval of the difference is the interval of
    Bonett and Price (2012).

    Args:
        first, second: True for each example that the system answers correctly, ``(n,)``.

    Raises:
        ValueError: the two arrays have different shapes, or no elements.

    >>> test = mcnemar([True] * 9 + [False] * 3, [False] * 8 + [True] * 2 + [False] * 2)
    >>> round(test.effect, 3), round(test.p, 3)
    (0.583, 0.021)
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(
            f"first and second must have the same shape (n,) with n > 0; got {first.shape} and {second.shape}"
        )
    count = first.size
    gained, lost = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    decided, fewer = gained + lost, min(gained, lost)
    equal = float(stats.binom.pmf(fewer, decided, 0.5))
    exact = min(2 * float(stats.binom.cdf(fewer, decided, 0.5)), 1.0)
    p = 1 - equal / 2 if gained == lost else exact - equal
    shares = (gained + 1) / (count + 2), (lost + 1) / (count + 2)
    middle = shares[0] - shares[1]
    half = stats.norm.isf(0.025) * np.sqrt((sum(shares) - middle**2) / (count + 2))
    interval = [max(float(middle - half), -1.0), min(float(middle + half), 1.0)]
    return PairedTest((gained - lost) / count, interval, min(p, 1.0) if decided else 1.0, "McNemar")


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, score: ScoreOfSums, ratio: bool = False
) -> PairedTest:
    """Compares a score of two systems by a paired bootstrap (Koehn 2004).

    Every resample contains the same examples for both systems. The score can be any function of sums over the
    examples, such as a mean, a perplexity or BLEU.

    Args:
        first, second: contributions of each example to the k sums, ``(n, k)``. Examples that depend on each
            other must be added up to one row.
        score: function that receives sums over all examples, ``(resamples, k)``, and returns the scores
            ``(resamples,)``.
        ratio: If True, the effect is the ratio of the scores. If False, it is their difference.

    Raises:
        ValueError: the two arrays do not have the same shape ``(n, k)``, or they have no rows.

    >>> losses = np.random.default_rng(1).normal(2.0, 0.5, (200, 1))
    >>> test = paired_bootstrap(losses - 0.1, losses, lambda sums: np.exp(sums[:, 0] / 200), ratio=True)
    >>> round(test.effect, 4), test.p < 0.01
    (0.9048, True)
    """
    both: list[Any] = [
        each if sparse.issparse(each) else np.asarray(each, np.float64) for each in (first, second)
    ]
    if len(both[0].shape) != 2 or both[0].shape != both[1].shape or not both[0].shape[0]:
        raise ValueError(
            "first and second must have the same shape (n, k) with n > 0; "
            f"got {both[0].shape} and {both[1].shape}"
        )
    count, columns = both[0].shape

    def effect(sums: np.ndarray) -> np.ndarray:
        scores = score(sums[:, :columns]), score(sums[:, columns:])
        return scores[0] / scores[1] if ratio else scores[0] - scores[1]

    sums: Any = sparse.hstack(both, "csr") if sparse.issparse(both[0]) else np.hstack(both)
    found = float(effect(np.asarray(sums.sum(axis=0)).reshape(1, -1))[0])
    null = 1.0 if ratio else 0.0
    if count < 2:
        return PairedTest(found, None, 1.0, "paired bootstrap", null)
    drawn = bootstrap_scores(sums, effect)
    return PairedTest(
        found,
        expanded_interval(drawn, count),
        expanded_p_value(drawn, count, null),
        "paired bootstrap",
        null,
    )
