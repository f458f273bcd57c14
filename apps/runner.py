"""Runs the verbs train, evaluate, predict and info for every app.

An app defines the functions for its own data and models in a :class:`apps.task.Task`. This module calls these
functions in the right order.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
from rich.table import Column, Table

from apps.announcement import data_line, ending, model_line
from apps.baseline_units import units_of, without_units, write_units
from apps.console import log, out
from apps.estimate import dry_run
from apps.inputs import inputs_of
from apps.interruption import StopSignal
from apps.options import EvaluateOptions, InfoOptions, PredictOptions, RunOptions, TrainOptions, changes
from apps.outputs import json_line, write_records
from apps.progress import Report, TensorBoard
from apps.run import Run
from apps.stdin import lines_as_they_come
from apps.summary import print_summary
from apps.task import Data, Task, load_task
from apps.training import task_training
from seqmodels.errors import UserError
from seqmodels.evaluation import plots
from seqmodels.training import Training


def train(task_name: str, options: TrainOptions) -> None:
    """Trains a model or resumes an interrupted training, and stores the finished run."""
    task, run = load_task(task_name), Run(options.run)
    if options.dry_run:
        dry_run(task, options)
        return
    with run.locked():
        resumes = _resumes(run, options)
        if resumes:
            options = options.with_chosen(run.read_json("options.json"))
        data = task.load(options, kept_assets(task, options, run if resumes else None))
        options, stop = data.options or options, StopSignal()
        training = task_training(task, options, data, run.checkpoints, stop)
        # The options and the data have been checked, so the run directory may be changed now.
        if resumes:
            run.require_data(data.facts["source"], data.facts["sha256"])
            log.print(f"resuming {run.path}")
        else:
            _begin(task, run, options, data)
        for note in data.facts["notes"]:
            log.print(f"note: {note}")
        log.print(data_line(data.facts))
        log.print(model_line(training))
        report = Report(training, log)
        for callback in (report, TensorBoard(run.logs), _history_writer(run, training)):
            training.callbacks.append(callback)
        try:
            with stop:
                training.run()
        finally:
            report.close()
        _finish(task, run, options, data, training)


def kept_assets(task: Task, options: TrainOptions, run: Run | None) -> Any:
    """Returns the stored assets that a training reuses, or None if there are no such assets.

    Assets are files that the model needs in addition to its weights, such as the vocabulary. A resumed
    training reuses its own assets. A new training with ``--from`` reuses the assets of the earlier run.

    Args:
        task: the app.
        options: options of the training.
        run: the interrupted run that is resumed, or None if the training is new.
    """
    if run is None and options.from_:
        run = Run(options.from_)
    return None if run is None else task.load_assets(run.assets)


def evaluate(task_name: str, options: EvaluateOptions) -> None:
    """Scores the model and its baselines on the test split or on other data, and prints the scores."""
    task, run = load_task(task_name), Run(options.run)
    scores: Any = task.evaluate(run, options)
    if options.json:
        print(json_line(scores))
    else:
        out.print(task.render_scores(scores))
        if "verdict" in scores:
            out.print(scores["verdict"]["sentence"], highlight=False, soft_wrap=True)
    _keep_scores(task, run, options, scores)


def evaluate_run(task: Task, run: Run, options: EvaluateOptions) -> dict[str, Any]:
    """Scores the model and its baselines, and returns the scores.

    If the options select the Keras model and the test split, the model's scores are also written to the run
    directory, with plots. All other scores are only returned.
    """
    scores = task.evaluate(run, options)
    _keep_scores(task, run, options, scores)
    return scores


def _keep_scores(task: Task, run: Run, options: EvaluateOptions, scores: dict[str, Any]) -> None:
    if options.data is None and options.model == "keras":
        try:
            kept = {"test": scores["model"]} | {key: scores[key] for key in ("verdict",) if key in scores}
            run.write_json("metrics.json", {**run.read_json("metrics.json"), **kept})
            paths = task.plot(run, scores["model"])
            run.own()
        except OSError as error:
            raise UserError(
                f"{run.path} cannot be written ({error.strerror}), so the scores are not stored; "
                "check the permissions of the folder and the free disk space"
            ) from error
        log.print(f"plots: {', '.join(str(path) for path in paths)}")


def predict(task_name: str, options: PredictOptions, inputs: tuple[str, ...]) -> None:
    """Applies the model to the arguments, to the file in ``--data``, or to each line of stdin as it arrives.

    The inputs come from stdin if the command has neither arguments nor ``--data``. The predictions are
    printed, or written to the file in ``--to``.
    """
    task, run = load_task(task_name), Run(options.run)
    given = bool(inputs) or not options.reads_stdin
    chunks: Iterable[list[str]] = [list(inputs)] if given else lines_as_they_come()
    if options.data is not None:
        chunks = inputs_of(task, run, options)
    records = task.predict(run, chunks, options)
    if options.to is None:
        for record in records:
            line = json_line(record) if options.json else task.render_prediction(record)
            # The output is flushed, because an interactive caller may read this line before it sends the next
            # input.
            print(line, flush=True)
        return
    count = write_records(Path(options.to), _printed(records) if options.json else records, task.rows)
    log.print(f"{options.to}: {count:,} predictions")


def _printed(records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yields the records. Each record is first printed as one line of JSON."""
    for record in records:
        print(json_line(record), flush=True)
        yield record


def perform(task_name: str, verb: str, options: RunOptions, inputs: tuple[str, ...]) -> None:
    """Runs a command that only one app has, such as ``generate`` of language modeling.

    Each argument of the command is an input. If there are no arguments, each line of stdin is an input. If
    there are no arguments and stdin is a terminal, the only input is an empty text.
    """
    task, run = load_task(task_name), Run(options.run)
    empty = not inputs and (sys.stdin is None or sys.stdin.isatty())
    chunks: Iterable[list[str]] = [list(inputs) or [""]] if inputs or empty else lines_as_they_come()
    for piece in task.verbs[verb](run, chunks, options):
        print(piece, end="", flush=True)


def info(task_name: str, options: InfoOptions, runs: tuple[str, ...]) -> None:
    """Prints a table with one column per run. The rows are data, scores, options and file sizes."""
    task = load_task(task_name)
    described = {path: _describe(task, Run(path)) for path in runs}
    if options.json:
        print(json_line(described))
        return
    columns = (Column(path, overflow="fold") for path in described)
    table = Table("", *columns, title=f"{task_name} runs")
    for key in {key: None for description in described.values() for key in description}:
        values = [description.get(key, "") for description in described.values()]
        table.add_row(key, *map(_readable, values))
    out.print(table)


def _resumes(run: Run, options: TrainOptions) -> bool:
    """Returns True if the run directory contains an interrupted training that must be resumed.

    With ``--overwrite``, nothing is resumed.

    Raises:
        UserError: without ``--overwrite``, the run is finished, or the interrupted training had different
            options. With ``--overwrite``, the folder contains files that do not belong to a run.
    """
    if options.overwrite:
        run.require_no_strangers()
        return False
    run.require_unfinished(options)
    if not run.has_data:
        return False
    different = changes(type(options), run.read_json("options.json"), options.stored())
    if different:
        raise UserError(
            f"{run.path} is an interrupted run that was started with different options ({different}); repeat "
            "the old options to resume it, or use --overwrite to train from scratch"
        )
    return True


def _begin(task: Task, run: Run, options: TrainOptions, data: Data) -> None:
    """Removes the files of an earlier run, and writes the first files of a new run.

    ``data.json`` is written last, because a run with this file can be resumed.
    """
    run.clear() if options.overwrite else run.forget_checkpoints()
    run.write_json("options.json", options.stored())
    data.assets.save(run.assets)
    run.write_json("data.json", {"task": task.name, **data.facts})


def _history_writer(run: Run, training: Training) -> keras.callbacks.Callback:
    """Returns a callback that rewrites history.csv after every epoch, with one row per finished epoch."""
    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: run.write_history(training.position.history)
    )


def _finish(task: Task, run: Run, options: TrainOptions, data: Data, training: Training) -> None:
    """Stores the trained model, its scores and the scores of the baselines, and prints a summary.

    ``metrics.json`` is written after the model, because a run with both files counts as finished.
    """
    position, start = training.position, task.start(options)
    if position.best_epoch and start and task.back_to_start(training.model, data):
        position.best_epoch = 0
    run.write_history(position.history)
    temporary = run.model.with_name("partial.keras")
    training.model.save(temporary)
    os.replace(temporary, run.model)
    kept, data = data.assets, task.calibrated(training.model, data)
    if data.assets is not kept:
        data.assets.save(run.assets)
    log.print("fitting the baselines")
    fitted: Any = task.baselines(data)
    compared: Any = task.validate(training.model, data, fitted["valid"]) if task.validate else None
    write_units(run, units_of(fitted["test"]))
    best = position.history[position.best_epoch - 1] if position.best_epoch else position.start or {}
    metrics = {
        "parameters": training.model.count_params(),
        "best_epoch": position.best_epoch,
        "epochs": position.epoch,
        "seconds": sum(row["seconds"] for row in position.history),
        "valid": {
            name.removeprefix("valid_"): value for name, value in best.items() if name.startswith("valid_")
        },
        "baselines": {split: without_units(rows) for split, rows in fitted.items()},
        **({} if compared is None else {"validation": compared}),
    }
    plots.learning_curve(position.history, run.plots / "learning_curve.png", position.best_epoch)
    run.write_json("metrics.json", metrics)
    run.own()
    valid = ", ".join(f"{name} {value:.4f}" for name, value in metrics["valid"].items())
    if not position.best_epoch:
        log.print(
            f"no epoch is clearly better than {start} on the validation split; the model equals {start}"
        )
    log.print(
        f"trained: {run.path}, best epoch {position.best_epoch} of {position.epoch}, validation {valid}"
        + (f"; {ending(training)}" if ending(training) else "")
    )
    if compared is not None:
        print_summary(compared, task.name, options, improving=position.best_epoch == position.epoch)
    for sentence in task.advice(run, metrics):
        log.print(sentence)


def _describe(task: Task, run: Run) -> dict[str, Any]:
    metrics = run.read_json("metrics.json", "valid", "baselines", "parameters", "best_epoch", "seconds")
    data = run.read_json("data.json", "source", "counts", "sha256")
    scores: dict[str, Any] = {f"valid {name}": value for name, value in metrics["valid"].items()}
    if "test" in metrics:
        scores |= {f"test {name}": value for name, value in task.headline(metrics["test"]).items()}
    for name, baseline in metrics["baselines"]["test"].items():
        scores |= {f"test {key}, {name}": value for key, value in task.headline(baseline).items()}
    facts = {"source": data["source"], "counts": data["counts"], "sha256": data["sha256"][:12]}
    sizes = {f"bytes of {name}": size for name, size in run.sizes().items()}
    training = {"parameters": metrics["parameters"], "best epoch": metrics["best_epoch"]}
    training |= {"seconds of training": round(metrics["seconds"], 1)}
    return {**facts, **training, **scores, **task.describe(run), **run.read_json("options.json"), **sizes}


def _readable(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)
