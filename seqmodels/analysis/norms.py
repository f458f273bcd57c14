"""Norms of Jacobians by distance, and a verdict on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

LEFT = 0.01  # a gradient vanishes if less than this share of it is left
GROWN = 10.0  # a gradient explodes if it grows by more than this factor


def spectral_norms(matrices: np.ndarray) -> np.ndarray:
    """Computes the largest singular value of each matrix, ``(..., k, S)`` to ``(...)``.

    The value is infinity if an entry of the matrix is not finite.

    >>> spectral_norms(np.array([[[2.0, 0.0], [0.0, 1.0]]])).tolist()
    [2.0]
    """
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    norms = np.linalg.norm(np.where(finite[..., None, None], matrices, 0.0), ord=2, axis=(-2, -1))
    return np.where(finite, norms, np.inf)


def spectral_radius(matrix: Any) -> float:
    """Computes the largest absolute eigenvalue of a matrix.

    >>> spectral_radius([[0.0, 1.0], [1.0, 0.0]])
    1.0
    """
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix, np.float64))).max())


def decay_rate(norms: np.ndarray, first: int = 0) -> float:
    """Computes the change of the logarithm of a norm per step of distance.

    The result is the :func:`slope` of the logarithms of the norms ``(k,)`` by distance, from 0. Norms of 0
    are ignored.

    >>> round(decay_rate(np.array([1.0, 0.5, 0.25])), 3)
    -0.693
    """
    with np.errstate(divide="ignore"):
        return slope(np.log(norms), first)


def slope(logarithms: np.ndarray, first: int = 0) -> float:
    """Computes the least-squares slope over the distance.

    The slope is minus infinity if there are fewer than two finite values.

    Args:
        logarithms: logarithms of norms ``(k,)`` by distance, from 0. Values that are not finite are ignored.
        first: smallest distance to use. The slope of ``log ||U^k||`` is the logarithm of the spectral radius
            only for large k (Gelfand's formula).

    >>> round(slope(np.array([0.0, -1.0, -2.0])), 3)
    -1.0
    """
    distances = np.arange(len(logarithms))
    usable = (distances >= first) & np.isfinite(logarithms)
    if usable.sum() < 2:
        return -math.inf
    return float(np.polyfit(distances[usable], logarithms[usable], 1)[0])


def mean_norms(norms: np.ndarray) -> np.ndarray:
    """Computes the geometric mean over the rows that reach each distance, ``(n, T + 1)`` to ``(T + 1,)``.

    >>> mean_norms(np.array([[1.0, 4.0], [1.0, np.nan]])).tolist()
    [1.0, 4.0]
    """
    reached = np.isfinite(norms)
    with np.errstate(divide="ignore"):
        logarithms = np.where(reached, np.log(np.where(reached, norms, 1.0)), 0.0)
    counts = reached.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.exp(logarithms.sum(axis=0) / np.maximum(counts, 1)), np.nan)


@dataclass(frozen=True)
class Verdict:
    """Verdict on a curve of norms by distance.

    Attributes:
        kind: "vanishes", "explodes" or "holds".
        factor: average factor of the norm per step of distance.
        reach: largest distance up to which at least the share ``LEFT`` of the norm at distance 0 is left.
        left: share of the norm at distance 0 that is left at the largest distance.
        words: one sentence with the verdict and a recommendation.
    """

    kind: str
    factor: float
    reach: int
    left: float
    words: str


def verdict(norms: np.ndarray) -> Verdict:
    """Judges whether a gradient vanishes, explodes or holds, from its norms ``(k,)`` by distance, from 0.

    Raises:
        ValueError: there are fewer than two norms, or the first norm is not positive.

    >>> judged = verdict(0.5 ** np.arange(20.0))
    >>> judged.kind, judged.reach
    ('vanishes', 6)
    """
    norms = np.asarray(norms, np.float64)
    norms = norms[: int(np.flatnonzero(np.isfinite(norms)).max(initial=-1)) + 1]
    if len(norms) < 2 or not norms[0] > 0:
        raise ValueError(
            f"norms must have at least 2 values, the first above 0; got {norms[:3]}, so no gradient arrives "
            "at the last step"
        )
    share = norms / norms[0]
    lost = np.flatnonzero(~(share >= LEFT))
    reach = int(lost[0]) - 1 if len(lost) else len(norms) - 1
    left, distance, factor = float(share[-1]), len(norms) - 1, math.exp(decay_rate(norms))
    if reach < distance:
        words = (
            f"vanishes: less than {LEFT:.0%} of the gradient is left beyond {reach} steps back (factor "
            f"{factor:.3g} per step); use a gated cell, or shorten the distance to relevant inputs"
        )
        return Verdict("vanishes", factor, reach, left, words)
    if left > GROWN:
        words = (
            f"explodes: the gradient is {left:.3g} times as large {distance} steps back (factor {factor:.3g} "
            "per step); clip the gradient, or initialize U with a smaller norm"
        )
        return Verdict("explodes", factor, reach, left, words)
    words = f"holds: {left:.0%} of the gradient is left {distance} steps back (factor {factor:.3g} per step)"
    return Verdict("holds", factor, reach, left, words)
