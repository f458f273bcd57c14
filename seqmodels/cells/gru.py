"""The gated recurrent unit (GRU). Its reset gate acts before or after the recurrent matrix product."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells.bounds import largest, norm
from seqmodels.cells.gated import GatedCell
from seqmodels.kernels import States, dropped


@keras.saving.register_keras_serializable(package="seqmodels")
class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al. 2014, arXiv 1406.1078; Chung et al. 2014, arXiv 1412.3555).

    .. math::
            u_t &= sigmoid(x_t W_u + h_{t-1} U_u + b_u)            & update gate
            r_t &= sigmoid(x_t W_r + h_{t-1} U_r + b_r)            & reset gate
            h~_t &= tanh(x_t W_h + (r_t * h_{t-1}) U_h + b_h)      & candidate
            h_t &= (1 - u_t) * h_{t-1} + u_t * h~_t

    With ``reset_after=True`` the reset gate multiplies the result of the matrix product with ``U_h``:
    ``h~_t = tanh(x_t W_h + b_h + r_t * (h_{t-1} U_h + b'))``. One matrix product with U then computes the
    recurrent parts of the gates and of the candidate.

    The option ``activation`` replaces tanh by another function. The option ``recurrent_activation`` replaces
    sigmoid by another function sigma. The update gate is then defined by
    ``u_t = 1 - sigma(-(x_t W_u + h_{t-1} U_u + b_u))``. If sigma is sigmoid, this is the first
    equation above. With this definition, ``1 - u_t`` is equal to the update gate of Keras' GRU for every
    function sigma.

    The state and the output are ``h`` ``(n, units)``. ``u_t`` is the share of the new state that comes from
    the candidate. In Keras and cuDNN, the update gate is ``1 - u_t`` instead; see
    :mod:`seqmodels.layers.keras_conversion`.

    The weights are ``kernel`` W ``(d, 3 units)``, ``recurrent_kernel`` U ``(units, 3 units)`` and ``bias`` b
    ``(3 units,)``, with columns in the order u, r, h. If ``reset_after`` is True, there is also a
    ``recurrent_bias`` b' ``(units,)``. If ``use_bias`` is False, there is neither b nor b'.

    Args:
        units: size of the state.
        reset_after: if True, the reset gate multiplies ``h_{t-1} U_h + b'``; if False, it multiplies
            ``h_{t-1}``.
        keep_bias: ``b_u`` starts at ``-keep_bias``. The GRU then initially keeps the same share of its state
            as an LSTM with ``forget_bias=keep_bias``.
        activation: activation of the candidate: the name of a Keras activation, or a function. None means
            the linear function.
        recurrent_activation: activation of the gates: a name, a function or None, as for ``activation``.
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

    def __init__(
        self,
        units: int,
        reset_after: bool = False,
        keep_bias: float = 1.0,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **kwargs: Any,
    ):
        super().__init__(units, activation, recurrent_activation, **kwargs)
        self.reset_after = reset_after
        self.keep_bias = keep_bias

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        update = tf.repeat([-self.keep_bias, 0.0, 0.0], self.units)  # (3 units,)
        return super().initial_bias(shape, dtype) + tf.cast(update, dtype)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.recurrent_bias = None
        if self.reset_after and self.use_bias:
            self.recurrent_bias = self._weight("recurrent_bias", (self.units,), kind="bias")

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Returns ``(U after weight dropout, mask of h or None, b' or None)``.

        If ``reset_after`` is False, the result contains None instead of b'. If ``reset_after`` is True and
        ``use_bias`` is False, it contains zeros instead of b'. :meth:`Cell.constants` describes the
        arguments.
        """
        recurrent_kernel, mask = super().constants(batch, memory, training)
        recurrent_bias = None
        if self.recurrent_bias is not None:
            recurrent_bias = self._compute(self.recurrent_bias)
        elif self.reset_after:
            recurrent_bias = tf.zeros((self.units,), self.compute_dtype)
        return recurrent_kernel, mask, recurrent_bias

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        (h,), (recurrent_kernel, mask, recurrent_bias) = states, constants
        x_gates, x_candidate = tf.split(projected, [2 * self.units, self.units], axis=-1)
        previous = dropped(h, mask)
        if self.reset_after:
            product = previous @ recurrent_kernel  # (batch, 3 units)
            h_gates, h_candidate = tf.split(product, [2 * self.units, self.units], axis=-1)
            u, r = self._update_and_reset(x_gates + h_gates)
            candidate = self.activation(x_candidate + r * (h_candidate + recurrent_bias))
        else:
            gates_kernel, candidate_kernel = tf.split(recurrent_kernel, [2 * self.units, self.units], axis=-1)
            u, r = self._update_and_reset(x_gates + previous @ gates_kernel)
            candidate = self.activation(x_candidate + (r * previous) @ candidate_kernel)
        h = (1 - u) * h + u * candidate  # (batch, units)
        return h, (h,)

    def _update_and_reset(self, z: tf.Tensor) -> list[tf.Tensor]:
        """Computes the gates u and r, each ``(..., units)``, from the blocks of ``z (..., 2 units)``."""
        if self._sigmoid_gates:
            return self.gates(z, 2)
        update, reset = tf.split(z, 2, axis=-1)
        return [1 - self.recurrent_activation(-update), self.recurrent_activation(reset)]

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        if not self.has_default_activations:
            return None
        recurrent_kernel, mask, recurrent_bias = constants
        return kernels.gru(projected, states, recurrent_kernel, recurrent_bias, lengths, mask)

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        (h,), (recurrent_kernel, mask, _) = states, constants
        columns = 2 * self.units
        z = projected[..., :columns] + dropped(h, mask) @ recurrent_kernel[:, :columns]  # (..., 2 units)
        u, r = self._update_and_reset(z)
        return {"1 - update gate": 1 - u, "update gate": u, "reset gate": r}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns an upper bound of the norm of the Jacobian ``d h_t / d h_{t-1}``.

        The bound holds for all steps. It is a sum of two terms. The first term bounds the Jacobian for a
        constant update gate. The second term bounds the effect of ``h_{t-1}`` on ``h_t`` through the update
        gate. Both terms use ``sigmoid' <= 1/4`` and ``tanh' <= 1``. The sum is at least 1 for any weights. It
        therefore cannot prove that a gradient vanishes. Returns None if the activations are not tanh and
        sigmoid.
        """
        if not self.has_default_activations:
            return None
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
