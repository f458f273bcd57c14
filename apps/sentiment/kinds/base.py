"""The interface of a kind of labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import tensorflow as tf
from rich.console import Group
from scipy.sparse import csr_matrix

from apps.sentiment.families import Family
from apps.verdict import Measure
from seqmodels.training.objectives import Objective

Predict = Callable[[csr_matrix], np.ndarray]
"""Function that receives features ``(n, m)`` and returns predictions, see :class:`Kind`."""

Scored = Mapping[str, Mapping[str, Any]]
"""Scores of several models, by the name that is shown."""


class Kind(ABC):
    """Everything that depends on the kind of labels.

    Predictions of n texts are an array ``(n, columns)``. They are probabilities of classes or labels, or a
    number in the unit of the labels.

    Args:
        classes: names of the classes or labels, in the order of the columns. Empty for numbers.

    Attributes:
        name: value of ``--output``.
        entry: entry of a record of ``predict`` that only this kind has.
        own_score: entry of the scores that only this kind has.
        column: name of the predictions in exported models, ``probabilities`` or ``values``.
        served_names: names of the outputs of the SavedModel.
        calibrates: if True, :meth:`calibrated` adjusts the kind to predictions.
        measure: score by which a model is compared with its baselines.
        family: probability model of the linear part.
    """

    name: ClassVar[str]
    entry: ClassVar[str]
    own_score: ClassVar[str]
    column: ClassVar[str] = "probabilities"
    served_names: ClassVar[tuple[str, ...]] = ("labels", "probabilities", "classes")
    calibrates: ClassVar[bool] = False
    measure: ClassVar[Measure]
    family: Family

    def __init__(self, classes: Sequence[str]):
        self.classes = list(classes)

    @classmethod
    def fitted(cls, classes: Sequence[str], labels: Sequence[str]) -> Self:
        """Returns the kind for the training labels. ``classes`` are their names in order."""
        return cls(classes)

    def facts(self) -> dict[str, Any]:
        """Returns a JSON-ready dictionary from which ``stored_kind`` makes the kind again."""
        return {"output": self.name}

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Arguments of :class:`seqmodels.models.Classifier` that depend on the kind."""

    @abstractmethod
    def targets(self, labels: Sequence[str]) -> np.ndarray:
        """Converts n valid labels to the targets of the texts, ``(n, ...)``."""

    @abstractmethod
    def objective(self, label_smoothing: float) -> Objective:
        """Returns the objective of the training loop."""

    @abstractmethod
    def predictions(self, outputs: tf.Tensor) -> tf.Tensor:
        """Converts outputs of the model ``(n, columns)`` to predictions. It can be part of a graph."""

    def normalized(self, predictions: np.ndarray) -> np.ndarray:
        """Corrects rounding errors in the predictions of an 8-bit model."""
        return predictions

    def of_linear(self, outputs: np.ndarray) -> np.ndarray:
        """Converts outputs of the linear part ``(n, family.columns)`` to predictions."""
        return self.family.probabilities(outputs)

    @abstractmethod
    def served(self, predictions: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the outputs of the SavedModel."""

    @abstractmethod
    def record(self, prediction: np.ndarray) -> dict[str, Any]:
        """Returns the entries of a record of ``predict``, for one row of predictions."""

    @staticmethod
    @abstractmethod
    def rendered(record: Mapping[str, Any]) -> str:
        """Returns the prediction of a record as a text, with a tab between its parts."""

    def calibrated(self, predictions: np.ndarray, targets: np.ndarray) -> Self:
        """Returns the kind after it has been adjusted to predictions for the validation split."""
        return self

    @abstractmethod
    def scores(self, predictions: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """Returns all scores of predictions as a JSON-ready dictionary."""

    @abstractmethod
    def losses(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the loss of each text, ``(n,)``: the log loss, or the squared error."""

    @abstractmethod
    def units(self, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the contribution of each text to the score ``measure``, ``(n,)`` or ``(n, k)``."""

    @abstractmethod
    def verdict(self, units: np.ndarray, others: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Compares the units of a model with those of its baselines, see :mod:`apps.verdict`."""

    @staticmethod
    @abstractmethod
    def headline(scores: Mapping[str, Any]) -> dict[str, float]:
        """Returns the scores that ``train`` and ``info`` show."""

    @abstractmethod
    def score(self, predictions: np.ndarray, targets: np.ndarray) -> float:
        """Returns the score ``measure`` of predictions."""

    def phone_lines(self) -> dict[str, list[str]]:
        """Returns the text files that belong to a TFLite file, as ``{file name: lines}``."""
        return {"labels.txt": self.classes}

    def phone_note(self) -> str:
        """Returns rows about :meth:`phone_lines` for the table of files in the README of a TFLite file."""
        return "| `labels.txt` | the classes in the order of the probabilities |"

    def order(self, predictions: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        """Returns score and mean loss, by which models are compared on validation. Lower is better."""
        score = self.calibrated(predictions, targets).score(predictions, targets)
        loss = float(self.losses(predictions, targets).mean())
        return (-score if self.measure.higher_is_better else score), loss

    @abstractmethod
    def constant(self, targets: np.ndarray) -> tuple[str, np.ndarray]:
        """Returns name and predictions ``(columns,)`` of the baseline that ignores the text."""

    @abstractmethod
    def estimators(self) -> dict[str, Callable[[csr_matrix, csr_matrix, np.ndarray], tuple[Predict, bool]]]:
        """Returns the bag-of-words baselines by name.

        The values are functions that receive binary features, tf-idf features and targets of the training
        texts. They return the fitted prediction function, and True if it reads the tf-idf features.
        """

    @staticmethod
    @abstractmethod
    def render(title: str, rows: Scored, model: Mapping[str, Any]) -> Group:
        """Returns the tables that ``evaluate`` prints.

        Args:
            title: title of the first table.
            rows: scores of the baselines and of the model.
            model: scores of the model.
        """

    @staticmethod
    @abstractmethod
    def plot(folder: Path, scores: Mapping[str, Any]) -> list[Path]:
        """Writes plots of the scores of the model, and returns their paths."""
