"""Opens the trained model of a finished run, with its validation data. The run may be of any task."""

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
    """The model of a finished run, with the data and the objective of its training.

    Attributes:
        model: the trained model.
        objective: objective of the training, which computes the loss.
        batches: batches of the validation split.
        carried: function that receives the number of sequences in a batch and returns the state before the
            first batch. The model passes its state from each batch to the next batch.
    """

    model: keras.Model
    objective: Objective
    batches: Iterable[Any]
    carried: Callable[[int], Any]


def open_run(run: Run) -> Trained:
    """Opens the model of a finished run, with its validation data and its objective.

    Raises:
        DataError: the run is damaged, or the training data are missing.
    """
    task = load_task(run.read_json("data.json", "task")["task"])
    options = run.trained_with(task.Train)
    try:
        data = task.load(options, task.load_assets(run.assets))
    except UsageError as error:
        raise DataError(
            f"{run.path} needs the training data {options.data}, which was not found ({error}); "
            "restore the data, or run this command in the folder in which the training was started"
        ) from error
    model = run.load_model()
    return Trained(
        model,
        task.objective(options, data.assets),
        data.valid(),
        lambda rows: task.initial_carried(model, rows),
    )
