"""Sequences of tokens to classes."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import registry
from seqmodels.layers import Encoder, NgramBag, WordDropout


@keras.saving.register_keras_serializable(package="seqmodels")
class Classifier(keras.Model):
    """Embedding, recurrent encoder, pooling, and one linear layer.

    ``classifier({"tokens": (n, T) int32, "lengths": (n,) int32})`` returns logits ``(n, classes)``, float32
    or wider. Padding never changes a result. Works in the project's own training loop and in Keras'
    ``compile`` and ``fit``.

    Args:
        vocabulary: number of token ids, v.
        classes: number of classes.
        embedding_units: width of a token's vector.
        cell: a name of ``registry.CELLS``.
        units: features of each recurrent state.
        layers: recurrent layers on top of each other.
        bidirectional: run every layer in both directions.
        residual: add the input of a recurrent layer to its output.
        pooling: names of ``registry.POOLINGS`` joined by ``+``; their results stand side by side.
        word_dropout: probability of replacing a token by the unknown one.
        dropout: probability of dropping a feature of the embedding, between layers and before the output.
        recurrent_dropout: probability of dropping a feature of the previous state.
        weight_dropout: probability of dropping an entry of the recurrent matrices.
        ngrams: longest n-gram of a linear model, ``self.ngrams``, whose logits are added; 0 for none. It is
            fitted before (see :class:`NgramBag`) and knows the training rows nearly by heart, which would
            leave the network nothing to learn: in training its logits are left out. The sum is a product of
            two experts (Mesnil et al. 2014, arXiv 1412.5335).
        ngram_buckets: rows of its table.

    Weights and dropouts follow ``keras.utils.set_random_seed``.

    Raises:
        ValueError: an unknown cell or pooling, or a rate outside ``[0, 1)``.
    """

    def __init__(
        self,
        vocabulary: int,
        classes: int,
        embedding_units: int = 64,
        cell: str = "lstm",
        units: int = 64,
        layers: int = 1,
        bidirectional: bool = True,
        residual: bool = False,
        pooling: str = "last",
        word_dropout: float = 0.0,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        ngrams: int = 0,
        ngram_buckets: int = 2**20,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.config = {
            "vocabulary": vocabulary,
            "classes": classes,
            "embedding_units": embedding_units,
            "cell": cell,
            "units": units,
            "layers": layers,
            "bidirectional": bidirectional,
            "residual": residual,
            "pooling": pooling,
            "word_dropout": word_dropout,
            "dropout": dropout,
            "recurrent_dropout": recurrent_dropout,
            "weight_dropout": weight_dropout,
            "ngrams": ngrams,
            "ngram_buckets": ngram_buckets,
        }
        dtype = self.dtype_policy
        self.embedding_units = embedding_units
        self.word_dropout = WordDropout(word_dropout, name="word_dropout")
        self.embedding = keras.layers.Embedding(vocabulary, embedding_units, dtype=dtype, name="embedding")
        dropouts = {"weight_dropout": weight_dropout, "recurrent_dropout": recurrent_dropout}
        cells = [
            registry.make(registry.CELLS, cell, units=units, dtype=dtype, name=f"cell_{index}", **dropouts)
            for index in range(layers)
        ]
        self.encoder = Encoder(cells, bidirectional, residual, dropout, dtype=dtype, name="encoder")
        self.poolings = [
            registry.make(registry.POOLINGS, kind, dtype=dtype, name=f"pooling_{kind}")
            for kind in pooling.split("+")
        ]
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype)
        # Logits stay in float32 under mixed precision: a float16 softmax loses its small probabilities.
        logits = keras.backend.result_type(self.compute_dtype, "float32")
        self.head = keras.layers.Dense(classes, dtype=logits, name="head")
        self.ngrams = None
        if ngrams:
            self.ngrams = NgramBag(ngrams, classes, ngram_buckets, dtype=logits, name="ngrams")

    def build(self, input_shape: Any = None) -> None:
        self.embedding.build((None, None))
        self.encoder.build((None, None, self.embedding_units))
        for pooling in self.poolings:
            pooling.build((None, None, self.encoder.output_size))
        self.head.build((None, len(self.poolings) * self.encoder.output_size))
        if self.ngrams:
            self.ngrams.build()
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        tokens = self.word_dropout(inputs["tokens"], training=training)
        embedded = self.embedding(tokens)  # (batch, time, embedding_units)
        encoded = self.encoder(embedded, lengths=inputs["lengths"], training=training)
        pooled = [pooling(encoded.outputs, encoded.states, encoded.lengths) for pooling in self.poolings]
        features = tf.concat(pooled, axis=-1)  # (batch, poolings * output_size)
        logits = self.head(self.output_dropout(features, training=training))
        if self.ngrams is None or training:
            return logits
        return logits + self.ngrams(inputs["tokens"], inputs["lengths"])

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
