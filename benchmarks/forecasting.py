"""Measures the speed of a trained forecasting model in each of its formats.

``python -m benchmarks.forecasting saved_models/stock`` prints one Markdown table. Before you start it, run
``export`` and ``convert`` of the forecasting app. A format that does not exist is skipped.

``python -m benchmarks.scores`` measures the scores.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import click

from apps.cli import import_tensorflow
from apps.options import MODELS


def training_rate(run: Path) -> float:
    """Returns the speed of the training in windows per second: the median over the epochs."""
    with open(run / "history.csv", encoding="utf-8") as file:
        return statistics.median(float(epoch["examples_per_second"]) for epoch in csv.DictReader(file))


def forecasting_rates(folder: str, windows: int) -> Iterator[tuple[str, float]]:
    """Yields each format of the run and its speed, in test windows per second.

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
    origins = prepared.origins("test")[:windows]
    for kind in MODELS:
        try:
            forecasts = open_model(run, kind, forms(stored.output))
        except UsageError:  # the run does not have this format
            continue
        forecasts(prepared, origins)
        start = time.perf_counter()
        forecasts(prepared, origins)
        yield kind, len(origins) / (time.perf_counter() - start)


@click.command(context_settings={"show_default": True})
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--windows", default=1_000, help="Maximum number of test windows to forecast.")
def main(folder: str, windows: int) -> None:
    """Measure every format of the run in FOLDER and print a Markdown table."""
    click.echo(f"| {Path(folder).name} | windows/s |\n|---|---|")
    click.echo(f"| training | {training_rate(Path(folder)):,.0f} |")
    for kind, rate in forecasting_rates(folder, windows):
        click.echo(f"| {kind} | {rate:,.0f} |")


if __name__ == "__main__":
    main()
