"""Norms that the cells use to bound the Jacobian of a time step."""

from __future__ import annotations

from typing import Any

import numpy as np


def norm(matrix: Any) -> float:
    """Returns the spectral norm of a matrix: its largest singular value."""
    return float(np.linalg.norm(np.asarray(matrix, np.float64), ord=2))


def largest(values: Any) -> float:
    """Returns the largest absolute value of an array."""
    return float(np.max(np.abs(np.asarray(values, np.float64))))
