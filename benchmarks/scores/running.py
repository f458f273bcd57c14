"""Trains and evaluates one experiment with one seed through the command line of its app."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from apps.run import write_text
from benchmarks.scores import digest, machine, records
from benchmarks.scores.cutting import cut
from benchmarks.scores.experiment import SCORES, Experiment
from benchmarks.scores.records import Record
from seqmodels.errors import UserError

SIGNIFICANT = 0.05
SAME = "not significantly different"


@dataclass(frozen=True)
class Folders:
    """The folders of the command.

    Attributes:
        data: data folder, or None if no experiment needs it.
        runs: folder of the runs, the logs and the cut data sets.
        records: folder of the records.
    """

    data: Path | None
    runs: Path
    records: Path


def measure(experiment: Experiment, seed: int, folders: Folders, keep: bool = False) -> Record:
    """Trains and evaluates a model, and writes its record. An interrupted training continues.

    Args:
        experiment: experiment to measure.
        seed: seed of the training.
        folders: folders of the command.
        keep: if True, the run and the cut data are kept. By default, they are removed after the record is
            written.

    Raises:
        UserError: a command failed, or the code changed during the training.
    """
    digest.read_again()
    code = digest.digest(experiment.task, bool(experiment.files))
    place = (folders.runs / experiment.name / f"seed_{seed}").resolve()
    log = place.with_suffix(".log")
    place.parent.mkdir(parents=True, exist_ok=True)
    notes, work = _data(experiment, seed, folders)
    state = _State(place.with_suffix(".state.json"), {"code": code, "command": experiment.command(seed)})
    fresh = not state.load()
    call = _Caller(experiment, work, log, fresh)
    if fresh or not _finished(place):
        overwrite = ["--overwrite"] if fresh else []
        state.save()
        with state.timed():
            call("train", [*experiment.arguments(seed), "--run", str(place), *overwrite])
    evaluation = call.json("evaluate", ["--run", str(place), *experiment.evaluate])
    if absent := sorted(set(experiment.scores) - set(_numbers(evaluation["model"]))):
        raise UserError(
            f"evaluate of {experiment.name} returned no finite number for {absent[0]}; {log} has the output"
        )
    files = {name: _measured_file(call, place, experiment, name) for name in experiment.files}
    digest.read_again()
    if digest.digest(experiment.task, bool(experiment.files)) != code:
        raise UserError(
            f"the code of {experiment.task} changed during the training of {experiment.name}, so the result "
            "is not stored; repeat the command"
        )
    record = _record(experiment, seed, code, state, place, evaluation, files, notes)
    records.write(folders.records, record)
    if not keep:
        shutil.rmtree(place)
        state.path.unlink()
        if experiment.cut is not None:
            shutil.rmtree(work / experiment.data(seed))
    return record


def _finished(run: Path) -> bool:
    return (run / "model.keras").exists() and (run / "metrics.json").exists()


def _data(experiment: Experiment, seed: int, folders: Folders) -> tuple[list[str], Path]:
    """Creates the cut data set. Returns notes, and the working directory of the app."""
    if experiment.cut is None:
        return [], folders.data or folders.runs.resolve()
    assert folders.data is not None
    work = (folders.runs / "data").resolve()
    target = work / experiment.data(seed)
    return cut(experiment.source, folders.data, experiment.cut, seed, target), work


class _State:
    """The code, the command and the training time of a run. They decide whether the run can be continued."""

    def __init__(self, path: Path, wanted: Mapping[str, str]):
        self.path, self.wanted = path, wanted
        self.times = {"seconds": 0.0, "cpu_seconds": 0.0, "other_seconds": 0.0, "capacity": 0.0}

    def load(self) -> bool:
        """Returns True if the run was started with the wanted code and command."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if any(content.get(name) != value for name, value in self.wanted.items()):
            return False
        self.times = {name: content[name] for name in self.times}
        return True

    def save(self) -> None:
        write_text(self.path, json.dumps({**self.wanted, **self.times}, indent=2) + "\n")

    @property
    def other_load(self) -> float | None:
        """Share of the processors that other programs used during the training, or None if it is unknown."""
        capacity = self.times["capacity"]
        # The clock of the machine is coarse, so that the share of a short time can be below 0 or above 1.
        share = self.times["other_seconds"] / capacity if capacity else None
        return None if share is None else round(min(max(share, 0.0), 1.0), 3)

    def timed(self) -> _Timed:
        return _Timed(self)


class _Timed:
    """Context manager that adds its time to a state, also after an interruption."""

    def __init__(self, state: _State):
        self.state = state

    def __enter__(self) -> None:
        self.start = time.perf_counter(), _cpu_of_children(), machine.busy_seconds()

    def __exit__(self, *_: Any) -> None:
        times, (start, before, busy) = self.state.times, self.start
        seconds, own, now = time.perf_counter() - start, _cpu_of_children() - before, machine.busy_seconds()
        times["seconds"] += seconds
        times["cpu_seconds"] += own
        if busy is not None and now is not None:
            times["other_seconds"] += now - busy - own
            times["capacity"] += seconds * (os.cpu_count() or 1)
        self.state.save()


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


class _Caller:
    """Runs the verbs of an app in a process of its own. The output goes to a log file."""

    def __init__(self, experiment: Experiment, work: Path, log: Path, fresh: bool):
        self.experiment, self.work, self.log = experiment, work, log
        if fresh:
            log.write_text("", encoding="utf-8")

    def json(self, verb: str, arguments: list[str]) -> dict[str, Any]:
        """Runs a verb with ``--json`` and returns its result."""
        return json.loads(self(verb, [*arguments, "--json"], subprocess.PIPE))

    def __call__(self, verb: str, arguments: list[str], stdout: int | None = None) -> str:
        command = [sys.executable, "-m", f"apps.{self.experiment.task}", verb, *arguments]
        environment = {**os.environ, "PYTHONPATH": str(digest.ROOT)}
        with open(self.log, "a", encoding="utf-8") as log:
            print(f"$ {shlex.join(command[1:])}", file=log, flush=True)
            process = subprocess.Popen(
                command, cwd=self.work, stdout=stdout or log, stderr=log, env=environment, text=True
            )
            output = _wait(process)
        if process.returncode:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise UserError(
                f"{verb} of {self.experiment.name} failed with exit status {process.returncode} "
                f"({lines[-1].removeprefix('error: ')}); {self.log} has the output"
            )
        return output


def _wait(process: subprocess.Popen[str]) -> str:
    """Waits for a process. Ctrl-C and SIGTERM stop the process, which first saves a checkpoint."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        output, _ = process.communicate()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)
    return output or ""


def _measured_file(call: _Caller, run: Path, experiment: Experiment, quantize: str) -> dict[str, float]:
    """Writes a TFLite file. Returns its size in bytes, its time in milliseconds, and its scores."""
    arguments = ["--run", str(run), "--quantize", quantize, *experiment.convert]
    ending = "" if quantize == "none" else f"_{quantize}"
    file = call.json("convert", arguments)["files"][f"model{ending}.tflite"]
    scores = call.json("evaluate", ["--run", str(run), "--model", f"tflite{ending}"])["model"]
    # The file of some tasks has several functions, such as encode and step.
    times = {f"milliseconds_{name}": value for name, value in file["milliseconds"].items()}
    return {"bytes": file["bytes"], **times, **_numbers(scores)}


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """Returns the entries of a row that the tables can show."""
    return {name: row[name] for name in SCORES if isinstance(row.get(name), int | float)}


def _record(
    experiment: Experiment,
    seed: int,
    code: str,
    state: _State,
    run: Path,
    evaluation: Mapping[str, Any],
    files: dict[str, dict[str, float]],
    notes: list[str],
) -> Record:
    read: Callable[[str], Any] = lambda name: json.loads((run / name).read_text(encoding="utf-8"))  # noqa: E731
    metrics, data, model = read("metrics.json"), read("data.json"), evaluation["model"]
    intervals = {name: model.get(f"{name}_interval") for name in SCORES}
    # A training that was killed has lost the time before its last checkpoint.
    minutes = max(state.times["seconds"], metrics["seconds"]) / 60
    return Record(
        experiment=experiment.name,
        seed=seed,
        command=experiment.command(seed),
        evaluate=list(experiment.evaluate),
        commit=machine.commit(),
        code=code,
        date=datetime.now(UTC).date().isoformat(),
        machine=machine.machine(),
        software=machine.software(),
        minutes=round(minutes, 2),
        cpu_minutes=round(state.times["cpu_seconds"] / 60, 2),
        other_load=state.other_load,
        parameters=metrics["parameters"],
        epochs=metrics["epochs"],
        best_epoch=metrics["best_epoch"],
        data={**{name: data[name] for name in ("source", "sha256", "counts")}, "notes": notes},
        valid=metrics["valid"],
        scores=_numbers(model),
        intervals={name: interval for name, interval in intervals.items() if interval is not None},
        baselines={name: _numbers(row) for name, row in evaluation["baselines"].items()},
        verdict=verdict_of(evaluation),
        variants={name: _numbers(row) for name, row in evaluation.get("variants", {}).items()},
        files=files,
    )


def verdict_of(evaluation: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the result of the significance test against the best baseline, or None without a test.

    The result has the keys ``conclusion``, ``baseline`` and ``p``.

    Args:
        evaluation: result of ``evaluate --json``.
    """
    model = evaluation["model"]
    verdict = evaluation.get("verdict", model.get("verdict"))
    if isinstance(verdict, Mapping):
        return {name: verdict[name] for name in ("conclusion", "baseline", "p")}
    tests = model.get("comparison")
    if tests is None:
        return None
    best = tests["best_baseline"]
    difference, p = (tests["tests"][best][name] for name in ("difference", "p"))
    conclusion = SAME if p >= SIGNIFICANT else "better" if difference < 0 else "worse"
    return {"conclusion": conclusion, "baseline": best, "p": p}
