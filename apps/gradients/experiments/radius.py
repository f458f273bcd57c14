r"""Experiment ``radius``: measures the gradient norm for three spectral radii of the recurrent matrix U.

The spectral radius rho is the largest absolute eigenvalue of U. In a linear network, the Jacobian of every
step is ``U^T``. The Jacobian over k steps is therefore ``(U^T)^k``. For any norm, ``||U^k||^(1/k)`` tends to
rho as k grows (Gelfand's formula). The gradient norm therefore changes approximately as ``rho^k``.

In a tanh network, every step also multiplies the gradient by a slope of tanh, which is at most 1. These
slopes shrink the gradient, but they prevent an explosion only if rho is not too large. The only state of
both networks is the hidden state h. The experiment therefore measures the norm of ``dh_T/dh_t``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import Radius
from seqmodels import analysis as gradients
from seqmodels.cells import RNNCell
from seqmodels.evaluation import plots
from seqmodels.layers import Recurrent

INPUTS, NOISE = 4, 0.5
LOG_10, NORM = (
    math.log(10),
    "log10 ||dh_T/dh_t||",
)  # the plot shows the logarithm, because the norm may overflow


def run(options: Radius, say: Callable[[str], None]) -> Findings:
    rows, panels, details = [], [], []
    for activation in ("linear", "tanh"):
        curves = []
        for radius in (options.below, 1.0, options.above):
            say(f"measuring the {activation} network with spectral radius {radius:g}")
            logarithms, kernel = log_norms_by_distance(activation, radius, options)
            rate = gradients.slope(logarithms, first=options.steps // 4)
            rows.append(
                {
                    "activation": activation,
                    "radius": radius,
                    "||U||": float(np.linalg.norm(kernel, ord=2)),
                    "log radius": math.log(radius),
                    "measured rate": rate,
                    f"{NORM}, {options.steps} steps": float(logarithms[-1] / LOG_10),
                }
            )
            details.append({"activation": activation, "radius": radius, NORM: logarithms / LOG_10})
            distances = np.arange(len(logarithms))
            curves.append(plots.Curve(f"radius {radius:g}", distances, logarithms / LOG_10))
            curves.append(plots.Curve("theory: radius^k", distances, distances * math.log10(radius), ":"))
        panels.append(plots.Panel(activation, "distance T - t (time steps)", NORM, curves, limits=(-12, 6)))
    return Findings(
        _found(rows),
        rows,
        lambda path: plots.curves(panels, path, "Gradient norm by spectral radius of U"),
        {"curves": details},
    )


def log_norms_by_distance(activation: str, radius: float, options: Radius) -> tuple[np.ndarray, np.ndarray]:
    """Measures the gradient norm in a network with a random matrix U of the given spectral radius.

    Returns:
        A pair of arrays. The first array ``(T + 1,)`` contains the natural logarithm of ``||dh_T/dh_t||`` for
        every distance ``T - t`` from 0 to T. The second array ``(units, units)`` is U.
    """
    random = np.random.default_rng(options.seed)
    layer = Recurrent(RNNCell(options.units, activation, dtype="float64"))
    layer.build((None, None, INPUTS))
    kernel = random.normal(size=(options.units, options.units))
    kernel *= radius / gradients.spectral_radius(kernel)
    layer.cell.recurrent_kernel.assign(kernel)
    inputs = tf.constant(random.normal(scale=NOISE, size=(1, options.steps, INPUTS)))
    with tf.GradientTape() as tape, gradients.recording(layer, tape) as traces:
        layer(inputs)
    logarithms = gradients.log_norms(gradients.step_jacobians(traces[0]))
    return traces[0].by_distance(logarithms)[0], kernel


def _found(rows: list[dict[str, Any]]) -> str:
    linear = ", ".join(f"{row['measured rate']:+.4f} (theory {row['log radius']:+.4f})" for row in rows[:3])
    squashed = ", ".join(f"{row['measured rate']:+.4f}" for row in rows[3:])
    taken = [line["measured rate"] - squash["measured rate"] for line, squash in zip(rows[:3], rows[3:])]
    return (
        f"linear: the logarithm of the gradient changes by {linear} per step; tanh: by {squashed} per step, "
        f"which is {min(taken):.4f} to {max(taken):.4f} less than in the linear network"
    )
