"""Norms of Jacobians by distance, and a verdict on them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

LEFT = 0.01  # a gradient of which less than this share is left no longer teaches anything
GROWN = 10.0  # one that is more often as large as this explodes


def spectral_norms(matrices: np.ndarray) -> np.ndarray:
    """The largest singular value of each matrix: ``(..., k, S)`` to ``(...)``; infinity where an entry is not
    finite.

    >>> spectral_norms(np.array([[[2.0, 0.0], [0.0, 1.0]]])).tolist()
    [2.0]
    """
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    norms = np.linalg.norm(np.where(finite[..., None, None], matrices, 0.0), ord=2, axis=(-2, -1))
    return np.where(finite, norms, np.inf)


def spectral_radius(matrix: Any) -> float:
    """The largest absolute eigenvalue.

    >>> spectral_radius([[0.0, 1.0], [1.0, 0.0]])
    1.0
    """
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix, np.float64))).max())


def decay_rate(norms: np.ndarray, first: int = 0) -> float:
    """Change of the logarithm of a norm for each step of distance: the :func:`slope` of the logarithms of
    norms ``(k,)`` by distance from 0; what is 0 is left out.

    >>> round(decay_rate(np.array([1.0, 0.5, 0.25])), 3)
    -0.693
    """
    with np.errstate(divide="ignore"):
        return slope(np.log(norms), first)


def slope(logarithms: np.ndarray, first: int = 0) -> float:
    """The least-squares slope over the distance.

    Args:
        logarithms: ``(k,)`` by distance from 0; what is not finite is left out. Minus infinity if fewer than
            two are left.
        first: the distance to begin at. The slope of ``log ||U^k||`` is the logarithm of the spectral radius
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
    """The geometric mean over the rows that reach so far: ``(n, T + 1)`` to ``(T + 1,)``.

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
    """What a curve of norms by distance says.

    Attributes:
        kind: "vanishes", "explodes" or "holds".
        factor: by which a step of distance multiplies the norm, on average.
        reach: the largest distance up to which at least ``LEFT`` of the norm at distance 0 is left.
        left: the share of it that is left at the largest distance.
        words: one sentence that says so, and what to try.
    """

    kind: str
    factor: float
    reach: int
    left: float
    words: str


def verdict(norms: np.ndarray) -> Verdict:
    """Judges norms by distance ``(k,)``, from 0 on; raises ValueError where there is nothing to judge.

    >>> judged = verdict(0.5 ** np.arange(20.0))
    >>> judged.kind, judged.reach
    ('vanishes', 6)
    """
    norms = np.asarray(norms, np.float64)
    norms = norms[: int(np.flatnonzero(np.isfinite(norms)).max(initial=-1)) + 1]
    if len(norms) < 2 or not norms[0] > 0:
        raise ValueError(
            f"no gradient arrives at the last step: norms {norms[:3]}; expected 2 or more, not 0"
        )
    share = norms / norms[0]
    lost = np.flatnonzero(~(share >= LEFT))
    reach = int(lost[0]) - 1 if len(lost) else len(norms) - 1
    left, distance, factor = float(share[-1]), len(norms) - 1, math.exp(decay_rate(norms))
    if reach < distance:
        words = (
            f"vanishes: beyond {reach} steps less than {LEFT:.0%} of the gradient is left "
            f"(times {factor:.3g} a step); use a gated cell, or keep what matters closer"
        )
        return Verdict("vanishes", factor, reach, left, words)
    if left > GROWN:
        words = (
            f"explodes: {left:.3g} times as large {distance} steps back (times {factor:.3g} a step); clip "
            "the gradient, or start U with a smaller norm"
        )
        return Verdict("explodes", factor, reach, left, words)
    words = f"holds: {left:.0%} of the gradient arrives {distance} steps back (times {factor:.3g} a step)"
    return Verdict("holds", factor, reach, left, words)
