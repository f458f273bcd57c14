"""SavedModels that are proven to work without the project before they take their place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tensorflow as tf

from seqmodels import kernels
from seqmodels.export import isolated
from seqmodels.export.place import in_place_of
from seqmodels.export.signature import Signature, save
from seqmodels.export.verify import Arrays, largest_difference, load_arrays, save_arrays

TOLERANCE = 1e-5


def export(folder: Path, signatures: Sequence[Signature], examples: Sequence[tuple[str, Arrays]]) -> float:
    """Writes a SavedModel; what is in ``folder`` stays until the new one is verified.

    Args:
        folder: where to; its parents are made.
        signatures: the entry points; the first is also ``serving_default``.
        examples: names of signatures with inputs, of several batch sizes. A process that has TensorFlow
            and not the project loads the file and must give what the signature's function gives here.

    Returns:
        the largest difference of any number.

    Raises:
        UserError: the folder cannot be written; the file cannot be loaded, or says something else than the
            model.

    >>> double = Signature("double", lambda x: {"y": 2 * x}, {"x": tf.TensorSpec([None])}, ("y",), [])
    >>> export(folder / "model", [double], [("double", {"x": np.ones(3, np.float32)})])
    0.0
    """
    functions = {signature.name: signature.function for signature in signatures}
    with in_place_of(folder) as temporary:
        with kernels.form("generic"):  # plain operators: a file has no use for the kernels' own gradients
            save(temporary, signatures)
        inputs: dict[str, np.ndarray] = {}
        expected: dict[str, np.ndarray] = {}
        for index, (name, arrays) in enumerate(examples):
            results = functions[name](**{key: tf.constant(value) for key, value in arrays.items()})
            inputs |= {f"{index}/{name}/{key}": value for key, value in arrays.items()}
            expected |= {f"{index}/{name}/{key}": value.numpy() for key, value in results.items()}
        with TemporaryDirectory() as scratch:
            given, found = Path(scratch, "inputs.npz"), Path(scratch, "outputs.npz")
            save_arrays(given, inputs)
            isolated.run(isolated.RUN_SAVED_MODEL, temporary, given, found)
            difference = largest_difference(str(folder), load_arrays(found), expected, TOLERANCE)
    return difference
