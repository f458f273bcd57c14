"""Kernels with manual gradients equal the loop over ``cell.step`` in values and all gradients."""

import numpy as np
import pytest
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers import Recurrent

CELLS = {
    "rnn tanh": lambda: RNNCell(5, dtype="float64"),
    "rnn sigmoid": lambda: RNNCell(5, activation="sigmoid", dtype="float64"),
    "rnn relu": lambda: RNNCell(5, activation="relu", recurrent_initializer="identity", dtype="float64"),
    "rnn linear": lambda: RNNCell(5, activation="linear", dtype="float64"),
    "lstm": lambda: LSTMCell(5, dtype="float64"),
    "gru": lambda: GRUCell(5, dtype="float64"),
    "gru reset after": lambda: GRUCell(5, reset_after=True, bias_initializer="normal", dtype="float64"),
}
LENGTHS = {"full": None, "ragged": [7, 3, 0, 1]}


def run(layer, x, lengths, states, mask, weights, how):
    """Returns values and gradients (inputs, states, weights) for a loss of outputs and final states."""
    cell = layer.cell
    variables = [variable.value for variable in cell.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        recurrent_kernel, _, *rest = cell.constants(batch=4)
        constants = (recurrent_kernel, mask, *rest)
        projected = cell.project(x)
        if how == "kernel":
            outputs, final = cell.sequence(projected, states, lengths, constants)
        else:
            outputs, final = kernels.generic(
                lambda x, states: cell.step(x, states, constants), projected, states, lengths, 5
            )
        loss = tf.reduce_sum(outputs * weights) + sum(tf.reduce_sum(tf.sin(state)) for state in final)
    return [outputs, *final, *tape.gradient(loss, [x, *states, *variables])]


@pytest.mark.parametrize(
    ("lengths", "masked"),
    [
        pytest.param(LENGTHS["ragged"], True, id="ragged masked"),
        pytest.param(LENGTHS["ragged"], False, id="ragged", marks=pytest.mark.slow),
        pytest.param(LENGTHS["full"], True, id="full masked", marks=pytest.mark.slow),
        pytest.param(LENGTHS["full"], False, id="full", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
def test_equals_stepping(make, lengths, masked):
    random = np.random.default_rng(0)
    layer = Recurrent(make(), dtype="float64")
    layer.build((4, 7, 3))
    x = tf.constant(random.normal(size=(4, 7, 3)))
    states = tuple(tf.constant(random.normal(size=(4, 5))) for _ in layer.cell.state_size)
    weights = tf.constant(random.normal(size=(4, 7, 5)))
    mask = tf.constant(random.integers(0, 2, size=(4, 5)) * 2.0) if masked else None
    lengths = None if lengths is None else tf.constant(lengths)
    arguments = (layer, x, lengths, states, mask, weights)
    expected = run(*arguments, "generic")
    for mode in ({}, {"jit_compile": True}):
        got = tf.function(lambda: run(*arguments, "kernel"), autograph=False, **mode)()
        for a, b in zip(expected, got, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-10)


@pytest.mark.parametrize("truncate", [1, 3, 7])
def test_truncation_cuts_the_gradient_and_carries_the_state(truncate):
    """The gradient equals the gradient of separate windows, between which no gradient flows."""
    random = np.random.default_rng(1)
    x = tf.constant(random.normal(size=(2, 7, 12)))
    recurrent_kernel = tf.constant(random.normal(size=(3, 12)))
    states = tuple(tf.constant(random.normal(size=(2, 3))) for _ in range(2))
    weights = tf.constant(random.normal(size=(2, 7, 3)))
    with tf.GradientTape() as tape:
        tape.watch([x, recurrent_kernel])
        outputs, _ = kernels.lstm(x, states, recurrent_kernel, truncate=truncate)
        loss = tf.reduce_sum(outputs * weights)
    got = tape.gradient(loss, [x, recurrent_kernel])
    with tf.GradientTape() as tape:
        tape.watch([x, recurrent_kernel])
        pieces = []
        for start in range(0, 7, truncate):
            piece, states = kernels.lstm(x[:, start : start + truncate], states, recurrent_kernel)
            states = tuple(tf.stop_gradient(state) for state in states)
            pieces.append(piece)
        windows = tf.concat(pieces, axis=1)
        loss = tf.reduce_sum(windows * weights)
    np.testing.assert_allclose(outputs, windows, atol=1e-12)
    for a, b in zip(tape.gradient(loss, [x, recurrent_kernel]), got, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-12)


def test_second_derivative_raises_an_error():
    x = tf.random.normal((2, 3, 8), dtype=tf.float64)
    recurrent_kernel = tf.random.normal((2, 8), dtype=tf.float64)
    states = (tf.zeros((2, 2), tf.float64),) * 2
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            outputs, _ = kernels.lstm(x, states, recurrent_kernel)
            loss = tf.reduce_sum(outputs**2)
        gradient = inner.gradient(loss, x)
    with pytest.raises(NotImplementedError, match="generic"):
        outer.gradient(gradient, x)


def test_recurrent_returns_the_same_values_in_training_and_inference():
    layer = Recurrent(LSTMCell(4))
    x = tf.random.normal((3, 6, 2))
    np.testing.assert_allclose(layer(x, training=True)[0], layer(x, training=False)[0], atol=1e-6)
    with kernels.form("generic"):
        np.testing.assert_allclose(layer(x, training=True)[0], layer(x, training=False)[0], atol=0)
