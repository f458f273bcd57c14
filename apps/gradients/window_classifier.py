"""A text classifier without recurrent layers, which reads only a fixed window of tokens."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.models.config import keeps_arguments


@keras.saving.register_keras_serializable(package="seqmodels")
class WindowClassifier(keras.Model):
    """Classifies a text by the tokens in a window of fixed size. The network has one hidden layer.

    The architecture is from Bengio et al. (2003, section 2), but the output is a class instead of a word.
    ``classifier({"tokens": (n, T) int32, "lengths": (n,) int32})`` returns logits ``(n, classes)``, as
    :class:`Classifier` does. The hidden layer has separate weights for every position of the window. If the
    text is shorter than the window, the remaining positions contain the padding token. If the text is longer,
    the tokens outside the window are not read.

    Args:
        vocabulary: number of token ids.
        classes: number of classes.
        window: number of tokens in the window.
        from_end: If True, the window covers the end of a text. If False, it covers the start.
        embedding_units: size of the embedding vector of a token.
        units: number of units in the hidden layer.

    Raises:
        ValueError: window is less than 1.
    """

    @keeps_arguments
    def __init__(
        self,
        vocabulary: int,
        classes: int,
        window: int,
        from_end: bool = True,
        embedding_units: int = 64,
        units: int = 64,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if window < 1:
            raise ValueError(f"window must be at least 1; got {window}")
        dtype = self.dtype_policy
        self.window, self.from_end, self.embedding_units = window, from_end, embedding_units
        self.embedding = keras.layers.Embedding(vocabulary, embedding_units, dtype=dtype, name="embedding")
        self.hidden = keras.layers.Dense(units, activation="tanh", dtype=dtype, name="hidden")
        logits = keras.backend.result_type(self.compute_dtype, "float32")
        self.head = keras.layers.Dense(classes, dtype=logits, name="head")

    def build(self, input_shape: Any = None) -> None:
        self.embedding.build((None, self.window))
        self.hidden.build((None, self.window * self.embedding_units))
        self.head.build((None, self.hidden.units))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        tokens, lengths = inputs["tokens"], inputs["lengths"]
        first = lengths[:, None] - self.window if self.from_end else tf.zeros_like(lengths)[:, None]
        places = first + tf.range(self.window)  # (batch, window)
        real = (places >= 0) & (places < lengths[:, None])
        padded = tf.pad(
            tokens, [[0, 0], [0, 1]]
        )  # a further column of padding tokens, so that gather also works for T = 0
        chosen = tf.gather(padded, tf.where(real, places, tf.shape(tokens)[1]), batch_dims=1)
        embedded = self.embedding(chosen)  # (batch, window, embedding_units)
        flat = tf.reshape(embedded, (-1, self.window * self.embedding_units))
        return self.head(self.hidden(flat))

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
