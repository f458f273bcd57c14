"""Attention layers. For each query they compute a weighted sum of the steps of a memory.

A memory is a sequence of vectors, for example the outputs of an encoder. An attention layer reads a query
``q_t (n, q)`` and a memory with S steps, ``m_1 .. m_S (n, m)``. n is the batch size. Each sequence of the
batch is called a row. The layer computes the scores ``e``, the weights ``a`` and the context::

    e_ts = score(q_t, m_s),   a_t = softmax(e_t1 .. e_tS),   context_t = sum_s a_ts m_s

The softmax runs only over the real steps of each row, which are the steps that are not padding. If a row has
no real steps, its context and its weights are zeros, never NaN. ``prepare`` runs once per memory and computes
keys, values and a mask, which do not depend on the query. ``attend`` processes T queries per row,
``(n, T, q)``, with one batched matrix product.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels.kernels import affine
from seqmodels.layers.padding import real_steps


class Prepared(NamedTuple):
    """The keys, values and mask of a memory with S steps. They do not depend on the query.

    Attributes:
        keys: vectors of size u, ``(n, S, u)``. The layer compares each query with all keys. For multi-head
            attention the shape is ``(n, heads, S, u)``.
        values: vectors whose weighted sum is the context, ``(n, S, m)``. For multi-head attention the shape
            is ``(n, heads, S, u)``.
        real: mask, True at the real steps of the memory, bool ``(n, 1, S)``.
    """

    keys: tf.Tensor
    values: tf.Tensor
    real: tf.Tensor


class Attention(keras.layers.Layer):
    """Base class of the attention layers.

    ``attention(query (n, q), memory (n, S, m), lengths (n,) or None)`` returns
    ``(context (n, output_size), weights (n, S))``. The memory has S steps with m features, and a query has q
    features. ``lengths`` contains the number of real steps of each row of the memory. None means that no row
    has padding.
    """

    def build(self, query_shape: Any, memory_shape: Any) -> None:
        self.output_size = memory_shape[-1]
        self.build_weights(query_shape[-1], memory_shape[-1])
        self.built = True

    def build_weights(self, query_units: int, memory_units: int) -> None:
        """Adds the weights of the layer. The base class adds no weights."""

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        """Computes the keys ``(n, S, u)`` of a memory ``(n, S, m)``. The base class returns the memory."""
        return memory

    def score(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """Computes the scores ``e (n, T, S)`` of queries ``(n, T, q)`` and keys ``(n, S, u)``."""
        return tf.matmul(query, keys, transpose_b=True)

    def prepare(self, memory: tf.Tensor, lengths: tf.Tensor | None = None) -> Prepared:
        """Computes the keys, the values and the mask of a memory. They do not depend on the query.

        Args:
            memory: ``(n, S, m)``.
            lengths: number of real steps per row, ``(n,)``, or None if no row has padding.
        """
        memory = tf.cast(memory, self.compute_dtype)
        return Prepared(self.keys(memory), memory, real_steps(memory, lengths)[:, None])

    def attend(self, query: tf.Tensor, prepared: Prepared) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns contexts ``(n, T, output_size)`` and weights ``(n, T, S)`` for queries ``(n, T, q)``."""
        weights = masked_softmax(self.score(query, prepared.keys), prepared.real)
        return tf.matmul(weights, prepared.values), weights

    def call(
        self, query: tf.Tensor, memory: tf.Tensor, lengths: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        context, weights = self.attend(query[:, None], self.prepare(memory, lengths))
        return context[:, 0], weights[:, 0]

    def _weight(self, name: str, *shape: int) -> Any:
        return self.add_weight(name=name, shape=shape, initializer="glorot_uniform")

    def _compute(self, weight: Any) -> tf.Tensor:
        """Casts a weight to the compute dtype.

        Keras casts weights only in ``__call__``. But :meth:`prepare` and :meth:`attend` can also be called
        directly.
        """
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)


def masked_softmax(scores: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Computes the softmax over the real entries of the last axis. Padding has weight 0.

    If no entry is real, all weights are 0. Inside the softmax, each padding entry has the score
    ``min(row minimum, 0) - 30``, which gives a weight of at most 1e-13. A much lower score would widen the
    range of the scores. A model with 8-bit scores could then not distinguish the scores of real entries.

    Args:
        scores: ``(..., S)``.
        real: mask, True at real entries and False at padding, bool ``(..., S)``.
    """
    least = tf.reduce_min(tf.where(real, scores, tf.zeros_like(scores)), axis=-1, keepdims=True)
    weights = tf.nn.softmax(tf.where(real, scores, tf.stop_gradient(least) - 30))
    return tf.where(real, weights, tf.zeros_like(weights))


@keras.saving.register_keras_serializable(package="seqmodels")
class AdditiveAttention(Attention):
    """Attention with a hidden layer as score function (Bahdanau et al. 2015, appendix A.1.2).

    .. math::
            e_{ts} = v \\cdot tanh(q_t W + m_s U)

    The weights are ``query_kernel`` W ``(q, units)``, ``memory_kernel`` U ``(m, units)`` and ``scorer`` v
    ``(units, 1)``. For n rows, T queries per row and a memory with S steps, the hidden layer contains
    ``n * T * S * units`` numbers. If T and S are large, the hidden layer needs much RAM. The other
    attention layers do not have a hidden layer.

    Args:
        units: size of the hidden layer. Default: the size of the query.

    >>> attention = AdditiveAttention(units=8)
    >>> context, weights = attention(tf.ones((2, 3)), tf.ones((2, 4, 5)), lengths=tf.constant([4, 2]))
    >>> context.shape, weights[1].numpy()
    (TensorShape([2, 5]), array([0.5, 0.5, 0. , 0. ], dtype=float32))
    """

    def __init__(self, units: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units

    def build_weights(self, query_units: int, memory_units: int) -> None:
        units = self.units or query_units
        self.query_kernel = self._weight("query_kernel", query_units, units)
        self.memory_kernel = self._weight("memory_kernel", memory_units, units)
        self.scorer = self._weight("scorer", units, 1)

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        return affine(memory, self._compute(self.memory_kernel), None)

    def score(self, query: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        projected = affine(query, self._compute(self.query_kernel), None)  # (batch, queries, units)
        hidden = tf.tanh(projected[:, :, None] + keys[:, None])  # (batch, queries, steps, units)
        return tf.reduce_sum(hidden * self._compute(self.scorer)[:, 0], axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="seqmodels")
class DotAttention(Attention):
    """Attention by the dot product of query and memory (Luong et al. 2015, equation 8, dot).

    The layer has no trainable weights.

    .. math::
            e_{ts} = q_t \\cdot m_s

    Raises:
        ValueError: if query and memory have different sizes.

    >>> context, weights = DotAttention()(tf.ones((2, 3)), tf.ones((2, 4, 3)), lengths=tf.constant([4, 2]))
    >>> context.shape, weights[1].numpy()
    (TensorShape([2, 3]), array([0.5, 0.5, 0. , 0. ], dtype=float32))
    """

    def build_weights(self, query_units: int, memory_units: int) -> None:
        if query_units != memory_units:
            raise ValueError(
                f"dot attention needs a query and a memory of the same size; got a query of size "
                f"{query_units} and a memory of size {memory_units}; use the same size for both, or use "
                "GeneralAttention"
            )


@keras.saving.register_keras_serializable(package="seqmodels")
class GeneralAttention(Attention):
    """Attention with a matrix between query and memory (Luong et al. 2015, equation 8, general).

    .. math::
            e_{ts} = q_t W m_s^T

    The weight is ``kernel`` ``W^T (m, q)``. Its product with the memory gives the keys, which are computed
    once per memory.

    >>> context, weights = GeneralAttention()(tf.ones((2, 3)), tf.ones((2, 4, 5)))
    >>> context.shape, weights[0].numpy()
    (TensorShape([2, 5]), array([0.25, 0.25, 0.25, 0.25], dtype=float32))
    """

    def build_weights(self, query_units: int, memory_units: int) -> None:
        self.kernel = self._weight("kernel", memory_units, query_units)

    def keys(self, memory: tf.Tensor) -> tf.Tensor:
        return affine(memory, self._compute(self.kernel), None)


@keras.saving.register_keras_serializable(package="seqmodels")
class MultiHeadAttention(Attention):
    """Attention with several parallel scaled dot products (Vaswani et al. 2017, sections 3.2.1 and 3.2.2).

    .. math::
            head_i = softmax(q W^Q_i (m W^K_i)^T / \\sqrt{u}) m W^V_i, \\quad context = [head_1 .. head_H] W^O

    The size of one head is ``u = units / heads``. The weights are ``query_kernel`` ``(q, units)``,
    ``key_kernel`` ``(m, units)``, ``value_kernel`` ``(m, units)`` and ``output_kernel`` ``(units, units)``.
    In the query, key and value kernels, the u columns of a head are adjacent. Each head computes its own
    attention weights. The returned weights are the mean over all heads.

    Args:
        heads: number of heads, H.
        units: total size of all heads, which is also the size of the context. Default: the size of the query.

    Raises:
        ValueError: if ``heads`` does not divide ``units``.

    >>> attention = MultiHeadAttention(heads=2, units=6)
    >>> context, weights = attention(tf.ones((2, 3)), tf.ones((2, 4, 5)))
    >>> context.shape, weights.shape
    (TensorShape([2, 6]), TensorShape([2, 4]))
    """

    def __init__(self, heads: int = 4, units: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.heads = heads
        self.units = units

    def build_weights(self, query_units: int, memory_units: int) -> None:
        units = self.units or query_units
        if self.heads < 1 or units % self.heads:
            raise ValueError(f"heads must be a divisor of units; got {self.heads} heads and {units} units")
        self.query_kernel = self._weight("query_kernel", query_units, units)
        self.key_kernel = self._weight("key_kernel", memory_units, units)
        self.value_kernel = self._weight("value_kernel", memory_units, units)
        self.output_kernel = self._weight("output_kernel", units, units)
        self.output_size = units

    def prepare(self, memory: tf.Tensor, lengths: tf.Tensor | None = None) -> Prepared:
        memory = tf.cast(memory, self.compute_dtype)
        keys, values = self._heads(memory, self.key_kernel), self._heads(memory, self.value_kernel)
        return Prepared(keys, values, real_steps(memory, lengths)[:, None])

    def attend(self, query: tf.Tensor, prepared: Prepared) -> tuple[tf.Tensor, tf.Tensor]:
        queries = self._heads(query, self.query_kernel)  # (batch, heads, queries, u)
        scores = tf.matmul(queries, prepared.keys, transpose_b=True) * queries.shape[-1] ** -0.5
        weights = masked_softmax(scores, prepared.real[:, None])  # (batch, heads, queries, steps)
        contexts = tf.transpose(tf.matmul(weights, prepared.values), (0, 2, 1, 3))
        together = tf.reshape(contexts, (*tf.unstack(tf.shape(query)[:2]), self.output_size))
        return affine(together, self._compute(self.output_kernel), None), tf.reduce_mean(weights, axis=1)

    def _heads(self, x: tf.Tensor, kernel: Any) -> tf.Tensor:
        """Multiplies x ``(n, T, d)`` by a kernel ``(d, units)`` and splits the result into heads.

        Returns ``(n, heads, T, u)``.
        """
        batch, time = tf.unstack(tf.shape(x)[:2])
        projected = affine(x, self._compute(kernel), None)
        split = tf.reshape(projected, (batch, time, self.heads, kernel.shape[1] // self.heads))
        return tf.transpose(split, (0, 2, 1, 3))

    def get_config(self) -> dict:
        return {**super().get_config(), "heads": self.heads, "units": self.units}
