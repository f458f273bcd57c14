"""Compares the speed of our recurrent layers with Keras, PyTorch and a lower bound.

The lower bound is the time of the matrix products alone.

- ``python -m benchmarks.layers`` measures all shapes and takes about 40 minutes. The machine must be idle.
- ``python -m benchmarks.layers --quick`` measures the first shape with few repetitions.
- ``python -m benchmarks.layers --shape PTB --cell lstm`` measures one shape and one cell.
- ``python -m benchmarks.layers --growth`` measures only the time of a training step for different numbers of
  time steps.
- ``python -m benchmarks.layers --memory`` measures only the peak memory of a training step.

In the code, an implementation such as Keras, PyTorch or our kernel is called a side. Each implementation runs
in its own process. The processes take turns in one session. The tables show medians and quartiles. PyTorch is
measured if ``benchmarks/requirements.txt`` is installed, or if ``--torch`` is a Python executable that can
import PyTorch.

The command prints the tables. If everything is measured, the command also writes ``layers.json``,
``layers.md`` and ``growth.png`` to the folder ``--to``. With ``--quick``, ``--shape``, ``--cell``,
``--mode``, ``--growth`` or ``--memory``, it does not write files.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.shapes import (
    CELLS,
    FLOOR,
    GROWTH_CELLS,
    GROWTH_STEPS,
    MODES,
    ONLY_TRAINING,
    OURS,
    SHAPES,
    SIDES,
)

ROOT = Path(__file__).parent.parent


class Worker:
    """A process that runs one implementation of the layers.

    Args:
        side: name of the implementation, in ``SIDES``.
        module: module of this package that the process runs.
        environment: environment variables that the process needs.
        python: Python executable.
    """

    def __init__(self, side: str, module: str, environment: dict[str, str], python: str):
        self.side = side
        self.process = subprocess.Popen(
            [python, "-m", f"benchmarks.{module}", side],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # TF_ENABLE_ONEDNN_OPTS is removed unless `environment` contains it. Without this variable,
            # TensorFlow uses its default setting, which most users have.
            env={
                **{name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"},
                **environment,
                "TF_CPP_MIN_LOG_LEVEL": "3",
            },
        )

    def ask(self, **request: Any) -> dict:
        """Sends a request to the worker and returns its answer; see :mod:`benchmarks.worker`."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise click.ClickException(
                f"the worker of {self.side} ended with exit status {self.process.wait()}"
            )
        return json.loads(line)

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def takes_part(torch_python: str) -> bool:
    """Returns True if PyTorch can be measured; otherwise prints a note on how to install it."""
    found = torch_python != sys.executable or importlib.util.find_spec("torch") is not None
    if not found:
        click.echo(
            "note: PyTorch is not installed, so it is not measured; to install it, run "
            "pip install -r benchmarks/requirements.txt",
            err=True,
        )
    return found


def measure(workers: list[Worker], cell: str, mode: str, name: str, seconds: float) -> list[dict]:
    """Measures all implementations in turn. Returns one row of results per implementation.

    The measurement runs for at least the time ``seconds``. After this time, it stops as soon as each
    implementation has at least three measured times.
    """
    if mode == "inference":
        workers = [worker for worker in workers if worker.side not in ONLY_TRAINING]
    for worker in workers:
        worker.ask(cell=cell, mode=mode, shape=asdict(SHAPES[name]))
    times: dict[str, list[float]] = {worker.side: [] for worker in workers}
    start = time.perf_counter()
    while min(map(len, times.values())) < 3 or time.perf_counter() - start < seconds:
        for worker in workers:
            # The processes take turns. In its turn, a process runs three steps. The first step is not
            # counted, because the CPU caches still contain the data of another process.
            times[worker.side] += worker.ask(repeat=3)["seconds"][1:]
    return [
        {
            "shape": name,
            "cell": cell,
            "mode": mode,
            "side": worker.side,
            **_quartiles(times[worker.side]),
            "count": len(times[worker.side]),
        }
        for worker in workers
    ]


def peak_memory(side: str, torch_python: str, cell: str, name: str) -> dict:
    """Returns a row of the memory table: the peak memory of a training step, in MB.

    The result is the peak memory, minus the memory before the model was built. Each measurement starts a new
    process, because a process does not return freed memory to the operating system.
    """
    worker = worker_of(side, torch_python)
    worker.ask(cell=cell, mode="training", shape=asdict(SHAPES[name]))
    worker.ask(repeat=1)
    megabytes = worker.ask(memory=True)["megabytes"]
    worker.close()
    click.echo(f"{name}, {cell}, {side}: {megabytes:.0f} MB", err=True)
    return {"shape": name, "cell": cell, "side": side, "megabytes": megabytes}


def worker_of(side: str, torch_python: str) -> Worker:
    """Starts the process that measures the implementation ``side``.

    ``torch_python`` is the Python program of an environment that has PyTorch.
    """
    return Worker(side, *SIDES[side], torch_python if side == "PyTorch" else sys.executable)


def _quartiles(seconds: list[float]) -> dict[str, float]:
    low, median, high = np.percentile(seconds, [25, 50, 75]) * 1e3
    return {"milliseconds": median, "low": low, "high": high}


def table(rows: list[dict]) -> list[str]:
    """Returns Markdown tables: the times in training, the times in inference, and :func:`targets`."""
    lines = []
    for mode in MODES:
        of_mode = [row for row in rows if row["mode"] == mode]
        if not of_mode:
            continue
        lines += [
            f"### {mode.capitalize()}\n\n"
            "The table shows the time of one training step or, in inference, of one forward pass. The last "
            "column is this time, divided by the time of the kernel. For example, 2 means that the kernel is "
            "twice as fast as the implementation in this row.",
            "",
            "| shape | cell | implementation | ms (quartiles) | time relative to the kernel |",
            "|---|---|---|---|---|",
        ]
        for row in of_mode:
            ours = next(
                other
                for other in of_mode
                if (other["shape"], other["cell"], other["side"]) == (row["shape"], row["cell"], OURS)
            )
            lines.append(
                f"| {row['shape']} | {row['cell'].upper()} | {row['side']} | {row['milliseconds']:.1f} "
                f"({row['low']:.1f} to {row['high']:.1f}) | "
                f"{row['milliseconds'] / ours['milliseconds']:.2f} |"
            )
        lines.append("")
    return lines + targets([row for row in rows if row["mode"] == "training"])


def targets(rows: list[dict]) -> list[str]:
    """Returns a Markdown table that compares the training speeds of the kernel and the other implementations.

    A target is a minimum speed, for example twice the speed of Keras. The last column is "yes" if the kernel
    reaches all targets.
    """
    sides: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        sides.setdefault((row["shape"], row["cell"]), {})[row["side"]] = row["milliseconds"]
    lines = [
        "### Targets of training",
        "",
        "Each number is the speed of the kernel, divided by the speed of the implementation in the header. "
        "The kernel has three targets. It must be at least twice as fast as Keras. It must be at least as "
        "fast as PyTorch. It must be at least as fast as the generic loop. The target for PyTorch applies "
        "only if all sequences of a batch have the same length. The targets for Keras and PyTorch are also "
        'reached if the number in the column "products alone" is at least 0.9. The last column shows if '
        "the kernel reaches all targets.",
        "",
        "| shape | cell | Keras | PyTorch | products alone | generic loop | all targets reached |",
        "|---|---|---|---|---|---|---|",
    ]
    for (name, cell), times in sides.items():
        ratio = {side: value / times[OURS] for side, value in times.items()}
        near = ratio[FLOOR] >= 0.9
        reached = (ratio["Keras"] >= 2 or near) and ratio["generic loop"] >= 1
        if "PyTorch" in ratio and not SHAPES[name].bidirectional:
            reached = reached and (ratio["PyTorch"] >= 1 or near)
        torch = f"{ratio['PyTorch']:.2f}" if "PyTorch" in ratio else "not measured"
        lines.append(
            f"| {name} | {cell.upper()} | {ratio['Keras']:.2f} | {torch} | {ratio[FLOOR]:.2f} | "
            f"{ratio['generic loop']:.2f} | {'yes' if reached else 'no'} |"
        )
    return [*lines, ""]


def memory_table(rows: list[dict]) -> list[str]:
    """Returns a Markdown table of the peak memory in MB, with one line per shape and cell."""
    sides = list(dict.fromkeys(row["side"] for row in rows))
    found = {(row["shape"], row["cell"], row["side"]): row["megabytes"] for row in rows}
    lines = [
        "### Peak memory of training",
        "",
        "Each number is the peak memory of a process in MB, minus its memory before it built the model. "
        "The memory for the compilation is included.",
        "",
        f"| shape | cell | {' | '.join(sides)} |",
        f"|---|---|{'---|' * len(sides)}",
    ]
    for name, cell in dict.fromkeys((row["shape"], row["cell"]) for row in rows):
        values = [f"{found[name, cell, side]:.0f}" for side in sides]
        lines.append(f"| {name} | {cell.upper()} | {' | '.join(values)} |")
    return [*lines, ""]


def growth(seconds: float) -> list[dict]:
    """Measures the time of a training step of one layer for each cell and each number of time steps."""
    worker = worker_of(OURS, sys.executable)
    rows = []
    for cell, dependent in GROWTH_CELLS.items():
        for steps in GROWTH_STEPS:
            shape = {"batch": 4, "time": steps, "layers": 1, "units": 128}
            worker.ask(cell=cell, mode="training", shape=shape)
            times: list[float] = []
            start = time.perf_counter()
            while len(times) < 3 or time.perf_counter() - start < seconds:
                times += worker.ask(repeat=1)["seconds"]
            rows.append({"cell": cell, "steps": steps, "dependent": dependent(steps), **_quartiles(times)})
            click.echo(f"{cell}, T {steps}: {rows[-1]['milliseconds']:.1f} ms", err=True)
    worker.close()
    return rows


def growth_table(rows: list[dict]) -> list[str]:
    """Returns a Markdown table of the times that :func:`growth` measured, and a link to the plot."""
    lines = [
        "### Time by number of time steps T",
        "",
        "The table shows the time of a training step in ms. The model has one layer of 128 units, and a "
        "batch has 4 sequences of T time steps. The number in parentheses is the number of sequential "
        "steps in the forward and backward pass. Sequential steps are operations that must run one after "
        "the other. In an LSTM, GRU or RNN, a sequential step contains a matrix product. In the parallel "
        "cells (mingru, minlstm, rglru), a sequential step contains one multiplication and one addition "
        'per unit. The row "mingru by rounds" computes the MinGRU as a parallel scan. All other rows use a '
        "loop.",
        "",
        f"| cell | {' | '.join(f'T {steps}' for steps in GROWTH_STEPS)} |",
        f"|---|{'---|' * len(GROWTH_STEPS)}",
    ]
    for cell in GROWTH_CELLS:
        cells = [f"{row['milliseconds']:.1f} ({row['dependent']:,})" for row in rows if row["cell"] == cell]
        lines.append(f"| {cell} | {' | '.join(cells)} |")
    return [*lines, "", "![Time of a training step by number of time steps T](growth.png)", ""]


def plot(rows: list[dict], path: Path) -> None:
    """Plots the times against the number of time steps T, on logarithmic axes.

    If the time is proportional to T, the line has the slope 1.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for cell in GROWTH_CELLS:
        of_cell = [row for row in rows if row["cell"] == cell]
        axes.loglog(
            [row["steps"] for row in of_cell],
            [row["milliseconds"] for row in of_cell],
            marker="o",
            linestyle="--" if "rounds" in cell else "-",
            label=cell,
        )
    axes.set(
        xlabel="time steps T", ylabel="training step (ms)", xticks=GROWTH_STEPS, xticklabels=GROWTH_STEPS
    )
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


@click.command(context_settings={"show_default": True})
@click.option("--shape", "part", default="", help="Measure only shapes whose name contains this text.")
@click.option("--cell", type=click.Choice(CELLS), help="Measure only this cell.")
@click.option("--mode", type=click.Choice(MODES), help="Measure only this mode.")
@click.option(
    "--quick", is_flag=True, help="Measure only the first shape. Each measurement takes about one second."
)
@click.option(
    "--growth",
    "only_growth",
    is_flag=True,
    help="Measure only the time of a training step for different numbers of time steps.",
)
@click.option(
    "--memory",
    "only_memory",
    is_flag=True,
    help="Measure only the peak memory of a training step. The machine does not have to be idle.",
)
@click.option(
    "--torch", "torch_python", default=sys.executable, help="Python executable that can import PyTorch."
)
@click.option("--to", default=str(Path(__file__).parent), help="Folder to which the results are written.")
def main(
    part: str,
    cell: str | None,
    mode: str | None,
    quick: bool,
    only_growth: bool,
    only_memory: bool,
    torch_python: str,
    to: str,
) -> None:
    """Print tables that compare the time and the peak memory of our layers, Keras and PyTorch.

    Another table shows the time of our layers for different numbers of time steps.
    """
    names = [name for name in SHAPES if part in name][: 1 if quick else None]
    if not names:
        raise click.UsageError(
            f"--shape {part!r} matches no shape; use one of these names or a part of it: {'; '.join(SHAPES)}"
        )
    if only_growth and (part or cell or mode or quick or only_memory):
        raise click.UsageError(
            "--growth cannot be combined with --shape, --cell, --mode, --quick or --memory; use it alone"
        )
    if only_memory and mode:
        raise click.UsageError(
            "--memory cannot be combined with --mode, because memory is measured in training; remove --mode"
        )
    cells = [cell] if cell else CELLS
    complete = not (part or cell or mode or quick or only_growth or only_memory)
    has_torch = not only_growth and takes_part(torch_python)
    sides = [side for side in SIDES if side != "PyTorch" or has_torch]
    rows: list[dict] = []
    if not (only_growth or only_memory):
        workers = [worker_of(side, torch_python) for side in sides]
        for name in names:
            for each_mode in [mode] if mode else MODES:
                for each_cell in cells:
                    measured = measure(workers, each_cell, each_mode, name, 1 if quick else 15)
                    rows += measured
                    for row in measured:
                        click.echo(
                            f"{name}, {each_cell}, {each_mode}, {row['side']}: {row['milliseconds']:.1f} ms",
                            err=True,
                        )
        for worker in workers:
            worker.close()
    grown = growth(1.0) if complete or only_growth else []
    memory = [
        peak_memory(side, torch_python, each_cell, name)
        for name in names
        for each_cell in cells
        for side in sides
        if complete or only_memory
    ]
    lines = table(rows) if rows else []
    if memory:
        lines += memory_table(memory)
    if grown:
        lines += growth_table(grown)
    # A measurement of selected shapes or cells must not overwrite the files of a complete measurement.
    if complete:
        folder = Path(to)
        folder.mkdir(parents=True, exist_ok=True)
        plot(grown, folder / "growth.png")
        whole = {"rows": rows, "memory": memory, "growth": grown}
        (folder / "layers.json").write_text(json.dumps(whole, indent=1) + "\n")
        (folder / "layers.md").write_text("\n".join(lines).rstrip() + "\n")
    click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
