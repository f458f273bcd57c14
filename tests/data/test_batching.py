"""Batches of token sequences: every row once, few shapes, and a reproducible order that can be resumed."""

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from seqmodels.data.batching import PairShapes, batches, bucket_edges, evaluation_order, pair_batches
from seqmodels.data.running import running_text
from seqmodels.data.sequences import PAD, TokenSequences, truncate

EDGES = [4, 8, 24]


def sequences(*rows):
    return TokenSequences.from_lengths(np.array([*itertools.chain(*rows)]), np.array([*map(len, rows)], int))


def rows_of(ragged):
    return [ragged.values[begin:end].tolist() for begin, end in itertools.pairwise(ragged.row_splits)]


@pytest.fixture(scope="module")
def numbered():
    """Rows of 0 to 24 tokens; every token and the target of row i are i + 1."""
    lengths = np.random.default_rng(3).integers(0, 25, 150)
    row = np.arange(len(lengths), dtype=np.int32)
    return TokenSequences.from_lengths(np.repeat(row + 1, lengths), lengths), row + 1


def elements(*arguments, **options):
    return list(batches(*arguments, **{"edges": EDGES, "batch_size": 16, **options}).as_numpy_iterator())


def assert_same(left, right):
    assert len(left) == len(right)
    for (x, *y), (other_x, *other_y) in zip(left, right):
        for array, other in zip([*x.values(), *y], [*other_x.values(), *other_y]):
            np.testing.assert_array_equal(array, other)


def test_rows_are_taken_in_the_given_order():
    ragged = sequences([1, 2], [], [3], [4, 5, 6])
    taken = ragged.rows(np.array([3, 1, 0, 3]))
    assert rows_of(taken) == [[4, 5, 6], [], [1, 2], [4, 5, 6]]
    assert (taken.values.dtype, taken.row_splits.dtype, len(taken)) == (np.int32, np.int64, 4)
    assert taken.lengths.tolist() == [3, 0, 2, 3]
    assert rows_of(ragged.rows(np.array([], int))) == []


@pytest.mark.parametrize(
    ("keep", "prefix", "expected"),
    [
        ("head", 0, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("tail", 0, [4, 5, 6, 7, 8, 9, 10, 11]),
        ("both", 0, [0, 1, 6, 7, 8, 9, 10, 11]),
        ("head", 1, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("tail", 1, [0, 5, 6, 7, 8, 9, 10, 11]),
        ("both", 4, [0, 1, 2, 3, 4, 9, 10, 11]),
    ],
)
def test_truncation_keeps_the_prefix_and_the_chosen_end(keep, prefix, expected):
    short, exact, long = list(range(20, 25)), list(range(8)), list(range(12))
    cut = truncate(sequences(long, short, [], exact, long), 8, keep, prefix)
    assert rows_of(cut) == [expected, short, [], exact, expected]


def test_the_prefix_must_be_shorter_than_the_maximum():
    with pytest.raises(ValueError, match="prefix must be at least 0 and less than maximum, 2; got 2"):
        truncate(sequences([1]), 2, prefix=2)


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=25),
    st.integers(1, 4),
    st.integers(1, 5),
    st.one_of(st.none(), st.integers(1, 40)),
)
@settings(max_examples=200, deadline=None)
def test_edges_need_the_fewest_padded_steps(lengths, count, multiple, maximum):
    edges = bucket_edges(np.array(lengths), count, maximum, multiple)
    lengths = np.minimum(lengths, maximum or 30)
    longest = maximum or lengths.max()
    candidates = range(multiple, max(longest, 1) + multiple, multiple)
    *smaller, last = candidates

    def padded_steps(edges):
        return np.asarray(edges)[np.searchsorted(edges, lengths)].sum()

    choices = ([*choice, last] for size in range(count) for choice in itertools.combinations(smaller, size))
    assert edges[-1] == last
    assert len(edges) <= count
    assert edges == sorted(set(edges))
    assert padded_steps(edges) == min(map(padded_steps, choices))


def test_edges_need_lengths_or_a_maximum():
    assert bucket_edges(np.array([], int), maximum=20) == [24]
    assert bucket_edges(np.array([0, 0])) == [8]
    with pytest.raises(ValueError, match="maximum must be set; got neither"):
        bucket_edges(np.array([], int))


@pytest.mark.parametrize("epoch", [None, 0, 7])
@pytest.mark.parametrize("batch_size", [16, (12, 8, 4)])
def test_every_row_comes_once_with_its_own_target(numbered, epoch, batch_size):
    ragged, targets = numbered
    seen = []
    shapes = set()
    for inputs, batch_targets, weights in elements(ragged, targets, epoch=epoch, batch_size=batch_size):
        tokens, lengths = inputs["tokens"], inputs["lengths"]
        shapes.add(tokens.shape)
        real = np.arange(tokens.shape[1]) < lengths[:, None]
        np.testing.assert_array_equal(tokens, np.where(real, batch_targets[:, None], PAD))
        np.testing.assert_array_equal(weights, batch_targets > 0)  # filler rows have weight 0 and target 0
        assert (lengths[weights == 0] == 0).all()
        np.testing.assert_array_equal(lengths[weights > 0], ragged.lengths[batch_targets[weights > 0] - 1])
        assert (tokens.dtype, lengths.dtype, weights.dtype) == (np.int32, np.int32, np.float32)
        seen += batch_targets[weights > 0].tolist()
    assert sorted(seen) == targets.tolist()
    assert shapes == set(zip(np.broadcast_to(batch_size, 3).tolist(), EDGES))


def test_rows_keep_their_own_weights(numbered):
    ragged, targets = numbered
    own = np.linspace(0.5, 2, len(ragged)).astype(np.float32)
    for _, batch_targets, weights in elements(ragged, targets, own, epoch=1):
        np.testing.assert_array_equal(weights, np.append(0, own)[batch_targets].astype(np.float32))


@pytest.mark.parametrize("epoch", [None, 3])
def test_additional_inputs_stay_with_their_rows_and_tokens(numbered, epoch):
    """In ``numbered``, every token of a row is equal to the target of the row."""
    ragged, targets = numbered
    further = {
        "of_rows": {"halves": targets / 2},
        "of_tokens": {"pairs": np.stack([ragged.values, -ragged.values], axis=1).astype(np.float32)},
    }
    for inputs, batch_targets, _ in elements(ragged, targets, epoch=epoch, **further):
        np.testing.assert_array_equal(inputs["halves"], batch_targets / 2)
        expected = np.stack([inputs["tokens"], -inputs["tokens"]], axis=2)
        np.testing.assert_array_equal(inputs["pairs"], expected)


def test_order_depends_on_seed_and_epoch_alone(numbered):
    first = elements(*numbered, seed=1, epoch=2)
    assert_same(first, elements(*numbered, seed=1, epoch=2))
    assert_same(elements(*numbered, seed=1), elements(*numbered, seed=2))
    edges = [inputs["tokens"].shape[1] for inputs, *_ in first]
    assert edges != sorted(edges)
    for other in ({"seed": 1, "epoch": 3}, {"seed": 2, "epoch": 2}, {"seed": 2, "epoch": 1}):
        with pytest.raises(AssertionError):
            assert_same(first, elements(*numbered, **other))


def test_rows_of_a_batch_change_from_epoch_to_epoch(numbered):
    together = [
        {frozenset(targets) for _, targets, _ in elements(*numbered, epoch=epoch)} for epoch in range(2)
    ]
    assert not together[0] & together[1]


def test_skip_continues_after_the_skipped_batches(numbered):
    ragged, targets = numbered
    whole = batches(ragged, targets, edges=EDGES, batch_size=16, epoch=4)
    assert len(whole) == len(list(whole))
    for count in (0, 1, 5, len(whole)):
        assert_same(elements(ragged, targets, epoch=4)[count:], list(whole.skip(count).as_numpy_iterator()))


@pytest.mark.parametrize("batch_size", [7, [16, 8, 8]])
def test_evaluation_order_restores_the_order_of_the_rows(numbered, batch_size):
    ragged, targets = numbered
    shape = {"edges": EDGES, "batch_size": batch_size}
    outputs = np.concatenate([row for _, row, _ in elements(ragged, targets, **shape)])
    lengths = np.concatenate([inputs["lengths"] for inputs, *_ in elements(ragged, **shape)])
    order = evaluation_order(ragged.lengths, **shape)
    np.testing.assert_array_equal(outputs[order], targets)
    np.testing.assert_array_equal(lengths[order], ragged.lengths)


def test_known_dimensions_are_static(numbered):
    ragged, _ = numbered
    inputs, targets, weights = batches(
        ragged, np.zeros((len(ragged), 2)), edges=EDGES, batch_size=16
    ).element_spec
    assert inputs["tokens"].shape.as_list() == [16, None]
    assert inputs["lengths"].shape.as_list() == weights.shape.as_list() == [16]
    assert targets.shape.as_list() == [16, 2]


def test_data_without_rows_or_with_empty_rows_only():
    assert elements(sequences(), np.array([], int)) == []
    ((inputs, targets, weights),) = elements(sequences([], []), np.array([5, 6]), batch_size=3)
    assert inputs["tokens"].tolist() == [[PAD] * 4] * 3
    assert (targets.tolist(), weights.tolist()) == ([5, 6, 0], [1, 1, 0])


def test_a_row_longer_than_the_last_edge_is_an_error(numbered):
    with pytest.raises(
        ValueError, match="a row must have at most 20 tokens, the largest value of edges; got 24; truncate"
    ):
        batches(numbered[0], edges=[10, 20], batch_size=4)


@settings(deadline=None, max_examples=25)
@given(
    count=st.integers(1, 60),
    rows=st.integers(1, 7),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    epoch=st.integers(0, 3),
)
def test_every_token_of_running_text_is_a_target_once(count, rows, lengths, epoch):
    ids = np.arange(10, 10 + count)
    windows = list(running_text(ids, 3, batch_size=rows, lengths=lengths, seed=1, epoch=epoch))
    assert {window[0].shape[1] for window in windows} <= set(lengths)
    tokens, targets, weights = (np.concatenate(parts, axis=1) for parts in zip(*windows))  # (rows, steps)
    real = weights == 1
    assert np.array_equal(targets[real], ids)
    assert np.array_equal(tokens[real], np.append(3, ids[:-1]))
    assert np.all((weights == 0) | real)
    assert np.array_equal(real, np.sort(real, axis=1)[:, ::-1])  # padding is at the end of a row


def test_pipelines_disable_autotuning(numbered):
    source, target = numbered_pairs()
    shapes = PairShapes.choose(source.lengths, target.lengths - 1, tokens=256, count=4)
    pipelines = [
        batches(numbered[0], edges=EDGES, batch_size=16),
        pair_batches(source, target, shapes, seed=1, epoch=0),
        running_text(np.arange(99), 3, batch_size=2, lengths=[5]),
    ]
    assert [pipeline.skip(1).options().autotune.enabled for pipeline in pipelines] == [False] * 3


def test_window_lengths_depend_on_seed_and_epoch():
    def lengths(**options):
        data = running_text(np.arange(4000), 3, batch_size=1, lengths=[3, 5, 8], **options)
        return [window[0].shape[1] for window in data]

    assert lengths(seed=1, epoch=0) == lengths(seed=1, epoch=0)
    assert len({tuple(lengths(seed=seed, epoch=epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    rest = running_text(np.arange(4000), 3, batch_size=1, lengths=[3, 5, 8], seed=1)
    for one, other in zip(rest.skip(7), list(rest)[7:], strict=True):
        assert all(np.array_equal(left, right) for left, right in zip(one, other))


def numbered_pairs(count=120):
    """Returns sources and targets of different lengths; all tokens of pair i are i + 1."""
    random = np.random.default_rng(4)
    first, second = random.integers(1, 20, count), random.integers(3, 25, count)
    numbers = np.arange(count, dtype=np.int32) + 1
    source = TokenSequences.from_lengths(np.repeat(numbers, first), first)
    target = TokenSequences.from_lengths(np.repeat(numbers, second), second)
    return source, target


def test_pair_shapes_hold_all_pairs_within_the_token_limit():
    source, target = numbered_pairs()
    steps = target.lengths - 1
    shapes = PairShapes.choose(source.lengths, steps, tokens=256, count=4)
    assert len(shapes.rows) == len(shapes.sources) == len(shapes.targets) <= 4
    assert list(shapes.sources) == sorted(shapes.sources)
    assert list(shapes.targets) == sorted(shapes.targets)
    assert all(edge % 4 == 0 for edge in shapes.sources + shapes.targets)
    assert all(rows * edge <= 256 for rows, edge in zip(shapes.rows, shapes.targets))
    buckets = shapes.buckets(source.lengths, steps)
    assert np.all(source.lengths <= np.array(shapes.sources)[buckets])
    assert np.all(steps <= np.array(shapes.targets)[buckets])
    one = PairShapes.choose(source.lengths, steps, tokens=5, count=1)
    assert (len(one.rows), one.rows[0]) == (1, 1)
    with pytest.raises(
        ValueError, match=r"a pair must have at most .*; got 50 source tokens and 3 target tokens; remove"
    ):
        shapes.buckets(np.array([50]), np.array([3]))


def test_pair_batches_contain_every_pair_once_for_teacher_forcing():
    source, target = numbered_pairs()
    shapes = PairShapes.choose(source.lengths, target.lengths - 1, tokens=256, count=4)
    for epoch in (None, 0):
        seen = []
        dataset = pair_batches(source, target, shapes, seed=1, epoch=epoch)
        for inputs, targets, weights in dataset.as_numpy_iterator():
            assert (inputs["source"].shape[1], targets.shape[1]) in list(zip(shapes.sources, shapes.targets))
            for row, weight in enumerate(weights):
                number = int(inputs["source"][row, 0])
                if not weight:
                    assert not inputs["target_lengths"][row]
                    assert not inputs["source"][row].any()
                    continue
                seen.append(number)
                steps = target.lengths[number - 1] - 1
                assert inputs["source_lengths"][row] == source.lengths[number - 1]
                assert inputs["target_lengths"][row] == steps
                for tokens in (inputs["target"][row], targets[row]):
                    assert tokens.tolist() == [number] * steps + [PAD] * (len(tokens) - steps)
        assert sorted(seen) == list(range(1, len(source) + 1))
        assert len(dataset) == len(list(dataset))


def test_the_order_of_pairs_depends_on_seed_and_epoch():
    source, target = numbered_pairs()
    shapes = PairShapes.choose(source.lengths, target.lengths - 1, tokens=256, count=3)

    def order(seed, epoch):
        found = pair_batches(source, target, shapes, seed=seed, epoch=epoch).as_numpy_iterator()
        return [inputs["source"][:, 0].tolist() for inputs, _, _ in found]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)
