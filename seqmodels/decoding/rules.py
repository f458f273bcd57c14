"""What a sequence may look like, whoever chooses its tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

PAD = 0  # fills the tokens behind the end of a row
NONE = -1  # no token: behind the end in a history, before the beginning in a prompt
IMPOSSIBLE = float("-inf")
Step = Callable[[tf.Tensor, Any], tuple]


@dataclass(frozen=True)
class Rules:
    """What a sequence may look like, whoever chooses its tokens.

    Attributes:
        maximum: tokens at most, the end counted: one number, or one for each row (n,).
        end: the token that ends a row; None: every row goes on to its maximum.
        minimum: tokens at least, the end not counted.
        forbidden: tokens that never come.
        repetition_penalty: what has come before is made less likely (Keskar et al. 2019, "CTRL", section
            4.1): its logit is divided by this if positive and multiplied if negative. 1: no penalty.
        no_repeat: no n-gram of this many tokens comes twice, unless nothing else is left; 0: any may.

    Raises:
        ValueError: a number below its range.

    >>> rules = Rules(maximum=10, end=3, forbidden=(0, 1), no_repeat=3)
    >>> rules.maximum, rules.repetition_penalty
    (10, 1.0)
    """

    maximum: int | tf.Tensor
    end: int | None = None
    minimum: int = 0
    forbidden: tuple[int, ...] = ()
    repetition_penalty: float | tf.Tensor = 1.0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.maximum, int):
            at_least("maximum", self.maximum, 0)
        at_least("minimum", self.minimum, 0)
        at_least("no_repeat", self.no_repeat, 0)
        if isinstance(self.repetition_penalty, (int, float)) and self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty is {self.repetition_penalty}; expected more than 0")


def restrict(
    logits: tf.Tensor, history: tf.Tensor, time: int | tf.Tensor, rules: Rules
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies ``rules`` to the logits of one step.

    Args:
        logits: (n, V).
        history: the tokens so far and `NONE` behind and before them, (n, any) int32.
        time: tokens that have been chosen, () int32; the prompt does not count.
        rules: all but the maximum.

    Returns:
        The logits with -inf for tokens that may not come, and the logarithm of the probabilities after
        the repetition penalty alone, both (n, V) float32.

    >>> history, rules = tf.constant([[2, NONE]]), Rules(maximum=2, forbidden=(1,))
    >>> logits, log_probabilities = restrict(tf.zeros((1, 3)), history, 1, rules)
    >>> logits.numpy()
    array([[  0., -inf,   0.]], dtype=float32)
    """
    logits = tf.cast(logits, tf.float32)
    size = logits.shape[1] or tf.shape(logits)[1]
    penalty = rules.repetition_penalty
    if not isinstance(penalty, (int, float)) or penalty != 1:
        penalty = tf.cast(penalty, tf.float32)
        lowered = tf.where(logits > 0, logits / penalty, logits * penalty)
        logits = tf.where(_marked(history, size), lowered, logits)
    log_probabilities = tf.nn.log_softmax(logits)
    forbidden = tf.constant(rules.forbidden, tf.int32, (len(rules.forbidden),))
    excluded = tf.reduce_any(tf.one_hot(forbidden, size, True, False, dtype=tf.bool), axis=0)  # (V,)
    if rules.end is not None and rules.minimum > 0:
        excluded |= tf.one_hot(rules.end, size, True, False, dtype=tf.bool) & (time < rules.minimum)
    nothing = tf.fill(tf.shape(logits), IMPOSSIBLE)  # (n, V) -inf
    logits = tf.where(excluded, nothing, logits)
    if rules.no_repeat:
        fresh = tf.where(_repeating(history, rules.no_repeat, size), nothing, logits)
        possible = tf.reduce_max(fresh, axis=1, keepdims=True) > tf.float32.min
        logits = tf.where(possible, fresh, logits)
    return logits, log_probabilities


def at_least(name: str, value: float, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} is {value}; expected at least {least}")


def _marked(tokens: tf.Tensor, size: Any) -> tf.Tensor:
    """Which of the ``size`` tokens are among those of each row (n, any), `NONE` aside: (n, size) bool."""
    rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(tokens))
    columns = tf.where(tokens == NONE, size, tokens)
    places = tf.stack([rows, columns], axis=2)  # (n, any, 2)
    counts = tf.scatter_nd(places, tf.ones_like(tokens), (tf.shape(tokens)[0], size + 1))
    return counts[:, :size] > 0


def _repeating(history: tf.Tensor, length: int, size: Any) -> tf.Tensor:
    """Which token would complete an n-gram of ``length`` tokens that the row has already: (n, size) bool."""
    history = tf.pad(history, [[0, 0], [0, 1]], constant_values=NONE)  # so that no history is empty
    real = history != NONE
    steps = tf.range(tf.shape(history)[1])
    last = tf.reduce_max(tf.where(real, steps, NONE), axis=1)  # (n,) place of the last token
    tail = last[:, None] + tf.range(2 - length, 1)  # (n, length - 1) places of the last tokens
    starts = steps[
        : tf.maximum(tf.shape(steps)[0] - length + 1, 0)
    ]  # where an n-gram of the history may begin
    same = real[:, length - 1 :] & tf.reduce_all(tail >= 0, axis=1, keepdims=True)  # (n, starts)
    for offset in range(length - 1):
        token = tf.gather(history, tf.maximum(tail[:, offset], 0), batch_dims=1)[:, None]
        same &= (tf.gather(history, starts + offset, axis=1) == token) & (token != NONE)
    return _marked(tf.where(same, history[:, length - 1 :], NONE), size)
