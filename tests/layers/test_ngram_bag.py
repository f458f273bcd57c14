"""Tests of the bag of n-grams against a count in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.layers import NgramBag
from seqmodels.layers.ngram_bag import MULTIPLIER, PRIME

FEATURES, BUCKETS, BIAS = 2, 1009, np.array([0.5, -1.0])


def bucket(gram: tuple[int, ...]) -> int:
    """Computes a polynomial of the words modulo a prime, starting at the last word (Carter, Wegman 1979)."""
    value = 0
    for token in reversed(gram):
        value = (value + token + 1) * MULTIPLIER % PRIME
    return value % BUCKETS


def counted(tokens: list[int], order: int, table: np.ndarray) -> np.ndarray:
    found = {
        bucket(tuple(tokens[start : start + size]))
        for size in range(1, order + 1)
        for start in range(len(tokens) - size + 1)
    }
    return sum((table[each] for each in found), BIAS)


def bag(order: int) -> NgramBag:
    layer = NgramBag(order, FEATURES, BUCKETS)
    layer.build()
    layer.set_weights([np.random.default_rng(0).normal(size=(BUCKETS, FEATURES)), BIAS])
    return layer


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.lists(st.integers(1, 30_000), max_size=8), min_size=1, max_size=4),
    order=st.integers(1, 3),
    spare=st.integers(0, 3),
)
def test_each_distinct_ngram_counts_once(rows: list[list[int]], order: int, spare: int) -> None:
    """The rows include rows shorter than every n-gram, and padding with arbitrary values."""
    layer = bag(order)
    time = max(map(len, rows)) + spare
    tokens = np.full((len(rows), time), 5, np.int32)
    for row, content in zip(tokens, rows):
        row[: len(content)] = content
    lengths = np.array([len(row) for row in rows], np.int32)
    expected = [counted(row, order, layer.table.numpy()) for row in rows]
    np.testing.assert_allclose(layer(tokens, lengths), expected, atol=1e-4)


def test_order_matters_from_two_words_on() -> None:
    tokens = tf.constant([[7, 8, 9], [9, 8, 7]])
    one, two = bag(1)(tokens), bag(2)(tokens)
    np.testing.assert_allclose(one[0], one[1], atol=1e-5)
    assert np.abs(two[0] - two[1]).max() > 1e-3


def test_hashes_spread() -> None:
    """Two pairs of words share a bucket about as rarely as if the buckets were random."""
    pairs = {bucket((first, second)) for first in range(100) for second in range(10)}
    expected = BUCKETS * (1 - (1 - 1 / BUCKETS) ** 1000)
    assert len(pairs) > 0.95 * expected


def test_hashed_returns_the_buckets_of_a_row() -> None:
    hashed = NgramBag(2, FEATURES, BUCKETS).hashed(tf.constant([[7, 8, 7, 8, 9]]), tf.constant([4]))
    expected = {bucket(gram) for gram in [(7,), (8,), (7, 8), (8, 7)]}
    assert sorted(hashed.numpy()[hashed >= 0]) == sorted(expected)


def test_evidence_is_at_the_end_of_each_occurrence_of_an_ngram() -> None:
    layer = bag(2)
    evidence = layer.evidence(tf.constant([[7, 8, 7, 8, 9]]), tf.constant([4])).numpy()
    grams = [[(7,), None], [(8,), (7, 8)], [(7,), (8, 7)], [(8,), (7, 8)], [None, None]]
    table = layer.table.numpy()
    expected = [[np.zeros(FEATURES) if g is None else table[bucket(g)] for g in step] for step in grams]
    np.testing.assert_array_equal(evidence[0], np.reshape(np.float32(expected), (5, 2 * FEATURES)))


def test_the_layer_is_not_trainable() -> None:
    assert not bag(2).trainable_weights


@pytest.mark.parametrize("wrong", [{"order": 0}, {"features": 0}, {"buckets": 0}])
def test_sizes_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="order, features and buckets must be at least 1"):
        NgramBag(**{"order": 1, "features": 1, "buckets": 1, **wrong})


def test_a_normalized_bag_has_a_row_per_token_and_divides_by_the_number_of_ngrams() -> None:
    """The n-grams of the first text are 7, 8, 9, (7, 8), (8, 7), (7, 9); those of the second are 7, 7 7."""
    layer = NgramBag(2, FEATURES, BUCKETS, vocabulary=10, normalized=True)
    layer.build()
    table = np.random.default_rng(0).normal(size=(10 + BUCKETS, FEATURES))
    layer.set_weights([table, BIAS])
    pairs = [[(7, 8), (8, 7), (7, 9)], [(7, 7)]]
    tokens = [[7, 8, 9], [7]]
    expected = [
        BIAS + (table[own].sum(axis=0) + table[[10 + bucket(each) for each in pair]].sum(axis=0)) / size**0.5
        for own, pair, size in zip(tokens, pairs, (6, 2))
    ]
    given = tf.constant([[7, 8, 7, 9], [7, 7, 0, 0]])
    np.testing.assert_allclose(layer(given, tf.constant([4, 2])), expected, rtol=1e-5)
    np.testing.assert_allclose(layer(given[:1, :0], tf.constant([0])), [BIAS])
    assert NgramBag.from_config(layer.get_config()).rows == 10 + BUCKETS
