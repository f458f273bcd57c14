"""Tests of word alignments that are computed from the attention between tokens."""

import numpy as np
import pytest

from apps.translation.alignment import between_words, error_rate, links, owners, words_of


def test_pieces_belong_to_the_word_before_them():
    assert words_of(["▁un", "##like", "##ly", ",", "▁cat", "#"]).tolist() == [0, 0, 0, 1, 2, 3]
    assert words_of([]).tolist() == []


def test_tokens_belong_to_the_words_that_contain_them():
    assert owners(["L", "'", "am", "i", "dort", "."], ["L'", "ami", "dort", "."]).tolist() == [
        0,
        0,
        1,
        1,
        2,
        3,
    ]


def test_attention_of_pieces_is_summed_over_the_source_and_averaged_over_the_target():
    weights = np.array([[0.5, 0.2, 0.3], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0]])
    between = between_words(weights, np.array([0, 0, 1]), np.array([0, 0, 1]))
    np.testing.assert_allclose(between, [[0.45, 0.55], [1.0, 0.0]])
    np.testing.assert_allclose(between.sum(axis=1), 1)
    assert links(between) == {(1, 0), (0, 1)}
    assert links(np.zeros((2, 0))) == set()


def test_alignment_error_rate_by_hand():
    found, known = [{(0, 0), (1, 1)}, {(0, 0)}], [{(0, 0), (1, 2)}, {(0, 0), (1, 1), (2, 2)}]
    assert error_rate(found, known) == pytest.approx(1 - 2 * 2 / (3 + 5))
    assert error_rate(known, known) == 0
