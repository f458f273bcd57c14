"""The command ``python -m benchmarks.scores``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import click

from benchmarks.scores import documents, records
from benchmarks.scores.catalog import EXPERIMENTS
from benchmarks.scores.experiment import Experiment
from benchmarks.scores.running import Folders, measure
from benchmarks.scores.sources import VARIABLE, data_folder, described, missing
from benchmarks.scores.summaries import Summary, mean, shown
from seqmodels.errors import UsageError, UserError

RUNS = Path("saved_models/scores")
INTERRUPTED = 130


@click.command()
@click.option("--only", multiple=True, metavar="NAME", help="Name of an experiment. It may contain * and ?.")
@click.option("--seeds", type=click.IntRange(1), help="Maximum number of seeds per experiment.")
@click.option("--again", is_flag=True, help="Also repeat the trainings that have a current record.")
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=f"Folder of the data sets. Default: the environment variable {VARIABLE}.",
)
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=RUNS, help="Folder of runs and logs."
)
@click.option("--keep-runs", is_flag=True, help="Keep each trained model after its record is written.")
@click.option("--list", "listed", is_flag=True, help="List the experiments and their records, and stop.")
@click.option("--tables", is_flag=True, help="Only write the tables of the pages from the records.")
def main(
    only: tuple[str, ...],
    seeds: int | None,
    again: bool,
    data_dir: Path | None,
    runs: Path,
    keep_runs: bool,
    listed: bool,
    tables: bool,
) -> None:
    """Train and evaluate the models of all published scores, and write the tables of the pages.

    Each result is a record in benchmarks/records. Experiments with a current record are skipped. If the
    command is interrupted, repeat the command to continue.
    """
    chosen = _chosen(only)
    folders = Folders(data_folder(data_dir), runs, records.RECORDS)
    if listed:
        _list(chosen, folders)
        return
    failures: list[str] = []
    if not tables:
        available = _available(chosen, folders, required=bool(only))
        try:
            failures = _measure_all(available, folders, seeds, again, keep_runs)
        except KeyboardInterrupt:
            _note("interrupted; repeat the command to continue")
            sys.exit(INTERRUPTED)
    for page in documents.write(records.read_all(folders.records)):
        _note(f"{page.relative_to(documents.ROOT)}: tables written")
    if failures:
        raise UserError(f"{len(failures)} of the trainings failed: {', '.join(failures)}")


def _chosen(patterns: Sequence[str]) -> list[Experiment]:
    """Returns the experiments whose names match a pattern. Without patterns, returns all experiments."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in EXPERIMENTS):
            raise UsageError(f"--only {pattern} is not an experiment; --list shows all experiments")
    wanted = patterns or ["*"]
    return [each for name, each in EXPERIMENTS.items() if any(fnmatchcase(name, one) for one in wanted)]


def _available(chosen: Sequence[Experiment], folders: Folders, required: bool) -> list[Experiment]:
    """Returns the experiments whose data exists. Notes list the experiments that are skipped.

    Raises:
        UsageError: ``required`` is True, and the data of an experiment is missing.
    """
    available = []
    for experiment in chosen:
        absent = missing(experiment.source, folders.data)
        if not absent:
            available.append(experiment)
        elif required:
            raise UsageError(
                f"{experiment.name} needs {described(absent, folders.data)}; {experiment.source.title}: "
                f"{experiment.source.obtain}"
            )
        else:
            _note(f"{experiment.name} is skipped, because its data is missing ({absent[0]})")
    return available


def _measure_all(
    chosen: Sequence[Experiment], folders: Folders, seeds: int | None, again: bool, keep: bool
) -> list[str]:
    """Measures the experiments, one after the other. Returns the names of the failed trainings."""
    failures = []
    waiting = [
        (experiment, seed)
        for experiment in chosen
        for seed in range(min(experiment.seeds, seeds or experiment.seeds))
        if again or not _has_current(experiment, seed, folders)
    ]
    minutes = sum(experiment.minutes for experiment, _ in waiting)
    _note(f"{len(waiting)} trainings, about {minutes:,.0f} minutes")
    for place, (experiment, seed) in enumerate(waiting, 1):
        name = f"{experiment.name}, seed {seed}"
        _note(f"{place} of {len(waiting)}: {name}, about {experiment.minutes:g} minutes")
        start = time.perf_counter()
        try:
            record = measure(experiment, seed, folders, keep)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            failures.append(name)
            continue
        summary = Summary(experiment, (record,), True)
        score = f"{summary.key} {shown(summary.key, summary.values(summary.key))}"
        best = summary.best_baseline()
        against = "" if best is None else f", {best[0]} {shown(summary.key, best[1])}"
        spent = (time.perf_counter() - start) / 60
        click.echo(f"{name}: {score}{against}, {summary.conclusion()} ({spent:.1f} minutes)")
    return failures


def _has_current(experiment: Experiment, seed: int, folders: Folders) -> bool:
    path = records.path_of(folders.records, experiment.name, seed)
    return path.exists() and records.read(path).is_current(experiment)


def _list(chosen: Sequence[Experiment], folders: Folders) -> None:
    """Prints one line per experiment: its trainings, its records, and its score."""
    found = records.read_all(folders.records)
    for experiment in chosen:
        own = found.get(experiment.name, [])
        current = sum(record.is_current(experiment) for record in own)
        parts = [f"{experiment.seeds} x {experiment.minutes:g} minutes"]
        parts.append(f"{current} of {len(own)} records current" if own else "no record")
        values = [record.scores[experiment.scores[0]] for record in own]
        if values:
            parts.append(f"{experiment.scores[0]} {shown(experiment.scores[0], [mean(values)])}")
        if absent := missing(experiment.source, folders.data):
            parts.append(f"data missing: {absent[0]} ({experiment.source.obtain})")
        click.echo(f"{experiment.name}: {'; '.join(parts)}")


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def command(arguments: list[str] | None = None) -> None:
    """Runs the command line. Every error is one line."""
    try:
        main.main(arguments, prog_name="python -m benchmarks.scores", standalone_mode=False)
    except UserError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_status)
    except click.ClickException as error:
        click.echo(f"error: {' '.join(error.format_message().split())}", err=True)
        sys.exit(UsageError.exit_status)


if __name__ == "__main__":
    command()
