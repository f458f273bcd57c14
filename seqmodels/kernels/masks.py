"""Random masks for dropout, drawn by Philox."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


def check_rate(name: str, rate: float) -> float:
    """A probability of dropping: ``0 <= rate < 1``, or ``ValueError``."""
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"{name} is {rate}; it is the probability of dropping: 0 <= {name} < 1")
    return rate


def uniform(shape: Any, seed: tf.Tensor) -> tf.Tensor:
    """The seed's float32 numbers in ``[0, 1)``, of that shape; compiled by XLA the same ones."""
    bits = tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")
    # By hand, because XLA and TensorFlow do not make the same floats of the same bits.
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32)), tf.float32) * 2.0**-24


def dropout_mask(
    shape: Any, rate: float, seed_generator: keras.random.SeedGenerator, dtype: str
) -> tf.Tensor:
    """Zeros with probability ``rate``, ``1 / (1 - rate)`` elsewhere: the expected value is 1."""
    kept = uniform(shape, seed_generator.next()) >= rate
    return tf.where(kept, tf.constant(1.0 / (1.0 - rate), dtype), tf.constant(0.0, dtype))
