"""Minimal long short-term memory (minLSTM)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.linear import LinearCell
from seqmodels.kernels import States


@keras.saving.register_keras_serializable(package="seqmodels")
class MinLSTMCell(LinearCell):
    """Minimal long short-term memory (Feng et al. 2024, arXiv 2410.01201, section 3.2).

    .. math::
            i_t &= sigmoid(x_t W_i + b_i)               & input gate \\\\
            f_t &= sigmoid(x_t W_f + b_f)               & forget gate \\\\
            h~_t &= x_t W_h + b_h                       & candidate \\\\
            h_t &= (f_t * h_{t-1} + i_t * h~_t) / (f_t + i_t)

    The cell is an LSTM with neither an output gate nor a cell state. The gates and the candidate do not
    depend on ``h_{t-1}``. Division by ``f_t + i_t`` makes ``h_t`` a weighted mean of ``h_{t-1}`` and
    ``h~_t``. The scale of the state therefore does not depend on the time step. The state and the output are
    ``h`` ``(n, units)``.

    The weights are ``kernel`` W ``(d, 3 units)`` and ``bias`` b ``(3 units,)``, with columns in the order
    i, f, h.

    Args:
        units: size of the state.
        forget_bias: ``b_f`` starts at ``forget_bias``, and ``b_i`` starts at ``-forget_bias``. The cell
            then initially keeps the share ``sigmoid(forget_bias)`` of its state, as :class:`LSTMCell` does.
        **kwargs: keyword arguments of :class:`LinearCell`.

    >>> cell = MinLSTMCell(3)
    >>> output, (h,) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape, cell.blocks
    (TensorShape([2, 3]), ('input gate', 'forget gate', 'candidate'))
    """

    blocks = ("input gate", "forget gate", "candidate")
    source = "Feng et al. 2024, arXiv 2410.01201, section 3.2"

    def __init__(self, units: int, forget_bias: float = 1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.forget_bias = forget_bias

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        offset = tf.repeat([-self.forget_bias, self.forget_bias, 0.0], self.units)  # (3 units,)
        return super().initial_bias(shape, dtype) + tf.cast(offset, dtype)

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        i, f, candidate = tf.split(projected, 3, axis=-1)
        # f / (f + i) is computed from logarithms, because f and i may both underflow to 0.
        keep = tf.sigmoid(tf.math.log_sigmoid(f) - tf.math.log_sigmoid(i))
        return keep, (1 - keep) * candidate

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        i, f, _ = tf.split(tf.sigmoid(projected), 3, axis=-1)
        kept, _ = self.coefficients(projected)
        return {"forget / (forget + input gate)": kept, "input gate": i, "forget gate": f}

    def get_config(self) -> dict:
        return {**super().get_config(), "forget_bias": self.forget_bias}
