"""The linear model over n-grams that stands beside the network: its fit, and what it says alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from seqmodels.baselines.bag_of_words import fit_ratios
from seqmodels.data.text import TokenSequences
from seqmodels.layers import NgramBag

CHUNK = 256  # rows that are hashed at once


@dataclass(frozen=True)
class Ngrams:
    """A fitted :class:`seqmodels.layers.NgramBag`.

    Attributes:
        order: longest n-gram.
        table: weights of each bucket, ``(buckets, classes)`` float32.
        bias: ``(classes,)`` float32.
    """

    order: int
    table: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(cls, order: int, buckets: int, ids: TokenSequences, labels: np.ndarray, classes: int) -> Ngrams:
        """From the training texts and the indices of their classes ``(n,)``."""
        features = _features(NgramBag(order, classes, buckets), ids)
        return cls(order, *fit_ratios(features, labels, classes))

    def probabilities(self, ids: TokenSequences) -> np.ndarray:
        """What it says without a network: ``(n, classes)`` float64."""
        buckets, classes = self.table.shape
        logits = _features(NgramBag(self.order, classes, buckets), ids) @ self.table + self.bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


def _features(bag: NgramBag, ids: TokenSequences) -> csr_matrix:
    """Which buckets the n-grams of each row fall into: ``(n, buckets)`` of 0 and 1."""

    def found() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for first in range(0, len(ids), CHUNK):
            rows = ids.rows(np.arange(first, min(first + CHUNK, len(ids))))
            tokens = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits).to_tensor()
            hashed = bag.hashed(tokens, tf.constant(rows.lengths, tf.int32)).numpy()
            yield hashed[hashed >= 0], np.count_nonzero(hashed >= 0, axis=1)

    buckets, counts = map(np.concatenate, zip(*found()))
    shape = (len(ids), bag.buckets)
    return csr_matrix((np.ones(len(buckets)), buckets, np.append(0, np.cumsum(counts))), shape)
