"""The minimal gated recurrent unit (minGRU)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.linear import LinearCell
from seqmodels.kernels import States


@keras.saving.register_keras_serializable(package="seqmodels")
class MinGRUCell(LinearCell):
    """Minimal gated recurrent unit (Feng et al. 2024, arXiv 2410.01201, section 3.1).

    .. math::
            u_t &= sigmoid(x_t W_u + b_u)                & update gate \\\\
            h~_t &= x_t W_h + b_h                        & candidate \\\\
            h_t &= (1 - u_t) * h_{t-1} + u_t * h~_t

    The cell is a GRU without a reset gate. The update gate and the candidate do not depend on ``h_{t-1}``,
    and the candidate has no tanh. The state and the output are ``h`` ``(n, units)``.

    The weights are ``kernel`` W ``(d, 2 units)`` and ``bias`` b ``(2 units,)``, with columns in the order
    u, h.

    Args:
        units: size of the state.
        keep_bias: ``b_u`` starts at ``-keep_bias``, as in :class:`GRUCell`.
        **kwargs: keyword arguments of :class:`LinearCell`.

    >>> cell = MinGRUCell(3)
    >>> output, (h,) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape, cell.parallel
    (TensorShape([2, 3]), True)
    """

    blocks = ("update gate", "candidate")
    source = "Feng et al. 2024, arXiv 2410.01201, section 3.1"

    def __init__(self, units: int, keep_bias: float = 1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.keep_bias = keep_bias

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        update = tf.repeat([-self.keep_bias, 0.0], self.units)  # (2 units,)
        return super().initial_bias(shape, dtype) + tf.cast(update, dtype)

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        update, candidate = tf.split(projected, 2, axis=-1)
        u = tf.sigmoid(update)
        return 1 - u, u * candidate

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        u = tf.sigmoid(tf.split(projected, 2, axis=-1)[0])
        return {"1 - update gate": 1 - u, "update gate": u}

    def get_config(self) -> dict:
        return {**super().get_config(), "keep_bias": self.keep_bias}
