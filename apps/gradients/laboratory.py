"""Runs experiments, stores their findings in the run directory, and prints them."""

from __future__ import annotations

import json
import math
import shlex
import sys
import time
from importlib import import_module
from typing import Any

import keras
import numpy as np
from rich.console import Console

from apps.gradients.findings import Findings, markdown, table
from apps.gradients.options import EXPERIMENTS, Experiment
from apps.run import Run, write_text

log = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
# If stdout is a file or a pipe, a width of 1000 prevents line breaks in table rows.
out = Console(markup=False, emoji=False, width=None if sys.stdout and sys.stdout.isatty() else 1000)


def perform(name: str, options: Experiment) -> None:
    """Runs one experiment, or all experiments if ``name`` is "all", and prints the results.

    Each experiment writes a figure and its findings to the run directory. With "all", a report is also
    written.
    """
    run = Run(options.run)
    with run.locked():
        if name == "all":
            documents = _all(run, options)
            report = run.path / "report.md"
            write_text(report, _report(documents))
            result: dict[str, Any] = {"experiments": documents, "report": str(report)}
        else:
            result = _perform(run, name, options)
            documents = [result]
    if options.json:
        print(json.dumps(result, ensure_ascii=False))
        return
    for document in documents:
        name = document["experiment"]
        out.print(table(document["rows"], f"{name}: {EXPERIMENTS[name][1]}"))
        out.print(document["found"], soft_wrap=True)
        log.print(f"figure: {document['figure']}")
    if "report" in result:
        log.print(f"report: {result['report']}")


def _all(run: Run, options: Experiment) -> list[dict[str, Any]]:
    documents = []
    for name, (kind, _) in EXPERIMENTS.items():
        if name != "all":
            log.print(f"running {name}")
            documents.append(_perform(run, name, kind(run=options.run, seed=options.seed)))
    return documents


def _report(documents: list[dict[str, Any]]) -> str:
    """Returns a Markdown page with the findings of all experiments and links to their figures."""
    lines = ["# The gradient laboratory", ""]
    for document in documents:
        name = document["experiment"]
        given = ["--run", document["run"], "--seed", str(document["options"]["seed"])]
        lines += [f"## {name}", "", EXPERIMENTS[name][1], ""]
        lines += [f"    python -m apps.gradients {name} {shlex.join(given)}", ""]
        lines += [f"{document['found']}.", "", f"![{name}](plots/{name}.png)", "", markdown(document["rows"])]
    return "\n".join(lines)


def _perform(run: Run, name: str, options: Experiment) -> dict[str, Any]:
    """Runs an experiment, stores its findings as a JSON document, and returns the document."""
    start = time.monotonic()
    keras.utils.set_random_seed(options.seed)
    findings: Findings = import_module(f"apps.gradients.experiments.{name}").run(options, log.print)
    figure = findings.draw(run.plots / f"{name}.png")
    document = {
        "experiment": name,
        "run": str(run.path),
        "options": options.stored(),
        "found": findings.found,
        "rows": findings.rows,
        **findings.details,
        "figure": str(figure),
        "seconds": round(time.monotonic() - start, 1),
    }
    document = _finite(document)
    run.write_json(f"findings/{name}.json", document)
    return document


def _finite(value: Any) -> Any:
    """Converts a value for JSON: arrays become lists, NaN and infinity become None (null in JSON)."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_finite(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
