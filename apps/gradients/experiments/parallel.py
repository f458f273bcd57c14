r"""Experiment ``parallel``: measures the computing time of sequential and parallel cells.

An LSTM or a GRU is sequential: it computes its T steps one after the other. Each step needs a small matrix
product that depends on the previous step. In a parallel cell, the gates do not depend on the state. Such a
cell is a linear recurrence (Martin and Cundy 2018). It needs only one matrix product for all steps together.
Only elementwise operations depend on the previous step.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import Parallel
from seqmodels import registry
from seqmodels.evaluation import plots
from seqmodels.layers import Recurrent

SEQUENTIAL, PARALLEL = ("lstm", "gru", "gru-reset-after"), registry.PARALLEL_CELLS
REPEATS = 7  # number of timed passes


def run(options: Parallel, say: Callable[[str], None]) -> Findings:
    lengths = options.tried()
    rows, curves = [], []
    for name in (*SEQUENTIAL, *PARALLEL):
        say(f"timing {name}")
        rows += [{"cell": name, "T": length, **timed(name, length, options)} for length in lengths]
        own = [row["milliseconds"] for row in rows if row["cell"] == name]
        curves.append(plots.Curve(name, lengths, own, "o-" if name in SEQUENTIAL else "s--"))
    panel = plots.Panel(
        "forward and backward pass", "sequence length T (time steps)", "time (ms)", curves, "xy"
    )
    return Findings(_found(rows), rows, lambda path: plots.curves([panel], path))


def timed(name: str, length: int, options: Parallel) -> dict[str, Any]:
    """Measures the time of a compiled forward and backward pass of a cell.

    Returns the median and the quartiles in milliseconds, and the throughput in tokens per second. Each time
    step of each sequence is a token.
    """
    keras.utils.set_random_seed(options.seed)
    layer = Recurrent(registry.make(registry.CELLS, name, units=options.units))
    inputs = np.random.default_rng(options.seed).normal(size=(options.rows, length, options.units))
    inputs = tf.constant(inputs, tf.float32)
    layer.build(inputs.shape)

    @tf.function(jit_compile=True, autograph=False)
    def both() -> list[tf.Tensor]:
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            outputs, _ = layer(inputs, training=True)
            loss = tf.reduce_mean(outputs**2)
        return tape.gradient(loss, weights)

    both()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        both()[0].numpy()
        times.append(1000 * (time.perf_counter() - start))
    low, median, high = statistics.quantiles(times, n=4)
    tokens = options.rows * length / median * 1000
    return {"milliseconds": median, "quartiles": f"{low:.3g} to {high:.3g}", "tokens/s": round(tokens)}


def _found(rows: list[dict[str, Any]]) -> str:
    longest = max(row["T"] for row in rows)
    last = {row["cell"]: row["milliseconds"] for row in rows if row["T"] == longest}
    first = {row["cell"]: row["milliseconds"] for row in rows if row["T"] == rows[0]["T"]}
    slow, fast = (min(names, key=last.__getitem__) for names in (SEQUENTIAL, PARALLEL))
    powers = ", ".join(
        f"{name} T^{math.log(last[name] / first[name]) / math.log(longest / rows[0]['T']):.2f}"
        for name in last
    )
    return (
        f"at {longest} steps {fast} is {last[slow] / last[fast]:.1f} times as fast as {slow} "
        f"({last[fast]:.3g} and {last[slow]:.3g} ms); time grows as {powers}"
    )
