"""One label per text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Group
from rich.table import Table
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from apps.sentiment.families import Multinomial
from apps.sentiment.kinds.base import Kind, Predict, Scored
from apps.sentiment.metrics import ACCURACY, SMALLEST_PROBABILITY, classification_scores
from apps.sentiment.options import SINGLE_LABEL
from apps.verdict import against_best, with_interval
from seqmodels.evaluation import mcnemar, plots
from seqmodels.training.objectives import Objective, classification

INVERSE_PENALTY = (
    10.0  # scikit-learn's C: weight of the loss relative to half the squared norm of the weights
)


class SingleLabel(Kind):
    """One of k classes. Targets are class indices ``(n,)``, predictions are probabilities ``(n, k)``."""

    name = SINGLE_LABEL
    entry, own_score = "label", "accuracy"
    measure = ACCURACY

    def __init__(self, classes: Sequence[str]):
        super().__init__(classes)
        self.family = Multinomial(len(classes))

    @property
    def settings(self) -> dict[str, Any]:
        return {"classes": len(self.classes)}

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        index = {name: number for number, name in enumerate(self.classes)}
        return np.array([index[label] for label in labels], np.int32)

    def objective(self, label_smoothing: float) -> Objective:
        return classification(label_smoothing)

    def predictions(self, outputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(outputs)

    def normalized(self, predictions: np.ndarray) -> np.ndarray:
        # An int8 model rounds each probability separately. Their sum may then differ from 1.
        return predictions / predictions.sum(axis=1, keepdims=True)

    def served(self, predictions: tf.Tensor) -> dict[str, tf.Tensor]:
        names = tf.constant(self.classes)
        return {
            "labels": tf.gather(names, tf.argmax(predictions, axis=1)),
            "probabilities": predictions,
            # A server splits each output along its first axis, one part per text. Therefore every text
            # gets a row with all class names.
            "classes": tf.broadcast_to(names, tf.shape(predictions)),
        }

    def record(self, prediction: np.ndarray) -> dict[str, Any]:
        named = {name: round(float(p), 6) for name, p in zip(self.classes, prediction)}
        return {"label": self.classes[int(prediction.argmax())], "probabilities": named}

    @staticmethod
    def rendered(record: Mapping[str, Any]) -> str:
        return f"{record['label']}\t{record['probabilities'][record['label']]:.4f}"

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        return classification_scores(predictions, targets, self.classes)

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return -np.log(np.maximum(predictions[np.arange(len(targets)), targets], SMALLEST_PROBABILITY))

    def units(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return predictions.argmax(axis=1) == targets

    def verdict(self, units: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, Any]:
        return against_best(self.measure, units, others, lambda each: float(np.mean(each)), mcnemar)

    @staticmethod
    def headline(scores: Mapping[str, Any]) -> dict[str, float]:
        return {name: scores[name] for name in ("accuracy", "macro_f1", "log_loss")}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        return float(np.mean(self.units(predictions, targets)))

    def constant(self, targets: np.ndarray) -> tuple[str, np.ndarray]:
        return "majority", np.bincount(targets, minlength=len(self.classes)) / len(targets)

    def estimators(self) -> dict[str, Callable[[csr_matrix, csr_matrix, np.ndarray], tuple[Predict, bool]]]:
        def spread(estimator: Any) -> Predict:
            def predict(rows: csr_matrix) -> np.ndarray:
                result = np.zeros((rows.shape[0], len(self.classes)))
                # A class without training texts keeps the probability 0.
                result[:, estimator.classes_] = estimator.predict_proba(rows)
                return result

            return predict

        return {
            "naive Bayes": lambda binary, _, codes: (spread(MultinomialNB().fit(binary, codes)), False),
            "logistic regression": lambda _, weighted, codes: (
                spread(LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(weighted, codes)),
                True,
            ),
        }

    @staticmethod
    def render(title: str, rows: Scored, model: Mapping[str, Any]) -> Group:
        """Returns three tables: all scores, the scores per class, and the confusion matrix."""
        side = Table("", "accuracy", "macro F1", "log loss", "calibration error", title=title)
        for name, row in rows.items():
            cells = [with_interval(f"{row['accuracy']:.2%}", row["accuracy_interval"], ".2%")]
            for key in ("macro_f1", "log_loss"):
                cells.append(with_interval(f"{row[key]:.4f}", row.get(f"{key}_interval"), ".4f"))
            side.add_row(name, *cells, f"{row['calibration_error']:.4f}")
        classes = Table("class", "precision", "recall", "F1", "texts")
        for name, row in model["per_class"].items():
            classes.add_row(
                name, *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), str(row["support"])
            )
        confusion = Table("true \\ predicted", *model["per_class"])
        for name, counts in zip(model["per_class"], model["confusion"]):
            confusion.add_row(name, *map(str, counts))
        return Group(side, classes, confusion)

    @staticmethod
    def plot(folder: Path, scores: Mapping[str, Any]) -> list[Path]:
        return [
            plots.confusion_matrix(
                scores["confusion"], list(scores["per_class"]), folder / "confusion_matrix.png"
            ),
            plots.reliability_diagram(scores["calibration"], folder / "reliability.png"),
        ]
