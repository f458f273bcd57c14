"""Tests of WordDropout: the replaced tokens, the rate, and the difference between training and inference."""

from __future__ import annotations

import numpy as np
import pytest

from seqmodels.layers import WordDropout

TOKENS = np.random.default_rng(0).integers(0, 50, (100, 200)).astype(np.int32)


def test_replaces_words_but_not_special_tokens_at_its_rate() -> None:
    """The share of replaced words lies within five standard deviations of the rate."""
    rate = 0.3
    result = WordDropout(rate, unknown=2, first=4, seed=1)(TOKENS, training=True).numpy()
    words = TOKENS >= 4
    replaced = result != TOKENS
    assert np.all(result[replaced] == 2)
    assert set(TOKENS[replaced]) == set(range(4, 50))
    assert abs(replaced[words].mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / words.sum())
    assert result.dtype == np.int32


def test_positions_are_sampled_independently() -> None:
    replaced = WordDropout(0.5, seed=2)(np.full((2, 64), 9, np.int32), training=True).numpy() == 2
    assert np.any(replaced[0] != replaced[1])
    assert 0 < replaced[0].sum() < 64


@pytest.mark.parametrize(("rate", "training"), [(0.9, False), (0.0, True)])
def test_does_nothing_outside_of_training_or_at_rate_zero(rate: float, training: bool) -> None:
    np.testing.assert_array_equal(WordDropout(rate)(TOKENS, training=training), TOKENS)


def test_samples_follow_the_seed_and_differ_between_calls() -> None:
    first, twin, other = (WordDropout(0.5, seed=seed) for seed in (3, 3, 4))
    draws = [first(TOKENS, training=True).numpy() for _ in range(2)]
    assert np.any(draws[0] != draws[1])
    np.testing.assert_array_equal([twin(TOKENS, training=True) for _ in range(2)], draws)
    assert np.any(other(TOKENS, training=True).numpy() != draws[0])


def test_bad_rate() -> None:
    with pytest.raises(ValueError, match=r"rate must be a probability in \[0, 1\); got 1"):
        WordDropout(1)
