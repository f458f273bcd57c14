"""Runs the verb ``tune`` of every app: searches the options of ``train`` with Optuna.

Each trial trains a model on the training split, and its score is the best validation score. No score of the
test split is computed.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import keras
import optuna
import tensorflow as tf

from apps.console import log, out
from apps.interruption import StopSignal
from apps.options import resolve
from apps.outputs import json_line
from apps.run import Run
from apps.runner import kept_assets
from apps.study import Failed, Stopped, TuningStudy, Work
from apps.task import Task, load_task
from apps.training import task_training
from apps.tune_options import TuneOptions, fixed_options
from apps.tuning_report import line, summary, table, write_report
from seqmodels.errors import UserError
from seqmodels.training import Training
from seqmodels.training.settings import Interrupted


def tune(task_name: str, options: TuneOptions, given: Mapping[str, Any]) -> None:
    """Runs the trials of a study, and prints the table of the trials or a JSON document.

    Args:
        task_name: name of the app.
        options: options of ``tune``.
        given: options of ``train`` that the user has set. They have the same value in all trials.

    Raises:
        UserError: the study was interrupted, or no trial has finished.
    """
    study, stopped = run_study(load_task(task_name), options, given)
    result = summary(study)
    if options.json:
        print(json_line(result))
    else:
        out.print(table(result))
    require_success(result, stopped)


def summary_of(study: TuningStudy, stopped: bool) -> dict[str, Any]:
    """Returns the result of a study. See :func:`tune` for the errors."""
    result = summary(study)
    require_success(result, stopped)
    return result


def require_success(result: Mapping[str, Any], stopped: bool) -> None:
    """Raises UserError if a study was interrupted, or has no finished trial."""
    if stopped:
        raise UserError("tuning was interrupted; run the same command again to continue the study")
    if result["best"] is None:
        reasons = [one["reason"] for one in result["trials"] if one["reason"]]
        last = f"; the last trial failed: {reasons[-1]}" if reasons else ""
        raise UserError(
            f"no trial of the study in {result['run']} has finished{last}; raise --minutes or --trials, or "
            "lower --epochs"
        )


def run_study(task: Task, options: TuneOptions, given: Mapping[str, Any]) -> tuple[TuningStudy, bool]:
    """Runs the trials of a study, and writes its report and the best options.

    Returns:
        The study, and True if the user interrupted it.
    """
    run, fixed = Run(options.run), fixed_options(options, given)
    usual = resolve(task.Train, {**fixed, "run": options.run})
    study = TuningStudy(run, task.name, task.Train, options, fixed, task.monitor)
    stop = StopSignal()
    with stop:
        facts = task.load(usual, kept_assets(task, usual, None)).facts
        for note in facts["notes"]:
            log.print(f"note: {note}")
        if study.open(facts["sha256"]):
            log.print(f"continuing the study in {run.path} with {study.count()} trials")
        if study.count() >= options.trials:
            log.print(f"note: the study has {study.count()} trials already; raise --trials to continue it")

        def done(trial: optuna.trial.FrozenTrial) -> None:
            log.print(line(trial, study))
            study.write_best()

        try:
            study.work(lambda work: train_trial(task, work), stop, done)
        finally:
            finish(study)
    return study, stop.requested


def finish(study: TuningStudy) -> None:
    """Writes the report, the best options and the manifest of the run, and prints notes about the study."""
    result = summary(study)
    running = sum(one["state"] == "running" for one in result["trials"])
    if running:
        log.print(f"note: other processes run {running} trials; repeat the command to see their results")
    tried = {name for one in result["trials"] for name in one["options"]}
    for dimension in study.space():
        if dimension.name not in tried and result["trials"]:
            log.print(f"note: {dimension.name} does not apply to the other options, so it was not searched")
    if study.seconds_left() <= 0:
        log.print(f"note: --minutes {study.options.minutes:g} ended the study")
    best = study.write_best()
    if best is not None:
        with study.locked():
            report = write_report(study, result)
            study.run.own(study.task)
        log.print(f"best options: {best}, report: {report}")


def train_trial(task: Task, work: Work) -> float:
    """Trains the model of a trial, and returns its best validation score.

    The score of each epoch is reported to the study, which may prune the trial.
    """
    keras.backend.clear_session()
    gc.collect()  # a trial must not keep the model of the trial before it in memory
    if work.stop():
        raise Stopped
    try:
        data = task.load(work.options, kept_assets(task, work.options, None))
        training = task_training(task, work.options, data, work.folder, work.stop)
        watcher = Watcher(work.trial, training, task.monitor[0])
        training.callbacks.append(watcher)
        training.run()
    except Interrupted as error:
        raise Stopped from error
    except tf.errors.ResourceExhaustedError as error:
        raise Failed("the model does not fit into the memory") from error
    if watcher.pruned:
        raise optuna.TrialPruned
    best = training.position.best
    assert best is not None  # a training without an error has at least one epoch
    return best


class Watcher(keras.callbacks.Callback):
    """Reports the validation score of each epoch to a trial, and stops the training of a pruned trial."""

    def __init__(self, trial: optuna.Trial, training: Training, column: str):
        super().__init__()
        self.trial, self.training, self.column, self.pruned = trial, training, column, False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        # A repeated trial has epochs from before its interruption, which the study does not have.
        known = self.trial.study.get_trials(deepcopy=False)[self.trial.number].intermediate_values
        for row in self.training.position.history:
            if row["epoch"] not in known:
                self.trial.report(row[self.column], int(row["epoch"]))
        if self.trial.should_prune():
            self.pruned = True
            self.training.model.stop_training = True
