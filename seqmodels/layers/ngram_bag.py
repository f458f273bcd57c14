"""A linear model over word n-grams, as a layer that stands beside a recurrent one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.cell import check_rate

PRIME = 2**31 - 1
MULTIPLIER = 1327217885  # 2^31 over the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4)


@keras.saving.register_keras_serializable(package="seqmodels")
class NgramBag(keras.layers.Layer):
    r"""The sum of one weight vector for each distinct n-gram of a row, over the root of their number.

    .. math::
        y = \frac{1}{\sqrt{|G|}} \sum_{g \in G} w_{hash(g)}

    with G the set of n-grams of orders 1 to N. A linear classifier on binary n-grams is hard to beat where
    single phrases decide (Wang and Manning 2012), and says nothing of what lies further apart than N words: a
    recurrent network beside it does. N-grams share weights where their hashes meet (Weinberger et al. 2009),
    so that the table needs no dictionary.

    ``bag(tokens (n, T) int32, lengths (n,) or None)`` returns ``(n, features)``; a row of length 0 gives 0.

    Weights:

    - ``table`` ``(buckets, features)``, w divided by ``gain``, from zero

    Args:
        order: longest n-gram, N.
        features: width of the result.
        buckets: rows of the table.
        dropout: probability of dropping an n-gram of a row, so that none is leaned on alone.
        gain: how much larger weights count than they are stored. An optimizer that moves every weight by
            about its rate (Adam) is slow for n-grams, most of which are seen in few rows: so it moves them
            faster.
        seed: for the dropout.

    Raises:
        ValueError: an order, a width or a number of buckets below 1, or a rate outside ``[0, 1)``.
    """

    def __init__(
        self,
        order: int,
        features: int,
        buckets: int = 2**20,
        dropout: float = 0.0,
        gain: float = 30.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if min(order, features, buckets) < 1:
            raise ValueError(f"order is {order}, features {features}, buckets {buckets}; each is at least 1")
        self.order, self.features, self.buckets = order, features, buckets
        self.dropout = check_rate("dropout", dropout)
        self.gain = gain
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, input_shape: Any = None) -> None:
        shape = (self.buckets, self.features)
        self.table = self.add_weight(name="table", shape=shape, initializer="zeros")
        self.built = True

    def call(self, tokens: tf.Tensor, lengths: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        buckets = tf.sort(self._hashed(tokens, lengths), axis=1)  # (batch, order * time)
        before = tf.pad(buckets[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
        counted = (buckets >= 0) & (buckets != before)  # each once, what is no n-gram not at all
        weights = tf.cast(counted, self.compute_dtype)
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        if training and self.dropout:
            weights = keras.random.dropout(weights, self.dropout, seed=self.seed_generator)
        rows = tf.gather(tf.convert_to_tensor(self.table), tf.maximum(buckets, 0))
        rows = tf.cast(self.gain * rows, self.compute_dtype)  # (batch, order * time, features)
        return tf.linalg.matvec(rows, weights, transpose_a=True) / tf.sqrt(tf.maximum(total, 1.0))

    def _hashed(self, tokens: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """The bucket of each n-gram by its last token, -1 where there is none: ``(n, order * T)`` int32."""
        steps = tf.range(tf.shape(tokens)[1])
        hashes = tf.zeros_like(tokens, tf.int64)
        found = []
        for order in range(self.order):
            shifted = tf.pad(tokens, ((0, 0), (order, 0)))[:, : tf.shape(tokens)[1]]
            hashes = (hashes + tf.cast(shifted, tf.int64) + 1) * MULTIPLIER % PRIME
            real = steps >= order
            if lengths is not None:
                real = real & (steps < lengths[:, None])
            found.append(tf.where(real, tf.cast(hashes % self.buckets, tf.int32), -1))
        return tf.concat(found, axis=1)

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        return input_shape[0], self.features

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "order": self.order,
            "features": self.features,
            "buckets": self.buckets,
            "dropout": self.dropout,
            "gain": self.gain,
            "seed": self.seed,
        }
