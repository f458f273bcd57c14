r"""Experiment ``clipping``: gradient descent with and without gradient clipping, on two problems.

The first problem is the cliff of Pascanu et al. (2013, figure 6). The network is one sigmoid unit without
input, ``h_t = sigmoid(w h_{t-1} + b)`` with ``h_0 = 1/2``, over 50 steps. The loss is ``(h_50 - 0.7)^2``. At
some pairs of w and b, the number of fixed points of the network changes from one to two. The loss rises
steeply at these pairs, like a wall next to a valley. Without clipping, a step of gradient descent at the wall
is so large that it leaves the valley.

The second problem is the training of a relu network on the adding problem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients import problems
from apps.gradients.findings import Findings
from apps.gradients.learning import STEPS_IN_EPOCH, Learner, Reader, solved
from apps.gradients.options import Clipping
from seqmodels.cells import RNNCell
from seqmodels.evaluation import plots
from seqmodels.layers import Recurrent
from seqmodels.registry import CLIP_BY
from seqmodels.training import Diverged
from seqmodels.training.optimizers import clip

STEPS, TARGET, START = 50, 0.7, 0.5  # time steps, target and initial state of the one-unit network
WEIGHTS, BIASES = (3.5, 6.0), (-3.0, 0.2)  # ranges of w and b in the plot
BEGIN = (4.5, -2.0)  # initial w and b of every gradient descent
# Settings of gradient descent on the cliff: learning rate, clipping threshold and number of steps.
RATE, CLIFF_THRESHOLD, DESCENTS = 0.1, 0.1, 100
WAYS: dict[str, str | None] = {"none": None, **{f"by {name}": name for name in CLIP_BY}}


def run(options: Clipping, say: Callable[[str], None]) -> Findings:
    rows, paths, curves, details = [], [], [], {}
    for name, by in WAYS.items():
        say(f"measuring with clipping: {name}")
        path, norms, clipped = descend(by)
        trained = train(by, options)
        rows.append(
            {
                "clipping": name,
                "cliff: farthest step": float(np.linalg.norm(np.diff(path, axis=0), axis=-1).max()),
                "cliff: last loss": float(cliff_loss(path[-1:])[0]),
                "cliff: clipped": _of(clipped, norms),
                "training: end": trained.end,
                "training: explained": trained.explained,
                "training: largest norm": max(trained.norms, default=None),
                "training: clipped": _of(trained.clipped, trained.norms),
            }
        )
        paths.append(plots.Curve(name, path[:, 0], path[:, 1], ".-"))
        epochs = np.arange(1, len(trained.losses) + 1)
        curves.append(plots.Curve(name, STEPS_IN_EPOCH * epochs, trained.losses, "o-"))
        details[name] = {"path": path, "cliff_norms": norms, **asdict(trained)}
    weights, biases = np.linspace(*WEIGHTS, 60), np.linspace(*BIASES, 60)
    points = np.stack(np.meshgrid(weights, biases), axis=-1)  # (biases, weights, 2)
    surface = (weights, biases, cliff_loss(points.reshape(-1, 2)).reshape(60, 60))
    shown: dict[str, Any] = {"limits": BIASES, "x_limits": WEIGHTS, "surface": surface}
    panels = [
        plots.Panel("loss surface (darker: higher)", "weight w", "bias b", paths, **shown),
        plots.Panel("adding problem", "training step", "validation loss (MSE)", curves, "y"),
    ]
    return Findings(
        _found(rows),
        rows,
        lambda path: plots.curves(panels, path, "Gradient clipping"),
        {"trainings": details},
    )


def cliff_loss(points: np.ndarray) -> np.ndarray:
    """Computes the loss ``(n,)`` of the one-unit network for pairs of weight and bias, ``(n, 2)``."""
    h = np.full(len(points), START)
    for _ in range(STEPS):
        h = 1 / (1 + np.exp(-(points[:, 0] * h + points[:, 1])))
    return (h - TARGET) ** 2


def cliff_gradient() -> Callable[[np.ndarray], list[tf.Tensor]]:
    """Returns a function that computes the gradient of :func:`cliff_loss` by backpropagation.

    The function receives a point ``(w, b)``. It returns the gradient with respect to w, ``(1, 1)``, and the
    gradient with respect to b, ``(1,)``.
    """
    cell = RNNCell(1, "sigmoid", dtype="float64")
    cell.build((None, 1))
    layer = Recurrent(cell)
    nothing, start = tf.zeros((1, STEPS, 1), tf.float64), tf.fill((1, 1), tf.constant(START, tf.float64))

    @tf.function(autograph=False)
    def gradient() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            outputs, _ = layer(nothing, states=[start], training=True)
            loss = (outputs[0, -1, 0] - TARGET) ** 2
        return tape.gradient(loss, [cell.recurrent_kernel.value, cell.bias.value])

    def at(point: np.ndarray) -> list[tf.Tensor]:
        cell.recurrent_kernel.assign([[point[0]]])
        cell.bias.assign([point[1]])
        return gradient()

    return at


def descend(by: str | None) -> tuple[np.ndarray, list[float], int]:
    """Runs gradient descent on the cliff from ``BEGIN``.

    Args:
        by: type of clipping, one of ``CLIP_BY``. None disables clipping.

    Returns:
        Three results: the initial pair (w, b) and the pair after each step, ``(DESCENTS + 1, 2)``; the
        gradient norm of each step before clipping; and the number of clipped steps.
    """
    gradient = cliff_gradient()
    threshold = None if by is None else CLIFF_THRESHOLD
    path, norms, changed = [np.array(BEGIN)], [], 0
    for _ in range(DESCENTS):
        clipped = clip(gradient(path[-1]), threshold, by or "global")
        norms.append(float(clipped.norm))
        changed += int(clipped.changed)
        path.append(path[-1] - RATE * np.concatenate([np.ravel(each) for each in clipped.gradients]))
    return np.stack(path), norms, changed


@dataclass(frozen=True)
class Trained:
    """The result of one training.

    Attributes:
        losses: validation loss after each epoch.
        norms: gradient norm of each step.
        clipped: number of steps in which clipping changed the gradient.
        explained: share of the variance that the network explains in its best epoch; a perfect network has 1.
            None if the training diverged.
        end: "solved", "not solved" or "diverged at step N".
    """

    losses: list[float]
    norms: list[float]
    clipped: int
    explained: float | None
    end: str


def train(by: str | None, options: Clipping) -> Trained:
    """Trains a relu network on the adding problem with Adam.

    The recurrent matrix is initially the identity matrix (Le et al. 2015).

    Args:
        by: type of clipping, one of ``CLIP_BY``. None disables clipping.
        options: options of the experiment.
    """
    keras.utils.set_random_seed(options.seed)
    model = Reader("rnn-relu", options.units)
    model.build()
    clipnorm = None if by is None else options.threshold
    learner = Learner(model, options.lag, options, clipnorm=clipnorm, clip_by=by or "global")
    try:
        history = learner.learn(problems.adding)
    except Diverged:
        position = learner.training.position
        losses = [row["valid_loss"] for row in position.history]
        clipped = _clipped(position.history) + round(position.sums.get("clipped", 0))
        return Trained(losses, learner.norms, clipped, None, f"diverged at step {len(learner.norms) + 1}")
    explained = max(row["explained"] for row in history)
    end = "solved" if solved(history) else "not solved"
    losses = [row["valid_loss"] for row in history]
    return Trained(losses, learner.norms, _clipped(history), explained, end)


def _clipped(history: list[dict[str, float]]) -> int:
    return round(sum(row["clipped"] * row["steps"] for row in history))


def _of(clipped: int, steps: list[float]) -> str:
    return f"{clipped} of {len(steps)}"


def _found(rows: list[dict[str, Any]]) -> str:
    without, *with_ = rows
    last = ", ".join(f"{row['clipping']} {row['cliff: last loss']:.2g}" for row in with_)
    ends = ", ".join(f"{row['clipping']}: {row['training: end']}" for row in rows)
    return (
        f"cliff: without clipping the longest step is {without['cliff: farthest step']:.2g} and the last "
        f"loss is {without['cliff: last loss']:.2g} (last loss with clipping: {last}); result of the "
        f"training by type of clipping: {ends}"
    )
