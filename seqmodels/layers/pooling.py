"""Pooling layers, which reduce the outputs of a sequence to one vector.

A pooling layer receives the results of an encoder, ``(outputs (n, T, h), states, lengths (n,) or None)``, and
returns ``(n, h)``. ``lengths`` contains the number of real steps per row. All steps after the real steps are
padding and are ignored. For a row of length 0, :class:`LastPooling` returns the initial state of the row. All
other pooling layers return zeros for such a row, never NaN.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import affine
from seqmodels.layers.attention import masked_softmax
from seqmodels.layers.padding import real_steps


def _weighted_sum(weights: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Sums the outputs ``(n, T, h)`` over time with the weights ``(n, T)``. The result is ``(n, h)``."""
    # A matrix product adds its terms in float32. In float16, a sum of many small terms would stop growing.
    return tf.linalg.matvec(outputs, weights, transpose_a=True)


class Pooling(keras.layers.Layer):
    """Base class of the pooling layers. The output has as many features as one step of the input."""

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        return input_shape[0], input_shape[-1]


@keras.saving.register_keras_serializable(package="seqmodels")
class LastPooling(Pooling):
    """Returns the final state of the topmost layer.

    If the topmost layer is bidirectional, the final states of both directions are concatenated. The forward
    direction ends at the last real step of each row, and the backward direction ends at the first step. For
    an LSTM, the layer returns ``h`` and not ``c``.

    >>> states = (((tf.ones((2, 3)),), (tf.zeros((2, 3)),)),)  # one layer, two directions
    >>> LastPooling()(tf.zeros((2, 4, 6)), states)[0].numpy()
    array([1., 1., 1., 0., 0., 0.], dtype=float32)
    """

    def call(self, outputs: tf.Tensor, states: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        return tf.concat([direction[0] for direction in states[-1]], axis=-1)  # (batch, units of both)


@keras.saving.register_keras_serializable(package="seqmodels")
class MeanPooling(Pooling):
    """Computes the mean of each feature over the real steps.

    >>> outputs = tf.constant([[[1.0], [3.0], [9.0]]])
    >>> MeanPooling()(outputs, lengths=tf.constant([2])).numpy()
    array([[2.]], dtype=float32)
    """

    def call(self, outputs: tf.Tensor, states: Any = None, lengths: tf.Tensor | None = None) -> tf.Tensor:
        real = real_steps(outputs, lengths)
        steps = tf.math.count_nonzero(real, axis=1, keepdims=True, dtype=tf.int32)  # (batch, 1)
        weights = tf.cast(real, outputs.dtype) / tf.cast(tf.maximum(steps, 1), outputs.dtype)
        return _weighted_sum(weights, outputs)


@keras.saving.register_keras_serializable(package="seqmodels")
class MaxPooling(Pooling):
    """Computes the maximum of each feature over the real steps.

    >>> outputs = tf.constant([[[1.0], [3.0], [9.0]]])
    >>> MaxPooling()(outputs, lengths=tf.constant([2])).numpy()
    array([[3.]], dtype=float32)
    """

    def call(self, outputs: tf.Tensor, states: Any = None, lengths: tf.Tensor | None = None) -> tf.Tensor:
        if lengths is None:
            lengths = tf.fill(tf.shape(outputs)[:1], tf.shape(outputs)[1])
        real = real_steps(outputs, lengths)[..., None]  # (batch, time, 1)
        # The appended step of zeros makes the result zero for a row without real steps.
        outputs = tf.pad(tf.where(real, outputs, tf.zeros_like(outputs)), ((0, 0), (0, 1), (0, 0)))
        real = real_steps(outputs, lengths)[..., None]  # (batch, time + 1, 1)
        # Padding is replaced by the row minimum and not by a much lower number. With a much lower number, an
        # 8-bit model could not represent the differences between the real values.
        smallest = tf.reduce_min(outputs, axis=1, keepdims=True)  # (batch, 1, units)
        return tf.reduce_max(tf.where(real, outputs, smallest), axis=1)  # (batch, units)


@keras.saving.register_keras_serializable(package="seqmodels")
class AttentionPooling(Pooling):
    """Computes a weighted mean of the outputs with learned attention (Yang et al. 2016, equations 5 to 7).

    .. math::
            e_t = v . tanh(h_t W + b), \\quad a = softmax(e), \\quad s = sum_t a_t h_t

    ``h_t (n, d)`` is the output at step t, and ``s (n, d)`` is the result. The trainable weights are
    ``W (d, units)``, ``b (units,)`` and ``v (units, 1)``. The softmax runs only over the real steps.

    Args:
        units: size of the hidden layer ``tanh(h_t W + b)``. Default: the size of the outputs, d.

    >>> pooling = AttentionPooling(units=4)
    >>> pooling(tf.ones((2, 3, 5)), lengths=tf.constant([3, 2])).shape
    TensorShape([2, 5])
    >>> pooling.attention_weights(tf.ones((2, 3, 5)), lengths=tf.constant([3, 2]))[1].numpy()
    array([0.5, 0.5, 0. ], dtype=float32)
    """

    def __init__(self, units: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        units = self.units or width
        self.kernel = self.add_weight(name="kernel", shape=(width, units), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self.scorer = self.add_weight(name="scorer", shape=(units, 1), initializer="glorot_uniform")
        self.built = True

    def attention_weights(self, outputs: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Computes the attention weights ``a (n, T)``. They are 0 at padding.

        The weights of a row sum to 1, or to 0 if the length of the row is 0.
        """
        kernel, bias, scorer = (tf.cast(weight, outputs.dtype) for weight in self.weights)
        hidden = tf.tanh(affine(outputs, kernel, bias))  # (batch, time, units)
        scores = affine(hidden, scorer, None)[..., 0]  # (batch, time)
        return masked_softmax(scores, real_steps(outputs, lengths))

    def call(self, outputs: tf.Tensor, states: Any = None, lengths: tf.Tensor | None = None) -> tf.Tensor:
        return _weighted_sum(self.attention_weights(outputs, lengths), outputs)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}
