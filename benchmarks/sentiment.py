"""Measures the speed and the memory of the sentiment app, and prints one Markdown table.

- ``python -m benchmarks.sentiment`` uses the simulated reviews that are included in the project.
- ``python -m benchmarks.sentiment --data FOLDER`` uses other data, for example a folder that contains
  train.csv and valid.csv of SST-2.

``python -m benchmarks.scores`` measures the scores.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

APP = [sys.executable, "-m", "apps.sentiment"]


def seconds_of(command: list[str]) -> float:
    """Returns the wall time of a command; raises an exception if the command fails."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def stream(run: Path, lines: Path) -> tuple[float, float]:
    """Runs ``predict``. Returns its time in seconds and its peak memory in MB.

    ``lines`` is a file with one text per line.
    """
    start = time.perf_counter()
    with open(lines, "rb") as texts:
        process = subprocess.Popen(
            [*APP, "predict", "--run", str(run)],
            stdin=texts,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"predict failed with exit status {status}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def write_lines(path: Path, count: int) -> None:
    """Writes ``count`` texts of different lengths to a file, one text per line."""
    texts = [
        f"the {'very ' * (n % 8)}long plot was not bad , but number {n % 97} was dull ." for n in range(776)
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{texts[n % len(texts)]}\n" for n in range(count))


def measure(data: str, preset: str, seed: int, lines: int, folder: Path) -> list[tuple[str, str]]:
    """Trains a model and measures the app. Returns the rows of the table as pairs (quantity, value).

    Args:
        data: data set, a value of the option ``--data`` of the app.
        preset: name of the preset to train.
        seed: seed of the training.
        lines: number of lines that ``predict`` reads.
        folder: folder for the run and for the input files of ``predict``.
    """
    help_time = statistics.median(seconds_of([*APP, "train", "--help"]) for _ in range(5))
    import_time = statistics.median(
        seconds_of([sys.executable, "-c", "import seqmodels.layers"]) for _ in range(3)
    )
    run = folder / "run"
    wall = seconds_of(
        [*APP, "train", "--data", data, "--preset", preset, "--seed", str(seed), "--run", str(run)]
    )
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    with open(run / "history.csv", encoding="utf-8") as file:
        speeds = [float(row["examples_per_second"]) for row in csv.DictReader(file)]
    few, many = folder / "few.txt", folder / "many.txt"
    write_lines(few, lines // 10)
    write_lines(many, lines)
    (few_seconds, few_memory), (many_seconds, many_memory) = stream(run, few), stream(run, many)
    rate = (lines - lines // 10) / (many_seconds - few_seconds)
    return [
        ("`train --help`", f"{help_time:.2f} s (median of 5)"),
        ("`import seqmodels.layers`, TensorFlow included", f"{import_time:.1f} s (median of 3)"),
        ("parameters", f"{metrics['parameters']:,}"),
        (
            "training, wall time",
            f"{wall / 60:.1f} min ({metrics['epochs']} epochs, including the start and the baselines)",
        ),
        ("training, fastest epoch", f"{max(speeds):,.0f} examples/s"),
        (f"`predict`, {lines:,} lines on stdin", f"{rate:,.0f} lines/s, without the time of the start"),
        (
            f"`predict`, peak memory at {lines // 10:,} / {lines:,} lines",
            f"{few_memory:.0f} / {many_memory:.0f} MB",
        ),
    ]


@click.command(context_settings={"show_default": True})
@click.option(
    "--data", default="embedded", help="Data set: a value of the option --data of apps.sentiment train."
)
@click.option("--preset", default="default", help="Name of the preset to train.")
@click.option("--seed", default=0, help="Seed of the training.")
@click.option("--lines", default=1_000_000, help="Number of lines that predict reads.")
def main(data: str, preset: str, seed: int, lines: int) -> None:
    """Measure the speed of the commands train and predict of the sentiment app, and print a Markdown table.

    Each command runs in its own process.
    """
    with TemporaryDirectory() as folder:
        rows = measure(data, preset, seed, lines, Path(folder))
    click.echo(f"| preset {preset}, seed {seed} | {Path(data).name} |\n|---|---|")
    for name, figure in rows:
        click.echo(f"| {name} | {figure} |")


if __name__ == "__main__":
    main()
