r"""The spectral radius of U decides: ``||U^k||`` behaves as ``rho^k`` in the end.

In a linear network every step Jacobian is ``U^T``, so the Jacobian over k steps is ``(U^T)^k`` and
``||U^k||^(1/k)`` tends to the spectral radius (Gelfand's formula), whatever the norm of U is. tanh multiplies
every step by a slope of at most 1, which takes the gradient down and stops an explosion.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import Radius
from seqmodels.analysis import gradients, plots
from seqmodels.layers import Recurrent, RNNCell

INPUTS, NOISE = 4, 0.5


def run(options: Radius, say: Callable[[str], None]) -> Findings:
    rows, panels, details = [], [], []
    for activation in ("linear", "tanh"):
        curves = []
        for radius in (options.below, 1.0, options.above):
            say(f"measuring {activation}, radius {radius:g}")
            norms, kernel = norms_by_distance(activation, radius, options)
            rate = gradients.decay_rate(norms, first=options.steps // 4)
            rows.append(
                {
                    "activation": activation,
                    "radius": radius,
                    "||U||": float(np.linalg.norm(kernel, ord=2)),
                    "log radius": math.log(radius),
                    "measured rate": rate,
                    f"||dh_T/dh_t||, {options.steps} steps": float(norms[-1]),
                }
            )
            details.append({"activation": activation, "radius": radius, "norms": norms})
            distances = np.arange(len(norms))
            curves.append(plots.Curve(f"radius {radius:g}", distances, norms))
            curves.append(plots.Curve("radius^k", distances, radius**distances, ":"))
        panels.append(plots.Panel(activation, "distance T - t", "||dh_T/dh_t||", curves, "y", (1e-12, 1e6)))
    return Findings(
        _found(rows),
        rows,
        lambda path: plots.curves(panels, path, "The spectral radius of U"),
        {"curves": details},
    )


def norms_by_distance(activation: str, radius: float, options: Radius) -> tuple[np.ndarray, np.ndarray]:
    """``||dh_T/dh_t||`` by distance ``(T + 1,)``, and U, a random matrix of that spectral radius."""
    random = np.random.default_rng(options.seed)
    layer = Recurrent(RNNCell(options.units, activation, dtype="float64"))
    layer.build((None, None, INPUTS))
    kernel = random.normal(size=(options.units, options.units))
    kernel *= radius / gradients.spectral_radius(kernel)
    layer.cell.recurrent_kernel.assign(kernel)
    inputs = tf.constant(random.normal(scale=NOISE, size=(1, options.steps, INPUTS)))
    with tf.GradientTape() as tape, gradients.recording(layer, tape) as traces:
        layer(inputs)
    products = gradients.state_jacobians(gradients.step_jacobians(traces[0]))
    return traces[0].by_distance(gradients.spectral_norms(products))[0], kernel


def _found(rows: list[dict[str, Any]]) -> str:
    linear = ", ".join(f"{row['measured rate']:+.4f} (theory {row['log radius']:+.4f})" for row in rows[:3])
    squashed = ", ".join(f"{row['measured rate']:+.4f}" for row in rows[3:])
    return (
        f"linear: the logarithm of the gradient changes by {linear} a step; with tanh by {squashed}: its "
        "slopes take the gradient down, also where the radius is above 1"
    )
