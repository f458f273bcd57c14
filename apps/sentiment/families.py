"""Probability models of the linear part: one class for each kind of label.

A family connects the outputs of a linear model with the targets. In the shapes below, n is the number of
texts, and c is ``columns``, the number of outputs of the linear model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from scipy.special import expit, log_softmax, logsumexp

TEXTS_PER_CLASS = 10  # naive Bayes of more than two classes needs this number of texts per class


class Family(ABC):
    """Base class of the families.

    Attributes:
        columns: number of outputs of the linear model.
        shares: weights of naive Bayes that the cross-validation compares.
    """

    columns: int
    shares: tuple[float, ...] = (0.0, 3.0, 10.0, 20.0)

    def usual(self, targets: np.ndarray) -> tuple[float, float]:
        """Returns C and the weight of naive Bayes that suit most data."""
        return 100.0, 10.0

    @abstractmethod
    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the negative log-likelihood of each text in nats, ``(n,)``. A constant may be left out."""

    @abstractmethod
    def slopes(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns the gradient of :meth:`losses` with respect to the outputs, ``(n, c)``."""

    def errors(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Returns an error per text, ``(n,)``. The cross-validation chooses the smallest mean error."""
        return self.losses(outputs, targets)

    @abstractmethod
    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the predictions: probabilities of the classes, or the outputs if they are numbers."""

    @abstractmethod
    def bayes(self, present: csr_matrix, targets: np.ndarray, importance: np.ndarray) -> np.ndarray:
        """Returns the log ratios of naive Bayes with add-one smoothing, ``(rows of the table, c)``."""

    @abstractmethod
    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """Returns the factor of the outputs with the smallest loss (Guo et al. 2017, section 4.2)."""


class Multinomial(Family):
    """One of k classes. Targets are class indices, ``(n,)``.

    For two classes, the only output is the log odds of the second class. For more classes, the k outputs are
    logits.
    """

    def __init__(self, classes: int):
        self.classes = classes
        self.columns = 1 if classes == 2 else classes

    def usual(self, targets: np.ndarray) -> tuple[float, float]:
        if self.classes == 2:
            return 100.0, 10.0
        # With few texts per class, most counts of naive Bayes are 0, and its ratios are noise.
        return 300.0, 10.0 if len(targets) >= TEXTS_PER_CLASS * self.classes else 0.0

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        logits = self.logits(outputs)
        return logsumexp(logits, axis=1) - logits[np.arange(len(targets)), targets]

    def slopes(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        slopes = self.probabilities(outputs)
        slopes[np.arange(len(targets)), targets] -= 1
        return slopes[:, 1:] if self.classes == 2 else slopes

    def errors(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (self.logits(outputs).argmax(axis=1) != targets).astype(float)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        return np.exp(log_softmax(self.logits(outputs), axis=1))

    def bayes(self, present: csr_matrix, targets: np.ndarray, importance: np.ndarray) -> np.ndarray:
        counts = np.zeros((self.classes, present.shape[1]))
        for each in range(self.classes):
            kept = targets == each
            counts[each] = 1 + importance[kept] @ present[kept]
        logs = np.log(counts / counts.sum(axis=1, keepdims=True)).T  # (rows, classes)
        if self.classes == 2:
            return logs[:, 1:] - logs[:, :1]
        return logs - logs.mean(axis=1, keepdims=True)

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        logits, smoothing = self.logits(outputs), _smoothing(targets)

        def loss(scale: float) -> float:
            scaled = scale * logits
            uniform = logsumexp(scaled, axis=1) - scaled.mean(axis=1)
            true = logsumexp(scaled, axis=1) - scaled[np.arange(len(targets)), targets]
            return float(np.mean((1 - smoothing) * true + smoothing * uniform))

        return _best_scale(loss)

    def logits(self, outputs: np.ndarray) -> np.ndarray:
        """Returns one column per class. A single column of log odds z becomes the columns 0 and z."""
        return np.column_stack([np.zeros(len(outputs)), outputs]) if self.classes == 2 else outputs


class Independent(Family):
    """Any subset of k labels. Targets are 0 or 1, ``(n, k)``. The outputs are the log odds of the labels."""

    def __init__(self, labels: int):
        self.columns = labels

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return (np.logaddexp(0, outputs) - targets * outputs).sum(axis=1)

    def slopes(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return expit(outputs) - targets

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        return expit(outputs)

    def bayes(self, present: csr_matrix, targets: np.ndarray, importance: np.ndarray) -> np.ndarray:
        weighted = importance[:, None] * targets
        positive = 1 + present.T @ weighted  # (rows, labels)
        negative = 1 + present.T @ (importance[:, None] - weighted)
        return np.log(positive / positive.sum(axis=0)) - np.log(negative / negative.sum(axis=0))

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        smoothing = _smoothing(targets)
        smoothed = (1 - smoothing) * targets + smoothing / 2
        return _best_scale(lambda scale: float(np.mean(self.losses(scale * outputs, smoothed))))


class Normal(Family):
    """A number. Targets are standardized numbers, ``(n, 1)``. Naive Bayes does not apply."""

    columns = 1
    shares = (0.0,)

    def usual(self, targets: np.ndarray) -> tuple[float, float]:
        return 3.0, 0.0

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return np.square(outputs - targets).sum(axis=1) / 2

    def slopes(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        return outputs - targets

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        return outputs

    def bayes(self, present: csr_matrix, targets: np.ndarray, importance: np.ndarray) -> np.ndarray:
        return np.zeros((present.shape[1], 1))

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        return 1.0  # the squared loss already determines the scale


def _smoothing(targets: np.ndarray) -> float:
    """Smooths the targets as if there were one more text that belongs equally to all classes.

    Without this, the temperature would have no limit if all predictions are right (Platt 1999, section 2.2).
    """
    return 1 / (len(targets) + 1)


def _best_scale(loss: Callable[[float], float]) -> float:
    """Returns the scale between 0.05 and 20 with the smallest loss."""
    found = minimize_scalar(
        lambda log_scale: loss(float(np.exp(log_scale))),
        bounds=(-3.0, 3.0),
        method="bounded",
        options={"xatol": 0.02},
    )
    return float(np.exp(found.x))
