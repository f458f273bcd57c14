r"""Long short-term memory over a whole sequence, with manually derived backpropagation through time.

The forward pass is as follows. ``p`` are the projected inputs, and ``m`` is the dropout mask of the state.
:math:`z_t = p_t + (m * h_{t-1}) U` has the columns i (input gate), f (forget gate), c (candidate) and o
(output gate):

.. math::
        i, f, o = sigmoid(z^i, z^f, z^o), \quad g = tanh(z^c), \quad
        c_t = f * c_{t-1} + i * g, \quad h_t = o * tanh(c_t)

The backward pass runs from the last step to the first. ``G_t`` is the gradient of the output at step t.
``dh`` and ``dc`` are the gradients of ``h_t`` and ``c_t`` that step t + 1 has computed. At the last step,
they are the gradients of the final states:

.. math::
        dh &\leftarrow dh + G_t \\
        dc &\leftarrow dc + dh * o * (1 - tanh(c_t)^2) \\
        dz_t &= [dc * g * i(1-i), \; dc * c_{t-1} * f(1-f), \;
        dc * i * (1-g^2), \; dh * tanh(c_t) * o(1-o)] \\
        dh &\leftarrow m * (dz_t U^T), \quad dc \leftarrow dc * f

The loop over the steps computes only ``dz_t``, ``dh`` and ``dc``. The gradients of the projected inputs and
of the weights follow after the loop:

.. math::
        dp_t = dz_t, \quad dU = \sum_t (m * h_{t-1})^T dz_t

The sum over all steps and rows is a single matrix product. In the padding, the states and their gradients do
not change, and ``dz_t`` is 0.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from seqmodels.kernels.scan import (
    Tensors,
    alive_rows,
    carried_back,
    check_truncate,
    dropped,
    held,
    masked,
    once_differentiable,
    scan,
    shifted,
    time_major,
    weight_gradient,
)


def lstm(
    projected: tf.Tensor,
    states: Tensors,
    recurrent_kernel: tf.Tensor,
    lengths: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    truncate: int | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """Computes all steps of :class:`seqmodels.cells.LSTMCell`.

    The loop saves memory: the gates of a step overwrite the projected inputs of the step.

    Args:
        projected: projected inputs of n rows and T time steps, ``(n, T, 4h)``. h is the number of units. The
            input gate, the forget gate, the candidate and the output gate have h columns each, in this order.
        states: tuple of the output state and the cell state before the first step, each ``(n, h)``.
        recurrent_kernel: U ``(h, 4h)``, with columns in the same order.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.
        mask: dropout mask of the state ``h_{t-1}``, ``(n, h)``. None means no dropout.
        truncate: number of steps, at least 1, in a window of truncated backpropagation. The states pass from
            each window to the next, but no gradient passes back. Default: no truncation.

    Returns:
        The outputs ``(n, T, h)``, and a tuple of the output state and the cell state after the last real step
        of each row.

    >>> states = tf.zeros((2, 3)), tf.zeros((2, 3))
    >>> outputs, (h, c) = lstm(tf.zeros((2, 4, 12)), states, tf.zeros((3, 12)))
    >>> outputs.shape, c.shape
    (TensorShape([2, 4, 3]), TensorShape([2, 3]))
    """

    check_truncate(truncate)

    @tf.custom_gradient
    def run(projected: tf.Tensor, h: tf.Tensor, c: tf.Tensor, recurrent_kernel: tf.Tensor) -> tuple:
        initial_h, initial_c = h, c
        units = h.shape[-1]

        def forward(t: tf.Tensor, inputs: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
            h, c = states
            alive = alive_rows(lengths, t)
            gates = _gates(inputs[0] + dropped(h, mask) @ recurrent_kernel)  # (batch, 4 units)
            i, f, g, o = tf.split(gates, 4, axis=-1)
            new_c = f * c + i * g
            new_h = o * tf.tanh(new_c)
            return (gates, masked(alive, new_h), new_c), (held(alive, new_h, h), held(alive, new_c, c))

        (gates, outputs, cells), (h, c) = scan(
            forward, (time_major(projected),), (h, c), (4 * units, units, units), replace=True
        )

        def gradient(d_outputs: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor) -> tuple:
            transposed = tf.transpose(recurrent_kernel)  # computed once, not in every step

            def backward(t: tf.Tensor, inputs: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
                gates, d_output, previous, cell = inputs
                dh, dc = gradients
                alive = alive_rows(lengths, t)
                dz, through_c = _step_gradient(gates, previous, cell, d_output + dh, dc)
                dz = masked(alive, dz)
                through_h = dropped(dz @ transposed, mask)
                dh = carried_back(truncate, alive, t, through_h, dh)
                dc = carried_back(truncate, alive, t, through_c, dc)
                return (dz,), (dh, dc)

            sequences = (gates, time_major(d_outputs), shifted(initial_c, cells), cells)
            (dz,), (dh, dc) = scan(backward, sequences, (dh, dc), (4 * units,), reverse=True)
            previous_h = dropped(shifted(initial_h, outputs), mask)
            return time_major(dz), dh, dc, weight_gradient(previous_h, dz)

        return (time_major(outputs), h, c), once_differentiable(gradient, "LSTM")

    outputs, h, c = run(projected, *states, recurrent_kernel)
    return outputs, (h, c)


def _gates(z: tf.Tensor) -> tf.Tensor:
    """Computes i, f, g and o from ``z (n, 4h)``, and returns them as the columns of one tensor ``(n, 4h)``.

    Because ``sigmoid(z) = (1 + tanh(z / 2)) / 2``, one tanh over all columns computes all four values.
    """
    units = z.shape[-1] // 4
    scale = tf.constant(np.repeat([0.5, 0.5, 1.0, 0.5], units), z.dtype)  # (4 units,)
    offset = tf.constant(np.repeat([0.5, 0.5, 0.0, 0.5], units), z.dtype)
    return tf.tanh(z * scale) * scale + offset


def _step_gradient(
    gates: tf.Tensor, previous_c: tf.Tensor, c: tf.Tensor, dh: tf.Tensor, dc: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes ``dz_t (n, 4h)`` and the gradient of ``c_{t-1}``, ``(n, h)``.

    The arguments ``dh`` and ``dc`` are the gradients of ``h_t`` and ``c_t``.
    """
    i, f, g, o = tf.split(gates, 4, axis=-1)
    tanh_c = tf.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    dz = [
        dc * g * i * (1 - i),
        dc * previous_c * f * (1 - f),
        dc * i * (1 - g * g),
        dh * tanh_c * o * (1 - o),
    ]
    return tf.concat(dz, axis=-1), dc * f
