"""TensorFlow Lite files of built-in operators alone, each tried before it takes its place."""

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

# What each kind may differ from the model: by the rounding of float32; of 11 bits; and where weights, or all
# numbers, have 8 bits, by any finite number: only a score on real data judges those.
TOLERANCES = {"none": 1e-4, "float16": 0.05, "dynamic": math.inf, "int8": math.inf}
# A file grows by kilobytes with every step, and the time of its conversion by the square of the steps.
LONGEST_UNROLLED = 128

_OPERATORS = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclass(frozen=True)
class Entry:
    """One signature of a file, and the rows that it is tried on.

    Attributes:
        signature: with static shapes, one row.
        inputs: rows of each input, ``(rows, ...)``, for the verification and the scores.
        expected: the model's outputs for them.
        representative: rows of training data, for int8. The converter sees the state c of a fused LSTM only
            after the last step, so that some rows should be in full swing there: those that end in padding
            alone would give it too small a range.
    """

    signature: Signature
    inputs: Arrays
    expected: Arrays
    representative: Arrays


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        size: bytes of the file.
        milliseconds: of each signature, the median of 200 calls, by one thread.
        difference: largest from the model's outputs.
        outputs: of each signature for all inputs, by name, ``(rows, ...)``.
        operators: how many there are of each.
        subgraphs: 1, or more with loops; MediaPipe reads files with one.
    """

    size: int
    milliseconds: dict[str, float]
    difference: float
    outputs: dict[str, dict[str, np.ndarray]]
    operators: dict[str, int]
    subgraphs: int


def file_name(quantize: str) -> str:
    """``model.tflite``, ``model_dynamic.tflite`` ..."""
    return "model.tflite" if quantize == "none" else f"model_{quantize}.tflite"


def choose_form(fused: bool, steps: int, quantize: str) -> str:
    """How the loops of a file are built.

    Fused wherever there is such an operator: small at any length, 8 bits included, and beyond about a hundred
    steps the fastest of floats (benchmarks/sentiment.md has a table). Else unrolled, which is
    fast and grows with the length. Else a loop of two subgraphs, which is several times slower.

    Args:
        fused: whether every recurrent layer has a fused operator.
        steps: number of steps, T.
        quantize: one of ``QUANTIZATIONS``.

    Raises:
        UsageError: int8 for a loop: TensorFlow's converter crashes on it.

    >>> [choose_form(fused=False, steps=steps, quantize="none") for steps in (64, 512)]
    ['unrolled', 'generic']
    """
    if fused:
        return "fused"
    if steps <= LONGEST_UNROLLED:
        return "unrolled"
    if quantize == "int8":
        raise UsageError(
            f"int8 with {steps} steps is possible for the LSTM alone; take --length {LONGEST_UNROLLED} or "
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
    """Writes one .tflite; what is at ``path`` stays until the new file is verified.

    Args:
        path: where to; its parents are made.
        entries: the signatures of the file.
        form: a name of ``kernels.FORMS``.
        quantize: none; dynamic (weights in 8 bits, computation in float); float16 (weights in 16 bits); int8
            (weights and computation in 8 bits).
        finish: the content of the file and the number of its subgraphs to what is written, for metadata.

    Raises:
        UserError: the conversion failed or crashed, needs operators that are not built in, or the file says
            something else than the model.

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
    """Arrays of several signatures in one table, called ``SIGNATURE/TENSOR``."""
    return {f"{name}/{key}": value for name, tensors in arrays.items() for key, value in tensors.items()}


def _operators(name: str, content: bytes) -> tuple[dict[str, int], int]:
    """Operators of a file and how many subgraphs it has; raises UserError for one that is not built in."""
    model = schema.Model.GetRootAsModel(content, 0)
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    if custom := sorted({code.CustomCode().decode() for code in codes if code.CustomCode()}):
        raise UserError(
            f"{name}: needs {', '.join(custom)}, which no phone has; expected built-in operators only"
        )
    # Codes above 127 are in the second field; the first one is an older file format's.
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
