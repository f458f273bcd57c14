"""The linear model over n-grams that the network reads: its fit, and what it says alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from apps.sentiment.bag_of_words import fit_ratios
from seqmodels.data.sequences import TokenSequences
from seqmodels.layers import NgramBag

CHUNK = 256  # rows that are hashed at once
FOLDS, BLOCKS = 5, 4  # neighbours in a file may be alike: a fold is so many blocks of rows, from all over it


@dataclass(frozen=True)
class Ngrams:
    """A fitted :class:`seqmodels.layers.NgramBag`.

    Attributes:
        order: longest n-gram.
        table: weights of each bucket, ``(buckets, classes)`` float32.
        bias: ``(classes,)`` float32.
        scale: one over the deviation of the evidence of rows that it was not fitted to.
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
        """``(n, classes)`` float32."""
        layer = self.bag()
        return np.concatenate([layer(*chunk).numpy() for chunk in _chunks(ids)])

    def evidence(self, ids: TokenSequences) -> np.ndarray:
        """See :meth:`NgramBag.evidence`, of all tokens one after another: ``(tokens, order * classes)``."""
        layer = self.bag()
        found = []
        for tokens, lengths in _chunks(ids):
            real = tf.sequence_mask(lengths, tf.shape(tokens)[1])
            found.append(tf.boolean_mask(layer.evidence(tokens, lengths), real).numpy())
        return np.concatenate(found)

    def probabilities(self, ids: TokenSequences) -> np.ndarray:
        """What it says without a network: ``(n, classes)`` float64."""
        logits = self.logits(ids).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class OutOfFold:
    """What linear models say of rows that they were not fitted to.

    Attributes:
        evidence: ``(tokens, order * classes)`` float32.
        logits: ``(n, classes)`` float32.
    """

    evidence: np.ndarray
    logits: np.ndarray


def fit(
    order: int, buckets: int, ids: TokenSequences, labels: np.ndarray, classes: int
) -> tuple[Ngrams, OutOfFold]:
    """From the training texts and the indices of their classes ``(n,)``: the model of all rows, and for each
    row what a model of the other folds says."""
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
    """Which buckets the n-grams of each row fall into: ``(n, buckets)`` of 0 and 1."""

    def found() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for tokens, lengths in _chunks(ids):
            hashed = bag.hashed(tokens, lengths).numpy()
            yield hashed[hashed >= 0], np.count_nonzero(hashed >= 0, axis=1)

    buckets, counts = map(np.concatenate, zip(*found()))
    shape = (len(ids), bag.buckets)
    return csr_matrix((np.ones(len(buckets)), buckets, np.append(0, np.cumsum(counts))), shape)


def _chunks(ids: TokenSequences) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Tokens ``(n, T)`` and lengths ``(n,)``, chunk by chunk."""
    for first in range(0, len(ids), CHUNK):
        rows = ids.rows(np.arange(first, min(first + CHUNK, len(ids))))
        tokens = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits).to_tensor()
        yield tokens, tf.constant(rows.lengths, tf.int32)
