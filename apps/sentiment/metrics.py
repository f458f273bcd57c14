"""Computes the scores of a text classifier."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from apps.verdict import Measure
from seqmodels.evaluation import bootstrap_interval, wilson_interval

ACCURACY = Measure("accuracy", higher_is_better=True, percent=True, digits=1)

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""Smallest probability in the log loss, 1.2e-7. One example has a loss of at most 15.9 nats.

scikit-learn uses this lower bound for float32. Here it also applies to float64, because the baselines compute
in float64 and must have the same bound as the model, which computes in float32.
"""


def classification_scores(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str]
) -> dict[str, Any]:
    """Computes all scores of a classifier on one split. The result can be written as JSON.

    The prediction is the class with the highest probability. If several classes have the highest probability,
    the first of these classes is predicted.
    Precision is 0 for a class that is never predicted, and recall is 0 for a class without examples. The
    macro averages include these classes.

    Args:
        probabilities: predicted probabilities, `(n, classes)`; each row sums to 1.
        labels: index of the true class of each example, `(n,)` integers.
        classes: names of the classes, in the order of the columns.

    Returns:
        - `examples`: number of examples, n.
        - `accuracy`: share of correct predictions.
        - `accuracy_interval`: 95 % score interval of the accuracy, `[low, high]` (Wilson 1927).
        - `macro_precision`, `macro_recall`, `macro_f1`: means over the classes.
        - `macro_f1_interval`, `log_loss_interval`: 95 % bootstrap intervals, `[low, high]`. None if there is
          only one example.
        - `per_class`: `{name: {precision, recall, f1, support}}`; support is the number of examples.
        - `log_loss`: mean of `-ln p(true class)` in nats. p is at least `SMALLEST_PROBABILITY`.
        - `calibration`: result of `calibration_bins`.
        - `calibration_error`: result of `calibration_error` for these bins.
        - `confusion`: number of examples, `(classes, classes)`. Rows are true classes, columns are predicted
          classes.

    Raises:
        ValueError: there are no examples; the shapes do not match; there are fewer than two classes; two
            classes have the same name; the labels are not integers in `[0, classes)`; or a row of
            probabilities has a negative entry or a sum that differs from 1 by more than 1e-3.
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
    losses = -np.log(true_class)
    return {
        "examples": count,
        "accuracy": float(correct.mean()),
        "accuracy_interval": wilson_interval(int(correct.sum()), count),
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "macro_f1_interval": _macro_f1_interval(predicted, labels, len(classes)),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
            for name, p, r, f, n in zip(classes, precision, recall, f1, support, strict=True)
        },
        "log_loss": float(losses.mean()),
        "log_loss_interval": bootstrap_interval(losses[:, None], lambda sums: sums[:, 0] / count),
        "calibration_error": calibration_error(bins),
        "calibration": bins,
        "confusion": confusion_matrix(labels, predicted, labels=indices).tolist(),
    }


def _macro_f1_interval(predicted: NDArray, labels: NDArray, classes: int) -> list[float] | None:
    """Computes the 95 % bootstrap interval of the macro F1.

    A resample can lack a rare class. The mean over the classes of the resample then stands for this class.
    """
    count, rows = len(labels), np.arange(len(labels))
    ones = np.ones(count)
    blocks = [
        sparse.csr_array((values, (rows, columns)), (count, classes))
        for values, columns in ((ones * (predicted == labels), labels), (ones, predicted), (ones, labels))
    ]
    present = len(np.union1d(predicted, labels)) / classes

    def score(sums: NDArray) -> NDArray:
        hits, found, true = np.split(sums, 3, axis=1)  # each (resamples, classes)
        occurs = found + true > 0
        f1 = 2 * hits / np.where(occurs, found + true, 1)
        return f1.sum(axis=1) / occurs.sum(axis=1) * present

    return bootstrap_interval(sparse.hstack(blocks, "csr"), score)


def calibration_bins(confidence: NDArray, correct: NDArray) -> list[dict[str, float]]:
    """Groups examples by the probability of their predicted class, for a reliability diagram.

    There are `CALIBRATION_BINS` bins of equal width, `(lower, upper]` as in Guo et al. 2017 (arXiv
    1706.04599), section 2. Bins without examples are omitted.

    Args:
        confidence: `(n,)`, probability of the predicted class.
        correct: `(n,)`, True if the prediction is correct.

    Returns:
        One dict per bin, by increasing confidence, with the keys `lower`, `upper`, `confidence` (the mean),
        `accuracy` and `count`.
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
    """Returns the expected calibration error, from 0 to 1.

    The error is the mean of `|accuracy - confidence|` over the bins, weighted by their counts
    (Guo et al. 2017, arXiv 1706.04599, equation 3).
    """
    gaps = [abs(entry["accuracy"] - entry["confidence"]) for entry in bins]
    return float(np.average(gaps, weights=[entry["count"] for entry in bins]))


def _check(probabilities: NDArray, labels: NDArray, classes: Sequence[str]) -> None:
    expected = (labels.size, len(classes))
    if labels.ndim != 1 or probabilities.shape != expected:
        raise ValueError(
            "expected probabilities of shape (n, classes), labels of shape (n,) and one class name per "
            f"column; got the shapes {probabilities.shape} and {labels.shape}, and {len(classes)} class names"
        )
    if not labels.size:
        raise ValueError("labels must contain at least one example; got none")
    if len(set(classes)) < max(len(classes), 2):
        raise ValueError(f"classes must be two or more different names; got {list(classes)}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels must be integers from 0 to {len(classes) - 1}, because each label is a column number of "
            f"the probabilities; got {labels.dtype} values from {labels.min()} to {labels.max()}"
        )
    # These comparisons are False for NaN, so rows with NaN are also reported.
    sound = (probabilities >= 0).all(axis=1) & (abs(probabilities.sum(axis=1) - 1) <= 1e-3)  # (n,)
    if not sound.all():
        row = int(sound.argmin())
        raise ValueError(
            "each row of probabilities must be non-negative and sum to 1; "
            f"got the sum {probabilities[row].sum():.6g} and the minimum {probabilities[row].min():.6g} "
            f"in row {row}; apply a softmax first"
        )
