"""Significance tests and intervals, compared with published examples, other libraries and simulations."""

import numpy as np
import pytest
import sacrebleu
from scipy import sparse, stats
from statsmodels.stats import contingency_tables

from seqmodels.evaluation import bootstrap_interval, mcnemar, paired_bootstrap
from seqmodels.evaluation import intervals as evaluation_intervals
from seqmodels.evaluation.intervals import bootstrap_scores


def mean(sums):
    """Score of two columns: a total and a count."""
    return sums[:, 0] / sums[:, 1]


def column(values):
    return np.stack([values, np.ones(len(values))], axis=1)


def answers(both, first, second, neither):
    """Returns the correct answers of two systems with these numbers of examples."""
    return (
        [True] * (both + first) + [False] * (second + neither),
        [True] * both + [False] * first + [True] * second + [False] * neither,
    )


@pytest.mark.parametrize(
    ("table", "mid_p", "exact", "interval"),
    [
        # Bentur et al. 2009 and Cavo et al. 2012, in Fagerland, Lydersen, Laake 2013 and 2014.
        ((1, 1, 7, 12), 0.0391, 0.0703, (-0.508, -0.013)),
        ((59, 6, 16, 80), 0.0347, 0.0525, (-0.119, -0.003)),
    ],
)
def test_mcnemar_equals_published_examples(table, mid_p, exact, interval):
    test = mcnemar(*answers(*table))
    assert test.p == pytest.approx(mid_p, abs=5e-5)
    assert test.interval == pytest.approx(interval, abs=6e-4)
    assert test.effect == (table[1] - table[2]) / sum(table)
    by_statsmodels = contingency_tables.mcnemar(np.reshape(table, (2, 2)), exact=True).pvalue
    assert by_statsmodels == pytest.approx(exact, abs=5e-5)
    equal = stats.binom.pmf(min(table[1:3]), sum(table[1:3]), 0.5)
    assert test.p == pytest.approx(by_statsmodels - equal)


def test_mcnemar_of_the_swapped_systems_has_the_opposite_effect():
    first, second = answers(20, 9, 1, 5)
    one, other = mcnemar(first, second), mcnemar(second, first)
    assert one.p == other.p
    assert one.effect == -other.effect
    assert one.interval == pytest.approx([-edge for edge in reversed(other.interval)])
    assert one.significant


def test_equal_answers_do_not_differ():
    test = mcnemar([True, False, True], [True, False, True])
    assert (test.effect, test.p, test.significant) == (0.0, 1.0, False)
    balanced = mcnemar(*answers(5, 4, 4, 5))
    assert balanced.p == pytest.approx(1 - stats.binom.pmf(4, 8, 0.5) / 2)


def test_mcnemar_rejects_a_true_hypothesis_in_at_most_5_percent():
    random = np.random.default_rng(0)
    tests = [mcnemar(random.random(200) < 0.7, random.random(200) < 0.7) for _ in range(1000)]
    assert np.mean([test.p < 0.05 for test in tests]) < 0.065
    covered = [test.interval[0] <= 0 <= test.interval[1] for test in tests]
    assert 0.935 < np.mean(covered) < 0.975


@pytest.mark.parametrize("arguments", [([True], [True, False]), ([], []), ([[True]], [[True]])])
def test_mcnemar_refuses_other_shapes(arguments):
    with pytest.raises(ValueError, match="must have the same shape"):
        mcnemar(*arguments)


def test_bootstrap_interval_equals_the_percentile_interval_of_scipy():
    values = np.random.default_rng(1).exponential(size=400)
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert bootstrap_interval(column(values), mean) == pytest.approx(expected, rel=0.02)


def test_bootstrap_is_reproducible_and_reads_sparse_sums():
    sums = np.random.default_rng(1).integers(0, 3, (60, 4)).astype(float)
    dense = bootstrap_scores(sums, lambda totals: totals[:, 0] / totals[:, 3])
    np.testing.assert_allclose(
        dense, bootstrap_scores(sparse.csr_array(sums), lambda totals: totals[:, 0] / totals[:, 3])
    )
    assert len(dense) == evaluation_intervals.RESAMPLES


@pytest.mark.parametrize("count", [8, 30])
def test_coverage_and_error_rate_of_the_bootstrap(count, monkeypatch):
    monkeypatch.setattr(evaluation_intervals, "RESAMPLES", 400)
    random, covered, rejected = np.random.default_rng(0), 0, 0
    for _ in range(300):
        first, second = random.normal(3, 1, (2, count))
        test = paired_bootstrap(column(first), column(second), mean)
        covered += test.interval[0] <= 0 <= test.interval[1]
        rejected += test.p < 0.05
    assert 0.91 < covered / 300 < 0.985
    assert rejected / 300 < 0.09


def test_paired_bootstrap_agrees_with_the_paired_t_test():
    random = np.random.default_rng(4)
    second = random.normal(0, 2, 150)
    for gain in (0.05, 0.1, 0.15):
        first = second + random.normal(gain, 0.5, 150)
        test = paired_bootstrap(column(first), column(second), mean)
        expected = stats.ttest_rel(first, second)
        low, high = expected.confidence_interval(0.95)
        assert test.interval == pytest.approx([low, high], abs=0.02)
        assert test.p == pytest.approx(expected.pvalue, abs=0.03)
        assert test.effect == pytest.approx((first - second).mean())


def test_ratio_of_perplexities_by_hand():
    losses = np.random.default_rng(5).exponential(2, 300)
    worse = losses + 0.1

    def perplexity(sums):
        return np.exp(mean(sums))

    test = paired_bootstrap(column(worse), column(losses), perplexity, ratio=True)
    assert test.effect == pytest.approx(np.exp(0.1))
    assert test.interval == pytest.approx([np.exp(0.1)] * 2)
    assert (test.null, test.significant) == (1.0, True)
    same = paired_bootstrap(column(losses), column(losses), perplexity, ratio=True)
    assert (same.effect, same.p, same.significant) == (1.0, 1.0, False)


def test_one_example_has_no_interval():
    test = paired_bootstrap([[1.0, 1.0]], [[0.0, 1.0]], mean)
    assert (test.effect, test.interval, test.p, test.significant) == (1.0, None, 1.0, False)
    assert bootstrap_interval([[1.0, 1.0]], mean) is None


def test_many_examples_are_resampled_in_random_groups(monkeypatch):
    """The examples are sorted. The interval has the same length as without groups."""
    values = np.sort(np.random.default_rng(6).normal(size=3000))
    whole = bootstrap_interval(column(values), mean)
    monkeypatch.setattr(evaluation_intervals, "LARGEST", 300)
    grouped = bootstrap_interval(column(values), mean)
    assert np.diff(grouped) == pytest.approx(np.diff(whole), rel=0.15)
    assert np.mean(grouped) == pytest.approx(np.mean(whole), abs=0.01)


@pytest.mark.parametrize(
    ("first", "second"),
    [(np.ones((3, 2)), np.ones((4, 2))), (np.ones(3), np.ones(3)), (np.ones((0, 2)), np.ones((0, 2)))],
)
def test_paired_bootstrap_refuses_other_shapes(first, second):
    with pytest.raises(ValueError, match="must have the same shape"):
        paired_bootstrap(first, second, mean)


def test_interval_of_bleu_equals_sacrebleu():
    random = np.random.default_rng(7)
    words = np.array(
        ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "one", "big", "dog", "near", "some", "house"]
    )
    references = [" ".join(random.choice(words, 12)) for _ in range(200)]
    hypotheses = [
        " ".join(random.choice(words) if random.random() < 0.3 else word for word in text.split())
        for text in references
    ]
    metric = sacrebleu.metrics.BLEU()
    counts = metric._extract_corpus_statistics(hypotheses, [references])

    def bleu(sums):
        return np.array([metric._compute_score_from_stats(row).score for row in sums.astype(int).tolist()])

    interval = bootstrap_interval(np.array(counts), bleu)
    score = metric.corpus_score(hypotheses, [references], n_bootstrap=2000)
    assert np.diff(interval)[0] / 2 == pytest.approx(score._ci, rel=0.08)
    assert np.mean(interval) == pytest.approx(score.score, abs=0.5)
