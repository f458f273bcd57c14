"""For random shapes and options, a kernel equals the loop over ``cell.step`` in values and all gradients."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from seqmodels import kernels
from seqmodels.cells import GRUCell, LSTMCell, MinGRUCell, MinLSTMCell, RGLRUCell, RNNCell
from seqmodels.layers import AttentionDecoderCell, GeneralAttention, Recurrent
from seqmodels.training import Settings, Training
from seqmodels.training.objectives import Outcome

CELLS = {
    **{
        f"rnn {name}": lambda units, name=name: RNNCell(units, activation=name, dtype="float64")
        for name in kernels.RNN_ACTIVATIONS
    },
    "lstm": lambda units: LSTMCell(units, dtype="float64"),
    "gru": lambda units: GRUCell(units, dtype="float64"),
    "gru reset after": lambda units: GRUCell(
        units, reset_after=True, bias_initializer="normal", dtype="float64"
    ),
    "mingru": lambda units: MinGRUCell(units, dtype="float64"),
    "minlstm": lambda units: MinLSTMCell(units, dtype="float64"),
    "rglru": lambda units: RGLRUCell(units, dtype="float64"),
}
WITH_MATRIX = [name for name in CELLS if name.startswith(("rnn", "lstm", "gru"))]


def kernel(cell, projected, states, lengths, constants, truncate):
    """Runs the kernel of ``cell.sequence``, with optional truncation, which cells do not use."""
    if truncate is None:
        return cell.sequence(projected, states, lengths, constants)
    if isinstance(cell, LSTMCell):
        recurrent_kernel, mask = constants
        return kernels.lstm(projected, states, recurrent_kernel, lengths, mask, truncate)
    if isinstance(cell, GRUCell):
        recurrent_kernel, mask, bias = constants
        return kernels.gru(projected, states, recurrent_kernel, bias, lengths, mask, truncate)
    recurrent_kernel, mask = constants
    name = cell.activation.__name__
    return kernels.rnn(projected, states, recurrent_kernel, name, lengths, mask, truncate)


def stepping(cell, projected, states, lengths, constants, truncate):
    """Runs one step after the other, and stops the gradient of the state at the start of every window."""
    outputs = []
    for t in range(projected.shape[1]):
        before = states
        if truncate is not None and t and t % truncate == 0:
            before = tuple(tf.stop_gradient(state) for state in states)
        output, new = cell.step(projected[:, t], before, constants)
        if lengths is not None:
            alive = (t < lengths)[:, None]
            output = tf.where(alive, output, tf.zeros_like(output))
            new = tuple(tf.where(alive, one, other) for one, other in zip(new, states))
        outputs.append(output)
        states = new
    return tf.stack(outputs, axis=1), states


def values_and_gradients(run, cell, x, states, lengths, mask, truncate, weights):
    """Returns outputs, final states, and the gradients of the inputs, the initial states and every weight."""
    with tf.GradientTape() as tape:
        tape.watch([x, *states])
        constants = cell.constants(batch=x.shape[0])
        if mask is not None:
            recurrent_kernel, _, *rest = constants
            constants = (recurrent_kernel, mask, *rest)
        outputs, final = run(cell, cell.project(x), states, lengths, constants, truncate)
        loss = tf.reduce_sum(outputs * weights) + sum(tf.reduce_sum(tf.sin(state)) for state in final)
    sources = [x, *states, *(variable.value for variable in cell.trainable_variables)]
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [outputs, *final, *gradients]


@st.composite
def problems(draw):
    name = draw(st.sampled_from(list(CELLS)))
    batch, time, units, inputs = (draw(st.integers(1, most)) for most in (4, 6, 4, 3))
    lengths = draw(
        st.none() | st.lists(st.integers(0, time), min_size=batch, max_size=batch).map(tf.constant)
    )
    mask = draw(st.booleans()) and name in WITH_MATRIX
    truncate = draw(st.none() | st.integers(1, time)) if name in WITH_MATRIX else None
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    states = 2 if name == "lstm" else 1
    return {
        "name": name,
        "x": tf.constant(random.normal(size=(batch, time, inputs))),
        "states": tuple(tf.constant(random.normal(size=(batch, units))) for _ in range(states)),
        "lengths": lengths,
        "mask": tf.constant(random.integers(0, 2, size=(batch, units)) * 2.0) if mask else None,
        "truncate": truncate,
        "weights": tf.constant(random.normal(size=(batch, time, units))),
    }


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problems())
def test_equals_stepping(problem):
    cell = CELLS[problem.pop("name")](problem["weights"].shape[-1])
    cell.build((None, problem["x"].shape[-1]))
    problem["cell"] = cell
    expected = values_and_gradients(stepping, **problem)
    for one, other in zip(expected, values_and_gradients(kernel, **problem), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-10)


@pytest.mark.parametrize("name", ["rnn linear", "lstm", "gru", "gru reset after", "mingru"])
def test_one_graph_for_every_batch_and_number_of_steps(name):
    layer = Recurrent(CELLS[name](3))
    layer.build((None, None, 2))

    def gradients(x, lengths):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, states = layer(x, lengths=lengths, training=True)
            loss = tf.reduce_sum(tf.sin(outputs)) + sum(map(tf.reduce_sum, states))
        sources = [x, *(variable.value for variable in layer.trainable_variables)]
        return [outputs, *states, *tape.gradient(loss, sources, unconnected_gradients="zero")]

    signature = [tf.TensorSpec((None, None, 2), tf.float64), tf.TensorSpec((None,), tf.int32)]
    graph = tf.function(gradients, input_signature=signature, autograph=False)
    random = np.random.default_rng(3)
    for batch, time in ((1, 1), (3, 5), (2, 0)):
        x = tf.constant(random.normal(size=(batch, time, 2)))
        lengths = tf.constant([time, time // 2, 0][:batch], tf.int32)
        with kernels.form("generic"):
            expected = gradients(x, lengths)
        for one, other in zip(expected, graph(x, lengths), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-10)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("make", [LSTMCell, GRUCell, MinGRUCell])
def test_half_precision_follows_float32(make, policy):
    def gradients(dtype):
        layer = Recurrent(make(4, dtype=dtype, kernel_initializer=keras.initializers.GlorotUniform(1)))
        layer.build((3, 5, 2))
        if hasattr(layer.cell, "recurrent_kernel"):
            layer.cell.recurrent_kernel.assign(0.3 * tf.ones_like(layer.cell.recurrent_kernel))
        x = tf.sin(tf.reshape(tf.range(30.0), (3, 5, 2)))
        with tf.GradientTape() as tape:
            outputs, _ = layer(tf.cast(x, layer.compute_dtype), training=True)
            assert outputs.dtype == layer.compute_dtype
            loss = tf.reduce_mean(tf.cast(outputs, tf.float32) ** 2)
        return tape.gradient(loss, [variable.value for variable in layer.trainable_variables])

    expected = gradients("float32")
    largest = max(float(tf.reduce_max(tf.abs(gradient))) for gradient in expected)
    for one, other in zip(expected, gradients(policy), strict=True):
        assert other.dtype == tf.float32
        np.testing.assert_allclose(other, one, atol=0.05 * largest)


def summed_gradients(strategy):
    """Returns the gradients of an LSTM over four rows, which are split over the replicas."""
    x = tf.sin(tf.reshape(tf.range(40.0), (4, 5, 2)))
    lengths = tf.constant([5, 2, 0, 4])
    with strategy.scope():
        layer = Recurrent(LSTMCell(3, kernel_initializer="ones", recurrent_initializer="identity"))
        layer.build((None, 5, 2))

    @tf.function(autograph=False)
    def step(x, lengths):
        def replica(x, lengths):
            variables = [variable.value for variable in layer.trainable_variables]
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(layer(x, lengths=lengths, training=True)[0] ** 2)
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tape.gradient(loss, variables))

        gradients = strategy.run(replica, args=(x, lengths))
        return [strategy.experimental_local_results(gradient)[0] for gradient in gradients]

    rows = tf.data.Dataset.from_tensor_slices((x, lengths)).batch(4)
    data = strategy.experimental_distribute_dataset(rows)
    return [gradient.numpy().tolist() for gradient in step(*next(iter(data)))]


def two_replicas():
    """Prints the gradients of two replicas. TensorFlow can split a device only at the start of a process."""
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    print(json.dumps(summed_gradients(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))))


@pytest.mark.slow
def test_two_replicas_equal_one_replica():
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    command = [sys.executable, "-c", "import test_properties; test_properties.two_replicas()"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    expected = summed_gradients(tf.distribute.get_strategy())
    for one, other in zip(expected, json.loads(done.stdout), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("compiled", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.parametrize(
    "name",
    [
        "lstm",
        pytest.param("gru reset after", marks=pytest.mark.slow),
        pytest.param("rglru", marks=pytest.mark.slow),
    ],
)
def test_recomputing_does_not_change_gradients(name, compiled):
    layer = Recurrent(CELLS[name](3), dropout=0.5, seed=1)
    layer.build((2, 4, 3))
    x = tf.constant(np.random.default_rng(5).normal(size=(2, 4, 3)))
    states = tuple(tf.ones((2, 3), tf.float64) for _ in layer.cell.state_size)

    def gradients(x, states):
        layer.seed_generator.state.assign([1, 2])
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs, final = layer(x, lengths=tf.constant([4, 2]), states=states, training=True)
            loss = tf.reduce_sum(tf.sin(outputs)) + sum(map(tf.reduce_sum, final))
        return tape.gradient(loss, [x, *states, *(variable.value for variable in layer.trainable_variables)])

    # XLA and TensorFlow sample different masks, so both functions are compiled, or no function is.
    mode = {"autograph": False, "jit_compile": compiled}
    expected = tf.function(gradients, **mode)(x, states)
    with kernels.recompute():
        got = tf.function(gradients, **mode)(x, states)
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-10)


@pytest.mark.slow
def test_recomputing_does_not_change_a_training_step(tmp_path):
    """The training loop replaces the weights by tensors while the model runs."""

    def trained(name):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((5, 3))
        x = Recurrent(LSTMCell(4))(inputs)[0]
        model = keras.Model(inputs, Recurrent(RGLRUCell(4))(x)[0])

        def objective(model, x, targets, weights, carried, training):
            return Outcome(tf.reduce_sum(tf.square(model(x, training=training))), tf.reduce_sum(weights), {})

        subject = Training(
            model,
            objective,
            keras.optimizers.SGD(1.0),
            lambda epoch: None,
            lambda: None,
            Settings(epochs=1, clipnorm=None),
            tmp_path / name,
        )
        x = tf.constant(np.random.default_rng(1).normal(size=(4, 5, 3)), tf.float32)
        before = model.get_weights()
        subject.steps.train((x, tf.zeros(4), tf.ones(4)), ())
        return [after - weight for weight, after in zip(before, model.get_weights())]

    expected = trained("kept")
    assert all(np.abs(change).max() > 1e-5 for change in expected)
    with kernels.recompute():
        got = trained("recomputed")
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-7)


def test_recomputing_does_not_change_gradients_of_an_attention_decoder():
    cell = AttentionDecoderCell(
        [CELLS["lstm"](4)], GeneralAttention(dtype="float64"), memory_units=3, units=4, dtype="float64"
    )
    layer = Recurrent(cell)
    layer.build((2, 4, 3))
    random = np.random.default_rng(2)
    x, memory = (tf.constant(random.normal(size=(2, time, 3))) for time in (4, 5))

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch([x, memory])
            outputs, _ = layer(x, memory=(memory, tf.constant([5, 2])), training=True)
            loss = tf.reduce_sum(tf.sin(outputs))
        return tape.gradient(loss, [x, memory, *(variable.value for variable in layer.trainable_variables)])

    expected = gradients()
    with kernels.recompute():
        got = gradients()
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-10)


@pytest.mark.parametrize("name", ["rnn tanh", "lstm", "gru", "gru reset after"])
def test_truncate_below_one_is_refused(name):
    cell = CELLS[name](2)
    cell.build((None, 2))
    states = tuple(tf.zeros((1, 2), tf.float64) for _ in cell.state_size)
    projected = cell.project(tf.zeros((1, 3, 2), tf.float64))
    with pytest.raises(ValueError, match="truncate must be at least 1 step or None; got 0"):
        kernel(cell, projected, states, None, cell.constants(batch=1), 0)


def test_truncation_windows_of_a_row_that_has_ended():
    """Two of four steps are real. The gradient of the final state reaches both real steps, but no padding."""
    layer = CELLS["lstm"](2)
    layer.build((None, 2))
    projected = layer.project(tf.ones((1, 4, 2), tf.float64))
    states = tuple(tf.zeros((1, 2), tf.float64) for _ in layer.state_size)
    with tf.GradientTape() as tape:
        tape.watch(projected)
        _, (h, _) = kernel(layer, projected, states, tf.constant([2]), layer.constants(batch=1), 3)
        loss = tf.reduce_sum(h)
    reached = tf.reduce_max(tf.abs(tape.gradient(loss, projected)), axis=-1)[0].numpy()
    assert (reached > 0).tolist() == [True, True, False, False]
