"""Constraints on generated sequences, which all decoding methods use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

PAD = 0  # id that fills a row after its last token
NONE = -1  # marks a position without a token: before a prompt, or after the last token of a history
IMPOSSIBLE = float("-inf")
Step = Callable[[tf.Tensor, Any], tuple]


@dataclass(frozen=True)
class Rules:
    """Constraints on generated sequences, which all decoding methods use.

    Attributes:
        maximum: maximum number of tokens, including the end token. It is one number for all rows, or a tensor
            (n,) with one number per row.
        end: id of the token that ends a row. None disables the end: every row gets its maximum number of
            tokens.
        minimum: minimum number of tokens, without the end token.
        forbidden: ids of tokens that are never generated.
        repetition_penalty: penalty for tokens that occurred before in the row (Keskar et al. 2019, "CTRL",
            section 4.1). Positive logits of these tokens are divided by the penalty, and negative logits are
            multiplied by the penalty. 1 disables the rule.
        no_repeat: length of n-grams. No n-gram of this length may occur more than once in the same sequence.
            If this rule excludes all tokens at a step, the rule is ignored at this step. 0 disables the rule.

    Raises:
        ValueError: a number is too small.

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
            raise ValueError(f"repetition_penalty must be greater than 0; got {self.repetition_penalty}")


def restrict(
    logits: tf.Tensor, history: tf.Tensor, time: int | tf.Tensor, rules: Rules
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies ``rules`` to the logits of one step.

    Args:
        logits: logits of n rows and V tokens, (n, V).
        history: prompt and generated tokens of each row, (n, any) int32, with `NONE` at positions without a
            token.
        time: number of generated tokens, () int32. The tokens of the prompt are not counted.
        rules: the constraints. This function does not use ``maximum``.

    Returns:
        The logits, with -inf for excluded tokens, and the log-probabilities, both (n, V) float32. The
        log-probabilities are computed after the repetition penalty, but before tokens are excluded.

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
        raise ValueError(f"{name} must be at least {least}; got {value}")


def _marked(tokens: tf.Tensor, size: Any) -> tf.Tensor:
    """Returns a mask (n, size). The mask of a row is True for the ids that this row of ``tokens`` contains.

    ``tokens`` has the shape (n, any). `NONE` is ignored. ``size`` is the number of token ids.
    """
    rows = tf.broadcast_to(tf.range(tf.shape(tokens)[0])[:, None], tf.shape(tokens))
    columns = tf.where(tokens == NONE, size, tokens)
    places = tf.stack([rows, columns], axis=2)  # (n, any, 2)
    counts = tf.scatter_nd(places, tf.ones_like(tokens), (tf.shape(tokens)[0], size + 1))
    return counts[:, :size] > 0


def _repeating(history: tf.Tensor, length: int, size: Any) -> tf.Tensor:
    """Returns a mask (n, size), True for tokens that would complete an n-gram that is already in the row.

    ``length`` is the number of tokens of an n-gram. ``size`` is the number of token ids.
    """
    history = tf.pad(history, [[0, 0], [0, 1]], constant_values=NONE)  # reduce_max needs at least one column
    real = history != NONE
    steps = tf.range(tf.shape(history)[1])
    last = tf.reduce_max(tf.where(real, steps, NONE), axis=1)  # (n,) position of the last token
    tail = last[:, None] + tf.range(2 - length, 1)  # (n, length - 1) positions of the final tokens
    starts = steps[
        : tf.maximum(tf.shape(steps)[0] - length + 1, 0)
    ]  # start positions of the n-grams of the history
    same = real[:, length - 1 :] & tf.reduce_all(tail >= 0, axis=1, keepdims=True)  # (n, starts)
    for offset in range(length - 1):
        token = tf.gather(history, tf.maximum(tail[:, offset], 0), batch_dims=1)[:, None]
        same &= (tf.gather(history, starts + offset, axis=1) == token) & (token != NONE)
    return _marked(tf.where(same, history[:, length - 1 :], NONE), size)
