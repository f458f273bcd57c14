"""The conformance table: one row per public layer, model, cell and pooling.

A row defines how to create a part and its inputs. ``test_inventory.py`` runs the same checks on every row and
fails if a public part has no row. A new part needs one row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import reference
import tensorflow as tf

from apps.gradients.window_classifier import WindowClassifier
from seqmodels import cells, layers, models, registry

Sample = dict[str, Any]

BASES = {
    layers.Attention,
    cells.Cell,
    cells.MatrixCell,
    cells.LinearCell,
    models.NextToken,
}  # these classes are public only so that users can derive classes from them
FIXED = {"LockedDropout": {"noise_shape"}}  # options of a base class that the subclass sets

CELLS: dict[str, Callable[..., cells.Cell]] = {
    "rnn": cells.RNNCell,
    "irnn": partial(cells.RNNCell, activation="relu", recurrent_initializer="identity"),
    "lstm": cells.LSTMCell,
    "gru": cells.GRUCell,
    "gru-reset-after": partial(cells.GRUCell, reset_after=True),
    "mingru": cells.MinGRUCell,
    "minlstm": cells.MinLSTMCell,
    "rglru": cells.RGLRUCell,
}

PARALLEL = registry.PARALLEL_CELLS
RECURRENT = [name for name in CELLS if name not in PARALLEL]

REFERENCES: dict[str, reference.Cell] = {
    "rnn": reference.rnn,
    "irnn": partial(reference.rnn, activation="relu"),
    "lstm": reference.lstm,
    "gru": reference.gru,
    "gru-reset-after": partial(reference.gru, reset_after=True),
    "mingru": reference.min_gru,
    "minlstm": reference.min_lstm,
    "rglru": reference.rg_lru,
}

POOLINGS: dict[str, Callable[..., layers.MeanPooling]] = {
    "last": layers.LastPooling,
    "mean": layers.MeanPooling,
    "max": layers.MaxPooling,
    "attention": partial(layers.AttentionPooling, units=2),
}

ATTENTIONS: dict[str, Callable[..., layers.Attention]] = {
    "additive": partial(layers.AdditiveAttention, units=4),
    "general": layers.GeneralAttention,
    "dot": layers.DotAttention,
    "multi-head": partial(layers.MultiHeadAttention, heads=2, units=4),
}

ATTENTION_REFERENCES: dict[str, Callable[..., Any]] = {
    "additive": partial(reference.attend, reference.additive_scores),
    "general": partial(reference.attend, reference.general_scores),
    "dot": partial(reference.attend, reference.dot_scores),
    "multi-head": partial(reference.multi_head, 2),
}

INPUTS, UNITS, VOCABULARY, CLASSES = 2, 3, 9, 3
LOOKBACK, HORIZON = 8, 3  # sizes for the forecasters; all windows have the same length
LENGTHS = (4, 1, 0)  # default lengths: a full row, a short row, an empty row


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(scale=0.5, size=shape)


def step(rng: np.random.Generator, lengths: Sequence[int], time: int, states: int = 1) -> Sample:
    """Returns inputs and states for one step of a cell. ``lengths`` sets only the number of rows."""
    rows = len(lengths)
    return {"inputs": normal(rng, rows, INPUTS), "states": [normal(rng, rows, UNITS) for _ in range(states)]}


def sequence(rng: np.random.Generator, lengths: Sequence[int], time: int, states: Any = None) -> Sample:
    """Returns inputs and lengths. With ``states``, also returns random states with the same nesting."""
    rows = len(lengths)
    sample = {"inputs": normal(rng, rows, time, INPUTS), "lengths": np.array(lengths, np.int32)}
    if states is not None:
        sample["states"] = tf.nest.map_structure(lambda _: normal(rng, rows, UNITS), states)
    return sample


def encoded(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    """Returns the results of a bidirectional encoder with one layer."""
    rows = len(lengths)
    return {
        "outputs": normal(rng, rows, time, 2 * UNITS),
        "states": (((normal(rng, rows, UNITS),), (normal(rng, rows, UNITS),)),),
        "lengths": np.array(lengths, np.int32),
    }


def question(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    """Returns one query per row, and a memory of the same size."""
    rows = len(lengths)
    return {
        "query": normal(rng, rows, UNITS),
        "memory": normal(rng, rows, time, UNITS),
        "lengths": np.array(lengths, np.int32),
    }


def decoder_step(
    rng: np.random.Generator, lengths: Sequence[int], time: int, states: Sequence[int] = (UNITS,)
) -> Sample:
    """Returns one step of a decoder. ``lengths`` and ``time`` describe the memory.

    ``states`` contains the sizes of the states.
    """
    asked = question(rng, lengths, time)
    del asked["query"]
    return {
        "inputs": normal(rng, len(lengths), INPUTS),
        "states": [normal(rng, len(lengths), size) for size in states],
        **asked,
    }


def tokens(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    return {"tokens": rng.integers(1, VOCABULARY, (len(lengths), time), np.int32)}


def series(rng: np.random.Generator, lengths: Sequence[int], time: int, kind: str = "values") -> Sample:
    """Returns one window of ``LOOKBACK`` steps per row. ``lengths`` sets only the number of rows.

    Prices are above 0.
    """
    rows = len(lengths)
    columns = 5 if kind == "prices" else 1
    level = np.exp(0.1 * rng.normal(size=(rows, LOOKBACK, columns)))
    level[..., 1:2], level[..., 2:3] = level.max(-1, keepdims=True), level.min(-1, keepdims=True)[..., :1]
    return {
        "past": level if kind == "prices" else level[..., :1],
        "past_time": normal(rng, rows, LOOKBACK),
        "future_time": normal(rng, rows, HORIZON),
        "series": rng.integers(0, CLASSES, rows, np.int32),
        "known": normal(rng, rows, LOOKBACK + HORIZON, 1),
        "static": normal(rng, rows, 2),
    }


def sentences(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    return {**tokens(rng, lengths, time), "lengths": np.array(lengths, np.int32)}


def pairs(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    """Returns sources and targets. A target has one more token than its source, up to ``time`` tokens."""
    rows = len(lengths)
    return {
        "source": rng.integers(1, VOCABULARY, (rows, time), np.int32),
        "source_lengths": np.array(lengths, np.int32),
        "target": rng.integers(1, VOCABULARY, (rows, time), np.int32),
        "target_lengths": np.array([min(length + 1, time) for length in lengths], np.int32),
    }


def looked_up(rng: np.random.Generator, lengths: Sequence[int], time: int) -> Sample:
    """Returns tokens and one vector per token."""
    return {"inputs": normal(rng, len(lengths), time, INPUTS), **tokens(rng, lengths, time)}


def features(rng: np.random.Generator, lengths: Sequence[int], time: int, units: int | None = None) -> Sample:
    """Returns the inputs of an output layer. With ``units``, adds a shared embedding of this size."""
    sample = {"inputs": normal(rng, len(lengths), time, INPUTS)}
    return sample if units is None else {**sample, "table": normal(rng, VOCABULARY, units)}


def continued(rng: np.random.Generator, lengths: Sequence[int], time: int, states: Any) -> Sample:
    """Returns sentences and their initial states; see :func:`sequence`."""
    sample = sentences(rng, lengths, time)
    return {**sample, "states": sequence(rng, lengths, time, states)["states"]}


def windowed(rng: np.random.Generator, lengths: Sequence[int], time: int, window: int) -> Sample:
    """Returns sentences and the tokens before the sentences."""
    before = rng.integers(1, VOCABULARY, (len(lengths), window - 1), np.int32)
    return {**sentences(rng, lengths, time), "states": (before,)}


@dataclass(frozen=True)
class Part:
    """One row of the table.

    Attributes:
        make: ``(dtype=policy) -> part``, without random behaviour (dropout).
        sample: ``(rng, lengths, time) -> arguments of the call``, floats in float64.
        weights: number of trainable weights.
        padded: arguments ``(n, T, ...)`` whose values past ``lengths`` must not matter.
        windowed: True if the part has a fixed number of steps, on which its weights depend.
        eight_bits: False if 8 bits cannot represent the inputs, for example prices.
        size: scale of the outputs, by which the tolerances are multiplied: 100 for percentages.
    """

    make: Callable[..., keras.Layer]
    sample: Callable[[np.random.Generator, Sequence[int], int], Sample]
    weights: int
    padded: tuple[str, ...] = ()
    windowed: bool = False
    eight_bits: bool = True
    size: float = 1.0

    def arguments(
        self, lengths: Sequence[int] = LENGTHS, time: int | None = None, dtype: str = "float32"
    ) -> Sample:
        """Returns a sample as tensors of ``dtype``. The same lengths and time give the same numbers."""
        sample = self.sample(np.random.default_rng(7), lengths, max(lengths) if time is None else time)
        return tf.nest.map_structure(
            lambda leaf: tf.constant(leaf, dtype if leaf.dtype == np.float64 else leaf.dtype), sample
        )

    def built(self, dtype: str = "float32") -> keras.Layer:
        """Returns the part with random weights. Every call gives the same weights."""
        part = self.make(dtype=dtype)
        call(part, self.arguments(dtype=keras.DTypePolicy(dtype).compute_dtype))
        return randomized(part)


def call(part: keras.Layer, sample: Mapping[str, Any], **options: Any) -> Any:
    """Calls a layer with keyword arguments, or a model with one dictionary."""
    return part(sample, **options) if isinstance(part, keras.Model) else part(**sample, **options)


def randomized(part: Any) -> Any:
    """Sets all weights and biases of a built part to random numbers that are the same in every call."""
    rng = np.random.default_rng(11)
    for weight in part.trainable_weights:
        weight.assign(normal(rng, *weight.shape))
    return part


def floats(nested: Any) -> list[tf.Tensor]:
    return [leaf for leaf in tf.nest.flatten(nested) if leaf.dtype.is_floating]


def assert_same(actual: Any, expected: Any, tolerance: float = 0.0) -> None:
    for one, other in zip(tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.0, atol=tolerance)


def scalar(outputs: Any) -> tf.Tensor:
    """Returns a weighted sum of all outputs, with a different weight per number."""
    total = tf.constant(0.0)
    for output in floats(outputs):
        weights = tf.sin(tf.range(1.0, 1.0 + tf.cast(tf.size(output), tf.float32)))
        weighted = output * tf.cast(tf.reshape(weights, tf.shape(output)), output.dtype)
        total = tf.cast(total, output.dtype) + tf.reduce_sum(weighted)
    return total


def gradients(part: keras.Layer, sample: Any) -> list[tf.Tensor]:
    """Returns the gradients of :func:`scalar` in training: for the weights, then for the float arguments."""
    with tf.GradientTape() as tape:
        tape.watch(floats(sample))
        loss = scalar(call(part, sample, training=True))
    sources = [*(weight.value for weight in part.trainable_weights), *floats(sample)]
    found = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in found]


def named(layer: keras.Layer) -> dict[str, np.ndarray]:
    """Returns the weights by name in float64, in the format of ``reference.py``."""
    return {weight.name: np.asarray(weight.numpy(), np.float64) for weight in layer.trainable_weights}


def reference_layers(encoder: layers.Encoder, cells: Sequence[str], rows: int) -> list[list[tuple]]:
    """Returns the layers of an encoder with zero states, in the format of ``reference.encode``."""

    def direction(name: str, layer: layers.Recurrent) -> tuple:
        states = [np.zeros((rows, size)) for size in layer.cell.state_size]
        return REFERENCES[name], named(layer), states

    return [[direction(name, layer) for layer in both] for name, both in zip(cells, encoder.directions)]


def encoder(cells: Sequence[str], dtype: str, **options: Any) -> layers.Encoder:
    return layers.Encoder([CELLS[name](UNITS, dtype=dtype) for name in cells], **options)


def recurrent(cell: str, dtype: str, **options: Any) -> layers.Recurrent:
    return layers.Recurrent(CELLS[cell](UNITS, dtype=dtype), **options)


def ngram_classifier(dtype: Any) -> models.Classifier:
    """Returns a classifier with a random n-gram table.

    The initial table is zero. All inputs of the encoder would then be zero, and its input kernels could not
    learn.
    """
    model = models.Classifier(VOCABULARY, CLASSES, 4, "rnn", 2, ngrams=2, ngram_buckets=31, dtype=dtype)
    model.build()
    model.ngrams.table.assign(np.random.default_rng(5).normal(size=(31, CLASSES)))
    return model


def forecaster(model: Any, dtype: str, **options: Any) -> keras.Model:
    covariates = {
        "series": CLASSES,
        "series_units": 2,
        "known": [(0.1, 2.0)],
        "static": [(0.0, 1.0), (0.5, 2.0)],
        "periods": (7.0,),
    }
    return model(LOOKBACK, HORIZON, dtype=dtype, **covariates, **options)


def decoder(
    cells: Sequence[str], attention: str | None, dtype: str, units: int = UNITS, **options: Any
) -> layers.AttentionDecoderCell:
    made = None if attention is None else ATTENTIONS[attention](dtype=dtype)
    stack = [CELLS[name](UNITS, dtype=dtype) for name in cells]
    return layers.AttentionDecoderCell(stack, made, memory_units=UNITS, units=units, **options)


PARTS: dict[str, Part] = {
    "RNNCell": Part(partial(CELLS["rnn"], UNITS), step, weights=3),
    "RNNCell relu": Part(partial(CELLS["irnn"], UNITS), step, weights=3),
    "LSTMCell": Part(partial(CELLS["lstm"], UNITS), partial(step, states=2), weights=3),
    "GRUCell": Part(partial(CELLS["gru"], UNITS), step, weights=3),
    "GRUCell reset after": Part(partial(CELLS["gru-reset-after"], UNITS), step, weights=4),
    "Recurrent rnn": Part(
        partial(recurrent, "rnn"), partial(sequence, states=(0,)), weights=3, padded=("inputs",)
    ),
    "Recurrent irnn": Part(partial(recurrent, "irnn"), sequence, weights=3, padded=("inputs",)),
    "Recurrent lstm": Part(
        partial(recurrent, "lstm"), partial(sequence, states=(0, 0)), weights=3, padded=("inputs",)
    ),
    "Recurrent gru reversed": Part(
        partial(recurrent, "gru", reverse=True), partial(sequence, states=(0,)), weights=3, padded=("inputs",)
    ),
    "Recurrent gru-reset-after": Part(
        partial(recurrent, "gru-reset-after"), sequence, weights=4, padded=("inputs",)
    ),
    "MinGRUCell": Part(partial(CELLS["mingru"], UNITS), step, weights=2),
    "MinLSTMCell": Part(partial(CELLS["minlstm"], UNITS), step, weights=2),
    "RGLRUCell": Part(partial(CELLS["rglru"], UNITS), step, weights=3),
    "Recurrent mingru": Part(
        partial(recurrent, "mingru"), partial(sequence, states=(0,)), weights=2, padded=("inputs",)
    ),
    "Recurrent minlstm": Part(partial(recurrent, "minlstm"), sequence, weights=2, padded=("inputs",)),
    "Recurrent rglru": Part(
        partial(recurrent, "rglru"), partial(sequence, states=(0,)), weights=3, padded=("inputs",)
    ),
    "Encoder": Part(partial(encoder, ["gru"]), sequence, weights=3, padded=("inputs",)),
    "Encoder of two layers, one bidirectional": Part(
        partial(encoder, ["lstm", "rnn"], bidirectional=[True, False]),
        partial(sequence, states=(((0, 0), (0, 0)), ((0,),))),
        weights=9,
        padded=("inputs",),
    ),
    "Encoder residual": Part(
        lambda dtype: layers.Encoder([cells.RNNCell(INPUTS, dtype=dtype) for _ in range(2)], residual=True),
        sequence,
        weights=6,
        padded=("inputs",),
    ),
    "LastPooling": Part(POOLINGS["last"], encoded, weights=0, padded=("outputs",)),
    "MeanPooling": Part(POOLINGS["mean"], encoded, weights=0, padded=("outputs",)),
    "MaxPooling": Part(POOLINGS["max"], encoded, weights=0, padded=("outputs",)),
    "AttentionPooling": Part(POOLINGS["attention"], encoded, weights=3, padded=("outputs",)),
    "AdditiveAttention": Part(ATTENTIONS["additive"], question, weights=3, padded=("memory",)),
    "DotAttention": Part(ATTENTIONS["dot"], question, weights=0, padded=("memory",)),
    "GeneralAttention": Part(ATTENTIONS["general"], question, weights=1, padded=("memory",)),
    "MultiHeadAttention": Part(ATTENTIONS["multi-head"], question, weights=4, padded=("memory",)),
    "AttentionDecoderCell": Part(
        partial(decoder, ["gru"], "general"), decoder_step, weights=3 + 1 + 2, padded=("memory",)
    ),
    "AttentionDecoderCell feeding its output": Part(
        partial(decoder, ["lstm"], "dot", units=4, feeding="output"),
        partial(decoder_step, states=(UNITS, UNITS, 4)),
        weights=3 + 2,
        padded=("memory",),
    ),
    "AttentionDecoderCell feeding the context": Part(
        partial(decoder, ["gru", "lstm"], "additive", feeding="context", deep_output=True, normalize=True),
        partial(decoder_step, states=(UNITS, UNITS, UNITS)),
        weights=6 + 3 + 3 + 6,
        padded=("memory",),
    ),
    "AttentionDecoderCell without attention": Part(
        partial(decoder, ["rnn"], None), decoder_step, weights=3 + 2, padded=("memory",)
    ),
    "WordDropout": Part(partial(layers.WordDropout, 0.5), tokens, weights=0),
    "Dropout": Part(partial(layers.Dropout, 0.0), features, weights=0),
    "LockedDropout": Part(partial(layers.LockedDropout, 0.0), features, weights=0),
    "EmbeddingDropout": Part(partial(layers.EmbeddingDropout, VOCABULARY, 0.0), looked_up, weights=0),
    "TiedOutput": Part(
        partial(layers.TiedOutput, VOCABULARY, INPUTS), partial(features, units=INPUTS), weights=1
    ),
    "TiedOutput with a projection": Part(
        partial(layers.TiedOutput, VOCABULARY, 4), partial(features, units=4), weights=2
    ),
    "AdaptiveSoftmax": Part(
        partial(layers.AdaptiveSoftmax, VOCABULARY, (3, 6), factor=2), features, weights=2 + 2 * 2
    ),
    "LanguageModel": Part(
        partial(models.LanguageModel, VOCABULARY, 4, "lstm", UNITS),
        partial(continued, states=(((0, 0),), ((0, 0),))),
        weights=1 + 2 * 3 + 2,
        padded=("tokens",),
    ),
    "LanguageModel not tied": Part(
        partial(models.LanguageModel, VOCABULARY, 4, "gru", UNITS, layers=1, tied=False),
        sentences,
        weights=1 + 3 + 2,
        padded=("tokens",),
    ),
    "LanguageModel with an adaptive softmax": Part(
        partial(models.LanguageModel, VOCABULARY, UNITS, "rnn", UNITS, 1, True, tied=False, cutoffs=[5]),
        sentences,
        weights=1 + 3 + 4,
        padded=("tokens",),
    ),
    "FixedWindowModel": Part(
        partial(models.FixedWindowModel, VOCABULARY, 3, 4, UNITS),
        partial(windowed, window=3),
        weights=1 + 2 + 2,
        padded=("tokens",),
    ),
    "NgramBag": Part(
        partial(layers.NgramBag, 2, UNITS, buckets=31), sentences, weights=0, padded=("tokens",)
    ),
    "Classifier with n-grams": Part(
        ngram_classifier,
        sentences,
        weights=6 + 2,
        padded=("tokens",),
    ),
    "Classifier": Part(
        partial(models.Classifier, VOCABULARY, CLASSES, 4, "gru", 2, residual=True, pooling="mean+attention"),
        sentences,
        weights=1 + 6 + 3 + 2,
        padded=("tokens",),
    ),
    "Forecaster": Part(
        lambda dtype: forecaster(models.Forecaster, dtype, cell="gru", units=3, segment=2, kind="values"),
        series,
        weights=1 + 2 + 3 + 1 + 3 + 2 + 2,
        windowed=True,
    ),
    "Forecaster autoregressive, of prices": Part(
        lambda dtype: forecaster(
            models.Forecaster,
            dtype,
            cell="lstm",
            units=3,
            decoder="autoregressive",
            kind="prices",
            output="quantiles",
            levels=(0.1, 0.5, 0.9),
        ),
        partial(series, kind="prices"),
        weights=1 + 3 + 1 + 3 + 2 + 2,
        windowed=True,
        eight_bits=False,
        size=100.0,
    ),
    "FixedWindowForecaster": Part(
        lambda dtype: forecaster(models.FixedWindowForecaster, dtype, form="mlp", units=3, kind="values"),
        series,
        weights=1 + 2 + 2 + 2,
        windowed=True,
    ),
    "Translator": Part(
        partial(models.Translator, VOCABULARY, VOCABULARY, 4, "gru", 2, 4, tie="all", normalize=True),
        pairs,
        weights=1 + 6 + 2 + 2 + 3 + 1 + 2 + 4 + 1,
        padded=("source",),
    ),
    "Translator feeding the context": Part(
        partial(
            models.Translator,
            VOCABULARY,
            VOCABULARY + 1,
            4,
            "lstm",
            2,
            3,
            layers=2,
            attention="additive",
            feeding="context",
            deep_output=True,
            tie="none",
        ),
        pairs,
        weights=2 + 12 + 8 + 6 + 3 + 3 + 2,
        padded=("source",),
    ),
    "WindowClassifier": Part(
        partial(WindowClassifier, VOCABULARY, CLASSES, 3, False, 4, 2),
        sentences,
        weights=1 + 2 + 2,
        padded=("tokens",),
    ),
    "WindowClassifier from the end": Part(
        partial(WindowClassifier, VOCABULARY, CLASSES, 3, True, 4, 2),
        sentences,
        weights=1 + 2 + 2,
        padded=("tokens",),
    ),
}
