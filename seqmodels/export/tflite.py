"""Converts models to TFLite files that use only built-in operators.

A new file is verified before it replaces an older file.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from seqmodels import kernels
from seqmodels.errors import UsageError, UserError
from seqmodels.export import isolated
from seqmodels.export.flatbuffer import mended
from seqmodels.export.signature import Signature, save
from seqmodels.export.verify import Arrays, largest_difference, load_arrays, save_arrays

# Largest allowed difference from the outputs of the model, for each quantization. The value for "none" covers
# the rounding of float32. The value for "float16" covers the rounding to 11 bits. With 8 bits, every finite
# difference is allowed. A score on real data must then show that the file is precise enough.
TOLERANCES = {"none": 1e-4, "float16": 0.05, "dynamic": math.inf, "int8": math.inf}
# A loop is unrolled only if it has at most this many time steps. Each unrolled time step adds some kilobytes
# to the file. The conversion time grows with the square of the number of time steps.
LONGEST_UNROLLED = 128

_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Entry:
    """One signature of a TFLite file, and data to verify and calibrate the file.

    Attributes:
        signature: signature whose inputs have static shapes with one row.
        inputs: inputs for the verification and for scores, ``{name: array (rows, ...)}``.
        expected: outputs of the model for ``inputs``, ``{name: array (rows, ...)}``.
        representative: inputs for the calibration of int8, ``{name: array (rows, ...)}``. They come from the
            training data. Some rows should have no padding. The converter measures the cell state of a fused
            LSTM only after the last time step. If all rows end in padding, the measured range of the cell
            state is too small.
    """

    signature: Signature
    inputs: Arrays
    expected: Arrays
    representative: Arrays


@dataclass(frozen=True)
class Converted:
    """Properties of a TFLite file that :func:`convert` has written.

    Attributes:
        size: size of the file in bytes.
        milliseconds: dictionary from the name of a signature to the median time of 200 calls with one thread.
        difference: largest difference from the outputs of the model.
        outputs: outputs of the file for ``Entry.inputs``, as ``{signature: {output: array (rows, ...)}}``.
        operators: dictionary from the name of an operator to the number of its occurrences in the file.
        subgraphs: number of subgraphs. A file without loops has 1 subgraph. A file with loops has more than 1
            subgraph. MediaPipe can read only files with 1 subgraph.
    """

    size: int
    milliseconds: dict[str, float]
    difference: float
    outputs: dict[str, dict[str, np.ndarray]]
    operators: dict[str, int]
    subgraphs: int


def file_name(quantize: str) -> str:
    """Returns the file name for a quantization, such as ``model.tflite`` or ``model_dynamic.tflite``."""
    return "model.tflite" if quantize == "none" else f"model_{quantize}.tflite"


def choose_form(fused: bool, steps: int, quantize: str) -> str:
    """Chooses the representation ("form") of the loops over time steps in a TFLite file.

    :mod:`seqmodels.kernels.forms` describes the forms.

    - "fused" is chosen if TFLite has a fused operator for every recurrent layer. The file is small for any
      number of time steps and for every quantization. For float computation with more than about a hundred
      time steps, this form is also the fastest (table in benchmarks/sentiment.md).
    - "unrolled" is chosen for at most ``LONGEST_UNROLLED`` time steps. This form is fast, but the file grows
      with the number of time steps.
    - "generic" is chosen in all other cases. It is a loop with two subgraphs and is several times slower.

    Args:
        fused: if True, TFLite has a fused operator for every recurrent layer.
        steps: number of time steps, T.
        quantize: a name in ``QUANTIZATIONS``.

    Raises:
        UsageError: int8 would need the form "generic". TensorFlow's converter crashes in this case.

    >>> [choose_form(fused=False, steps=steps, quantize="none") for steps in (64, 512)]
    ['unrolled', 'generic']
    """
    if fused:
        return "fused"
    if steps <= LONGEST_UNROLLED:
        return "unrolled"
    if quantize == "int8":
        raise UsageError(
            f"--quantize int8 with {steps} time steps needs LSTM layers; use --length {LONGEST_UNROLLED} or "
            "less, or --quantize dynamic"
        )
    return "generic"


def convert(
    path: Path,
    entries: Sequence[Entry],
    form: str,
    quantize: str,
    finish: Callable[[bytes, int], bytes] = lambda content, subgraphs: content,
) -> Converted:
    """Writes a TFLite file. An old file at ``path`` is replaced after the new file has been verified.

    Args:
        path: file to write. Its parent folders are created.
        entries: signatures of the file, with data to verify and calibrate the file.
        form: representation of the loops over time steps: "fused", "unrolled" or "generic".
        quantize: "none"; "dynamic" (8-bit weights, float computation); "float16" (16-bit weights); or "int8"
            (8-bit weights and computation).
        finish: function that receives the content of the file and the number of its subgraphs, and returns
            the content to write. It can add metadata, for example. Default: the content does not change.

    Raises:
        UserError: the conversion failed or crashed; the file needs operators that are not built in; or the
            outputs of the file differ from the outputs of the model.

    >>> import tensorflow as tf
    >>> double = Signature("double", lambda x: {"y": 2 * x}, {"x": tf.TensorSpec([1, 3])}, ("y",), [])
    >>> rows = {"x": np.ones((2, 3), np.float32)}
    >>> entry = Entry(double, rows, {"y": 2 * rows["x"]}, rows)
    >>> converted = convert(folder / "model.tflite", [entry], form="unrolled", quantize="none")
    >>> converted.difference, converted.subgraphs, converted.operators
    (0.0, 1, {'MUL': 1})
    """
    with TemporaryDirectory() as scratch:
        saved, rows, results, file = (
            Path(scratch, name) for name in ("saved", "rows.npz", "results.npz", path.name)
        )
        with kernels.form(form):
            save(saved, [entry.signature for entry in entries])
        save_arrays(rows, _named({entry.signature.name: entry.representative for entry in entries}))
        isolated.run(isolated.CONVERT, saved, quantize, rows, file)
        content = mended(file.read_bytes())
        operators, subgraphs = _operators(path.name, content)
        file.write_bytes(finish(content, subgraphs))
        save_arrays(rows, _named({entry.signature.name: entry.inputs for entry in entries}))
        isolated.run(isolated.RUN_TFLITE, file, rows, results)
        found = load_arrays(results)
        expected = _named({entry.signature.name: entry.expected for entry in entries})
        difference = largest_difference(path.name, found, expected, TOLERANCES[quantize])
        _write(path, file.read_bytes())
    milliseconds = {entry.signature.name: float(found.pop(entry.signature.name)) for entry in entries}
    outputs: dict[str, dict[str, np.ndarray]] = {name: {} for name in milliseconds}
    for key, value in found.items():
        signature, output = key.split("/")
        outputs[signature][output] = value
    return Converted(path.stat().st_size, milliseconds, difference, outputs, operators, subgraphs)


def _named(arrays: Mapping[str, Arrays]) -> dict[str, np.ndarray]:
    """Merges the arrays of several signatures into one dictionary with the keys ``SIGNATURE/TENSOR``."""
    return {f"{name}/{key}": value for name, tensors in arrays.items() for key, value in tensors.items()}


def _operators(name: str, content: bytes) -> tuple[dict[str, int], int]:
    """Returns the number of occurrences of each operator in a file, and the number of subgraphs.

    Raises UserError if an operator is not built into TFLite.
    """
    model = schema.Model.GetRootAsModel(content, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    if custom := sorted({code.CustomCode().decode() for code in codes if code.CustomCode()}):
        raise UserError(
            f"{name} needs the operators {', '.join(custom)}, which are not built into TFLite; remove them "
            "from the model"
        )
    # A file has two fields for the code of an operator. New files store codes above 127 only in builtin_code.
    # Older files store every code only in deprecated_builtin_code. The larger value is always the code.
    names = [_OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    counts: Counter[str] = Counter()
    for number in range(model.SubgraphsLength()):
        graph = model.Subgraphs(number)
        counts.update(names[graph.Operators(index).OpcodeIndex()] for index in range(graph.OperatorsLength()))
    return dict(counts), model.SubgraphsLength()


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_bytes(content)
    os.replace(temporary, path)
