"""Computes the scores of a model that predicts a number per text."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from seqmodels.evaluation import bootstrap_interval

SHOWN = 500  # largest number of texts in the plot of the predictions


def regression_scores(predicted: NDArray, true: NDArray) -> dict[str, Any]:
    """Computes all scores on one split. The result can be written as JSON.

    Args:
        predicted: predicted numbers, ``(n,)``.
        true: true numbers, ``(n,)``.

    Returns:
        - ``examples``: number of texts, n.
        - ``mae``: mean absolute error.
        - ``rmse``: root of the mean square error.
        - ``r2``: ``1 - sum (true - predicted)^2 / sum (true - mean)^2``, or 0 if all true numbers are equal.
        - ``spearman``: rank correlation. It is 0 if all predicted or all true numbers are equal.
        - ``mae_interval``, ``rmse_interval``, ``r2_interval``: 95 % bootstrap intervals, or None if there is
          only one text.
        - ``sample``: pairs ``[true, predicted]`` for the plot.

    Raises:
        ValueError: the shapes do not match, or there are no texts.

    >>> round(regression_scores(np.array([1.0, 2.0, 2.0]), np.array([1.0, 2.0, 3.0]))["r2"], 2)
    0.5
    """
    if predicted.shape != true.shape or predicted.ndim != 1 or not len(true):
        raise ValueError(
            "predicted and true must have the same shape (n,) with n > 0; "
            f"got {predicted.shape} and {true.shape}"
        )
    count, errors = len(true), predicted - true
    deviation = true.std()
    scaled = np.stack([errors, true - true.mean()], axis=1) / (deviation or 1.0)  # R2 does not change
    sums = np.column_stack([np.square(scaled), scaled[:, 1]])

    def r2(of: NDArray) -> NDArray:
        spread = of[:, 1] - np.square(of[:, 2]) / count
        return np.where(spread > 1e-9, 1 - of[:, 0] / np.maximum(spread, 1e-9), 0.0)

    ranked = len(set(predicted.tolist())) > 1 and len(set(true.tolist())) > 1
    shown = np.linspace(0, count - 1, min(count, SHOWN)).astype(int)
    return {
        "examples": count,
        "mae": float(np.abs(errors).mean()),
        "mae_interval": bootstrap_interval(np.abs(errors)[:, None], lambda of: of[:, 0] / count),
        "rmse": float(np.sqrt(np.square(errors).mean())),
        "rmse_interval": bootstrap_interval(np.square(errors)[:, None], lambda of: np.sqrt(of[:, 0] / count)),
        "r2": float(r2(sums.sum(axis=0)[None])[0]),
        "r2_interval": bootstrap_interval(sums, r2),
        "spearman": float(spearmanr(predicted, true).statistic) if ranked else 0.0,
        "sample": [[float(true[row]), float(predicted[row])] for row in shown],
    }
