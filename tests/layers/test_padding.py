"""Tests of the arguments of layers: dtypes of the inputs, values in the padding, lengths, masks and cells."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from inventory import CELLS, INPUTS, UNITS, assert_same, normal, randomized, scalar

from seqmodels import kernels
from seqmodels.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers import AttentionDecoderCell, Encoder, GeneralAttention, Recurrent

LENGTHS = np.array([4, 2, 0], np.int32)
TIME = 4
MASK = np.arange(TIME) < LENGTHS[:, None]


def inputs() -> np.ndarray:
    return normal(np.random.default_rng(8), len(LENGTHS), TIME, INPUTS).astype(np.float32)


def built(layer: Any) -> Any:
    layer.build((None, None, INPUTS))
    return randomized(layer)


def encoder(cell: str, **options: Any) -> Encoder:
    return Encoder([CELLS[cell](INPUTS), CELLS[cell](INPUTS)], **options)


def values_and_gradients(layer: Any, x: Any, training: bool = True, **arguments: Any) -> list[tf.Tensor]:
    with tf.GradientTape() as tape:
        x = tf.constant(x)
        tape.watch(x)
        results = layer(x, training=training, **arguments)
        loss = scalar(results)
    gradients = tape.gradient(loss, [x, *(weight.value for weight in layer.trainable_weights)])
    return [*tf.nest.flatten(results), *gradients]


# --- number types


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64", "bool", "float16", "float64"])
def test_inputs_of_any_number_type(kind: str) -> None:
    x = np.random.default_rng(1).integers(0, 3, (3, TIME, INPUTS)).astype(kind)
    layer, theirs = built(Recurrent(LSTMCell(UNITS))), keras.layers.LSTM(UNITS, return_sequences=True)
    theirs.build(x.shape)
    theirs.set_weights(layer.get_weights())
    floats = x.astype(np.float32)
    for given in (x, tf.constant(x)):
        outputs, _ = layer(given)
        assert outputs.dtype == tf.float32
        assert_same(outputs, layer(floats)[0])
        assert_same(outputs, theirs(given), tolerance=1e-6)
    both = built(encoder("gru", bidirectional=True))
    assert_same(both(x), both(floats))
    states = layer.get_initial_state(3)
    assert_same(layer.cell(x[:, 0], states), layer.cell(floats[:, 0], states))
    stepped = keras.layers.RNN(layer.cell, return_sequences=True)
    assert_same(stepped(x), layer(floats)[0], tolerance=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_integers_as_inputs_of_every_cell(name: str) -> None:
    x = np.random.default_rng(1).integers(0, 3, (2, TIME, INPUTS))
    layer = built(Recurrent(CELLS[name](UNITS, dtype="float64")))
    assert_same(layer(x), layer(x.astype(np.float64)))
    states = [state + 1 for state in layer.get_initial_state(2)]
    assert_same(layer(x, states=[np.ones((2, UNITS), np.int32) for _ in states]), layer(x, states=states))
    assert_same(layer.cell(x[:, 0], states), layer.cell(x[:, 0].astype(np.float64), states))


def test_integers_in_a_functional_model() -> None:
    symbol = keras.Input((TIME, INPUTS), dtype="uint8")
    model = keras.Model(symbol, Recurrent(GRUCell(UNITS), return_sequences=False)(symbol))
    x = np.random.default_rng(1).integers(0, 200, (2, TIME, INPUTS)).astype(np.uint8)
    assert_same(model(x), model.predict(x, verbose=0), tolerance=1e-6)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (tf.fill((1, 2, 3), "a"), "inputs must be numbers; got string; .* use a tokenizer and an embedding"),
        (tf.zeros((1, 2, 3), tf.complex64), "inputs must be numbers; got complex64"),
        (tf.zeros((1, 2)), r"must have shape \(batch, time, features\); got \(1, 2\); for token ids"),
    ],
)
def test_errors_for_inputs(x: Any, message: str) -> None:
    for layer in (Recurrent(GRUCell(UNITS)), Encoder([GRUCell(UNITS)])):
        with pytest.raises(ValueError, match=message):
            layer(x)


def test_the_error_for_ragged_inputs_describes_the_conversion() -> None:
    ragged = tf.RaggedTensor.from_tensor(tf.zeros((2, 3, INPUTS)), [3, 1])
    with pytest.raises(ValueError, match=r"pass inputs\.to_tensor\(\) and lengths=inputs\.row_lengths\(\)"):
        Recurrent(GRUCell(UNITS)).call(ragged)


# --- padding


@pytest.mark.parametrize("form", ["auto", "generic", "unrolled"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_padding_does_not_change_values_or_gradients(name: str, reverse: bool, form: str) -> None:
    layer, x = built(Recurrent(CELLS[name](UNITS), reverse=reverse)), inputs()
    bad = x.copy()
    bad[1, 2:], bad[2, :2], bad[2, 2:] = np.nan, np.inf, -np.inf
    with kernels.form(form):
        for arguments in ({"lengths": LENGTHS}, {"mask": MASK}):
            assert_same(
                values_and_gradients(layer, bad, **arguments),
                values_and_gradients(layer, np.where(MASK[..., None], x, 0), **arguments),
            )


@pytest.mark.parametrize("form", ["auto", "generic"])
@pytest.mark.parametrize("name", CELLS)
def test_padding_does_not_change_the_results_of_an_encoder(name: str, form: str) -> None:
    layer, x = built(encoder(name, bidirectional=[False, False], residual=True)), inputs()
    both = built(encoder(name, bidirectional=True))
    bad = np.where(MASK[..., None], x, np.nan).astype(np.float32)
    zero = np.where(MASK[..., None], x, 0)
    with kernels.form(form):
        for each in (layer, both):
            assert_same(
                values_and_gradients(each, bad, lengths=LENGTHS),
                values_and_gradients(each, zero, lengths=LENGTHS),
            )


@pytest.mark.parametrize("name", ["lstm", "rglru"])
def test_padding_in_inference_with_dropout_and_with_recompute(name: str) -> None:
    layer, x = built(Recurrent(CELLS[name](UNITS), dropout=0.5, seed=1)), inputs()
    bad = np.where(MASK[..., None], x, np.nan).astype(np.float32)
    assert_same(
        values_and_gradients(layer, bad, False, lengths=LENGTHS),
        values_and_gradients(layer, np.where(MASK[..., None], x, 0), False, lengths=LENGTHS),
    )
    assert all(np.isfinite(value).all() for value in values_and_gradients(layer, bad, lengths=LENGTHS))
    with kernels.recompute():
        assert all(np.isfinite(value).all() for value in values_and_gradients(layer, bad, lengths=LENGTHS))


def test_the_fused_form_ignores_nan_in_the_padding() -> None:
    layer, x = built(Recurrent(LSTMCell(UNITS))), inputs()
    bad = np.where(MASK[..., None], x, np.nan).astype(np.float32)
    with kernels.form("fused"):
        assert_same(layer(bad, LENGTHS), layer(x, LENGTHS))


def test_padding_of_a_decoder() -> None:
    cell = AttentionDecoderCell([GRUCell(UNITS)], GeneralAttention(), memory_units=INPUTS, units=3)
    layer, x, memory = Recurrent(cell), inputs(), (tf.ones((3, 2, INPUTS)), None)
    layer(x, memory=memory)
    bad = np.where(MASK[..., None], x, np.nan).astype(np.float32)
    zero = np.where(MASK[..., None], x, 0)
    assert_same(
        values_and_gradients(layer, bad, lengths=LENGTHS, memory=memory),
        values_and_gradients(layer, zero, lengths=LENGTHS, memory=memory),
    )


# --- lengths


@pytest.mark.parametrize(
    "lengths",
    [
        [4, 2, 0],
        (4, 2, 0),
        np.array([4, 2, 0]),
        np.array([4, 2, 0], np.uint8),
        tf.constant([4, 2, 0], tf.int64),
        [np.int64(4), np.int64(2), np.int64(0)],
        [tf.constant(4), tf.constant(2), tf.constant(0)],
    ],
)
def test_types_of_lengths(lengths: Any) -> None:
    layer, x = built(Recurrent(LSTMCell(UNITS))), inputs()
    expected = layer(x, lengths=tf.constant(LENGTHS))
    assert_same(layer(x, lengths=lengths), expected)
    assert_same(layer(x, lengths), expected)
    both = built(encoder("gru"))
    encoded = both(x, lengths)
    assert_same(encoded, both(x, lengths=tf.constant(LENGTHS)))
    assert encoded.lengths.dtype == tf.int32


def test_lengths_of_an_empty_batch() -> None:
    outputs, _ = Recurrent(GRUCell(UNITS))(np.zeros((0, TIME, INPUTS), np.float32), lengths=[])
    assert outputs.shape == (0, TIME, UNITS)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([5, 2, 0], r"between 0 and the number of time steps, 4; got length 5 in row 0; correct the lengths"),
        ([4, -1, 0], "between 0 and the number of time steps, 4; got length -1 in row 1"),
        (np.array([2**33, 1, 1]), "got length 8589934592 in row 0"),
        ([4, 2], r"lengths must have shape \(batch,\), .* \(3,\) .*; got \(2,\); pass one integer per row"),
        ([[4], [2], [0]], r"lengths must have shape \(batch,\), .* \(3,\) .*; got \(3, 1\)"),
        (np.int32(4), r"\(3,\) for these inputs; got \(\)"),
        ([4.0, 2.0, 0.0], r"lengths must be integers; got float\d\d; convert them, for example by tf\.cast"),
        ([True, True, False], "lengths must be integers; got booleans; pass the number of real steps"),
        ([[4, 1], [2], [0]], "lengths must be a tensor, an array or a flat list"),
    ],
)
def test_errors_for_lengths(lengths: Any, message: str) -> None:
    for layer in (Recurrent(LSTMCell(UNITS)), Encoder([LSTMCell(UNITS)])):
        with pytest.raises(ValueError, match=message):
            layer(inputs(), lengths=lengths)


def test_known_lengths_are_checked_while_a_graph_is_traced() -> None:
    layer, constant = built(Recurrent(LSTMCell(UNITS))), tf.constant([5, 2, 0])
    with pytest.raises(ValueError, match="got length 5 in row 0"):
        tf.function(lambda x: layer(x, lengths=constant)[0])(inputs())
    with pytest.raises(ValueError, match="got length 9 in row 2"):
        tf.function(lambda x: layer(x, lengths=tf.constant([1, 2, 9]))[0])(inputs())


def test_lengths_are_checked_when_a_graph_runs() -> None:
    layer = built(Recurrent(LSTMCell(UNITS)))
    graph = tf.function(lambda x, lengths: layer(x, lengths=lengths)[0])
    assert_same(graph(inputs(), tf.constant(LENGTHS)), layer(inputs(), LENGTHS)[0], tolerance=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="lengths must be between 0 and the number of"):
        graph(inputs(), tf.constant([5, 2, 0]))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_xla_returns_nan_for_invalid_rows(reverse: bool) -> None:
    layer = built(Recurrent(LSTMCell(UNITS), reverse=reverse))
    graph = tf.function(lambda x, lengths: layer(x, lengths=lengths)[0], jit_compile=True)
    outputs = graph(inputs(), tf.constant([5, 2, 4])).numpy()
    assert np.isnan(outputs[0]).all()
    assert_same(outputs[1:], layer(inputs(), [4, 2, 4])[0][1:], tolerance=1e-6)


# --- masks


def test_a_mask_becomes_lengths() -> None:
    layer, x = built(Recurrent(LSTMCell(UNITS), reverse=True)), inputs()
    expected = layer(x, lengths=LENGTHS)
    for mask in (MASK, tf.constant(MASK), MASK.astype(np.int32), MASK.tolist()):
        assert_same(layer(x, mask=mask), expected)
    assert_same(layer(x, lengths=LENGTHS, mask=MASK), expected)
    both = built(encoder("lstm", bidirectional=True))
    assert_same(both(x, mask=MASK), both(x, lengths=LENGTHS))


TOKENS = np.array([[4, 5, 6, 7], [8, 9, 0, 0], [0, 0, 0, 0]])


def test_the_mask_of_an_embedding_is_used() -> None:
    embedding, layer = keras.layers.Embedding(10, INPUTS, mask_zero=True), built(Recurrent(LSTMCell(UNITS)))
    vectors = embedding(TOKENS)
    plain = tf.identity(vectors)
    assert_same(layer(vectors), layer(plain, LENGTHS))
    states = [np.ones((3, UNITS), np.float32)] * 2
    assert_same(layer(vectors, states=states), layer(plain, LENGTHS, states))
    both = built(encoder("gru", bidirectional=True))
    assert_same(both(embedding(TOKENS)), both(plain, LENGTHS))


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"]
)
def test_sequential_passes_the_mask_to_all_layers(compiled: bool) -> None:
    model = keras.Sequential(
        [
            keras.layers.Embedding(10, INPUTS, mask_zero=True),
            Recurrent(GRUCell(UNITS), return_sequences=True),
            Recurrent(LSTMCell(UNITS), return_sequences=False, reverse=True),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse", jit_compile=compiled)
    first = model.predict(TOKENS, verbose=0)
    embedding, lower, upper, dense = model.layers
    outputs, _ = lower.run_checked(tf.identity(embedding(TOKENS)), tf.constant(LENGTHS), None)
    _, (h, _) = upper.run_checked(outputs, tf.constant(LENGTHS), None)
    assert_same(first[:2], dense(h)[:2], tolerance=1e-6)
    assert np.isfinite(model.fit(TOKENS, np.ones(3), verbose=0).history["loss"][0])


def test_an_encoder_returns_the_mask_of_its_outputs() -> None:
    symbol = keras.Input((None,), dtype="int32")
    encoded = encoder("gru")(keras.layers.Embedding(10, INPUTS, mask_zero=True)(symbol))
    pooled = keras.layers.GlobalAveragePooling1D()(encoded.outputs)
    outputs, mean = keras.Model(symbol, [encoded.outputs, pooled])(TOKENS[:2])
    np.testing.assert_allclose(mean, np.sum(outputs, 1) / LENGTHS[:2, None], atol=1e-6)


def call_with_mask(layer: Any, mask: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    return layer(x, mask=mask)[0]


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            [[0, 1, 1, 1]] * 3,
            r"got a masked step before a real step in row 0; move the padding to the end, .*'post'",
        ),
        ([[1, 1, 1, 1], [1, 0, 1, 0], [0] * 4], "in row 1; .*remove masked steps between real steps"),
        (
            [[1, 1]] * 3,
            r"mask must have shape \(batch, time\), .* \(3, 4\) .*; got \(3, 2\); pass one boolean",
        ),
    ],
)
def test_errors_for_masks(mask: list, message: str) -> None:
    for layer in (Recurrent(LSTMCell(UNITS)), Encoder([LSTMCell(UNITS)])):
        with pytest.raises(ValueError, match=message):
            layer(inputs(), mask=np.array(mask, bool))
        graph = tf.function(partial(call_with_mask, layer, tf.constant(mask, tf.int32)))
        with pytest.raises(ValueError, match=message):
            graph(inputs())


def test_error_if_mask_and_lengths_differ() -> None:
    layer = built(Recurrent(LSTMCell(UNITS)))
    with pytest.raises(ValueError, match="got length 3 and 2 real steps in the mask in row 1; pass either"):
        layer(inputs(), lengths=[4, 3, 0], mask=MASK)


def test_masks_are_checked_when_a_graph_runs() -> None:
    """Code that XLA has compiled cannot raise an error. It returns NaN for the row with the wrong mask."""
    layer, wrong = built(Recurrent(LSTMCell(UNITS))), tf.constant(MASK[:, ::-1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="mask must be True at the real steps"):
        tf.function(lambda x, mask: layer(x, mask=mask)[0])(inputs(), wrong)
    compiled = tf.function(lambda x, mask: layer(x, mask=mask)[0], jit_compile=True)
    outputs = compiled(inputs(), wrong).numpy()
    assert np.isnan(outputs[1, :2]).all()
    with kernels.form("fused"):
        outputs = tf.function(lambda x, mask: layer(x, mask=mask)[0])(inputs(), wrong).numpy()
    assert np.isnan(outputs[1, :2]).all()
    left = np.where(TOKENS[:, ::-1] > 0, TOKENS[:, ::-1], 0)
    model = keras.Sequential(
        [keras.layers.Embedding(10, INPUTS, mask_zero=True), Recurrent(RNNCell(1), return_sequences=False)]
    )
    with pytest.raises(ValueError, match="move the padding to the end"):
        model(left)


# --- messages


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("lstm", r"got the name 'lstm'; use LSTMCell\(units\) with LSTMCell from seqmodels\.cells"),
        ("LSTM", r"use LSTMCell\(units\) with LSTMCell from seqmodels\.cells"),
        ("gru-reset-after", r"use GRUCell\(units, reset_after=True\)"),
        ("transformer", "got the name 'transformer'; use a cell .* names are rnn, irnn, lstm, gru"),
        ([GRUCell(2), GRUCell(2)], r"got a list of 2 values; use Encoder\(cells\) to stack several cells"),
        (LSTMCell, r"got the class LSTMCell; create an instance: LSTMCell\(units\)"),
        (
            keras.layers.LSTMCell(2),
            "got the Keras cell LSTMCell; use LSTMCell from seqmodels.cells, or",
        ),
        (keras.layers.SimpleRNNCell(2), "use RNNCell from seqmodels.cells"),
        (keras.layers.LSTM(2), r"got the Keras layer LSTM; convert the built layer by .*from_keras\(layer\)"),
        (keras.layers.StackedRNNCells([keras.layers.GRUCell(2)]), r"use Encoder\(cells\) with cells of"),
        (keras.layers.Dense(2), "got the layer Dense; use a cell of seqmodels.cells"),
        (64, "got 64; use a cell of seqmodels.cells"),
        (None, "got None; use a cell of seqmodels.cells"),
    ],
)
def test_the_error_for_a_wrong_cell_describes_the_fix(cell: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recurrent(cell)
    with pytest.raises(ValueError, match=message):
        Encoder([cell])
    with pytest.raises(ValueError, match=message):
        AttentionDecoderCell([cell], None, memory_units=2, units=2)


@pytest.mark.parametrize("cells", ["lstm", LSTMCell(2), keras.layers.LSTMCell(2)])
def test_error_if_the_cells_of_an_encoder_are_not_a_list(cells: Any) -> None:
    with pytest.raises(ValueError, match=r"cells must be a list of cells; got .*; use Encoder\(\[cell\]\)"):
        Encoder(cells)


def test_the_error_for_a_wrong_number_of_features_describes_the_fix() -> None:
    wide = np.zeros((1, 2, INPUTS + 1), np.float32)
    message = "was built for inputs with 2 features; got 3 features .*; pass 2 features, or create"
    layer = built(Recurrent(LSTMCell(UNITS), name="reader"))
    with pytest.raises(ValueError, match=f"'reader' {message}"):
        layer(wide)
    with pytest.raises(ValueError, match=message):
        layer(keras.Input((None, INPUTS + 1)))
    with pytest.raises(ValueError, match=message):
        built(encoder("gru"))(wide)
    with pytest.raises(ValueError, match=f"LSTMCell {message}"):
        layer.cell(wide[:, 0], layer.get_initial_state(1))
    with pytest.raises(ValueError, match=message):
        Recurrent(layer.cell)(wide)
    with pytest.raises(ValueError, match="inputs of GRUCell must have a known number of features"):
        Recurrent(GRUCell(UNITS))(keras.Input((None, None)))


def test_one_state_may_be_a_tensor() -> None:
    layer, state = built(Recurrent(GRUCell(UNITS))), tf.ones((3, UNITS))
    assert_same(layer(inputs(), states=state), layer(inputs(), states=[state]))
    with pytest.raises(ValueError, match="LSTMCell needs 2 states; got 1"):
        built(Recurrent(LSTMCell(UNITS)))(inputs(), states=state)
