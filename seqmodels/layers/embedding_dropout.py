"""Dropping whole rows of an embedding."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.dropout import check_rate, dropout_mask


@keras.saving.register_keras_serializable(package="seqmodels")
class EmbeddingDropout(keras.layers.Layer):
    """Drops the vectors of whole word types: all occurrences of a type in the batch, or none (Gal and
    Ghahramani 2016, section 4.2; Merity et al. 2018, section 4.3).

    It acts on what was looked up, which is the same as dropping rows of the table and costs a mask of one
    number for each type instead of a copy of the table.

    Args:
        vocabulary: number of token ids, v.
        rate: probability of dropping a type.
        seed: for the draw.

    Raises:
        ValueError: a rate outside ``[0, 1)``.
    """

    def __init__(self, vocabulary: int, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.rate = check_rate("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, inputs: tf.Tensor, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Vectors ``(n, T, d)`` of ``tokens (n, T)`` to the same."""
        if not (training and self.rate):
            return inputs
        mask = dropout_mask((self.vocabulary, 1), self.rate, self.seed_generator, self.compute_dtype)
        return inputs * tf.gather(mask, tokens)  # (batch, time, 1)

    def compute_output_shape(self, inputs_shape: Any, tokens_shape: Any) -> Any:
        return inputs_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "rate": self.rate,
            "seed": self.seed,
        }
