"""Base class of the cells with gates: the activations of the gates and of the candidate."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.matrix import MatrixCell


class GatedCell(MatrixCell):
    """Adds the two activations of Keras' LSTM and GRU.

    The kernels and the fused operator cover tanh and sigmoid, the defaults. With other activations, the
    generic loop runs.

    Args:
        units: size of the state.
        activation: name of a Keras activation, or a function: phi of the candidate. None is linear.
        recurrent_activation: name of a Keras activation, or a function: sigma of the gates. None is linear.
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
        """True if the activations are tanh and sigmoid, which the kernels cover."""
        return self.activation is keras.activations.get("tanh") and self._sigmoid_gates

    @property
    def _sigmoid_gates(self) -> bool:
        return self.recurrent_activation is keras.activations.get("sigmoid")

    def gates(self, z: tf.Tensor, count: int) -> list[tf.Tensor]:
        """Returns ``count`` gates ``(..., units)`` of ``z (..., count * units)``."""
        if self._sigmoid_gates:
            return tf.split(tf.sigmoid(z), count, axis=-1)
        return [self.recurrent_activation(block) for block in tf.split(z, count, axis=-1)]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "recurrent_activation": keras.activations.serialize(self.recurrent_activation),
        }
