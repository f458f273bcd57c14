"""Beam search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from seqmodels.decoding.history import (
    invariants,
    lengths_of,
    maximum_of,
    new_history,
    padded,
    room,
    shaped_like,
)
from seqmodels.decoding.rules import IMPOSSIBLE, NONE, Rules, Step, at_least, restrict

SMALLEST_COVERAGE = 1e-10  # coverage of a source position without any attention


@dataclass(frozen=True)
class Search:
    """Settings of `beam`: its ranking and its stopping rule.

    Sequences are ranked by their score (Wu et al. 2016, arXiv 1609.08144, equation 14)::

            score(Y) = log P(Y) / lp(Y) + cp(Y)
            lp(Y) = ((5 + |Y|) / 6) ** length_penalty
            cp(Y) = coverage_penalty * sum_i log(min(sum_j attention_ij, 1))    over source i and target j

    ``|Y|`` includes the end token.

    Attributes:
        beams: number of sequences that are followed at once and returned.
        length_penalty: alpha; 0 ranks by probability, and larger values favour long sequences.
        coverage_penalty: beta; needs a step function that returns its attention.
        stop: "filled" finishes a row when ``beams`` sequences have ended. "sure" also waits until no other
            sequence can get a better score than the worst of these sequences.

    Raises:
        ValueError: fewer than one beam, a negative penalty or an unknown ``stop``.

    >>> search = Search(beams=4, length_penalty=1.0)
    >>> search.lengths(tf.constant([1, 7])).numpy()
    array([1., 2.], dtype=float32)
    """

    beams: int
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    stop: Literal["filled", "sure"] = "filled"

    def __post_init__(self) -> None:
        at_least("beams", self.beams, 1)
        at_least("length_penalty", self.length_penalty, 0)
        at_least("coverage_penalty", self.coverage_penalty, 0)
        if self.stop not in ("filled", "sure"):
            raise ValueError(f"stop must be 'filled' or 'sure'; got {self.stop!r}")

    def lengths(self, lengths: tf.Tensor) -> tf.Tensor:
        """Returns the length penalty lp of sequences with these lengths, of any shape."""
        return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** self.length_penalty

    def coverage(self, attention: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """Returns the coverage penalty cp: ``(n, beams, source)`` to ``(n, beams)``.

        Args:
            attention: sum of the attention over all steps, ``(n, beams, source)``.
            real: 1 for real source positions and 0 for padding, ``(n, 1, source)``.
        """
        logarithms = tf.math.log(tf.clip_by_value(attention, SMALLEST_COVERAGE, 1.0))
        return self.coverage_penalty * tf.reduce_sum(logarithms * real, axis=2)


class Ranked(NamedTuple):
    """The best sequences of each row.

    Ended sequences come before unfinished sequences. Both groups are sorted by falling score.

    Attributes:
        tokens: as in `Decoded`, ``(n, beams, steps) int32``.
        lengths: ``(n, beams) int32``.
        ended: ``(n, beams) bool``.
        log_probabilities: ``(n, beams) float32``.
        scores: scores of `Search`, ``(n, beams) float32``; -inf if fewer than ``beams`` sequences exist.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    ended: tf.Tensor
    log_probabilities: tf.Tensor
    scores: tf.Tensor


def beam(
    step: Step,
    start: tf.Tensor,
    states: Any,
    rules: Rules,
    search: Search,
    prompt: tf.Tensor | None = None,
    source_lengths: tf.Tensor | None = None,
) -> Ranked:
    """Follows the ``beams`` most probable sequences of each row.

    Every step extends all beams of a row by every token. An end token among the ``beams`` most probable
    extensions completes its sequence. The most probable extensions by other tokens are followed. With one
    beam and ``stop="filled"``, the result equals `greedy`.

    Args:
        step, start, states, rules, prompt: as in `greedy`, with n rows. Here ``step`` gets ``n * beams``
            rows, with the beams of a row next to each other. Tensors that the step function stores itself
            must be repeated by `repeat_rows`.
        search: number of beams, ranking and stopping rule.
        source_lengths: number of real positions of the attention, (n,) int32. None means that all positions
            are real.

    Raises:
        ValueError: a coverage penalty, but a step function that does not return its attention.

    >>> from seqmodels.decoding import Rules
    >>> step = lambda tokens, states: (tf.one_hot(tokens + 1, 5), states)
    >>> ranked = beam(step, tf.constant([0]), (), Rules(maximum=9, end=4), Search(beams=2))
    >>> ranked.tokens.shape, ranked.tokens[0, 0].numpy()
    (TensorShape([1, 2, 9]), array([1, 2, 3, 0, 0, 0, 0, 0, 0], dtype=int32))
    """
    return _Beam(step, rules, search).run(start, states, prompt, source_lengths)


def repeat_rows(nested: Any, beams: int) -> Any:
    """Repeats every row of tensors (n, ...) ``beams`` times: (n * beams, ...), copies next to each other.

    >>> repeat_rows(tf.constant([[1], [2]]), beams=2)[:, 0].numpy()
    array([1, 1, 2, 2], dtype=int32)
    """
    return tf.nest.map_structure(lambda tensor: tf.repeat(tensor, beams, axis=0), nested)


class _Beams(NamedTuple):
    """The state of `beam` between two steps: the followed and the completed sequences.

    The followed sequences have ``rows = n * beams`` rows.
    """

    time: tf.Tensor  # ()
    tokens: tf.Tensor  # (rows,)
    states: Any
    history: tf.Tensor  # (rows, prompt + room)
    totals: tf.Tensor  # (n, beams) log P, -inf for a missing sequence
    attention: tf.Tensor  # (n, beams, source), the sum so far
    active: tf.Tensor  # (n,)
    complete: Ranked  # tokens (n, beams, room) with NONE after the end


class _Beam:
    """The implementation of `beam`; its methods share the arguments of `beam`."""

    def __init__(self, step: Step, rules: Rules, search: Search):
        self.step, self.rules, self.search = step, rules, search
        self.beams = search.beams

    def run(
        self, start: tf.Tensor, states: Any, prompt: tf.Tensor | None, source_lengths: tf.Tensor | None
    ) -> Ranked:
        n = tf.shape(start)[0]
        state = self.begin(tf.cast(start, tf.int32), states, prompt)
        source = tf.shape(state.attention)[2]
        if source_lengths is None:
            real = tf.ones((n, 1, source))
        else:
            real = tf.sequence_mask(source_lengths, source, tf.float32)[:, None]
        (state,) = tf.while_loop(
            lambda state: tf.reduce_any(state.active),
            lambda state: (self.advance(state, real),),
            (state,),
            shape_invariants=(invariants(state),),
        )
        return self.ranked(state, real)

    def begin(self, start: tf.Tensor, states: Any, prompt: tf.Tensor | None) -> _Beams:
        n, beams = tf.shape(start)[0], self.beams
        tokens = tf.repeat(start, beams)
        states = repeat_rows(tf.nest.map_structure(tf.convert_to_tensor, states), beams)
        history = new_history(start, self.rules, prompt)
        blank = tf.fill((n, beams, room(start, self.rules)), NONE)
        none = tf.fill((n, beams), IMPOSSIBLE)
        complete = Ranked(blank, tf.zeros((n, beams), tf.int32), tf.zeros((n, beams), tf.bool), none, none)
        first = tf.range(beams) == 0  # identical beams would stay identical, so only one starts
        return _Beams(
            tf.constant(0),
            tokens,
            states,
            tf.repeat(history, beams, axis=0),
            tf.where(first, tf.zeros_like(none), none),
            tf.zeros((n, beams, self.source(tokens, states))),
            maximum_of(start, self.rules) > 0,
            complete,
        )

    def source(self, tokens: tf.Tensor, states: Any) -> Any:
        """Returns the number of positions of the attention; 0 without a coverage penalty."""
        if not self.search.coverage_penalty:
            return 0
        result = self.step(tokens, states)
        if len(result) < 3:
            raise ValueError(
                f"coverage_penalty {self.search.coverage_penalty} needs a step function that returns its "
                "attention; return (logits, states, attention), or set coverage_penalty to 0"
            )
        return tf.shape(result[2])[1]

    def score(
        self, totals: tf.Tensor, lengths: tf.Tensor, attention: tf.Tensor, real: tf.Tensor
    ) -> tf.Tensor:
        """Returns the scores of sequences (n, any); ``lengths`` must broadcast to (n, any)."""
        return totals / self.search.lengths(lengths) + self.search.coverage(attention, real)

    def advance(self, state: _Beams, real: tf.Tensor) -> _Beams:
        n, beams = tf.shape(state.totals)[0], self.beams
        result = self.step(state.tokens, state.states)
        logits, log_probabilities = restrict(result[0], state.history, state.time, self.rules)
        size = tf.shape(logits)[1]
        gained = tf.where(tf.math.is_finite(logits), log_probabilities, logits)  # (rows, V)
        totals = state.totals[:, :, None] + tf.reshape(gained, (n, beams, size))
        attention = state.attention
        if self.search.coverage_penalty:
            attention += tf.reshape(tf.cast(result[2], tf.float32), tf.shape(attention))

        # At most one extension per beam is an end token, so 2 * beams candidates contain enough other tokens.
        candidates = tf.minimum(2 * beams, beams * size)
        totals, flat = tf.math.top_k(tf.reshape(totals, (n, beams * size)), candidates)  # (n, candidates)
        parents, tokens = flat // size, flat % size
        attention = tf.gather(attention, parents, batch_dims=1)  # (n, candidates, source)
        rows = tf.range(n)[:, None] * beams + parents  # (n, candidates) index of the parent in (rows,)
        ends = tf.zeros_like(tokens, tf.bool) if self.rules.end is None else tokens == self.rules.end

        nothing = tf.fill(tf.shape(totals), IMPOSSIBLE)
        completed = ends & state.active[:, None] & (tf.range(candidates) < beams)
        scores = tf.where(completed, self.score(totals, state.time + 1, attention, real), nothing)
        complete = self.merged(state, totals, scores, rows)

        totals, kept = tf.math.top_k(tf.where(ends, nothing, totals), beams)  # (n, beams)
        tokens, rows = (tf.gather(each, kept, batch_dims=1) for each in (tokens, rows))
        attention = tf.gather(attention, kept, batch_dims=1)
        going_on = state.active[:, None]
        rows = tf.where(going_on, rows, tf.reshape(tf.range(n * beams), (n, beams)))
        totals = tf.where(going_on, totals, state.totals)
        attention = tf.where(going_on[:, :, None], attention, state.attention)
        flat_rows, tokens = tf.reshape(rows, [-1]), tf.reshape(tokens, [-1])
        here = tf.range(tf.shape(state.history)[1]) == self.place(state, state.time)
        history = tf.gather(state.history, flat_rows)
        history = tf.where(here & tf.repeat(going_on, beams, axis=0), tokens[:, None], history)
        moved = tf.nest.map_structure(lambda tensor: tf.gather(tensor, flat_rows), result[1])
        return _Beams(
            state.time + 1,
            tokens,
            shaped_like(moved, state.states),
            history,
            totals,
            attention,
            state.active & ~self.done(state.time + 1, totals, complete.scores),
            complete,
        )

    def place(self, state: _Beams, time: int | tf.Tensor) -> tf.Tensor:
        """Returns the position of a token in a history, as `place_of` does.

        `place_of` does not apply, because a history has ``n * beams`` rows and there are only n maxima.
        """
        return tf.shape(state.history)[1] - tf.shape(state.complete.tokens)[2] + time

    def merged(self, state: _Beams, totals: tf.Tensor, scores: tf.Tensor, rows: tf.Tensor) -> Ranked:
        """Returns the best of the completed sequences and of those that end now, (n, candidates)."""
        tokens = tf.gather(state.history[:, self.place(state, 0) :], rows)  # (n, candidates, room)
        ended = tf.math.is_finite(scores)
        new = Ranked(tokens, tf.fill(tf.shape(rows), state.time), ended, totals, scores)
        both = Ranked(*(tf.concat(pair, axis=1) for pair in zip(state.complete, new)))
        _, best = tf.math.top_k(both.scores, self.beams)
        return shaped_like(Ranked(*(tf.gather(each, best, batch_dims=1) for each in both)), state.complete)

    def done(self, time: tf.Tensor, totals: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns True for rows that need no further step, (n,)."""
        maximum = maximum_of(totals, self.rules)
        likeliest = tf.reduce_max(totals, axis=1)
        last = tf.reduce_min(scores, axis=1)
        enough = tf.math.is_finite(last)
        if self.search.stop == "sure":
            # log P only falls. The best case divides it by the largest lp and has no coverage penalty.
            enough &= likeliest / self.search.lengths(maximum) <= last
        return enough | (time >= maximum) | ~tf.math.is_finite(likeliest)

    def ranked(self, state: _Beams, real: tf.Tensor) -> Ranked:
        """Returns completed sequences, followed by sequences that were truncated at the maximum."""
        beams = self.beams
        tokens = tf.reshape(state.history[:, self.place(state, 0) :], tf.shape(state.complete.tokens))
        lengths = lengths_of(tokens)
        scores = self.score(state.totals, lengths, state.attention, real)
        cut = Ranked(tokens, lengths, tf.zeros_like(scores, tf.bool), state.totals, scores)
        _, order = tf.math.top_k(scores, beams)
        cut = Ranked(*(tf.gather(each, order, batch_dims=1) for each in cut))
        both = Ranked(*(tf.concat(pair, axis=1) for pair in zip(state.complete, cut)))
        exists = tf.math.is_finite(both.scores)
        group = tf.where(exists, tf.where(both.ended, 0, 1), 2)  # (n, 2 * beams)
        best = tf.argsort(group, axis=1, stable=True)[:, :beams]
        both = Ranked(*(tf.gather(each, best, batch_dims=1) for each in both))
        return both._replace(tokens=padded(both.tokens))
