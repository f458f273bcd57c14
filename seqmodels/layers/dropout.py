"""Random masks, and dropping single features.

All masks are drawn by Philox (Salmon et al. 2011), the counter-based generator that XLA computes as fast
as any other arithmetic. What ``keras.random`` leaves to XLA's own choice takes 90 times as long on a CPU,
which is more than the rest of a step where masks are large.
"""

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


@keras.saving.register_keras_serializable(package="seqmodels")
class Dropout(keras.layers.Dropout):
    """Drops features with a fixed probability and scales the others so that their mean stays (Srivastava
    et al. 2014, section 10). Keras' layer but for the source of its numbers.

    Args:
        rate: probability of dropping a feature.
        noise_shape: of the mask; a None stands for the inputs' own size, a 1 for one mask along that axis.
        seed: for the draw.

    Raises:
        ValueError: a rate outside ``[0, 1)``.
    """

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any):
        super().__init__(check_rate("rate", rate), noise_shape, seed, **kwargs)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not (training and self.rate):
            return inputs
        inputs = tf.convert_to_tensor(inputs)
        shape = [size or dynamic for size, dynamic in zip(inputs.shape, tf.unstack(tf.shape(inputs)))]
        if self.noise_shape is not None:
            shape = [fixed or size for fixed, size in zip(self.noise_shape, shape)]
        return inputs * dropout_mask(shape, self.rate, self.seed_generator, inputs.dtype.name)
