r"""The simple recurrent network over a whole sequence, with manually derived backpropagation through time.

The forward pass is as follows. ``p`` are the projected inputs, and ``m`` is the dropout mask of the state.
``phi`` is the activation, and ``z_t`` is its argument:

.. math:: h_t = phi(p_t + (m * h_{t-1}) U)

The backward pass runs from the last step to the first. ``G_t`` is the gradient of the output at step t.
``dh`` is the gradient of ``h_t`` that step t + 1 has computed:

.. math::
        dz_t = (dh + G_t) * phi'(z_t), \quad dh \leftarrow m * (dz_t U^T)

This kernel computes ``phi'`` from ``h_t``: ``1 - h^2`` for tanh, ``h (1 - h)`` for sigmoid, ``[h > 0]`` for
relu, and 1 for linear. The gradient of the projected inputs is ``dp_t = dz_t``. After the loop, one product
computes ``dU = sum_t (m * h_{t-1})^T dz_t``. Every step multiplies the gradient by ``diag(phi') U^T``. These
repeated products make the gradient vanish or explode (Pascanu et al. 2013, equation 5).
"""

from __future__ import annotations

from collections.abc import Callable

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

# Each activation has two functions. The first function is the activation phi itself. The second function
# computes the derivative phi' from the output of phi.
ACTIVATIONS: dict[str, tuple[Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]] = {
    "tanh": (tf.tanh, lambda h: 1 - h * h),
    "sigmoid": (tf.sigmoid, lambda h: h * (1 - h)),
    "relu": (tf.nn.relu, lambda h: tf.cast(h > 0, h.dtype)),
    "linear": (tf.identity, tf.ones_like),
}


def rnn(
    projected: tf.Tensor,
    states: Tensors,
    recurrent_kernel: tf.Tensor,
    activation: str = "tanh",
    lengths: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    truncate: int | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """Computes all steps of :class:`seqmodels.cells.RNNCell`.

    Args:
        projected: projected inputs of n rows, T time steps and h units, ``(n, T, h)``.
        states: tuple with the state before the first step, ``(n, h)``.
        recurrent_kernel: U ``(h, h)``.
        activation: a key of ``ACTIVATIONS``.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.
        mask: dropout mask of the state ``h_{t-1}``, ``(n, h)``. None means no dropout.
        truncate: number of steps, at least 1, in a window of truncated backpropagation. The state passes from
            each window to the next, but no gradient passes back. Default: no truncation.

    Returns:
        The outputs ``(n, T, h)``, and a tuple with one state: the state ``(n, h)`` after the last real step
        of each row.

    >>> outputs, (h,) = rnn(tf.ones((2, 4, 3)), (tf.zeros((2, 3)),), tf.zeros((3, 3)), "relu")
    >>> outputs.shape, h[0].numpy()
    (TensorShape([2, 4, 3]), array([1., 1., 1.], dtype=float32))
    """
    phi, slope = ACTIVATIONS[activation]

    check_truncate(truncate)

    @tf.custom_gradient
    def run(projected: tf.Tensor, initial: tf.Tensor, recurrent_kernel: tf.Tensor) -> tuple:
        units = initial.shape[-1]

        def forward(t: tf.Tensor, inputs: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
            (h,), alive = states, alive_rows(lengths, t)
            new = phi(inputs[0] + dropped(h, mask) @ recurrent_kernel)  # (batch, units)
            return (masked(alive, new),), (held(alive, new, h),)

        (outputs,), (h,) = scan(forward, (time_major(projected),), (initial,), (units,), replace=True)

        def gradient(d_outputs: tf.Tensor, dh: tf.Tensor) -> tuple:
            transposed = tf.transpose(recurrent_kernel)  # computed once, not in every step

            def backward(t: tf.Tensor, inputs: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
                (d_output, output), (dh,) = inputs, gradients
                alive = alive_rows(lengths, t)
                dz = masked(alive, (d_output + dh) * slope(output))  # (batch, units)
                through = dropped(dz @ transposed, mask)
                return (dz,), (carried_back(truncate, alive, t, through, dh),)

            sequences = (time_major(d_outputs), outputs)
            (dz,), (dh,) = scan(backward, sequences, (dh,), (units,), reverse=True)
            return time_major(dz), dh, weight_gradient(dropped(shifted(initial, outputs), mask), dz)

        return (time_major(outputs), h), once_differentiable(gradient, "RNN")

    outputs, h = run(projected, *states, recurrent_kernel)
    return outputs, (h,)
