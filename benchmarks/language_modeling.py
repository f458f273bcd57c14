"""Compares the training speed of the language modeling app with PyTorch.

``python -m benchmarks.language_modeling --torch PYTHON`` prints one Markdown table. The machine must be idle.
PyTorch is measured if ``benchmarks/requirements.txt`` is installed, or if ``--torch`` is a Python executable
that can import PyTorch.

``python -m benchmarks.scores`` measures the scores.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict

import click
import numpy as np

from apps.language_modeling.options import Train
from benchmarks.layers import Worker, takes_part
from benchmarks.shapes import FAST, Shape

PTB = 10_002  # number of token ids of Penn Treebank: 10,000 words, padding and the start token
SIDES = {"ours": FAST, "PyTorch": {}}


@click.command(context_settings={"show_default": True})
@click.option(
    "--torch", "torch_python", default=sys.executable, help="Python executable that can import PyTorch."
)
@click.option("--seconds", default=60.0, help="Minimum duration of the measurement in seconds.")
@click.option(
    "--vocabulary",
    default=PTB,
    help="Number of token ids. The default is the size of Penn Treebank's vocabulary.",
)
def main(torch_python: str, seconds: float, vocabulary: int) -> None:
    """Measure the tokens per second in training, for preset `default` and for the same model in PyTorch."""
    options = Train()
    shape = Shape(options.batch_size, options.steps, options.layers, options.units, vocabulary)
    environments = SIDES if takes_part(torch_python) else {"ours": SIDES["ours"]}
    workers = [
        Worker(side, "language_model_worker", environment, torch_python if side != "ours" else sys.executable)
        for side, environment in environments.items()
    ]
    for worker in workers:
        worker.ask(cell=options.cell, mode="training", shape=asdict(shape))
    rates: dict[str, list[float]] = {worker.side: [] for worker in workers}
    start = time.perf_counter()
    while len(rates["ours"]) < 5 or time.perf_counter() - start < seconds:
        for worker in workers:
            # TensorFlow and PyTorch run in separate processes, which take turns. The first of six steps is
            # not counted, because the CPU caches still contain the data of the previous process.
            times = worker.ask(repeat=6)["seconds"][1:]
            rates[worker.side].append(shape.batch * shape.time / float(np.median(times)))
    for worker in workers:
        worker.close()
    click.echo(f"| one step of {shape.batch} x {shape.time} tokens | median | quartiles | turns |")
    click.echo("|---|---|---|---|")
    for side, values in rates.items():
        click.echo(_spread(f"{side}, tokens/s", values, ",.0f"))
    if "PyTorch" in rates:
        ratios = [mine / other for mine, other in zip(rates["ours"], rates["PyTorch"])]
        click.echo(_spread("ours / PyTorch, turn by turn", ratios, ".2f"))


def _spread(name: str, values: Sequence[float], number: str) -> str:
    low, median, high = np.percentile(values, [25, 50, 75])
    return f"| {name} | {median:{number}} | {low:{number}} to {high:{number}} | {len(values)} |"


if __name__ == "__main__":
    main()
