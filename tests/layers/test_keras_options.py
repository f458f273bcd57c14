"""Tests of the options that this library shares with Keras.

The options are the bias, activations, initializers, regularizers, constraints and the returned values.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from inventory import (
    CELLS,
    INPUTS,
    PARALLEL,
    RECURRENT,
    UNITS,
    assert_same,
    named,
    normal,
    randomized,
    scalar,
)

from seqmodels import analysis, kernels
from seqmodels.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers import AttentionDecoderCell, DotAttention, Encoder, Recurrent, from_keras, to_keras

LENGTHS = np.array([5, 3, 1], np.int32)
TIME = 5
KERAS: dict[str, Any] = {
    "rnn": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": lambda *args, **options: keras.layers.GRU(*args, reset_after=False, **options),
    "gru-reset-after": keras.layers.GRU,
}
# SimpleRNN does not have the option recurrent_activation. ``options_of`` removes this option.
OPTIONS: list[dict[str, Any]] = [
    {"use_bias": False},
    {"activation": "relu"},
    {"activation": None},
    {"recurrent_activation": "hard_sigmoid"},
    {"recurrent_activation": "tanh", "activation": "softsign", "use_bias": False},
    {"recurrent_activation": "softmax", "activation": "elu"},
]
ROLES = {
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_uniform",
    "bias_initializer": "ones",
    "kernel_regularizer": keras.regularizers.L2(0.1),
    "recurrent_regularizer": keras.regularizers.L1(0.2),
    "bias_regularizer": keras.regularizers.L1L2(0.1, 0.3),
    "kernel_constraint": keras.constraints.MaxNorm(0.7),
    "recurrent_constraint": keras.constraints.UnitNorm(axis=0),
    "bias_constraint": keras.constraints.MinMaxNorm(0.1, 0.5),
}


def inputs() -> np.ndarray:
    return normal(np.random.default_rng(2), len(LENGTHS), TIME, INPUTS)


def built(layer: Any) -> Any:
    layer.build((None, None, INPUTS))
    return layer


def options_of(name: str, options: dict) -> dict:
    gated = name not in ("rnn", "irnn")
    return {key: value for key, value in options.items() if gated or key != "recurrent_activation"}


def results_and_gradients(call: Any, weights: list) -> tuple[list, list]:
    """Returns outputs and states, and the gradients of the inputs and the weights."""
    x = tf.constant(inputs())
    with tf.GradientTape() as tape:
        tape.watch(x)
        results = call(x)
        loss = scalar(results)
    return results, tape.gradient(loss, [x, *(weight.value for weight in weights)])


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("name", KERAS)
def test_values_and_gradients_equal_keras(name: str, options: dict) -> None:
    """Compares outputs, states, and the gradients of the inputs and the weights."""
    kept = options_of(name, options)
    theirs = built(KERAS[name](UNITS, return_sequences=True, return_state=True, dtype="float64", **kept))
    ours = from_keras(randomized(theirs))
    assert ours.cell.use_bias == kept.get("use_bias", True)
    real = tf.sequence_mask(LENGTHS, TIME)

    def masked(x: tf.Tensor) -> list:
        outputs, *states = theirs(x, mask=real)
        return [tf.where(real[..., None], outputs, 0), *states]

    expected, (dx, *dweights) = results_and_gradients(masked, theirs.weights)
    found, (ours_dx, *ours_dweights) = results_and_gradients(
        lambda x: tf.nest.flatten(ours(x, lengths=LENGTHS, training=True)), ours.weights
    )
    assert_same(found, expected, tolerance=1e-10)
    assert_same(ours_dx, dx, tolerance=1e-10)
    if isinstance(ours.cell, GRUCell):
        turn = np.repeat([-1.0, 1.0, 1.0], UNITS)  # the conversion negates the weights of the update gate
        dweights = [gradient * turn for gradient in dweights]
        if ours.cell.reset_after and ours.cell.use_bias:
            dweights = [*dweights[:2], dweights[2][0], dweights[2][1, 2 * UNITS :]]
    assert_same(ours_dweights, dweights, tolerance=1e-10)


@pytest.mark.parametrize("form", ["generic", "unrolled", "fused"])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "gru-reset-after"])
def test_every_form_computes_the_same(name: str, options: dict, form: str) -> None:
    layer = randomized(built(Recurrent(CELLS[name](UNITS, dtype="float64", **options_of(name, options)))))
    expected = layer(inputs(), LENGTHS)
    with kernels.form(form):
        outputs, states = layer(inputs(), LENGTHS)
    assert_same((outputs, states), (expected[0], expected[1][: len(states)]), tolerance=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_cells_without_a_bias(name: str) -> None:
    """Compares a cell without a bias with a cell whose bias is zero."""
    plain, zero = (built(Recurrent(CELLS[name](UNITS, dtype="float64", use_bias=b))) for b in (False, True))
    randomized(plain)
    weights = named(plain)
    assert not any("bias" in key for key in weights)
    for weight in zero.weights:
        weight.assign(weights.get(weight.name, np.zeros(weight.shape)))
    for training in (True, False):
        assert_same(plain(inputs(), LENGTHS, training=training), zero(inputs(), LENGTHS), tolerance=1e-12)
    twin = Recurrent.from_config(plain.get_config())
    assert twin.cell.use_bias is False


def ran_kernel(layer: Recurrent) -> bool:
    cell = layer.cell
    projected, states = cell.project(tf.constant(inputs())), layer.get_initial_state(len(LENGTHS))
    return cell.sequence(projected, states, None, cell.constants(len(LENGTHS))) is not None


@pytest.mark.parametrize("name", CELLS)
def test_kernels_run_with_the_default_activations(name: str) -> None:
    for options in ({}, {"use_bias": False}, {"kernel_regularizer": "l2", "bias_constraint": "non_neg"}):
        assert ran_kernel(built(Recurrent(CELLS[name](UNITS, dtype="float64", **options))))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        (LSTMCell, {"activation": "relu"}),
        (LSTMCell, {"recurrent_activation": "hard_sigmoid"}),
        (GRUCell, {"activation": "relu"}),
        (GRUCell, {"recurrent_activation": "hard_sigmoid"}),
        (RNNCell, {"activation": "elu"}),
    ],
)
def test_the_generic_loop_runs_with_other_activations(cell: Any, options: dict) -> None:
    layer = built(Recurrent(cell(UNITS, dtype="float64", **options)))
    assert not ran_kernel(layer)
    if cell is LSTMCell:
        assert layer.cell.fused(tf.constant(inputs()), None) is None
    with tf.GradientTape() as tape, analysis.recording(layer, tape) as traces:
        layer(inputs())
    assert analysis.step_bound(traces[0]) is None
    assert set(analysis.gates(traces[0])) == set(cell(UNITS).gate_values(*gate_arguments(cell)))


def gate_arguments(cell: Any) -> tuple:
    made = cell(UNITS)
    made.build((None, INPUTS))
    states = tuple(tf.zeros((1, UNITS)) for _ in made.state_size)
    return made.project(tf.zeros((1, INPUTS))), states, made.constants(1)


@pytest.mark.parametrize("name", RECURRENT)
def test_regularizers_and_constraints_of_every_weight(name: str) -> None:
    cell = CELLS[name](UNITS, **{key: value for key, value in ROLES.items() if "initializer" not in key})
    layer = randomized(built(Recurrent(cell)))
    roles = {weight.name: weight.name.replace("recurrent_kernel", "recurrent") for weight in layer.weights}
    roles = {key: "bias" if "bias" in value else value for key, value in roles.items()}
    expected = [ROLES[f"{roles[weight.name]}_regularizer"](weight) for weight in layer.trainable_weights]
    assert float(sum(layer.losses)) == pytest.approx(float(sum(expected)), rel=1e-6)
    before = {weight.name: weight.numpy() for weight in layer.weights}
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.apply([tf.zeros(weight.shape) for weight in layer.trainable_weights], layer.trainable_weights)
    for weight in layer.weights:
        constraint = ROLES[f"{roles[weight.name]}_constraint"]
        np.testing.assert_allclose(weight, constraint(before[weight.name]), atol=1e-6)


@pytest.mark.parametrize("name", PARALLEL)
def test_options_of_parallel_cells(name: str) -> None:
    kept = {key: value for key, value in ROLES.items() if not key.startswith("recurrent")}
    layer = built(Recurrent(CELLS[name](UNITS, **kept)))
    assert len(layer.losses) == 2
    twin = CELLS[name].from_config(json.loads(json.dumps(layer.cell.get_config())))
    assert twin.get_config() == layer.cell.get_config()
    for option in ("activation", "recurrent_activation", "recurrent_regularizer", "recurrent_constraint"):
        with pytest.raises(ValueError, match=f"{option} does not apply to .*; leave out {option}"):
            CELLS[name](UNITS, **{option: "tanh"})


@pytest.mark.parametrize("name", RECURRENT)
def test_options_are_saved_and_loaded(name: str, tmp_path: Path) -> None:
    extra = options_of(name, {"recurrent_activation": "hard_sigmoid"})
    layer = Recurrent(CELLS[name](UNITS, **{**ROLES, **extra}, use_bias=True))
    symbol = keras.Input((None, INPUTS))
    model = keras.Model(symbol, layer(symbol)[0])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert_same(loaded(inputs()), model(inputs()))
    assert float(sum(loaded.losses)) == pytest.approx(float(sum(model.losses)), rel=1e-6)
    both = Encoder([CELLS[name](UNITS, **ROLES, **extra)], bidirectional=True)
    backward = both.directions[0][1].cell.get_config()
    forward = both.directions[0][0].cell.get_config()
    assert {**backward, "name": forward["name"]} == forward


@pytest.mark.parametrize("name", CELLS)
def test_a_config_without_the_new_options_loads(name: str) -> None:
    """Files of earlier releases do not contain the keys of the new options."""
    layer = randomized(built(Recurrent(CELLS[name](UNITS))))
    new = {"use_bias", "recurrent_activation", "return_sequences", "return_state"}
    config = layer.get_config()

    def old(config: dict) -> dict:
        return {
            key: value
            for key, value in config.items()
            if key not in new and not key.endswith(("_regularizer", "_constraint"))
        }

    cell = old(config["cell"]["config"])
    if name not in ("rnn", "irnn"):
        cell.pop("activation", None)
    twin = Recurrent.from_config({**old(config), "cell": {**config["cell"], "config": cell}})
    built(twin).set_weights(layer.get_weights())
    assert_same(twin(inputs()), layer(inputs()))


def test_both_directions_use_a_custom_activation() -> None:
    def doubled(x: tf.Tensor) -> tf.Tensor:
        return 2 * tf.tanh(x)

    encoder = built(Encoder([LSTMCell(UNITS, activation=doubled)], bidirectional=True))
    assert encoder.directions[0][1].cell.activation is doubled
    assert encoder(inputs()).outputs.shape == (3, TIME, 2 * UNITS)


def test_options_of_the_readout_of_a_decoder() -> None:
    cell = AttentionDecoderCell(
        [GRUCell(UNITS, use_bias=False)],
        DotAttention(),
        memory_units=UNITS,
        units=4,
        use_bias=False,
        kernel_regularizer="l2",
        kernel_constraint="max_norm",
    )
    layer = Recurrent(cell)
    outputs, _ = layer(inputs(), memory=(tf.ones((3, 2, UNITS)), None))
    assert outputs.shape == (3, TIME, 4)
    assert cell.readout_bias is None
    assert cell.readout_kernel.constraint is not None
    assert len(layer.losses) == 1


# --- conversion


@pytest.mark.parametrize("name", KERAS)
def test_options_are_converted_in_both_directions(name: str) -> None:
    kept = {key: value for key, value in ROLES.items() if name != "gru-reset-after" or "bias_" not in key}
    extra = options_of(name, {"recurrent_activation": "hard_sigmoid", "activation": "relu"})
    layer = built(KERAS[name](UNITS, **kept, **extra))
    ours = from_keras(layer)
    config, back = layer.get_config(), to_keras(ours).get_config()
    for key in [*ROLES, *extra, "use_bias"]:
        assert ours.cell.get_config()[key] == config[key] == back[key]
    assert float(sum(ours.losses)) == pytest.approx(float(sum(layer.losses)), rel=1e-6)


def test_warning_if_a_gru_has_two_regularized_biases() -> None:
    layer = built(keras.layers.GRU(UNITS, bias_regularizer="l2"))
    with pytest.warns(UserWarning, match="the regularizer and the constraint of the bias apply to the sum"):
        from_keras(layer)


@pytest.mark.parametrize("reset_after", [False, True])
def test_error_if_an_option_of_a_gru_depends_on_the_sign(reset_after: bool) -> None:
    layer = built(keras.layers.GRU(UNITS, reset_after=reset_after, kernel_constraint="non_neg"))
    message = (
        "cannot be converted; the option NonNeg of its kernel weights depends on the sign .*; "
        "create the GRU without this option"
    )
    with pytest.raises(ValueError, match=message):
        from_keras(layer)
    ours = built(Recurrent(GRUCell(UNITS, reset_after=reset_after, recurrent_constraint="non_neg")))
    with pytest.raises(
        ValueError, match=r"cannot be converted; the option NonNeg of its recurrent weights depends"
    ):
        to_keras(ours)


@pytest.mark.parametrize("options", [{}, {"use_bias": False, "activation": "relu"}], ids=["default", "other"])
@pytest.mark.parametrize("name", KERAS)
def test_bidirectional_becomes_an_encoder(name: str, options: dict) -> None:
    theirs = keras.layers.Bidirectional(
        KERAS[name](UNITS, return_sequences=True, return_state=True, dtype="float64", **options),
        dtype="float64",
    )
    ours = from_keras(randomized(built(theirs)))
    assert isinstance(ours, Encoder)
    real = tf.sequence_mask(LENGTHS, TIME)

    def masked(x: tf.Tensor) -> list:
        outputs, *states = theirs(x, mask=real)
        return [tf.where(real[..., None], outputs, 0), *states]

    expected, (dx, *_) = results_and_gradients(masked, theirs.weights)
    found, (ours_dx, *_) = results_and_gradients(
        lambda x: tf.nest.flatten(ours(x, lengths=LENGTHS)[:2]), ours.weights
    )
    assert_same(found, expected, tolerance=1e-10)
    assert_same(ours_dx, dx, tolerance=1e-10)


def test_dropouts_of_bidirectional_are_converted() -> None:
    layer = built(keras.layers.Bidirectional(keras.layers.LSTM(2, dropout=0.1, recurrent_dropout=0.2)))
    for recurrent in from_keras(layer).directions[0]:
        assert (recurrent.dropout, recurrent.cell.recurrent_dropout) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            lambda: built(keras.layers.Bidirectional(keras.layers.LSTM(2), merge_mode="sum")),
            "got 'sum'; convert",
        ),
        (
            lambda: built(
                keras.layers.Bidirectional(
                    keras.layers.LSTM(2), backward_layer=keras.layers.LSTM(3, go_backwards=True)
                )
            ),
            "must have the same type and options",
        ),
        (
            lambda: built(
                keras.layers.Bidirectional(
                    keras.layers.LSTM(2), backward_layer=keras.layers.GRU(2, go_backwards=True)
                )
            ),
            "must have the same type and options",
        ),
        (lambda: keras.layers.Bidirectional(keras.layers.LSTM(2)), "is not built; call the layer once"),
        (
            lambda: built(keras.layers.Bidirectional(keras.layers.RNN(keras.layers.LSTMCell(2)))),
            "must be a SimpleRNN, LSTM or GRU, or a Bidirectional of these layers; got RNN",
        ),
    ],
)
def test_errors_for_bidirectional_layers(layer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_keras(layer())


# --- return_sequences and return_state


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_returned_values(name: str, reverse: bool) -> None:
    plain = randomized(built(Recurrent(CELLS[name](UNITS), reverse=reverse)))
    x, lengths = np.float32(inputs()), [5, 2, 0]
    for counts in (None, lengths):
        outputs, states = plain(x, lengths=counts)
        ends = [0] * 3 if reverse else [(length or 1) - 1 for length in counts or [TIME] * 3]
        last = outputs.numpy()[np.arange(3), ends]
        cases = {
            (True, None): outputs,
            (True, False): outputs,
            (True, True): (outputs, *states),
            (False, None): last,
            (None, False): last,
            (False, False): last,
            (False, True): (last, *states),
            (None, True): (last, *states),
        }
        for (sequences, state), expected in cases.items():
            layer = Recurrent(plain.cell, reverse, return_sequences=sequences, return_state=state)
            found = layer(x, lengths=counts)
            assert_same(found, expected)
            shapes = tf.nest.map_structure(lambda tensor: tuple(tensor.shape), found)
            assert layer.compute_output_shape(x.shape) == shapes
            assert Recurrent.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("name", KERAS)
def test_the_last_output_equals_keras(name: str) -> None:
    """The mask contains a row without real steps. The output of this row is zero."""
    x = np.float32(inputs())
    real = tf.sequence_mask([5, 2, 0], TIME)
    for reverse in (False, True):
        theirs = randomized(built(KERAS[name](UNITS, go_backwards=reverse, return_state=True)))
        ours = Recurrent(from_keras(theirs).cell, reverse=reverse, return_state=True)
        assert_same(ours(x, mask=real), theirs(x, mask=real), tolerance=1e-6)


def test_the_output_without_steps_is_zero() -> None:
    for options in ({}, {"reverse": True}):
        layer = Recurrent(LSTMCell(UNITS), return_sequences=False, **options)
        layer(np.zeros((2, 3, INPUTS), np.float32))
        empty = np.zeros((2, 0, INPUTS), np.float32)
        assert_same(layer(empty), np.zeros((2, UNITS)))
        assert_same(layer(empty, lengths=[0, 0]), np.zeros((2, UNITS)))
        graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, INPUTS))])
        assert_same(graph(empty), np.zeros((2, UNITS)))
        full = np.float32(inputs())
        assert_same(graph(full), layer(full), tolerance=1e-6)


def test_sequential_trains_saves_and_loads(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((None, INPUTS)),
            Recurrent(LSTMCell(UNITS, kernel_regularizer="l2"), return_sequences=True),
            Recurrent(GRUCell(UNITS), return_sequences=False),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    history = model.fit(np.float32(inputs()), np.ones((3, 1)), epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_same(loaded(np.float32(inputs())), model(np.float32(inputs())))
