"""Decoding with scripted step functions: without a model, every sequence can be enumerated."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seqmodels.decoding import (
    NONE,
    Decoded,
    Rules,
    Sampling,
    Search,
    beam,
    draw,
    greedy,
    repeat_rows,
    restrict,
    sample,
    stream,
    uniform,
)

V, END, START, STEPS, ROWS, SOURCE = 4, 3, 0, 4, 3, 2
HISTORIES = V ** (STEPS + 1)


class Script:
    """A step function whose outputs depend on the row and on all previous tokens, in nested states."""

    def __init__(self, seed=0, rows=ROWS):
        rng = np.random.default_rng(seed)
        self.logits = rng.normal(scale=1.5, size=(rows, HISTORIES, V)).astype(np.float32)
        self.attention = rng.dirichlet(np.ones(SOURCE), (rows, HISTORIES)).astype(np.float32)
        self.rows = rows

    def start(self, rows=None):
        """Returns start tokens and states, for all rows or for some."""
        rows = np.arange(self.rows) if rows is None else np.asarray(rows)
        states = ({"row": tf.constant(rows, tf.int32)}, tf.zeros((len(rows), 1), tf.int32))
        return tf.fill((len(rows),), START), states

    def step(self, tokens, states):
        (fixed, code) = states
        code = code * V + tokens[:, None]
        place = tf.stack([fixed["row"], code[:, 0] % HISTORIES], axis=1)
        return (
            tf.gather_nd(tf.constant(self.logits), place),
            (fixed, code),
            tf.gather_nd(tf.constant(self.attention), place),
        )

    def at(self, row, tokens):
        """Returns the log-probabilities of the next token (V,) and the attention (SOURCE,), in NumPy."""
        code = 0
        for token in (START, *tokens):
            code = code * V + token
        logits = self.logits[row, code % HISTORIES].astype(np.float64)
        return logits - np.log(np.exp(logits).sum()), self.attention[row, code % HISTORIES]

    def log_probability(self, row, tokens):
        return sum(self.at(row, tokens[:t])[0][token] for t, token in enumerate(tokens))

    def score(self, row, tokens, search):
        """Returns the score of equation 14 of Wu et al. (2016). The tokens include the end token."""
        covered = sum(self.at(row, tokens[:t])[1] for t in range(len(tokens)))
        penalty = ((5 + len(tokens)) / 6) ** search.length_penalty
        coverage = search.coverage_penalty * np.log(np.minimum(covered, 1)).sum()
        return self.log_probability(row, tokens) / penalty + coverage


def row_of(decoded, *place):
    """Returns the tokens of one sequence, and True if it ended."""
    tokens = decoded.tokens.numpy()[place]
    length = int(decoded.lengths.numpy()[place])
    assert not tokens[length:].any()
    return tuple(tokens[:length].tolist()), bool(decoded.ended.numpy()[place])


def greedy_by_hand(script, row, maximum=STEPS, minimum=0, forbidden=()):
    tokens = ()
    while len(tokens) < maximum:
        scores = script.at(row, tokens)[0].copy()
        scores[list(forbidden)] = -np.inf
        if len(tokens) < minimum:
            scores[END] = -np.inf
        token = int(scores.argmax())
        tokens += (token,)
        if token == END:
            return tokens
    return tokens


def assert_decoded(decoded, script, expected):
    for row, tokens in enumerate(expected):
        ended = tokens[-1:] == (END,)
        assert row_of(decoded, row) == (tokens[:-1] if ended else tokens, ended)
        found = decoded.log_probabilities.numpy()[row]
        assert found == pytest.approx(script.log_probability(row, tokens), abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("options", [{}, {"minimum": 2}, {"forbidden": (1, 2)}, {"forbidden": (END,)}])
def test_greedy(seed, options):
    script = Script(seed)
    decoded = greedy(script.step, *script.start(), Rules(STEPS, END, **options))
    assert_decoded(decoded, script, [greedy_by_hand(script, row, **options) for row in range(ROWS)])


def test_each_row_has_its_own_maximum():
    script = Script(1)
    maxima = [3, 0, 1]
    rules = Rules(tf.constant(maxima), END, minimum=4)
    expected = [greedy_by_hand(script, row, maximum, 4) for row, maximum in enumerate(maxima)]
    decoded = greedy(script.step, *script.start(), rules)
    assert decoded.tokens.shape == (3, 3)
    assert_decoded(decoded, script, expected)
    ranked = beam(script.step, *script.start(), rules, Search(1))
    assert [row_of(ranked, row, 0)[0] for row in range(ROWS)] == expected


def test_without_an_end_every_row_reaches_its_maximum():
    script = Script()
    decoded = greedy(script.step, *script.start(), Rules(STEPS))
    assert decoded.lengths.numpy().tolist() == [STEPS] * ROWS
    assert not decoded.ended.numpy().any()


@pytest.mark.parametrize("decode", ["greedy", "sample", "beam"])
@pytest.mark.parametrize("maximum", [STEPS, 0])
def test_zero_rows_and_zero_steps(decode, maximum):
    script = Script()
    rows = [] if maximum else [0, 1]
    for limit in (maximum, tf.fill((len(rows),), maximum)):
        arguments = (script.step, *script.start(rows), Rules(limit, END))
        if decode == "beam":
            assert beam(*arguments, Search(2)).tokens.shape[:2] == (len(rows), 2)
        else:
            run = greedy if decode == "greedy" else lambda *given: sample(*given, Sampling(), 0)
            assert run(*arguments).lengths.numpy().tolist() == [0] * len(rows)


def test_decoding_stops_when_all_rows_have_ended():
    calls = []

    def step(tokens, states):
        """Ends a row when its state, which counts down, is zero."""
        calls.append(tokens)
        logits = tf.where(states[:, None] == 0, [[0.0, 0.0, 0.0, 9.0]], [[0.0, 9.0, 0.0, 0.0]])
        return logits, states - 1

    decoded = greedy(step, tf.constant([0, 0]), tf.constant([0, 2]), Rules(50, END))
    assert len(calls) == 3
    assert decoded.lengths.numpy().tolist() == [0, 2]
    assert decoded.tokens.shape == (2, 50)
    calls.clear()
    beam(step, tf.constant([0]), tf.constant([1]), Rules(50, END), Search(1))
    assert len(calls) == 2


# Sampling


def draw_in_numpy(logits, number, temperature, top_k, top_p):
    """Runs the code from the docstring of `draw`."""
    order = np.argsort(-logits, kind="stable")[:top_k]
    falling = logits[order].astype(np.float64)
    weights = np.exp((falling - falling[0]) / temperature)
    probabilities = weights / weights.sum()
    cumulative = np.cumsum(probabilities)
    left = np.sum(cumulative - probabilities < top_p)
    return order[np.sum(cumulative[: left - 1] <= number * cumulative[left - 1])]


def on_a_border(logits, number, temperature, top_k, top_p):
    """Returns True if a rounding error could change the token. Libraries sum in different orders."""
    near = {draw_in_numpy(logits, number + shift, temperature, top_k, top_p) for shift in (-1e-9, 0, 1e-9)}
    near |= {draw_in_numpy(logits, number, temperature, top_k, top_p + shift) for shift in (-1e-9, 1e-9)}
    return len(near) > 1


@settings(deadline=None, max_examples=80)
@given(
    logits=st.lists(st.sampled_from([-9.0, -1.0, 0.0, 0.0, 0.5, 2.0, 30.0]), min_size=1, max_size=12),
    number=st.floats(0, 1, exclude_max=True),
    temperature=st.floats(0.05, 5),
    top_k=st.integers(1, 14),
    top_p=st.floats(0.01, 1),
)
def test_draw_equals_numpy(logits, number, temperature, top_k, top_p):
    logits = np.array(logits, np.float32)
    numbers = tf.constant([number, 0.4567], tf.float64)
    assume(not any(on_a_border(logits, each, temperature, top_k, top_p) for each in (number, 0.4567)))
    found = draw(tf.stack([logits, logits]), numbers, Sampling(temperature, top_k, top_p))
    assert found[0] == draw_in_numpy(logits, number, temperature, top_k, top_p)
    assert found[1] == draw_in_numpy(logits, 0.4567, temperature, top_k, top_p)


@pytest.mark.parametrize("top_p", [0.5, 1.0])
def test_largest_number_below_one_selects_the_last_candidate(top_p):
    """If the total is slightly below 1, the product of number and total may be rounded to the total."""
    for size in range(1, 50):
        number, logits = np.nextafter(1.0, 0.0), np.zeros(size, np.float32)
        (found,) = draw(logits[None], tf.constant([number], tf.float64), Sampling(1.0, 0, top_p)).numpy()
        assert found == draw_in_numpy(logits, number, 1.0, size, top_p) < size


def shares(sampling, logits=(0.0, 3.0, 1.0, -np.inf, 2.0), count=20_000):
    """Returns the frequency of each token for evenly spaced numbers in [0, 1)."""
    numbers = (np.arange(count) + 0.5) / count
    tokens = draw(tf.tile(tf.constant([logits], tf.float32), (count, 1)), tf.constant(numbers), sampling)
    return np.bincount(tokens.numpy(), minlength=len(logits)) / count


@pytest.mark.parametrize(
    ("sampling", "kept", "temperature"),
    [
        (Sampling(), [0, 1, 2, 4], 1),
        (Sampling(temperature=2.5), [0, 1, 2, 4], 2.5),
        (Sampling(top_k=2), [1, 4], 1),
        (Sampling(top_k=9), [0, 1, 2, 4], 1),
        # The probabilities are .644, .237, .087 and .032.
        (Sampling(top_p=0.64), [1], 1),
        (Sampling(top_p=0.65), [1, 4], 1),
        (Sampling(top_p=0.9), [1, 2, 4], 1),
        (Sampling(top_k=2, top_p=0.74), [1, 4], 1),  # token 1 has .731 of the probability of both tokens
        (Sampling(top_k=2, top_p=0.73), [1], 1),
        (Sampling(temperature=0.0), [1], 1),
        (Sampling(tf.constant(2.0), tf.constant(2), tf.constant(0.99)), [1, 4], 2),
    ],
)
def test_tokens_are_sampled_in_proportion_to_kept_probabilities(sampling, kept, temperature):
    logits = np.array([0.0, 3.0, 1.0, -np.inf, 2.0])
    weights = np.where(np.isin(np.arange(5), kept), np.exp(logits / temperature), 0)
    np.testing.assert_allclose(shares(sampling), weights / weights.sum(), atol=1e-4)


def test_top_k_breaks_ties_by_id():
    np.testing.assert_array_equal(np.flatnonzero(shares(Sampling(top_k=2), (1.0, 2.0, 1.0, 1.0))), [0, 1])


def test_sample_uses_the_uniform_numbers_of_its_seed():
    script = Script()
    rules = Rules(STEPS, END)
    decoded = sample(script.step, *script.start(), rules, Sampling(1.3, 3, 0.9), seed=5)
    expected = []
    for row in range(ROWS):
        tokens = ()
        while len(tokens) < STEPS and tokens[-1:] != (END,):
            number = uniform(5, len(tokens), ROWS).numpy()[row]
            scores = script.at(row, tokens)[0].astype(np.float32)
            tokens += (int(draw_in_numpy(scores, number, 1.3, 3, 0.9)),)
        expected.append(tokens)
    assert_decoded(decoded, script, expected)


def test_seeds():
    script = Script()
    rows = [0] * 200
    arguments = (script.step, *script.start(rows), Rules(STEPS), Sampling())
    one, same, other = (sample(*arguments, seed=seed).tokens.numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any(axis=1).mean() > 0.8
    assert len(np.unique(one, axis=0)) > 20
    numbers = np.stack([uniform(3, time, 1000) for time in range(5)])
    assert len(np.unique(numbers)) == 5000
    assert abs(numbers.mean() - 0.5) < 0.02


@pytest.mark.parametrize("sampling", [None, Sampling(1.5)])
def test_stream_yields_the_same_tokens(sampling):
    script = Script(3)
    rules = Rules(tf.constant([4, 2, 3]), END)
    arguments = (script.step, *script.start(), rules)
    decoded = greedy(*arguments) if sampling is None else sample(*arguments, sampling, 7)
    steps = [tokens.numpy() for tokens in stream(*arguments, sampling, 7)]
    for row in range(ROWS):
        assert tuple(int(each[row]) for each in steps if each[row] != NONE) == row_of(decoded, row)[0]


# Rules


def test_repetition_penalty_by_hand():
    logits = tf.constant([[2.0, -1.0, 0.5, 1.0], [2.0, -1.0, 0.5, 1.0]])
    history = tf.constant([[NONE, 0, 1], [3, 0, NONE]])
    expected = np.array([[1.6, -1.25, 0.5, 1.0], [1.6, -1.0, 0.5, 0.8]])
    for penalty in (1.25, tf.constant(1.25)):
        found, log_probabilities = restrict(logits, history, 0, Rules(9, repetition_penalty=penalty))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        normal = expected - np.log(np.exp(expected).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(log_probabilities, normal, rtol=1e-6)


@settings(deadline=None, max_examples=50)
@given(
    tokens=st.lists(st.integers(0, 2), max_size=9),
    size=st.integers(1, 4),
    before=st.integers(0, 2),
    behind=st.integers(0, 3),
)
def test_no_ngram_occurs_twice(tokens, size, before, behind):
    ngrams = {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
    tail = tuple(tokens[len(tokens) - size + 1 :]) if size > 1 else ()
    banned = [len(tail) == size - 1 and (*tail, token) in ngrams for token in range(3)]
    if all(banned):  # then the rule does not apply
        banned = [False] * 3
    history = tf.constant([[NONE] * before + tokens + [NONE] * behind], tf.int32)
    found, log_probabilities = restrict(tf.zeros((1, 3)), history, len(tokens), Rules(99, no_repeat=size))
    assert np.isneginf(found.numpy())[0].tolist() == banned
    np.testing.assert_allclose(log_probabilities, np.log(1 / 3), rtol=1e-6)


@pytest.mark.parametrize("decode", ["greedy", "sample", "beam"])
@pytest.mark.parametrize("prompt", [None, [[NONE, 1], [0, 1], [2, 0]]])
def test_rules_hold_in_every_decoder(decode, prompt):
    prompt = None if prompt is None else tf.constant(prompt)
    for seed in range(2):
        script = Script(seed)
        rules = Rules(STEPS, END, minimum=2, no_repeat=2, repetition_penalty=1.5, forbidden=(2,))
        arguments = (script.step, *script.start(), rules)
        if decode == "greedy":
            found = [row_of(greedy(*arguments, prompt), row)[0] for row in range(ROWS)]
        elif decode == "sample":
            found = [row_of(sample(*arguments, Sampling(), seed, prompt), row)[0] for row in range(ROWS)]
        else:
            ranked = beam(*arguments, Search(3), prompt)
            real = np.isfinite(ranked.scores.numpy())
            found = [
                row_of(ranked, row, place)[0] if real[row, place] else None
                for place in range(3)
                for row in range(ROWS)
            ]
        for number, tokens in enumerate(found):
            if tokens is None:
                continue
            assert len(tokens) >= 2
            assert 2 not in tokens
            given = [] if prompt is None else [int(t) for t in prompt[number % ROWS] if t != NONE]
            pairs = list(itertools.pairwise([*given, *tokens]))
            assert len(set(pairs)) == len(pairs)


# Beam search


def every_sequence(minimum=0, maximum=STEPS):
    """Yields all sequences that end within the maximum length, and all sequences truncated at it."""
    others = [token for token in range(V) if token != END]
    for length in range(maximum + 1):
        for tokens in itertools.product(others, repeat=length):
            if length == maximum:
                yield tokens
            elif length >= minimum:
                yield (*tokens, END)


@pytest.mark.parametrize("stop", ["filled", "sure"])
@pytest.mark.parametrize(
    ("length_penalty", "coverage_penalty", "minimum"), [(0, 0, 0), (0.6, 0, 0), (1.5, 0.4, 1), (0, 2.0, 3)]
)
def test_beam_with_enough_beams_is_exhaustive(stop, length_penalty, coverage_penalty, minimum):
    script = Script(2)
    count = sum(1 for _ in every_sequence(minimum))
    search = Search(count, length_penalty, coverage_penalty, stop)
    ranked = beam(script.step, *script.start(), Rules(STEPS, END, minimum), search)
    for row in range(ROWS):
        expected = sorted(
            every_sequence(minimum),
            key=lambda tokens: (tokens[-1] != END, -script.score(row, tokens, search)),
        )
        for place, tokens in enumerate(expected):
            ended = tokens[-1] == END
            assert row_of(ranked, row, place) == (tokens[:-1] if ended else tokens, ended)
        scores = [script.score(row, tokens, search) for tokens in expected]
        np.testing.assert_allclose(ranked.scores[row], scores, rtol=1e-4)
        sums = [script.log_probability(row, tokens) for tokens in expected]
        np.testing.assert_allclose(ranked.log_probabilities[row], sums, rtol=1e-4)


def beam_by_hand(script, row, search, maximum=STEPS):
    """Runs beam search for one row on lists; only ``stop="filled"`` stops before the maximum."""
    following, complete = [()], []
    for _ in range(maximum):
        extended = [(*tokens, token) for tokens in following for token in range(V)]
        extended.sort(key=lambda tokens: -script.log_probability(row, tokens))
        complete += [tokens for tokens in extended[: search.beams] if tokens[-1] == END]
        complete.sort(key=lambda tokens: -script.score(row, tokens, search))
        complete = complete[: search.beams]
        following = [tokens for tokens in extended if tokens[-1] != END][: search.beams]
        if search.stop == "filled" and len(complete) == search.beams:
            break
    following.sort(key=lambda tokens: -script.score(row, tokens, search))
    return [*complete, *following][: search.beams]


@pytest.mark.parametrize("stop", ["filled", "sure"])
@pytest.mark.parametrize("penalties", [(0.0, 0.0), (1.0, 0.0), (0.8, 0.3)])
@pytest.mark.parametrize("beams", [1, 2, 3, 5])
def test_beam_equals_beam_on_lists(stop, penalties, beams):
    for seed in range(2):
        script = Script(seed)
        search = Search(beams, *penalties, stop)
        ranked = beam(script.step, *script.start(), Rules(STEPS, END), search)
        for row in range(ROWS):
            for place, tokens in enumerate(beam_by_hand(script, row, search)):
                ended = tokens[-1] == END
                assert row_of(ranked, row, place) == (tokens[:-1] if ended else tokens, ended)


@pytest.mark.parametrize("seed", range(3))
def test_one_beam_is_greedy(seed):
    script = Script(seed)
    rules = Rules(STEPS, END, repetition_penalty=1.2, no_repeat=2)
    one = greedy(script.step, *script.start(), rules)
    ranked = beam(script.step, *script.start(), rules, Search(1, length_penalty=1.0))
    first = Decoded(*(tensor[:, 0] for tensor in ranked[:4]))
    for found, expected in zip(first, one):
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_penalties_by_hand():
    search = Search(2, length_penalty=0.6, coverage_penalty=0.2)
    assert search.lengths(tf.constant(7)).numpy() == pytest.approx(2**0.6)
    attention = tf.constant([[[0.5, 1.7, 0.25, 0.0]]])
    real = tf.constant([[[1.0, 1.0, 1.0, 0.0]]])  # the last position is padding
    expected = 0.2 * (np.log(0.5) + 0 + np.log(0.25))
    assert search.coverage(attention, real).numpy()[0, 0] == pytest.approx(expected)


def test_coverage_ignores_source_padding():
    script = Script(4)
    search = Search(3, 0.5, 0.7)
    padded = np.concatenate([script.attention, np.zeros_like(script.attention)], axis=2)
    short = beam(script.step, *script.start(), Rules(STEPS, END), search)
    script.attention = padded
    lengths = tf.fill((ROWS,), SOURCE)
    long = beam(script.step, *script.start(), Rules(STEPS, END), search, source_lengths=lengths)
    for one, other in zip(short, long):
        np.testing.assert_array_equal(one, other)


def test_more_beams_than_sequences():
    script = Script()
    ranked = beam(script.step, *script.start(), Rules(1, END), Search(7))
    for row in range(ROWS):
        assert row_of(ranked, row, 0) == ((), True)
        assert {row_of(ranked, row, place) for place in (1, 2, 3)} == {((t,), False) for t in range(3)}
    assert np.isneginf(ranked.scores.numpy()[:, 4:]).all()
    assert np.isfinite(ranked.scores.numpy()[:, :4]).all()


def test_coverage_penalty_needs_attention():
    script = Script()

    def step(tokens, states):
        return script.step(tokens, states)[:2]

    with pytest.raises(
        ValueError, match=r"coverage_penalty 0\.1 needs a step function that returns its attention"
    ):
        beam(step, *script.start(), Rules(STEPS, END), Search(2, coverage_penalty=0.1))
    beam(step, *script.start(), Rules(STEPS, END), Search(2))


def test_repeat_rows():
    nested = {"a": tf.constant([[1], [2]]), "b": (tf.constant([3, 4]),)}
    repeated = repeat_rows(nested, 2)
    assert repeated["a"].numpy().tolist() == [[1], [1], [2], [2]]
    assert repeated["b"][0].numpy().tolist() == [3, 3, 4, 4]


# Graphs and SavedModels


def decoders(script, rules):
    search = Search(3, 0.6, 0.2, "sure")
    return {
        "greedy": lambda start, states: greedy(script.step, start, states, rules),
        "sample": lambda start, states: sample(script.step, start, states, rules, Sampling(), 3),
        "beam": lambda start, states: beam(script.step, start, states, rules, search),
    }


@pytest.mark.parametrize("name", ["greedy", "sample", "beam"])
def test_in_a_graph_with_any_number_of_rows(name):
    script = Script(5)
    decode = decoders(script, Rules(STEPS, END, no_repeat=3))[name]
    integers = tf.TensorSpec([None], tf.int32)
    signature = (integers, ({"row": integers}, tf.TensorSpec([None, 1], tf.int32)))
    in_graph = tf.function(decode, input_signature=signature)
    for rows in ([0, 1, 2], [2], []):
        for found, expected in zip(in_graph(*script.start(rows)), decode(*script.start(rows))):
            np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["greedy", "beam"])
def test_rows_do_not_influence_each_other(name):
    script = Script(6)
    decode = decoders(script, Rules(STEPS, END))[name]
    together = decode(*script.start())
    for row in range(ROWS):
        for one, all_rows in zip(decode(*script.start([row])), together):
            np.testing.assert_allclose(one[0], all_rows[row], rtol=1e-6)


def test_sampled_row_does_not_depend_on_other_rows():
    script = Script(6)
    decode = decoders(script, Rules(STEPS, END))["sample"]
    np.testing.assert_array_equal(
        decode(*script.start([0, 1, 2])).tokens[1], decode(*script.start([2, 1, 1])).tokens[1]
    )


def test_in_a_saved_model(tmp_path):
    """Temperature, seed and maximum may be inputs of a SavedModel."""
    script = Script(7)

    class Module(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([], tf.int32),
            ]
        )
        def generate(self, rows, temperature, seed, maximum):
            states = ({"row": rows}, tf.zeros((tf.shape(rows)[0], 1), tf.int32))
            rules = Rules(maximum, END)
            drawn = sample(script.step, tf.zeros_like(rows), states, rules, Sampling(temperature), seed)
            ranked = beam(script.step, tf.zeros_like(rows), states, rules, Search(2))
            return {"tokens": drawn.tokens, "beam": ranked.tokens}

    module = Module()
    tf.saved_model.save(module, str(tmp_path))
    generate = tf.saved_model.load(str(tmp_path)).generate
    rows = tf.range(ROWS)
    arguments = (script.step, *script.start())
    for maximum in (2, STEPS):
        rules = Rules(maximum, END)
        result = generate(rows, 0.7, tf.constant(9, tf.int64), maximum)
        expected = sample(*arguments, rules, Sampling(0.7), 9).tokens
        np.testing.assert_array_equal(result["tokens"], expected)
        np.testing.assert_array_equal(result["beam"], beam(*arguments, rules, Search(2)).tokens)
    cold = generate(rows, 0.0, tf.constant(9, tf.int64), STEPS)["tokens"]
    np.testing.assert_array_equal(cold, greedy(*arguments, Rules(STEPS, END)).tokens)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Rules(-1), "maximum must be at least 0; got -1"),
        (lambda: Rules(1, minimum=-1), "minimum must be at least 0; got -1"),
        (lambda: Rules(1, no_repeat=-2), "no_repeat must be at least 0; got -2"),
        (lambda: Rules(1, repetition_penalty=0), "repetition_penalty must be greater than 0; got 0"),
        (lambda: Sampling(-0.1), "temperature must be at least 0; got -0.1"),
        (lambda: Sampling(top_k=-1), "top_k must be at least 0; got -1"),
        (lambda: Sampling(top_p=0.0), "top_p must be greater than 0 and at most 1; got 0.0"),
        (lambda: Search(0), "beams must be at least 1; got 0"),
        (lambda: Search(1, length_penalty=-1), "length_penalty must be at least 0; got -1"),
        (lambda: Search(1, coverage_penalty=-1), "coverage_penalty must be at least 0; got -1"),
        (lambda: Search(1, stop="never"), "stop must be 'filled' or 'sure'; got 'never'"),
    ],
)
def test_invalid_settings_are_refused(make, expected):
    with pytest.raises(ValueError, match=expected):
        make()
