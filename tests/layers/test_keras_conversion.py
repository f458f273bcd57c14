"""The layers of this library and of Keras compute the same results, in both directions of the conversion."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from inventory import CELLS, INPUTS, RECURRENT, UNITS, assert_same, normal, randomized

from seqmodels.cells import Cell, GRUCell, LSTMCell, RNNCell
from seqmodels.layers import Recurrent, from_keras, to_keras

LENGTHS = np.array([6, 4, 1], np.int32)
TIME = 6
KERAS: dict[str, Any] = {
    "SimpleRNN": keras.layers.SimpleRNN,
    "SimpleRNN relu": lambda *args, **options: keras.layers.SimpleRNN(*args, activation="relu", **options),
    "LSTM": keras.layers.LSTM,
    "GRU": lambda *args, **options: keras.layers.GRU(*args, reset_after=False, **options),
    "GRU reset after": keras.layers.GRU,
}


def inputs() -> np.ndarray:
    return normal(np.random.default_rng(2), len(LENGTHS), TIME, INPUTS).astype(np.float32)


def initial(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return [normal(rng, len(LENGTHS), UNITS).astype(np.float32) for _ in range(count)]


def assert_agree(ours: Recurrent, theirs: keras.layers.Layer) -> None:
    """Compares full rows, and ragged rows with a mask. If reversed, Keras returns the last step first."""
    states = initial(len(ours.cell.state_size))
    outputs, final = ours(inputs(), states=states)
    expected = theirs(inputs(), initial_state=states)
    written = tf.reverse(expected[0], [1]) if ours.reverse else expected[0]
    assert_same((outputs, final), (written, expected[1:]), tolerance=1e-5)

    real = np.arange(TIME) < LENGTHS[:, None]  # (batch, time)
    outputs, final = ours(inputs(), lengths=LENGTHS, states=states)
    expected = theirs(inputs(), initial_state=states, mask=tf.constant(real))
    written = tf.reverse(expected[0], [1]) if ours.reverse else expected[0]
    assert_same((outputs[real], final), (written[real], expected[1:]), tolerance=1e-5)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", RECURRENT)
def test_to_keras_and_back(name: str, reverse: bool) -> None:
    ours = Recurrent(CELLS[name](UNITS), reverse=reverse)
    ours.build((None, None, INPUTS))
    theirs = to_keras(randomized(ours))
    assert_agree(ours, theirs)
    back = from_keras(theirs)
    assert back.reverse == reverse
    assert_same(back.get_weights(), ours.get_weights())


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", KERAS)
def test_from_keras_and_back(name: str, reverse: bool) -> None:
    """All biases are random. Only Keras has recurrent biases of the gates, and they are random, too."""
    theirs = KERAS[name](UNITS, return_sequences=True, return_state=True, go_backwards=reverse)
    theirs.build((None, None, INPUTS))
    ours = from_keras(randomized(theirs))
    assert_agree(ours, theirs)
    assert_agree(ours, to_keras(ours))


def test_options_are_converted() -> None:
    layer = keras.layers.LSTM(2, dropout=0.1, recurrent_dropout=0.2, dtype="float64")
    layer.build((None, None, INPUTS))
    ours = from_keras(layer)
    assert (ours.dropout, ours.cell.recurrent_dropout, ours.compute_dtype) == (0.1, 0.2, "float64")
    theirs = to_keras(ours)
    assert (theirs.dropout, theirs.recurrent_dropout, theirs.compute_dtype) == (0.1, 0.2, "float64")
    assert theirs.return_sequences
    assert theirs.return_state


def built(layer: keras.layers.Layer) -> keras.layers.Layer:
    layer.build((None, None, INPUTS))
    return layer


class Other(Cell):
    """A cell that Keras does not have."""


@pytest.mark.parametrize(
    ("convert", "layer", "message"),
    [
        (to_keras, lambda: Recurrent(LSTMCell(2)), "is not built; call the layer once"),
        (from_keras, lambda: keras.layers.LSTM(2), "is not built; call the layer once"),
        (to_keras, lambda: built(Recurrent(Other(2))), "must be an RNNCell, LSTMCell or GRUCell; got Other"),
        (from_keras, lambda: built(keras.layers.Dense(2)), "or a Bidirectional of these layers; got Dense"),
        (
            from_keras,
            lambda: built(keras.layers.RNN(LSTMCell(2))),
            "must be a SimpleRNN, LSTM or GRU, or a Bidirectional of these layers; got RNN",
        ),
    ],
)
def test_errors(convert: Any, layer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        convert(layer())


def test_conversion_keeps_the_type_of_the_cell() -> None:
    kinds = {name: from_keras(built(make(2))).cell for name, make in KERAS.items()}
    assert [type(cell) for cell in kinds.values()] == [RNNCell, RNNCell, LSTMCell, GRUCell, GRUCell]
    assert (kinds["GRU"].reset_after, kinds["GRU reset after"].reset_after) == (False, True)
