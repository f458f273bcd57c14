"""Computes the scores of a classifier that predicts several labels per text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.sentiment.metrics import SMALLEST_PROBABILITY
from seqmodels.evaluation import bootstrap_interval, wilson_interval

FEWEST = 10  # a label with fewer validation texts gets the threshold of all labels


def f1_of_sums(sums: NDArray) -> NDArray:
    """Computes micro F1.

    Args:
        sums: number of correctly predicted labels, of predicted labels and of true labels, ``(m, 3)``.

    Returns:
        ``2 * correct / (predicted + true)``, ``(m,)``. It is 0 if nothing is predicted or true.
    """
    hits, found, true = sums.T
    return 2 * hits / np.maximum(found + true, 1)


def choose_thresholds(probabilities: NDArray, targets: NDArray) -> NDArray:
    """Chooses the thresholds above which labels are predicted.

    The threshold of all labels together maximizes micro F1. A label with at least ``FEWEST`` texts gets the
    threshold that maximizes its own F1 (Fan and Lin 2007, "A Study on Threshold Selection for Multi-label
    Classification").

    Args:
        probabilities: predicted probabilities, ``(n, k)``.
        targets: 1 for each true label, else 0, ``(n, k)``.

    Returns:
        One threshold per label, ``(k,)`` float32.

    >>> choose_thresholds(np.array([[0.1], [0.2], [0.4], [0.3]]), np.array([[0], [0], [1], [1]]))
    array([0.25], dtype=float32)
    """
    common = _best_threshold(probabilities.ravel(), targets.ravel())
    return np.array(
        [
            _best_threshold(of_label, true) if FEWEST <= true.sum() < len(true) else common
            for of_label, true in zip(probabilities.T, targets.T)
        ],
        np.float32,
    )


def _best_threshold(probabilities: NDArray, true: NDArray) -> float:
    """Returns the threshold with the highest F1. It lies in the middle between two probabilities."""
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(true[order])
    scores = 2 * hits / (np.arange(1, len(order) + 1) + true.sum())
    lower = np.append(ranked[1:], 0.0)
    scores[ranked == lower] = -1.0  # equal probabilities cannot be separated
    best = int(scores.argmax())
    return float((ranked[best] + lower[best]) / 2) if true.any() else 0.5


def binary_losses(probabilities: NDArray, targets: NDArray) -> NDArray:
    """Returns the mean of the binary log losses of each text in nats, ``(n,)``."""
    given = np.where(targets > 0, probabilities, 1 - probabilities)
    return -np.log(np.maximum(given, SMALLEST_PROBABILITY)).mean(axis=1)


def multi_label_scores(
    probabilities: NDArray, targets: NDArray, labels: Sequence[str], thresholds: NDArray
) -> dict[str, Any]:
    """Computes all scores on one split. The result can be written as JSON.

    Precision and recall are 0 for a label that is never predicted, or has no texts.

    Args:
        probabilities: predicted probabilities, ``(n, k)``.
        targets: 1 for each true label, else 0, ``(n, k)``.
        labels: names of the labels.
        thresholds: a label is predicted if its probability is at least its threshold, ``(k,)``.

    Returns:
        - ``examples``: number of texts, n.
        - ``micro_f1``, ``macro_f1``: F1 of all decisions together, and mean F1 of the labels.
        - ``exact_match``: share of the texts whose predicted labels are all right.
        - ``log_loss``: mean of the binary log losses over texts and labels, in nats.
        - ``micro_f1_interval``, ``exact_match_interval``, ``log_loss_interval``: 95 % intervals.
        - ``per_label``: ``{name: {precision, recall, f1, support, threshold}}``.

    Raises:
        ValueError: the shapes do not match, or there are no texts.
    """
    if probabilities.shape != targets.shape or not len(targets) or targets.shape[1] != len(labels):
        raise ValueError(
            "probabilities and targets must have the shape (n, labels) with n > 0; "
            f"got {probabilities.shape} and {targets.shape}, and {len(labels)} names"
        )
    chosen, true = probabilities >= thresholds, targets > 0
    hits, found, support = (each.sum(axis=0) for each in (chosen & true, chosen, true))  # each (k,)
    precision, recall = hits / np.maximum(found, 1), hits / np.maximum(support, 1)
    f1 = f1_of_sums(np.stack([hits, found, support], axis=1))
    sums = np.stack([(chosen & true).sum(axis=1), chosen.sum(axis=1), true.sum(axis=1)], axis=1).astype(float)
    right = (chosen == true).all(axis=1)
    losses = binary_losses(probabilities, targets)
    count = len(targets)
    return {
        "examples": count,
        "micro_f1": float(f1_of_sums(sums.sum(axis=0)[None])[0]),
        "micro_f1_interval": bootstrap_interval(sums, f1_of_sums),
        "macro_f1": float(f1.mean()),
        "exact_match": float(right.mean()),
        "exact_match_interval": wilson_interval(int(right.sum()), count),
        "log_loss": float(losses.mean()),
        "log_loss_interval": bootstrap_interval(losses[:, None], lambda each: each[:, 0] / count),
        "per_label": {
            name: {
                "precision": float(p),
                "recall": float(r),
                "f1": float(f),
                "support": int(n),
                "threshold": float(threshold),
            }
            for name, p, r, f, n, threshold in zip(
                labels, precision, recall, f1, support, thresholds, strict=True
            )
        },
    }
