"""Measures the forecasting app through its command line and prints Markdown tables.

- ``python -m benchmarks.forecasting --stocks FOLDER`` trains two models per price file, one for a horizon
  of 1 day and one for a horizon of 5 days.
- ``python -m benchmarks.forecasting --ett ETTh1.csv --m4 m4_hourly.csv.gz`` trains on the data sets
  ETTh1 and M4 Hourly.
"""

from __future__ import annotations

import csv
import json
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from apps.cli import import_tensorflow
from apps.options import MODELS

APP = [sys.executable, "-m", "apps.forecasting"]
ETT = shlex.split(
    "--split 8640,2880,2880 --lookback 336 --segment 24 --output point --scaling last --units 128 "
    "--dropout 0.3 --batch-size 256 --windows 20000 --epochs 4 --schedule cosine --learning-rate 0.001 "
    "--patience none"
)
M4 = shlex.split(
    "--lookback 336 --segment 24 --output point --loss absolute --error-unit season --season 24 --units 64 "
    "--batch-size 256 --windows 20000 --epochs 30 --schedule cosine --learning-rate 0.003 --patience none"
)
WINDOWS = 1_000  # maximum number of test windows for measuring the speed of a format


def measure(data: str, options: list[str], folder: Path) -> dict[str, Any]:
    """Trains, evaluates, exports and converts one model. Returns its scores, sizes and times."""
    run = str(folder / "run")
    begin = time.perf_counter()
    subprocess.run([*APP, "train", "--data", data, "--run", run, "--overwrite", *options], check=True)
    trained = time.perf_counter()
    scores = json.loads(_output([*APP, "evaluate", "--run", run, "--json"]))
    phone = json.loads(_output([*APP, "convert", "--run", run, "--json"]))["files"]["model.tflite"]
    _output([*APP, "export", "--run", run])
    described = json.loads(_output([*APP, "info", "--run", run, "--json"]))[run]
    return {
        **scores,
        "minutes": (trained - begin) / 60,
        "parameters": described["parameters"],
        "bytes": phone["bytes"],
        "milliseconds": phone["milliseconds"]["forecast"],
        "training": _training_rate(Path(run)),
        "rates": forecasting_rates(run),
    }


def _training_rate(run: Path) -> float:
    """Returns the speed of the training in windows per second: the median over the epochs."""
    with open(run / "history.csv", encoding="utf-8") as file:
        return statistics.median(float(epoch["examples_per_second"]) for epoch in csv.DictReader(file))


def forecasting_rates(folder: str) -> dict[str, float]:
    """Returns the forecasting speed of each format of the run, in test windows per second.

    All formats run in this process. Each format forecasts the same windows twice, and only the second run is
    measured. The time includes the computation of the features.
    """
    import_tensorflow()
    from apps.forecasting.data import Assets, Prepared, read
    from apps.forecasting.inference import forms
    from apps.forecasting.options import Train
    from apps.inference import open_model
    from apps.run import Run
    from seqmodels.errors import UsageError

    run = Run(folder)
    stored = run.trained_with(Train)
    prepared = Prepared.of(read(stored), Assets.load(run.assets))
    origins = prepared.origins("test")[:WINDOWS]
    rates = {}
    for kind in MODELS:
        try:
            forecasts = open_model(run, kind, forms(stored.output))
        except UsageError:  # the run does not have this format
            continue
        forecasts(prepared, origins)
        start = time.perf_counter()
        forecasts(prepared, origins)
        rates[kind] = len(origins) / (time.perf_counter() - start)
    return rates


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def show(title: str, found: dict[str, Any], columns: tuple[str, ...]) -> None:
    """Prints a table of the model and its baselines, and a line with sizes and speeds.

    Args:
        title: content of the first header cell.
        found: result of :func:`measure`.
        columns: names of the scores to print.
    """
    print(
        f"\n| {title} | {' | '.join(columns)} | model better? p-value |\n|---|{'---|' * (len(columns) + 1)}"
    )
    tests = found["model"]["comparison"]["tests"]
    for name, row in {**found["baselines"], "model": found["model"]}.items():
        cells = [f"{row[column]:.4f}" if column in row else "" for column in columns]
        test = tests.get(name)
        cells.append(f"{'yes' if test['difference'] < 0 else 'no'}, {test['p']:.2g}" if test else "")
        print(f"| {name} | {' | '.join(cells)} |")
    print(
        f"\n{found['minutes']:.1f} minutes of training, {found['parameters']:,} parameters, "
        f"TFLite file with {found['bytes'] / 1000:.0f} kB and {found['milliseconds']:.2f} ms per forecast; "
        f"windows per second: training {found['training']:,.0f}, forecasting "
        f"{', '.join(f'{rate:,.0f} ({kind})' for kind, rate in found['rates'].items())}. "
        f"{found['model']['comparison']['verdict']}"
    )


@click.command()
@click.option(
    "--stocks",
    type=click.Path(exists=True, path_type=Path),
    help="Folder of .csv files with daily prices. Each file contains one series.",
)
@click.option("--ett", type=click.Path(exists=True), help="Path of ETTh1.csv.")
@click.option("--m4", type=click.Path(exists=True), help="Path of m4_hourly.csv.gz.")
@click.option(
    "--option",
    "more",
    multiple=True,
    help="An option of `train`, for example --option=--seed=1. For several options, repeat --option.",
)
def main(stocks: Path | None, ett: str | None, m4: str | None, more: tuple[str, ...]) -> None:
    """Train and evaluate the forecasting app on the given data sets, and print Markdown tables."""
    with TemporaryDirectory() as folder:
        for path in sorted(stocks.glob("*.csv")) if stocks else []:
            for horizon in (1, 5):
                found = measure(str(path), [f"--horizon={horizon}", *more], Path(folder))
                show(f"{path.stem}, {horizon} days", found, ("nll", "crps"))
        for horizon in (96, 192, 336, 720) if ett else ():
            found = measure(str(ett), [*ETT, f"--horizon={horizon}", *more], Path(folder))
            show(f"ETTh1, {horizon}", found, ("mse_scaled", "mae_scaled"))
        if m4:
            show(
                "M4 Hourly", measure(m4, [*M4, "--horizon=48", *more], Path(folder)), ("owa", "smape", "mase")
            )


if __name__ == "__main__":
    main()
