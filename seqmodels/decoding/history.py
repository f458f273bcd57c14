"""Helper functions of the decoding loops.

A history ``(n, prompt + room)`` contains the tokens of each row: first the prompt, then the generated tokens,
then `NONE` at the free positions. ``room`` is the largest of the maximum lengths of the rows.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqmodels.decoding.rules import NONE, PAD, Rules


def maximum_of(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the maximum number of tokens of each row, (n,). ``rows`` is any tensor with n rows."""
    return tf.broadcast_to(tf.cast(rules.maximum, tf.int32), tf.shape(rows)[:1])


def room(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the largest of the maximum numbers of tokens, () int32. ``rows`` is any tensor with n rows."""
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
    """Returns ``states`` with the static shapes of ``before``, because a step function may lose these shapes.

    The number of rows stays unknown.
    """

    def shaped(tensor: Any, old: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tensor, [None, *old.shape[1:]])

    return tf.nest.map_structure(shaped, states, before)


def invariants(state: Any) -> Any:
    """Returns the shapes of loop variables, in which the number of rows is declared as unknown.

    The static number of rows may be known only before a step or only after a step. A loop rejects this
    difference unless the number of rows is declared as unknown.
    """

    def invariant(tensor: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([None, *tensor.shape[1:]] if tensor.shape.rank else [])

    return tf.nest.map_structure(invariant, state)
