"""Estimates the training time from a few real training steps, and counts the parameters."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Column, Table

from apps.console import out
from apps.options import TrainOptions
from apps.run import Run
from apps.task import Data, Task
from apps.training import task_training
from seqmodels.training import Pace, Training, shape_of


def dry_run(task: Task, options: TrainOptions) -> None:
    """Prints the facts about the data, the number of parameters and the estimated training time."""
    earlier = task.load_assets(Run(options.from_).assets) if options.from_ else None
    data = task.load(options, earlier)
    options = data.options or options
    seconds, parameters = estimate(task, options, data)
    steps = int(data.train(0).cardinality())
    total, all_steps = seconds * options.epochs, steps * options.epochs
    if options.minutes is not None and 60 * options.minutes < total:
        total, all_steps = 60 * options.minutes, round(60 * options.minutes * steps / seconds)
    table = Table("", Column(overflow="fold"), title=f"dry run of {task.name}", show_header=False)
    for name, value in data.facts.items():
        table.add_row(
            name, json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
        )
    table.add_row("parameters", f"{parameters:,}")
    table.add_row("steps in an epoch", f"{steps:,}")
    table.add_row("steps of the training", f"at most about {all_steps:,}")
    table.add_row("time of an epoch", f"about {seconds:.0f} s")
    table.add_row("time of the training", f"at most about {total / 60:.1f} minutes")
    out.print(table)


def estimate(task: Task, options: TrainOptions, data: Data) -> tuple[float, int]:
    """Returns the estimated time of an epoch in seconds, and the number of parameters.

    The function runs and times a few real training steps.
    """
    with TemporaryDirectory() as folder:
        training = task_training(task, options, data, Path(folder))
        return _estimate_epoch(training, data), training.model.count_params()


def _estimate_epoch(training: Training, data: Data, steps_of_a_shape: int = 3) -> float:
    """Returns the estimated time of one epoch in seconds, without the time of the compilation.

    For each batch shape, the first step is not used, because it includes the compilation. Then up to
    ``steps_of_a_shape`` steps are timed. The mean time is multiplied by the number of batches of this shape.
    The estimate is the sum over all shapes. If a shape has only one batch, its time is estimated from the
    other shapes and from the size of the batch.
    """
    counts: Counter[str] = Counter()
    pace = Pace({})
    first = 0.0  # time of all steps that include a compilation
    for batch in data.train(0):
        shape = shape_of(batch)
        counts[shape] += 1
        if counts[shape] > 1 + steps_of_a_shape:
            continue
        start = time.monotonic()
        facts, _ = training.steps.train(batch, training.carried)
        float(facts["total"])
        seconds = time.monotonic() - start
        first += 0.0 if shape in pace.compiled else seconds
        pace.add(shape, seconds)
    mean = pace.mean(counts)
    return first if mean is None else mean * counts.total()
