"""Dropout with one mask for all steps of a sequence."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.cell import check_rate, dropout_mask


@keras.saving.register_keras_serializable(package="seqmodels")
class LockedDropout(keras.layers.Layer):
    """Drops features of a sequence, the same ones at every step (Gal and Ghahramani 2016, section 4.1;
    "variational" or "locked" dropout in Merity et al. 2018, section 4.1).

    Args:
        rate: probability of dropping a feature.
        seed: for the draw.

    Raises:
        ValueError: a rate outside ``[0, 1)``.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_rate("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``(n, T, d)`` to the same."""
        if not (training and self.rate):
            return inputs
        shape = (tf.shape(inputs)[0], 1, inputs.shape[2])
        return inputs * dropout_mask(shape, self.rate, self.seed_generator, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
