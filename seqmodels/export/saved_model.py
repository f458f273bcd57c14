"""Exports SavedModels.

A process that cannot import the project verifies a new SavedModel. Then the new SavedModel replaces the old
folder.
"""

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


def export(
    folder: Path,
    signatures: Sequence[Signature],
    examples: Sequence[tuple[str, Arrays]],
    readme: str = "",
) -> float:
    """Writes a SavedModel. The old content of ``folder`` is replaced after the new model has been verified.

    A separate process, which can import TensorFlow but not the project, loads the SavedModel and runs the
    examples. The outputs are compared with the outputs of ``Signature.function`` and may differ by at most
    ``TOLERANCE``.

    Args:
        folder: folder to write. Its parent folders are created.
        signatures: named functions of the model. The first signature is also ``serving_default``.
        examples: inputs for the verification, as pairs ``(name of a signature, {input name: array})``. Use
            examples with different batch sizes.
        readme: content of README.md in the folder. Default: no README.md is written.

    Returns:
        The largest difference between the outputs, as computed by :func:`largest_difference`.

    Raises:
        UserError: the folder cannot be written, the SavedModel cannot be loaded, or its outputs differ by
            more than ``TOLERANCE``.

    >>> double = Signature("double", lambda x: {"y": 2 * x}, {"x": tf.TensorSpec([None])}, ("y",), [])
    >>> export(folder / "model", [double], [("double", {"x": np.ones(3, np.float32)})])
    0.0
    """
    functions = {signature.name: signature.function for signature in signatures}
    with in_place_of(folder) as temporary:
        with kernels.form("generic"):  # this form has no custom gradients
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
        if readme:
            (temporary / "README.md").write_text(readme, encoding="utf-8")
    return difference
