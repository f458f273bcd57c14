"""The loop that every kernel is made of, and what all kernels share around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Tensors = tuple[tf.Tensor, ...]


def scan(
    step: Callable[[tf.Tensor, Tensors, Tensors], tuple[Tensors, Tensors]],
    sequences: Sequence[tf.Tensor],
    states: Tensors,
    widths: Sequence[int],
    reverse: bool = False,
    replace: bool = False,
) -> tuple[Tensors, Tensors]:
    """``outputs_t, states = step(t, inputs_t, states)`` for every t, as a ``tf.while_loop``.

    Args:
        step: ``(t, inputs (n, p_i) each, states) -> (outputs (n, width_j) each, states)``.
        sequences: time-major ``(T, n, p_i)``.
        states: tensors of unchanging shape.
        widths: features of each output.
        reverse: from the last step to the first; every output stays where its step is.
        replace: the first output, as wide as the first sequence, is written over it step by step: memory that
            was just read is in the cache, and an array that is not made need not be filled with zeros.

    Returns:
        the outputs, time-major ``(T, n, width_j)``, and the last states.
    """
    first = sequences[0]
    time, batch, _ = first.shape
    steps = tf.shape(first)[0] if time is None else time
    # An empty array cannot be stacked while the batch is unknown: where T may be 0 there is one row to spare.
    spare = 1 if batch is None and not time else 0
    read = [tf.TensorArray(x.dtype, size=steps, element_shape=x.shape[1:]).unstack(x) for x in sequences]
    written = [
        tf.TensorArray(first.dtype, size=steps + spare, element_shape=(batch, width)) for width in widths
    ]
    if spare:
        rows = tf.shape(first)[1]
        written = [
            array.write(steps, tf.zeros((rows, width), first.dtype)) for array, width in zip(written, widths)
        ]
    elif replace:
        written[0] = read.pop(0)

    def body(index: tf.Tensor, states: Tensors, written: tuple) -> tuple:
        t = steps - 1 - index if reverse else index
        sources = read if spare or not replace else [written[0], *read]
        results, states = step(t, tuple(array.read(t) for array in sources), states)
        return index + 1, states, tuple(array.write(t, x) for array, x in zip(written, results))

    # XLA can give the arrays a size, and differentiate the loop, only when it knows a bound of the
    # iterations.
    _, states, arrays = tf.while_loop(
        lambda index, *_: index < steps, body, (0, states, tuple(written)), maximum_iterations=steps
    )
    stacked = tuple(array.stack()[:steps] if spare else array.stack() for array in arrays)
    for x, width in zip(stacked, widths):
        x.set_shape((time, batch, width))
    return stacked, states


def time_major(x: tf.Tensor) -> tf.Tensor:
    """``(n, T, p)`` to ``(T, n, p)``, and back."""
    return tf.transpose(x, (1, 0, 2))


def shifted(first: tf.Tensor, sequence: tf.Tensor) -> tf.Tensor:
    """What was there one step earlier: ``first, sequence_1 .. sequence_{T-1}``; ``(T, n, h)``."""
    return tf.concat([first[None], sequence], axis=0)[:-1]


def weight_gradient(states: tf.Tensor, dz: tf.Tensor) -> tf.Tensor:
    """``sum_t states_t^T dz_t``: ``(T, n, h)`` and ``(T, n, p)`` to ``(h, p)``, as one product.

    ``tensordot`` lays the transposed states out in memory before the product. A ``matmul`` that transposes
    as it reads takes up to 1.8 times as long under XLA.
    """
    return tf.tensordot(states, dz, ((0, 1), (0, 1)))


def alive_rows(lengths: tf.Tensor | None, t: Any) -> tf.Tensor | None:
    """Where step t is real, False where the row has ended, ``(n, 1)``; None where all rows are full."""
    return None if lengths is None else (t < lengths)[:, None]


def held(alive: tf.Tensor | None, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """``new`` where the row is alive, else ``old``."""
    return new if alive is None else tf.where(alive, new, old)


def masked(alive: tf.Tensor | None, x: tf.Tensor) -> tf.Tensor:
    """``x`` where the row is alive, else 0; also where ``x`` is not finite."""
    return x if alive is None else tf.where(alive, x, tf.zeros_like(x))


def dropped(h: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """The state as the recurrent product sees it: times its dropout mask, where there is one.

    >>> dropped(tf.ones((1, 2)), tf.constant([[0.0, 2.0]])).numpy()
    array([[0., 2.]], dtype=float32)
    """
    return h if mask is None else h * mask


def carried_back(
    truncate: int | None, alive: tf.Tensor | None, t: tf.Tensor, new: tf.Tensor, old: tf.Tensor
) -> tf.Tensor:
    """The gradient that reaches the state before step t.

    ``new`` came through the step, ``old`` is what passed a row that had ended. With truncation, steps form
    windows of ``truncate``; no gradient leaves a window at its beginning (Williams and Peng 1990), so that
    it is 0 at t = truncate, 2 truncate ... of a row that has not ended.
    """
    if truncate is not None:
        new = tf.where((t % truncate == 0) & (t > 0), tf.zeros_like(new), new)
    return held(alive, new, old)


def check_truncate(truncate: int | None) -> None:
    """Raises ValueError for windows of no step."""
    if truncate is not None and truncate < 1:
        raise ValueError(f"truncate is {truncate}; expected at least 1 step, or None")


def once_differentiable(function: Callable[..., Any], kernel: str) -> Callable[..., Any]:
    """A gradient function that may not itself be differentiated.

    Its intermediate results were computed out of sight of any outer tape, so that a second derivative
    would be wrong without a word.
    """

    @tf.custom_gradient
    def guarded(*args: tf.Tensor) -> tuple:
        def refuse(*_: tf.Tensor) -> None:
            raise NotImplementedError(
                f"the {kernel} kernel has no second derivative and none in forward mode; build the loop by "
                "`with kernels.form('generic'):`, which has both"
            )

        return function(*args), refuse

    return guarded
