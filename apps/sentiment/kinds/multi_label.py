"""Several labels per text, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf
from rich.console import Group
from rich.table import Table
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from apps.sentiment.families import Independent
from apps.sentiment.kinds.base import Kind, Predict, Scored
from apps.sentiment.kinds.single_label import INVERSE_PENALTY
from apps.sentiment.labels import SEPARATOR, parts
from apps.sentiment.multi_label_metrics import (
    binary_losses,
    choose_thresholds,
    f1_of_sums,
    multi_label_scores,
)
from apps.sentiment.options import MULTI_LABEL
from apps.verdict import Measure, against_best, with_interval
from seqmodels.evaluation import paired_bootstrap, plots
from seqmodels.training.objectives import Objective, independent_labels

Estimator = Callable[[], Any]


class MultiLabel(Kind):
    """Any subset of k labels. Targets are 0 or 1, ``(n, k)``. Predictions are probabilities, ``(n, k)``.

    A label is predicted if its probability is at least its threshold. The validation split determines the
    thresholds.

    Args:
        classes: names of the labels.
        thresholds: one threshold per label. Default: 0.5.
    """

    name = MULTI_LABEL
    entry, own_score = "labels", "micro_f1"
    calibrates = True
    measure = Measure("micro F1", higher_is_better=True, percent=True, digits=1)

    def __init__(self, classes: Sequence[str], thresholds: Sequence[float] | None = None):
        super().__init__(classes)
        self.family = Independent(len(classes))
        self.thresholds = np.array([0.5] * len(classes) if thresholds is None else thresholds, np.float32)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "thresholds": [float(each) for each in self.thresholds]}

    @property
    def settings(self) -> dict[str, Any]:
        return {"classes": len(self.classes), "independent": True}

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        index = {name: number for number, name in enumerate(self.classes)}
        found = np.zeros((len(labels), len(self.classes)), np.float32)
        for row, label in enumerate(labels):
            found[row, [index[part] for part in parts(label)]] = 1
        return found

    def objective(self, label_smoothing: float) -> Objective:
        return independent_labels(label_smoothing)

    def predictions(self, outputs: tf.Tensor) -> tf.Tensor:
        return tf.sigmoid(outputs)

    def served(self, predictions: tf.Tensor) -> dict[str, tf.Tensor]:
        names = tf.broadcast_to(tf.constant(self.classes), tf.shape(predictions))
        chosen = predictions >= tf.constant(self.thresholds)
        joined = tf.strings.reduce_join(tf.ragged.boolean_mask(names, chosen), axis=1, separator=SEPARATOR)
        return {"labels": joined, "probabilities": predictions, "classes": names}

    def record(self, prediction: np.ndarray) -> dict[str, Any]:
        chosen = np.flatnonzero(prediction.astype(np.float32) >= self.thresholds)
        named = {name: round(float(p), 6) for name, p in zip(self.classes, prediction)}
        return {"labels": [self.classes[index] for index in chosen], "probabilities": named}

    @staticmethod
    def rendered(record: Mapping[str, Any]) -> str:
        chosen = [f"{record['probabilities'][name]:.4f}" for name in record["labels"]]
        return f"{SEPARATOR.join(record['labels'])}\t{','.join(chosen)}"

    def calibrated(self, predictions: np.ndarray, targets: np.ndarray) -> Self:
        return type(self)(self.classes, choose_thresholds(predictions, targets).tolist())

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        return multi_label_scores(predictions, targets, self.classes, self.thresholds)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return binary_losses(predictions, targets)

    def units(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        chosen = predictions >= self.thresholds
        hits, found, true = chosen * targets, chosen, targets
        return np.stack([each.sum(axis=1) for each in (hits, found, true)], axis=1).astype(float)  # (n, 3)

    def verdict(self, units: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, Any]:
        test = partial(paired_bootstrap, score=f1_of_sums)
        return against_best(
            self.measure, units, others, lambda each: float(f1_of_sums(each.sum(axis=0)[None])[0]), test
        )

    @staticmethod
    def headline(scores: Mapping[str, Any]) -> dict[str, float]:
        return {name: scores[name] for name in ("micro_f1", "macro_f1", "log_loss")}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        return float(f1_of_sums(self.units(predictions, targets).sum(axis=0)[None])[0])

    def phone_lines(self) -> dict[str, list[str]]:
        return {**super().phone_lines(), "thresholds.txt": [f"{each:.6f}" for each in self.thresholds]}

    def phone_note(self) -> str:
        return (
            "| `labels.txt` | the labels in the order of the probabilities |\n"
            "| `thresholds.txt` | one threshold per label; a text has the label if the probability is at "
            "least the threshold |"
        )

    def constant(self, targets: np.ndarray) -> tuple[str, np.ndarray]:
        return "label frequencies", targets.mean(axis=0)

    def estimators(self) -> dict[str, Callable[[csr_matrix, csr_matrix, np.ndarray], tuple[Predict, bool]]]:
        def regression() -> LogisticRegression:
            return LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)

        return {
            "naive Bayes": lambda binary, _, targets: (_one_per_label(MultinomialNB, binary, targets), False),
            "logistic regression": lambda _, weighted, targets: (
                _one_per_label(regression, weighted, targets),
                True,
            ),
        }

    @staticmethod
    def render(title: str, rows: Scored, model: Mapping[str, Any]) -> Group:
        """Returns two tables: all scores, and the scores per label."""
        side = Table("", "micro F1", "macro F1", "all labels right", "log loss", title=title)
        for name, row in rows.items():
            cells = [
                with_interval(f"{row[key]:.2%}", row.get(f"{key}_interval"), ".2%")
                for key in ("micro_f1", "macro_f1", "exact_match")
            ]
            side.add_row(
                name, *cells, with_interval(f"{row['log_loss']:.4f}", row["log_loss_interval"], ".4f")
            )
        labels = Table("label", "precision", "recall", "F1", "texts", "threshold")
        for name, row in model["per_label"].items():
            numbers = (f"{row[key]:.4f}" for key in ("precision", "recall", "f1"))
            labels.add_row(name, *numbers, str(row["support"]), f"{row['threshold']:.3f}")
        return Group(side, labels)

    @staticmethod
    def plot(folder: Path, scores: Mapping[str, Any]) -> list[Path]:
        groups = [
            {"name": name, "f1": row["f1"], "count": row["support"]}
            for name, row in scores["per_label"].items()
        ]
        return [plots.score_by_group(groups, "f1", "label", folder / "f1_by_label.png")]


def _one_per_label(make: Estimator, rows: csr_matrix, targets: np.ndarray) -> Predict:
    """Fits one binary classifier per label. A label of all texts gets the probability 1."""
    fitted = [make().fit(rows, column) if 0 < column.mean() < 1 else None for column in targets.T]
    shares = targets.mean(axis=0)

    def predict(features: csr_matrix) -> np.ndarray:
        return np.stack(
            [
                np.full(features.shape[0], share) if each is None else each.predict_proba(features)[:, 1]
                for each, share in zip(fitted, shares)
            ],
            axis=1,
        )

    return predict
