r"""The input projection of a cell: one matrix product over all time steps, before the loop over time.

.. math:: p_t = x_t W + b

Each gradient is one product: :math:`dx_t = dp_t W^T`, :math:`dW = \sum_t x_t^T dp_t`. Automatic
differentiation would compute the same gradients. The gradients are defined manually for speed. The tensors
stay in time-major order, ``(T, n, d)``, because the loops over time read this order. For speed, ``x`` is
transposed in memory before the product for ``dW`` (see :func:`.scan.weight_gradient`).
"""

from __future__ import annotations

import tensorflow as tf

from seqmodels.kernels.scan import time_major, weight_gradient


def projection(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Computes ``x W + b``.

    Args:
        x: d input features of n rows at T time steps, ``(n, T, d)``.
        kernel: W ``(d, p)``.
        bias: b ``(p,)``. None means no bias.

    Returns:
        The projected inputs ``(n, T, p)``. The function computes the product in time-major order and
        then swaps the first two axes. The loop over time swaps them back. Therefore, the two swaps cancel
        out.

    >>> projection(tf.ones((2, 4, 5)), tf.ones((5, 3)), tf.zeros(3)).shape
    TensorShape([2, 4, 3])
    """

    @tf.custom_gradient
    def run(x: tf.Tensor, kernel: tf.Tensor) -> tuple:
        steps = time_major(x)  # (time, batch, inputs)

        def gradient(upstream: tf.Tensor) -> tuple:
            dp = time_major(upstream)  # (time, batch, projected)
            return time_major(_product(dp, tf.transpose(kernel))), weight_gradient(steps, dp)

        return time_major(_product(steps, kernel)), gradient

    product = run(x, kernel)
    return product if bias is None else product + bias


def _product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Multiplies ``x (T, n, d)`` by ``kernel (d, p)`` as one product of two matrices."""
    shape = tf.shape(x)
    rows = tf.reshape(x, (shape[0] * shape[1], x.shape[2]))  # (time * batch, inputs)
    result = tf.reshape(rows @ kernel, (shape[0], shape[1], kernel.shape[1]))
    result.set_shape((x.shape[0], x.shape[1], kernel.shape[1]))
    return result


def affine(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor | None) -> tf.Tensor:
    """Computes ``x W + b`` for x of shape ``(n, d)`` or ``(n, T, d)`` as one product of two matrices.

    >>> affine(tf.ones((2, 4, 5)), tf.ones((5, 3)), tf.zeros(3)).shape
    TensorShape([2, 4, 3])
    """
    if x.shape.rank == 3:
        return projection(x, kernel, bias)
    product = tf.matmul(x, kernel)
    return product if bias is None else product + bias
