"""Tests of the encoder against manually stacked layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import CELLS, INPUTS, UNITS, assert_same, normal, randomized, reference_layers

from seqmodels.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers import Encoder, MeanPooling

LENGTHS = [5, 3, 0]
TIME = 5


def inputs() -> np.ndarray:
    return normal(np.random.default_rng(4), len(LENGTHS), TIME, INPUTS)


def double(cells: Sequence[str], units: int = UNITS, **options: Any) -> Encoder:
    """Returns an encoder in float64 with random weights."""
    encoder = Encoder([CELLS[cell](units, dtype="float64") for cell in cells], **options)
    encoder.build((None, None, INPUTS))
    return randomized(encoder)


@pytest.mark.parametrize(
    ("cells", "options"),
    [
        (["lstm"], {}),
        (["gru", "lstm", "rnn"], {}),
        (["gru"], {"bidirectional": True}),
        (["lstm", "gru"], {"bidirectional": True}),
        (["lstm", "gru"], {"bidirectional": [True, False]}),
        (["rnn", "gru"], {"residual": True}),
        (["rnn", "gru"], {"residual": True, "bidirectional": True}),
        (["rnn", "gru"], {"residual": True, "units": INPUTS}),
    ],
)
def test_equals_manually_stacked_layers(cells: list[str], options: dict) -> None:
    encoder = double(cells, **options)
    encoded = encoder(inputs(), lengths=np.array(LENGTHS, np.int32))
    by_hand = reference_layers(encoder, cells, len(LENGTHS))
    outputs, final = reference.encode(by_hand, inputs(), LENGTHS, encoder.residual)
    assert_same((encoded.outputs, encoded.states), (outputs, final), tolerance=1e-10)
    np.testing.assert_array_equal(encoded.lengths, LENGTHS)
    assert encoder.output_size == outputs.shape[-1]


def test_states_are_nested_by_layer_direction_and_cell() -> None:
    encoder = double(["lstm", "gru"], bidirectional=[True, False])
    states = encoder(inputs()).states
    assert tf.nest.map_structure(lambda _: 0, states) == (((0, 0), (0, 0)), ((0,),))
    zeros = encoder.get_initial_state(len(LENGTHS))
    assert_same(encoder(inputs(), states=zeros), encoder(inputs()))
    other = encoder(inputs(), states=states)
    assert all(np.any(new != old) for new, old in zip(tf.nest.flatten(other.states), tf.nest.flatten(states)))


def test_two_halves_equal_one_pass() -> None:
    encoder, lengths, cut = double(["lstm", "gru"], residual=True), np.array(LENGTHS), 2
    whole = encoder(inputs(), lengths=lengths)
    first = encoder(inputs()[:, :cut], lengths=np.minimum(lengths, cut))
    second = encoder(inputs()[:, cut:], lengths=np.maximum(lengths - cut, 0), states=first.states)
    assert_same(tf.concat([first.outputs, second.outputs], axis=1), whole.outputs, tolerance=1e-10)
    assert_same(second.states, whole.states, tolerance=1e-10)


def test_without_lengths_all_rows_are_full() -> None:
    encoder = double(["gru"], bidirectional=True)
    full = np.full(len(LENGTHS), TIME, np.int32)
    assert_same(encoder(inputs()), encoder(inputs(), lengths=full))
    symbol = keras.Input((None, INPUTS), dtype="float64")
    encoded = encoder(symbol)
    model = keras.Model(
        symbol, MeanPooling(dtype="float64")(encoded.outputs, encoded.states, encoded.lengths)
    )
    assert_same(model(inputs()), np.mean(encoder(inputs()).outputs, axis=1), tolerance=1e-10)


def test_the_backward_cell_has_weights_and_masks_of_its_own() -> None:
    encoder = Encoder([GRUCell(8, recurrent_dropout=0.5, seed=1)], bidirectional=True)
    encoder.build((None, None, INPUTS))
    forward, backward = encoder.directions[0]
    assert np.any(forward.cell.kernel.numpy() != backward.cell.kernel.numpy())
    masks = [recurrent.cell.constants(batch=2, training=True)[1] for recurrent in (forward, backward)]
    assert np.any(masks[0] != masks[1])
    backward.set_weights(forward.get_weights())
    single = encoder(np.float32(inputs()[:, :1])).outputs  # over one step both directions are equal
    assert_same(*np.split(single, 2, axis=-1))


def test_dropout_needs_training_follows_its_seed_and_applies_to_all_layers() -> None:
    def make(seed: int) -> Encoder:
        encoder = Encoder([RNNCell(6), RNNCell(6)], bidirectional=True, dropout=0.5, seed=seed)
        encoder.build((None, None, INPUTS))
        return randomized(encoder)

    x = np.float32(inputs())
    first, twin, other = make(1), make(1), make(2)
    assert_same(first(x), other(x))
    draws = [first(x, training=True).outputs for _ in range(2)]
    assert_same([twin(x, training=True).outputs for _ in range(2)], draws)
    assert np.any(draws[0] != draws[1])
    assert np.any(other(x, training=True).outputs != draws[0])
    layers = [recurrent for layer in first.directions for recurrent in layer]
    assert all(layer.dropout == 0.5 for layer in layers)
    assert len({layer.seed for layer in layers}) == len(layers) == 4


def test_the_encoder_computes_in_the_dtype_of_its_cells() -> None:
    assert (
        Encoder([LSTMCell(UNITS, dtype="float64")], bidirectional=True)(inputs()).outputs.dtype == tf.float64
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cells": []}, "at least one cell; got an empty sequence"),
        (
            {"cells": [GRUCell(2)], "bidirectional": [True, False]},
            "bidirectional must have one value per cell; got 2 values for 1 cells",
        ),
        ({"cells": [GRUCell(2)], "dropout": 1.0}, r"dropout must be a probability in \[0, 1\); got 1\.0"),
        (
            {"cells": [GRUCell(2), GRUCell(3)], "residual": True},
            "output size 3 in layer 1; use the same number of units",
        ),
        (
            {"cells": [GRUCell(2), GRUCell(2)], "residual": True, "bidirectional": [False, True]},
            "got input size 2 and output size 4 in layer 1",
        ),
    ],
)
def test_errors(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoder(**options).build((None, None, INPUTS))
