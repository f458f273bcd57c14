"""Traces of recurrent layers, and functions that compute gradients, gates and bounds from the traces.

A trace contains the inputs and states of a layer's cell at every time step. In the shapes below, n is the
number of rows, and T is the number of time steps. A row is one sequence of the batch. S is the number of
state values of one row at one step. It is ``units`` for a GRU, and ``2 units`` for an LSTM.
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
    """Inputs and states of a cell at every time step, for one call of a layer.

    Attributes:
        name: name of the layer. If a layer "reader" is called several times, its second trace has the name
            "reader 2", and its third trace "reader 3".
        cell: the cell of the layer.
        projected: one tensor ``(n, p)`` for each step. ``cell.project`` computes its p features from the
            inputs of the step.
        states: states before the first step and after each step. Each entry is a tuple of tensors
            ``(n, units)``.
        constants: constants of the cell, which are the same at all steps.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)``.
    """

    name: str
    cell: Cell
    projected: list[tf.Tensor]
    states: list[States]
    constants: tuple
    lengths: np.ndarray

    @property
    def size(self) -> int:
        """The number S of values in all states of a row."""
        return sum(self.cell.state_size)

    def real(self, step: int) -> np.ndarray:
        """Returns a mask ``(n,)`` that is True for rows in which the step is not padding.

        Steps are counted from 0.
        """
        return step < self.lengths

    def by_distance(self, values: np.ndarray) -> np.ndarray:
        """Reorders values by the distance to the end of the row, ``(n, T + 1)``.

        In the argument, column t contains the values after t steps, for t = 0 .. T. In the result, column d
        contains the values at distance d, which means d steps before the end of each row. If a row has fewer
        than d steps, column d contains NaN in this row.
        """
        result = np.full(values.shape, np.nan)
        for row, length in enumerate(self.lengths):
            result[row, : length + 1] = values[row, length::-1]
        return result


def recurrent_layers(model: keras.Layer) -> list[Recurrent]:
    """Returns all ``Recurrent`` layers in ``model``, including ``model`` itself if it is such a layer.

    >>> from seqmodels.cells import GRUCell
    >>> [layer.name for layer in recurrent_layers(keras.Sequential([Recurrent(GRUCell(2), name="reader")]))]
    ['reader']
    """
    return [layer for layer in model._flatten_layers() if isinstance(layer, Recurrent)]


@contextmanager
def recording(model: keras.Layer, tape: tf.GradientTape) -> Iterator[list[Trace]]:
    """Context manager that records a trace of every call of a recurrent layer inside the ``with`` block.

    The context manager yields the list of traces, in the order of the calls. Inside the block, call the model
    eagerly and with ``training=False``. The outputs are computed from the states of the traces, so ``tape``
    can compute gradients with respect to these states.

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
                # The gradient with respect to c_t must treat h_t as constant, because h_t is a separate
                # state. An LSTM computes h_t from c_t, so without copies this gradient would include the
                # path through h_t. The copies of the two states do not depend on each other.
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
    """Computes the gradients ``dL/ds_t`` of a loss L for each trace, ``(n, T + 1, S)`` float64.

    ``s_t`` is the concatenation of all states of a row after step t. It has S values. n is the number of
    rows, and T is the number of time steps. The loss must be computed inside :func:`recording`.

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
    """Returns a dictionary with the values of all gates at all time steps.

    Each key is the name of a gate, and each value is an array ``(T, n, units)``. T is the number of time
    steps, and n is the number of rows. The first entry is the factor by which a step multiplies the old
    state. The names of the gates depend on the cell, see :meth:`seqmodels.cells.Cell.gate_values`. For a
    cell without gates, the dictionary is empty.

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
    r"""Computes one upper bound for the norms ``||J_t||`` of the Jacobians of all steps t.

    The cell computes the bound from its weights and the states of the trace, see
    :meth:`seqmodels.cells.Cell.step_bound`. Returns None if no bound is known for the cell and its
    activations.

    >>> from seqmodels.cells import MinGRUCell
    >>> layer = Recurrent(MinGRUCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     _ = layer(tf.ones((2, 4, 5)))
    >>> step_bound(traces[0])
    1.0
    """
    states = tuple(tf.stack(each) for each in zip(*trace.states))  # (time + 1, batch, units) each
    return trace.cell.step_bound(tf.stack(trace.projected), states, trace.constants)
