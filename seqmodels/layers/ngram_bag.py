"""A layer that computes a linear model over word n-grams, for use together with a recurrent layer."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

PRIME = 2**31 - 1
MULTIPLIER = 1327217885  # 2^31 / golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)


@keras.saving.register_keras_serializable(package="seqmodels")
class NgramBag(keras.layers.Layer):
    r"""Sums one weight vector per distinct n-gram of a row.

    .. math::
            y = b + \sum_{g \in G} w_{hash(g)}

    G is the set of n-grams of orders 1 to N. A linear classifier on binary n-grams is hard to beat if single
    phrases decide the class (Wang and Manning 2012). The classifier ignores dependencies over more than N
    words, but a recurrent network can use such dependencies. N-grams with the same hash share weights
    (Weinberger et al. 2009), so the table needs no dictionary.

    The weights are not trainable. A convex fit over the results of :meth:`hashed` finds them
    (:func:`apps.sentiment.bag_of_words.fit_ratios`). Most n-grams occur in few rows. Adam, which moves every
    weight by about the learning rate, overfits these rows.

    ``bag(tokens (n, T) int32, lengths (n,) or None)`` returns ``(n, features)``. A row of length 0 gives b.
    :meth:`evidence` returns the terms of the sum by position, as input of a recurrent network.

    The weights are initially zero:

    - ``table`` ``(buckets, features)``, w
    - ``bias`` ``(features,)``, b

    Args:
        order: length of the longest n-grams, N.
        features: size of the result.
        buckets: number of rows of the table.

    Raises:
        ValueError: if ``order``, ``features`` or ``buckets`` is below 1.

    >>> bag = NgramBag(order=2, features=3, buckets=31)
    >>> bag(tf.constant([[4, 5, 6], [4, 5, 0]]), lengths=tf.constant([3, 2])).shape
    TensorShape([2, 3])
    """

    def __init__(self, order: int, features: int, buckets: int = 2**20, **kwargs: Any):
        super().__init__(**kwargs)
        if min(order, features, buckets) < 1:
            raise ValueError(
                f"order, features and buckets must be at least 1; got {order}, {features} and {buckets}"
            )
        self.order, self.features, self.buckets = order, features, buckets

    def build(self, input_shape: Any = None) -> None:
        shape = (self.buckets, self.features)
        self.table = self.add_weight(name="table", shape=shape, initializer="zeros", trainable=False)
        self.bias = self.add_weight(name="bias", shape=(self.features,), initializer="zeros", trainable=False)
        self.built = True

    def call(self, tokens: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        buckets = self.hashed(tokens, lengths)
        rows = tf.gather(tf.convert_to_tensor(self.table), tf.maximum(buckets, 0))
        rows = tf.cast(rows, self.compute_dtype)  # (batch, order * time, features)
        counted = tf.cast(buckets >= 0, self.compute_dtype)
        bias = tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)
        return tf.linalg.matvec(rows, counted, transpose_a=True) + bias

    def hashed(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the buckets of the distinct n-grams of each row: ``(n, order * T)`` int32.

        The buckets are in increasing order. The unused entries between the buckets are -1.
        """
        buckets = tf.sort(tf.concat(self._buckets(tokens, lengths), axis=1), axis=1)
        before = tf.pad(buckets[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        return tf.where(buckets == before, -1, buckets)

    def evidence(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the weights of the n-grams that end at each step: ``(n, T, order * features)``.

        The weights of order 1 come first. A repeated n-gram counts at every occurrence. The weights are 0 if
        no n-gram ends at a step.
        """
        buckets = tf.stack(self._buckets(tokens, lengths), axis=2)  # (batch, time, order)
        rows = tf.gather(tf.convert_to_tensor(self.table), tf.maximum(buckets, 0))
        weights = tf.cast(rows, self.compute_dtype) * tf.cast(buckets >= 0, self.compute_dtype)[..., None]
        batch, time = tf.unstack(tf.shape(tokens))
        return tf.reshape(weights, (batch, time, self.order * self.features))

    def _buckets(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> list[tf.Tensor]:
        """Returns ``(n, T)`` int32 per order: the bucket of the n-gram that ends at a step, or -1."""
        steps = tf.range(tf.shape(tokens)[1])
        hashes = tf.zeros_like(tokens, tf.int64)
        found = []
        for order in range(self.order):  # an n-gram is hashed from its last token to its first
            shifted = tf.pad(tokens, ((0, 0), (order, 0)))[:, : tf.shape(tokens)[1]]
            hashes = (hashes + tf.cast(shifted, tf.int64) + 1) * MULTIPLIER % PRIME
            real = steps >= order
            if lengths is not None:
                real = real & (steps < lengths[:, None])
            found.append(tf.where(real, tf.cast(hashes % self.buckets, tf.int32), -1))
        return found

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        return input_shape[0], self.features

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "order": self.order,
            "features": self.features,
            "buckets": self.buckets,
        }
