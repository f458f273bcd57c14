"""Measures the language modeling app: its training speed, its baselines, and its cells.

- ``python -m benchmarks.language_modeling tokens --torch PYTHON`` compares the training speed with PyTorch.
  The machine must be idle.
- ``python -m benchmarks.language_modeling rivals --data ptb`` prints the perplexity of the baselines.
- ``python -m benchmarks.language_modeling rows --data ptb`` lists models with different cells and equal
  numbers of parameters. With ``--run``, the command also trains these models.

Each command prints one Markdown table. PyTorch is measured if ``benchmarks/requirements.txt`` is installed,
or if ``--torch`` is a Python executable that can import PyTorch.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import click
import numpy as np

from apps.cli import import_tensorflow
from apps.language_modeling.options import Train
from apps.options import flag, resolve
from benchmarks.layers import Worker, takes_part
from benchmarks.shapes import FAST, Shape

PTB = 10_002  # number of token ids of Penn Treebank: 10,000 words, padding and the start token
SIDES = {"ours": FAST, "PyTorch": {}}
# Each entry describes one model. It contains only the options that differ from the default model. Later, the
# function `sized` adds a number of units. This number is chosen so that all models have about as many
# parameters as the default model.
COMPARED: tuple[dict[str, Any], ...] = (
    *({"cell": cell} for cell in ("gru", "rnn", "mingru", "minlstm", "rglru")),
    {"cell": "rglru", "residual": True},
    {"model": "fixed-window"},
)


@click.group(context_settings={"show_default": True})
def main() -> None:
    """Print tables for language modeling."""


@main.command()
@click.option(
    "--torch", "torch_python", default=sys.executable, help="Python executable that can import PyTorch."
)
@click.option("--seconds", default=60.0, help="Minimum duration of the measurement in seconds.")
@click.option(
    "--vocabulary",
    default=PTB,
    help="Number of token ids. The default is the size of Penn Treebank's vocabulary.",
)
def tokens(torch_python: str, seconds: float, vocabulary: int) -> None:
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


@main.command()
@click.option("--data", default="embedded", help="Data set: a value of the option --data of the app.")
def rivals(data: str) -> None:
    """Print the perplexity of the n-gram baselines, which are fitted on the training split only."""
    import_tensorflow()
    from apps.language_modeling import task

    loaded = task.load(replace(Train(), data=data), None)
    scores = task.baselines(loaded)
    click.echo(f"| {loaded.source.name} | valid | test | parameters |\n|---|---|---|---|")
    for name, row in scores["test"].items():
        valid = scores["valid"][name]["perplexity"]
        click.echo(f"| {name} | {valid:.2f} | {row['perplexity']:.2f} | {row['parameters']:,} |")


@main.command()
@click.option("--data", default="embedded", help="Data set: a value of the option --data of the app.")
@click.option("--minutes", default=10.0, help="Training time of each model, in minutes.")
@click.option("--run", is_flag=True, help="Also train and evaluate the models, one after the other.")
@click.option("--folder", default="saved_models/compare", help="Folder in which the runs are stored.")
def rows(data: str, minutes: float, run: bool, folder: str) -> None:
    """List models with different cells, equal numbers of parameters and equal training times.

    The model of the first row is the default model. The model of the second row is the default model with
    untied weights and therefore has more parameters. The command runs a few training steps of each model and
    estimates how many epochs fit into the training time. Each model is trained for this number of epochs, and
    its learning rate decays to 0 by the last epoch. The last printed line is the command that trains all
    models. If the training is interrupted, repeat that command to continue.
    """
    import_tensorflow()
    from apps.estimate import estimate
    from apps.task import load_task

    task = load_task("language_modeling")
    loaded = task.load(replace(Train(), data=data), None)
    vocabulary = len(loaded.assets)
    compared: list[dict[str, Any]] = [{}, {"tied": False}]
    compared += [sized(changes, equal_units(Train(), changes, vocabulary)) for changes in COMPARED]
    target = parameters(Train(), vocabulary)
    variants = []
    click.echo(f"| vocabulary {vocabulary:,} | parameters | relative to the first row | seconds per epoch |")
    click.echo("|---|---|---|---|")
    for changes in compared:
        options = resolve(Train, {"data": data, **changes})
        options.check()
        seconds, count = estimate(task, options, loaded)
        variants.append(arguments({**changes, "epochs": max(int(minutes * 60 / seconds), 1)}))
        name = arguments(changes) or "default"
        click.echo(f"| `{name}` | {count:,} | {count / target:.2%} | {seconds:.0f} |")
    command = ["-m", "benchmarks.compare", "language_modeling", "--common", f"--data={data}"]
    command += ["--folder", folder, *variants]
    click.echo(f"\n{shlex.join(['python', *command])}\n")
    if run:
        subprocess.run([sys.executable, *command], check=True)


def sized(changes: dict[str, Any], units: int) -> dict[str, Any]:
    """Adds the option ``units`` to ``changes``.

    In a residual model, the size of the embedding is also set to ``units``.
    """
    return {**changes, "units": units, **({"embedding_units": units} if "residual" in changes else {})}


def arguments(changes: dict[str, Any]) -> str:
    """Returns the changed options as arguments of the command ``train``."""
    return " ".join(
        flag(name if value else f"no_{name}") if isinstance(value, bool) else f"{flag(name)} {value}"
        for name, value in changes.items()
    )


def equal_units(options: Train, changes: dict[str, Any], vocabulary: int) -> int:
    """Returns a number of units for a changed model.

    With this number of units, the changed model has about as many parameters as the original model.

    The number of parameters is a polynomial of degree 2 in the units. The numbers of parameters of three
    small models determine this polynomial.

    Args:
        options: options of the original model.
        changes: options of the changed model that differ from ``options``.
        vocabulary: number of token ids.
    """
    small = (1, 2, 3)
    counts = [parameters(replace(options, **sized(changes, units)), vocabulary) for units in small]
    polynomial = np.polynomial.Polynomial.fit(small, counts, deg=2)
    return round(float((polynomial - parameters(options, vocabulary)).roots().real.max()))


def parameters(options: Train, vocabulary: int) -> int:
    """Returns the number of parameters of the model that the app builds with these options."""
    from apps.language_modeling import task

    tokenizer: Any = range(vocabulary)  # replaces the tokenizer, because `build` uses only its length
    return task.build(options, tokenizer).count_params()


if __name__ == "__main__":
    main()
