"""Measured gradients are exact, and they agree with theory."""

from __future__ import annotations

import math
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory import CELLS, randomized

from seqmodels import analysis, models
from seqmodels.cells import GRUCell, LinearCell, LSTMCell, MinGRUCell, MinLSTMCell, RGLRUCell, RNNCell
from seqmodels.layers import Encoder, Recurrent

UNITS, INPUTS = 4, 2
ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")
KINDS = {
    **{f"rnn {name}": partial(RNNCell, activation=name) for name in ACTIVATIONS},
    **{name: make for name, make in CELLS.items() if name not in ("rnn", "irnn")},
}
each_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def traced(make, lengths=(4, 4), units=UNITS, scale=None, steps=None, **options):
    """Returns a trace of a float64 cell over random inputs. With ``scale``, the weights are random."""
    layer = Recurrent(make(units, dtype="float64", **options))
    rng = np.random.default_rng(3)
    inputs = tf.constant(rng.normal(size=(len(lengths), steps or max(lengths), INPUTS)))
    layer.build(inputs.shape)
    if scale is not None:
        for weight in layer.trainable_weights:
            weight.assign(rng.normal(scale=scale, size=weight.shape))
    with tf.GradientTape() as tape, analysis.recording(layer, tape) as traces:
        layer(inputs, lengths=tf.constant(lengths))
    return traces[0]


def joined(states):
    return np.concatenate([np.asarray(each) for each in states], axis=-1)


@each_kind
def test_step_jacobians_equal_finite_differences(make):
    trace = traced(make, scale=0.7)
    exact = analysis.step_jacobians(trace)
    small = 1e-5
    for step, x in enumerate(trace.projected):
        before = joined(trace.states[step])

        def after(states, x=x):
            parts = tf.split(tf.constant(states), trace.cell.state_size, -1)
            return joined(trace.cell.step(x, parts, trace.constants)[1])

        for column in range(trace.size):
            nudge = small * np.eye(trace.size)[column]
            difference = (after(before + nudge) - after(before - nudge)) / (2 * small)
            np.testing.assert_allclose(exact[:, step, :, column], difference, atol=1e-6)


@each_kind
def test_the_product_of_step_jacobians_is_the_jacobian_of_the_whole_sequence(make):
    trace = traced(make, scale=0.7)
    layer = Recurrent(trace.cell)
    rng = np.random.default_rng(3)
    inputs = tf.constant(rng.normal(size=(2, 4, INPUTS)))
    initial = tf.constant(joined(trace.states[0]))
    with tf.GradientTape() as tape:
        tape.watch(initial)
        _, final = layer(inputs, states=tf.split(initial, trace.cell.state_size, -1))
        last = tf.concat(final, -1)
    whole = tape.batch_jacobian(last, initial)
    product = analysis.state_jacobians(analysis.step_jacobians(trace))[:, 0]
    np.testing.assert_allclose(product, whole, atol=1e-12)


@each_kind
def test_vector_products_equal_the_products_of_jacobians(make):
    trace = traced(make, lengths=(4, 2, 0), scale=0.7)
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(trace.size, trace.size)))[0]
    exact = analysis.state_jacobians(analysis.step_jacobians(trace))
    products = analysis.vector_products(trace, basis)
    np.testing.assert_allclose(products, basis @ exact, atol=1e-12)
    norms = analysis.spectral_norms(exact)
    np.testing.assert_allclose(analysis.spectral_norms(products), norms, rtol=1e-9)
    assert (analysis.spectral_norms(products[:, :, :2]) <= norms * (1 + 1e-9)).all()


@each_kind
def test_loss_gradients_obey_the_chain_rule(make):
    layer = Recurrent(make(UNITS, dtype="float64"))
    inputs = tf.constant(np.random.default_rng(1).normal(size=(2, 5, INPUTS)))
    layer.build(inputs.shape)
    with tf.GradientTape() as tape, analysis.recording(layer, tape) as traces:
        outputs, _ = layer(inputs)
        loss = tf.reduce_sum(outputs[:, -1] ** 2)
    (found,) = analysis.loss_gradients(tape, loss, traces)
    jacobians = analysis.state_jacobians(analysis.step_jacobians(traces[0]))
    expected = np.einsum("ns,ntsk->ntk", found[:, -1], jacobians)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("scale", [0.3, 1.5])
@each_kind
def test_no_step_exceeds_the_bound(make, scale):
    trace = traced(make, lengths=(12, 12), scale=scale)
    bound = analysis.step_bound(trace)
    norms = analysis.spectral_norms(analysis.step_jacobians(trace))
    assert (norms <= bound * (1 + 1e-12)).all()
    whole = analysis.spectral_norms(analysis.state_jacobians(analysis.step_jacobians(trace)))
    distances = np.arange(12, -1, -1)
    assert (whole <= bound**distances * (1 + 1e-9)).all()


def test_the_bound_of_a_linear_network_is_reached():
    trace = traced(partial(RNNCell, activation="linear"), scale=0.5)
    norms = analysis.spectral_norms(analysis.step_jacobians(trace))
    np.testing.assert_allclose(norms, analysis.step_bound(trace), rtol=1e-12)


def test_an_unknown_activation_has_no_bound():
    assert analysis.step_bound(traced(partial(RNNCell, activation="softplus"))) is None


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 1.5), st.integers(0, 1000))
def test_the_rate_of_decay_is_the_logarithm_of_the_spectral_radius(radius, seed):
    symmetric = np.random.default_rng(seed).normal(size=(8, 8))
    symmetric += symmetric.T
    matrix = symmetric * radius / analysis.spectral_radius(symmetric)
    powers = np.stack([np.linalg.matrix_power(matrix, k) for k in range(40)])
    rate = analysis.decay_rate(analysis.spectral_norms(powers))
    assert rate == pytest.approx(math.log(radius), rel=0.01, abs=1e-9)


@pytest.mark.slow
def test_gated_cells_keep_the_gradient_over_a_lag_where_tanh_loses_it():
    """Compares open gates (a bias of 5 keeps 0.993 of the state) with the usual initialization of an RNN."""
    lag, left = 100, {}
    for name, make in {
        "tanh": partial(RNNCell, recurrent_initializer="glorot_uniform"),
        "lstm": partial(LSTMCell, forget_bias=5.0),
        "gru": partial(GRUCell, keep_bias=5.0),
        "rglru": RGLRUCell,
    }.items():
        keras.utils.set_random_seed(0)
        trace = traced(make, lengths=(lag, lag), units=16)
        norms = analysis.spectral_norms(analysis.state_jacobians(analysis.step_jacobians(trace)))
        left[name] = norms[:, 0].max()
    assert left["tanh"] < 1e-4
    assert min(left["lstm"], left["gru"], left["rglru"]) > 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "bias"),
    [
        (LSTMCell, "forget_bias"),
        (GRUCell, "keep_bias"),
        (MinGRUCell, "keep_bias"),
        (MinLSTMCell, "forget_bias"),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_default_bias_extends_the_reach_of_the_gradient(make, bias, seed):
    """A step keeps 0.73 of the state with the bias, and 0.5 without it. The reach becomes 2.2 times as long.

    2.2 is log 0.5 / log 0.73.
    """
    reach = []
    for options in ({}, {bias: 0.0}):
        keras.utils.set_random_seed(seed)
        trace = traced(make, lengths=(60, 60), units=32, **options)
        norms = analysis.spectral_norms(analysis.state_jacobians(analysis.step_jacobians(trace)))
        reach.append(analysis.verdict(analysis.mean_norms(trace.by_distance(norms))).reach)
    assert reach[0] > 1.5 * reach[1]


def test_rows_are_measured_from_their_own_end():
    trace = traced(RNNCell, lengths=(5, 2, 0))
    norms = analysis.spectral_norms(analysis.state_jacobians(analysis.step_jacobians(trace)))
    alone = traced(RNNCell, lengths=(2,), steps=5)
    by_distance = trace.by_distance(norms)
    assert np.isnan(by_distance[1]).tolist() == [False] * 3 + [True] * 3
    assert np.isnan(by_distance[2]).tolist() == [False] + [True] * 5
    np.testing.assert_allclose(by_distance[:, 0], 1.0)
    assert alone.by_distance(norms[:1])[0, 2] == norms[0, 0]


def test_every_recurrent_layer_of_a_model_is_recorded_and_restored():
    model = models.Classifier(9, 3, 4, "lstm", 2, layers=2, bidirectional=True, pooling="max", dropout=0.5)
    model.build()
    randomized(model)
    inputs = {"tokens": tf.constant([[1, 2, 3, 4], [5, 6, 0, 0]]), "lengths": tf.constant([4, 2])}
    before = model(inputs)
    with tf.GradientTape() as tape, analysis.recording(model, tape) as traces:
        recorded = model(inputs)
        loss = tf.reduce_sum(recorded[:, 0])
    np.testing.assert_allclose(recorded, before, atol=1e-6)
    np.testing.assert_allclose(model(inputs), before, atol=1e-6)
    assert [trace.name for trace in traces] == ["forward_0", "backward_0", "forward_1", "backward_1"]
    found = analysis.loss_gradients(tape, loss, traces)
    assert all(each.shape == (2, 5, 4) for each in found)
    assert all((each[1, 3:] == 0).all() and (each[1, :3] != 0).any() for each in found)
    assert not any("_run" in vars(layer) for layer in analysis.recurrent_layers(model))


def test_every_call_has_its_own_name():
    layer = Recurrent(GRUCell(2), name="reader")
    with tf.GradientTape() as tape, analysis.recording(layer, tape) as traces:
        for _ in range(3):
            layer(tf.zeros((1, 2, INPUTS)))
    assert [trace.name for trace in traces] == ["reader", "reader 2", "reader 3"]


def test_a_failed_recording_restores_the_model():
    encoder = Encoder([GRUCell(2)])
    with pytest.raises(RuntimeError), tf.GradientTape() as tape, analysis.recording(encoder, tape):
        raise RuntimeError
    assert "_run" not in vars(encoder.directions[0][0])


@pytest.mark.parametrize("reset_after", [False, True])
def test_gates_reproduce_the_states(reset_after):
    lstm, gru, linear = traced(LSTMCell), traced(GRUCell, reset_after=reset_after), traced(MinGRUCell)
    kept, written = (analysis.gates(lstm)[name] for name in ("forget gate", "input gate"))
    h, c = (np.stack([states[i] for states in lstm.states]) for i in (0, 1))
    candidate = (c[1:] - kept * c[:-1]) / written
    assert np.abs(candidate).max() < 1
    np.testing.assert_allclose(h[1:], analysis.gates(lstm)["output gate"] * np.tanh(c[1:]), atol=1e-12)
    for trace in (gru, linear):
        kept = analysis.gates(trace)["1 - update gate"]
        diagonal = np.diagonal(analysis.step_jacobians(trace), axis1=2, axis2=3)  # (batch, time, units)
        if trace is linear:
            np.testing.assert_allclose(diagonal, kept.swapaxes(0, 1), atol=1e-12)
        assert ((kept > 0) & (kept < 1)).all()
    assert analysis.gates(traced(RNNCell)) == {}


@each_kind
def test_the_first_gate_is_the_one_on_the_path_of_the_gradient(make):
    """If U and the path from the candidate to the state are removed, the step Jacobian is this gate."""
    trace = traced(make, scale=0.7)
    found = analysis.gates(trace)
    if isinstance(trace.cell, RNNCell):
        assert found == {}
        return
    assert len(found) >= 2
    assert all(((gate > 0) & (gate < 1)).all() for gate in found.values())
    if not isinstance(trace.cell, LinearCell):
        trace.constants = (tf.zeros_like(trace.constants[0]), *trace.constants[1:])
        found = analysis.gates(trace)
    jacobians = analysis.step_jacobians(trace)[..., -UNITS:, -UNITS:]  # dc_t / dc_{t-1} in an LSTM
    diagonal = np.diagonal(jacobians, axis1=2, axis2=3)  # (batch, time, units)
    np.testing.assert_allclose(diagonal, next(iter(found.values())).swapaxes(0, 1), atol=1e-12)


@each_kind
def test_log_norms_equal_the_logarithms_of_the_norms(make):
    jacobians = analysis.step_jacobians(traced(make, lengths=(6, 4), scale=0.7))
    norms = analysis.spectral_norms(analysis.state_jacobians(jacobians))
    np.testing.assert_allclose(analysis.log_norms(jacobians), np.log(norms), atol=1e-9)


def test_log_norms_are_finite_beyond_the_range_of_floats():
    jacobians = np.broadcast_to(4.0 * np.eye(2), (1, 1000, 2, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        products = analysis.state_jacobians(jacobians)
    assert analysis.spectral_norms(products)[0, 0] == math.inf
    distances = np.arange(1000, -1, -1)
    np.testing.assert_allclose(analysis.log_norms(jacobians)[0], distances * math.log(4))
    nothing = analysis.log_norms(np.zeros((1, 3, 2, 2)))
    assert nothing.tolist() == [[-math.inf, -math.inf, -math.inf, 0.0]]


@pytest.mark.parametrize(
    ("norms", "kind", "reach"),
    [
        (0.5 ** np.arange(50.0), "vanishes", 6),
        (np.ones(50), "holds", 49),
        (0.99 ** np.arange(50.0), "holds", 49),
        (1.1 ** np.arange(50.0), "explodes", 49),
        (np.append(np.ones(3), np.zeros(3)), "vanishes", 2),
        (np.append(2.0 * np.ones(4), np.nan), "holds", 3),
    ],
)
def test_verdicts(norms, kind, reach):
    judged = analysis.verdict(norms)
    assert (judged.kind, judged.reach) == (kind, reach)
    assert judged.words.startswith(kind)


@pytest.mark.parametrize("norms", [[0.0, 0.0], [1.0], [], [np.nan, np.nan]])
def test_a_verdict_needs_a_gradient(norms):
    with pytest.raises(ValueError, match="use a loss that depends on the last step"):
        analysis.verdict(np.array(norms))


def test_means_ignore_rows_that_are_too_short():
    norms = np.array([[1.0, 4.0, np.nan], [1.0, 1.0, np.nan], [1.0, np.nan, np.nan]])
    np.testing.assert_allclose(analysis.mean_norms(norms), [1.0, 2.0, np.nan])
