r"""Experiment ``memory``: finds the longest lag that each cell learns, and records its gates.

Every cell is trained on every problem at growing lags, with the same maximum number of training steps at
every lag. The next lag is tried only if the cell solves the problem at the current lag.

In a gated cell, the gradient has one path back in time that does not contain the recurrent matrix U. On this
path, each step multiplies the gradient by one gate. This gate is the share of the old state that the step
keeps. It is ``f`` in an LSTM and ``1 - u`` in a GRU. Before training, the gate is about ``sigmoid(bias)``.
With a forget bias of 0, each step therefore halves the gradient. With a forget bias of 1, each step keeps
0.73 of the gradient (Gers et al. 2000; Jozefowicz et al. 2015, section 2.4).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients import problems
from apps.gradients.findings import Findings
from apps.gradients.learning import SOLVED, Learner, Reader
from apps.gradients.options import VARIANTS, Memory
from seqmodels import analysis as gradients
from seqmodels.evaluation import plots
from seqmodels.training import Diverged

PROBLEMS = (problems.adding, problems.copying, problems.xor, problems.parity)
# The experiment records the gates only for the copying problem. In this problem, the cell first reads signs
# (-1 or 1), then many zeros. At the end, it must repeat the signs.
WATCHED = problems.copying
QUANTILES = (10, 50, 90)  # percentiles of a gate over all units and rows
BEST = "90 %"  # the plot shows only this percentile of the gates
PATIENCE = 3  # a training that explains no variance stops after this number of epochs
WORKERS = (
    2  # number of parallel trainings; XLA computes the small matrix products of one training on one core
)


def run(options: Memory, say: Callable[[str], None]) -> Findings:
    lags = options.tried()
    names = tuple(VARIANTS) if options.cell == "all" else (options.cell,)
    # All weights are initialized before the threads start. All threads share one global seed. A thread that
    # sets this seed would change the initial weights in the other threads.
    models = {}
    for name in names:
        keras.utils.set_random_seed(options.seed)
        models[name] = Reader(name, options.units)
        models[name].build()

    def climb(name: str) -> dict[str, Any]:
        found = Climb(name, models[name], options).up(lags)
        say(f"{name}: explained share of variance {found['explained']}")
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        climbs = dict(zip(names, pool.map(climb, names)))
    rows = [_row(name, each, lags) for name, each in climbs.items()]
    panels = [_learned(problem.__name__, climbs, lags) for problem in PROBLEMS]
    if any(map(_passing, climbs.values())):
        panels.append(_gates(climbs))
    return Findings(
        _found(rows, lags),
        rows,
        lambda path: plots.curves(panels, path, "Explained variance by lag"),
        {"cells": climbs},
    )


class Climb:
    """Trains one cell at growing lags.

    Args:
        name: name of the cell.
        model: built model. Every training starts from the weights of this model.
        options: options of the experiment.
    """

    def __init__(self, name: str, model: Reader, options: Memory):
        self.name, self.model, self.options = name, model, options

    def up(self, lags: list[int]) -> dict[str, Any]:
        """Trains the cell on every problem at increasing lags.

        If the cell does not solve a problem at one lag, larger lags of this problem are not tried.

        Returns:
            A dictionary with two entries. ``explained[problem][lag]`` is the share of the variance that the
            cell explains. ``gates`` is a list for the problem ``WATCHED``, with one entry per lag. Each entry
            contains the gates before and after the training.
        """
        explained: dict[str, dict[int, float]] = {problem.__name__: {} for problem in PROBLEMS}
        going, watched = list(PROBLEMS), []
        learner = Learner(self.model, lags[-1], self.options, patience=PATIENCE)
        for lag in lags:
            for problem in list(going):
                learner.reset()
                start = self._gates(lag) if problem is WATCHED else {}
                try:
                    best = max(row["explained"] for row in learner.learn(problem, lag))
                except Diverged:
                    best, start = float("-inf"), {}
                explained[problem.__name__][lag] = best
                if best < SOLVED:
                    going.remove(problem)
                if start:
                    learned = self._gates(lag)
                    watched.append({"lag": lag, "solved": best >= SOLVED, "start": start, "learned": learned})
            learner.reset()
            if not going:
                break
        return {"explained": explained, "gates": watched}

    def _gates(self, lag: int) -> dict[str, dict[str, np.ndarray]]:
        """Returns statistics of each gate: its mean and its percentiles ``QUANTILES`` at each time step.

        The statistics are computed over all units and all sequences. Each statistic is an array ``(T,)`` for
        T time steps.
        """
        inputs, _ = WATCHED(np.random.default_rng(self.options.seed), 32, lag)
        with tf.GradientTape() as tape, gradients.recording(self.model, tape) as traces:
            self.model({"inputs": inputs, "lengths": np.full(len(inputs), inputs.shape[1], np.int32)})
        found = gradients.gates(traces[0])
        return {name: _statistics(gate) for name, gate in found.items()}


def _statistics(gate: np.ndarray) -> dict[str, np.ndarray]:
    quantiles = np.percentile(gate, QUANTILES, axis=(1, 2))
    return {"mean": gate.mean(axis=(1, 2)), **{f"{share} %": q for share, q in zip(QUANTILES, quantiles)}}


def _passing(climb: dict[str, Any]) -> dict[str, Any]:
    """Returns the values of one gate before and after the training.

    This gate is the factor by which each step multiplies the old state. The values are from the longest lag
    at which the cell solved the problem ``WATCHED``. If the cell did not solve it at any lag, the result is
    empty.
    """
    solved = [each for each in climb["gates"] if each["solved"]]
    if not solved:
        return {}
    longest = solved[-1]
    gate = next(iter(longest["start"]))
    curves = {when: longest[when][gate][BEST] for when in ("start", "learned")}
    return {"gate": gate, "lag": longest["lag"], **curves}


def _row(name: str, climb: dict[str, Any], lags: list[int]) -> dict[str, Any]:
    row: dict[str, Any] = {"cell": name}
    for problem, explained in climb["explained"].items():
        failed = [lag for lag, share in explained.items() if share < SOLVED]
        row[f"{problem} fails at"] = failed[0] if failed else f"over {lags[-1]}"
    passing = _passing(climb)
    # The first inputs are signs (-1 or 1), and the cell must repeat them at the last steps. ``middle``
    # contains the steps after the signs and before the first answer.
    middle = slice(problems.ANSWERS, passing["lag"]) if passing else slice(0)
    row["gradient passes"] = passing["gate"] if passing else None
    row[f"its {BEST} quantile at the start"] = float(np.mean(passing["start"][middle])) if passing else None
    row[f"its {BEST} quantile when learned"] = float(np.mean(passing["learned"][middle])) if passing else None
    return row


def _learned(problem: str, climbs: dict[str, dict[str, Any]], lags: list[int]) -> plots.Panel:
    curves = []
    for name, climb in climbs.items():
        explained = climb["explained"][problem]
        curves.append(plots.Curve(name, list(explained), np.clip(list(explained.values()), -0.1, 1), "o-"))
    limits = (lags[0] / 1.2, lags[-1] * 1.2)
    return plots.Panel(
        problem, "lag (time steps)", "explained share", curves, "x", limits=(-0.15, 1.05), x_limits=limits
    )


def _gates(climbs: dict[str, dict[str, Any]]) -> plots.Panel:
    curves = []
    for name, climb in climbs.items():
        passing = _passing(climb)
        for when, line in (("learned", "-"), ("start", ":")) if passing else ():
            curves.append(plots.Curve(name, np.arange(len(passing[when])), passing[when], line))
    title = f"gates in {WATCHED.__name__}\n(dotted: initial, solid: trained)"
    label = f"gate value, {BEST} quantile"
    return plots.Panel(title, "time step", label, curves, limits=(0, 1.05))


def _found(rows: list[dict[str, Any]], lags: list[int]) -> str:
    ends = "; ".join(
        f"{row['cell']} {', '.join(str(row[f'{problem.__name__} fails at']) for problem in PROBLEMS)}"
        for row in rows
    )
    names = ", ".join(problem.__name__ for problem in PROBLEMS)
    gates = ", ".join(
        f"{row['gradient passes']} of {row['cell']} "
        f"{row[f'its {BEST} quantile at the start']:.2f} to {row[f'its {BEST} quantile when learned']:.2f}"
        for row in rows
        if row["gradient passes"]
    )
    opened = (
        f"; gates on the gradient path in {WATCHED.__name__}, before and after training: {gates}"
        if gates
        else ""
    )
    return (
        f"first lag, of {', '.join(map(str, lags))}, at which a cell fails to learn {names}: {ends}{opened}"
    )
