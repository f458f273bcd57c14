"""Base class of the cells whose gates do not depend on the previous state.

In an RNN, LSTM or GRU every step is a nonlinear function of ``h_{t-1}``. The T steps must therefore run one
after the other. If the gates and the candidate depend only on the input, the state is a linear function of
the previous state: ``h_t = a_t * h_{t-1} + b_t``. The coefficients ``a`` and ``b`` of all steps can be
computed before the first step. A parallel scan can therefore replace the loop over the steps. If a loop is
used, its steps need no matrix product. :mod:`seqmodels.kernels.linear_recurrence` implements the
scan and the loop.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells.base import Cell
from seqmodels.cells.bounds import largest
from seqmodels.kernels import States

NOT_FOR_LINEAR_CELLS = (
    "activation",
    "recurrent_activation",
    "recurrent_initializer",
    "recurrent_regularizer",
    "recurrent_constraint",
)


class LinearCell(Cell):
    """Base class of the cells with ``h_t = a_t * h_{t-1} + b_t``. A scan can compute all steps in parallel.

    A subclass defines :meth:`coefficients`, which computes ``a`` and ``b`` from the projected input.

    The weights are ``kernel`` W ``(d, p)`` and ``bias`` b ``(p,)``, with ``p = len(blocks) * units``. These
    cells do not have a recurrent matrix.

    Args:
        units: size of the state.
        **kwargs: keyword arguments of :class:`Cell`.

    Raises:
        ValueError: if units is below 1.
        ValueError: if ``weight_dropout`` or ``recurrent_dropout`` is not 0.
        ValueError: if an initializer, a regularizer or a constraint of a recurrent matrix is passed.
        ValueError: if an activation is passed. The activations of these cells are fixed.
    """

    parallel = True

    def __init__(self, units: int, **kwargs: Any):
        for name in ("weight_dropout", "recurrent_dropout"):
            if kwargs.pop(name, 0.0):
                raise ValueError(
                    f"{name} must be 0 for {type(self).__name__}, because this cell has no recurrent weights"
                )
        for name in NOT_FOR_LINEAR_CELLS:
            if name in kwargs:
                raise ValueError(
                    f"{name} does not apply to {type(self).__name__}, which has fixed activations and no "
                    f"recurrent weights; leave out {name}, or use an LSTMCell or a GRUCell"
                )
        super().__init__(units, **kwargs)

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns ``a`` and ``b`` of ``h_t = a_t * h_{t-1} + b_t``, each ``(..., units)``.

        Args:
            projected: the result of :meth:`project` for one or more steps, ``(..., p)``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define the method coefficients")

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
        """Returns an upper bound of the norm of a step's Jacobian ``diag(a)``.

        The bound is the largest ``|a|`` of all steps, or 1 if the largest ``|a|`` is below 1.
        """
        return max(1.0, largest(self.coefficients(projected)[0]))
