r"""How far each cell can be taught to remember, and which gate lets the gradient pass.

Every cell learns every problem at growing lags by the same number of steps, and goes on to the next lag while
it solves the problem. On the path that does not go through U the gradient of one step is multiplied by the
share of the state that is kept: ``f`` of an LSTM, ``1 - u`` of a GRU, ``a`` of a parallel cell. It starts
at ``sigmoid(bias)``, so that a forget bias of 0 halves the gradient at every step and one of 1 leaves 0.73 of
it (Gers et al. 2000; Jozefowicz et al. 2015, section 2.4).
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
from apps.gradients.options import Memory
from seqmodels.analysis import gradients, plots
from seqmodels.training.loop import Diverged

CELLS = ("rnn-tanh", "rnn-relu", "lstm-forget-0", "lstm", "gru", "mingru", "minlstm", "rglru")
PROBLEMS = (problems.adding, problems.copying, problems.parity)
WATCHED = problems.copying  # whose gates are looked at: nothing happens between its two ends
BEST = 90  # per cent: the gate of the units that keep most
WORKERS = 2  # XLA runs the small products of one training on one core


def run(options: Memory, say: Callable[[str], None]) -> Findings:
    lags = [options.shortest * 3**power for power in range(options.lags)]
    names = CELLS if options.cell == "all" else (options.cell,)
    # All weights before any training, because the threads would share the seed.
    models = {}
    for name in names:
        keras.utils.set_random_seed(options.seed)
        models[name] = Reader(name, options.units)
        models[name].build()

    def climb(name: str) -> dict[str, Any]:
        found = Climb(name, models[name], options).up(lags)
        say(f"{name}: {found['explained']}")
        return found

    with ThreadPoolExecutor(WORKERS) as pool:
        climbs = dict(zip(names, pool.map(climb, names)))
    rows = [_row(name, each, lags) for name, each in climbs.items()]
    panels = [_learned(problem.__name__, climbs, lags) for problem in PROBLEMS]
    gates = {name: each["gates"] for name, each in climbs.items() if each["gates"]}
    if gates:
        panels.append(_gates(gates))
    return Findings(
        _found(rows, lags),
        rows,
        lambda path: plots.curves(panels, path, "Memory"),
        {"cells": climbs},
    )


class Climb:
    """One cell from lag to lag.

    Args:
        name: of the cell.
        model: built; its weights are where every training begins.
        options: of the experiment.
    """

    def __init__(self, name: str, model: Reader, options: Memory):
        self.name, self.model, self.options = name, model, options

    def up(self, lags: list[int]) -> dict[str, Any]:
        """What is explained of each problem at each lag, up to the one that fails, and the gates of
        ``WATCHED`` as they start and as they were learned at the longest lag that was solved."""
        explained: dict[str, dict[int, float]] = {problem.__name__: {} for problem in PROBLEMS}
        going, watched = list(PROBLEMS), {}
        for lag in lags:
            learner = Learner(self.model, lag, self.options)
            for problem in list(going):
                learner.reset()
                start = self._gates(lag) if problem is WATCHED else {}
                try:
                    best = max(row["explained"] for row in learner.learn(problem))
                except Diverged:
                    best = float("-inf")
                explained[problem.__name__][lag] = best
                if best < SOLVED:
                    going.remove(problem)
                elif problem is WATCHED and start:
                    watched = {"lag": lag, "start": start["kept"], "learned": self._gates(lag)["kept"]}
            learner.reset()
            if not going:
                break
        return {"explained": explained, "gates": watched}

    def _gates(self, lag: int) -> dict[str, np.ndarray]:
        """``BEST`` per cent of the units and rows have a smaller gate, for each gate by step ``(T,)``."""
        inputs, _ = WATCHED(np.random.default_rng(self.options.seed), 32, lag)
        with tf.GradientTape() as tape, gradients.recording(self.model, tape) as traces:
            self.model(inputs)
        found = gradients.gates(traces[0])
        return {name: np.percentile(gate, BEST, axis=(1, 2)) for name, gate in found.items()}


def _row(name: str, climb: dict[str, Any], lags: list[int]) -> dict[str, Any]:
    row: dict[str, Any] = {"cell": name}
    for problem, explained in climb["explained"].items():
        failed = [lag for lag, share in explained.items() if share < SOLVED]
        row[f"{problem} fails at"] = failed[0] if failed else f"over {lags[-1]}"
    gates = climb["gates"]
    middle = slice(problems.ANSWERS, gates["lag"]) if gates else slice(0)
    row["kept at the start"] = float(np.mean(gates["start"][middle])) if gates else None
    row["kept when learned"] = float(np.mean(gates["learned"][middle])) if gates else None
    return row


def _learned(problem: str, climbs: dict[str, dict[str, Any]], lags: list[int]) -> plots.Panel:
    curves = []
    for name, climb in climbs.items():
        explained = climb["explained"][problem]
        curves.append(plots.Curve(name, list(explained), np.clip(list(explained.values()), -0.1, 1), "o-"))
    limits = (lags[0] / 1.2, lags[-1] * 1.2)
    return plots.Panel(problem, "lag", "share explained", curves, "x", limits=(-0.15, 1.05), x_limits=limits)


def _gates(gates: dict[str, dict[str, Any]]) -> plots.Panel:
    curves = []
    for name, each in gates.items():
        curves.append(plots.Curve(name, np.arange(len(each["learned"])), each["learned"]))
        curves.append(plots.Curve(name, np.arange(len(each["start"])), each["start"], ":"))
    title = f"{WATCHED.__name__}: dotted at the start, solid learned"
    return plots.Panel(title, "step", "share of the state that is kept", curves, limits=(0, 1.05))


def _found(rows: list[dict[str, Any]], lags: list[int]) -> str:
    ends = "; ".join(
        f"{row['cell']} {', '.join(str(row[f'{problem.__name__} fails at']) for problem in PROBLEMS)}"
        for row in rows
    )
    names = ", ".join(problem.__name__ for problem in PROBLEMS)
    return f"lag at which {names} fail, of {', '.join(map(str, lags))}: {ends}"
