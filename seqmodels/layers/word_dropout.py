"""Hiding whole tokens during training."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers.dropout import check_rate, uniform


@keras.saving.register_keras_serializable(package="seqmodels")
class WordDropout(keras.layers.Layer):
    """Replaces tokens by the unknown token with a fixed probability (Bowman et al. 2016, section 3.1).

    It teaches a model what to do with words it has never seen, and not to lean on single ones.

    Args:
        rate: probability of replacing a token.
        unknown: the id that takes its place.
        first: ids below this one (padding and other special tokens) are never replaced.
        seed: for the draw.

    Raises:
        ValueError: a rate outside ``[0, 1)``.
    """

    def __init__(self, rate: float, unknown: int = 2, first: int = 4, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_rate("rate", rate)
        self.unknown = unknown
        self.first = first
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """``(n, T)`` int32 to the same."""
        if not training or self.seed_generator is None:
            return tokens
        draw = uniform(tf.shape(tokens), self.seed_generator.next())  # (batch, time)
        return tf.where((draw < self.rate) & (tokens >= self.first), self.unknown, tokens)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "rate": self.rate,
            "unknown": self.unknown,
            "first": self.first,
            "seed": self.seed,
        }
