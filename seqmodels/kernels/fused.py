r"""The LSTM in the shape that TensorFlow Lite's converter turns into one ``UNIDIRECTIONAL_SEQUENCE_LSTM``.

The converter replaces a whole function, which it knows by its attributes, its arguments and its results; in
TensorFlow the function is an ordinary loop and gives the same numbers. The operator has three gaps, which are
closed around it:

- It keeps ``h`` and ``c`` from one call of the interpreter to the next, so that a text would be read in the
  light of the one before. Two steps are put in front that close all gates: their inputs are zero but for
  ``RESET_COLUMNS`` additional features of 1, whose weights of ``i``, ``f`` and ``o`` are ``-max(1, max|W|)``
  each. Then ``c_t = f c_{t-1} + i c~_t`` and ``h_t = o tanh(c_t)`` are zero, to the rounding of a float32,
  from wherever they start. Many small columns, and not a large one, because 8-bit weights share one scale.
- It does not know of lengths. Steps past the end are computed from the padding and their outputs are then set
  to zero; the steps before are not touched by them.
- It hands out ``h`` of every step, but no ``c``.
"""

from __future__ import annotations

from uuid import uuid4

import numpy as np
import tensorflow as tf

from seqmodels.kernels.loops import States, generic

RESET_STEPS = 2  # the first closes the output, h = 0; so nothing disturbs the second, which clears c
RESET_COLUMNS = 24  # exp(-24) is 4e-11


def fused_lstm(
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    recurrent_kernel: tf.Tensor,
    bias: tf.Tensor,
    lengths: tf.Tensor | None = None,
) -> tuple[tf.Tensor, States]:
    """Equal to stepping :class:`seqmodels.layers.LSTMCell` from a state of zeros.

    Args:
        inputs: ``(n, T, d)``, n and T static.
        kernel: W ``(d, 4h)``, columns i, f, c, o.
        recurrent_kernel: U ``(h, 4h)``.
        bias: ``(4h,)``.
        lengths: ``(n,)`` int32, or None when all rows are full.

    Returns:
        outputs ``(n, T, h)``, and the one state that the operator hands out, ``(h,)`` of ``(n, h)``, at each
        row's own last step.

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
    # Of a row of length 0 all outputs are zero, as is its state.
    return outputs, (tf.gather(outputs, tf.maximum(lengths - 1, 0), batch_dims=1),)


def _operator() -> tf.types.experimental.PolymorphicFunction:
    """The function that the converter replaces: ``lstm_defun`` of Keras 2, results and all."""

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
        return h, outputs, h, c, tf.constant(0.0)  # the last names the runtime in Keras 2

    return lstm


def _with_reset_steps(inputs: tf.Tensor) -> tf.Tensor:
    """``(n, RESET_STEPS + T, d + RESET_COLUMNS)``."""
    batch, time, _ = inputs.shape
    steps = tf.pad(inputs, ((0, 0), (RESET_STEPS, 0), (0, 0)))
    columns = np.zeros((batch, RESET_STEPS + time, RESET_COLUMNS))
    columns[:, :RESET_STEPS] = 1
    return tf.concat([steps, tf.constant(columns, inputs.dtype)], axis=-1)


def _with_reset_rows(kernel: tf.Tensor) -> tf.Tensor:
    """``(d + RESET_COLUMNS, 4h)``, of operators that the converter computes once and for all."""
    gates = np.tile(np.repeat([1, 1, 0, 1], kernel.shape[1] // 4), (RESET_COLUMNS, 1))  # not the candidate
    closing = -tf.maximum(tf.reduce_max(tf.abs(kernel)), 1.0)
    return tf.concat([kernel, closing * tf.constant(gates, kernel.dtype)], axis=0)
