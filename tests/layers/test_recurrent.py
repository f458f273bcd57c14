"""Tests of Recurrent: explicit states, dropout masks per sequence, and errors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import reference
import tensorflow as tf
from inventory import CELLS, INPUTS, RECURRENT, REFERENCES, UNITS, assert_same, named, normal, randomized

from seqmodels import kernels
from seqmodels.cells import GRUCell, LSTMCell, RNNCell
from seqmodels.layers import Recurrent

BATCH, TIME = 3, 6


def inputs(rows: int = BATCH) -> np.ndarray:
    return normal(np.random.default_rng(5), rows, TIME, INPUTS).astype(np.float32)


def adder(units: int, **options: float) -> RNNCell:
    """Returns a cell with ``h_t = x_t + h_{t-1}``, whose outputs show the dropped features."""
    return RNNCell(
        units, activation="linear", kernel_initializer="identity", recurrent_initializer="identity", **options
    )


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_two_halves_equal_one_pass(name: str, reverse: bool) -> None:
    """Ragged rows can be split if the second half starts with the states of the first half."""
    layer, x, lengths, cut = Recurrent(CELLS[name](UNITS), reverse=reverse), inputs(), np.array([6, 4, 1]), 3
    whole, final = layer(x, lengths=lengths)
    parts = [(x[:, :cut], np.minimum(lengths, cut)), (x[:, cut:], np.maximum(lengths - cut, 0))]
    outputs, states = [], None
    for part, part_lengths in reversed(parts) if reverse else parts:
        output, states = layer(part, lengths=part_lengths, states=states)
        outputs.append(output)
    assert_same(tf.concat(outputs[::-1] if reverse else outputs, axis=1), whole, tolerance=1e-6)
    assert_same(states, final, tolerance=1e-6)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_no_lengths_means_full_rows(reverse: bool) -> None:
    layer = Recurrent(LSTMCell(UNITS), reverse=reverse)
    assert_same(layer(inputs()), layer(inputs(), lengths=np.full(BATCH, TIME, np.int32)), tolerance=1e-6)


def test_nothing_is_kept_between_calls() -> None:
    layer = Recurrent(GRUCell(UNITS))
    assert_same(layer(inputs()), layer(inputs()))


def test_input_dropout_drops_the_same_features_at_every_step() -> None:
    layer = Recurrent(RNNCell(40, activation="linear", kernel_initializer="identity"), dropout=0.5, seed=1)
    layer.build((None, None, 40))
    layer.cell.recurrent_kernel.assign(np.zeros((40, 40)))
    outputs, _ = layer(np.ones((BATCH, TIME, 40), np.float32), training=True)  # equal to the dropped inputs
    assert set(np.unique(outputs)) == {0.0, 2.0}
    np.testing.assert_array_equal(outputs, np.repeat(outputs[:, :1], TIME, axis=1))
    assert np.any(outputs[0] != outputs[1])


def test_recurrent_dropout_drops_the_same_features_at_every_step() -> None:
    """``h_t = 1 + mask h_{t-1}`` stays 1 where the mask is 0 and is ``2^t - 1`` where the mask is 2."""
    layer = Recurrent(adder(40, recurrent_dropout=0.5, seed=1))
    outputs, _ = layer(np.ones((BATCH, TIME, 40), np.float32), training=True)
    kept = outputs.numpy()[:, -1] > 1.0  # (batch, units)
    assert kept.any()
    assert not kept.all()
    assert np.any(kept[0] != kept[1])
    steps = np.arange(1, TIME + 1)[None, :, None]
    np.testing.assert_array_equal(outputs, np.where(kept[:, None, :], 2.0**steps - 1.0, 1.0))


@pytest.mark.parametrize("form", ["auto", "generic"])
@pytest.mark.parametrize("name", RECURRENT)
def test_dropouts_equal_the_equations_with_masked_recurrent_weights(name: str, form: str) -> None:
    """Weight dropout masks U. A mask on ``h_{t-1}`` multiplies the rows of U. Both apply to all steps.

    A twin cell with the same seed samples the same masks, from which the test computes the masked weights.
    """
    options = {"weight_dropout": 0.4, "recurrent_dropout": 0.4, "seed": 3}
    layer, twin = Recurrent(CELLS[name](UNITS, **options)), CELLS[name](UNITS, **options)
    layer.build((None, None, INPUTS))
    twin.build((None, INPUTS))
    twin.set_weights(randomized(layer).get_weights())
    recurrent_kernel, mask = twin.constants(batch=1, training=True)[:2]
    assert 0 < np.count_nonzero(recurrent_kernel == 0) < np.size(recurrent_kernel)
    weights = {
        **named(layer),
        "recurrent_kernel": np.float64(mask[0])[:, None] * np.float64(recurrent_kernel),
    }
    states = [np.zeros((1, UNITS))] * len(twin.state_size)
    expected = reference.run(REFERENCES[name], weights, np.float64(inputs(1)), [TIME], states)
    with kernels.form(form):
        outputs, final = layer(inputs(1), training=True)
    assert_same((outputs, list(final)), expected, tolerance=1e-5)


def test_weight_dropout_is_shared_by_the_rows_of_a_batch() -> None:
    layer = Recurrent(LSTMCell(UNITS, weight_dropout=0.5, seed=2))
    outputs, _ = layer(np.repeat(inputs(1), 4, axis=0), training=True)
    np.testing.assert_allclose(outputs, np.repeat(outputs[:1], 4, axis=0), rtol=0, atol=1e-6)


DROPOUTS: dict[str, Callable[[int | None], Recurrent]] = {
    "input": lambda seed: Recurrent(LSTMCell(16), dropout=0.5, seed=seed),
    "recurrent": lambda seed: Recurrent(LSTMCell(16, recurrent_dropout=0.5, seed=seed)),
    "weight": lambda seed: Recurrent(LSTMCell(16, weight_dropout=0.5, seed=seed)),
}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_needs_training_and_follows_its_seed(name: str) -> None:
    layer, plain = DROPOUTS[name](4), Recurrent(LSTMCell(16))
    plain.build((None, None, INPUTS))
    layer.build((None, None, INPUTS))
    layer.set_weights(plain.get_weights())
    assert_same(layer(inputs()), plain(inputs()))
    twin, other = DROPOUTS[name](4), DROPOUTS[name](5)
    for copy in (twin, other):
        copy.build((None, None, INPUTS))
        copy.set_weights(plain.get_weights())
    first, second = layer(inputs(), training=True)[0], layer(inputs(), training=True)[0]
    assert np.any(first != second)
    assert_same([twin(inputs(), training=True)[0] for _ in range(2)], [first, second])
    assert np.any(other(inputs(), training=True)[0] != first)


def test_the_layer_computes_in_the_dtype_of_its_cell() -> None:
    assert Recurrent(GRUCell(UNITS, dtype="float64"))(inputs())[0].dtype == tf.float64
    assert Recurrent(GRUCell(UNITS), dtype="float32")(np.float64(inputs()))[0].dtype == tf.float32


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"dropout must be a probability in \[0, 1\); got 1\.5"):
        Recurrent(GRUCell(UNITS), dropout=1.5)
    with pytest.raises(ValueError, match=r"must have shape \(batch, time, features\); got \(3, 6\)"):
        Recurrent(GRUCell(UNITS))(inputs()[..., 0])
    with pytest.raises(ValueError, match="LSTMCell needs 2 states; got 1"):
        Recurrent(LSTMCell(UNITS))(inputs(), states=[np.zeros((BATCH, UNITS), np.float32)])
