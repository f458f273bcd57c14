"""Cells whose gates do not see the previous state, so that time need not be walked step by step.

In an RNN, LSTM or GRU every gate is a function of ``h_{t-1}``: T steps must follow one another. If the
gates depend on the input alone, the state is a linear function of the previous state, ``h_t = a_t *
h_{t-1} + b_t`` with ``a`` and ``b`` known for all steps at once: a parallel scan can take the place of the
steps, and where they are walked no step has a matrix product (:mod:`seqmodels.kernels.linear_recurrence`).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells.base import Cell
from seqmodels.cells.bounds import largest
from seqmodels.kernels import States


class LinearCell(Cell):
    """Base of the parallel cells: a subclass says what ``a`` and ``b`` are, as a function of the projected
    input.

    Weights: ``kernel`` W ``(inputs, p)``, ``bias`` b ``(p,)``, ``p = len(blocks) * units``. There is no
    recurrent matrix.

    Args:
        units: features of the state.
        kernel_initializer: for W.
        bias_initializer: for b.

    Raises:
        ValueError: units below 1, or a dropout of the recurrent matrix or of the state, which these cells
        do not have.
    """

    parallel = True

    def __init__(self, units: int, **kwargs: Any):
        for name in ("weight_dropout", "recurrent_dropout"):
            if kwargs.pop(name, 0.0):
                raise ValueError(f"{type(self).__name__} has no recurrent product: {name} must be 0")
        super().__init__(units, **kwargs)

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """``a`` and ``b`` of ``h_t = a_t * h_{t-1} + b_t``: ``(..., p)`` to twice ``(..., units)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define coefficients")

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        (h,) = states
        a, b = self.coefficients(projected)
        h = a * h + b  # (batch, units)
        return h, (h,)

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States]:
        outputs, last = kernels.linear_recurrence(*self.coefficients(projected), states[0], lengths)
        return outputs, (last,)

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        return {"kept share": self.coefficients(projected)[0]}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """``J = diag(a)``: 1 if ``a`` is between 0 and 1, else the largest ``|a|``."""
        return max(1.0, largest(self.coefficients(projected)[0]))
