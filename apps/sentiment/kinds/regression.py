"""A number per text."""

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
from sklearn.linear_model import Ridge

from apps.sentiment.families import Normal
from apps.sentiment.kinds.base import Kind, Predict, Scored
from apps.sentiment.labels import number
from apps.sentiment.options import REGRESSION
from apps.sentiment.regression_metrics import regression_scores
from apps.verdict import Measure, against_best, with_interval
from seqmodels.evaluation import paired_bootstrap, plots
from seqmodels.training.objectives import Objective, squared_error

PENALTY = 1.0  # scikit-learn's alpha of the ridge regression


class Regression(Kind):
    """A number. Targets are standardized numbers ``(n, 1)``. Predictions are in the unit of the labels.

    Args:
        classes: not used.
        mean, deviation: mean and standard deviation of the training labels.
    """

    name = REGRESSION
    entry, own_score = "value", "mae"
    column, served_names = "values", ("values",)
    measure = Measure("mean absolute error", higher_is_better=False, form="g")

    def __init__(self, classes: Sequence[str] = (), mean: float = 0.0, deviation: float = 1.0):
        super().__init__(())
        self.family = Normal()
        self.mean, self.deviation = mean, deviation

    @classmethod
    def fitted(cls, classes: Sequence[str], labels: Sequence[str]) -> Self:
        values = np.array([number(label) for label in labels])
        return cls((), float(values.mean()), float(values.std()))

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "mean": self.mean, "deviation": self.deviation}

    @property
    def settings(self) -> dict[str, Any]:
        return {"classes": 1, "independent": True}

    def targets(self, labels: Sequence[str]) -> np.ndarray:
        values = np.array([[number(label)] for label in labels])  # (n, 1)
        return ((values - self.mean) / self.deviation).astype(np.float32)

    def objective(self, label_smoothing: float) -> Objective:
        return squared_error()

    def predictions(self, outputs: tf.Tensor) -> tf.Tensor:
        return self.mean + self.deviation * outputs

    def of_linear(self, outputs: np.ndarray) -> np.ndarray:
        return self.mean + self.deviation * outputs

    def served(self, predictions: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"values": predictions[:, 0]}

    def record(self, prediction: np.ndarray) -> dict[str, Any]:
        return {"value": float(f"{prediction[0]:.7g}")}  # the digits of float32

    @staticmethod
    def rendered(record: Mapping[str, Any]) -> str:
        return f"{record['value']:.7g}"

    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        return regression_scores(predictions[:, 0], self._values(targets))

    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.square((predictions[:, 0] - self._values(targets)) / self.deviation)

    def units(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.abs(predictions[:, 0] - self._values(targets))[:, None]

    def _values(self, targets: np.ndarray) -> np.ndarray:
        return self.mean + self.deviation * targets[:, 0].astype(np.float64)

    def verdict(self, units: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, Any]:
        count = len(units)
        test = partial(paired_bootstrap, score=lambda sums: sums[:, 0] / count)
        return against_best(self.measure, units, others, lambda each: float(np.mean(each)), test)

    @staticmethod
    def headline(scores: Mapping[str, Any]) -> dict[str, float]:
        return {name: scores[name] for name in ("mae", "rmse", "r2", "spearman")}

    def score(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        return float(np.mean(self.units(predictions, targets)))

    def phone_lines(self) -> dict[str, list[str]]:
        return {}

    def phone_note(self) -> str:
        return "| | the output is the predicted number, in the unit of the training labels |"

    def constant(self, targets: np.ndarray) -> tuple[str, np.ndarray]:
        # The median has the smallest mean absolute error of all constants.
        return "median", np.array([np.median(self._values(targets))])

    def estimators(self) -> dict[str, Callable[[csr_matrix, csr_matrix, np.ndarray], tuple[Predict, bool]]]:
        def ridge(_: csr_matrix, weighted: csr_matrix, targets: np.ndarray) -> tuple[Predict, bool]:
            fitted = Ridge(alpha=PENALTY).fit(weighted, self._values(targets))
            return lambda rows: fitted.predict(rows).reshape(-1, 1), True

        return {"ridge regression": ridge}

    @staticmethod
    def render(title: str, rows: Scored, model: Mapping[str, Any]) -> Group:
        """Returns one table with all scores."""
        names = {"mae": "mean absolute error", "rmse": "root mean square error", "r2": "R2"}
        side = Table("", *names.values(), "Spearman", title=title)
        for name, row in rows.items():
            cells = [with_interval(f"{row[key]:.4g}", row.get(f"{key}_interval"), ".4g") for key in names]
            side.add_row(name, *cells, f"{row['spearman']:.4f}")
        return Group(side)

    @staticmethod
    def plot(folder: Path, scores: Mapping[str, Any]) -> list[Path]:
        return [plots.predicted_against_true(scores["sample"], folder / "predictions.png")]
