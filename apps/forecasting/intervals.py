"""Computes 95 % intervals of forecast scores with a bootstrap over blocks of consecutive origins.

Forecasts of neighbouring origins overlap, and their losses depend on each other. The bootstrap therefore
resamples blocks of origins instead of single windows.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqmodels.evaluation import bootstrap_interval

FEWEST_ORIGINS = 30  # with fewer origin times, all windows are treated as independent


def lags_of(origins: int, steps: int) -> int:
    """Returns how many origins later two losses still depend on each other (Newey, West 1994).

    The number is ``max(steps - 1, 4 (T / 100)^(2/9))``, where T is the number of origin times.

    Args:
        origins: number of different origin times, T.
        steps: number of steps of a forecast.
    """
    return max(steps - 1, int(4 * (origins / 100) ** (2 / 9)))


def blocks_of(times: np.ndarray, steps: int) -> np.ndarray:
    """Returns the number of the block of each window, ``(n,)``.

    A block contains all windows of consecutive origin times. Its length is one more than the number of lags,
    see :func:`lags_of`.

    Args:
        times: time of the origin of each window, ``(n,)``.
        steps: number of steps of a forecast.
    """
    distinct, group = np.unique(times, return_inverse=True)
    if len(distinct) < FEWEST_ORIGINS:
        return np.arange(len(times))
    return group // (lags_of(len(distinct), steps) + 1)


def score_intervals(
    losses: Mapping[str, np.ndarray], blocks: np.ndarray, ratios: Mapping[str, np.ndarray]
) -> dict[str, list[float] | None]:
    """Returns the 95 % interval of each score, as ``{name + "_interval": [low, high]}``.

    Args:
        losses: contribution of each window to a score, ``(n,)``, by the name of the score. A score is the sum
            of its contributions divided by the number of windows. ``rmse`` is the square root of this mean.
        blocks: number of the block of each window, ``(n,)``.
        ratios: divisors ``(n,)`` of the scores that are not divided by the number of windows, by name.
    """
    found = {}
    for name, values in losses.items():
        divisors = ratios.get(name, np.ones(len(values)))
        sums = np.stack([np.bincount(blocks, each) for each in (values, divisors)], axis=1)
        sums = sums[np.bincount(blocks) > 0]  # (blocks, 2)
        found[f"{name}_interval"] = bootstrap_interval(sums, _root_mean if name == "rmse" else _mean)
    return found


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / np.where(sums[:, 1] > 0, sums[:, 1], 1)


def _root_mean(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(_mean(sums))
