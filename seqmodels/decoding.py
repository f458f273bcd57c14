"""Turning a step function into sequences: greedy, sampling and beam search, in TensorFlow operators.

A step function maps the last tokens and the states to the next logits and states::

    step(tokens (n,), states) -> (logits (n, V), states)  or  (logits, states, attention (n, source))

``states`` is any nesting of tensors ``(n, ...)``; what a step needs besides and never changes, such as the
memory of an attention, it holds itself. In `beam` its n is ``rows * beams``, see `repeat_rows`. Everything
works eagerly, in a ``tf.function`` and in a SavedModel; rows do not influence each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import tensorflow as tf

PAD = 0  # fills the tokens behind the end of a row
NONE = -1  # no token: behind the end in a history, before the beginning in a prompt
IMPOSSIBLE = float("-inf")
SMALLEST_COVERAGE = 1e-10  # what a source position without any attention counts in the coverage penalty

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
    """

    maximum: int | tf.Tensor
    end: int | None = None
    minimum: int = 0
    forbidden: tuple[int, ...] = ()
    repetition_penalty: float | tf.Tensor = 1.0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.maximum, int):
            _at_least("maximum", self.maximum, 0)
        _at_least("minimum", self.minimum, 0)
        _at_least("no_repeat", self.no_repeat, 0)
        if isinstance(self.repetition_penalty, (int, float)) and self.repetition_penalty <= 0:
            raise ValueError(f"repetition_penalty is {self.repetition_penalty}; expected more than 0")


@dataclass(frozen=True)
class Sampling:
    """From which tokens `draw` draws; numbers or scalar tensors.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token.
        top_k: the likeliest tokens that are left; 0: all.
        top_p: of these, the fewest likeliest that hold this much of the probability, at least one (Holtzman
            et al. 2020, "The curious case of neural text degeneration", section 3.1); 1: all.

    Raises:
        ValueError: a number outside its range.
    """

    temperature: float | tf.Tensor = 1.0
    top_k: int | tf.Tensor = 0
    top_p: float | tf.Tensor = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.temperature, (int, float)):
            _at_least("temperature", self.temperature, 0)
        if isinstance(self.top_k, int):
            _at_least("top_k", self.top_k, 0)
        if isinstance(self.top_p, (int, float)) and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; expected more than 0 and at most 1")


@dataclass(frozen=True)
class Search:
    """How `beam` ranks and when it stops (Wu et al. 2016, arXiv 1609.08144, equation 14)::

        score(Y) = log P(Y) / lp(Y) + cp(Y)
        lp(Y) = ((5 + |Y|) / 6) ** length_penalty
        cp(Y) = coverage_penalty * sum_i log(min(sum_j attention_ij, 1))    over source i and target j

    ``|Y|`` counts the end.

    Attributes:
        beams: sequences that are followed at once, and that are returned.
        length_penalty: alpha; 0 ranks by probability, more favours long sequences.
        coverage_penalty: beta; needs a step that returns its attention.
        stop: a row is done when as many sequences as there are beams have ended ("filled"), or only when no
            other can still get a better score than the last of these ("sure").

    Raises:
        ValueError: no beam, a negative penalty or another stop.
    """

    beams: int
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0
    stop: Literal["filled", "sure"] = "filled"

    def __post_init__(self) -> None:
        _at_least("beams", self.beams, 1)
        _at_least("length_penalty", self.length_penalty, 0)
        _at_least("coverage_penalty", self.coverage_penalty, 0)
        if self.stop not in ("filled", "sure"):
            raise ValueError(f"stop is {self.stop!r}; expected 'filled' or 'sure'")

    def lengths(self, lengths: tf.Tensor) -> tf.Tensor:
        """lp of sequences with so many tokens, of any shape."""
        return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** self.length_penalty

    def coverage(self, attention: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
        """cp of the attention that each source position has had in all: ``(n, beams, source)`` to
        ``(n, beams)``; ``real (n, 1, source)`` is 0 for padding."""
        logarithms = tf.math.log(tf.clip_by_value(attention, SMALLEST_COVERAGE, 1.0))
        return self.coverage_penalty * tf.reduce_sum(logarithms * real, axis=2)


class Decoded(NamedTuple):
    """Sequences.

    Attributes:
        tokens: without the end, `PAD` behind it: ``(n, steps) int32``.
        lengths: tokens of each row, ``(n,) int32``.
        ended: whether the end came, or else the maximum: ``(n,) bool``.
        log_probabilities: the sum over the tokens and the end, under the logits of the steps after the
            repetition penalty and before all that `Rules` and `Sampling` leave out: ``(n,) float32``.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    ended: tf.Tensor
    log_probabilities: tf.Tensor


class Ranked(NamedTuple):
    """The best sequences of each row, those that ended first, each group by falling score.

    Attributes:
        tokens: as in `Decoded`, ``(n, beams, steps) int32``.
        lengths: ``(n, beams) int32``.
        ended: ``(n, beams) bool``.
        log_probabilities: ``(n, beams) float32``.
        scores: what `Search` ranks by, ``(n, beams) float32``; -inf where there are fewer sequences.
    """

    tokens: tf.Tensor
    lengths: tf.Tensor
    ended: tf.Tensor
    log_probabilities: tf.Tensor
    scores: tf.Tensor


def greedy(
    step: Step, start: tf.Tensor, states: Any, rules: Rules, prompt: tf.Tensor | None = None
) -> Decoded:
    """Takes the likeliest token at every step, the first of equals.

    Args:
        step: see the module.
        start: the token before the first, (n,) int32.
        states: before it.
        rules: for the tokens that come.
        prompt: tokens that count as having come, (n, any) int32, filled with `NONE` from the left.
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
    """Draws every token; row r takes at step t number r of ``uniform(seed, t, n)``.

    Args:
        step, start, states, rules, prompt: as in `greedy`.
        sampling: from which tokens.
        seed: a whole number; the same one gives the same tokens.
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
    """The tokens of `sample`, or without ``sampling`` of `greedy`, as they come, for use outside of graphs.

    Yields:
        (n,) int32, `NONE` for a row that is done; nothing once all are.
    """
    select = _likeliest if sampling is None else _drawn(sampling, seed)
    state = _begin(start, states, rules, prompt)
    while bool(tf.reduce_any(state.active)):
        place = _place(state.history, state.time, rules)
        state = _advance(step, state, rules, select)
        tokens = state.history[:, place]
        if bool(tf.reduce_any(tokens != NONE)):
            yield tokens


def beam(
    step: Step,
    start: tf.Tensor,
    states: Any,
    rules: Rules,
    search: Search,
    prompt: tf.Tensor | None = None,
    source_lengths: tf.Tensor | None = None,
) -> Ranked:
    """Follows the ``beams`` likeliest sequences of each row.

    Of the extensions of all beams, an end among the ``beams`` likeliest completes its sequence; the
    likeliest ones that are no end are followed. With one beam and ``stop="filled"`` that is `greedy`.

    Args:
        step, start, states, rules, prompt: as in `greedy`, n rows; here ``step`` gets ``n * beams`` rows, the
            beams of a row next to each other. What it holds itself must be repeated so, see `repeat_rows`.
        search: how sequences are ranked.
        source_lengths: real positions of the attention, (n,) int32; None: all are.

    Raises:
        ValueError: a coverage penalty and a step that returns no attention.
    """
    return _Beam(step, rules, search).run(start, states, prompt, source_lengths)


def repeat_rows(nested: Any, beams: int) -> Any:
    """Every row of tensors (n, ...) ``beams`` times, the copies next to each other: (n * beams, ...)."""
    return tf.nest.map_structure(lambda tensor: tf.repeat(tensor, beams, axis=0), nested)


def uniform(seed: int | tf.Tensor, time: int | tf.Tensor, rows: int | tf.Tensor) -> tf.Tensor:
    """The numbers in [0, 1) of one step, (rows,) float64, a function of the arguments alone."""
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(time, tf.int64)])
    return tf.random.stateless_uniform((rows,), key, dtype=tf.float64, alg="philox")


def draw(logits: tf.Tensor, numbers: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """The token that each number stands for, by the inverse of the cumulative distribution.

    In double precision and tokens sorted by falling logit, equals by rising id, so that the same logits and
    the same number give the same token everywhere. In NumPy, for one row::

        order = np.argsort(-logits, kind="stable")[:top_k]  # [:V] without top_k
        falling = logits[order].astype(np.float64)
        weights = np.exp((falling - falling[0]) / temperature)
        probabilities = weights / weights.sum()
        cumulative = np.cumsum(probabilities)
        left = np.sum(cumulative - probabilities < top_p)
        token = order[np.sum(cumulative[: left - 1] <= number * cumulative[left - 1])]

    Args:
        logits: (n, V); -inf never comes.
        numbers: in [0, 1), (n,) float64.
        sampling: what is left to draw from.

    Returns:
        (n,) int32.
    """
    size = tf.shape(logits)[1]
    few = isinstance(sampling.top_k, int) and sampling.top_k > 0  # the others need no sorting
    falling, order = tf.math.top_k(logits, tf.minimum(sampling.top_k, size) if few else size)  # (n, sorted)
    temperature = tf.cast(sampling.temperature, tf.float64)
    likeliest = tf.equal(temperature, 0.0)
    top_k = tf.where(likeliest, 1, tf.cast(sampling.top_k, tf.int32))
    allowed = tf.range(tf.shape(order)[1]) < tf.where(top_k > 0, top_k, size)  # (sorted,)
    falling = tf.cast(falling, tf.float64)
    scaled = (falling - falling[:, :1]) / tf.where(likeliest, tf.ones_like(temperature), temperature)
    weights = tf.where(allowed, tf.exp(scaled), tf.zeros_like(scaled))
    probabilities = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    cumulative = tf.cumsum(probabilities, axis=1)
    left = (cumulative - probabilities < tf.cast(sampling.top_p, tf.float64)) & allowed  # (n, sorted)
    total = tf.reduce_max(tf.where(left, cumulative, tf.zeros_like(cumulative)), axis=1)
    passed = left & (cumulative <= (numbers * total)[:, None])
    passed, left = (tf.reduce_sum(tf.cast(x, tf.int32), axis=1) for x in (passed, left))  # (n,)
    # A number just below 1 times the total may round to the total: the last token is not passed.
    return tf.gather(order, tf.minimum(passed, left - 1), batch_dims=1)


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


def _at_least(name: str, value: float, least: int) -> None:
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


class _State(NamedTuple):
    """Of `greedy` and `sample` between two steps; ``history`` begins with the prompt."""

    time: tf.Tensor  # ()
    tokens: tf.Tensor  # (n,) the last ones
    states: Any
    history: tf.Tensor  # (n, prompt + room)
    active: tf.Tensor  # (n,)
    ended: tf.Tensor  # (n,)
    log_probabilities: tf.Tensor  # (n,)


Select = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # logits (n, V) and time to tokens (n,)


def _likeliest(logits: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits, axis=1, output_type=tf.int32)


def _drawn(sampling: Sampling, seed: int | tf.Tensor) -> Select:
    def select(logits: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        return draw(logits, uniform(seed, time, tf.shape(logits)[0]), sampling)

    return select


def _maximum(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """The maximum of each row: (n,) for any tensor (n, ...)."""
    return tf.broadcast_to(tf.cast(rules.maximum, tf.int32), tf.shape(rows)[:1])


def _room(rows: tf.Tensor, rules: Rules) -> tf.Tensor:
    """The largest maximum of the rows (n, ...), () int32."""
    return tf.maximum(tf.reduce_max(_maximum(rows, rules)), 0)


def _place(history: tf.Tensor, time: int | tf.Tensor, rules: Rules) -> tf.Tensor:
    """Where in a history the token of this time stands, behind the prompt: () int32."""
    return tf.shape(history)[1] - _room(history, rules) + time


def _history(start: tf.Tensor, rules: Rules, prompt: tf.Tensor | None) -> tf.Tensor:
    """The prompt and room for what comes: (n, prompt + room)."""
    blank = tf.fill((tf.shape(start)[0], _room(start, rules)), NONE)
    return blank if prompt is None else tf.concat([tf.cast(prompt, tf.int32), blank], axis=1)


def _begin(start: tf.Tensor, states: Any, rules: Rules, prompt: tf.Tensor | None) -> _State:
    start = tf.cast(start, tf.int32)
    return _State(
        tf.constant(0),
        start,
        tf.nest.map_structure(tf.convert_to_tensor, states),
        _history(start, rules, prompt),
        _maximum(start, rules) > 0,
        tf.zeros_like(start, tf.bool),
        tf.zeros_like(start, tf.float32),
    )


def _advance(step: Step, state: _State, rules: Rules, select: Select) -> _State:
    logits, states = step(state.tokens, state.states)[:2]
    logits, log_probabilities = restrict(logits, state.history, state.time, rules)
    tokens = select(logits, state.time)
    gained = tf.gather(log_probabilities, tokens, batch_dims=1)
    ends = tf.zeros_like(state.active) if rules.end is None else tokens == rules.end
    here = tf.range(tf.shape(state.history)[1]) == _place(state.history, state.time, rules)
    written = here & (state.active & ~ends)[:, None]  # (n, prompt + room)
    return _State(
        state.time + 1,
        tokens,
        _shaped(states, state.states),
        tf.where(written, tokens[:, None], state.history),
        state.active & ~ends & (state.time + 1 < _maximum(state.active, rules)),
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
        shape_invariants=(_invariants(state),),
    )
    tokens = state.history[:, _place(state.history, 0, rules) :]  # (n, room)
    return Decoded(_padded(tokens), _lengths(tokens), state.ended, state.log_probabilities)


def _padded(history: tf.Tensor) -> tf.Tensor:
    return tf.where(history == NONE, PAD, history)


def _lengths(history: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(history != NONE, tf.int32), axis=-1)


def _shaped(states: Any, before: Any) -> Any:
    """The new states with the static shape of those before, which a step may have lost."""

    def shaped(tensor: Any, old: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tensor, [None, *old.shape[1:]])

    return tf.nest.map_structure(shaped, states, before)


def _invariants(state: Any) -> Any:
    """Shapes of loop variables: the number of rows and the room may be known on one side alone."""

    def invariant(tensor: tf.Tensor) -> tf.TensorShape:
        return tf.TensorShape([None, *tensor.shape[1:]] if tensor.shape.rank else [])

    return tf.nest.map_structure(invariant, state)


class _Beams(NamedTuple):
    """Of `beam` between two steps: the followed sequences in ``rows = n * beams``, and the completed ones."""

    time: tf.Tensor  # ()
    tokens: tf.Tensor  # (rows,)
    states: Any
    history: tf.Tensor  # (rows, prompt + room)
    totals: tf.Tensor  # (n, beams) log P, -inf for no sequence
    attention: tf.Tensor  # (n, beams, source), the sum so far
    active: tf.Tensor  # (n,)
    complete: Ranked  # tokens (n, beams, room) with NONE behind the end


class _Beam:
    """The parts of `beam`, which share its arguments."""

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
            shape_invariants=(_invariants(state),),
        )
        return self.ranked(state, real)

    def begin(self, start: tf.Tensor, states: Any, prompt: tf.Tensor | None) -> _Beams:
        n, beams = tf.shape(start)[0], self.beams
        tokens = tf.repeat(start, beams)
        states = repeat_rows(tf.nest.map_structure(tf.convert_to_tensor, states), beams)
        history = _history(start, self.rules, prompt)
        blank = tf.fill((n, beams, _room(start, self.rules)), NONE)
        none = tf.fill((n, beams), IMPOSSIBLE)
        complete = Ranked(blank, tf.zeros((n, beams), tf.int32), tf.zeros((n, beams), tf.bool), none, none)
        first = tf.range(beams) == 0  # equal beams would stay equal: one begins
        return _Beams(
            tf.constant(0),
            tokens,
            states,
            tf.repeat(history, beams, axis=0),
            tf.where(first, tf.zeros_like(none), none),
            tf.zeros((n, beams, self.source(tokens, states))),
            _maximum(start, self.rules) > 0,
            complete,
        )

    def source(self, tokens: tf.Tensor, states: Any) -> Any:
        """How many positions the attention has; 0 where it is of no use."""
        if not self.search.coverage_penalty:
            return 0
        result = self.step(tokens, states)
        if len(result) < 3:
            raise ValueError(
                f"coverage_penalty is {self.search.coverage_penalty}, and the step returns no attention; "
                "return (logits, states, attention), or set it to 0"
            )
        return tf.shape(result[2])[1]

    def score(
        self, totals: tf.Tensor, lengths: tf.Tensor, attention: tf.Tensor, real: tf.Tensor
    ) -> tf.Tensor:
        """Of sequences (n, any) with lengths that broadcast to it."""
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

        # At most one extension of each beam is an end, so among the first 2 * beams enough are none.
        candidates = tf.minimum(2 * beams, beams * size)
        totals, flat = tf.math.top_k(tf.reshape(totals, (n, beams * size)), candidates)  # (n, candidates)
        parents, tokens = flat // size, flat % size
        attention = tf.gather(attention, parents, batch_dims=1)  # (n, candidates, source)
        rows = tf.range(n)[:, None] * beams + parents  # (n, candidates) where the parent is in (rows,)
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
            _shaped(moved, state.states),
            history,
            totals,
            attention,
            state.active & ~self.done(state.time + 1, totals, complete.scores),
            complete,
        )

    def place(self, state: _Beams, time: int | tf.Tensor) -> tf.Tensor:
        """As `_place`; the number of rows of a history is not that of the maxima."""
        return tf.shape(state.history)[1] - tf.shape(state.complete.tokens)[2] + time

    def merged(self, state: _Beams, totals: tf.Tensor, scores: tf.Tensor, rows: tf.Tensor) -> Ranked:
        """The best of those that were complete and those that end now, (n, candidates)."""
        tokens = tf.gather(state.history[:, self.place(state, 0) :], rows)  # (n, candidates, room)
        ended = tf.math.is_finite(scores)
        new = Ranked(tokens, tf.fill(tf.shape(rows), state.time), ended, totals, scores)
        both = Ranked(*(tf.concat(pair, axis=1) for pair in zip(state.complete, new)))
        _, best = tf.math.top_k(both.scores, self.beams)
        return _shaped(Ranked(*(tf.gather(each, best, batch_dims=1) for each in both)), state.complete)

    def done(self, time: tf.Tensor, totals: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
        """Rows (n,) that need no further step."""
        maximum = _maximum(totals, self.rules)
        likeliest = tf.reduce_max(totals, axis=1)
        last = tf.reduce_min(scores, axis=1)
        enough = tf.math.is_finite(last)
        if self.search.stop == "sure":
            # log P only falls; dividing it by the longest length, and no coverage penalty, is the best case.
            enough &= likeliest / self.search.lengths(maximum) <= last
        return enough | (time >= maximum) | ~tf.math.is_finite(likeliest)

    def ranked(self, state: _Beams, real: tf.Tensor) -> Ranked:
        """Completed sequences, and where these are too few, those that were cut off at the maximum."""
        beams = self.beams
        tokens = tf.reshape(state.history[:, self.place(state, 0) :], tf.shape(state.complete.tokens))
        lengths = _lengths(tokens)
        scores = self.score(state.totals, lengths, state.attention, real)
        cut = Ranked(tokens, lengths, tf.zeros_like(scores, tf.bool), state.totals, scores)
        _, order = tf.math.top_k(scores, beams)
        cut = Ranked(*(tf.gather(each, order, batch_dims=1) for each in cut))
        both = Ranked(*(tf.concat(pair, axis=1) for pair in zip(state.complete, cut)))
        exists = tf.math.is_finite(both.scores)
        group = tf.where(exists, tf.where(both.ended, 0, 1), 2)  # (n, 2 * beams)
        best = tf.argsort(group, axis=1, stable=True)[:, :beams]
        both = Ranked(*(tf.gather(each, best, batch_dims=1) for each in both))
        return both._replace(tokens=_padded(both.tokens))
