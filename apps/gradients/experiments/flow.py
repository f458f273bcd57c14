"""Experiment ``flow``: measures how the gradient shrinks or grows with the distance back in time.

Let ``s_t`` be the concatenation of all states of a cell after step t. These are ``h`` and ``c`` in an LSTM,
and only ``h`` in every other cell. Let T be the last step and L the loss. The experiment computes the norms
of ``ds_T/ds_t`` and ``dL/ds_t`` for every distance ``T - t``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import VARIANTS, Flow
from apps.gradients.trained import Trained, open_run
from apps.options import flag
from apps.run import Run
from seqmodels import analysis as gradients
from seqmodels import registry
from seqmodels.errors import UsageError, UserError
from seqmodels.evaluation import plots
from seqmodels.layers import Recurrent

INPUTS = 8  # number of input features of untrained cells; the inputs are random
FRESH = ("cell", "units", "steps")  # options that apply to untrained cells only
BATCHES = 100  # the batch with the longest sequences is chosen from this number of validation batches


@dataclass(frozen=True)
class Measured:
    """The measurements of one recurrent layer.

    T is the last time step. In each array ``(T + 1,)``, entry k belongs to the state k steps before T.
    ``states`` is the size of the state. ``method`` describes how ``jacobian`` was computed.
    """

    name: str
    states: int
    jacobian: np.ndarray  # norm of ds_T/ds_t, geometric mean over rows
    largest: np.ndarray  # norm of ds_T/ds_t, maximum over rows
    loss: np.ndarray  # norm of dL/ds_t, mean over rows; 0 if the pooling ignores the step
    bound: np.ndarray | None  # upper bound of ``largest``; None if the cell has no bound
    method: str

    @property
    def verdict(self) -> gradients.Verdict:
        return gradients.verdict(self.jacobian)

    def row(self) -> dict[str, Any]:
        judged = self.verdict
        return {
            "cell": self.name,
            "state": self.states,
            "steps": len(self.jacobian) - 1,
            "||ds_T/ds_0||": float(self.largest[-1]),
            "bound": None if self.bound is None else float(self.bound[-1]),
            "factor a step": judged.factor,
            "reach": judged.reach,
            "verdict": judged.kind,
            "by": self.method,
        }


def run(options: Flow, say: Callable[[str], None]) -> Findings:
    folder = Run(options.run)
    if folder.finished:
        if given := [flag(name) for name in FRESH if getattr(options, name) != getattr(Flow(), name)]:
            raise UsageError(
                f"{', '.join(given)} cannot be set for the trained run {folder.path}; "
                "remove the option. To measure untrained cells instead, set --run to a folder without a run"
            )
        measured = trained(open_run(folder), options)
    else:
        say(
            f"note: no trained run found at {folder.path}; measuring untrained cells "
            "(`python -m apps.TASK train` creates a run)"
        )
        measured = fresh(options, say)
    if not measured:
        raise UserError(
            f"the model of {folder.path} has no recurrent layer; use a run whose model is recurrent"
        )
    name = str(folder.path) if folder.finished else "untrained cells"
    if len(measured) == 1 or folder.finished:
        found = "; ".join(f"{each.name}: {each.verdict.words}" for each in measured)
    else:
        found = _compared(measured)
    curves = {
        each.name: {
            "jacobian": each.jacobian,
            "largest": each.largest,
            "loss": each.loss,
            "bound": each.bound,
            "verdict": each.verdict.words,
        }
        for each in measured
    }
    return Findings(
        found,
        [each.row() for each in measured],
        lambda path: plots.curves(_panels(measured), path, f"Gradient flow: {name}"),
        {"curves": curves},
    )


def fresh(options: Flow, say: Callable[[str], None]) -> list[Measured]:
    """Measures untrained cells on random inputs.

    The loss is the dot product of the last output and a random unit vector.
    """
    measured = []
    for name in VARIANTS if options.cell == "all" else [options.cell]:
        say(f"measuring {name}")
        keras.utils.set_random_seed(options.seed)
        cell, changes = VARIANTS[name]
        layer = Recurrent(
            registry.make(registry.CELLS, cell, units=options.units, dtype="float64", **changes), name=name
        )
        layer.build((None, None, INPUTS))
        random = np.random.default_rng(options.seed)
        inputs = tf.constant(random.normal(size=(options.rows, options.steps, INPUTS)))
        direction = random.normal(size=options.units)
        direction /= np.linalg.norm(direction)

        def loss(layer: Recurrent = layer, inputs: Any = inputs, direction: Any = direction) -> tf.Tensor:
            return tf.reduce_sum(layer(inputs)[0][:, -1] * direction)

        measured += measure(layer, loss, options)
    return measured


def trained(run: Trained, options: Flow) -> list[Measured]:
    """Measures every recurrent layer of a trained model on validation data.

    The loss function is the same as in the training of the model.
    """
    longest = max(islice(run.batches, BATCHES), key=lambda batch: _steps(batch[0]))
    by_row = np.reshape(longest[2], (len(longest[2]), -1))
    # Sequences with weight 0 are skipped. They contain no data: they only fill an incomplete batch.
    real = np.flatnonzero(by_row.max(axis=1) > 0)[: options.rows]
    inputs, targets, weights = tf.nest.map_structure(lambda each: tf.gather(each, real), longest)

    def loss() -> tf.Tensor:
        return run.objective(run.model, inputs, targets, weights, run.carried(len(weights)), False).total

    return measure(run.model, loss, options)


def _steps(inputs: Any) -> int:
    """Returns the sequence length of the inputs of a batch."""
    return max(each.shape[1] for each in tf.nest.flatten(inputs) if each.shape.rank > 1)


def measure(model: keras.Layer, loss: Callable[[], tf.Tensor], options: Flow) -> list[Measured]:
    """Measures every recurrent layer. The function ``loss`` calls the model and returns the loss."""
    with tf.GradientTape() as tape, gradients.recording(model, tape) as traces:
        total = loss()
    return [
        _curves(trace, by_loss, options)
        for trace, by_loss in zip(traces, gradients.loss_gradients(tape, total, traces))
    ]


def _curves(trace: gradients.Trace, by_loss: np.ndarray, options: Flow) -> Measured:
    if trace.size <= options.exact:
        products = gradients.state_jacobians(gradients.step_jacobians(trace))
        method = "Jacobians"
    else:
        random = np.random.default_rng(options.seed).normal(size=(trace.size, options.vectors))
        products = gradients.vector_products(trace, np.linalg.qr(random)[0].T)
        method = f"{options.vectors} vectors (lower bound)"
    norms = trace.by_distance(gradients.spectral_norms(products))
    reached = np.isfinite(norms).any(axis=0)
    norms, losses = norms[:, reached], trace.by_distance(np.linalg.norm(by_loss, axis=-1))[:, reached]
    bound = gradients.step_bound(trace)
    return Measured(
        trace.name,
        trace.size,
        gradients.mean_norms(norms),
        np.nanmax(norms, axis=0),
        np.nanmean(losses, axis=0),
        None if bound is None else bound ** np.arange(norms.shape[1]),
        method,
    )


def _compared(measured: Sequence[Measured]) -> str:
    """Returns one line with the reach of every cell, sorted from the largest reach to the smallest.

    The reach is a distance in time steps. Up to this distance, the gradient norm is at least ``LEFT`` times
    the norm at distance 0.
    """
    far = sorted(measured, key=lambda each: -each.verdict.reach)
    reaches = ", ".join(f"{each.name} {each.verdict.reach}" for each in far)
    broken = [each.name for each in measured if each.bound is not None and _exceeds(each)]
    bounds = f"the bound is exceeded by {', '.join(broken)}" if broken else "no bound is exceeded"
    steps = len(measured[0].jacobian) - 1
    return (
        f"largest distance, of {steps} steps, with at least {gradients.LEFT:.0%} of the gradient left: "
        f"{reaches}; {bounds}"
    )


def _exceeds(measured: Measured) -> bool:
    return bool((measured.largest > measured.bound * (1 + 1e-6)).any())  # type: ignore[operator]


def _panels(measured: Sequence[Measured]) -> list[plots.Panel]:
    jacobians, losses = [], []
    for each in measured:
        distances = np.arange(len(each.jacobian))
        jacobians.append(plots.Curve(each.name, distances, each.jacobian))
        losses.append(plots.Curve(each.name, distances, each.loss))
        if each.bound is not None:
            jacobians.append(plots.Curve(each.name, distances, each.bound, "--"))
    shared: dict[str, Any] = {"x_label": "distance T - t (time steps)", "log": "y", "limits": (1e-12, 1e3)}
    return [
        plots.Panel(
            "states (solid: measured, dashed: bound)",
            y_label="Jacobian norm ||ds_T/ds_t||",
            curves=jacobians,
            **shared,
        ),
        plots.Panel("loss", y_label="gradient norm ||dL/ds_t||", curves=losses, **shared),
    ]
