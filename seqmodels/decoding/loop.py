"""Decoding token by token: greedy decoding, sampling and streaming."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from seqmodels.decoding.history import (
    invariants,
    lengths_of,
    maximum_of,
    new_history,
    padded,
    place_of,
    shaped_like,
)
from seqmodels.decoding.rules import NONE, Rules, Step, restrict
from seqmodels.decoding.sampling import Sampling, draw, uniform


class Decoded(NamedTuple):
    """Decoded sequences of n rows.

    Attributes:
        tokens: tokens of each row without the end token, followed by `PAD`, ``(n, steps) int32``.
        lengths: number of tokens of each row without the end token, ``(n,) int32``.
        ended: True for rows with an end token, and False for rows that reached the maximum length without an
            end token, ``(n,) bool``.
        log_probabilities: sum of the log-probabilities of the tokens and the end token, ``(n,) float32``.
            The probabilities are computed after the repetition penalty, but before `Rules` and `Sampling`
            exclude tokens.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    ended: tf.Tensor
    log_probabilities: tf.Tensor


def greedy(
    step: Step, start: tf.Tensor, states: Any, rules: Rules, prompt: tf.Tensor | None = None
) -> Decoded:
    """Selects the most probable token at every step.

    If several tokens are equally probable, the token with the lowest id is selected.

    Args:
        step: a step function, see :mod:`seqmodels.decoding`.
        start: token that the first step reads, one per row, (n,) int32.
        states: states before the first step.
        rules: constraints on the generated tokens.
        prompt: previous tokens of each row, (n, any) int32, left-padded with `NONE`. The rules against
            repetition treat these tokens as generated tokens. ``step`` does not read the prompt.

    >>> step = lambda tokens, states: (tf.one_hot(tokens + 1, 5), states)  # counts
    >>> decoded = greedy(step, tf.constant([0]), (), Rules(maximum=9, end=4))
    >>> decoded.tokens.numpy(), decoded.ended.numpy()
    (array([[1, 2, 3, 0, 0, 0, 0, 0, 0]], dtype=int32), array([ True]))
    """
    return _run(step, start, states, rules, prompt, _likeliest)


def sample(
    step: Step,
    start: tf.Tensor,
    states: Any,
    rules: Rules,
    sampling: Sampling,
    seed: int | tf.Tensor,
    prompt: tf.Tensor | None = None,
) -> Decoded:
    """Samples a token at every step.

    At step t, row r uses the random number ``uniform(seed, t, n)[r]``, where n is the number of rows.

    Args:
        step, start, states, rules, prompt: as in `greedy`.
        sampling: settings of the sampling.
        seed: an integer. The same seed gives the same tokens.

    >>> step = lambda tokens, states: (100 * tf.one_hot(tokens + 1, 5), states)  # counts
    >>> decoded = sample(step, tf.constant([0]), (), Rules(maximum=9, end=4), Sampling(), seed=1)
    >>> decoded.tokens.numpy(), decoded.lengths.numpy()
    (array([[1, 2, 3, 0, 0, 0, 0, 0, 0]], dtype=int32), array([3], dtype=int32))
    """
    return _run(step, start, states, rules, prompt, _drawn(sampling, seed))


def stream(
    step: Step,
    start: tf.Tensor,
    states: Any,
    rules: Rules,
    sampling: Sampling | None = None,
    seed: int = 0,
    prompt: tf.Tensor | None = None,
) -> Iterator[tf.Tensor]:
    """Generates tokens as `sample` does, and yields the tokens of each step.

    Without ``sampling``, the function selects tokens as `greedy` does. The arguments are described in
    `sample`. This function works only outside of graphs.

    Yields:
        The tokens of one step, (n,) int32, with `NONE` for finished rows. The generator ends when all rows
        are finished.

    >>> step = lambda tokens, states: (tf.one_hot(tokens + 1, 5), states)  # counts
    >>> [int(tokens[0]) for tokens in stream(step, tf.constant([0]), (), Rules(maximum=9, end=4))]
    [1, 2, 3]
    """
    select = _likeliest if sampling is None else _drawn(sampling, seed)
    state = _begin(start, states, rules, prompt)
    while bool(tf.reduce_any(state.active)):
        place = place_of(state.history, state.time, rules)
        state = _advance(step, state, rules, select)
        tokens = state.history[:, place]
        if bool(tf.reduce_any(tokens != NONE)):
            yield tokens


class _State(NamedTuple):
    """The state of `greedy` and `sample` between two steps.

    ``history`` contains the prompt and the generated tokens, see :mod:`seqmodels.decoding.history`.
    """

    time: tf.Tensor  # ()
    tokens: tf.Tensor  # (n,) the last tokens
    states: Any
    history: tf.Tensor  # (n, prompt + room)
    active: tf.Tensor  # (n,)
    ended: tf.Tensor  # (n,)
    log_probabilities: tf.Tensor  # (n,)


Select = Callable[
    [tf.Tensor, tf.Tensor], tf.Tensor
]  # receives the logits (n, V) and the index of the step, and returns the tokens (n,)


def _likeliest(logits: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, axis=1, output_type=tf.int32)


def _drawn(sampling: Sampling, seed: int | tf.Tensor) -> Select:
    def select(logits: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        return draw(logits, uniform(seed, time, tf.shape(logits)[0]), sampling)

    return select


def _begin(start: tf.Tensor, states: Any, rules: Rules, prompt: tf.Tensor | None) -> _State:
    start = tf.cast(start, tf.int32)
    return _State(
        tf.constant(0),
        start,
        tf.nest.map_structure(tf.convert_to_tensor, states),
        new_history(start, rules, prompt),
        maximum_of(start, rules) > 0,
        tf.zeros_like(start, tf.bool),
        tf.zeros_like(start, tf.float32),
    )


def _advance(step: Step, state: _State, rules: Rules, select: Select) -> _State:
    logits, states = step(state.tokens, state.states)[:2]
    logits, log_probabilities = restrict(logits, state.history, state.time, rules)
    tokens = select(logits, state.time)
    gained = tf.gather(log_probabilities, tokens, batch_dims=1)
    ends = tf.zeros_like(state.active) if rules.end is None else tokens == rules.end
    here = tf.range(tf.shape(state.history)[1]) == place_of(state.history, state.time, rules)
    written = here & (state.active & ~ends)[:, None]  # (n, prompt + room)
    return _State(
        state.time + 1,
        tokens,
        shaped_like(states, state.states),
        tf.where(written, tokens[:, None], state.history),
        state.active & ~ends & (state.time + 1 < maximum_of(state.active, rules)),
        state.ended | (state.active & ends),
        state.log_probabilities + tf.where(state.active, gained, 0.0),
    )


def _run(
    step: Step, start: tf.Tensor, states: Any, rules: Rules, prompt: tf.Tensor | None, select: Select
) -> Decoded:
    state = _begin(start, states, rules, prompt)
    (state,) = tf.while_loop(
        lambda state: tf.reduce_any(state.active),
        lambda state: (_advance(step, state, rules, select),),
        (state,),
        shape_invariants=(invariants(state),),
    )
    tokens = state.history[:, place_of(state.history, 0, rules) :]  # (n, room)
    return Decoded(padded(tokens), lengths_of(tokens), state.ended, state.log_probabilities)
