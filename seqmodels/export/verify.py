"""What an exported file says, beside what the model says here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from seqmodels.errors import UserError

Arrays = Mapping[str, np.ndarray]


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Writes an .npz that needs no pickle: strings become bytes of a fixed width."""
    content: dict[str, Any] = {name: plain(value) for name, value in arrays.items()}
    np.savez(path, **content)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def plain(value: np.ndarray) -> np.ndarray:
    return value.astype("S") if value.dtype == object else value


def largest_difference(where: str, actual: Arrays, expected: Arrays, tolerance: float) -> float:
    """Compares arrays by name: strings must be equal, numbers within ``tolerance``.

    Where an array's largest number is above 1, differences count in shares of it: a price of 3,000 has four
    digits less behind the point than a probability.

    Args:
        where: what is compared, for the message.
        actual: of the exported file.
        expected: of the model.
        tolerance: the largest difference that is allowed.

    Returns:
        the largest difference of any number.

    Raises:
        UserError: an array is missing, has another shape, is not finite, or differs.

    >>> largest_difference("model", {"y": np.array([1.0, 2.5])}, {"y": np.array([1.0, 2.0])}, tolerance=1.0)
    0.25
    """
    largest = 0.0
    for name, one in expected.items():
        if name not in actual:
            raise UserError(f"{where}: has no output {name}; found {', '.join(sorted(actual))}")
        other, one = actual[name], plain(one)
        if one.shape != other.shape:
            raise UserError(f"{where}: {name} has shape {other.shape}; the model's is {one.shape}")
        if one.dtype.kind == "S":
            if not np.array_equal(one, other):
                raise UserError(f"{where}: {name} differs from the model's; nothing was written or replaced")
        elif one.size:
            unit = max(1.0, float(np.max(np.abs(one))))
            absolute = float(np.max(np.abs(other.astype(np.float64) - one)))
            difference = absolute / unit
            if not difference <= tolerance:  # also where it is not a number
                raise UserError(
                    f"{where}: {name} differs by {absolute:.3g} from the model's, {tolerance * unit:g} "
                    "allowed; nothing was written or replaced"
                )
            largest = max(largest, difference)
    return largest
