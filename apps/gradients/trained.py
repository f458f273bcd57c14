"""A trained run of any app, opened for measuring."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras

from apps.run import Run
from apps.task import load_task
from seqmodels.errors import DataError, UsageError
from seqmodels.training.objectives import Objective


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
    task = load_task(run.read_json("data.json", "task")["task"])
    options = run.trained_with(task.Train)
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
