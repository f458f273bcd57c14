"""The simple recurrent cell."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells.bounds import norm
from seqmodels.cells.matrix import MatrixCell
from seqmodels.kernels import States, dropped

LARGEST_SLOPES = {"linear": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}  # largest |phi'|


@keras.saving.register_keras_serializable(package="seqmodels")
class RNNCell(MatrixCell):
    """Simple recurrent cell (Elman 1990, Finding Structure in Time).

    .. math:: h_t = phi(x_t W + h_{t-1} U + b)

    ``x_t`` is the input ``(n, d)``. ``h_t`` is both the state and the output ``(n, units)``. ``phi`` is the
    activation. The weights are ``kernel`` W ``(d, units)``, ``recurrent_kernel`` U ``(units, units)`` and
    ``bias`` b ``(units,)``.

    The gradient over k steps contains a product of k Jacobians ``diag(phi') U^T``. For large k this product
    vanishes if ``||U|| max|phi'|`` is less than 1, and may explode if ``||U|| max|phi'|`` is greater than 1
    (Bengio et al. 1994; Pascanu et al. 2013, section 2.1). Le et al. (2015, arXiv
    1504.00941) use ``activation="relu"`` and ``recurrent_initializer="identity"``. Before training, such a
    cell copies its state if the state is not negative and the input is 0.

    Args:
        units: size of the state.
        activation: name of a Keras activation, or a function.
        **kwargs: keyword arguments of :class:`MatrixCell`.

    >>> cell = RNNCell(3)
    >>> output, (h,) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape
    TensorShape([2, 3])
    """

    source = "Elman 1990, Finding Structure in Time"

    def __init__(self, units: int, activation: Any = "tanh", **kwargs: Any):
        super().__init__(units, **kwargs)
        self.activation = keras.activations.get(activation)

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        (h,), (recurrent_kernel, mask) = states, constants
        h = self.activation(projected + dropped(h, mask) @ recurrent_kernel)  # (batch, units)
        return h, (h,)

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        recurrent_kernel, mask = constants
        name = self._known_activation()
        if name not in kernels.RNN_ACTIVATIONS:
            return None
        return kernels.rnn(projected, states, recurrent_kernel, name, lengths, mask)

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns ``||U|| max |phi'|``, which bounds the norm of the Jacobian ``diag(phi') U^T``.

        If the bound is below 1, the gradient vanishes over many steps (Pascanu et al. 2013, equation 6).
        Returns None if the largest slope of the activation is not known.
        """
        slope = LARGEST_SLOPES.get(self._known_activation())
        return None if slope is None else slope * norm(constants[0])

    def _known_activation(self) -> str:
        """Returns the name of the activation if it is a known Keras function, else an empty string.

        A user's function may have the same name as a Keras function. The method therefore also checks that
        the activation is the function from Keras.
        """
        name = getattr(self.activation, "__name__", "")
        known = {*kernels.RNN_ACTIVATIONS, *LARGEST_SLOPES}
        return name if name in known and self.activation is keras.activations.get(name) else ""

    def get_config(self) -> dict:
        return {**super().get_config(), "activation": keras.activations.serialize(self.activation)}
