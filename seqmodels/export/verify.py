"""Compares the outputs of an exported file with the outputs of the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.errors import UserError

Arrays = Mapping[str, np.ndarray]


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Writes arrays to an .npz file without pickle. Strings become bytes of a fixed length."""
    content: dict[str, Any] = {name: plain(value) for name, value in arrays.items()}
    np.savez(path, **content)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def plain(value: np.ndarray) -> np.ndarray:
    return value.astype("S") if value.dtype == object else value


def largest_difference(where: str, actual: Arrays, expected: Arrays, tolerance: float) -> float:
    """Compares arrays by name. Strings must be equal, and numbers may differ by ``tolerance``.

    If the largest absolute value in an expected array is above 1, all differences from this array are divided
    by this value. Large numbers may differ more than small numbers, because float32 has only about 7 correct
    digits. After the decimal point, a price of 3,000 has about 3 correct digits, and a probability has about
    7 correct digits.

    Args:
        where: name of the exported file, for the error message.
        actual: outputs of the exported file.
        expected: outputs of the model.
        tolerance: largest allowed difference.

    Returns:
        The largest difference in all arrays, after the division.

    Raises:
        UserError: an array in ``actual`` is missing, has another shape, is not finite, or differs by more
            than the tolerance.

    >>> largest_difference("model", {"y": np.array([1.0, 2.5])}, {"y": np.array([1.0, 2.0])}, tolerance=1.0)
    0.25
    """
    largest = 0.0
    for name, one in expected.items():
        if name not in actual:
            raise UserError(f"{where} must have the output {name}; found {', '.join(sorted(actual))}")
        other, one = actual[name], plain(one)
        if one.shape != other.shape:
            raise UserError(f"{where}: the output {name} must have the shape {one.shape}; got {other.shape}")
        if one.dtype.kind == "S":
            if not np.array_equal(one, other):
                raise UserError(
                    f"{where}: the output {name} differs from the model's output; nothing was written or "
                    "replaced"
                )
        elif one.size:
            unit = max(1.0, float(np.max(np.abs(one))))
            absolute = float(np.max(np.abs(other.astype(np.float64) - one)))
            difference = absolute / unit
            if not difference <= tolerance:  # also true if the difference is NaN
                raise UserError(
                    f"{where}: the output {name} differs from the model's output by {absolute:.3g}; expected "
                    f"at most {tolerance * unit:g}; nothing was written or replaced"
                )
            largest = max(largest, difference)
    return largest
