"""The bag of n-grams against one that is counted word by word."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels.layers import NgramBag
from seqmodels.layers.ngram_bag import MULTIPLIER, PRIME

FEATURES, BUCKETS = 2, 1009


def bucket(gram: tuple[int, ...]) -> int:
    """A polynomial modulo a prime (Carter and Wegman 1979), last word first, and its remainder."""
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
    if not found:
        return np.zeros(FEATURES)
    return sum(table[each] for each in found) / np.sqrt(len(found))


def bag(order: int, **options) -> NgramBag:
    layer = NgramBag(order, FEATURES, BUCKETS, gain=4.0, **options)
    layer.build()
    layer.table.assign(np.random.default_rng(0).normal(size=(BUCKETS, FEATURES)) / 4.0)
    return layer


@settings(deadline=None, max_examples=40)
@given(
    rows=st.lists(st.lists(st.integers(1, 30_000), max_size=8), min_size=1, max_size=4),
    order=st.integers(1, 3),
    spare=st.integers(0, 3),
)
def test_each_distinct_ngram_counts_once(rows: list[list[int]], order: int, spare: int) -> None:
    """Also where no n-gram fits, and with padding of any content."""
    layer = bag(order)
    time = max(map(len, rows)) + spare
    tokens = np.full((len(rows), time), 5, np.int32)
    for row, content in zip(tokens, rows):
        row[: len(content)] = content
    lengths = np.array([len(row) for row in rows], np.int32)
    expected = [counted(row, order, 4.0 * layer.table.numpy()) for row in rows]
    np.testing.assert_allclose(layer(tokens, lengths), expected, atol=1e-4)


def test_order_matters_from_two_words_on() -> None:
    tokens = tf.constant([[7, 8, 9], [9, 8, 7]])
    one, two = bag(1)(tokens), bag(2)(tokens)
    np.testing.assert_allclose(one[0], one[1], atol=1e-5)
    assert np.abs(two[0] - two[1]).max() > 1e-3


def test_hashes_spread() -> None:
    """All pairs of 100 words meet as rarely in the table as if drawn at random, or less."""
    pairs = {bucket((first, second)) for first in range(100) for second in range(10)}
    expected = BUCKETS * (1 - (1 - 1 / BUCKETS) ** 1000)
    assert len(pairs) > 0.95 * expected


def test_dropout_keeps_the_expectation_and_is_off_in_inference() -> None:
    layer = bag(2, dropout=0.5, seed=1)
    tokens = tf.repeat(tf.constant([[3, 4, 5, 6]]), 4000, axis=0)
    whole, dropped = layer(tokens), layer(tokens, training=True)
    spread = np.std(dropped, axis=0) / np.sqrt(4000)
    assert np.all(spread > 0)
    np.testing.assert_array_less(np.abs(np.mean(dropped, axis=0) - whole[0]), 5 * spread)


@pytest.mark.parametrize("wrong", [{"order": 0}, {"features": 0}, {"buckets": 0}])
def test_sizes_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="each is at least 1"):
        NgramBag(**{"order": 1, "features": 1, "buckets": 1, **wrong})
