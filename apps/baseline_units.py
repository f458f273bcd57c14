"""Stores how each test example contributes to the score of each baseline.

The verb ``evaluate`` compares the model with the best baseline example by example. It reads the contributions
from ``baselines.npz`` in the run directory, so that the baselines need not be fitted again.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.console import log
from apps.run import Run
from seqmodels.errors import DataError

UNITS = "units"
FILE = "baselines.npz"


def without_units(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the scores of each baseline without the entry ``units``, which JSON cannot store."""
    return {name: {key: value for key, value in row.items() if key != UNITS} for name, row in scores.items()}


def units_of(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the entry ``units`` of each baseline that has this entry."""
    return {name: row[UNITS] for name, row in scores.items() if UNITS in row}


def write_units(run: Run, units: Mapping[str, np.ndarray]) -> None:
    """Writes the contributions of the test examples, one array per baseline. Without arrays, does nothing."""
    if not units:
        return
    partial = run.path / f"{FILE}.partial"
    with open(partial, "wb") as file:
        arrays: dict[str, Any] = dict(units)
        np.savez_compressed(file, **arrays)
    os.replace(partial, run.path / FILE)


def read_units(run: Run) -> dict[str, np.ndarray] | None:
    """Returns the stored contributions.

    If an earlier version of the package trained the run, the function prints a note and returns None.

    Raises:
        DataError: the file is damaged.
    """
    path = run.path / FILE
    if not path.exists():
        log.print(
            f"note: an earlier version trained {run.path} and did not write {FILE}, so the baselines are "
            "fitted again"
        )
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        first = (str(error).splitlines() or ["no content"])[0]
        raise DataError(f"{path} is damaged ({first}); train the run again with --overwrite") from error
