"""Base class of the LSTM and the GRU. It defines the activations of the gates and of the candidate."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.matrix import MatrixCell


class GatedCell(MatrixCell):
    """Base class of the LSTM and the GRU. It adds two activations, with the same names as in Keras.

    The fast kernels of :mod:`seqmodels.kernels` support only the default activations, tanh and sigmoid. With
    other activations, a slower loop computes one time step after the other.

    Args:
        units: size of the state.
        activation: activation of the candidate: the name of a Keras activation, or a function. None means
            the linear function.
        recurrent_activation: activation of the gates: a name, a function or None, as for ``activation``.
        **kwargs: keyword arguments of :class:`MatrixCell`.
    """

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", **kwargs: Any
    ):
        super().__init__(units, **kwargs)
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)

    @property
    def has_default_activations(self) -> bool:
        """True if the activations are tanh and sigmoid. The kernels support only these activations."""
        return self.activation is keras.activations.get("tanh") and self._sigmoid_gates

    @property
    def _sigmoid_gates(self) -> bool:
        return self.recurrent_activation is keras.activations.get("sigmoid")

    def gates(self, z: tf.Tensor, count: int) -> list[tf.Tensor]:
        """Splits ``z (..., count * units)`` into ``count`` blocks and applies the gate activation to each."""
        if self._sigmoid_gates:
            return tf.split(tf.sigmoid(z), count, axis=-1)
        return [self.recurrent_activation(block) for block in tf.split(z, count, axis=-1)]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
        }
