"""Records: one JSON file per experiment and seed, with the scores and the conditions of the training.

A record has the keys of :class:`Record`. ``code`` is the digest of the code that decides the scores. It is
null if the digest is unknown, for results that are older than this command.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from apps.run import write_text
from benchmarks.scores.digest import ROOT, digest
from benchmarks.scores.experiment import Experiment
from seqmodels.errors import DataError

RECORDS = ROOT / "benchmarks" / "records"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The result of one training.

    Attributes:
        experiment: name of the experiment.
        seed: seed of the training and of the cut.
        command: training command, as the tables show it.
        evaluate: arguments of ``evaluate``.
        commit: commit of the code; it ends in ``+`` if the code had changes that were not committed.
        code: digest of the code that decides the scores, or None.
        date: day of the evaluation.
        machine: processor, cores and memory.
        software: versions of Python and packages.
        minutes: wall time of the training with the start of the program and the baselines.
        cpu_minutes: processor time of the training.
        other_load: share of the processors that other programs used during the training, from 0 to 1.
        parameters: number of parameters of the model.
        epochs: number of epochs.
        best_epoch: epoch whose weights were stored.
        data: source, number of examples, checksum, and notes.
        valid: scores on the validation split.
        scores: scores of the model on the test split.
        intervals: 95 % confidence intervals of the scores, ``{score: [low, high]}``.
        baselines: scores of the baselines on the test split, ``{name: scores}``.
        verdict: result of the significance test of ``evaluate`` against the best baseline, or None.
        variants: scores of the model with additional methods of ``evaluate``, ``{name: scores}``.
        files: sizes, times and scores of the TFLite files, ``{format: values}``.
        note: remark that the tables show.
    """

    experiment: str
    seed: int
    command: str
    evaluate: list[str] = field(default_factory=list)
    commit: str | None = None
    code: str | None = None
    date: str
    machine: str | None = None
    software: dict[str, str] | None = None
    minutes: float | None = None
    cpu_minutes: float | None = None
    other_load: float | None = None
    parameters: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    valid: dict[str, float] = field(default_factory=dict)
    scores: dict[str, float]
    intervals: dict[str, list[float]] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None
    variants: dict[str, dict[str, float]] = field(default_factory=dict)
    files: dict[str, dict[str, float]] = field(default_factory=dict)
    note: str = ""

    def is_current(self, experiment: Experiment, root: Path = ROOT) -> bool:
        """Returns True if the record has the code and the arguments of today."""
        same = self.command == experiment.command(self.seed) and self.evaluate == list(experiment.evaluate)
        same = same and set(experiment.files) <= set(self.files)
        return same and self.code == digest(experiment.task, bool(experiment.files), root)


def path_of(folder: Path, experiment: str, seed: int) -> Path:
    return folder / experiment / f"seed_{seed}.json"


def write(folder: Path, record: Record) -> Path:
    """Writes the record completely or not at all. Returns its path."""
    path = path_of(folder, record.experiment, record.seed)
    write_text(path, json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n")
    return path


def read(path: Path) -> Record:
    """Reads a record.

    Raises:
        DataError: the file is not a record, or its name does not fit its content.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        unknown = sorted(content.keys() - {each.name for each in fields(Record)})
        if unknown:
            raise ValueError(f"it has the unknown key {unknown[0]!r}")
        record = Record(**content)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is not a record ({error}); measure it again with --again") from error
    if path_of(path.parents[1], record.experiment, record.seed) != path:
        raise DataError(
            f"{path} has the result of {record.experiment} with seed {record.seed}; rename the file"
        )
    return record


def read_all(folder: Path) -> dict[str, list[Record]]:
    """Reads all records: ``{experiment: records in the order of their seeds}``."""
    found: dict[str, list[Record]] = {}
    for path in sorted(folder.glob("*/*.json")):
        record = read(path)
        found.setdefault(record.experiment, []).append(record)
    return {name: sorted(records, key=lambda record: record.seed) for name, records in found.items()}
