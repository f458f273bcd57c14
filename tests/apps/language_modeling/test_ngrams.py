"""N-gram models compared with the equations of Chen and Goodman (1999) and with hand calculations."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.language_modeling.ngrams import FALLBACK, NGrams, kneser_ney, markov, unigram

START = "<s>"


def sentences_of(ids, end):
    """Splits the stream after each ``end``. The tokens after the last ``end`` are also a sentence."""
    result = [[]]
    for token in ids:
        result[-1].append(token)
        if token == end:
            result.append([])
    return [sentence for sentence in result if sentence]


class Dictionaries:
    """Computes the n-gram model with Python dictionaries, one n-gram at a time."""

    def __init__(self, ids, vocabulary, order, end, continuation):
        self.vocabulary, self.order, self.end = vocabulary, order, end
        occurrences = [Counter() for _ in range(order + 1)]
        for sentence in sentences_of(ids, end):
            padded = [START, *sentence]
            for last in range(1, len(padded)):
                for n in range(1, min(order, last + 1) + 1):
                    occurrences[n][tuple(padded[last + 1 - n : last + 1])] += 1
        self.counts = list(occurrences)
        if continuation:
            for n in range(1, order):
                before = Counter(ngram[1:] for ngram in occurrences[n + 1])
                self.counts[n] = Counter(
                    {
                        ngram: count if ngram[0] == START else before[ngram]
                        for ngram, count in occurrences[n].items()
                    }
                )
        self.discounts = [None] + [self.discount(counts) for counts in self.counts[1:]]
        self.following = [defaultdict(dict) for _ in range(order + 1)]
        for n in range(1, order + 1):
            for ngram, count in self.counts[n].items():
                self.following[n][ngram[:-1]][ngram[-1]] = count

    @staticmethod
    def discount(counts):
        n = Counter(counts.values())
        if not all(n[r] for r in (1, 2, 3, 4)):
            return FALLBACK
        y = n[1] / (n[1] + 2 * n[2])
        found = 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]
        return FALLBACK if min(found) < 0 else found

    def probability(self, word, context):
        if context is None:
            return 1 / self.vocabulary
        shorter = self.probability(word, context[1:] if context else None)
        following = self.following[len(context) + 1].get(context)
        if not following:
            return shorter
        discounts = self.discounts[len(context) + 1]
        total = sum(following.values())
        freed = sum(discounts[min(count, 3) - 1] for count in following.values())
        count = following.get(word, 0)
        kept = count - discounts[min(count, 3) - 1] if count else 0
        return kept / total + freed / total * shorter

    def log_probabilities(self, ids):
        result = []
        for sentence in sentences_of(ids, self.end):
            padded = [START, *sentence]
            for last in range(1, len(padded)):
                context = tuple(padded[max(0, last + 1 - self.order) : last])
                result.append(math.log(self.probability(padded[last], context)))
        return result


def text(seed, tokens, vocabulary):
    """Samples tokens that are distributed like words: a few tokens are frequent, and many are rare."""
    rng = np.random.default_rng(seed)
    return np.minimum(rng.zipf(1.6, tokens) - 1, vocabulary - 1)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("continuation", [True, False])
@pytest.mark.parametrize("end", [2, None])
def test_equals_the_equations(order, continuation, end):
    train, test = text(0, 3000, 300), text(1, 400, 300)
    model = NGrams(train, 300, order, end, continuation)
    expected = Dictionaries(train.tolist(), 300, order, end, continuation)
    np.testing.assert_allclose(model.discounts, expected.discounts[1:], rtol=1e-12)
    assert np.any(model.discounts[-1] != FALLBACK)  # the comparison must include estimated discounts
    assert model.stored[1:] == [len(counts) for counts in expected.counts[2:]]
    for ids in (test, train[:500]):
        np.testing.assert_allclose(
            model.log_probabilities(ids), expected.log_probabilities(ids.tolist()), rtol=1e-10
        )


@settings(deadline=None, max_examples=60)
@given(
    ids=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    context=st.lists(st.integers(0, 4), max_size=7),
    order=st.integers(1, 5),
    end=st.sampled_from([0, None]),
    continuation=st.booleans(),
)
def test_probabilities_sum_to_one_for_every_text(ids, context, order, end, continuation):
    """Includes texts of one token, texts without a sentence end, and unseen contexts."""
    model = NGrams(ids, 5, order, end, continuation)
    distribution = model.distribution(context)
    assert distribution.min() > 0
    assert distribution.sum() == pytest.approx(1, abs=1e-12)
    expected = Dictionaries(ids, 5, order, end, continuation).log_probabilities([*context, ids[0]])
    np.testing.assert_allclose(model.log_probabilities([*context, ids[0]]), expected, rtol=1e-10)
    assert np.log(distribution[ids[0]]) == pytest.approx(expected[-1], rel=1e-10)


def test_a_pair_by_hand():
    """Not all counts from 1 to 4 occur. Then the discounts are 0.5 for count 1, 1 for 2 and 1.5 above 2."""
    a, b, end = 0, 1, 2
    model = kneser_ney([a, b, end, a, b, end, a, end], 3, order=2, end=end)
    assert model.fallbacks == [1, 2]
    # Different tokens before a: 1 (the start); before b: 1 (a); before the end: 2 (a and b). Their sum is 4.
    freed = (0.5 + 0.5 + 1) / 4
    first = {a: 0.5 / 4 + freed / 3, b: 0.5 / 4 + freed / 3, end: 1 / 4 + freed / 3}
    np.testing.assert_allclose(
        model.distribution([a]),
        [1.5 / 3 * first[a], 1 / 3 + 1.5 / 3 * first[b], 0.5 / 3 + 1.5 / 3 * first[end]],
    )
    np.testing.assert_allclose(
        model.distribution([]), [1.5 / 3 + 0.5 * first[a], *(0.5 * first[w] for w in (b, end))]
    )
    assert model.perplexity([a, end]) == pytest.approx(
        (model.distribution([])[a] * model.distribution([a])[end]) ** -0.5
    )
    # Pairs: start a, a b, a end, b end.
    assert (model.stored, model.table) == ([3, 4], 9)


def test_word_that_follows_only_one_word_is_rare_elsewhere():
    """ "Francisco" is frequent but occurs only after "San" (Chen and Goodman, section 2.7)."""
    rng = np.random.default_rng(0)
    san, francisco, glasses, end = 40, 41, 42, 43
    stream = []
    for number in range(600):
        stream += [san, francisco] if number % 2 else [int(rng.integers(40)), glasses]
        stream += [int(rng.integers(40)), end]
    after_unseen = [end, glasses]  # neither word occurs after this context
    counted, continued = (NGrams(stream, 44, 2, end, continuation) for continuation in (False, True))
    p, q = counted.distribution(after_unseen), continued.distribution(after_unseen)
    assert 0.8 < p[francisco] / p[glasses] < 1.25
    assert q[francisco] < q[glasses] / 5


def test_unigram_learns_frequencies_and_markov_learns_pairs():
    ids = np.tile([0, 1, 2, 3], 300)
    assert unigram(ids, 4).perplexity(ids) == pytest.approx(4, rel=1e-6)
    assert markov(ids, 4).perplexity(ids) < 1.05


def test_previous_sentence_is_not_context():
    ids = text(0, 500, 20)
    model = kneser_ney(ids, 20, 3, end=0)
    np.testing.assert_array_equal(model.distribution([5, 7, 0]), model.distribution([]))
    np.testing.assert_array_equal(model.distribution([5, 7, 0, 3]), model.distribution([3]))
    stream = kneser_ney(ids, 20, 3)
    assert np.abs(stream.distribution([5, 7, 0]) - stream.distribution([0])).max() > 1e-3


def test_informative_context_lowers_perplexity():
    ids = np.tile([0, 1, 2, 0, 1, 3, 0, 2, 1], 400)
    perplexities = [kneser_ney(ids, 4, order).perplexity(ids) for order in (1, 2, 3, 4, 5)]
    assert perplexities == sorted(perplexities, reverse=True)
    assert perplexities[-1] < 1.1


@pytest.mark.parametrize(
    ("ids", "order", "expected"),
    [
        ([], 2, "at least one"),
        ([[1, 2]], 2, r"got the shape \(1, 2\)"),
        ([0, 5], 2, "ids must be from 0 to 4; got ids from 0 to 5"),
        ([-1, 2], 2, "got ids from -1 to 2"),
        ([0, 1], 0, "order must be from 1 to 5; got 0"),
        ([0, 1], 6, "got 6"),
    ],
)
def test_invalid_arguments_raise(ids, order, expected):
    with pytest.raises(ValueError, match=expected):
        kneser_ney(ids, 5, order)
    if 1 <= order <= 5:
        with pytest.raises(ValueError, match=expected):
            kneser_ney([0, 1], 5, order).log_probabilities(ids)
