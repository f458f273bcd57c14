"""Softmax outputs over a vocabulary: tied to the embedding, adaptive, and sampled in training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import projection
from seqmodels.kernels.masks import uniform
from seqmodels.kernels.projection import affine


@keras.saving.register_keras_serializable(package="seqmodels")
class TiedOutput(keras.layers.Layer):
    """Logits from the vectors of the input embedding (Press and Wolf 2017; Inan et al. 2017).

    ``logits = (x P) E^T + b`` with the embedding ``E (v, e)``, which is handed in at every call because it is
    not this layer's own. ``P (d, e)`` is there only where the features d and the embedding's width e differ.

    Args:
        vocabulary: number of token ids, v.
        units: width of the embedding, e.

    >>> embedding = keras.layers.Embedding(9, 4)
    >>> vectors = embedding(tf.constant([[1, 2, 3]]))
    >>> TiedOutput(9, 4)(vectors, embedding.embeddings).shape
    TensorShape([1, 3, 9])
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


@keras.saving.register_keras_serializable(package="seqmodels")
class AdaptiveSoftmax(keras.layers.Layer):
    """Softmax in two levels: frequent tokens, and clusters of rare ones (Grave et al. 2017, section 4).

    The head is one softmax over the tokens below the first cutoff and one entry for each cluster; a token of
    cluster k has ``log p(token) = log p(cluster k) + log p(token | cluster k)``. The features of cluster k
    are projected to ``d / factor^k`` before its own softmax (section 4.3), so that its matrix is as much
    smaller. Token ids must go from frequent to rare, as those of :class:`Tokenizer` do.

    Every cluster is computed for every step. Shapes are static then, as XLA needs them, and what the
    projections save is kept; that few steps need a rare cluster is not made use of.

    Args:
        vocabulary: number of token ids, v.
        cutoffs: where the clusters begin, rising: ``(2000,)`` makes a head of 2000 tokens and one cluster.
        factor: how much narrower each cluster is than the one before it.

    Raises:
        ValueError: cutoffs that do not rise inside the vocabulary.

    >>> log_probabilities = AdaptiveSoftmax(vocabulary=20, cutoffs=[5])(tf.ones((2, 3, 8)))
    >>> log_probabilities.shape
    TensorShape([2, 3, 20])
    >>> np.allclose(tf.reduce_sum(tf.exp(log_probabilities), axis=-1), 1.0, atol=1e-5)
    True
    """

    def __init__(self, vocabulary: int, cutoffs: Sequence[int], factor: int = 4, **kwargs: Any):
        super().__init__(**kwargs)
        edges = [0, *cutoffs, vocabulary]
        if not cutoffs or any(left >= right for left, right in pairwise(edges)):
            raise ValueError(
                f"cutoffs are {list(cutoffs)}; expected rising numbers from 1 to {vocabulary - 1}"
            )
        self.vocabulary = vocabulary
        self.cutoffs = list(cutoffs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1]

        def matrix(name: str, rows: int, columns: int) -> Any:
            return self.add_weight(name=name, shape=(rows, columns), initializer="glorot_uniform")

        head = self.cutoffs[0] + len(self.cutoffs)
        self.head_kernel = matrix("head_kernel", features, head)
        self.head_bias = self.add_weight(name="head_bias", shape=(head,), initializer="zeros")
        self.projections, self.kernels = [], []
        for index, (left, right) in enumerate(zip(self.cutoffs, [*self.cutoffs[1:], self.vocabulary])):
            narrow = max(features // self.factor ** (index + 1), 1)
            self.projections.append(matrix(f"projection_{index}", features, narrow))
            self.kernels.append(matrix(f"kernel_{index}", narrow, right - left))
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """``(n, T, d)`` to log-probabilities ``(n, T, v)``."""
        head, clusters = self._head(inputs), []
        for index in range(len(self.cutoffs)):
            of_cluster = head[..., self.cutoffs[0] + index, None]
            clusters.append(of_cluster + tf.nn.log_softmax(self._tail(inputs, index)))
        return tf.concat([head[..., : self.cutoffs[0]], *clusters], axis=-1)

    def losses_of(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Negative log-likelihood of ``targets (n, T)``: ``(n, T)``, without the matrix of all tokens."""
        first = self.cutoffs[0]
        cluster = tf.searchsorted(
            tf.constant(self.cutoffs, targets.dtype), tf.reshape(targets, [-1]), "right"
        )
        cluster = tf.cast(tf.reshape(cluster, tf.shape(targets)), targets.dtype)  # 0 in the head
        in_head = tf.where(cluster == 0, targets, first + cluster - 1)
        losses = -tf.gather(self._head(inputs), in_head, batch_dims=2)
        for index, left in enumerate(self.cutoffs):
            here = cluster == index + 1
            inside = tf.where(here, targets - left, 0)
            of_tail = tf.nn.sparse_softmax_cross_entropy_with_logits(inside, self._tail(inputs, index))
            losses += tf.where(here, of_tail, tf.zeros_like(of_tail))
        return losses

    def _head(self, inputs: tf.Tensor) -> tf.Tensor:
        """Log-probabilities of the frequent tokens and of the clusters, ``(n, T, head)``."""
        return tf.nn.log_softmax(
            affine(inputs, *map(tf.convert_to_tensor, (self.head_kernel, self.head_bias)))
        )

    def _tail(self, inputs: tf.Tensor, index: int) -> tf.Tensor:
        """Logits inside one cluster, ``(n, T, tokens of it)``."""
        narrow = affine(inputs, tf.convert_to_tensor(self.projections[index]), None)
        return affine(narrow, tf.convert_to_tensor(self.kernels[index]), None)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.vocabulary)

    def get_config(self) -> dict:
        config = {"vocabulary": self.vocabulary, "cutoffs": self.cutoffs, "factor": self.factor}
        return {**super().get_config(), **config}


def sampled_softmax_losses(
    inputs: tf.Tensor, table: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, samples: int, seed: tf.Tensor
) -> tf.Tensor:
    """Negative log-likelihood of each target by an unbiased estimate of the softmax's denominator (Bengio and
    Senecal 2003; Jean et al. 2015, section 3).

    ::

        -log p = log(sum_{f in F} e^l_f + w sum_{r in R} e^l_r + e^l_t) - l_t,    l = x E^T + b
        w = (|O| - [t in O]) / (|R| - [t in R])

    without t in the sums. F are the most frequent tokens, which stand in every sum; of the others O, R are as
    many as F, drawn uniformly without repetition once for a call, each of which stands for w tokens. Ids
    should go from frequent to rare, as those of words and characters in :class:`Tokenizer` do. The logarithm
    of an unbiased estimate is on average a little less than that of the denominator, and so is the loss.

    Args:
        inputs: x, ``(n, T, d)``.
        table: E, ``(v, d)``.
        bias: b, ``(v,)``.
        targets: ``(n, T)`` ids.
        samples: tokens of F and R together, from 4 to ``v``.
        seed: of the draw, as :func:`uniform` takes it.

    Returns:
        ``(n, T)``, nats.

    >>> inputs, table, bias = tf.ones((2, 3, 4)), tf.zeros((20, 4)), tf.zeros(20)
    >>> targets = tf.ones((2, 3), tf.int32)
    >>> losses = sampled_softmax_losses(inputs, table, bias, targets, samples=8, seed=tf.constant([0, 1]))
    >>> losses.shape, np.allclose(losses, np.log(20), atol=1e-5)
    (TensorShape([2, 3]), True)
    """
    vocabulary, frequent = table.shape[0], samples // 2
    drawn, others = samples - frequent, vocabulary - frequent
    _, places = tf.math.top_k(uniform((others,), seed), drawn, sorted=False)
    ids = frequent + tf.cast(places, targets.dtype)  # R
    rows = tf.concat([table[:frequent], tf.gather(table, ids)], axis=0)  # (samples, features)
    row_bias = tf.concat([bias[:frequent], tf.gather(bias, ids)], axis=0)
    logits = projection(inputs, tf.transpose(rows), row_bias)  # (batch, time, samples)
    own = tf.reduce_sum(inputs * tf.gather(table, targets), axis=-1) + tf.gather(bias, targets)

    is_own = tf.concat([tf.range(frequent, dtype=targets.dtype), ids], axis=0) == targets[..., None]
    hits = tf.reduce_sum(tf.cast(is_own[..., frequent:], logits.dtype), axis=-1)  # the target is in R: 0 or 1
    rare = tf.cast(targets >= frequent, logits.dtype)
    stands_for = tf.math.log((others - rare) / (drawn - hits))[..., None]  # log w
    logits = tf.concat([logits[..., :frequent], logits[..., frequent:] + stands_for], axis=-1)
    logits = tf.where(is_own, tf.constant(logits.dtype.min, logits.dtype), logits)
    return tf.reduce_logsumexp(tf.concat([logits, own[..., None]], axis=-1), axis=-1) - own
