"""Norms of matrices and gradients, and a function that judges whether a gradient vanishes or explodes.

The distance of a time step is the number of steps that follow it. The final step has the distance 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

LEFT = 0.01  # a gradient vanishes if its norm falls below this share of the norm at the final step
GROWN = 10.0  # a gradient explodes if its norm grows to more than this multiple of the norm at the final step


def spectral_norms(matrices: np.ndarray) -> np.ndarray:
    """Computes the largest singular value of each matrix.

    ``matrices`` has the shape ``(..., rows, columns)``, and the result has the shape ``(...)``. If an entry
    of a matrix is not finite, the result for this matrix is infinity.

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
    """Computes how fast a norm shrinks or grows with the distance.

    The distance is the number of time steps before the final step. ``norms (k,)`` contains the norms at the
    distances 0 to k - 1. Norms of 0 are ignored. ``first`` is the smallest distance to use. The result is the
    :func:`slope` of ``log(norms)``. For example, it is log(0.5) if each norm is half the previous norm.

    >>> round(decay_rate(np.array([1.0, 0.5, 0.25])), 3)
    -0.693
    """
    with np.errstate(divide="ignore"):
        return slope(np.log(norms), first)


def slope(logarithms: np.ndarray, first: int = 0) -> float:
    """Computes the least-squares slope of logarithms as a function of the distance.

    The distance is the number of time steps before the final step. The slope is minus infinity if there are
    fewer than two finite values.

    Args:
        logarithms: logarithms of norms at the distances 0 to k - 1, ``(k,)``. Values that are not finite are
            ignored.
        first: smallest distance to use. If the norm at distance d is ``||U^d||`` for a matrix U, use a
            large value. The slope is close to the logarithm of the spectral radius of U only at large
            distances (Gelfand's formula).

    >>> round(slope(np.array([0.0, -1.0, -2.0])), 3)
    -1.0
    """
    distances = np.arange(len(logarithms))
    usable = (distances >= first) & np.isfinite(logarithms)
    if usable.sum() < 2:
        return -math.inf
    return float(np.polyfit(distances[usable], logarithms[usable], 1)[0])


def mean_norms(norms: np.ndarray) -> np.ndarray:
    """Computes the geometric mean of the norms at each distance, ``(T + 1,)``.

    ``norms (n, T + 1)`` contains the norms of n sequences at the distances 0 to T. The distance is the number
    of time steps before the final step. If a distance is greater than the length of a sequence, the norm is
    NaN. NaN and infinity are ignored. If a distance has no finite norm, its mean is NaN.

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
    """A judgement on whether a gradient vanishes or explodes, based on its norms at growing distances.

    The distance is the number of time steps before the final step.

    Attributes:
        kind: "vanishes", "explodes" or "holds". "holds" means that the gradient neither vanishes nor
            explodes.
        factor: factor by which the norm changes, on average, when the distance grows by one step.
        reach: number of steps over which the gradient does not vanish. All norms at the distances 0 to
            ``reach`` are at least 1 % (``LEFT``) of the norm at distance 0.
        left: last finite norm, divided by the norm at distance 0.
        words: one sentence with the verdict, and a recommendation if the gradient vanishes or explodes.
    """

    kind: str
    factor: float
    reach: int
    left: float
    words: str


def verdict(norms: np.ndarray) -> Verdict:
    """Judges whether a gradient vanishes or explodes. If it does neither, the verdict is "holds".

    ``norms (k,)`` contains the norms of the gradient at the distances 0 to k - 1. The distance is the number
    of time steps before the final step. NaN and infinity at the end of ``norms`` are ignored.

    Raises:
        ValueError: there are fewer than two norms, or the norm at distance 0 is not above 0.

    >>> judged = verdict(0.5 ** np.arange(20.0))
    >>> judged.kind, judged.reach
    ('vanishes', 6)
    """
    norms = np.asarray(norms, np.float64)
    norms = norms[: int(np.flatnonzero(np.isfinite(norms)).max(initial=-1)) + 1]
    if len(norms) < 2 or not norms[0] > 0:
        raise ValueError(
            f"norms must contain at least 2 values, and norms[0] must be above 0; got {norms[:3]}; norms[0] "
            "is the norm at the last step; if norms[0] is 0, use a loss that depends on the last step"
        )
    share = norms / norms[0]
    lost = np.flatnonzero(~(share >= LEFT))
    reach = int(lost[0]) - 1 if len(lost) else len(norms) - 1
    left, distance, factor = float(share[-1]), len(norms) - 1, math.exp(decay_rate(norms))
    if reach < distance:
        words = (
            f"vanishes: more than {reach} steps back, less than {LEFT:.0%} of the gradient is left (factor "
            f"{factor:.3g} per step); use a gated cell, or shorten the distance to relevant inputs"
        )
        return Verdict("vanishes", factor, reach, left, words)
    if left > GROWN:
        words = (
            f"explodes: {distance} steps back, the gradient is {left:.3g} times as large as at the last step "
            f"(factor {factor:.3g} per step); clip the gradient, or initialize U with a smaller norm"
        )
        return Verdict("explodes", factor, reach, left, words)
    words = f"holds: {distance} steps back, {left:.0%} of the gradient is left (factor {factor:.3g} per step)"
    return Verdict("holds", factor, reach, left, words)
