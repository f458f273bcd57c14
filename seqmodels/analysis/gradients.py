r"""Where the gradient of a recurrent network goes: Jacobians of its states, their norms, and a verdict.

With ``s_t`` all states of a cell after step t side by side (``h`` and ``c`` of an LSTM), the chain rule gives

.. math::
    \frac{\partial s_T}{\partial s_t} = J_T J_{T-1} \cdots J_{t+1}, \qquad
    J_k = \frac{\partial s_k}{\partial s_{k-1}}, \qquad
    \frac{dL}{ds_t} = \sum_{k > t} \frac{\partial L}{\partial s_k} \frac{\partial s_k}{\partial s_t}

(Bengio et al. 1994; Pascanu et al. 2013, equations 3 to 5). The norm of the product shrinks or grows by a
factor for every step, and with it what an error at T can teach about an input at t.

Axes: n rows, T steps, S numbers in all states of a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import Cell, GRUCell, LinearCell, LSTMCell, MinGRUCell, MinLSTMCell, RNNCell
from seqmodels.kernels import States
from seqmodels.layers import Recurrent

LARGEST_SLOPES = {"linear": 1.0, "relu": 1.0, "tanh": 1.0, "sigmoid": 0.25}  # of phi, over all arguments
LEFT = 0.01  # a gradient of which less than this share is left no longer teaches anything
GROWN = 10.0  # one that is more often as large as this explodes


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
    """Every ``Recurrent`` in a layer or model, itself included."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, Recurrent)]


@contextmanager
def recording(model: keras.Layer, tape: tf.GradientTape) -> Iterator[list[Trace]]:
    """Every call of a recurrent layer inside the block leaves a trace, in the order of the calls.

    Inside, call the model eagerly and with ``training=False``. The states of a trace are those that the
    outputs were computed from, so that ``tape`` differentiates by them.
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
    """``dL/ds_t`` of each trace, ``(n, T + 1, S)`` float64, for a loss that was computed while recording."""
    states = [trace.states for trace in traces]
    gradients = tape.gradient(loss, states, unconnected_gradients="zero")
    return [
        np.stack([np.concatenate(each, axis=-1) for each in steps], axis=1).astype(np.float64)
        for steps in gradients
    ]


def step_jacobians(trace: Trace) -> np.ndarray:
    """``J_t[i, j] = d s_t[i] / d s_{t-1}[j]`` of every step: ``(n, T, S, S)`` float64; 1 past a row's end."""

    @tf.function(autograph=False)
    def jacobian(x: tf.Tensor, joined: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(joined)
            after = _joined_step(trace, x, joined)
        return tape.batch_jacobian(after, joined)

    result = []
    for step, x in enumerate(trace.projected):
        found = jacobian(x, tf.concat(trace.states[step], axis=-1)).numpy().astype(np.float64)
        result.append(np.where(trace.real(step)[:, None, None], found, np.eye(trace.size)))
    return np.stack(result, axis=1)


def state_jacobians(jacobians: np.ndarray) -> np.ndarray:
    """``d s_T / d s_t`` for t = 0 .. T, the products of step Jacobians ``(n, T, S, S)``:
    ``(n, T + 1, S, S)``."""
    rows, steps, size, _ = jacobians.shape
    result = np.empty((rows, steps + 1, size, size))
    result[:, steps] = np.eye(size)
    for step in reversed(range(steps)):
        result[:, step] = result[:, step + 1] @ jacobians[:, step]
    return result


def vector_products(trace: Trace, vectors: np.ndarray) -> np.ndarray:
    """``v^T (d s_T / d s_t)`` for some vectors ``(k, S)``, without any Jacobian: ``(n, T + 1, k, S)``.

    Costs as much as k passes of backpropagation, in time and in memory. With the vectors of an orthonormal
    basis the norm of the result is that of the Jacobian, with fewer of them it is a lower bound.
    """

    @tf.function(autograph=False)
    def pull_back(x: tf.Tensor, joined: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(joined)
            after = _joined_step(trace, x, joined)
        return tape.gradient(after, joined, output_gradients=gradient)

    before = [tf.concat(states, axis=-1) for states in trace.states]
    products = []
    for vector in vectors:
        gradient = tf.broadcast_to(tf.cast(vector, before[0].dtype), before[0].shape)  # (batch, S)
        along = [gradient]
        for step in reversed(range(len(trace.projected))):
            pulled = pull_back(trace.projected[step], before[step], gradient)
            gradient = tf.where(trace.real(step)[:, None], pulled, gradient)
            along.append(gradient)
        products.append(np.stack(along[::-1], axis=1))
    return np.stack(products, axis=2).astype(np.float64)


def _joined_step(trace: Trace, x: tf.Tensor, joined: tf.Tensor) -> tf.Tensor:
    """The step as a function of all states side by side ``(n, S)``."""
    states = tuple(tf.split(joined, trace.cell.state_size, axis=-1))
    _, after = trace.cell.step(x, states, trace.constants)
    return tf.concat(after, axis=-1)


def step_bound(trace: Trace) -> float | None:
    r"""A number that ``||J_t||`` cannot exceed at any step, from the norms of U and the largest slopes.

    - RNN: ``J = diag(phi') U^T``, so ``||U|| max phi'`` (Pascanu et al. 2013, equation 6). Below 1 the
      gradient must vanish.
    - Parallel cells: ``J = diag(a)`` with ``0 < a < 1``, so 1.
    - LSTM and GRU: the sum of the norms of the paths, with ``sigmoid' <= 1/4`` and ``tanh' <= 1``. It is
      above 1 whatever the weights: nothing forces this gradient to vanish.

    None for a cell of another kind or activation.
    """
    cell = trace.cell
    if isinstance(cell, LinearCell):
        return 1.0
    largest = [max(float(tf.reduce_max(tf.abs(each))) for each in kind) for kind in zip(*trace.states)]
    if isinstance(cell, RNNCell):
        slope = LARGEST_SLOPES.get(getattr(cell.activation, "__name__", ""))
        return None if slope is None else slope * _norm(trace.constants[0])
    if isinstance(cell, LSTMCell):
        i, f, c, o = (_norm(block) for block in np.split(np.asarray(trace.constants[0]), 4, axis=-1))
        through_cell = i / 4 + largest[1] * f / 4 + c  # of c_t by h_{t-1}
        blocks = np.array([[through_cell + o / 4, 1.0], [through_cell, 1.0]])  # (h, c) by (h, c)
        return _norm(blocks)
    if isinstance(cell, GRUCell):
        u, r, candidate = (_norm(block) for block in np.split(np.asarray(trace.constants[0]), 3, axis=-1))
        if cell.reset_after:
            columns = trace.constants[0][:, 2 * cell.units :]
            products = [states[0] @ columns + trace.constants[2] for states in trace.states]
            written = candidate + max(float(tf.reduce_max(tf.abs(v))) for v in products) * r / 4
        else:
            written = candidate * (1 + largest[0] * r / 4)
        return max(1.0, written) + (1 + largest[0]) * u / 4
    return None


def gates(trace: Trace) -> dict[str, np.ndarray]:
    """All gates of every step by name, ``(T, n, units)``; first the one that lets the gradient pass.

    That is f of an LSTM, ``1 - u`` of a GRU and MinGRU, ``f / (f + i)`` of a MinLSTM and the decay ``a`` of
    an RG-LRU: the share of the old state that stays, and the factor of the path on which the gradient passes
    a step without going through U. An RNN has no such path and no gates.
    """
    cell, x = trace.cell, tf.stack(trace.projected)  # (time, batch, projected)
    if isinstance(cell, LinearCell):
        kept = cell.coefficients(x)[0].numpy()
        first, second, *_ = np.split(tf.sigmoid(x).numpy(), cell.gates, axis=-1)
        if isinstance(cell, MinGRUCell):
            return {"1 - update gate": kept, "update gate": first}
        if isinstance(cell, MinLSTMCell):
            return {"forget / (forget + input gate)": kept, "input gate": first, "forget gate": second}
        return {"decay": kept, "recurrence gate": first, "input gate": second}
    h = tf.stack([states[0] for states in trace.states[:-1]])  # (time, batch, units)
    if isinstance(cell, LSTMCell):
        i, f, _, o = np.split(tf.sigmoid(x + h @ trace.constants[0]).numpy(), 4, axis=-1)
        return {"forget gate": f, "input gate": i, "output gate": o}
    if isinstance(cell, GRUCell):
        columns = 2 * cell.units
        both = tf.sigmoid(x[..., :columns] + h @ trace.constants[0][:, :columns]).numpy()
        u, r = np.split(both, 2, axis=-1)
        return {"1 - update gate": 1 - u, "update gate": u, "reset gate": r}
    return {}


def log_norms(jacobians: np.ndarray) -> np.ndarray:
    """``log ||d s_T / d s_t||`` for t = 0 .. T from step Jacobians ``(n, T, S, S)``: ``(n, T + 1)``.

    The product is scaled to norm 1 after every step, so that it never leaves the range of floats; minus
    infinity where it is 0.
    """
    rows, steps, size, _ = jacobians.shape
    product, result = np.broadcast_to(np.eye(size), (rows, size, size)), np.zeros((rows, steps + 1))
    for step in reversed(range(steps)):
        product = product @ jacobians[:, step]
        norms = spectral_norms(product)
        with np.errstate(divide="ignore"):
            result[:, step] = result[:, step + 1] + np.log(norms)
        product = product / np.where(norms > 0, norms, 1.0)[:, None, None]
    return result


def spectral_norms(matrices: np.ndarray) -> np.ndarray:
    """The largest singular value of each matrix: ``(..., k, S)`` to ``(...)``; infinity where an entry is not
    finite."""
    finite = np.isfinite(matrices).all(axis=(-2, -1))
    norms = np.linalg.norm(np.where(finite[..., None, None], matrices, 0.0), ord=2, axis=(-2, -1))
    return np.where(finite, norms, np.inf)


def spectral_radius(matrix: Any) -> float:
    """The largest absolute eigenvalue."""
    return float(np.abs(np.linalg.eigvals(np.asarray(matrix, np.float64))).max())


def decay_rate(norms: np.ndarray, first: int = 0) -> float:
    """Change of the logarithm of a norm for each step of distance: the :func:`slope` of the logarithms of
    norms ``(k,)`` by distance from 0; what is 0 is left out."""
    with np.errstate(divide="ignore"):
        return slope(np.log(norms), first)


def slope(logarithms: np.ndarray, first: int = 0) -> float:
    """The least-squares slope over the distance.

    Args:
        logarithms: ``(k,)`` by distance from 0; what is not finite is left out. Minus infinity if fewer than
            two are left.
        first: the distance to begin at. The slope of ``log ||U^k||`` is the logarithm of the spectral radius
            only for large k (Gelfand's formula).
    """
    distances = np.arange(len(logarithms))
    usable = (distances >= first) & np.isfinite(logarithms)
    if usable.sum() < 2:
        return -math.inf
    return float(np.polyfit(distances[usable], logarithms[usable], 1)[0])


def mean_norms(norms: np.ndarray) -> np.ndarray:
    """The geometric mean over the rows that reach so far: ``(n, T + 1)`` to ``(T + 1,)``."""
    reached = np.isfinite(norms)
    with np.errstate(divide="ignore"):
        logarithms = np.where(reached, np.log(np.where(reached, norms, 1.0)), 0.0)
    counts = reached.sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, np.exp(logarithms.sum(axis=0) / np.maximum(counts, 1)), np.nan)


@dataclass(frozen=True)
class Verdict:
    """What a curve of norms by distance says.

    Attributes:
        kind: "vanishes", "explodes" or "holds".
        factor: by which a step of distance multiplies the norm, on average.
        reach: the largest distance up to which at least ``LEFT`` of the norm at distance 0 is left.
        left: the share of it that is left at the largest distance.
        words: one sentence that says so, and what to try.
    """

    kind: str
    factor: float
    reach: int
    left: float
    words: str


def verdict(norms: np.ndarray) -> Verdict:
    """Judges norms by distance ``(k,)``, from 0 on; raises ValueError where there is nothing to judge."""
    norms = np.asarray(norms, np.float64)
    norms = norms[: int(np.flatnonzero(np.isfinite(norms)).max(initial=-1)) + 1]
    if len(norms) < 2 or not norms[0] > 0:
        raise ValueError(
            f"no gradient arrives at the last step: norms {norms[:3]}; expected 2 or more, not 0"
        )
    share = norms / norms[0]
    lost = np.flatnonzero(~(share >= LEFT))
    reach = int(lost[0]) - 1 if len(lost) else len(norms) - 1
    left, distance, factor = float(share[-1]), len(norms) - 1, math.exp(decay_rate(norms))
    if reach < distance:
        words = (
            f"vanishes: beyond {reach} steps less than {LEFT:.0%} of the gradient is left "
            f"(times {factor:.3g} a step); use a gated cell, or keep what matters closer"
        )
        return Verdict("vanishes", factor, reach, left, words)
    if left > GROWN:
        words = (
            f"explodes: {left:.3g} times as large {distance} steps back (times {factor:.3g} a step); clip "
            "the gradient, or start U with a smaller norm"
        )
        return Verdict("explodes", factor, reach, left, words)
    words = f"holds: {left:.0%} of the gradient arrives {distance} steps back (times {factor:.3g} a step)"
    return Verdict("holds", factor, reach, left, words)


def _norm(matrix: Any) -> float:
    return float(np.linalg.norm(np.asarray(matrix, np.float64), ord=2))
