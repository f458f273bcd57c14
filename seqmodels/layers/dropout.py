"""Four dropout layers. They drop single features, features at all time steps, word types, or tokens."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels.masks import check_rate, dropout_mask, uniform


@keras.saving.register_keras_serializable(package="seqmodels")
class Dropout(keras.layers.Dropout):
    """Sets features to 0 with a fixed probability (Srivastava et al. 2014, section 10).

    The remaining features are divided by ``1 - rate``. The expected value of each feature therefore does not
    change. ``keras.layers.Dropout`` does the same, but with the same seed it drops other features.

    Args:
        rate: probability of dropping a feature.
        noise_shape: shape of the mask, with one entry per input axis. The entry None stands for the size of
            the input along this axis. With the entry 1, all positions along this axis share one mask value.
            Default: the shape of the input.
        seed: seed of the mask.

    Raises:
        ValueError: if the rate is not in ``[0, 1)``.

    >>> Dropout(0.5)(tf.ones((2, 3)), training=False).numpy()
    array([[1., 1., 1.],
           [1., 1., 1.]], dtype=float32)
    >>> dropped = Dropout(0.5, seed=1)(tf.ones((20, 30)), training=True)
    >>> np.unique(dropped)
    array([0., 2.], dtype=float32)
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


@keras.saving.register_keras_serializable(package="seqmodels")
class LockedDropout(Dropout):
    """Drops features of sequences ``(n, T, d)``. In each sequence, all steps drop the same features.

    The layer implements Gal and Ghahramani 2016, section 4.1. Merity et al. 2018, section 4.1, call this
    method "variational" or "locked" dropout.

    Args:
        rate: probability of dropping a feature.
        seed: seed of the mask.

    Raises:
        ValueError: if the rate is not in ``[0, 1)``.

    >>> dropped = LockedDropout(0.5, seed=1)(tf.ones((2, 4, 8)), training=True)
    >>> bool(tf.reduce_all(dropped[:, 0] == dropped[:, 3]))
    True
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def get_config(self) -> dict:
        return {name: value for name, value in super().get_config().items() if name != "noise_shape"}


@keras.saving.register_keras_serializable(package="seqmodels")
class EmbeddingDropout(keras.layers.Layer):
    """Drops the embedding vectors of word types (Gal and Ghahramani 2016, section 4.2).

    A word type is an entry of the vocabulary. If a type is dropped, the vectors of all its occurrences in the
    batch become 0. The vectors of all other types are divided by ``1 - rate``. Merity et al. 2018, section
    4.3, use the same dropout. The layer multiplies the looked-up vectors by a mask with one number per type.
    Dropping rows of the embedding table would have the same result, but it would copy the table.

    Args:
        vocabulary: number of token ids.
        rate: probability of dropping a word type.
        seed: seed of the mask.

    Raises:
        ValueError: if the rate is not in ``[0, 1)``.

    >>> tokens = tf.constant([[4, 5, 4]])
    >>> dropped = EmbeddingDropout(vocabulary=9, rate=0.5, seed=1)(tf.ones((1, 3, 2)), tokens, training=True)
    >>> bool(tf.reduce_all(dropped[0, 0] == dropped[0, 2]))
    True
    """

    def __init__(self, vocabulary: int, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.vocabulary = vocabulary
        self.rate = check_rate("rate", rate)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, inputs: tf.Tensor, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Applies the dropout to ``inputs (n, T, d)``, the embedding vectors of ``tokens (n, T)``."""
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


@keras.saving.register_keras_serializable(package="seqmodels")
class WordDropout(keras.layers.Layer):
    """Replaces randomly chosen tokens by the unknown token (Bowman et al. 2016, section 3.1).

    A model that is trained with this layer learns to process unknown words. Its outputs also depend less on
    single words.

    Args:
        rate: probability of replacing a token.
        unknown: id of the unknown token.
        first: lowest id that can be replaced. Lower ids belong to padding and other special tokens.
        seed: seed of the replacements.

    Raises:
        ValueError: if the rate is not in ``[0, 1)``.

    >>> tokens = WordDropout(0.5, unknown=2, seed=1)(tf.fill((10, 10), 7), training=True)
    >>> np.unique(tokens).tolist()
    [2, 7]
    """

    def __init__(self, rate: float, unknown: int = 2, first: int = 4, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_rate("rate", rate)
        self.unknown = unknown
        self.first = first
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if rate else None

    def call(self, tokens: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Replaces some of the ``tokens (n, T)`` int32. The result has the same shape and dtype."""
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
