r"""Jacobians of the states of a recurrent network, exact or along chosen vectors.

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

import numpy as np
import tensorflow as tf

from seqmodels.analysis.norms import spectral_norms
from seqmodels.analysis.trace import Trace


def step_jacobians(trace: Trace) -> np.ndarray:
    """``J_t[i, j] = d s_t[i] / d s_{t-1}[j]`` of every step: ``(n, T, S, S)`` float64; 1 past a row's end.

    >>> from seqmodels.analysis import recording
    >>> from seqmodels.cells import LSTMCell
    >>> from seqmodels.layers import Recurrent
    >>> layer = Recurrent(LSTMCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     _ = layer(tf.ones((2, 4, 5)))
    >>> step_jacobians(traces[0]).shape
    (2, 4, 6, 6)
    """

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
    ``(n, T + 1, S, S)``.

    >>> steps = np.broadcast_to(0.5 * np.eye(2), (1, 3, 2, 2))
    >>> state_jacobians(steps)[0, :, 0, 0].tolist()
    [0.125, 0.25, 0.5, 1.0]
    """
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

    >>> from seqmodels.analysis import recording
    >>> from seqmodels.cells import LSTMCell
    >>> from seqmodels.layers import Recurrent
    >>> layer = Recurrent(LSTMCell(3))
    >>> with tf.GradientTape() as tape, recording(layer, tape) as traces:
    ...     _ = layer(tf.ones((2, 4, 5)))
    >>> vector_products(traces[0], np.eye(6)[:2]).shape
    (2, 5, 2, 6)
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


def log_norms(jacobians: np.ndarray) -> np.ndarray:
    """``log ||d s_T / d s_t||`` for t = 0 .. T from step Jacobians ``(n, T, S, S)``: ``(n, T + 1)``.

    The product is scaled to norm 1 after every step, so that it never leaves the range of floats; minus
    infinity where it is 0.

    >>> log_norms(np.broadcast_to(np.eye(2), (1, 3, 2, 2))).tolist()
    [[0.0, 0.0, 0.0, 0.0]]
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
