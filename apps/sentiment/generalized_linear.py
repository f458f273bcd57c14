"""Fits a generalized linear model to a product of sparse matrices.

scikit-learn needs one matrix of features. With character n-grams, this matrix has hundreds of entries per
word, although all of them follow from the word. This module keeps the factors apart, so that a step costs as
much as without the character n-grams.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from apps.sentiment.families import Family

ITERATIONS = 60  # maximum number of L-BFGS iterations of one fit
LARGE, ITERATIONS_OF_LARGE = 1_000_000, 40  # the same for a fit with at least this number of weights


@dataclass(frozen=True)
class Design:
    r"""The features of n texts, ``F = X [D, P]``, as factors.

    Attributes:
        rows: X, values of the table rows in each text, ``(n, m)``.
        scale: diagonal of D, a factor for each table row, ``(m,)``.
        parts: P, features that table rows share, such as the character n-grams of a word, ``(m, p)``.
    """

    rows: csr_matrix
    scale: np.ndarray
    parts: csr_matrix

    def take(self, kept: np.ndarray) -> Design:
        """Returns the features of the texts that ``kept (n,)`` selects."""
        return Design(self.rows[kept], self.scale, self.parts)

    def table(self, weights: np.ndarray) -> np.ndarray:
        """Converts feature weights ``(m + p, k)`` to weights of the table rows ``(m, k)``."""
        own, shared = np.split(weights, [len(self.scale)])
        return self.scale[:, None] * own + self.parts @ shared

    def transposed(self, gradient: np.ndarray) -> np.ndarray:
        """Returns the gradient of the feature weights ``(m + p, k)`` for that of the table ``(m, k)``."""
        return np.concatenate([self.scale[:, None] * gradient, self.parts.T @ gradient])


def fit(
    design: Design,
    targets: np.ndarray,
    family: Family,
    inverse_penalty: float,
    importance: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    r"""Minimizes the penalized negative log-likelihood by L-BFGS (Liu and Nocedal 1989).

    .. math::
        \min_{W, b} \tfrac{1}{2 C} \|W\|^2 + \sum_i a_i \, loss(f_i W + b, y_i)

    Args:
        design: features f of n texts.
        targets: y, in the form that the family needs.
        family: gives the loss and the number of columns of W.
        inverse_penalty: C, as in scikit-learn.
        importance: a, the weight of each text, ``(n,)``. Default: 1.
        start: weights of an earlier fit, from which the search starts. Default: zeros.

    Returns:
        Weights of the features, and the bias in the last row: ``(m + p + 1, columns)``.
    """
    columns = family.columns
    size = design.rows.shape[1] + design.parts.shape[1]
    own = np.ones(len(targets)) if importance is None else importance
    backward = design.rows.T.tocsr()

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(size + 1, columns)
        outputs = design.rows @ design.table(weights[:-1]) + weights[-1]  # (n, columns)
        loss = np.dot(own, family.losses(outputs, targets))
        slopes = own[:, None] * family.slopes(outputs, targets)  # (n, columns)
        gradient = np.vstack([design.transposed(backward @ slopes), slopes.sum(axis=0)])
        gradient[:-1] += weights[:-1] / inverse_penalty
        return loss + np.square(weights[:-1]).sum() / (2 * inverse_penalty), gradient.ravel()

    first = np.zeros((size + 1, columns)) if start is None else start
    iterations = ITERATIONS_OF_LARGE if first.size >= LARGE else ITERATIONS
    options = {"maxiter": iterations, "maxcor": 5, "ftol": 1e-6, "gtol": 1e-4}
    # The vectors are short. On a busy machine, several threads would spend most of the time waiting.
    with threadpool_limits(1, user_api="blas"):
        found = minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(size + 1, columns)
