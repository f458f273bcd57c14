"""Scores of a text classifier."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from seqmodels.evaluation import wilson_interval

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""What the log loss takes for any smaller probability, 1.2e-7: one mistake costs at most 15.9. It is
scikit-learn's bound for float32, applied to float64 too, or a baseline would pay more than a model."""


def classification_scores(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str]
) -> dict[str, Any]:
    """All scores of a classifier on one split, as plain numbers, lists and dicts ready for JSON.

    The prediction is the most probable class, the first of equals. A ratio without a denominator
    (precision of a class never predicted, recall of a class without examples) is 0, and the macro
    averages run over all classes, so such a class lowers them.

    Args:
        probabilities: `(n, classes)`; each row sums to 1.
        labels: `(n,)` integers, the index of the true class.
        classes: the names of the classes, in the order of the columns.

    Returns:
        - `examples`: n.
        - `accuracy`, and `accuracy_interval`: its 95 % score interval `[low, high]` (Wilson 1927).
        - `macro_precision`, `macro_recall`, `macro_f1`: means over the classes.
        - `per_class`: `{name: {precision, recall, f1, support}}`, support being the number of examples.
        - `log_loss`: mean of `-ln p(true class)` in nats, p at least `SMALLEST_PROBABILITY`.
        - `calibration_error`, and `calibration`: the bins it is computed from; see the functions below.
        - `confusion`: counts, `(classes, classes)`, a row per true and a column per predicted class.

    Raises:
        ValueError: no example; shapes that do not match; fewer than two classes or names that repeat; labels
            that are not integers in `[0, classes)`; a row with a negative entry or a sum further than
            1e-3 from 1.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    _check(probabilities, labels, classes)
    count, indices = len(labels), range(len(classes))
    predicted = probabilities.argmax(axis=1)  # (n,)
    correct = predicted == labels
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0
    )  # each (classes,)
    bins = calibration_bins(probabilities.max(axis=1), correct)
    true_class = np.maximum(probabilities[np.arange(count), labels], SMALLEST_PROBABILITY)  # (n,)
    return {
        "examples": count,
        "accuracy": float(correct.mean()),
        "accuracy_interval": wilson_interval(int(correct.sum()), count),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
            for name, p, r, f, n in zip(classes, precision, recall, f1, support, strict=True)
        },
        "log_loss": float(-np.log(true_class).mean()),
        "calibration_error": calibration_error(bins),
        "calibration": bins,
        "confusion": confusion_matrix(labels, predicted, labels=indices).tolist(),
    }


def calibration_bins(confidence: NDArray, correct: NDArray) -> list[dict[str, float]]:
    """The bars of a reliability diagram: examples grouped by the probability of their predicted class.

    `CALIBRATION_BINS` bins of equal width, `(lower, upper]` as in Guo et al. 2017 (arXiv 1706.04599),
    section 2. Bins without examples are left out: they have no mean.

    Args:
        confidence: `(n,)`, the probability given to the predicted class.
        correct: `(n,)`, whether the prediction was right.

    Returns:
        `{lower, upper, confidence (mean), accuracy, count}` per bin, by increasing confidence.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bin_of = np.digitize(confidence, edges[1:-1], right=True)  # (n,)
    return [
        {
            "lower": float(edges[index]),
            "upper": float(edges[index + 1]),
            "confidence": float(confidence[bin_of == index].mean()),
            "accuracy": float(correct[bin_of == index].mean()),
            "count": int((bin_of == index).sum()),
        }
        for index in np.unique(bin_of)
    ]


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Expected calibration error, 0 to 1: the mean of `|accuracy - confidence|` over the bins, weighted
    by their counts (Guo et al. 2017, arXiv 1706.04599, equation 3)."""
    gaps = [abs(entry["accuracy"] - entry["confidence"]) for entry in bins]
    return float(np.average(gaps, weights=[entry["count"] for entry in bins]))


def _check(probabilities: NDArray, labels: NDArray, classes: Sequence[str]) -> None:
    expected = (labels.size, len(classes))
    if labels.ndim != 1 or probabilities.shape != expected:
        raise ValueError(
            f"got probabilities {probabilities.shape} for labels {labels.shape} and {len(classes)} classes; "
            f"expected probabilities (n, classes), labels (n,) and the name of each class"
        )
    if not labels.size:
        raise ValueError("got no example; expected at least one to score")
    if len(set(classes)) < max(len(classes), 2):
        raise ValueError(f"got class names {list(classes)}; expected two or more, each name once")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"got {labels.dtype} labels from {labels.min()} to {labels.max()}; "
            f"expected integers from 0 to {len(classes) - 1}, the columns of the probabilities"
        )
    # Written so that NaN fails too.
    sound = (probabilities >= 0).all(axis=1) & (abs(probabilities.sum(axis=1) - 1) <= 1e-3)  # (n,)
    if not sound.all():
        row = int(sound.argmin())
        raise ValueError(
            f"got probabilities in row {row} that sum to {probabilities[row].sum():.6g} (least "
            f"{probabilities[row].min():.6g}); expected none negative and a sum of 1: apply a softmax first"
        )
