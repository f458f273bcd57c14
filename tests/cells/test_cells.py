"""Tests of the cells: comparison with NumPy over whole sequences, use in Keras layers, and the interface."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import (
    CELLS,
    INPUTS,
    PARALLEL,
    RECURRENT,
    REFERENCES,
    UNITS,
    assert_same,
    named,
    normal,
    randomized,
)

from seqmodels import kernels, registry
from seqmodels.cells import Cell, GRUCell, LinearCell, LSTMCell, RNNCell
from seqmodels.layers import Recurrent

LENGTHS = [7, 3, 1, 0]


def ragged(cell: Cell, dtype: str) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns inputs ``(n, T, d)`` and initial states. The values in the padding must not matter."""
    rng = np.random.default_rng(1)
    states = [normal(rng, len(LENGTHS), UNITS).astype(dtype) for _ in cell.state_size]
    return normal(rng, len(LENGTHS), max(LENGTHS), INPUTS).astype(dtype), states


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize(("form", "training"), [("auto", True), ("generic", False), ("unrolled", False)])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_equals_the_papers_over_ragged_rows(
    name: str, reverse: bool, form: str, training: bool, dtype: str, tolerance: float
) -> None:
    """In training, the layer runs the kernel of a cell, if the cell has a kernel."""
    layer = Recurrent(CELLS[name](UNITS, dtype=dtype), reverse=reverse)
    layer.build((None, None, INPUTS))
    randomized(layer)
    inputs, states = ragged(layer.cell, dtype)
    with kernels.form(form):
        outputs, final = layer(inputs, np.array(LENGTHS, np.int32), states, training=training)
    expected = reference.run(
        REFERENCES[name], named(layer), inputs.astype(np.float64), LENGTHS, states, reverse
    )
    assert_same((outputs, list(final)), expected, tolerance)


@pytest.mark.parametrize("activation", reference.ACTIVATIONS)
def test_activations(activation: str) -> None:
    cell = RNNCell(UNITS, activation=activation, dtype="float64")
    cell.build((None, INPUTS))
    inputs, states = ragged(randomized(cell), "float64")
    output, _ = cell(inputs[:, 0], states)
    for row, x in enumerate(inputs[:, 0]):
        expected, _ = reference.rnn(named(cell), x, (states[0][row],), activation)
        np.testing.assert_allclose(output[row], expected, rtol=0, atol=1e-10)


def tanh(x: tf.Tensor) -> tf.Tensor:
    """A custom function with the name of a Keras activation."""
    return 0.5 * tf.tanh(x)


@pytest.mark.parametrize(
    "activation", [tanh, partial(tf.nn.leaky_relu, alpha=0.3)], ids=["named", "nameless"]
)
def test_custom_activation_in_training_equals_stepping(activation: Callable) -> None:
    layer = Recurrent(RNNCell(UNITS, activation=activation))
    inputs, states = ragged(layer.cell, "float32")
    assert_same(layer(inputs, states=states, training=True), layer(inputs, states=states), tolerance=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_runs_in_keras_rnn_and_bidirectional(name: str) -> None:
    """Keras and ``Recurrent`` compute the same results in both directions."""
    make = CELLS[name]
    forward, backward = Recurrent(make(UNITS)), Recurrent(make(UNITS), reverse=True)
    inputs, states = ragged(forward.cell, "float32")
    (ahead, final), (back, _) = forward(inputs, states=states), backward(inputs, states=states)
    stepped = keras.layers.RNN(forward.cell, return_sequences=True, return_state=True)
    assert_same(stepped(inputs, initial_state=states), (ahead, *final), tolerance=1e-6)
    both = keras.layers.Bidirectional(keras.layers.RNN(make(UNITS), return_sequences=True))
    both.build(inputs.shape)
    both.set_weights([*forward.get_weights(), *backward.get_weights()])
    expected = tf.concat([ahead, back], axis=-1)
    assert_same(both(inputs, initial_state=[*states, *states]), expected, tolerance=1e-6)


def test_cells_stack_in_keras() -> None:
    inputs, _ = ragged(LSTMCell(UNITS), "float32")
    lower, upper = Recurrent(LSTMCell(UNITS)), Recurrent(GRUCell(UNITS))
    expected, _ = upper(lower(inputs)[0])
    stacked = keras.layers.RNN([lower.cell, upper.cell], return_sequences=True)
    assert_same(stacked(inputs), expected, tolerance=1e-6)


def test_forget_bias_is_set_in_every_build_mode() -> None:
    """Keras may build a layer inside a graph, where a variable cannot be read and changed."""

    class Lazy(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = Recurrent(LSTMCell(2, forget_bias=3.0, bias_initializer="ones"))

        def call(self, inputs: tf.Tensor) -> tf.Tensor:
            return self.recurrent(inputs)[0]

    fitted, traced, built = Lazy(), Lazy(), Lazy()
    fitted.compile(keras.optimizers.SGD(0.0), "mse")
    fitted.fit(np.ones((1, 2, INPUTS)), np.ones((1, 2, 2)), verbose=0)
    tf.function(traced)(tf.ones((1, 2, INPUTS)))
    built(tf.ones((1, 2, INPUTS)))
    for model in (fitted, traced, built):
        np.testing.assert_array_equal(model.recurrent.cell.bias, [1, 1, 4, 4, 1, 1, 1, 1])


def test_identity_initialisation_keeps_the_state() -> None:
    """Le et al. 2015: without input, a relu network with identity weights keeps its state."""
    layer = Recurrent(CELLS["irnn"](UNITS))
    state = np.array([[0.5, 2.0, 0.0]], np.float32)
    outputs, _ = layer(np.zeros((1, 20, INPUTS), np.float32), states=[state])
    np.testing.assert_array_equal(outputs[0], np.tile(state, (20, 1)))


@pytest.mark.parametrize("name", CELLS)
def test_contract(name: str) -> None:
    cell = CELLS[name](UNITS)
    assert cell.output_size == UNITS
    assert [state.shape for state in cell.get_initial_state(batch_size=5)] == [(5, UNITS)] * len(
        cell.state_size
    )
    cell.build((None, INPUTS))
    assert cell.kernel.shape == (INPUTS, len(cell.blocks) * UNITS)
    if name in RECURRENT:
        assert cell.recurrent_kernel.shape == (UNITS, len(cell.blocks) * UNITS)
    assert cell.bias.shape == (len(cell.blocks) * UNITS,)
    inputs, states = ragged(randomized(cell), "float32")
    steps = cell.project(tf.constant(inputs))  # (batch, time, projected)
    np.testing.assert_allclose(cell.project(tf.constant(inputs[:, 2])), steps[:, 2], rtol=0, atol=1e-6)
    output, new = cell.step(steps[:, 2], tuple(states), cell.constants())
    assert_same(cell(inputs[:, 2], states), (output, list(new)), tolerance=1e-6)


@pytest.mark.parametrize("option", ["weight_dropout", "recurrent_dropout"])
@pytest.mark.parametrize("name", PARALLEL)
def test_parallel_cells_reject_recurrent_dropouts(name: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"{option} must be 0 for .* has no recurrent weights"):
        CELLS[name](UNITS, **{option: 0.1})
    assert option not in CELLS[name](UNITS, **{option: 0.0}).get_config()


def test_decays_of_the_rg_lru_start_slow() -> None:
    """At the start, ``a^c`` is uniform in [0.9, 0.999] (De et al. 2024, section 2.4)."""
    cell = CELLS["rglru"](500)
    cell.build((None, INPUTS))
    powers = (1 / (1 + np.exp(-np.float64(cell.decay)))) ** 8
    assert powers.min() >= 0.9 - 1e-5
    assert powers.max() <= 0.999 + 1e-5
    assert np.abs(np.quantile(powers, [0.25, 0.5, 0.75]) - [0.92475, 0.9495, 0.97425]).max() < 0.01


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_closed_recurrence_gate_has_finite_gradients(dtype: str) -> None:
    """With a closed gate, the decay a is exactly 1. The square root of ``1 - a^2`` then has no derivative."""
    layer = Recurrent(CELLS["rglru"](2, dtype=dtype))
    layer.build((1, 3, 2))
    layer.cell.bias.assign([-200.0, -200.0, 0.0, 0.0, 1.0, 1.0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.cast(layer(tf.ones((1, 3, 2), layer.compute_dtype))[0], tf.float32))
    for gradient in tape.gradient(loss, [variable.value for variable in layer.trainable_variables]):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("option", ["weight_dropout", "recurrent_dropout"])
def test_single_steps_in_training_reject_dropout(option: str) -> None:
    cell = GRUCell(UNITS, **{option: 0.5})
    inputs, states = ragged(cell, "float32")
    cell(inputs[:, 0], states)
    with pytest.raises(ValueError, match=r"train the cell in seqmodels\.layers\.Recurrent"):
        cell(inputs[:, 0], states, training=True)
    with pytest.raises(ValueError, match=r"train the cell in seqmodels\.layers\.Recurrent"):
        keras.layers.RNN(cell)(inputs, training=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": 0}, "units must be at least 1; got 0"),
        ({"units": 2, "weight_dropout": 1.0}, r"weight_dropout must be a probability in \[0, 1\); got 1\.0"),
        ({"units": 2, "recurrent_dropout": -0.1}, r"recurrent_dropout must be .*; got -0\.1"),
    ],
)
def test_bad_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LSTMCell(**options)


def test_memory_is_refused() -> None:
    layer = Recurrent(GRUCell(UNITS))
    with pytest.raises(ValueError, match="GRUCell has no attention; pass memory=None"):
        layer(np.ones((1, 2, INPUTS), np.float32), memory=tf.ones((1, 2, 2)))


def test_a_cell_without_step_raises() -> None:
    cell = Cell(UNITS)
    with pytest.raises(NotImplementedError, match="Cell must define the method step"):
        cell(tf.ones((1, INPUTS)), cell.get_initial_state(1))


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_declares_parallel_blocks_and_source(name: str) -> None:
    cell = CELLS[name](UNITS)
    assert registry.CELLS[name].parallel == cell.parallel == isinstance(cell, LinearCell)
    described = " ".join(type(cell).__doc__.split())
    assert cell.source
    assert all(paper in described for paper in cell.source.split("; "))
    assert all(f"& {block}" in described for block in cell.blocks) or cell.blocks == ("candidate",)
