"""Fits a linear n-gram model and computes the evidence of each token.

The evidence of a token is a vector. It contains the weights of the n-grams that end at this token. With
``--ngrams``, the recurrent network reads the evidence instead of word embeddings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from apps.sentiment.bag_of_words import fit_ratios
from seqmodels.data.sequences import TokenSequences
from seqmodels.layers import NgramBag

CHUNK = 256  # number of rows per call of the layer
FOLDS, BLOCKS = 5, 4  # each of FOLDS folds consists of BLOCKS blocks of rows, spread over the whole file


@dataclass(frozen=True)
class Ngrams:
    """A fitted :class:`seqmodels.layers.NgramBag`.

    Attributes:
        order: length of the longest n-gram.
        table: one weight per class for each hash bucket, ``(buckets, classes)`` float32. N-grams in the same
            bucket share these weights.
        bias: bias of each class, ``(classes,)`` float32.
        scale: factor that scales ``OutOfFold.evidence`` to a standard deviation of 1.
    """

    order: int
    table: np.ndarray
    bias: np.ndarray
    scale: float = 1.0

    def bag(self) -> NgramBag:
        layer = NgramBag(self.order, self.table.shape[1], len(self.table))
        layer.build()
        layer.set_weights([self.table, self.bias])
        return layer

    def logits(self, ids: TokenSequences) -> np.ndarray:
        """Returns the logits of the n rows: ``(n, classes)`` float32."""
        layer = self.bag()
        return np.concatenate([layer(*chunk).numpy() for chunk in _chunks(ids)])

    def evidence(self, ids: TokenSequences) -> np.ndarray:
        """Returns the weights of the n-grams that end at each token, ``(tokens, order * classes)``."""
        layer = self.bag()
        found = []
        for tokens, lengths in _chunks(ids):
            real = tf.sequence_mask(lengths, tf.shape(tokens)[1])
            found.append(tf.boolean_mask(layer.evidence(tokens, lengths), real).numpy())
        return np.concatenate(found)

    def probabilities(self, ids: TokenSequences) -> np.ndarray:
        """Returns the class probabilities of the n-gram model alone: ``(n, classes)`` float64."""
        logits = self.logits(ids).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class OutOfFold:
    """Evidence and logits of the training texts.

    The values of each text come from an n-gram model that was not fitted to this text.

    Attributes:
        evidence: weights of the n-grams that end at each token, ``(tokens, order * classes)`` float32.
        logits: logits of the texts, ``(n, classes)`` float32.
    """

    evidence: np.ndarray
    logits: np.ndarray


def fit(
    order: int, buckets: int, ids: TokenSequences, labels: np.ndarray, classes: int
) -> tuple[Ngrams, OutOfFold]:
    """Fits the n-gram model to all training texts, and computes out-of-fold outputs.

    The texts are divided into ``FOLDS`` folds. For each fold, an additional model is fitted to all other
    folds. This model computes the out-of-fold outputs of the texts in the fold.

    Args:
        order: length of the longest n-gram.
        buckets: number of hash buckets.
        ids: token ids of the training texts.
        labels: class index of each text, ``(n,)``.
        classes: number of classes.

    Returns:
        The fitted model, and the out-of-fold outputs.
    """
    features = _features(NgramBag(order, classes, buckets), ids)

    def fitted(rows: np.ndarray) -> Ngrams:
        return Ngrams(order, *fit_ratios(features[rows], labels[rows], classes))

    folds = np.arange(len(ids)) * FOLDS * BLOCKS // len(ids) % FOLDS
    logits = np.zeros((len(ids), classes), np.float32)
    evidence = np.zeros((len(ids.values), order * classes), np.float32)
    for fold in range(FOLDS):
        own = folds == fold
        if not own.any() or own.all():
            continue
        rows, model = ids.rows(np.flatnonzero(own)), fitted(~own)
        logits[own] = features[own] @ model.table + model.bias
        evidence[np.repeat(own, ids.lengths)] = model.evidence(rows)
    scale = 1 / max(float(evidence.std()), 1e-6)
    return replace(fitted(np.full(len(ids), True)), scale=scale), OutOfFold(evidence, logits)


def _features(bag: NgramBag, ids: TokenSequences) -> csr_matrix:
    """Returns a matrix ``(n, buckets)`` of 0 and 1. A 1 shows that a text has an n-gram in a bucket."""

    def found() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for tokens, lengths in _chunks(ids):
            hashed = bag.hashed(tokens, lengths).numpy()
            yield hashed[hashed >= 0], np.count_nonzero(hashed >= 0, axis=1)

    buckets, counts = map(np.concatenate, zip(*found()))
    shape = (len(ids), bag.buckets)
    return csr_matrix((np.ones(len(buckets)), buckets, np.append(0, np.cumsum(counts))), shape)


def _chunks(ids: TokenSequences) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields the padded tokens ``(n, T)`` and the lengths ``(n,)`` of n texts at a time."""
    for first in range(0, len(ids), CHUNK):
        rows = ids.rows(np.arange(first, min(first + CHUNK, len(ids))))
        tokens = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits).to_tensor()
        yield tokens, tf.constant(rows.lengths, tf.int32)
