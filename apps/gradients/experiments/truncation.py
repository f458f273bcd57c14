r"""Experiment ``truncation``: compares truncated with full backpropagation through time.

Truncated backpropagation splits the sequence into windows of k steps. The state is passed from one window to
the next, but the gradient is not (Williams and Peng 1990). The truncated gradient omits every path that
leaves its window, so it is biased (Tallec and Ollivier 2017, arXiv 1705.08209). An input more than
k steps before an output is always in another window. The network therefore does not learn how the output
depends on this input. The advantage of a short window is that it needs less memory and time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients import problems
from apps.gradients.findings import Findings
from apps.gradients.learning import STEPS_IN_EPOCH, Learner, Reader, solved
from apps.gradients.options import Truncation
from seqmodels import kernels
from seqmodels.cells import LSTMCell
from seqmodels.evaluation import plots

BATCH, INPUTS, REPEATS = 16, 8, 3


def run(options: Truncation, say: Callable[[str], None]) -> Findings:
    windows = [2**power for power in range(options.length.bit_length()) if 2**power < options.length]
    say("comparing gradients")
    rows = compare([*windows, options.length], options)
    lag = options.lag + problems.ANSWERS
    tried = [lag // 4, lag // 2, lag]
    trainings = []
    for window in tried:
        say(f"training with a window of {window} steps on sequences of {lag} steps")
        trainings.append({"window": window, **learn(window, options)})
    learned = [
        plots.Curve(f"window {each['window']}", np.arange(1, len(each["curve"]) + 1), each["curve"], "o-")
        for each in trainings
    ]
    panels = [
        _panel(
            "truncated vs. full gradient", "cosine; relative error", rows, ("cosine", "relative error"), "x"
        ),
        _panel("cost of a window", "share of full backpropagation", rows, ("time", "memory"), "xy"),
        plots.Panel(
            f"recall over {options.lag} time steps",
            f"epoch ({STEPS_IN_EPOCH} training steps)",
            "explained share of variance",
            learned,
            limits=(-0.1, 1.05),
        ),
    ]
    return Findings(
        _found(rows, trainings, options),
        rows,
        lambda path: plots.curves(panels, path, "Truncated backpropagation through time"),
        {"trainings": trainings},
    )


def compare(windows: list[int], options: Truncation) -> list[dict[str, Any]]:
    """Compares truncated gradients with the full gradient, and measures time and memory per window size."""
    keras.utils.set_random_seed(options.seed)
    cell = LSTMCell(options.units)
    cell.build((None, INPUTS))
    random = np.random.default_rng(options.seed)
    inputs = tf.constant(random.normal(size=(BATCH, options.length, INPUTS)), tf.float32)
    # The target is a moving average of the first feature, so it depends on recent and on old inputs.
    targets = np.zeros((BATCH, options.length, 1), np.float32)
    for step in range(1, options.length):
        targets[:, step] = 0.95 * targets[:, step - 1] + inputs[:, step, :1]
    full = gradient(cell, inputs, targets, None)
    rows = []
    for window in windows:
        truncated = gradient(cell, inputs, targets, window)
        seconds, kept = cost(cell, inputs[:, :window], targets[:, :window])
        rows.append(
            {
                "window": window,
                "cosine": float(full @ truncated / np.linalg.norm(full) / np.linalg.norm(truncated)),
                "relative error": float(np.linalg.norm(truncated - full) / np.linalg.norm(full)),
                "milliseconds": 1000 * seconds,
                "kilobytes kept": kept / 1000,
            }
        )
    last = rows[-1]
    for row in rows:
        row["time"] = row["milliseconds"] / last["milliseconds"]
        row["memory"] = row["kilobytes kept"] / last["kilobytes kept"]
    return rows


def loss(cell: LSTMCell, inputs: tf.Tensor, targets: np.ndarray, truncate: int | None) -> tf.Tensor:
    """Returns the mean squared error. The prediction is the average output of all units."""
    states = tuple(cell.get_initial_state(inputs.shape[0]))
    outputs, _ = kernels.lstm(cell.project(inputs), states, cell.constants()[0], truncate=truncate)
    return tf.reduce_mean((tf.reduce_mean(outputs, axis=-1, keepdims=True) - targets) ** 2)


def gradient(cell: LSTMCell, inputs: tf.Tensor, targets: np.ndarray, truncate: int | None) -> np.ndarray:
    """Returns the gradient of the loss with respect to all weights, as one float64 vector."""
    weights = [weight.value for weight in cell.trainable_weights]
    with tf.GradientTape() as tape:
        total = loss(cell, inputs, targets, truncate)
    return np.concatenate([np.ravel(each) for each in tape.gradient(total, weights)]).astype(np.float64)


def cost(cell: LSTMCell, inputs: tf.Tensor, targets: np.ndarray) -> tuple[float, int]:
    """Measures the time and memory of a forward and a backward pass over one window.

    Returns:
        The time of both passes in seconds, and the number of bytes that the forward pass keeps for the
        backward pass.
    """
    weights = [weight.value for weight in cell.trainable_weights]
    gc.collect()
    before = _alive()
    with tf.GradientTape() as tape:
        total = loss(cell, inputs, targets, None)
    gc.collect()
    kept = _alive() - before
    tape.gradient(total, weights)

    @tf.function(autograph=False)
    def both(inputs: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            total = loss(cell, inputs, targets, None)
        return tape.gradient(total, weights)

    both(inputs)
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        both(inputs)[0].numpy()
        times.append(time.perf_counter() - start)
    return min(times), kept


def _alive() -> int:
    """Returns the total size in bytes of all tensors that Python still keeps in memory."""
    tensors = (each for each in gc.get_objects() if type(each).__name__ == "EagerTensor")
    return sum(each.shape.num_elements() * each.dtype.size for each in tensors if each.dtype.size)


def learn(window: int, options: Truncation) -> dict[str, Any]:
    """Trains an LSTM on the recall problem, with gradients that are truncated to windows of this size."""
    keras.utils.set_random_seed(options.seed)
    model = Reader("lstm", options.units, truncate=window)
    model.build()
    learner = Learner(model, options.lag, options)
    history = learner.learn(problems.recall)
    return {"solved": solved(history), "curve": [row["explained"] for row in history]}


def _panel(title: str, label: str, rows: list[dict[str, Any]], names: Sequence[str], log: str) -> plots.Panel:
    windows = [row["window"] for row in rows]
    curves = [plots.Curve(name, windows, [row[name] for row in rows], "o-") for name in names]
    return plots.Panel(title, "window (time steps)", label, curves, log)


def _found(rows: list[dict[str, Any]], trainings: list[dict[str, Any]], options: Truncation) -> str:
    short = next(row for row in rows if row["window"] >= options.length // 8)
    ends = ", ".join(
        f"window {each['window']} {'solves' if each['solved'] else 'fails'}" for each in trainings
    )
    return (
        f"a window of {short['window']} of {options.length} steps uses {short['memory']:.0%} of the memory, "
        f"and its gradient has a relative error of {short['relative error']:.0%}; recall of a sign over "
        f"{options.lag} steps: {ends}"
    )
