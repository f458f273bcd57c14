r"""An LSTM that TensorFlow Lite's converter replaces by one ``UNIDIRECTIONAL_SEQUENCE_LSTM`` operator.

The converter recognises a TensorFlow function by its attributes, its arguments and its results. The converter
replaces the whole function by the operator. If TensorFlow runs the function, the function is an ordinary loop
with the same results. The operator has three limitations. This module handles the limitations as follows:

- The operator keeps ``h`` and ``c`` from one call of the interpreter to the next. One text would therefore
  affect the results for the next text. To prevent this, the module adds two reset steps before the sequence.
  The inputs of the reset steps are zero except for ``RESET_COLUMNS`` additional features, which are 1. The
  weights of these features for the gates ``i``, ``f`` and ``o`` are ``-max(1, max|W|)``, so the three gates
  are almost 0. The states are ``c_t = f c_{t-1} + i g`` and ``h_t = o tanh(c_t)``, where ``g`` is the
  candidate. After the reset steps, both states are zero up to float32 rounding, even if the operator kept
  other states. Several features are necessary, because a single feature would need a very large weight. All
  8-bit weights share one scale, so the large weight would make the other weights less precise.
- The operator does not support ``lengths``. The module also computes the steps in the padding, and then sets
  the outputs of these steps to zero. The results of the real steps do not depend on the padding.
- The operator returns ``h`` of every step, but not ``c``. The module therefore does not return ``c``.
"""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import tensorflow as tf

from seqmodels.kernels.loops import States, generic

RESET_STEPS = 2  # the first step sets h = 0; then h has no effect on the second step, which sets c = 0
RESET_COLUMNS = 24  # with 24 weights of -1, a gate is about exp(-24) = 4e-11


def fused_lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    lengths: tf.Tensor | None = None,
) -> tuple[tf.Tensor, States]:
    """Computes all steps of :class:`seqmodels.cells.LSTMCell` by one operator. The initial states are zero.

    Args:
        inputs: d features of n rows at T time steps, ``(n, T, d)``. n and T must be static.
        kernel: W ``(d, 4h)``. The input gate, the forget gate, the candidate and the output gate have h
            columns each, in this order. h is the number of units.
        recurrent_kernel: U ``(h, 4h)``, with columns in the same order.
        bias: ``(4h,)``, in the same order.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.

    Returns:
        The outputs ``(n, T, h)``, and a tuple with one state: the output state ``(n, h)`` after the last real
        step of each row.

    >>> weights = tf.zeros((5, 12)), tf.zeros((3, 12)), tf.zeros(12)
    >>> outputs, states = fused_lstm(tf.ones((2, 4, 5)), *weights)
    >>> outputs.shape
    TensorShape([2, 4, 3])
    """
    batch, time, _ = inputs.shape
    units = recurrent_kernel.shape[0]
    zeros = tf.zeros((batch, units), inputs.dtype)
    _, outputs, *_ = _operator()(
        _with_reset_steps(inputs), zeros, zeros, _with_reset_rows(kernel), recurrent_kernel, bias
    )
    outputs = outputs[:, RESET_STEPS:]  # (batch, time, units)
    if lengths is None:
        return outputs, (outputs[:, -1],)
    outputs = tf.where((tf.range(time) < lengths[:, None])[..., None], outputs, tf.zeros_like(outputs))
    # If a row has no real steps, the index is 0. The first output of this row is zero, which is the correct
    # state.
    return outputs, (tf.gather(outputs, tf.maximum(lengths - 1, 0), batch_dims=1),)


def _operator() -> tf.types.experimental.PolymorphicFunction:
    """Returns the function that the converter replaces.

    The converter expects a fixed order of the results. The function ``lstm_defun`` of Keras 2 has this order.
    """

    @tf.function(
        autograph=False,
        experimental_attributes={
            "api_implements": f"lstm_{uuid4()}",
            "api_preferred_device": "CPU",
            "time_major": False,
            "go_backwards": False,
        },
    )
    def lstm(
        x: tf.Tensor,
        h: tf.Tensor,
        c: tf.Tensor,
        kernel: tf.Tensor,
        recurrent_kernel: tf.Tensor,
        bias: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        def step(projected: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
            h, c = states
            i, f, candidate, o = tf.split(projected + h @ recurrent_kernel, 4, axis=-1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(candidate)
            h = tf.sigmoid(o) * tf.tanh(c)
            return h, (h, c)

        projected = tf.tensordot(x, kernel, 1) + bias  # (batch, time, 4 units)
        outputs, (h, c) = generic(step, projected, (h, c), None, h.shape[-1])
        # In Keras 2, the last result is a code for the processor that ran the layer. 0 means unknown.
        return h, outputs, h, c, tf.constant(0.0)

    return lstm


def _with_reset_steps(inputs: tf.Tensor) -> tf.Tensor:
    """Adds the reset steps and the reset features to ``inputs (n, T, d)``.

    The result has the shape ``(n, RESET_STEPS + T, d + RESET_COLUMNS)``.
    """
    batch, time, _ = inputs.shape
    steps = tf.pad(inputs, ((0, 0), (RESET_STEPS, 0), (0, 0)))
    columns = np.zeros((batch, RESET_STEPS + time, RESET_COLUMNS))
    columns[:, :RESET_STEPS] = 1
    return tf.concat([steps, tf.constant(columns, inputs.dtype)], axis=-1)


def _with_reset_rows(kernel: tf.Tensor) -> tf.Tensor:
    """Appends the weights of the reset features to ``kernel (d, 4h)``, as new rows.

    The result has the shape ``(d + RESET_COLUMNS, 4h)``. The converter computes the result once and stores
    it as a constant.
    """
    gates = np.tile(np.repeat([1, 1, 0, 1], kernel.shape[1] // 4), (RESET_COLUMNS, 1))  # 0 for the candidate
    closing = -tf.maximum(tf.reduce_max(tf.abs(kernel)), 1.0)
    return tf.concat([kernel, closing * tf.constant(gates, kernel.dtype)], axis=0)
