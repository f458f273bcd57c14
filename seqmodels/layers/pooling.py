"""Pooling layers: one vector per sequence of outputs, ``(outputs (n, T, h), states, lengths) -> (n, h)``.

All pooling layers take the results of an encoder. Steps past the end of a row are ignored. A row of length 0
gives zeros, never NaN. :class:`LastPooling` returns the initial state of such a row.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import affine
from seqmodels.layers.attention import masked_softmax
from seqmodels.layers.padding import real_steps


def _weighted_sum(weights: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Computes ``sum_t a_t h_t``: ``(n, T), (n, T, h) -> (n, h)``."""
    # A matrix product accumulates in float32. A plain float16 sum over many steps stops growing.
    return tf.linalg.matvec(outputs, weights, transpose_a=True)


class Pooling(keras.layers.Layer):
    """Base class of the pooling layers. The output has the same size as one input step."""

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        return input_shape[0], input_shape[-1]


@keras.saving.register_keras_serializable(package="seqmodels")
class LastPooling(Pooling):
    """Returns the final state of the last layer, with both directions concatenated.

    The forward direction ends at the last real step of a row, and the backward direction at its first step.
    The state of an LSTM is ``h``, not ``c``.

    >>> states = (((tf.ones((2, 3)),), (tf.zeros((2, 3)),)),)  # one layer, two directions
    >>> LastPooling()(tf.zeros((2, 4, 6)), states)[0].numpy()
    array([1., 1., 1., 0., 0., 0.], dtype=float32)
    """

    def call(self, outputs: tf.Tensor, states: Any, lengths: tf.Tensor | None = None) -> tf.Tensor:
        return tf.concat([direction[0] for direction in states[-1]], axis=-1)  # (batch, units of both)


@keras.saving.register_keras_serializable(package="seqmodels")
class MeanPooling(Pooling):
    """Computes the mean over the real steps.

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
        # One step of zeros is added, so that a row without real steps gives zeros.
        outputs = tf.pad(tf.where(real, outputs, tf.zeros_like(outputs)), ((0, 0), (0, 1), (0, 0)))
        real = real_steps(outputs, lengths)[..., None]  # (batch, time + 1, 1)
        # Padding is replaced by the row minimum. A much lower value would need a range too wide for 8 bits.
        smallest = tf.reduce_min(outputs, axis=1, keepdims=True)  # (batch, 1, units)
        return tf.reduce_max(tf.where(real, outputs, smallest), axis=1)  # (batch, units)


@keras.saving.register_keras_serializable(package="seqmodels")
class AttentionPooling(Pooling):
    """Computes a weighted mean with learned weights (Yang et al. 2016, equations 5 to 7).

    .. math::
            e_t = v . tanh(h_t W + b), \\quad a = softmax(e), \\quad s = sum_t a_t h_t

    ``h_t`` are the outputs ``(n, h)``. The weights are ``W (h, units)``, ``b (units,)`` and ``v (units, 1)``.
    The softmax runs over the real steps.

    Args:
        units: size of the hidden layer of the scorer. Default: the size of the outputs.

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
        """Computes ``a`` ``(n, T)``, zero past the end. A row sums to 1, or to 0 if its length is 0."""
        kernel, bias, scorer = (tf.cast(weight, outputs.dtype) for weight in self.weights)
        hidden = tf.tanh(affine(outputs, kernel, bias))  # (batch, time, units)
        scores = affine(hidden, scorer, None)[..., 0]  # (batch, time)
        return masked_softmax(scores, real_steps(outputs, lengths))

    def call(self, outputs: tf.Tensor, states: Any = None, lengths: tf.Tensor | None = None) -> tf.Tensor:
        return _weighted_sum(self.attention_weights(outputs, lengths), outputs)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}
