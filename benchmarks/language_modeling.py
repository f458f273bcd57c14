"""Measures language modeling: its speed against PyTorch, its rivals, and cells at equal parameters.

python -m benchmarks.language_modeling tokens --torch PYTHON     # wants a quiet machine
python -m benchmarks.language_modeling rivals --data ptb
python -m benchmarks.language_modeling rows --data ptb           # what would be trained; --run trains it

Each prints one Markdown table. PyTorch takes part where `benchmarks/requirements.txt` is installed, or with
`--torch PYTHON` of another environment.
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

PTB = 10_002  # ids of its vocabulary: 10,000 words, padding and the start
SIDES = {"ours": FAST, "PyTorch": {}}
# What is compared with the default cell, at its parameters.
COMPARED: tuple[dict[str, Any], ...] = (
    *({"cell": cell} for cell in ("gru", "rnn", "mingru", "minlstm", "rglru")),
    {"cell": "rglru", "residual": True},
    {"model": "fixed-window"},
)


@click.group(context_settings={"show_default": True})
def main() -> None:
    """Tables for language modeling."""


@main.command()
@click.option("--torch", "torch_python", default=sys.executable, help="The Python that has torch.")
@click.option("--seconds", default=60.0, help="Of measuring.")
@click.option("--vocabulary", default=PTB, help="Token ids; the default is Penn Treebank's.")
def tokens(torch_python: str, seconds: float, vocabulary: int) -> None:
    """Tokens per second of a training step of preset `default`, ours and PyTorch's in turn."""
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
            # The first of a turn finds the caches full of the other side's numbers.
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
@click.option("--data", default="embedded", help="As that of the app.")
def rivals(data: str) -> None:
    """Perplexity of the counting models, fitted on the training text alone."""
    import_tensorflow()
    from apps.language_modeling import task

    loaded = task.load(replace(Train(), data=data), None)
    scores = task.baselines(loaded)
    click.echo(f"| {loaded.source.name} | valid | test | parameters |\n|---|---|---|---|")
    for name, row in scores["test"].items():
        valid = scores["valid"][name]["perplexity"]
        click.echo(f"| {name} | {valid:.2f} | {row['perplexity']:.2f} | {row['parameters']:,} |")


@main.command()
@click.option("--data", default="embedded", help="As that of the app.")
@click.option("--minutes", default=10.0, help="Of training, each row.")
@click.option("--run", is_flag=True, help="Train and score them, one after the other.")
@click.option("--folder", default="saved_models/compare", help="Where the runs are kept.")
def rows(data: str, minutes: float, run: bool, folder: str) -> None:
    """Cells at the parameters of the default one, and tied against untied, each the same time.

    A row has as many whole epochs as its first steps say that there is time for, so that every rate comes
    down to 0 in time. A comparison that was interrupted goes on with the command that is printed.
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
    click.echo(f"| vocabulary {vocabulary:,} | parameters | of the first row's | seconds of an epoch |")
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
    """A row of so many units, and residual of as wide an embedding: every layer then adds its input."""
    return {**changes, "units": units, **({"embedding_units": units} if "residual" in changes else {})}


def arguments(changes: dict[str, Any]) -> str:
    return " ".join(
        flag(name if value else f"no_{name}") if isinstance(value, bool) else f"{flag(name)} {value}"
        for name, value in changes.items()
    )


def equal_units(options: Train, changes: dict[str, Any], vocabulary: int) -> int:
    """The units that give a row as many parameters as the options' own, as nearly as can be.

    A model's parameters are a polynomial of degree 2 in its units: three small models determine it.
    """
    small = (1, 2, 3)
    counts = [parameters(replace(options, **sized(changes, units)), vocabulary) for units in small]
    polynomial = np.polynomial.Polynomial.fit(small, counts, deg=2)
    return round(float((polynomial - parameters(options, vocabulary)).roots().real.max()))


def parameters(options: Train, vocabulary: int) -> int:
    """Of the model that the app builds."""
    from apps.language_modeling import task

    tokenizer: Any = range(vocabulary)  # it is asked for its length alone
    return task.build(options, tokenizer).count_params()


if __name__ == "__main__":
    main()
