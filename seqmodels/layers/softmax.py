"""Softmax layers for large vocabularies: tied output, adaptive softmax, and sampled softmax loss."""

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
    """Computes logits with the table of the input embedding (Press and Wolf 2017; Inan et al. 2017).

    For inputs ``x (n, T, d)`` and the embedding table ``E (v, e)``, the layer computes
    ``logits = (x P) E^T + b``. E is an argument of every call, because E is a weight of another layer. The
    layer's own weights are ``bias`` b ``(v,)`` and ``projection`` P ``(d, e)``. P exists only if d and e
    differ; otherwise ``logits = x E^T + b``.

    Args:
        vocabulary: number of token ids, ``v``.
        units: size of an embedding vector, ``e``.

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
        """Returns logits ``(n, T, v)`` for inputs ``(n, T, d)`` and the embedding table E ``(v, e)``."""
        table = tf.ensure_shape(tf.cast(table, self.compute_dtype), (self.vocabulary, self.units))
        return affine(self.project(inputs), tf.transpose(table), tf.convert_to_tensor(self.bias))

    def project(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns ``x P (n, T, e)`` for inputs ``x (n, T, d)``, or x itself if P does not exist."""
        if self.projection is None:
            return inputs
        return affine(inputs, tf.convert_to_tensor(self.projection), None)

    def compute_output_shape(self, inputs_shape: Any, table_shape: Any) -> Any:
        return (*inputs_shape[:-1], self.vocabulary)

    def get_config(self) -> dict:
        return {**super().get_config(), "vocabulary": self.vocabulary, "units": self.units}


@keras.saving.register_keras_serializable(package="seqmodels")
class AdaptiveSoftmax(keras.layers.Layer):
    """A softmax that uses smaller matrices for rare tokens (Grave et al. 2017, section 4).

    Token ids must be sorted from frequent to rare, as in :class:`Tokenizer`. Cutoffs divide the ids into
    frequent tokens and clusters of rare tokens. The first softmax, called the head, has one entry per
    frequent token and one entry per cluster. Cluster 1 contains the most frequent of the rare tokens. For a
    token in cluster k, ``log p(token) = log p(cluster k) + log p(token | cluster k)``.

    Each cluster has its own softmax, which computes ``p(token | cluster k)``. The d input features are first
    projected to ``d / factor^k`` features (section 4.3). Without this projection, the output matrix
    of the cluster would be ``factor^k`` times larger.

    XLA requires static shapes. Every cluster is therefore computed at every step, although few steps need the
    rare clusters. The smaller matrices nevertheless reduce the computation.

    Args:
        vocabulary: number of token ids, v.
        cutoffs: first token id of each cluster, in increasing order. For example, ``(2000,)`` means 2000
            frequent tokens, and one cluster that contains all rarer tokens.
        factor: number that determines the projected sizes: ``d / factor^k`` features for cluster k.

    Raises:
        ValueError: if the cutoffs do not increase or are outside the vocabulary.

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
                f"cutoffs must be increasing numbers from 1 to {vocabulary - 1}; got {list(cutoffs)}"
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
        """Returns log-probabilities ``(n, T, v)`` for inputs ``(n, T, d)``."""
        head, clusters = self._head(inputs), []
        for index in range(len(self.cutoffs)):
            of_cluster = head[..., self.cutoffs[0] + index, None]
            clusters.append(of_cluster + tf.nn.log_softmax(self._tail(inputs, index)))
        return tf.concat([head[..., : self.cutoffs[0]], *clusters], axis=-1)

    def losses_of(self, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Computes the negative log-likelihood ``(n, T)`` of ``targets (n, T)``.

        This method needs less memory than :meth:`call`, because it does not compute the log-probabilities
        ``(n, T, v)`` of all tokens.
        """
        first = self.cutoffs[0]
        cluster = tf.searchsorted(
            tf.constant(self.cutoffs, targets.dtype), tf.reshape(targets, [-1]), "right"
        )
        cluster = tf.cast(tf.reshape(cluster, tf.shape(targets)), targets.dtype)  # 0 means a frequent token
        in_head = tf.where(cluster == 0, targets, first + cluster - 1)
        losses = -tf.gather(self._head(inputs), in_head, batch_dims=2)
        for index, left in enumerate(self.cutoffs):
            here = cluster == index + 1
            inside = tf.where(here, targets - left, 0)
            of_tail = tf.nn.sparse_softmax_cross_entropy_with_logits(inside, self._tail(inputs, index))
            losses += tf.where(here, of_tail, tf.zeros_like(of_tail))
        return losses

    def _head(self, inputs: tf.Tensor) -> tf.Tensor:
        """Computes log-probabilities ``(n, T, c)`` of the c entries of the head.

        The head has one entry per frequent token and one entry per cluster.
        """
        return tf.nn.log_softmax(
            affine(inputs, *map(tf.convert_to_tensor, (self.head_kernel, self.head_bias)))
        )

    def _tail(self, inputs: tf.Tensor, index: int) -> tf.Tensor:
        """Computes the logits inside one cluster, ``(n, T, tokens of the cluster)``."""
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
    """Estimates the negative log-likelihood of each target by a sampled softmax.

    A sampled softmax computes the logits of only some tokens: the target, the most frequent tokens, and a
    random sample of all other tokens (Bengio and Senecal 2003; Jean et al. 2015, section 3). Let t be the
    target, ``l = x E^T + b`` the logits, and F, O and R sets of tokens. The estimate is::

            -log p = log(sum_{f in F} e^l_f + w sum_{r in R} e^l_r + e^l_t) - l_t
            w = (|O| - [t in O]) / (|R| - [t in R])

    F contains the most frequent tokens (the lowest ids), and O contains all other tokens. R is sampled
    uniformly from O, without replacement, once per call. F contains ``samples // 2`` tokens, and R contains
    ``samples - samples // 2`` tokens. Both sums omit t. Each token of R represents w tokens of O.
    ``[t in O]`` is 1 if O contains t, else 0.

    Ids should be sorted from frequent to rare, because F contains the lowest ids. The words and characters of
    :class:`Tokenizer` are sorted in this way. The argument of the logarithm is an unbiased estimate of the
    softmax's denominator. The logarithm of this estimate is on average slightly lower than the logarithm of
    the denominator. The returned losses are therefore slightly too low on average.

    Args:
        inputs: x, ``(n, T, d)``.
        table: E, ``(v, d)``.
        bias: b, ``(v,)``.
        targets: ids of the targets, ``(n, T)``.
        samples: number of tokens in F and R together, from 4 to ``v``.
        seed: seed of the sample, a tensor of two integers.

    Returns:
        Negative log-likelihoods ``(n, T)``, in nats.

    >>> inputs, table, bias = tf.ones((2, 3, 4)), tf.zeros((20, 4)), tf.zeros(20)
    >>> targets = tf.ones((2, 3), tf.int32)
    >>> losses = sampled_softmax_losses(inputs, table, bias, targets, samples=8, seed=tf.constant([0, 1]))
    >>> losses.shape, np.allclose(losses, np.log(20), atol=1e-5)
    (TensorShape([2, 3]), True)
    """
    vocabulary, frequent = table.shape[0], samples // 2
    drawn, others = samples - frequent, vocabulary - frequent
    _, places = tf.math.top_k(uniform((others,), seed), drawn, sorted=False)
    ids = frequent + tf.cast(places, targets.dtype)  # ids of the tokens in R
    rows = tf.concat([table[:frequent], tf.gather(table, ids)], axis=0)  # (samples, features)
    row_bias = tf.concat([bias[:frequent], tf.gather(bias, ids)], axis=0)
    logits = projection(inputs, tf.transpose(rows), row_bias)  # (batch, time, samples)
    own = tf.reduce_sum(inputs * tf.gather(table, targets), axis=-1) + tf.gather(bias, targets)

    is_own = tf.concat([tf.range(frequent, dtype=targets.dtype), ids], axis=0) == targets[..., None]
    hits = tf.reduce_sum(tf.cast(is_own[..., frequent:], logits.dtype), axis=-1)  # 1 if the target is in R
    rare = tf.cast(targets >= frequent, logits.dtype)
    stands_for = tf.math.log((others - rare) / (drawn - hits))[..., None]  # log w
    logits = tf.concat([logits[..., :frequent], logits[..., frequent:] + stands_for], axis=-1)
    logits = tf.where(is_own, tf.constant(logits.dtype.min, logits.dtype), logits)
    return tf.reduce_logsumexp(tf.concat([logits, own[..., None]], axis=-1), axis=-1) - own
