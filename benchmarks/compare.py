"""Trains variants of the model of one app, one after the other, and prints one Markdown table.

``python -m benchmarks.compare sentiment --common "--data imdb --minutes 10" "--cell lstm" "--cell gru"``

Each row of the table is one model. The last arguments are quoted texts. Each text contains the options of one
model. The options in ``--common``, such as the training time, apply to all models. Each model is a run in the
folder ``--folder``. The name of the run contains the options of the row and a checksum of all options. A
finished run is not trained again. If a comparison is interrupted, repeat the command to continue the
comparison.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import click


def row(app: str, run: Path, options: list[str]) -> dict[str, str]:
    """Returns one row of the printed table, as a dictionary from column names to texts.

    First, the model is trained and evaluated, unless a previous call has already done this.
    """
    command = [sys.executable, "-m", f"apps.{app}"]
    metrics = run / "metrics.json"
    if not metrics.exists():
        subprocess.run([*command, "train", "--run", str(run), *options], check=True)
    if "test" not in json.loads(metrics.read_text(encoding="utf-8")):
        evaluate = [*command, "evaluate", "--run", str(run), "--json"]
        subprocess.run(evaluate, check=True, stdout=subprocess.DEVNULL)
    info = [*command, "info", "--run", str(run), "--json"]
    (facts,) = json.loads(subprocess.run(info, check=True, capture_output=True, text=True).stdout).values()
    with open(run / "history.csv", encoding="utf-8") as file:
        history = list(csv.DictReader(file))
    seconds = sum(float(epoch["seconds"]) for epoch in history)
    per_second = {
        what: sum(float(epoch[f"{what}_per_second"]) * float(epoch["seconds"]) for epoch in history) / seconds
        for what in ("examples", "targets")
    }
    figures = {
        "parameters": f"{facts['parameters']:,}",
        "best epoch": f"{facts['best epoch']} of {len(history)}",
        "minutes": f"{seconds / 60:.1f}",
        **{f"{what}/s": f"{rate:,.0f}" for what, rate in per_second.items()},
    }
    scores = {key: value for key, value in facts.items() if key.startswith(("valid ", "test "))}
    return {**figures, **{key: f"{value:.4f}" for key, value in scores.items() if "," not in key}}


# An argument such as "--cell gru" starts with dashes. click must not read it as an option of this command.
@click.command(context_settings={"show_default": True, "ignore_unknown_options": True})
@click.argument("app")
@click.argument("rows", nargs=-1, required=True)
@click.option("--common", default="", help="Options of `train` that apply to all models of the table.")
@click.option("--folder", default="saved_models/compare", help="Folder in which the runs are stored.")
def main(app: str, rows: tuple[str, ...], common: str, folder: str) -> None:
    """Train several models of APP and print a Markdown table with one row per model.

    Each argument of ROWS is a quoted text with the options of one model, such as "--cell gru".
    """
    columns: list[str] = []
    for options in rows:
        name, given = options.replace("--", "").replace(" ", "_") or "default", f"{common} {options}"
        checksum = hashlib.sha256(given.encode()).hexdigest()[:8]
        figures = row(app, Path(folder) / f"{name}-{checksum}", shlex.split(given))
        if not columns:
            columns = distinct(figures)
            click.echo(f"| {app} {common} | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        click.echo(f"| `{options or 'default'}` | {' | '.join(figures[column] for column in columns)} |")


def distinct(figures: dict[str, str]) -> list[str]:
    """Returns the columns that the table shows.

    A column is dropped if it repeats the value of an earlier column.

    For example, if the tokens are words, the perplexity per word repeats the perplexity per token.
    """
    first: dict[str, str] = {}
    for column, value in figures.items():
        first.setdefault(value, column)
    return list(first.values())


if __name__ == "__main__":
    main()
