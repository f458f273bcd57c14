"""The study of ``tune``: an Optuna study in the file ``study.db`` of a run directory.

Several processes may work on one study. A lock protects the short steps that plan a trial. Each trial has its
own folder with checkpoints, and its process keeps this folder locked. If the lock of a running trial is free,
the process of the trial has died. The next process then repeats the trial from its last checkpoint.

This module does not import TensorFlow.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from apps.options import TrainOptions, changes, flag, resolve
from apps.run import DATABASE, TUNING, Run, write_text
from apps.search import Candidates, Dimension, described, sample
from apps.tune_options import KEEP, TuneOptions, choose, search_space, usual_parameters
from seqmodels import __version__
from seqmodels.errors import DataError, UserError

NAME = "tune"  # name of the study in its database
STARTUP = 5  # number of finished trials before a trial can be pruned
WAIT = 60.0  # seconds to wait for a lock, and for a write of another process


class Failed(Exception):
    """Raised by an objective if a trial failed. The message is the reason."""


class Stopped(Exception):
    """Raised by an objective if the stop function ended the trial before its end."""


@dataclass
class Work:
    """A trial that this process runs.

    Attributes:
        trial: the Optuna trial. The objective reports the validation score of each epoch to it.
        options: options of the training.
        folder: folder for the files of the training. If it contains a checkpoint, the training resumes.
        stop: function that returns True if the trial must stop.
    """

    trial: Trial
    options: TrainOptions
    folder: Path
    stop: Callable[[], bool]


Objective = Callable[[Work], float]
"""A function that trains a model and returns its best validation score.

It raises ``optuna.TrialPruned``, :class:`Failed` or :class:`Stopped` if the trial has no final score.
"""


@dataclass
class TuningStudy:
    """A study in a run directory.

    Args:
        run: the run directory.
        task: name of the app.
        train: option class of ``train``.
        options: options of ``tune``.
        fixed: options of ``train`` with the same value in all trials.
        monitor: pair ``(column, maximize)``, see :class:`apps.task.Task`.
    """

    run: Run
    task: str
    train: type[TrainOptions]
    options: TuneOptions
    fixed: Mapping[str, Any]
    monitor: tuple[str, bool]
    study: optuna.Study = field(init=False)

    @property
    def folder(self) -> Path:
        """Folder of the reports and of the running trials."""
        return self.run.path / TUNING

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the study for this process, and waits if another process has locked it.

        Raises:
            UserError: the lock is not free after a minute, or the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            lock.acquire(timeout=WAIT)
        except Timeout as error:
            raise UserError(
                f"{self.run.path} contains a study that another process has locked for {WAIT:g} seconds; "
                "try again later"
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.run.path} cannot be written ({error.strerror}); choose another folder with --run"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def open(self, sha256: str) -> bool:
        """Opens the study. The function creates it if the run directory has none.

        Args:
            sha256: digest of the data. All trials of a study must use the same data.

        Returns:
            True if the study continues, False if it is new.

        Raises:
            UserError: the run directory belongs to another app; the study has other options or another search
                space; or, with ``--overwrite``, another process is working on the study.
            DataError: the data has changed since the study began, or the file of the study is damaged.
        """
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        path = self.run.path / DATABASE
        if self.run.has_data and self.run.task != self.task:
            raise UserError(
                f"{self.run.path} is a run of {self.run.task}; choose another folder for the study with --run"
            )
        with self.locked(), readable(path):
            if self.options.overwrite or not path.exists():
                self._remove(path)  # a new study must not find checkpoints of old trials
            self.study = self._loaded(path)
            facts, stored = self._facts(sha256), self.study.user_attrs.get("facts")
            if stored is not None:
                self._require_same(stored, facts)
                return True
            # The first trial has the options of the preset. Therefore the best trial is at least as good.
            usual = usual_parameters(self.train, self.fixed)
            self.study.enqueue_trial(usual, {"preset": True}, skip_if_exists=True)
            self.study.set_user_attr("facts", facts)
            return False

    def _loaded(self, path: Path) -> optuna.Study:
        # SQLite opens the path itself, because a path with special characters is not a valid URL.
        connect = partial(sqlite3.connect, path, timeout=WAIT, check_same_thread=False)
        storage = optuna.storages.RDBStorage("sqlite:///study.db", engine_kwargs={"creator": connect})
        pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
        if self.options.prune:
            # A trial cannot be pruned in its first epoch, because the first scores are noisy.
            pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=2)
        directions = optuna.study.StudyDirection
        direction = directions.MAXIMIZE if self.monitor[1] else directions.MINIMIZE
        arguments: dict[str, Any] = {"study_name": NAME, "storage": storage, "pruner": pruner}
        return optuna.create_study(direction=direction, load_if_exists=True, **arguments)

    def _facts(self, sha256: str) -> dict[str, Any]:
        return {
            "task": self.task,
            "version": __version__,
            "sha256": sha256,
            "monitor": list(self.monitor),
            "options": resolve(self.train, self.fixed).stored(),
            "space": {each.name: described(each.search) for each in self.space()},
        }

    def _require_same(self, stored: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        where, again = self.run.path, "or use --overwrite to start a new study"
        if stored["task"] != self.task:
            raise UserError(
                f"{where} contains a study of {stored['task']}; choose another folder with --run, {again}"
            )
        different = changes(self.train, stored["options"], facts["options"])
        different = different.replace("--minutes", "--trial-minutes")
        if different:
            raise UserError(
                f"{where} contains a study with different options ({different}); repeat the old options to "
                f"continue it, {again}"
            )
        names = sorted(stored["space"].items() ^ facts["space"].items())
        if names:
            raise UserError(
                f"{where} contains a study with another search range of {flag(names[0][0])}; repeat the old "
                f"options to continue it, {again}"
            )
        if stored["sha256"] != facts["sha256"]:
            raise DataError(
                f"{facts['options']['data']} has changed since the study in {where} began; restore it, "
                f"{again}"
            )

    def _remove(self, path: Path) -> None:
        """Deletes the study, its reports, and the checkpoints of its trials."""
        trials = self.folder / "trials"
        for folder in trials.iterdir() if trials.exists() else ():
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout as error:
                raise UserError(
                    f"{self.run.path} contains a study of another process that is running; stop it first"
                ) from error
            lock.release()
        for each in (path, path.with_name(path.name + "-journal")):
            each.unlink(missing_ok=True)
        for entry in self.folder.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != ".lock":
                entry.unlink()

    def work(
        self, objective: Objective, stop: Callable[[], bool], done: Callable[[FrozenTrial], None]
    ) -> None:
        """Runs trials until the study has enough trials, the time is over, or ``stop`` returns True.

        Args:
            objective: function that runs one trial.
            stop: function without arguments.
            done: function that receives each trial of this process when the trial has ended.
        """
        while not stop():
            with self.locked(), readable(self.run.path / DATABASE):
                self._repeat_dead()
                left = self.seconds_left()
                if self.count() >= self.options.trials or left <= 0:
                    return
                end = time.monotonic() + left
                work, lock = self._begin(lambda: stop() or time.monotonic() >= end)  # noqa: B023
            try:
                with readable(self.run.path / DATABASE):
                    self._perform(work, objective)
            finally:
                lock.release()
            done(self.study.get_trials(deepcopy=False)[work.trial.number])

    def _begin(self, stop: Callable[[], bool]) -> tuple[Work, FileLock]:
        """Chooses the options of the next trial, and locks the folder of the trial."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            # The seed depends on the number of trials. Therefore each process samples different options.
            number = len(self.study.get_trials(deepcopy=False))
            seed = (resolve(self.train, self.fixed).seed + 1_000_003 * number) % 2**32
            startup = min(10, max(3, self.options.trials // 3))
            self.study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=startup, constant_liar=True, seed=seed
            )
        trial = self.study.ask()
        folder = self._folder(trial.number, trial.user_attrs)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
        usual = usual_parameters(self.train, self.fixed)

        def ask(label: str, dimension: Dimension, candidates: Candidates) -> Any:
            if trial.user_attrs.get("preset") and label not in usual:
                return KEEP
            return sample(trial, label, dimension, candidates)

        chosen = choose(self.train, self.fixed, ask)
        trial.set_user_attr("chosen", chosen)
        return Work(trial, resolve(self.train, {**self.fixed, **chosen}), folder, stop), lock

    def _folder(self, number: int, attributes: Mapping[str, Any]) -> Path:
        return self.folder / "trials" / str(attributes.get("folder", number))

    def _perform(self, work: Work, objective: Objective) -> None:
        """Runs a trial, and stores its result in the study."""
        trial, start = work.trial, time.monotonic()
        value, state, kept = None, TrialState.FAIL, False
        try:
            try:
                work.options.check()
                value = objective(work)
                state = TrialState.COMPLETE
            except optuna.TrialPruned:
                state = TrialState.PRUNED
            except (Failed, UserError) as error:
                trial.set_user_attr("reason", str(error))
            except (Stopped, KeyboardInterrupt) as error:
                kept = True
                trial.set_user_attr("stopped", True)
                self._repeat(trial.number, trial.params, trial.user_attrs)
                if isinstance(error, KeyboardInterrupt):
                    raise
            except BaseException as error:
                trial.set_user_attr("reason", f"{type(error).__name__}: {error}")
                raise
        finally:
            trial.set_user_attr("seconds", time.monotonic() - start)
            self.study.tell(trial, value, state)
            if not kept:
                shutil.rmtree(work.folder, ignore_errors=True)

    def _repeat(self, number: int, parameters: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
        """Plans a trial that continues the training of an earlier trial in the folder of that trial."""
        again = {"repeats": number, "folder": attributes.get("folder", number)}
        again["preset"] = attributes.get("preset", False)
        self.study.enqueue_trial(dict(parameters), again)

    def _repeat_dead(self) -> None:
        """Plans a repetition of each trial whose process has died."""
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
            folder = self._folder(trial.number, trial.user_attrs)
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                continue
            self._repeat(trial.number, trial.params, trial.user_attrs)
            self.study.tell(trial.number, state=TrialState.FAIL)
            lock.release()

    def trials(self) -> list[FrozenTrial]:
        """Returns the trials that count: no planned trials, and no trials that are repeated."""
        known = self.study.get_trials(deepcopy=False)
        repeated = {each.user_attrs.get("repeats") for each in known}
        return [each for each in known if each.state != TrialState.WAITING and each.number not in repeated]

    def space(self) -> list[Dimension]:
        """Returns the options that the study searches."""
        return search_space(self.train, self.fixed)

    def count(self) -> int:
        return len(self.trials())

    def seconds_left(self) -> float:
        """Returns the rest of ``--minutes`` in seconds.

        The limit counts the time in which at least one trial was running.
        """
        if self.options.minutes is None:
            return float("inf")
        now, spans = datetime.now().timestamp(), []
        for trial in self.study.get_trials(deepcopy=False):
            if trial.datetime_start is not None:
                start, running = trial.datetime_start.timestamp(), trial.state == TrialState.RUNNING
                spans.append((start, now if running else start + trial.user_attrs.get("seconds", 0.0)))
        spent, until = 0.0, float("-inf")
        for start, end in sorted(spans):
            spent += max(0.0, end - max(start, until))
            until = max(until, end)
        return 60 * self.options.minutes - spent

    def best(self) -> FrozenTrial | None:
        """Returns the finished trial with the best score, or None if no trial has finished."""
        finished = [each for each in self.trials() if each.state == TrialState.COMPLETE]
        sign = -1 if self.monitor[1] else 1
        return min(finished, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def write_best(self) -> Path | None:
        """Writes the options of the best trial to ``best.json``. ``train --options`` reads this file."""
        with self.locked():
            best = self.best()
            if best is None:
                return None
            path = self.folder / "best.json"
            write_text(path, json.dumps(self.explicit(best), indent=2, ensure_ascii=False) + "\n")
            return path

    def explicit(self, trial: FrozenTrial) -> dict[str, Any]:
        """Returns the options of ``train`` that give the training of a trial, by name."""
        stored = {each.name for each in fields(self.train) if each.metadata["stored"]}
        values = {**self.fixed, **trial.user_attrs.get("chosen", {})}
        return {name: value for name, value in values.items() if name in stored}


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Converts errors of the database to errors with a message for the user.

    Raises:
        DataError: the database is damaged, or another program has locked it.
    """
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, sqlite3.Error, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "storage" not in str(error):
            raise
        cause = error.__cause__ or error
        first = str(getattr(cause, "orig", None) or cause).strip().splitlines()[0]
        raise DataError(
            f"{path} cannot be used ({first}); restore the file, or use --overwrite to start a new study"
        ) from error
