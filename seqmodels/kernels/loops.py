"""Loops over time that take any step function.

Both have one meaning. For rows whose sequence has ended the state stays what it was at the row's own last
step and the output is zero::

    output_t, new_t = step(projected_t, state_{t-1})
    state_t  = new_t    where t < length, else state_{t-1}
    output_t = output_t where t < length, else 0
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from seqmodels.kernels.scan import alive_rows, held, masked, scan, time_major

States = tuple[tf.Tensor, ...]
Step = Callable[[tf.Tensor, States], tuple[tf.Tensor, States]]


def _masked_step(
    step: Step, t: Any, x: tf.Tensor, states: States, lengths: tf.Tensor | None
) -> tuple[tf.Tensor, States]:
    alive = alive_rows(lengths, t)
    output, new_states = step(x, states)
    return masked(alive, output), tuple(held(alive, new, old) for new, old in zip(new_states, states))


def generic(
    step: Step, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, output_size: int
) -> tuple[tf.Tensor, States]:
    """A ``tf.while_loop`` over time.

    Args:
        step: ``(x (n, p), states) -> (output (n, output_size), states)``.
        projected: ``(n, T, p)``.
        states: tensors of ``(n, units)``.
        lengths: ``(n,)`` int32, or None when all rows are full.
        output_size: features of one output.

    Returns:
        outputs ``(n, T, output_size)`` and the states after each row's own last step.
    """

    def body(t: tf.Tensor, inputs: States, states: States) -> tuple[States, States]:
        output, states = _masked_step(step, t, inputs[0], states, lengths)
        return (output,), states

    (outputs,), states = scan(body, (time_major(projected),), states, (output_size,))
    return time_major(outputs), states


def unrolled(
    step: Step, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, output_size: int
) -> tuple[tf.Tensor, States]:
    """The same as :func:`generic` with every step written into the graph.

    Raises:
        ValueError: the number of steps is not static.
    """
    if projected.shape[1] is None:
        raise ValueError("the unrolled form needs a static number of steps; got inputs (batch, None, ...)")
    outputs = []
    for t, x in enumerate(tf.unstack(projected, axis=1)):
        output, states = _masked_step(step, t, x, states, lengths)
        outputs.append(output)
    if not outputs:
        return tf.zeros((tf.shape(projected)[0], 0, output_size), projected.dtype), states
    return tf.stack(outputs, axis=1), states  # (batch, time, output_size)
