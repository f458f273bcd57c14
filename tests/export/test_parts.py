"""Export of every row of the conformance table with every exporter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import inventory
import numpy as np
import pytest
import tensorflow as tf

from seqmodels import registry
from seqmodels.export import saved_model, tflite
from seqmodels.export.signature import Signature

TIME, ROWS = 4, 8
# The largest allowed difference for each quantization. The outputs have values of about 1. The differences
# come from rounding: to float32, to 11 bits in float16, and to 8 bits in dynamic and int8.
LARGEST = {"none": 1e-5, "float16": 0.01, "dynamic": 0.3, "int8": 0.5}
# A part that returns only tokens has no floats to compare.
CONVERTED = [
    name
    for name, part in inventory.PARTS.items()
    if inventory.floats(inventory.call(part.make(dtype="float32"), part.arguments()))
]


def exported(name: str) -> tuple[Signature, dict[str, np.ndarray]]:
    """Returns the part as a signature that reads one row, and inputs ``(ROWS, ...)`` for several calls."""
    row = inventory.PARTS[name]
    part, samples = row.built(), row.arguments((TIME,) * ROWS)
    flat = {f"input_{index}": leaf for index, leaf in enumerate(tf.nest.flatten(samples))}
    # An input without rows, such as the table of a tied output, becomes part of the file.
    leaves = {key: leaf for key, leaf in flat.items() if leaf.shape[0] == ROWS}

    def run(tensors: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        outputs = inventory.call(part, tf.nest.pack_sequence_as(samples, list({**flat, **tensors}.values())))
        return {f"output_{index}": leaf for index, leaf in enumerate(inventory.floats(outputs))}

    # A signature passes its tensors by name, so the function needs named arguments.
    arguments = ", ".join(leaves)
    pairs = ", ".join(f"{leaf!r}: {leaf}" for leaf in leaves)
    function = eval(f"lambda {arguments}: run({{{pairs}}})", {"run": run})
    specs = {key: tf.TensorSpec((1, *leaf.shape[1:]), leaf.dtype) for key, leaf in leaves.items()}
    variables = [variable.value for variable in part.variables]
    outputs = tuple(function(**{key: leaf[:1] for key, leaf in leaves.items()}))
    return Signature("run", function, specs, outputs, variables), {
        key: leaf.numpy() for key, leaf in leaves.items()
    }


def expected(signature: Signature, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    calls: list[Any] = [
        signature.function(**{key: tf.constant(rows[index : index + 1]) for key, rows in inputs.items()})
        for index in range(ROWS)
    ]
    return {name: np.concatenate([call[name] for call in calls]) for name in signature.outputs}


@pytest.mark.slow
@pytest.mark.parametrize("quantize", registry.QUANTIZATIONS)
@pytest.mark.parametrize("name", CONVERTED)
def test_every_part_as_tflite(name: str, quantize: str, tmp_path: Path) -> None:
    if quantize == "int8" and not inventory.PARTS[name].eight_bits:
        pytest.skip("8 bits cannot represent the inputs of this part")
    signature, inputs = exported(name)
    entry = tflite.Entry(signature, inputs, expected(signature, inputs), inputs)
    result = tflite.convert(tmp_path / "model.tflite", [entry], "unrolled", quantize)
    assert result.difference < LARGEST[quantize]


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERTED)
def test_every_part_as_saved_model(name: str, tmp_path: Path) -> None:
    signature, inputs = exported(name)
    rows = [{key: value[index : index + 1] for key, value in inputs.items()} for index in range(ROWS)]
    folder = tmp_path / "saved_model"
    assert saved_model.export(folder, [signature], [("run", row) for row in rows]) < 1e-5
    assert (folder / "saved_model.pb").exists()
