"""Loops over time that take any step function.

Both have one meaning. For rows whose sequence has ended the state stays what it was at the row's own last
step and the output is zero::

    output_t, new_t = step(projected_t, state_{t-1})
    state_t  = new_t    where t < length, else state_{t-1}
    output_t = output_t where t < length, else 0
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from seqmodels.kernels.scan import alive_rows, held, masked, scan, time_major

States = tuple[tf.Tensor, ...]
Step = Callable[[tf.Tensor, States], tuple[tf.Tensor, States]]


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

    >>> step = lambda x, states: (states[0] + x, (states[0] + x,))
    >>> outputs, (total,) = generic(step, tf.ones((1, 3, 2)), (tf.zeros((1, 2)),), None, 2)
    >>> outputs[0, :, 0].numpy(), total.numpy()
    (array([1., 2., 3.], dtype=float32), array([[3., 3.]], dtype=float32))
    """

    def body(t: tf.Tensor, inputs: States, states: States) -> tuple[States, States]:
        alive = alive_rows(lengths, t)
        output, new_states = step(inputs[0], states)
        kept = tuple(held(alive, new, old) for new, old in zip(new_states, states))
        return (masked(alive, output),), kept

    (outputs,), states = scan(body, (time_major(projected),), states, (output_size,))
    return time_major(outputs), states


def unrolled(
    step: Step, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, output_size: int
) -> tuple[tf.Tensor, States]:
    """The same as :func:`generic` with every step written into the graph.

    Steps past the end are computed from the padding, and the states at the end are picked out afterwards: a
    choice in every step would make the graph a quarter larger, and 8-bit states coarser.

    Raises:
        ValueError: the number of steps is not static.

    >>> step = lambda x, states: (states[0] + x, (states[0] + x,))
    >>> outputs, (total,) = unrolled(step, tf.ones((1, 3, 2)), (tf.zeros((1, 2)),), None, 2)
    >>> outputs[0, :, 0].numpy(), total.numpy()
    (array([1., 2., 3.], dtype=float32), array([[3., 3.]], dtype=float32))
    """
    if projected.shape[1] is None:
        raise ValueError("the unrolled form needs a static number of steps; got inputs (batch, None, ...)")
    if projected.shape[1] == 0:
        return tf.zeros((tf.shape(projected)[0], 0, output_size), projected.dtype), states
    outputs, history = [], [states]
    for x in tf.unstack(projected, axis=1):
        output, states = step(x, states)
        outputs.append(output)
        history.append(states)
    stacked = tf.stack(outputs, axis=1)  # (batch, time, output_size)
    if lengths is None:
        return stacked, states
    real = (tf.range(len(outputs)) < lengths[:, None])[..., None]  # (batch, time, 1)

    def last(first: tf.Tensor, *later: tf.Tensor) -> tf.Tensor:
        # TensorFlow Lite's converter fails on an 8-bit tensor that is in two stacks of different scales.
        is_output = all(state is output for state, output in zip(later, outputs))
        rest = stacked if is_output else tf.stack(later, axis=1)
        return tf.gather(tf.concat([first[:, None], rest], axis=1), lengths, batch_dims=1)

    final = tuple(last(*each) for each in zip(*history))
    return tf.where(real, stacked, tf.zeros_like(stacked)), final
