"""A softmax that spends little on rare words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.cell import affine


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
