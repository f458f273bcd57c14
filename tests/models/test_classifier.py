"""Classifier: comparison with NumPy, training with Keras, and saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import CELLS, POOLINGS, assert_same, named, randomized, reference_layers

from seqmodels import kernels
from seqmodels.models import Classifier

LENGTHS = np.array([6, 3, 1, 0], np.int32)
VOCABULARY, CLASSES = 12, 3


def batch(rows: int = 1) -> dict[str, np.ndarray]:
    """Returns ``4 * rows`` sentences; class 1 contains word 5, see :func:`labels`."""
    tokens = np.random.default_rng(1).integers(1, VOCABULARY, (4 * rows, 6)).astype(np.int32)
    return {"tokens": tokens, "lengths": np.tile(LENGTHS, rows)}


def labels(sentences: dict[str, np.ndarray]) -> np.ndarray:
    real = np.arange(6) < sentences["lengths"][:, None]
    return np.any((sentences["tokens"] == 5) & real, axis=1).astype(np.int32)


def small(**options: Any) -> Classifier:
    return Classifier(VOCABULARY, CLASSES, **{"embedding_units": 4, "units": 3, **options})


def by_hand(model: Classifier, sentences: dict[str, np.ndarray]) -> np.ndarray:
    """Computes the logits with the NumPy cells and poolings."""
    embedded = named(model.embedding)["embeddings"][sentences["tokens"]]  # (batch, time, embedding_units)
    lengths = sentences["lengths"]
    stack = reference_layers(model.encoder, [model.config["cell"]] * model.config["layers"], len(lengths))
    outputs, states = reference.encode(stack, embedded, lengths, model.config["residual"])
    pooled = {
        "last": lambda pooling: np.concatenate([direction[0] for direction in states[-1]], axis=-1),
        "mean": lambda pooling: reference.mean(outputs, lengths),
        "max": lambda pooling: reference.maximum(outputs, lengths),
        "attention": lambda pooling: reference.attention(named(pooling), outputs, lengths),
    }
    kinds = model.config["pooling"].split("+")
    features = np.concatenate(
        [pooled[kind](pooling) for kind, pooling in zip(kinds, model.poolings)], axis=-1
    )
    head = named(model.head)
    return features @ head["kernel"] + head["bias"]


def check_against_parts(form: str = "auto", **options: Any) -> None:
    model = small(dtype="float64", **options)
    model(batch())
    randomized(model)
    with kernels.form(form):
        for training in (False, True):  # training runs the kernels
            assert_same(model(batch(), training=training), by_hand(model, batch()), tolerance=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_equals_its_parts_for_every_cell(cell: str) -> None:
    check_against_parts(cell=cell, layers=2)


@pytest.mark.parametrize("pooling", [*POOLINGS, "last+max", "attention+mean+last"])
def test_equals_its_parts_for_every_pooling(pooling: str) -> None:
    check_against_parts(pooling=pooling, residual=True, units=2, bidirectional=True)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["auto", "generic", "unrolled"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", [*POOLINGS, "last+max"])
@pytest.mark.parametrize("cell", CELLS)
def test_full_matrix(
    cell: str, pooling: str, bidirectional: bool, residual: bool, layers: int, form: str
) -> None:
    options = {"bidirectional": bidirectional, "residual": residual, "layers": layers}
    check_against_parts(form, cell=cell, pooling=pooling, **options)


@pytest.mark.slow
def test_learns_in_keras_fit_with_every_dropout() -> None:
    """The loss falls well below the loss of guessing by class frequency."""
    keras.utils.set_random_seed(0)
    model = small(
        units=8, embedding_units=8, word_dropout=0.02, dropout=0.1, recurrent_dropout=0.1, weight_dropout=0.1
    )
    sentences = batch(rows=64)
    targets = labels(sentences)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=["accuracy"])
    history = model.fit(sentences, targets, batch_size=64, epochs=12, verbose=0).history
    share = targets.mean()
    guessing = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    assert np.all(np.isfinite(history["loss"]))
    assert model.evaluate(sentences, targets, verbose=0)[0] < 0.5 * guessing


def test_keras_file_round_trip(tmp_path: Path) -> None:
    model = small(dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5, word_dropout=0.5, layers=2)
    model(batch())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    assert_same(loaded(batch()), model(batch()))


def test_the_variables_hold_all_random_state() -> None:
    """A model with restored variables, as in a resumed training, samples the same masks."""
    options = {"dropout": 0.5, "recurrent_dropout": 0.5, "weight_dropout": 0.5, "word_dropout": 0.5}
    model, twin = small(**options), small(**options)
    model(batch(), training=True)
    twin(batch())
    for copy, original in zip(twin.variables, model.variables, strict=True):
        copy.assign(original)
    assert_same(twin(batch(), training=True), model(batch(), training=True))


def test_global_seed_determines_weights_and_masks() -> None:
    def run(seed: int) -> list[tf.Tensor]:
        keras.utils.set_random_seed(seed)
        model = small(dropout=0.5, word_dropout=0.5, recurrent_dropout=0.5, weight_dropout=0.5)
        return [model(batch()), model(batch(), training=True), model(batch(), training=True)]

    first = run(1)
    assert_same(run(1), first)
    assert np.any(first[1] != first[2])
    assert np.any(run(2)[0] != first[0])


@pytest.mark.parametrize("option", ["word_dropout", "dropout", "recurrent_dropout", "weight_dropout"])
def test_every_dropout_acts_in_training_only(option: str) -> None:
    model = small(**{option: 0.5})
    assert_same(model(batch()), model(batch()))
    assert np.any(model(batch(), training=True) != model(batch()))


@pytest.mark.slow
def test_mixed_precision_trains_with_float32_logits() -> None:
    model = small(dtype="mixed_float16", pooling="attention")
    assert model(batch()).dtype == tf.float32
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.fit(batch(), labels(batch()), verbose=0).history["loss"]).all()


def test_config_keeps_trainable_and_name() -> None:
    model = small(trainable=False, name="judge")
    twin = Classifier.from_config(model.get_config())
    assert (twin.trainable, twin.name) == (False, "judge")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "elman"}, "'elman' is unknown; expected one of rnn, irnn, lstm, gru, gru-reset-after"),
        ({"pooling": "mean+sum"}, "'sum' is unknown; expected one of last, mean, max, attention"),
        ({"pooling": ""}, "'' is unknown"),
        ({"word_dropout": 1.0}, r"rate must be a probability in \[0, 1\); got 1\.0"),
        ({"layers": 0}, "at least one cell"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_with_ngrams_the_network_starts_as_the_linear_model() -> None:
    model = small(ngrams=2, ngram_buckets=97, pooling="max")
    model.build()
    model.ngrams.table.assign(np.random.default_rng(2).normal(size=(97, CLASSES)))
    sentences = batch()
    linear = model.ngrams(sentences["tokens"], sentences["lengths"])
    np.testing.assert_array_equal(model(sentences), linear)
    randomized(model)
    assert np.abs(model(sentences) - linear).max() > 1e-3


def test_given_evidence_replaces_own_evidence() -> None:
    """Passing the model's own evidence changes nothing. With zero evidence, the tokens have no effect."""
    model = small(ngrams=2, ngram_buckets=97, pooling="max", evidence_scale=3.0)
    model.build()
    randomized(model)
    model.ngrams.table.assign(np.random.default_rng(2).normal(size=(97, CLASSES)))
    sentences = batch()
    evidence = model.ngrams.evidence(sentences["tokens"], sentences["lengths"])
    linear = model.ngrams(sentences["tokens"], sentences["lengths"])
    handed = {**sentences, "evidence": evidence, "linear_logits": linear}
    np.testing.assert_array_equal(model(handed), model(sentences))
    silent = {**sentences, "evidence": 0 * evidence, "linear_logits": 0 * linear}
    others = {**sentences, "tokens": sentences["tokens"][::-1]}
    np.testing.assert_array_equal(model({**silent, "tokens": others["tokens"]}), model(silent))
    assert np.abs(model(silent) - model(sentences)).max() > 1e-3
