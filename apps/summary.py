"""Prints the end of a training: the validation scores of model and baselines, and what to try next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from apps.console import log
from apps.options import TrainOptions


def print_summary(
    compared: Mapping[str, Any], task_name: str, options: TrainOptions, improving: bool
) -> None:
    """Prints a table of validation scores, and one line with the verdict and the next steps.

    Args:
        compared: result of the function ``validate`` of the task.
        task_name: name of the app.
        options: options of the training.
        improving: True if the last epoch was the best epoch.
    """
    rows = compared["rows"]
    names = list({name: None for scores in rows.values() for name in scores})
    table = Table(f"validation{compared.get('examples', '')}", *names, box=None, pad_edge=False)
    for row, scores in rows.items():
        table.add_row(row, *(f"{scores[name]:.4g}" if name in scores else "" for name in names))
    log.print(table)
    steps = next_steps(compared["verdict"]["conclusion"], task_name, options, improving)
    log.print(f"validation: {compared['verdict']['sentence']} {steps}")


def next_steps(conclusion: str, task_name: str, options: TrainOptions, improving: bool) -> str:
    """Returns a sentence that recommends what to do after the training.

    Args:
        conclusion: entry ``conclusion`` of a verdict.
        task_name: name of the app.
        options: options of the training.
        improving: True if the last epoch was the best epoch.

    >>> next_steps("worse", "sentiment", TrainOptions(run="run", preset="best"), improving=False)
    'Next: use the baseline, or try more training data.'
    """
    if conclusion == "better":
        return f"Next: `python -m apps.{task_name} evaluate --run {options.run}` scores the test split."
    steps = []
    if improving:
        longer = "--epochs" if options.minutes is None else "--minutes and --epochs"
        steps.append(f"a longer training, because the last epoch was the best one ({longer})")
    if options.preset != "best" and not options.from_ and options.presets["best"]:
        steps.append("--preset best")
    steps.append("more training data")
    tried = " or ".join([", ".join(steps[:-1]), steps[-1]] if steps[1:] else steps)
    return f"Next: {'use the baseline, or ' if conclusion == 'worse' else ''}try {tried}."
