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
            y = b + \frac{1}{\sqrt{m}} \sum_{g \in G} w_{hash(g)}

    G is the set of the n-grams of 1 to N tokens that occur in the text. Repetitions of an n-gram do not
    change the sum. With ``normalized``, m is the number of elements of G, so that the size of y does not grow
    with the length of the text. Otherwise, m is 1. A linear classifier with such features is a strong
    baseline if single phrases decide the class (Wang and Manning 2012). The classifier ignores dependencies
    over more than N words, which a recurrent network can use.

    A hash function maps each n-gram to a bucket, which is a row of the weight table. N-grams in the same
    bucket share their weights (Weinberger et al. 2009). The layer therefore does not store a list of n-grams.

    The weights are not trainable. :mod:`apps.sentiment.linear` computes them by convex optimization. This
    optimization has one binary input feature per row of the table (:meth:`hashed`). Training with Adam would
    overfit: most n-grams occur in few texts, but Adam changes each of their weights by about the learning
    rate per step.

    ``bag(tokens (n, T) int32, lengths (n,) or None)`` returns ``y (n, features)`` for n texts. ``lengths``
    contains the number of real steps (steps that are not padding) per text. For a text of length 0, y is b.
    :meth:`evidence` returns the weights of the n-grams that end at each step. A recurrent network can use
    these weights as inputs.

    The weights are initially zero:

    - ``table`` w ``(vocabulary + buckets, features)``
    - ``bias`` b ``(features,)``

    Args:
        order: number of tokens of the longest n-grams, N.
        features: size of y, for example the number of classes.
        buckets: number of hash buckets.
        vocabulary: number of token ids. If it is above 0, each single token has its own row of the table,
            the row with the number of its id. The buckets follow after these rows, and only longer n-grams
            are hashed. With 0, single tokens are hashed, too.
        normalized: if True, the sum is divided by the square root of the number of distinct n-grams.

    Raises:
        ValueError: if ``order``, ``features`` or ``buckets`` is below 1, or ``vocabulary`` is below 0.

    >>> bag = NgramBag(order=2, features=3, buckets=31)
    >>> bag(tf.constant([[4, 5, 6], [4, 5, 0]]), lengths=tf.constant([3, 2])).shape
    TensorShape([2, 3])
    """

    def __init__(
        self,
        order: int,
        features: int,
        buckets: int = 2**20,
        vocabulary: int = 0,
        normalized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if min(order, features, buckets) < 1:
            raise ValueError(
                f"order, features and buckets must be at least 1; got {order}, {features} and {buckets}"
            )
        if vocabulary < 0:
            raise ValueError(f"vocabulary must be at least 0; got {vocabulary}")
        self.order, self.features, self.buckets = order, features, buckets
        self.vocabulary, self.normalized = vocabulary, normalized

    @property
    def rows(self) -> int:
        """Number of rows of the table."""
        return self.vocabulary + self.buckets

    def build(self, input_shape: Any = None) -> None:
        shape = (self.rows, self.features)
        self.table = self.add_weight(name="table", shape=shape, initializer="zeros", trainable=False)
        self.bias = self.add_weight(name="bias", shape=(self.features,), initializer="zeros", trainable=False)
        self.built = True

    def call(self, tokens: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        buckets = self.hashed(tokens, lengths)
        rows = tf.gather(tf.convert_to_tensor(self.table), tf.maximum(buckets, 0))
        rows = tf.cast(rows, self.compute_dtype)  # (batch, order * time, features)
        counted = tf.cast(buckets >= 0, self.compute_dtype)
        bias = tf.cast(tf.convert_to_tensor(self.bias), self.compute_dtype)
        if self.normalized:
            distinct = tf.reduce_sum(counted, axis=1, keepdims=True)  # (batch, 1)
            counted = counted / tf.sqrt(tf.maximum(distinct, 1))
        return tf.linalg.matvec(rows, counted, transpose_a=True) + bias

    def hashed(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the distinct rows of the table that belong to each text, ``(n, order * T)`` int32.

        The row numbers of a text are in increasing order. The value -1 marks an empty entry, which must be
        ignored. Empty entries can be before and between the row numbers.
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

        The tensor contains, for each step, the row of the table for the n-gram that ends at this step. The
        row is -1 if no n-gram of this length ends at the step.
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
            row = tf.cast(hashes % self.buckets, tf.int32) + self.vocabulary
            if order == 0 and self.vocabulary:
                row = tokens
            found.append(tf.where(real, row, -1))
        return found

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        return input_shape[0], self.features

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "order": self.order,
            "features": self.features,
            "buckets": self.buckets,
            "vocabulary": self.vocabulary,
            "normalized": self.normalized,
        }
