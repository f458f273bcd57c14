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

SMALLEST_COVERAGE = 1e-10  # lower limit of the coverage of a source position, because log(0) is not finite


@dataclass(frozen=True)
class Search:
    """Settings of `beam`: the number of sequences, their ranking, and the stopping rule.

    Each sequence Y is ranked by its score (Wu et al. 2016, arXiv 1609.08144, equation 14)::

            score(Y) = log P(Y) / lp(Y) + cp(Y)
            lp(Y) = ((5 + |Y|) / 6) ** length_penalty
            cp(Y) = coverage_penalty * sum_i log(min(sum_j attention_ij, 1))    over source i and target j

    ``|Y|`` is the number of tokens of Y, including the end token.

    Attributes:
        beams: number of unfinished sequences that the search keeps for each row. `beam` returns the same
            number of sequences for each row.
        length_penalty: exponent of lp (alpha in the paper). 0 ranks by probability. Larger values favour long
            sequences.
        coverage_penalty: factor of cp (beta in the paper). A value above 0 needs a step function that returns
            attention weights.
        stop: with "filled", a row is finished when the number of its completed sequences reaches ``beams``.
            With "sure", the search continues while a later sequence could still replace one of the sequences
            that `beam` would return.

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
        """Returns the length penalty lp of sequences. ``lengths`` is a tensor of any shape."""
        return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** self.length_penalty

    def coverage(self, attention: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """Returns the coverage penalty cp of each sequence, ``(n, beams)``.

        Args:
            attention: sum of the attention over all steps, ``(n, beams, source)``.
            real: 1 for real source positions and 0 for padding, ``(n, 1, source)``.
        """
        logarithms = tf.math.log(tf.clip_by_value(attention, SMALLEST_COVERAGE, 1.0))
        return self.coverage_penalty * tf.reduce_sum(logarithms * real, axis=2)


class Ranked(NamedTuple):
    """The best sequences of each of n rows.

    Sequences with an end token come before sequences that reached the maximum length. Each group is sorted
    from the highest score to the lowest. The attributes are described in `Decoded`.

    Attributes:
        tokens: ``(n, beams, steps) int32``.
        lengths: ``(n, beams) int32``.
        ended: ``(n, beams) bool``.
        log_probabilities: ``(n, beams) float32``.
        scores: scores that `Search` defines, ``(n, beams) float32``. If a row has fewer than ``beams``
            sequences, the scores of the missing sequences are -inf.
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
    """Decodes each row by beam search.

    The search keeps ``beams`` unfinished sequences per row. Every step appends each token of the
    vocabulary to each of these sequences. The new sequences are sorted by probability. A new sequence with
    the end token is completed if it is among the first ``beams`` new sequences. The first ``beams`` new
    sequences without the end token are the unfinished sequences of the next step. With one beam and
    ``stop="filled"``, the result equals `greedy`.

    Args:
        step, start, states, rules, prompt: as in `greedy`, for n rows. But ``step`` receives ``n * beams``
            rows, because each row has ``beams`` sequences. The sequences of a row are adjacent. If ``step``
            uses other tensors with n rows, such as encoder outputs, the caller must repeat their rows with
            `repeat_rows`.
        search: number of beams, ranking and stopping rule.
        source_lengths: number of source positions of each row that are not padding, (n,) int32. None means
            that the source has no padding.

    Raises:
        ValueError: ``search`` has a coverage penalty, but ``step`` does not return its attention.

    >>> from seqmodels.decoding import Rules
    >>> step = lambda tokens, states: (tf.one_hot(tokens + 1, 5), states)
    >>> ranked = beam(step, tf.constant([0]), (), Rules(maximum=9, end=4), Search(beams=2))
    >>> ranked.tokens.shape, ranked.tokens[0, 0].numpy()
    (TensorShape([1, 2, 9]), array([1, 2, 3, 0, 0, 0, 0, 0, 0], dtype=int32))
    """
    return _Beam(step, rules, search).run(start, states, prompt, source_lengths)


def repeat_rows(nested: Any, beams: int) -> Any:
    """Repeats each row of each tensor (n, ...) in ``nested``. The results have the shape (n * beams, ...).

    Each row occurs ``beams`` times, and its copies are adjacent.

    >>> repeat_rows(tf.constant([[1], [2]]), beams=2)[:, 0].numpy()
    array([1, 1, 2, 2], dtype=int32)
    """
    return tf.nest.map_structure(lambda tensor: tf.repeat(tensor, beams, axis=0), nested)


class _Beams(NamedTuple):
    """The state of `beam` between two steps: the unfinished and the completed sequences.

    In the comments, ``rows`` is ``n * beams``. ``room`` is described in :mod:`seqmodels.decoding.history`.
    """

    time: tf.Tensor  # ()
    tokens: tf.Tensor  # (rows,)
    states: Any
    history: tf.Tensor  # (rows, prompt + room)
    totals: tf.Tensor  # (n, beams) log P of unfinished sequences, -inf for a missing sequence
    attention: tf.Tensor  # (n, beams, source) sum over the steps
    active: tf.Tensor  # (n,)
    complete: Ranked  # tokens are (n, beams, room), with NONE after the end of a sequence


class _Beam:
    """The implementation of `beam`. The methods of this class share the arguments of `beam`."""

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
        first = tf.range(beams) == 0  # only one beam starts, because several equal beams would stay equal
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
        """Returns the number of source positions, or 0 if the coverage penalty is off."""
        if not self.search.coverage_penalty:
            return 0
        result = self.step(tokens, states)
        if len(result) < 3:
            raise ValueError(
                f"coverage_penalty {self.search.coverage_penalty} needs a step function that returns its "
                "attention weights; return (logits, states, attention) in step, or set coverage_penalty to 0"
            )
        return tf.shape(result[2])[1]

    def score(
        self, totals: tf.Tensor, lengths: tf.Tensor, attention: tf.Tensor, real: tf.Tensor
    ) -> tf.Tensor:
        """Returns the score of each sequence. The result and ``totals`` have the same shape, (n, any).

        ``lengths`` must broadcast to this shape.
        """
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

        # Each row has ``beams`` unfinished sequences. Each of them is extended by the end token only once, so
        # at most ``beams`` new sequences end. Therefore, at least half of the candidates do not end.
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
        """Returns the position at which a history stores the token of step ``time``, as `place_of` does.

        `place_of` cannot be used, because it needs one maximum length per row of the history. The history has
        ``n * beams`` rows, but there are only n maximum lengths.
        """
        return tf.shape(state.history)[1] - tf.shape(state.complete.tokens)[2] + time

    def merged(self, state: _Beams, totals: tf.Tensor, scores: tf.Tensor, rows: tf.Tensor) -> Ranked:
        """Returns the ``beams`` best completed sequences, including the sequences that end at this step.

        ``totals``, ``scores`` and ``rows`` describe the candidates of this step, (n, candidates). ``scores``
        is -inf for candidates that do not end.
        """
        tokens = tf.gather(state.history[:, self.place(state, 0) :], rows)  # (n, candidates, room)
        ended = tf.math.is_finite(scores)
        new = Ranked(tokens, tf.fill(tf.shape(rows), state.time), ended, totals, scores)
        both = Ranked(*(tf.concat(pair, axis=1) for pair in zip(state.complete, new)))
        _, best = tf.math.top_k(both.scores, self.beams)
        return shaped_like(Ranked(*(tf.gather(each, best, batch_dims=1) for each in both)), state.complete)

    def done(self, time: tf.Tensor, totals: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Returns a mask (n,) that is True for finished rows."""
        maximum = maximum_of(totals, self.rules)
        likeliest = tf.reduce_max(totals, axis=1)
        last = tf.reduce_min(scores, axis=1)
        enough = tf.math.is_finite(last)
        if self.search.stop == "sure":
            # log P cannot increase in later steps, and the coverage penalty is at most 0. Therefore,
            # every later score is at most the current log P divided by the largest lp.
            enough &= likeliest / self.search.lengths(maximum) <= last
        return enough | (time >= maximum) | ~tf.math.is_finite(likeliest)

    def ranked(self, state: _Beams, real: tf.Tensor) -> Ranked:
        """Returns the completed sequences, followed by the sequences that reached the maximum length."""
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
