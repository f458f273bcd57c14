"""Tests of the pooling layers against NumPy on ragged rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import INPUTS, UNITS, assert_same, named, normal, randomized

from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.layers import AttentionPooling, Encoder, LastPooling, MaxPooling, MeanPooling

LENGTHS = np.array([5, 2, 1, 0], np.int32)
FULL = np.full(4, 5, np.int32)

POOLINGS: dict[str, tuple[Any, Callable[[Any, np.ndarray, np.ndarray], np.ndarray]]] = {
    "mean": (MeanPooling, lambda pooling, outputs, lengths: reference.mean(outputs, lengths)),
    "max": (MaxPooling, lambda pooling, outputs, lengths: reference.maximum(outputs, lengths)),
    "attention": (
        lambda **options: AttentionPooling(units=2, **options),
        lambda pooling, outputs, lengths: reference.attention(named(pooling), outputs, lengths),
    ),
}


def outputs(offset: float = 0.0) -> np.ndarray:
    """Returns outputs ``(n, T, h)``. The values past the end of a row must not matter."""
    return normal(np.random.default_rng(8), 4, 5, UNITS) + offset


@pytest.mark.parametrize("lengths", [LENGTHS, None], ids=["ragged", "full"])
@pytest.mark.parametrize("offset", [0.0, -3.0], ids=["mixed", "negative"])
@pytest.mark.parametrize("name", POOLINGS)
def test_equals_the_reference(name: str, offset: float, lengths: np.ndarray | None) -> None:
    """With negative outputs, the maximum must ignore the zeros of the padding."""
    make, expected = POOLINGS[name]
    pooling = make(dtype="float64")
    pooling.build((None, None, UNITS))
    randomized(pooling)
    actual = pooling(outputs(offset), lengths=lengths)
    real = FULL if lengths is None else lengths
    assert_same(actual, expected(pooling, outputs(offset), real), tolerance=1e-10)


@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "bidirectional"])
def test_last_pooling_returns_the_final_output_of_each_direction(bidirectional: bool) -> None:
    encoder = Encoder([GRUCell(UNITS), LSTMCell(UNITS)], bidirectional=bidirectional)
    x = np.float32(normal(np.random.default_rng(9), 4, 5, INPUTS))
    encoded = encoder(x, lengths=LENGTHS)
    forward = encoded.outputs.numpy()[..., :UNITS]
    backward = encoded.outputs.numpy()[..., UNITS:] if bidirectional else None
    pooled = LastPooling()(encoded.outputs, encoded.states, encoded.lengths)
    assert_same(pooled, reference.last(forward, backward, LENGTHS), tolerance=1e-6)


def test_attention_weights_sum_to_one_over_the_real_steps() -> None:
    pooling = AttentionPooling()
    pooling.build((None, None, UNITS))
    assert pooling.kernel.shape == (UNITS, UNITS)
    weights = randomized(pooling).attention_weights(tf.constant(outputs(), tf.float32), LENGTHS)
    np.testing.assert_allclose(np.sum(weights, axis=1), [1, 1, 1, 0], rtol=0, atol=1e-6)
    real = np.arange(5) < LENGTHS[:, None]
    assert np.all(weights[real] > 0.0)
    assert np.all(weights[~real] == 0.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["mean", "attention"])
def test_long_rows_do_not_stall_in_half_precision(name: str, dtype: str) -> None:
    """In float16, a sum of 3,000 equal numbers stops growing at 2,048 times the number."""
    pooling = POOLINGS[name][0](dtype=dtype)
    pooled = tf.cast(pooling(tf.ones((1, 3000, 2), dtype)), tf.float32)
    np.testing.assert_allclose(pooled, [[1.0, 1.0]], rtol=0, atol=1e-2)
