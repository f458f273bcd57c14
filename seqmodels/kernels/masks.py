"""Random masks for dropout, sampled with the Philox generator."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def check_rate(name: str, rate: float) -> float:
    """Returns the dropout rate, or raises ValueError if the rate is not in ``[0, 1)``."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} must be a probability in [0, 1); got {rate}")
    return rate


def uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """Returns random float32 numbers in ``[0, 1)``. A seed gives the same numbers with and without XLA."""
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    # The random operation could also return floats. But XLA and TensorFlow compute different floats from the
    # same bits. Therefore, this function computes the floats from the bits.
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def dropout_mask(
    shape: Any, rate: float, seed_generator: keras.random.SeedGenerator, dtype: str
) -> tf.Tensor:
    """Returns a dropout mask. An entry is 0 with probability ``rate``, else ``1 / (1 - rate)``.

    The expected value of an entry is 1.
    """
    kept = uniform(shape, seed_generator.next()) >= rate
    return tf.where(kept, tf.constant(1.0 / (1.0 - rate), dtype), tf.constant(0.0, dtype))
