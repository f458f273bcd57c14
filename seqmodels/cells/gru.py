"""The gated recurrent unit (GRU). Its reset gate acts before or after the recurrent matrix product."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells.base import MatrixCell
from seqmodels.cells.bounds import largest, norm
from seqmodels.kernels import States, dropped


@keras.saving.register_keras_serializable(package="seqmodels")
class GRUCell(MatrixCell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078; Chung et al. 2014, arXiv 1412.3555).

    .. math::
            u_t &= sigmoid(x_t W_u + h_{t-1} U_u + b_u)            & update gate
            r_t &= sigmoid(x_t W_r + h_{t-1} U_r + b_r)            & reset gate
            h~_t &= tanh(x_t W_h + (r_t * h_{t-1}) U_h + b_h)      & candidate
            h_t &= (1 - u_t) * h_{t-1} + u_t * h~_t

    With ``reset_after=True`` the reset gate multiplies the result of the matrix product with ``U_h``:
    ``h~_t = tanh(x_t W_h + b_h + r_t * (h_{t-1} U_h + b'))``. One matrix product with U then computes the
    recurrent parts of the gates and of the candidate.

    The state and the output are ``h`` ``(n, units)``. ``u_t`` is the share of the new state that comes from
    the candidate. In Keras and cuDNN, the update gate is ``1 - u_t`` instead; see
    :mod:`seqmodels.layers.keras_conversion`.

    The weights are ``kernel`` W ``(d, 3 units)``, ``recurrent_kernel`` U ``(units, 3 units)`` and ``bias`` b
    ``(3 units,)``, with columns in the order u, r, h. If ``reset_after`` is True, there is also a
    ``recurrent_bias`` b' ``(units,)``.

    Args:
        units: size of the state.
        reset_after: if True, the reset gate multiplies ``h_{t-1} U_h + b'``; if False, it multiplies
            ``h_{t-1}``.
        keep_bias: ``b_u`` starts at ``-keep_bias``. The GRU then initially keeps the same share of its state
            as an LSTM with ``forget_bias=keep_bias``.
        **kwargs: keyword arguments of :class:`MatrixCell`.

    >>> cell = GRUCell(3, reset_after=True)
    >>> output, (h,) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape
    TensorShape([2, 3])
    >>> cell.kernel.shape, cell.recurrent_kernel.shape
    (TensorShape([5, 9]), TensorShape([3, 9]))
    """

    blocks = ("update gate", "reset gate", "candidate")
    source = "Cho et al. 2014, arXiv 1406.1078; Chung et al. 2014, arXiv 1412.3555"

    def __init__(self, units: int, reset_after: bool = False, keep_bias: float = 1.0, **kwargs: Any):
        super().__init__(units, **kwargs)
        self.reset_after = reset_after
        self.keep_bias = keep_bias

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        update = tf.repeat([-self.keep_bias, 0.0, 0.0], self.units)  # (3 units,)
        return super().initial_bias(shape, dtype) + tf.cast(update, dtype)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.reset_after:
            self.recurrent_bias = self.add_weight(
                name="recurrent_bias", shape=(self.units,), initializer=self.bias_initializer
            )

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        recurrent_kernel, mask = super().constants(batch, memory, training)
        return recurrent_kernel, mask, self._compute(self.recurrent_bias) if self.reset_after else None

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        (h,), (recurrent_kernel, mask, recurrent_bias) = states, constants
        x_gates, x_candidate = tf.split(projected, [2 * self.units, self.units], axis=-1)
        previous = dropped(h, mask)
        if self.reset_after:
            product = previous @ recurrent_kernel  # (batch, 3 units)
            h_gates, h_candidate = tf.split(product, [2 * self.units, self.units], axis=-1)
            u, r = tf.split(tf.sigmoid(x_gates + h_gates), 2, axis=-1)
            candidate = tf.tanh(x_candidate + r * (h_candidate + recurrent_bias))
        else:
            gates_kernel, candidate_kernel = tf.split(recurrent_kernel, [2 * self.units, self.units], axis=-1)
            u, r = tf.split(tf.sigmoid(x_gates + previous @ gates_kernel), 2, axis=-1)
            candidate = tf.tanh(x_candidate + (r * previous) @ candidate_kernel)
        h = (1 - u) * h + u * candidate  # (batch, units)
        return h, (h,)

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States]:
        recurrent_kernel, mask, recurrent_bias = constants
        return kernels.gru(projected, states, recurrent_kernel, recurrent_bias, lengths, mask)

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        (h,), (recurrent_kernel, mask, _) = states, constants
        columns = 2 * self.units
        z = projected[..., :columns] + dropped(h, mask) @ recurrent_kernel[:, :columns]  # (..., 2 units)
        u, r = tf.split(tf.sigmoid(z), 2, axis=-1)
        return {"1 - update gate": 1 - u, "update gate": u, "reset gate": r}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns the sum of two bounds on the effect of ``h_{t-1}`` on ``h_t``.

        The first bound holds if the update gate is constant. The second bound applies to the change of the
        update gate that ``h_{t-1}`` causes. Both bounds use ``sigmoid' <= 1/4`` and ``tanh' <= 1``. The sum
        is at least 1 for any weights. It therefore cannot prove that a gradient vanishes.
        """
        (h,), (recurrent_kernel, _, recurrent_bias) = states, constants
        u, r, candidate = (norm(block) for block in np.split(np.asarray(recurrent_kernel), 3, axis=-1))
        if self.reset_after:
            product = h @ recurrent_kernel[:, 2 * self.units :] + recurrent_bias
            written = candidate + largest(product) * r / 4
        else:
            written = candidate * (1 + largest(h) * r / 4)
        return max(1.0, written) + (1 + largest(h)) * u / 4

    def get_config(self) -> dict:
        return {**super().get_config(), "reset_after": self.reset_after, "keep_bias": self.keep_bias}
