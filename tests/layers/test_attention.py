"""Tests of the attention layers against the papers' equations. A computation has one query of one row."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from inventory import ATTENTION_REFERENCES, ATTENTIONS, UNITS, assert_same, named, normal, randomized

from seqmodels.layers import DotAttention, MultiHeadAttention
from seqmodels.layers.attention import masked_softmax

LENGTHS = [4, 1, 0]
QUERIES = 3


@pytest.mark.parametrize("name", ATTENTIONS)
def test_equals_the_papers_for_every_query_and_row(name: str) -> None:
    rng = np.random.default_rng(2)
    queries = tf.constant(normal(rng, len(LENGTHS), QUERIES, UNITS))
    memory = normal(rng, len(LENGTHS), 5, UNITS)
    layer = ATTENTIONS[name](dtype="float64")
    layer.build((None, UNITS), (None, None, UNITS))
    randomized(layer)
    contexts, weights = layer.attend(queries, layer.prepare(memory, np.array(LENGTHS, np.int32)))
    assert contexts.shape == (len(LENGTHS), QUERIES, layer.output_size)
    for row, length in enumerate(LENGTHS):
        for index, query in enumerate(queries[row].numpy()):
            context, shares = ATTENTION_REFERENCES[name](named(layer), query, memory[row, :length])
            padded = np.pad(shares, (0, 5 - length))
            assert_same((contexts[row, index], weights[row, index]), (context, padded), tolerance=1e-10)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_sum_to_one_or_to_zero_for_an_empty_row(name: str) -> None:
    rng = np.random.default_rng(2)
    layer = ATTENTIONS[name]()
    query, memory = normal(rng, 3, UNITS).astype(np.float32), normal(rng, 3, 5, UNITS).astype(np.float32)
    _, weights = layer(query, memory, lengths=np.array(LENGTHS, np.int32))
    np.testing.assert_allclose(np.sum(weights, axis=1), [1, 1, 0], atol=1e-6)
    _, without_lengths = layer(query, memory)
    assert_same(without_lengths, layer(query, memory, lengths=np.full(3, 5, np.int32))[1])


def test_padding_keeps_the_range_of_the_scores_small_enough_for_8_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An 8-bit TFLite file divides the range of the softmax's input into 255 steps."""
    seen = []
    softmax = tf.nn.softmax
    monkeypatch.setattr(tf.nn, "softmax", lambda scores: seen.append(scores) or softmax(scores))
    scores = tf.constant([[5.0, -3.0, np.nan, 900.0], [-40.0, -41.0, 7.0, 7.0], [1.0, 2.0, 3.0, 4.0]])
    weights = masked_softmax(scores, tf.sequence_mask([2, 2, 0], 4)).numpy()
    assert np.ptp(seen[0]) <= (5 + 41) + 30
    np.testing.assert_allclose(weights[:2, 0], 1 / (1 + np.exp([-8.0, -1.0])), rtol=1e-6)
    np.testing.assert_array_equal(weights[:, 2:], 0)
    np.testing.assert_array_equal(weights[2], 0)


def test_errors() -> None:
    with pytest.raises(
        ValueError,
        match=r"of the same size; got a query of size 2 and a memory of size 3; .* GeneralAttention",
    ):
        DotAttention().build((None, 2), (None, None, 3))
    with pytest.raises(ValueError, match="heads must be a divisor of units; got 3 heads and 4 units"):
        MultiHeadAttention(heads=3).build((None, 4), (None, None, 4))
