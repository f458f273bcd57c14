"""Tests of the dropout masks: expected values, equal numbers with and without XLA, and speed under XLA."""

from __future__ import annotations

import re
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqmodels.cells import LSTMCell
from seqmodels.kernels.masks import dropout_mask, uniform
from seqmodels.layers import Dropout, LockedDropout, Recurrent, WordDropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_a_mask_keeps_the_expected_value(rate: float) -> None:
    """The mean of N samples of ``B / (1 - rate)`` lies within five standard deviations of 1."""
    draws = 200_000
    mask = dropout_mask((draws,), rate, keras.random.SeedGenerator(6), "float32").numpy()
    assert set(np.unique(mask)) == {np.float32(0.0), np.float32(1.0 / (1.0 - rate))}
    assert abs(mask.mean(dtype=np.float64) - 1.0) < 5 * np.sqrt(rate / (1.0 - rate) / draws)


def test_numbers_are_uniform_and_differ_between_calls() -> None:
    generator = keras.random.SeedGenerator(3)
    first, second = (uniform((100_000,), generator.next()).numpy() for _ in range(2))
    for numbers in (first, second):
        assert numbers.min() >= 0.0
        assert numbers.max() < 1.0
        share = np.histogram(numbers, 10, (0.0, 1.0))[0] / len(numbers)
        assert np.abs(share - 0.1).max() < 5 * np.sqrt(0.09 / len(numbers))
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(len(first))


@pytest.mark.parametrize("dtype", ["float32", "float64", "mixed_float16"])
@pytest.mark.parametrize("noise_shape", [None, (None, None, 1), (None, 1, None)])
def test_a_layer_applies_a_mask_of_its_noise_shape(noise_shape: tuple | None, dtype: str) -> None:
    x = tf.ones((40, 30, 20), keras.DTypePolicy(dtype).compute_dtype)
    dropped = Dropout(0.4, noise_shape, seed=1, dtype=dtype)(x, training=True)
    assert dropped.dtype == x.dtype
    values = dropped.numpy()
    np.testing.assert_allclose(np.unique(values), [0.0, 1 / 0.6], rtol=1e-3)
    for axis, size in enumerate(noise_shape or ()):
        if size == 1:
            assert np.array_equal(values, np.repeat(values.take([0], axis), x.shape[axis], axis))
    assert np.mean(values == 0) == pytest.approx(0.4, abs=0.05)


def test_dynamic_shapes() -> None:
    layer = Dropout(0.5, seed=1)
    call = tf.function(lambda x: layer(x, training=True), input_signature=[tf.TensorSpec((None, None, 8))])
    dropped = call(tf.ones((30, 20, 8))).numpy()
    assert dropped.shape == (30, 20, 8)
    assert len(np.unique(dropped, axis=0)) == 30


def test_nothing_is_dropped_outside_of_training_or_at_rate_0() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    assert np.array_equal(Dropout(0.5)(x), x)
    assert np.array_equal(Dropout(0.0)(x, training=True), x)


@pytest.mark.parametrize("make", [Dropout, LockedDropout])
def test_a_layer_is_rebuilt_from_its_configuration(make: type) -> None:
    layer = make(0.3, seed=5, name="mine")
    twin = make.from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    x = tf.ones((4, 5, 6))
    assert np.array_equal(twin(x, training=True), layer(x, training=True))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_an_invalid_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=re.escape(f"rate must be a probability in [0, 1); got {rate}")):
        Dropout(rate)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda: Dropout(0.5, seed=1), id="features"),
        pytest.param(lambda: Recurrent(LSTMCell(8, weight_dropout=0.5, seed=1)), id="weights"),
        pytest.param(lambda: Recurrent(LSTMCell(8, recurrent_dropout=0.5, seed=1)), id="states"),
        pytest.param(lambda: WordDropout(0.5, first=0, seed=1), id="tokens"),
    ],
)
def test_numbers_are_equal_with_and_without_xla(draw) -> None:
    def results(compiled: bool) -> np.ndarray:
        keras.utils.set_random_seed(2)  # for the weights
        layer = draw()
        tokens = isinstance(layer, WordDropout)
        x = np.arange(60).reshape(3, 20) if tokens else np.linspace(-1, 1, 480).reshape(3, 20, 8)
        x = tf.constant(x, tf.int32 if tokens else tf.float32)
        layer(x)
        call = tf.function(lambda: tf.nest.flatten(layer(x, training=True))[0], jit_compile=compiled)
        return np.stack([call().numpy() for _ in range(2)])

    plain = results(False)
    np.testing.assert_allclose(results(True), plain, atol=1e-6)
    assert not np.array_equal(plain[0], plain[1])


def test_xla_samples_a_mask_about_as_fast_as_tensorflow() -> None:
    """With the default generator of Keras, XLA needs 60 times as long as TensorFlow."""

    def seconds(compiled: bool) -> float:
        generator = keras.random.SeedGenerator(1)
        call = tf.function(
            lambda: tf.reduce_sum(dropout_mask((400, 1600), 0.5, generator, "float32")), jit_compile=compiled
        )
        call()
        spent = []
        for _ in range(5):
            start = time.perf_counter()
            call().numpy()
            spent.append(time.perf_counter() - start)
        return min(spent)

    assert seconds(True) < 10 * seconds(False)
