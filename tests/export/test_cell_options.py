"""Tests of exported cells with other activations, without a bias or with regularizers.

The outputs of the exported file and of the layer must be equal. The fused operator of TFLite computes only an
LSTM with tanh and sigmoid. All other cells are exported as a loop or as unrolled time steps.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from inventory import INPUTS, UNITS, normal, randomized

from seqmodels.cells import GRUCell, LSTMCell, MinGRUCell, RNNCell
from seqmodels.errors import UserError
from seqmodels.export import saved_model, tflite
from seqmodels.export.signature import Signature
from seqmodels.layers import Recurrent

TIME, ROWS = 6, 7
LOOPS = {"fused": "UNIDIRECTIONAL_SEQUENCE_LSTM", "generic": "WHILE"}


def signature(cell: Any, reverse: bool = False) -> Signature:
    layer = Recurrent(cell, reverse=reverse, return_sequences=True)
    layer.build((None, None, INPUTS))
    randomized(layer)

    def run(inputs: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"outputs": layer(inputs, lengths=lengths)}

    specs = {"inputs": tf.TensorSpec((1, TIME, INPUTS)), "lengths": tf.TensorSpec((1,), tf.int32)}
    return Signature("run", run, specs, ("outputs",), [variable.value for variable in layer.variables])


def samples() -> dict[str, np.ndarray]:
    inputs = normal(np.random.default_rng(3), ROWS, TIME, INPUTS).astype(np.float32)
    return {"inputs": inputs, "lengths": np.arange(ROWS, dtype=np.int32) % (TIME + 1)}


def converted(path: Path, cell: Any, form: str, quantize: str = "none", **options: Any) -> tflite.Converted:
    named, inputs = signature(cell, **options), samples()
    calls = [
        named.function(**{key: tf.constant(value[row : row + 1]) for key, value in inputs.items()})["outputs"]
        for row in range(ROWS)
    ]
    return tflite.convert(
        path, [tflite.Entry(named, inputs, {"outputs": np.concatenate(calls)}, inputs)], form, quantize
    )


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("cell", "form", "loop"),
    [
        pytest.param(
            lambda: LSTMCell(UNITS, use_bias=False, kernel_regularizer="l2"), "fused", "fused", marks=slow
        ),
        (lambda: LSTMCell(UNITS, activation="relu"), "fused", "generic"),
        pytest.param(
            lambda: GRUCell(UNITS, reset_after=True, recurrent_activation="hard_sigmoid"),
            "unrolled",
            None,
            marks=slow,
        ),
        pytest.param(
            lambda: LSTMCell(UNITS, recurrent_activation="hard_sigmoid"), "fused", "generic", marks=slow
        ),
        pytest.param(
            lambda: GRUCell(UNITS, use_bias=False, activation="relu"), "generic", "generic", marks=slow
        ),
        pytest.param(lambda: GRUCell(UNITS, True, use_bias=False), "unrolled", None, marks=slow),
        pytest.param(lambda: RNNCell(UNITS, activation="elu"), "fused", "generic", marks=slow),
        pytest.param(lambda: MinGRUCell(UNITS, use_bias=False), "unrolled", None, marks=slow),
    ],
)
def test_tflite(cell: Any, form: str, loop: str | None, tmp_path: Path) -> None:
    result = converted(tmp_path / "model.tflite", cell(), form, reverse=loop == "fused")
    assert result.difference < 1e-5
    found = {name for name, operator in LOOPS.items() if operator in result.operators}
    assert found == ({loop} if loop else set())


@slow
@pytest.mark.parametrize("quantize", ["dynamic", "float16", "int8"])
def test_quantized_loops_of_other_cells(quantize: str, tmp_path: Path) -> None:
    """The converter of TensorFlow crashes for a loop in int8. In this case, no file is written."""
    path, cell = tmp_path / "model.tflite", LSTMCell(UNITS, activation="softsign")
    if quantize == "int8":
        with pytest.raises(UserError):
            converted(path, cell, "fused", quantize)
        assert not path.exists()
        assert converted(path, cell, "unrolled", quantize).difference < 0.3
    else:
        assert converted(path, cell, "fused", quantize).difference < 0.3


@pytest.mark.parametrize(
    "cell",
    [
        lambda: LSTMCell(UNITS, activation="relu"),
        pytest.param(lambda: GRUCell(UNITS, True, use_bias=False), marks=slow),
    ],
)
@pytest.mark.slow
def test_saved_model(cell: Any, tmp_path: Path) -> None:
    named, inputs = signature(cell()), samples()
    rows = [("run", {key: value[row : row + 1] for key, value in inputs.items()}) for row in range(ROWS)]
    assert saved_model.export(tmp_path / "saved_model", [named], rows) < 1e-5
