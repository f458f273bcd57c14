"""The fused LSTM equals stepping, with lengths and in both directions. TensorFlow computes it as a loop.

The tests in tests/export check that the converter creates one operator and that the reset steps work.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import GRUCell, LSTMCell
from seqmodels.layers import Recurrent


def layer(cell, reverse: bool = False) -> Recurrent:
    """Returns a layer with weights that are large enough for states far from zero."""
    recurrent = Recurrent(cell, reverse=reverse)
    recurrent.build((None, None, 3))
    rng = np.random.default_rng(5)
    recurrent.set_weights([rng.normal(scale=1.5, size=weight.shape) for weight in recurrent.weights])
    return recurrent


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lengths", [None, (5, 2, 0)])
def test_equals_stepping(reverse: bool, lengths: tuple[int, ...] | None) -> None:
    recurrent = layer(LSTMCell(4), reverse)
    inputs = tf.constant(np.random.default_rng(6).normal(size=(3, 5, 3)), tf.float32)
    counts = None if lengths is None else tf.constant(lengths)
    outputs, (h, _) = recurrent(inputs, counts)
    with kernels.form("fused"):
        fused, states = recurrent(inputs, counts)
    np.testing.assert_allclose(fused, outputs, atol=1e-6)
    assert len(states) == 1  # the operator does not return c
    np.testing.assert_allclose(states[0], h, atol=1e-6)


def test_the_reset_steps_clear_any_state() -> None:
    """The operator starts with the state of the previous text. This test passes such a state."""
    recurrent = layer(LSTMCell(4))
    cell, inputs = recurrent.cell, tf.zeros((1, 0, 3))
    from seqmodels.kernels import fused

    kernel = fused._with_reset_rows(tf.convert_to_tensor(cell.kernel))
    projected = tf.tensordot(fused._with_reset_steps(inputs), kernel, 1) + tf.convert_to_tensor(cell.bias)
    states = (tf.constant([[1.0, -1.0, 1.0, -1.0]]), tf.constant([[9.0, -9.0, 30.0, 0.5]]))
    for t in range(fused.RESET_STEPS):
        _, states = cell.step(projected[:, t], states, cell.constants())
    for state in states:
        np.testing.assert_allclose(state, 0, atol=1e-7)


def test_other_cells_and_initial_states_use_the_generic_form() -> None:
    inputs = tf.ones((2, 3, 3))
    gru, lstm = layer(GRUCell(4)), layer(LSTMCell(4))
    given = [tf.ones((2, 4)), tf.ones((2, 4))]
    expected, with_states = gru(inputs)[0], lstm(inputs, states=given)
    with kernels.form("fused"):
        np.testing.assert_allclose(gru(inputs)[0], expected, atol=1e-6)
        outputs, states = lstm(inputs, states=given)
    np.testing.assert_allclose(outputs, with_states[0], atol=1e-6)
    assert len(states) == 2
