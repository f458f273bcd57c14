"""Long short-term memory (LSTM)."""

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
class LSTMCell(GatedCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000).

    .. math::
            i_t &= sigmoid(x_t W_i + h_{t-1} U_i + b_i)        & input gate
            f_t &= sigmoid(x_t W_f + h_{t-1} U_f + b_f)        & forget gate
            c~_t &= tanh(x_t W_c + h_{t-1} U_c + b_c)          & candidate
            o_t &= sigmoid(x_t W_o + h_{t-1} U_o + b_o)        & output gate
            c_t &= f_t * c_{t-1} + i_t * c~_t
            h_t &= o_t * tanh(c_t)

    The option ``activation`` replaces tanh in both equations that contain tanh. The option
    ``recurrent_activation`` replaces sigmoid in all three gates.

    The states are ``(h, c)``, each ``(n, units)``; the output is ``h``. On the direct path from ``c_t`` back
    to ``c_{t-1}``, the gradient is multiplied only by ``f_t``. If ``f_t`` is close to 1, the gradient
    therefore does not vanish over many time steps.

    The weights are ``kernel`` W ``(d, 4 units)``, ``recurrent_kernel`` U ``(units, 4 units)`` and ``bias`` b
    ``(4 units,)``. Their columns are in the same order as in Keras: i, f, c (the candidate), o.

    Args:
        units: size of each state.
        forget_bias: initial value of ``b_f``. With the value 1, ``f_t`` is large enough at the start of
            training that the gradient does not vanish quickly (Jozefowicz et al. 2015, section 2.4).
        activation: activation of the candidate and of ``c_t``: the name of a Keras activation, or a function.
            None means the linear function.
        recurrent_activation: activation of the gates: a name, a function or None, as for ``activation``.
        **kwargs: keyword arguments of :class:`MatrixCell`.

    >>> cell = LSTMCell(3)
    >>> output, (h, c) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape, c.shape
    (TensorShape([2, 3]), TensorShape([2, 3]))
    >>> cell.blocks
    ('input gate', 'forget gate', 'candidate', 'output gate')
    """

    blocks = ("input gate", "forget gate", "candidate", "output gate")
    source = "Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000"
    state_count = 2

    def __init__(
        self,
        units: int,
        forget_bias: float = 1.0,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        **kwargs: Any,
    ):
        super().__init__(units, activation, recurrent_activation, **kwargs)
        self.forget_bias = forget_bias

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        forget = tf.repeat([0.0, self.forget_bias, 0.0, 0.0], self.units)  # (4 units,)
        return super().initial_bias(shape, dtype) + tf.cast(forget, dtype)

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        (h, c), (recurrent_kernel, mask) = states, constants
        phi, sigma = self.activation, self.recurrent_activation
        z = projected + dropped(h, mask) @ recurrent_kernel  # (batch, 4 units)
        i, f, candidate, o = tf.split(z, 4, axis=-1)
        c = sigma(f) * c + sigma(i) * phi(candidate)
        h = sigma(o) * phi(c)
        return h, (h, c)

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        if not self.has_default_activations:
            return None
        recurrent_kernel, mask = constants
        return kernels.lstm(projected, states, recurrent_kernel, lengths, mask)

    def fused(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, States] | None:
        if not self.has_default_activations:
            return None
        kernel, recurrent_kernel, bias = (
            self._compute(self.kernel),
            self._compute(self.recurrent_kernel),
            self._compute_bias(),
        )
        if bias is None:  # the TensorFlow Lite operator needs a bias
            bias = tf.zeros((4 * self.units,), self.compute_dtype)
        return kernels.fused_lstm(inputs, kernel, recurrent_kernel, bias, lengths)

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        (h, _), (recurrent_kernel, mask) = states, constants
        z = projected + dropped(h, mask) @ recurrent_kernel  # (..., 4 units)
        i, f, _, o = self.gates(z, 4)
        return {"forget gate": f, "input gate": i, "output gate": o}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns an upper bound of the norm of a step's Jacobian. The bound holds for all steps.

        The Jacobian has four blocks: the derivatives of ``h_t`` and ``c_t`` with respect to ``h_{t-1}`` and
        ``c_{t-1}``. The norm of each block has an upper bound, because ``sigmoid' <= 1/4`` and
        ``tanh' <= 1``. The four bounds form a 2 x 2 matrix. The method returns the norm of this matrix. The
        result is above 1 for any weights. It therefore cannot prove that a gradient vanishes. Returns None
        if the activations are not tanh and sigmoid.
        """
        if not self.has_default_activations:
            return None
        i, f, c, o = (norm(block) for block in np.split(np.asarray(constants[0]), 4, axis=-1))
        through_cell = i / 4 + largest(states[1]) * f / 4 + c  # bounds d c_t / d h_{t-1}
        return norm([[through_cell + o / 4, 1.0], [through_cell, 1.0]])  # row 1 is for h_t, row 2 for c_t

    def get_config(self) -> dict:
        return {**super().get_config(), "forget_bias": self.forget_bias}
