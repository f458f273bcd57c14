"""Tests of the decoder cell against the papers, and of its batched path against stepping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import (
    ATTENTION_REFERENCES,
    ATTENTIONS,
    CELLS,
    INPUTS,
    REFERENCES,
    UNITS,
    assert_same,
    decoder,
    floats,
    named,
    normal,
    randomized,
    scalar,
)

from seqmodels import kernels
from seqmodels.cells import GRUCell
from seqmodels.layers import AttentionDecoderCell, Recurrent
from seqmodels.registry import FEEDINGS

LENGTHS = np.array([5, 2, 0, 3], np.int32)  # of the targets
MEMORY_LENGTHS = np.array([4, 1, 3, 0], np.int32)
TIME, STEPS, OUTPUTS = 5, 4, 4


def sample(cell: AttentionDecoderCell) -> dict[str, Any]:
    rng = np.random.default_rng(5)
    rows = len(LENGTHS)
    return {
        "inputs": tf.constant(normal(rng, rows, TIME, INPUTS)),
        "lengths": tf.constant(LENGTHS),
        "states": [tf.constant(normal(rng, rows, size)) for size in cell.state_size],
        "memory": (tf.constant(normal(rng, rows, STEPS, UNITS)), tf.constant(MEMORY_LENGTHS)),
    }


def made(cells: list[str], attention: str | None, **options: Any) -> Recurrent:
    layer = Recurrent(decoder(cells, attention, dtype="float64", units=OUTPUTS, **options))
    layer.build((None, None, INPUTS))
    return randomized(layer)


def by_hand(cell: AttentionDecoderCell, names: list[str], attention: str | None, given: dict) -> tuple:
    """Computes the outputs and the final states of every row with the NumPy equations."""
    weights = [named(inner) for inner in cell.cells]
    asked = None
    if attention is not None:
        own = named(cell.attention)

        def asked(query: np.ndarray, memory: np.ndarray) -> tuple:
            return ATTENTION_REFERENCES[attention](own, query, memory)

    outputs = np.zeros((len(LENGTHS), TIME, OUTPUTS))
    final = [state.numpy() for state in given["states"]]
    for row, length in enumerate(LENGTHS):
        layers, used = [], 0
        for name, inner, own_weights in zip(names, cell.cells, weights):
            count = len(inner.state_size)
            layers.append((REFERENCES[name], own_weights, [s[row] for s in final[used : used + count]]))
            used += count
        outputs[row, :length], states, _ = reference.decode(
            layers,
            asked,
            named(cell),
            [named(norm) for norm in cell.norms],
            cell.feeding,
            given["inputs"][row, :length].numpy(),
            given["memory"][0][row, : MEMORY_LENGTHS[row]].numpy(),
        )
        if length:
            for tensor, value in zip(final, states):
                tensor[row] = value
    return outputs, final


CASES = [
    (["gru"], "general", {}),
    (["lstm"], "dot", {}),
    (["rnn", "lstm"], "additive", {"normalize": True}),
    (["gru"], "multi-head", {"deep_output": True}),
    (["lstm", "gru"], "general", {"feeding": "output"}),
    (["gru"], "additive", {"feeding": "context", "deep_output": True, "normalize": True}),
    (["rnn", "lstm"], "multi-head", {"feeding": "context"}),
    (["lstm"], None, {}),
    (["gru", "rnn"], None, {"deep_output": True}),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("cells", "attention", "options"), CASES)
def test_equals_the_papers_over_ragged_rows(
    cells: list[str], attention: str | None, options: dict, training: bool
) -> None:
    """Training uses the batched path if the cell has a batched path."""
    layer = made(cells, attention, **options)
    given = sample(layer.cell)
    if options.get("feeding") == "output":
        given["states"][-1] = tf.zeros_like(given["states"][-1])  # the papers also start with zeros
    outputs, states = layer(**given, training=training)
    # A row without steps keeps its states. The reference processes every row from scratch.
    assert_same((outputs, list(states)), by_hand(layer.cell, cells, attention, given), tolerance=1e-10)


def values_and_gradients(layer: Recurrent, given: dict, form: str, **options: Any) -> tuple:
    watched = floats(given)
    with kernels.form(form), tf.GradientTape() as tape:
        tape.watch(watched)
        outputs = layer(**given, training=True, **options)
        loss = scalar(outputs)
    weights = [weight.value for weight in layer.trainable_weights]
    return outputs, tape.gradient(loss, [*weights, *watched], unconnected_gradients="zero")


@pytest.mark.parametrize("attention", [*ATTENTIONS, None])
@pytest.mark.parametrize("cells", [[name] for name in CELLS] + [["lstm", "gru"], ["gru", "mingru"]], ids=str)
def test_the_batched_path_equals_stepping(cells: list[str], attention: str | None) -> None:
    """Compares values and gradients, for the weights and for all inputs."""
    layer = made(cells, attention, normalize=len(cells) > 1, deep_output=len(cells) > 1)
    given = sample(layer.cell)
    assert layer.cell.sequence(
        layer.cell.project(given["inputs"]),
        tuple(given["states"]),
        None,
        layer.cell.constants(len(LENGTHS), given["memory"]),
    )
    batched, stepped = (values_and_gradients(layer, given, form) for form in ("auto", "generic"))
    assert_same(batched, stepped, tolerance=1e-10)


def test_the_batched_path_and_stepping_sample_the_same_masks() -> None:
    options = {"dropout": 0.5, "seed": 3}
    results = []
    for form in ("auto", "generic"):
        layer = made(["gru", "gru"], "general", **options)
        results.append(values_and_gradients(layer, sample(layer.cell), form))
    assert_same(*results, tolerance=1e-10)
    layer = made(["gru", "gru"], "general", **options)
    given = sample(layer.cell)
    assert np.any(layer(**given, training=True)[0] != layer(**given)[0])


@pytest.mark.parametrize("feeding", FEEDINGS)
def test_compiled_training_equals_eager(feeding: str) -> None:
    layer = made(["gru"], "general", feeding=feeding)
    given = sample(layer.cell)
    compiled = tf.function(lambda given: values_and_gradients(layer, given, "auto"), jit_compile=True)
    assert_same(compiled(given), values_and_gradients(layer, given, "auto"), tolerance=1e-10)


def test_no_batched_path_if_attention_feeds_back() -> None:
    for feeding in ("output", "context"):
        cell = made(["gru"], "general", feeding=feeding).cell
        assert cell.sequence(None, (), None, ()) is None


def test_weights_of_the_attention_at_a_step() -> None:
    layer = made(["gru"], "additive", feeding="context")
    given = sample(layer.cell)
    cell, states = layer.cell, tuple(given["states"])
    constants = cell.constants(memory=given["memory"])
    projected = cell.project(given["inputs"][:, 0])
    output, after, weights = cell.attended_step(projected, states, constants)
    assert_same((output, after), cell.step(projected, states, constants))
    _, expected = cell.attention(states[0], *given["memory"])
    assert_same(weights, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": []}, "at least one cell; got an empty sequence"),
        ({"feeding": "luong"}, "feeding must be 'none', 'output' or 'context'; got 'luong'"),
        ({"feeding": "context"}, "feeding 'context' needs an attention; pass an attention"),
        ({"dropout": 1.0}, r"dropout must be a probability in \[0, 1\); got 1\.0"),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AttentionDecoderCell(
            **{"cells": [GRUCell(2)], "attention": None, "memory_units": 2, "units": 2, **options}
        )


def test_a_decoder_with_attention_needs_a_memory() -> None:
    layer = made(["gru"], "general")
    with pytest.raises(ValueError, match="a decoder with attention needs a memory; pass"):
        layer(tf.zeros((1, 2, INPUTS), tf.float64))
