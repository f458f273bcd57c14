"""A trained run of any app, opened for measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import keras

from apps.options import restore
from apps.run import Run
from apps.task import Task, load_task
from seqmodels.errors import DataError, UsageError
from seqmodels.training.losses import Objective


@dataclass(frozen=True)
class Trained:
    """The model of a run with the data and the objective that it was trained with.

    Attributes:
        model: as it was saved.
        objective: that of its training.
        batches: of the validation split.
        carried: number of rows to the state that the objective begins with.
    """

    model: keras.Model
    objective: Objective
    batches: Iterable[Any]
    carried: Callable[[int], Any]


def open_run(run: Run) -> Trained:
    """Opens a finished run; raises DataError where it is damaged or its data are gone."""
    stored = run.read_json("options.json")
    task = _task(run, stored)
    options = restore(task.Train, stored, f"{run.path}/options.json")
    try:
        data = task.load(options, task.load_assets(run.assets))
    except UsageError as error:
        raise DataError(
            f"{run.path}: was trained on {options.data}, which is no longer found from here ({error})"
        ) from error
    model = run.load_model()
    return Trained(
        model, task.objective(options), data.valid(), lambda rows: task.initial_carried(model, rows)
    )


def _task(run: Run, stored: dict[str, Any]) -> Task:
    """The app that made a run: the one that has its options."""
    for module in iter_modules([str(Path(__file__).parents[1])]):
        if module.ispkg and module.name != "gradients":
            task = load_task(module.name)
            if {f.name for f in fields(task.Train) if f.metadata["stored"]} == set(stored):
                return task
    raise DataError(f"{run.path}: its options are of no app of this version; train the run again")
