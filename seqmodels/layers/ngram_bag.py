"""A layer that computes a linear model of word n-grams.

The model ``Classifier`` can combine this layer with recurrent layers.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

PRIME = 2**31 - 1
MULTIPLIER = 1327217885  # 2^31 / golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)


@keras.saving.register_keras_serializable(package="seqmodels")
class NgramBag(keras.layers.Layer):
    r"""Sums one weight vector per distinct n-gram of a text.

    .. math::
            y = b + \sum_{g \in G} w_{hash(g)}

    G is the set of the n-grams of 1 to N tokens that occur in the text. Repetitions of an n-gram do not
    change the sum. A linear classifier with such features is a strong baseline if single phrases decide the
    class (Wang and Manning 2012). The classifier ignores dependencies over more than N words, which a
    recurrent network can use.

    A hash function maps each n-gram to a bucket, which is a row of the weight table. N-grams in the same
    bucket share their weights (Weinberger et al. 2009). The layer therefore does not store a list of n-grams.

    The weights are not trainable. :func:`apps.sentiment.bag_of_words.fit_ratios` computes them by convex
    optimization. This optimization has one binary input feature per bucket (:meth:`hashed`). Training with
    Adam would overfit: most n-grams occur in few texts, but Adam changes each of their weights by about the
    learning rate per step.

    ``bag(tokens (n, T) int32, lengths (n,) or None)`` returns ``y (n, features)`` for n texts. ``lengths``
    contains the number of real steps (steps that are not padding) per text. For a text of length 0, y is b.
    :meth:`evidence` returns the weights of the n-grams that end at each step. A recurrent network can use
    these weights as inputs.

    The weights are initially zero:

    - ``table`` w ``(buckets, features)``
    - ``bias`` b ``(features,)``

    Args:
        order: number of tokens of the longest n-grams, N.
        features: size of y, for example the number of classes.
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
        """Returns the distinct buckets of each text, ``(n, order * T)`` int32.

        The buckets of a text are in increasing order. The value -1 marks an empty entry, which must be
        ignored. Empty entries can be before and between the buckets.
        """
        buckets = tf.sort(tf.concat(self._buckets(tokens, lengths), axis=1), axis=1)
        before = tf.pad(buckets[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        return tf.where(buckets == before, -1, buckets)

    def evidence(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the weights of the n-grams that end at each step, ``(n, T, order * features)``.

        At each step, the weights of the 1-gram come first, followed by the weights of the 2-gram, and so on.
        If an n-gram occurs several times in a text, its weights are returned at every occurrence. Near the
        start of a text, there are no long n-grams yet, so their weights are 0. At padding, all weights are 0.
        """
        buckets = tf.stack(self._buckets(tokens, lengths), axis=2)  # (batch, time, order)
        rows = tf.gather(tf.convert_to_tensor(self.table), tf.maximum(buckets, 0))
        weights = tf.cast(rows, self.compute_dtype) * tf.cast(buckets >= 0, self.compute_dtype)[..., None]
        batch, time = tf.unstack(tf.shape(tokens))
        return tf.reshape(weights, (batch, time, self.order * self.features))

    def _buckets(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> list[tf.Tensor]:
        """Returns a list with one tensor ``(n, T)`` int32 per n-gram length.

        The tensor contains, for each step, the bucket of the n-gram that ends at this step. The bucket is -1
        if no n-gram of this length ends at the step.
        """
        steps = tf.range(tf.shape(tokens)[1])
        hashes = tf.zeros_like(tokens, tf.int64)
        found = []
        for order in range(
            self.order
        ):  # the hash of an n-gram is computed from its last token to its first token
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
