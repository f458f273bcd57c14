"""An output layer that shares the matrix of the embedding."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.cell import affine


@keras.saving.register_keras_serializable(package="seqmodels")
class TiedOutput(keras.layers.Layer):
    """Logits from the vectors of the input embedding (Press and Wolf 2017; Inan et al. 2017).

    ``logits = (x P) E^T + b`` with the embedding ``E (v, e)``, which is handed in at every call because it is
    not this layer's own. ``P (d, e)`` is there only where the features d and the embedding's width e differ.

    Args:
        vocabulary: number of token ids, v.
        units: width of the embedding, e.
    """

    def __init__(self, vocabulary: int, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.units = units

    def build(self, input_shape: Any, *_: Any) -> None:
        features = input_shape[-1]
        self.projection = None
        if features != self.units:
            self.projection = self.add_weight(
                name="projection", shape=(features, self.units), initializer="glorot_uniform"
            )
        self.bias = self.add_weight(name="bias", shape=(self.vocabulary,), initializer="zeros")
        self.built = True

    def call(self, inputs: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        """``(n, T, d)`` and ``E (v, e)`` to logits ``(n, T, v)``."""
        table = tf.ensure_shape(tf.cast(table, self.compute_dtype), (self.vocabulary, self.units))
        return affine(self.project(inputs), tf.transpose(table), tf.convert_to_tensor(self.bias))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """``x P``, or x where there is no P: ``(n, T, d)`` to ``(n, T, e)``."""
        if self.projection is None:
            return inputs
        return affine(inputs, tf.convert_to_tensor(self.projection), None)

    def compute_output_shape(self, inputs_shape: Any, table_shape: Any) -> Any:
        return (*inputs_shape[:-1], self.vocabulary)

    def get_config(self) -> dict:
        return {**super().get_config(), "vocabulary": self.vocabulary, "units": self.units}
