"""Computes the features of the linear part: tokens, their character n-grams, and token n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix, diags

from apps.sentiment.generalized_linear import Design
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.token_rules import CONTINUATION, SPECIAL_TOKENS
from seqmodels.layers import NgramBag

CHUNK = 256  # number of rows per call of the layer
CHARACTERS = (2, 5)  # shortest and longest character n-grams
CHARACTER_SCALE = 1.0  # scale of the character n-grams relative to tokens and token n-grams
FEWEST, MOST = 2**10, 2**18  # smallest and largest number of hash buckets
LARGEST_TABLE = 2**22  # largest number of weights of the hash buckets, for all outputs together


def bag_of(order: int, columns: int, buckets: int, vocabulary: int) -> NgramBag:
    """Returns the layer. It computes in float32, also if the last training in this process did not."""
    return NgramBag(order, columns, buckets, vocabulary, normalized=True, dtype="float32")


def padded_chunks(ids: TokenSequences) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields the padded tokens ``(n, T)`` and the lengths ``(n,)`` of n texts at a time."""
    for first in range(0, len(ids), CHUNK):
        rows = ids.rows(np.arange(first, min(first + CHUNK, len(ids))))
        tokens = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits).to_tensor()
        yield tokens, tf.constant(rows.lengths, tf.int32)


def bucket_count(ids: TokenSequences, order: int, columns: int) -> int:
    """Returns a power of two: at least 4 times the number of distinct n-grams, within the limits."""
    if order == 1:
        return 1
    large = bag_of(order, columns, 2**31 - 2, vocabulary=1)
    distinct = len(np.unique(np.concatenate([_longer(large, *chunk) for chunk in padded_chunks(ids)])))
    most = min(MOST, LARGEST_TABLE // columns)
    wanted = 2 ** int(np.ceil(np.log2(4 * max(distinct, 1))))
    return int(np.clip(wanted, min(FEWEST, most), max(most, 1)))


def _longer(bag: NgramBag, tokens: tf.Tensor, lengths: tf.Tensor) -> np.ndarray:
    """Returns the distinct hashes of the n-grams with at least two tokens."""
    hashed = np.unique(np.stack([each.numpy() for each in bag._buckets(tokens, lengths)[1:]]))
    return hashed[hashed >= 0]


def presence(bag: NgramBag, ids: TokenSequences) -> csr_matrix:
    """Returns a matrix ``(n, rows of the table)`` of 0 and 1: which rows of the table each text has."""

    def found() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for tokens, lengths in padded_chunks(ids):
            hashed = bag.hashed(tokens, lengths).numpy()
            yield hashed[hashed >= 0], np.count_nonzero(hashed >= 0, axis=1)

    rows, counts = map(np.concatenate, zip(*found()))
    shape = (len(ids), bag.rows)
    return csr_matrix((np.ones(len(rows)), rows, np.append(0, np.cumsum(counts))), shape)


def design_of(present: csr_matrix, vocabulary: Sequence[str]) -> Design:
    """Returns the features of n texts.

    The features are weighted by their inverse document frequency. A factor scales the texts to a mean square
    of 1.

    Args:
        present: rows of the table in each text, ``(n, m)`` of 0 and 1. The first rows belong to the tokens.
        vocabulary: the tokens, by id.
    """
    rows = (diags(1 / np.sqrt(np.maximum(present.sum(axis=1).A1, 1))) @ present).tocsr()
    known = np.arange(present.shape[1]) >= len(SPECIAL_TOKENS)
    members = _characters(vocabulary)
    width = len(vocabulary)
    weights = CHARACTER_SCALE * _idf((present[:, :width] @ members).tocsr())
    alone, parts = _merged(members, weights)
    squares = known * np.square(_idf(present))
    squares[:width] += alone
    shared = np.zeros(len(squares))
    shared[:width] = np.asarray(parts.multiply(parts).sum(axis=1)).ravel()
    factor = 1 / np.sqrt(max(float(np.mean(rows.multiply(rows) @ (squares + shared))), 1e-9))
    starts = np.append(parts.indptr, np.full(len(squares) - width, parts.indptr[-1]))
    padded = csr_matrix((factor * parts.data, parts.indices, starts), (len(squares), parts.shape[1]))
    return Design(rows, factor * np.sqrt(squares), padded)


def _merged(members: csr_matrix, weights: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
    """Merges character n-grams that have the same tokens.

    With a square penalty, equal columns with the weights a and b act as one column with the weight
    ``sqrt(a^2 + b^2)``. The model stays the same, but is fitted faster.

    Returns:
        The sum of the squared weights of the n-grams that only one token has, ``(vocabulary,)``, and the
        merged other n-grams, ``(vocabulary, merged)``.
    """
    columns = members.tocsc()
    groups: dict[bytes, int] = {}
    group = np.array(
        [
            groups.setdefault(columns.indices[first:last].tobytes(), len(groups))
            for first, last in zip(columns.indptr, columns.indptr[1:])
        ],
        int,
    )
    squares = np.bincount(group, np.square(weights), minlength=len(groups))
    firsts = np.unique(group, return_index=True)[1]
    merged = (columns[:, firsts] @ diags(np.sqrt(squares))).tocsc()
    single = np.diff(merged.indptr) == 1
    alone = np.asarray(merged[:, single].multiply(merged[:, single]).sum(axis=1)).ravel()
    return alone, merged[:, ~single].tocsr()


def _idf(counts: csr_matrix) -> np.ndarray:
    """Returns ``ln((1 + n) / (1 + df)) + 1`` of each column, as in scikit-learn. ``df`` counts its rows."""
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log((1 + counts.shape[0]) / (1 + found)) + 1


def _characters(vocabulary: Sequence[str]) -> csr_matrix:
    """Returns a matrix of 0 and 1: which character n-grams each token has, ``(vocabulary, n-grams)``.

    Before a token that starts a word, the n-grams see the mark "^". After every token, they see "$".
    """
    numbers: dict[str, int] = {}
    tokens, grams = [], []
    for token, text in enumerate(vocabulary):
        if token < len(SPECIAL_TOKENS):
            continue
        marked = (text[len(CONTINUATION) :] if text.startswith(CONTINUATION) else "^" + text) + "$"
        found = {
            marked[start : start + size]
            for size in range(CHARACTERS[0], CHARACTERS[1] + 1)
            for start in range(len(marked) - size + 1)
        }
        for gram in sorted(found):
            tokens.append(token)
            grams.append(numbers.setdefault(gram, len(numbers)))
    return csr_matrix((np.ones(len(tokens)), (tokens, grams)), (len(vocabulary), len(numbers)))
