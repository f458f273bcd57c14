"""Records what recurrent layers compute, and reads gradients, gates and bounds from the records.

Axes: n rows, T steps, S numbers in all states of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import Cell
from seqmodels.kernels import States
from seqmodels.layers import Recurrent


@dataclass
class Trace:
    """What a cell went through over one batch.

    Attributes:
        name: of the layer that ran the cell; the second call of a name has a 2 after it, and so on.
        cell: the cell.
        projected: ``(n, p)`` for each step.
        states: before the first step and after each; tuples of ``(n, units)``.
        constants: of the cell, over all steps.
        lengths: ``(n,)`` steps of each row.
    """

    name: str
    cell: Cell
    projected: list[tf.Tensor]
    states: list[States]
    constants: tuple
    lengths: np.ndarray

    @property
    def size(self) -> int:
        """Numbers in all states of a row, S."""
        return sum(self.cell.state_size)

    def real(self, step: int) -> np.ndarray:
        """Rows in which the step, counted from 0, is not padding: ``(n,)``."""
        return step < self.lengths

    def by_distance(self, values: np.ndarray) -> np.ndarray:
        """``(n, T + 1)`` by time to ``(n, T + 1)`` by distance from each row's own end; NaN beyond a row."""
        result = np.full(values.shape, np.nan)
        for row, length in enumerate(self.lengths):
            result[row, : length + 1] = values[row, length::-1]
        return result


def recurrent_layers(model: keras.Layer) -> list[Recurrent]:
    """Every ``Recurrent`` in a layer or model, itself included.

    >>> from seqmodels.cells import GRUCell
    >>> [layer.name for layer in recurrent_layers(keras.Sequential([Recurrent(GRUCell(2), name="reader")]))]
    ['reader']
    """
    return [layer for layer in model._flatten_layers() if isinstance(layer, Recurrent)]


@contextmanager
def recording(model: keras.Layer, tape: tf.GradientTape) -> Iterator[list[Trace]]:
    """Every call of a recurrent layer inside the block leaves a trace, in the order of the calls.

    Inside, call the model eagerly and with ``training=False``. The states of a trace are those that the
    outputs were computed from, so that ``tape`` differentiates by them.

    >>> from seqmodels.cells import LSTMCell
    >>> layer = Recurrent(LSTMCell(3), name="reader")
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     outputs, _ = layer(tf.ones((2, 4, 5)))
    >>> traces[0].name, len(traces[0].states), traces[0].size
    ('reader', 5, 6)
    """
    traces: list[Trace] = []

    def instrumented(layer: Recurrent) -> Any:
        def run(inputs: tf.Tensor, lengths: Any, states: States, constants: tuple, *_: Any) -> tuple:
            projected = layer.cell.project(inputs)  # (batch, time, projected)
            tape.watch(states)
            history = [states]

            def step(x: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
                output, made = layer.cell.step(x, states, constants)
                # Copies, or the gradient of an LSTM's c_t would have in it what c_t does through h_t.
                states = tuple(tf.identity(state) for state in made)
                history.append(states)
                return next((new for new, old in zip(states, made) if old is output), output), states

            result = kernels.unrolled(step, projected, states, lengths, layer.cell.output_size)
            full = np.full(inputs.shape[0], inputs.shape[1]) if lengths is None else np.asarray(lengths)
            steps = tf.unstack(projected, axis=1)
            calls = 1 + sum(trace.name.partition(" ")[0] == layer.name for trace in traces)
            name = layer.name if calls == 1 else f"{layer.name} {calls}"
            traces.append(Trace(name, layer.cell, steps, history, constants, full))
            return result

        return run

    layers = recurrent_layers(model)
    for layer in layers:
        layer._run = instrumented(layer)  # type: ignore[method-assign]
    try:
        yield traces
    finally:
        for layer in layers:
            del layer._run


def loss_gradients(tape: tf.GradientTape, loss: tf.Tensor, traces: Sequence[Trace]) -> list[np.ndarray]:
    """``dL/ds_t`` of each trace, ``(n, T + 1, S)`` float64, for a loss that was computed while recording.

    >>> from seqmodels.cells import LSTMCell
    >>> layer = Recurrent(LSTMCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     loss = tf.reduce_sum(layer(tf.ones((2, 4, 5)))[0])
    >>> loss_gradients(tape, loss, traces)[0].shape
    (2, 5, 6)
    """
    states = [trace.states for trace in traces]
    gradients = tape.gradient(loss, states, unconnected_gradients="zero")
    return [
        np.stack([np.concatenate(each, axis=-1) for each in steps], axis=1).astype(np.float64)
        for steps in gradients
    ]


def gates(trace: Trace) -> dict[str, np.ndarray]:
    """All gates of every step by name, ``(T, n, units)``; first the share of the old state that is kept.

    The names are the cell's own, see :meth:`seqmodels.cells.Cell.gate_values`. A cell without gates has none.

    >>> from seqmodels.cells import LSTMCell
    >>> layer = Recurrent(LSTMCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     _ = layer(tf.ones((2, 4, 5)))
    >>> {name: gate.shape for name, gate in gates(traces[0]).items()}
    {'forget gate': (4, 2, 3), 'input gate': (4, 2, 3), 'output gate': (4, 2, 3)}
    """
    before = tuple(tf.stack(each) for each in zip(*trace.states[:-1]))  # (time, batch, units) each
    found = trace.cell.gate_values(tf.stack(trace.projected), before, trace.constants)
    return {name: np.asarray(gate) for name, gate in found.items()}


def step_bound(trace: Trace) -> float | None:
    r"""A number that ``||J_t||`` cannot exceed at any step, from the weights and the states of the trace.

    The bound is the cell's own, see :meth:`seqmodels.cells.Cell.step_bound`. None if the cell has none.

    >>> from seqmodels.cells import MinGRUCell
    >>> layer = Recurrent(MinGRUCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     _ = layer(tf.ones((2, 4, 5)))
    >>> step_bound(traces[0])
    1.0
    """
    states = tuple(tf.stack(each) for each in zip(*trace.states))  # (time + 1, batch, units) each
    return trace.cell.step_bound(tf.stack(trace.projected), states, trace.constants)
