"""A new cell needs one module written from its equations, one row in the registry and one in the inventory.

The test writes two cells into an empty folder, as a user would do. Both cells must pass the checks of the
library's cells.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType

import inventory
import keras
import numpy as np
import pytest
import reference
import tensorflow as tf
import test_inventory
from inventory import INPUTS, UNITS, Part, assert_same, named, normal, randomized

from seqmodels import analysis, layers, models, registry

SOURCE = '''
import keras
import tensorflow as tf
from seqmodels.cells import LinearCell, MatrixCell
from seqmodels.kernels import dropped

@keras.saving.register_keras_serializable(package="toy")
class KeepCell(MatrixCell):
    """k = sigmoid(x W_k + h U_k + b_k), c = tanh(x W_c + h U_c + b_c), h' = k h + (1 - k) c."""

    blocks = ("keep gate", "candidate")
    source = "this test"

    def step(self, projected, states, constants):
        (h,), (recurrent_kernel, mask) = states, constants
        keep, candidate = tf.split(projected + dropped(h, mask) @ recurrent_kernel, 2, axis=-1)
        keep = tf.sigmoid(keep)
        h = keep * h + (1 - keep) * tf.tanh(candidate)
        return h, (h,)

    def gate_values(self, projected, states, constants):
        return {"keep gate": tf.sigmoid(tf.split(projected + states[0] @ constants[0], 2, axis=-1)[0])}

@keras.saving.register_keras_serializable(package="toy")
class LeakCell(LinearCell):
    """h' = 0.9 h + x W + b."""

    blocks = ("input",)

    def coefficients(self, projected):
        return 0.9 * tf.ones_like(projected), projected
'''
CELLS = {"keep": ("KeepCell", 3, {"keep gate"}), "leak": ("LeakCell", 2, {"kept share"})}


def keep(weights: dict, x: np.ndarray, states: tuple) -> tuple:
    """Computes one step of KeepCell in NumPy, from its equations."""
    z = x @ weights["kernel"] + states[0] @ weights["recurrent_kernel"] + weights["bias"]
    share = 1 / (1 + np.exp(-z[:UNITS]))
    h = share * states[0] + (1 - share) * np.tanh(z[UNITS:])
    return h, (h,)


def leak(weights: dict, x: np.ndarray, states: tuple) -> tuple:
    h = 0.9 * states[0] + x @ weights["kernel"] + weights["bias"]
    return h, (h,)


REFERENCES = {"keep": keep, "leak": leak}


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> ModuleType:
    """Returns the user's module, and adds its rows to the registry and the inventory."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "toy_cells.py").write_text(SOURCE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        module = import_module("toy_cells")
        for name, (kind, weights, _) in CELLS.items():
            make = getattr(module, kind)
            entry = registry.CellEntry(f"toy_cells:{kind}", parallel=make.parallel)
            patch.setitem(registry.CELLS, name, entry)
            patch.setitem(inventory.CELLS, name, make)
            patch.setitem(inventory.REFERENCES, name, REFERENCES[name])
            patch.setitem(inventory.PARTS, name, Part(partial(make, UNITS), inventory.step, weights))
            run = Part(
                partial(inventory.recurrent, name), inventory.sequence, weights=weights, padded=("inputs",)
            )
            patch.setitem(inventory.PARTS, f"Recurrent {name}", run)
        yield module


@pytest.mark.parametrize("name", [*CELLS, *(f"Recurrent {name}" for name in CELLS)])
def test_new_cells_pass_the_checks_of_every_part(toy: ModuleType, name: str, tmp_path: Path) -> None:
    """Checks config and file, finite differences, learning of every weight, dtypes, shapes and padding."""
    test_inventory.test_config_round_trip(name)
    test_inventory.test_keras_file_round_trip(name, tmp_path)
    test_inventory.test_gradients_match_central_differences(name)
    test_inventory.test_every_weight_learns(name)
    test_inventory.test_float64_agrees_with_float32(name)
    test_inventory.test_mixed_float16(name)
    test_inventory.test_any_batch_and_time(name)
    if inventory.PARTS[name].padded:
        test_inventory.test_padding_never_matters(name)
        test_inventory.test_padding_has_no_gradient(name)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_new_cells_equal_their_references_and_run_in_keras(toy: ModuleType, name: str, reverse: bool) -> None:
    layer = layers.Recurrent(inventory.CELLS[name](UNITS, dtype="float64"), reverse=reverse)
    layer.build((None, None, INPUTS))
    randomized(layer)
    rng = np.random.default_rng(5)
    inputs, states = normal(rng, 3, 6, INPUTS), [normal(rng, 3, UNITS)]
    lengths = [6, 2, 0]
    outputs, final = layer(inputs, np.array(lengths, np.int32), states)
    expected = reference.run(REFERENCES[name], named(layer), inputs, lengths, states, reverse)
    assert_same((outputs, list(final)), expected, 1e-12)
    if not reverse:
        stepped = keras.layers.RNN(layer.cell, return_sequences=True, dtype="float64")
        assert_same(stepped(inputs, initial_state=states), layer(inputs, states=states)[0], 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["keep", "leak"])
def test_a_classifier_with_a_new_cell_trains_saves_and_loads(
    toy: ModuleType, name: str, tmp_path: Path
) -> None:
    """The classifier needs only the name of the cell. The cells are stacked and bidirectional."""
    model = models.Classifier(9, 3, 4, name, 5, layers=2, bidirectional=True)
    inputs = {"tokens": np.array([[4, 5, 6], [7, 8, 0]], np.int32), "lengths": np.array([3, 2], np.int32)}
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(inputs, np.array([0, 2]), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.encoder.directions[0][0].cell) is inventory.CELLS[name]
    assert_same(loaded(inputs), model(inputs))


@pytest.mark.parametrize("name", CELLS)
def test_the_analysis_uses_the_gate_names_of_new_cells(toy: ModuleType, name: str) -> None:
    layer = layers.Recurrent(inventory.CELLS[name](UNITS, dtype="float64"))
    inputs = tf.constant(normal(np.random.default_rng(1), 2, 4, INPUTS))
    layer.build(inputs.shape)
    with tf.GradientTape() as tape, analysis.recording(layer, tape) as traces:
        layer(inputs)
    assert set(analysis.gates(traces[0])) == CELLS[name][2]
    assert analysis.step_bound(traces[0]) == {"keep": None, "leak": 1.0}[name]
    assert analysis.step_jacobians(traces[0]).shape == (2, 4, UNITS, UNITS)
