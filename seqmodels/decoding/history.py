"""Bookkeeping of the decoding loops: previous tokens, the next position, and shapes of loop variables."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from seqmodels.decoding.rules import NONE, PAD, Rules


def maximum_of(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the maximum length of each row, (n,), for any tensor (n, ...)."""
    return tf.broadcast_to(tf.cast(rules.maximum, tf.int32), tf.shape(rows)[:1])


def room(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the largest maximum length of the rows (n, ...): () int32."""
    return tf.maximum(tf.reduce_max(maximum_of(rows, rules)), 0)


def place_of(history: tf.Tensor, time: int | tf.Tensor, rules: Rules) -> tf.Tensor:
    """Returns the position in a history of the token at ``time``, after the prompt: () int32."""
    return tf.shape(history)[1] - room(history, rules) + time


def new_history(start: tf.Tensor, rules: Rules, prompt: tf.Tensor | None) -> tf.Tensor:
    """Returns the prompt and room for the generated tokens: (n, prompt + room)."""
    blank = tf.fill((tf.shape(start)[0], room(start, rules)), NONE)
    return blank if prompt is None else tf.concat([tf.cast(prompt, tf.int32), blank], axis=1)


def padded(history: tf.Tensor) -> tf.Tensor:
    return tf.where(history == NONE, PAD, history)


def lengths_of(history: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(history != NONE, tf.int32), axis=-1)


def shaped_like(states: Any, before: Any) -> Any:
    """Returns the new states with the static shapes of the previous states, which a step may have lost."""

    def shaped(tensor: Any, old: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tensor, [None, *old.shape[1:]])

    return tf.nest.map_structure(shaped, states, before)


def invariants(state: Any) -> Any:
    """Returns the shapes of loop variables, with an unknown number of rows.

    The static number of rows may be known only before or only after a step. A loop rejects such a change
    unless the number is declared as unknown.
    """

    def invariant(tensor: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([None, *tensor.shape[1:]] if tensor.shape.rank else [])

    return tf.nest.map_structure(invariant, state)
