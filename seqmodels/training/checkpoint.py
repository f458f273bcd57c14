"""Writes and reads checkpoints, which contain all values that are needed to resume a training.

A checkpoint is one file. A new checkpoint replaces the old file atomically.
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from seqmodels.errors import DataError


def save(path: Path, variables: Mapping[str, Sequence[Any]], facts: Mapping[str, Any]) -> None:
    """Writes variables and facts to the .npz file ``path`` atomically.

    Args:
        path: file to write. Its folder is created.
        variables: dictionary that maps the name of a group to a list of Keras variables or tensors.
            :func:`load` must receive the variables of a group in the same order.
        facts: dictionary of further values that JSON can represent.
    """
    arrays: dict[str, Any] = {
        f"{group}/{index}": _storable(variable)
        for group, members in variables.items()
        for index, variable in enumerate(members)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    with open(temporary, "wb") as file:
        np.savez(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load(path: Path, variables: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Reads a checkpoint, assigns the stored values to ``variables``, and returns the facts.

    Raises:
        DataError: the file is damaged, or its tensors differ from ``variables`` in number or shape. In this
            case, the variables keep their values.
    """
    values = []
    try:
        with np.load(path) as stored:
            facts = json.loads(stored["facts"].tobytes())
            for group, members in variables.items():
                values += _group(path, stored, group, members)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, ValueError) as error:
        raise DataError(
            f"{path}: the checkpoint cannot be read ({error}); train again with --overwrite"
        ) from error
    for variable, value in zip(chain(*variables.values()), values):
        variable.assign(value)
    return facts


def arrays(path: Path, group: str) -> list[np.ndarray]:
    """Returns the tensors of one group as a list of NumPy arrays. Tensors in bfloat16 become float32."""
    with np.load(path) as stored:
        return [stored[f"{group}/{index}"] for index in range(_size(stored, group))]


def _storable(variable: Any) -> np.ndarray:
    array = tf.convert_to_tensor(variable).numpy()
    # The .npz format does not support bfloat16; float32 represents its values exactly.
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def _size(stored: Any, group: str) -> int:
    return sum(name.startswith(f"{group}/") for name in stored.files)


def _group(path: Path, stored: Any, group: str, members: Sequence[Any]) -> list[np.ndarray]:
    """Returns the stored values of one group. ``members`` contains the variables of this group.

    Raises DataError if the number of stored values differs from the number of variables. Raises DataError
    also if the shape of a stored value differs from the shape of its variable.
    """
    other = "use the options of the training that wrote the checkpoint, or train again with --overwrite"
    if _size(stored, group) != len(members):
        found = _size(stored, group)
        raise DataError(
            f"{path}: the checkpoint belongs to another model "
            f"(expected {len(members)} {group} tensors, found {found}); {other}"
        )
    values = [stored[f"{group}/{index}"] for index in range(len(members))]
    for variable, value in zip(members, values):
        if value.shape != tuple(variable.shape):
            shapes = f"expected shape {tuple(variable.shape)}, found {value.shape}"
            raise DataError(
                f"{path}: the checkpoint belongs to another model ({variable.path}: {shapes}); {other}"
            )
    return values
