"""Loops over time for any step function.

The functions :func:`generic` and :func:`unrolled` compute the same results. ``length`` is the number of real
steps of a row, which are the steps that are not padding. After the last real step of a row, its states
do not change and its outputs are zero::

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
    """Runs all steps in a ``tf.while_loop``.

    Args:
        step: function that receives the projected inputs of one step for n rows, ``(n, p)``, and the states
            before the step. The function returns the output ``(n, output_size)`` and the states after the
            step.
        projected: projected inputs of all T steps, ``(n, T, p)``.
        states: states before the first step, each ``(n, units)``.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.
        output_size: number of features of the output.

    Returns:
        The outputs ``(n, T, output_size)``, and the states after the last real step of each row.

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
    """Computes the results of :func:`generic` in a graph that contains one copy of ``step`` per time step.

    The graph also computes the steps in the padding. After all steps, the graph selects the state after the
    last real step of each row. A selection in every step would have two disadvantages. The graph would be
    larger by a quarter, and 8-bit states would be less precise.

    Raises:
        ValueError: the number of time steps is not static.

    >>> step = lambda x, states: (states[0] + x, (states[0] + x,))
    >>> outputs, (total,) = unrolled(step, tf.ones((1, 3, 2)), (tf.zeros((1, 2)),), None, 2)
    >>> outputs[0, :, 0].numpy(), total.numpy()
    (array([1., 2., 3.], dtype=float32), array([[3., 3.]], dtype=float32))
    """
    if projected.shape[1] is None:
        raise ValueError(
            "the unrolled form needs a static number of steps; got inputs of shape (batch, None, ...); set "
            "the number of steps, for example by keras.Input((100, features))"
        )
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
        # If a state is also the output, ``stacked`` already contains its values. Two stacks of the same 8-bit
        # tensors could have different scales. In this case, TensorFlow Lite's converter would fail.
        is_output = all(state is output for state, output in zip(later, outputs))
        rest = stacked if is_output else tf.stack(later, axis=1)
        return tf.gather(tf.concat([first[:, None], rest], axis=1), lengths, batch_dims=1)

    final = tuple(last(*each) for each in zip(*history))
    return tf.where(real, stacked, tf.zeros_like(stacked)), final
