"""A classifier for sequences of tokens."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import registry
from seqmodels.kernels import affine
from seqmodels.layers import Dropout, Encoder, NgramBag, WordDropout
from seqmodels.models.config import keeps_arguments

READS = ("words", "evidence", "both")  # what the encoder reads


@keras.saving.register_keras_serializable(package="seqmodels")
class Classifier(keras.Model):
    r"""Classifies token sequences with an embedding, a recurrent encoder, pooling and one linear layer.

    ``classifier({"tokens": (n, T) int32, "lengths": (n,) int32})`` returns logits ``(n, classes)``, float32
    or wider. n is the number of rows, and T is the number of tokens of a padded row. Padding never changes a
    result. The model can be trained by the training loop of this project or by Keras' ``compile`` and
    ``fit``.

    If ``ngrams`` is above 0, the logits of a linear model are added to the logits of the network. The linear
    model is ``self.ngrams``, an :class:`NgramBag`. Fit it before the training. The weights of the n-grams
    that end at step t are called the evidence of step t. Depending on ``reads``, the encoder reads token
    embeddings, the evidence, or both. Let N be ``ngrams``, :math:`w_g` the weights of n-gram g, b the bias of
    the linear model, and s ``evidence_scale``. Let :math:`g_1(t) .. g_N(t)` be the n-grams of lengths 1 to N
    that end at step t, and G all n-grams of the row. Then the evidence x and the logits y are

    .. math::
        x_t = s [w_{g_1(t)}, .., w_{g_N(t)}], \qquad y = b + \sum_{g \in G} w_g + head(pool(encoder(x)))

    The weights of the head (the output layer) start at zero, so the untrained network equals the linear
    model. During training, the network learns to use information that the linear model ignores: the position
    and the context of an expression.

    A linear model overfits the rows that it was fitted to. For each training row, training should therefore
    use the outputs of a linear model that was fitted without this row. Pass these outputs as the additional
    inputs ``evidence (n, T, ngrams * classes)`` and ``linear_logits (n, classes)``. The method is called
    stacked generalization (Wolpert 1992).

    Args:
        vocabulary: number of token ids, v.
        classes: number of labels.
        embedding_units: size of the embedding vectors.
        cell: a name in ``registry.CELLS``.
        units: size of each recurrent state.
        layers: number of stacked recurrent layers.
        bidirectional: if True, every layer runs in both directions.
        residual: if True, the input of a recurrent layer is added to its output.
        pooling: one or more names in ``registry.POOLINGS``, joined by ``+``. The results of several poolings
            are concatenated.
        word_dropout: probability of replacing a token by the unknown token. If ``ngrams`` is above 0, this is
            the probability of dropping the evidence of a step.
        dropout: probability of dropping a feature. This dropout applies to the embeddings, between recurrent
            layers, and before the output layer.
        recurrent_dropout: probability of dropping a feature of the previous state.
        weight_dropout: probability of dropping an entry of the recurrent matrices.
        ngrams: number of tokens in the longest n-grams of the linear model ``self.ngrams``. With 0, the model
            has an embedding and no linear model.
        ngram_buckets: number of rows in the weight table of the linear model. A hash function assigns the
            n-grams to the rows.
        evidence_scale: factor that multiplies the evidence. The scaled evidence should have a standard
            deviation of about 1.
        reads: what the encoder reads: "words" (embeddings), "evidence", or "both". Default: "evidence" if
            ``ngrams`` is above 0, else "words". The linear model is always added to the logits.
        normalized: if True, the linear model divides by the square root of the number of n-grams. Each token
            then has its own row of the table, see :class:`NgramBag`. For two classes, the linear model then
            has one output, the log odds of the second class.
        independent: if True, the outputs do not belong to the classes of one softmax. They are log odds of
            several labels, or numbers. The linear model then always has one output per class.

    ``keras.utils.set_random_seed`` determines the initial weights and the dropout masks.

    Raises:
        ValueError: if the cell or a pooling is unknown, or if a rate is not in ``[0, 1)``.

    >>> model = Classifier(vocabulary=20, classes=3, cell="gru", units=8)
    >>> inputs = {"tokens": tf.constant([[4, 5, 6], [7, 0, 0]]), "lengths": tf.constant([3, 1])}
    >>> model(inputs).shape
    TensorShape([2, 3])
    """

    @keeps_arguments
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
        evidence_scale: float = 1.0,
        reads: str | None = None,
        normalized: bool = False,
        independent: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        dtype = self.dtype_policy
        # Under mixed precision, logits stay in float32: a float16 softmax loses small probabilities.
        logits = keras.backend.result_type(self.compute_dtype, "float32")
        reads = reads or ("evidence" if ngrams else "words")
        if reads not in READS or (reads != "words" and not ngrams):
            raise ValueError(f"reads must be one of {', '.join(READS)}, and needs ngrams; got {reads!r}")
        self.reads_words, self.reads_evidence = reads != "evidence", reads != "words"
        self.embedding: Any = None
        self.ngrams: Any = None
        columns = 1 if normalized and classes == 2 and not independent else classes
        self.spreads = columns < classes  # the linear model has one output for two classes
        self.evidence_units = ngrams * columns if self.reads_evidence else 0
        self.input_units = self.evidence_units + (embedding_units if self.reads_words else 0)
        if ngrams:
            own = vocabulary if normalized else 0
            names = {"vocabulary": own, "normalized": normalized, "dtype": logits, "name": "ngrams"}
            self.ngrams = NgramBag(ngrams, columns, ngram_buckets, **names)
        if self.reads_evidence:
            self.evidence_dropout = Dropout(word_dropout, (None, None, 1), dtype=dtype)
        if self.reads_words:
            self.word_dropout = WordDropout(word_dropout, name="word_dropout")
            self.embedding = keras.layers.Embedding(
                vocabulary, embedding_units, dtype=dtype, name="embedding"
            )
        dropouts = {"weight_dropout": weight_dropout, "recurrent_dropout": recurrent_dropout}
        cells = [
            registry.make(registry.CELLS, cell, units=units, dtype=dtype, name=f"cell_{index}", **dropouts)
            for index in range(layers)
        ]
        # word_dropout drops evidence, so a model that reads only evidence has no dropout of features.
        rates = [dropout if self.reads_words else 0.0, *[dropout] * (layers - 1)]
        self.encoder = Encoder(cells, bidirectional, residual, rates, dtype=dtype, name="encoder")
        self.poolings = [
            registry.make(registry.POOLINGS, kind, dtype=dtype, name=f"pooling_{kind}")
            for kind in pooling.split("+")
        ]
        self.output_dropout = Dropout(dropout, dtype=dtype)
        start = "zeros" if ngrams else "glorot_uniform"
        self.head = keras.layers.Dense(classes, kernel_initializer=start, dtype=logits, name="head")

    def build(self, input_shape: Any = None) -> None:
        for layer in (self.ngrams, self.embedding):
            if layer is not None:
                layer.build((None, None))
        self.encoder.build((None, None, self.input_units))
        for pooling in self.poolings:
            pooling.build((None, None, self.encoder.output_size))
        self.head.build((None, len(self.poolings) * self.encoder.output_size))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        read, linear = self._read(inputs, training)
        encoded = self.encoder(read, lengths=inputs["lengths"], training=training)
        pooled = [pooling(encoded.outputs, encoded.states, encoded.lengths) for pooling in self.poolings]
        features = tf.concat(pooled, axis=-1)  # (batch, poolings * output_size)
        return self.head(self.output_dropout(features, training=training)) + linear

    def _read(self, inputs: dict[str, tf.Tensor], training: bool) -> tuple[tf.Tensor, tf.Tensor | float]:
        """Returns the encoder inputs ``(n, T, input_units)`` and the linear logits ``(n, classes)``."""
        tokens, lengths = inputs["tokens"], inputs["lengths"]
        read: list[tf.Tensor] = []
        if self.reads_words:
            read.append(self.embedding(self.word_dropout(tokens, training=training)))
        if self.reads_evidence:
            evidence = inputs["evidence"] if "evidence" in inputs else self.ngrams.evidence(tokens, lengths)
            # The evidence is multiplied by a diagonal matrix, not by a scalar. In an 8-bit model, a scalar
            # would be rounded, because it would be stored with the quantization scale of the product.
            scale = self.config["evidence_scale"] * tf.eye(self.evidence_units, dtype=self.compute_dtype)
            scaled = affine(tf.cast(evidence, self.compute_dtype), scale, None)  # (batch, time, evidence)
            read.append(self.evidence_dropout(scaled, training=training))
        both = read[0] if len(read) == 1 else tf.concat(read, axis=-1)  # (batch, time, input_units)
        if self.ngrams is None:
            return both, 0.0
        linear = inputs["linear_logits"] if "linear_logits" in inputs else self.ngrams(tokens, lengths)
        if self.spreads:  # the log odds of the second of two classes
            linear = tf.concat([-linear, linear], axis=-1) / 2
        return both, tf.cast(linear, self.head.compute_dtype)  # Keras casts the inputs of a model

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
