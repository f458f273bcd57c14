r"""The gated recurrent unit over a whole sequence, with manually derived backpropagation through time.

The forward pass is as follows. ``p`` are the projected inputs, with the columns u (update gate), r (reset
gate) and h (candidate). ``m`` is the dropout mask of the state, and ``k = m * h_{t-1}``:

.. math::
        u, r = sigmoid(p^{u,r}_t + k U_{u,r}), \quad h_t = (1 - u) * h_{t-1} + u * g, \quad
        g = tanh(p^h_t + s), \quad s = (r * k) U_h \;\text{ or }\; r * (k U_h + b')

The first form of s applies the reset gate before the product with ``U_h``, the second form after the product.

The backward pass runs from the last step to the first. ``G_t`` is the gradient of the output at step t.
``dh`` is the gradient of ``h_t`` that step t + 1 has computed. ``z^u`` and ``z^r`` are the arguments of the
sigmoid, and ``z^h`` is the argument of the tanh:

.. math::
        dh &\leftarrow dh + G_t, \quad dz^h = dh * u * (1 - g^2), \quad dz^u = dh * (g - h_{t-1}) * u (1 - u)

For the first form of s, the backward pass continues as follows. ``q`` is the gradient of ``r * k``:

.. math::
        q = dz^h U_h^T, \quad dz^r = q * k * r (1 - r), \quad
        dh \leftarrow dh * (1 - u) + m * (q * r + [dz^u, dz^r] U_{u,r}^T)

For the second form of s, it continues as follows, with ``v = k U_h + b'`` and ``dv = dz^h * r``:

.. math::
        dz^r = dz^h * v * r (1 - r), \quad dh \leftarrow dh * (1 - u) + m * ([dz^u, dz^r, dv] U^T)

The gradient of the projected inputs is ``dp_t = dz_t``. After the loop, one matrix product per weight
computes the gradient of the weight: ``dU_{u,r} = sum k^T [dz^u, dz^r]``. ``dU_h`` is ``sum (r * k)^T dz^h``
for the first form of s and ``sum k^T dv`` for the second form. The gradient of the bias is ``db' = sum dv``.
"""

from __future__ import annotations

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


def gru(
    projected: tf.Tensor,
    states: Tensors,
    recurrent_kernel: tf.Tensor,
    recurrent_bias: tf.Tensor | None = None,
    lengths: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    truncate: int | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """Computes all steps of :class:`seqmodels.cells.GRUCell`.

    Args:
        projected: projected inputs of n rows and T time steps, ``(n, T, 3h)``. h is the number of units. The
            update gate u, the reset gate r and the candidate have h columns each, in this order.
        states: tuple with the state before the first step, ``(n, h)``.
        recurrent_kernel: U ``(h, 3h)``, with columns in the same order.
        recurrent_bias: b' ``(h,)`` if the reset gate acts after the product, else None.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.
        mask: dropout mask of the state ``h_{t-1}``, ``(n, h)``. None means no dropout.
        truncate: number of steps, at least 1, in a window of truncated backpropagation. The state passes from
            each window to the next, but no gradient passes back. Default: no truncation.

    Returns:
        The outputs ``(n, T, h)``, and a tuple with one state: the state ``(n, h)`` after the last real step
        of each row.

    >>> outputs, (h,) = gru(tf.zeros((2, 4, 9)), (tf.zeros((2, 3)),), tf.zeros((3, 9)))
    >>> outputs.shape, h.shape
    (TensorShape([2, 4, 3]), TensorShape([2, 3]))
    """
    check_truncate(truncate)
    form = _reset_before if recurrent_bias is None else _reset_after
    biases = () if recurrent_bias is None else (recurrent_bias,)

    @tf.custom_gradient
    def run(projected: tf.Tensor, initial: tf.Tensor, kernel: tf.Tensor, *biases: tf.Tensor) -> tuple:
        units = initial.shape[-1]
        candidate, through, weights = form(kernel, units, *biases)

        def forward(t: tf.Tensor, inputs: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
            (h,), alive = states, alive_rows(lengths, t)
            u, r, g, *v = candidate(inputs[0], dropped(h, mask))  # (batch, units) each
            new = (1 - u) * h + u * g
            return (tf.concat([u, r, g], axis=-1), masked(alive, new), *v), (held(alive, new, h),)

        x, widths = time_major(projected), (3 * units, units, *(units for _ in biases))
        (gates, outputs, *products), (h,) = scan(forward, (x,), (initial,), widths, replace=True)

        def gradient(d_outputs: tf.Tensor, dh: tf.Tensor) -> tuple:
            previous = shifted(initial, outputs)  # (time, batch, units)

            def backward(t: tf.Tensor, inputs: Tensors, gradients: Tensors) -> tuple[Tensors, Tensors]:
                (gates, d_output, before, *v), (dh,) = inputs, gradients
                alive = alive_rows(lengths, t)
                u, r, g = tf.split(gates, 3, axis=-1)
                total = d_output + dh
                dz_candidate = total * u * (1 - g * g)
                dz_update = total * (g - before) * u * (1 - u)
                dz_reset, d_previous = through(dz_update, dz_candidate, r, dropped(before, mask), *v)
                dz = masked(alive, tf.concat([dz_update, dz_reset, dz_candidate], axis=-1))
                new = total * (1 - u) + dropped(d_previous, mask)
                return (dz,), (carried_back(truncate, alive, t, new, dh),)

            sequences = (gates, time_major(d_outputs), previous, *products)
            (dz,), (dh,) = scan(backward, sequences, (dh,), (3 * units,), reverse=True)
            reset = gates[..., units : 2 * units]
            return time_major(dz), dh, *weights(dropped(previous, mask), reset, dz)

        return (time_major(outputs), h), once_differentiable(gradient, "GRU")

    outputs, h = run(projected, *states, recurrent_kernel, *biases)
    return outputs, (h,)


def _reset_before(kernel: tf.Tensor, units: int) -> tuple:
    """Returns three functions for a GRU whose reset gate acts before the product with ``U_h``.

    The candidate is ``g = tanh(p + (r * k) U_h)``, where ``k`` is the state after dropout.

    - ``candidate`` computes the gates and the candidate of a step.
    - ``through`` computes the gradients of ``z^r`` and ``k``. The reset gate is ``r = sigmoid(z^r)``.
    - ``weights`` computes the gradients of the weights.
    """
    gates_kernel, candidate_kernel = tf.split(kernel, [2 * units, units], axis=1)
    transposed_gates, transposed_candidate = tf.split(tf.transpose(kernel), [2 * units, units], axis=0)

    def candidate(x: tf.Tensor, k: tf.Tensor) -> Tensors:
        u, r = tf.split(tf.sigmoid(x[:, : 2 * units] + k @ gates_kernel), 2, axis=-1)
        g = tf.tanh(x[:, 2 * units :] + (r * k) @ candidate_kernel)
        return u, r, g

    def through(dz_update: tf.Tensor, dz_candidate: tf.Tensor, r: tf.Tensor, k: tf.Tensor) -> Tensors:
        q = dz_candidate @ transposed_candidate  # (batch, units)
        dz_reset = q * k * r * (1 - r)
        dz_gates = tf.concat([dz_update, dz_reset], axis=-1)
        return dz_reset, q * r + dz_gates @ transposed_gates

    def weights(k: tf.Tensor, r: tf.Tensor, dz: tf.Tensor) -> Tensors:
        gates = weight_gradient(k, dz[..., : 2 * units])
        return (tf.concat([gates, weight_gradient(r * k, dz[..., 2 * units :])], axis=-1),)

    return candidate, through, weights


def _reset_after(kernel: tf.Tensor, units: int, bias: tf.Tensor) -> tuple:
    """Returns the same three functions as :func:`_reset_before`, for the other position of the reset gate.

    This GRU applies its reset gate after the product with ``U_h``.

    The candidate is ``g = tanh(p + r * v)`` with ``v = k U_h + b'``.
    """
    transposed = tf.transpose(kernel)

    def candidate(x: tf.Tensor, k: tf.Tensor) -> Tensors:
        product = k @ kernel  # (batch, 3 units)
        u, r = tf.split(tf.sigmoid(x[:, : 2 * units] + product[:, : 2 * units]), 2, axis=-1)
        v = product[:, 2 * units :] + bias
        return u, r, tf.tanh(x[:, 2 * units :] + r * v), v

    def through(
        dz_update: tf.Tensor, dz_candidate: tf.Tensor, r: tf.Tensor, k: tf.Tensor, v: tf.Tensor
    ) -> Tensors:
        dz_reset = dz_candidate * v * r * (1 - r)
        dz = tf.concat([dz_update, dz_reset, dz_candidate * r], axis=-1)  # (batch, 3 units)
        return dz_reset, dz @ transposed

    def weights(k: tf.Tensor, r: tf.Tensor, dz: tf.Tensor) -> Tensors:
        dv = dz[..., 2 * units :] * r
        product = weight_gradient(k, tf.concat([dz[..., : 2 * units], dv], axis=-1))
        return product, tf.reduce_sum(dv, axis=(0, 1))

    return candidate, through, weights
