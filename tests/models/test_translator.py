"""Translator: comparison with NumPy, and decoding token by token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import (
    ATTENTION_REFERENCES,
    ATTENTIONS,
    CELLS,
    REFERENCES,
    assert_same,
    named,
    randomized,
    reference_layers,
)

from seqmodels import kernels
from seqmodels.models import Translator
from seqmodels.registry import FEEDINGS
from seqmodels.training.objectives import translation

SOURCE, TARGET = 11, 9
LENGTHS, TARGET_LENGTHS = np.array([6, 3, 1, 0], np.int32), np.array([4, 5, 0, 2], np.int32)


def batch(rows: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "source": rng.integers(1, SOURCE, (4 * rows, 6)).astype(np.int32),
        "source_lengths": np.tile(LENGTHS, rows),
        "target": rng.integers(1, TARGET, (4 * rows, 5)).astype(np.int32),
        "target_lengths": np.tile(TARGET_LENGTHS, rows),
    }


def small(**options: Any) -> Translator:
    """Returns a model whose decoder has the size of the memory, as dot attention requires."""
    sizes = {"embedding_units": 4, "units": 2, "decoder_units": 4}
    return Translator(SOURCE, TARGET, **{**sizes, **options})


def by_hand(model: Translator, pairs: dict[str, np.ndarray]) -> np.ndarray:
    """Computes logits ``(n, T, vocabulary)`` of the real steps in NumPy, and zeros elsewhere."""
    config = model.config
    names = [config["cell"]] * config["layers"]
    source = named(model.source_embedding)["embeddings"][pairs["source"]]
    target = named(model.embedding)["embeddings"][pairs["target"]]
    lengths = pairs["source_lengths"]
    stack = reference_layers(model.encoder, names, len(lengths))
    memory, final = reference.encode(stack, source, lengths)
    head = named(model.head)
    matrix = head["kernel"] if config["tie"] == "none" else named(model.embedding)["embeddings"].T
    logits = np.zeros((*pairs["target"].shape, TARGET))
    for row, length in enumerate(pairs["target_lengths"]):
        layers, bridges = [], iter(model.bridges)
        for cell, directions in zip(model.cell.cells, final):
            states = []
            for same in zip(*directions):
                weights = named(next(bridges))
                last = np.concatenate([state[row] for state in same])
                states.append(np.tanh(last @ weights["kernel"] + weights["bias"]))
            layers.append((REFERENCES[config["cell"]], named(cell), states))
        steps = memory[row, : lengths[row]]
        if model.memory_norm is not None and len(steps):
            steps = np.array([reference.layer_norm(named(model.memory_norm), m) for m in steps])
        asked = None
        if config["attention"] != "none":
            weights = named(model.cell.attention)

            def asked(query: np.ndarray, memory: np.ndarray, weights: dict = weights) -> tuple:
                attend = ATTENTION_REFERENCES[config["attention"]]
                if config["attention"] == "multi-head":
                    return reference.multi_head(4, weights, query, memory)
                return attend(weights, query, memory)

        norms = [named(norm) for norm in model.cell.norms]
        outputs, _, _ = reference.decode(
            layers, asked, named(model.cell), norms, config["feeding"], target[row, :length], steps
        )
        logits[row, :length] = outputs @ matrix + head["bias"]
    return logits


def real(logits: Any, pairs: dict[str, np.ndarray]) -> np.ndarray:
    steps = np.arange(pairs["target"].shape[1]) < pairs["target_lengths"][:, None]
    return np.where(steps[..., None], logits, 0.0)


def check_against_parts(**options: Any) -> None:
    model = small(dtype="float64", **options)
    model(batch())
    randomized(model)
    for training in (False, True):  # training uses the batched code
        logits = real(model(batch(), training=training), batch())
        assert_same(logits, by_hand(model, batch()), tolerance=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_equals_its_parts_for_every_cell(cell: str) -> None:
    check_against_parts(cell=cell, layers=2)


@pytest.mark.parametrize("feeding", FEEDINGS)
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_equals_its_parts_for_every_attention(attention: str, feeding: str) -> None:
    check_against_parts(attention=attention, feeding=feeding, normalize=True)


def test_equals_its_parts_without_attention_and_with_other_readouts() -> None:
    check_against_parts(attention="none", bidirectional=False)
    check_against_parts(attention="none", feeding="output", tie="none")
    check_against_parts(cell="gru", deep_output=True, tie="none")


@pytest.mark.parametrize("attention", [*ATTENTIONS, "none"])
@pytest.mark.parametrize("feeding", FEEDINGS)
def test_step_by_step_equals_teacher_forcing(attention: str, feeding: str) -> None:
    if (attention, feeding) == ("none", "context"):
        pytest.skip("feeding the context needs attention")
    model = small(attention=attention, feeding=feeding, layers=2, cell="gru", dtype="float64")
    pairs = batch()
    whole = real(model(pairs), pairs)
    memory, states = model.encode(pairs["source"], pairs["source_lengths"])
    steps, shares = [], []
    for token in pairs["target"].T:
        logits, states, weights = model.step(token, states, memory)
        steps.append(logits)
        shares.append(weights)
    assert_same(real(np.stack(steps, axis=1), pairs), whole, tolerance=1e-12)
    if attention == "none":
        assert all(weights is None for weights in shares)
        with pytest.raises(ValueError, match="alignments need a model with attention"):
            model.alignments(pairs)
    else:
        assert_same(model.alignments(pairs), real(np.stack(shares, axis=1), pairs), tolerance=1e-12)


def test_free_running_feeds_its_own_most_probable_tokens() -> None:
    model, pairs = small(cell="gru", dtype="float64"), batch()
    model.build()
    logits = model.free_running(pairs).numpy()
    memory, states = model.encode(pairs["source"], pairs["source_lengths"])
    tokens, steps = pairs["target"][:, 0], []
    for _ in range(5):
        step, states, _ = model.step(tokens, states, memory)
        steps.append(step)
        tokens = np.argmax(step, axis=-1).astype(np.int32)
    assert_same(real(logits, pairs), real(np.stack(steps, axis=1), pairs), tolerance=1e-12)


def test_scheduled_sampling_starts_as_teacher_forcing_and_samples_the_softmax() -> None:
    """A share of 0 is teacher forcing; a share of 1 samples all tokens from the distribution."""
    keras.utils.set_random_seed(0)
    model = small(scheduled_sampling=1.0, sampling_steps=10**9)
    twin = small()
    model(batch())
    twin(batch())
    twin.set_weights([weight.numpy() for weight in model.trainable_weights])
    assert_same(model(batch(), training=True), twin(batch(), training=True), tolerance=1e-6)
    sure = small(scheduled_sampling=1.0, sampling_steps=1, cell="gru")
    sure(batch())
    sure.embedding.embeddings.assign(
        100.0 * sure.embedding.embeddings
    )  # makes each sampled token almost certain
    assert_same(sure(batch(), training=True), sure.free_running(batch()), tolerance=1e-3)
    assert int(sure.steps.value) == 1
    drawn = small(scheduled_sampling=1.0, sampling_steps=1)
    first, second = (drawn(batch(), training=True).numpy() for _ in range(2))
    np.testing.assert_allclose(first[:, 0], second[:, 0], atol=1e-6)  # the first token is given
    assert np.any(first[0, 1:4] != second[0, 1:4])


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [0.0, 0.5])
def test_learns_in_keras_fit_with_every_dropout(sampling: float) -> None:
    """The model learns to copy: the loss falls well below the loss of guessing."""
    keras.utils.set_random_seed(0)
    model = Translator(
        TARGET,
        TARGET,
        16,
        "gru",
        16,
        32,
        tie="all",
        dropout=0.05,
        recurrent_dropout=0.05,
        weight_dropout=0.05,
        word_dropout=0.01,
        scheduled_sampling=sampling,
        sampling_steps=50,
    )
    rng = np.random.default_rng(1)
    source = rng.integers(4, TARGET, (512, 3)).astype(np.int32)
    full = np.full(len(source), 3, np.int32)
    target = np.concatenate([np.ones((len(source), 1), np.int32), source[:, :-1]], axis=1)
    pairs = {"source": source, "source_lengths": full, "target": target, "target_lengths": full}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(pairs, source, batch_size=64, epochs=15, verbose=0)
    assert model.evaluate(pairs, source, verbose=0) < 0.3 * np.log(TARGET - 4)


def test_the_objective_counts_real_tokens_by_the_weight_of_their_row() -> None:
    model, pairs = small(dtype="float64"), batch()
    targets = np.random.default_rng(2).integers(1, TARGET, pairs["target"].shape).astype(np.int32)
    weights = tf.constant([1.0, 0.5, 1.0, 0.0], tf.float64)
    outcome = translation(0.1)(model, pairs, targets, weights, (), False)
    assert float(outcome.count) == 4 + 0.5 * 5
    logits = model(pairs).numpy()
    losses = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    right = logits.argmax(-1) == targets
    assert float(outcome.total) == pytest.approx(losses[0, :4].sum() + 0.5 * losses[1].sum())
    assert float(outcome.scores["accuracy"]) == right[0, :4].sum() + 0.5 * right[1].sum()


def test_keras_file_round_trip(tmp_path: Path) -> None:
    model = small(dropout=0.5, scheduled_sampling=0.5, deep_output=True, feeding="output")
    model(batch())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_config() == model.get_config()
    assert_same(loaded(batch()), model(batch()))


@pytest.mark.parametrize("option", ["word_dropout", "dropout", "recurrent_dropout", "weight_dropout"])
def test_every_dropout_acts_in_training_only(option: str) -> None:
    model = small(**{option: 0.5})
    assert_same(model(batch()), model(batch()))
    assert np.any(model(batch(), training=True) != model(batch()))


@pytest.mark.slow
@pytest.mark.parametrize("sampling", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_training_compiles(sampling: float) -> None:
    model = small(dropout=0.2, scheduled_sampling=sampling)
    pairs = {name: tf.constant(value) for name, value in batch().items()}
    model(pairs)

    @tf.function(jit_compile=True, autograph=False)
    def gradient() -> list:
        variables = [variable.value for variable in model.trainable_variables]
        with tf.GradientTape() as tape:
            outcome = translation(0.1)(model, pairs, pairs["target"], tf.ones(4), (), True)
        return [tf.convert_to_tensor(g) for g in tape.gradient(outcome.total, variables)]

    assert all(np.isfinite(value).all() for value in gradient())
    with kernels.form("generic"):
        assert np.isfinite(model(pairs)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tie": "both"}, "tie must be one of none, target, all; got 'both'"),
        ({"tie": "all"}, "needs one vocabulary .* got vocabularies of 11 and 9 tokens"),
        ({"attention": "hard"}, "'hard' is unknown; expected one of additive, general, dot, multi-head"),
        ({"attention": "none", "feeding": "context"}, "feeding 'context' needs an attention"),
        ({"scheduled_sampling": 2.0}, r"scheduled_sampling must be in \[0, 1\]; got 2\.0"),
        (
            {"attention": "dot", "decoder_units": 3},
            "dot attention needs a query and a memory of the same size; got a query of size 3",
        ),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options).build()
