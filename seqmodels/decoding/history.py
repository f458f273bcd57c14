"""Helper functions of the decoding loops.

A history ``(n, prompt + room)`` contains the tokens of each row: first the prompt, then the generated tokens,
then `NONE` at the free positions. Each row has a maximum length. ``room`` is the largest of these lengths.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqmodels.decoding.rules import NONE, PAD, Rules


def maximum_of(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the maximum number of tokens of each row, (n,). ``rows`` is any tensor with n rows."""
    return tf.broadcast_to(tf.cast(rules.maximum, tf.int32), tf.shape(rows)[:1])


def room(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the largest value of `maximum_of`, at least 0, () int32. ``rows`` is any tensor with n rows."""
    return tf.maximum(tf.reduce_max(maximum_of(rows, rules)), 0)


def place_of(history: tf.Tensor, time: int | tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the position at which a history stores the token of step ``time``, () int32."""
    return tf.shape(history)[1] - room(history, rules) + time


def new_history(start: tf.Tensor, rules: Rules, prompt: tf.Tensor | None) -> tf.Tensor:
    """Returns a history that contains the prompt, and `NONE` at the positions of the generated tokens."""
    blank = tf.fill((tf.shape(start)[0], room(start, rules)), NONE)
    return blank if prompt is None else tf.concat([tf.cast(prompt, tf.int32), blank], axis=1)


def padded(history: tf.Tensor) -> tf.Tensor:
    return tf.where(history == NONE, PAD, history)


def lengths_of(history: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(history != NONE, tf.int32), axis=-1)


def shaped_like(states: Any, before: Any) -> Any:
    """Restores the static shapes of ``states``, because a step function may lose static shapes.

    The shapes are copied from ``before``, the states before the step. The number of rows stays unknown.
    """

    def shaped(tensor: Any, old: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tensor, [None, *old.shape[1:]])

    return tf.nest.map_structure(shaped, states, before)


def invariants(state: Any) -> Any:
    """Returns the shapes of the loop variables, with an unknown number of rows.

    The static number of rows may be known before a step and unknown after the step. Without these shapes,
    ``tf.while_loop`` raises an error in this case.
    """

    def invariant(tensor: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([None, *tensor.shape[1:]] if tensor.shape.rank else [])

    return tf.nest.map_structure(invariant, state)
