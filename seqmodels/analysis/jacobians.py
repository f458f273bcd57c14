r"""Jacobians of the states of a recurrent network, and products of these Jacobians with vectors.

Let ``s_t`` be the concatenation of all states of a cell after step t. For an LSTM, these are ``h`` and ``c``.
Let L be the loss. The chain rule yields (Bengio et al. 1994; Pascanu et al. 2013, equations 3 to 5):

.. math::
        \frac{\partial s_T}{\partial s_t} = J_T J_{T-1} \cdots J_{t+1}, \qquad
        J_k = \frac{\partial s_k}{\partial s_{k-1}}, \qquad
        \frac{dL}{ds_t} = \sum_{k > t} \frac{\partial L}{\partial s_k} \frac{\partial s_k}{\partial s_t}

Every step from T back to t adds one Jacobian to the product, and the norm of the product shrinks or grows.
The gradient of an error at step T with respect to an input at step t shrinks or grows in the same way.

In the shapes below, n is the number of sequences in the batch, and T is the number of time steps. S is the
size of ``s_t`` for one sequence.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqmodels.analysis.norms import spectral_norms
from seqmodels.analysis.trace import Trace


def step_jacobians(trace: Trace) -> np.ndarray:
    """Computes the Jacobian ``J_t[i, j] = d s_t[i] / d s_{t-1}[j]`` of every step, ``(n, T, S, S)`` float64.

    n is the number of sequences in the batch, and T is the number of time steps. ``s_t`` is the concatenation
    of all states of one sequence after step t, and S is the size of ``s_t``. For an LSTM, S is the size of h
    plus the size of c. If step t of a sequence is padding, its Jacobian is the identity matrix.

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
    """Computes the Jacobians ``d s_T / d s_t`` for t = 0 .. T, ``(n, T + 1, S, S)``.

    ``jacobians (n, T, S, S)`` contains the Jacobians of the single steps, for n sequences and T time steps.
    ``s_t`` is the concatenation of all states of one sequence after step t, and S is the size of ``s_t``.
    Each result is the product of the Jacobians of the steps after t.

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
    """Computes the product ``v^T (d s_T / d s_t)`` for each vector v, ``(n, T + 1, k, S)``.

    ``vectors (k, S)`` contains k vectors v. n is the number of sequences, and T is the number of time steps.
    ``s_t`` is the concatenation of all states of one sequence after step t, and S is the size of ``s_t``. The
    function does not compute the Jacobians themselves. It needs the time and memory of k passes of
    backpropagation. If the vectors form an orthonormal basis, the norm of the result is equal to the norm of
    the Jacobian. If the vectors are only a part of such a basis, the norm of the result is at most the norm
    of the Jacobian.

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
    """Computes one step from the concatenated states ``joined (n, S)``. Returns the new states ``(n, S)``."""
    states = tuple(tf.split(joined, trace.cell.state_size, axis=-1))
    _, after = trace.cell.step(x, states, trace.constants)
    return tf.concat(after, axis=-1)


def log_norms(jacobians: np.ndarray) -> np.ndarray:
    """Computes ``log ||d s_T / d s_t||`` for t = 0 .. T, ``(n, T + 1)``.

    ``jacobians (n, T, S, S)`` contains the Jacobians of n sequences and T time steps. ``s_t`` is the
    concatenation of all states of one sequence after step t, and S is the size of ``s_t``. After every step,
    the product of the Jacobians is divided by its norm, so the product stays in the range of floats. The
    logarithms of these norms are added. If the product is 0, the result is minus infinity.

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
