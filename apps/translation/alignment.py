"""Computes links between source and target words from the attention between tokens."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

CONTINUATION = "##"

Links = AbstractSet[tuple[int, int]]


def words_of(tokens: Sequence[str]) -> np.ndarray:
    """Returns the index of the word to which each token belongs: ``(tokens,)``. The first index is 0.

    A token that begins with ``##`` belongs to the same word as the token before it.
    """
    begins = [not token.startswith(CONTINUATION) for token in tokens]
    return np.maximum(np.cumsum(begins, dtype=int) - 1, 0)


def owners(tokens: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """Returns one word index for each token: the word that contains the first character of this token.

    The joined tokens and the joined words must be the same text. The shape of the result is ``(tokens,)``.
    """
    ends = np.cumsum([len(word) for word in words], dtype=int)
    begins = np.cumsum([0, *(len(token) for token in tokens)])[:-1]
    return np.searchsorted(ends, begins, side="right")


def between_words(weights: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Converts attention between tokens to attention between words.

    The weights are summed over the tokens of a source word and averaged over the tokens of a target word. If
    each row of ``weights`` sums to 1, each row of the result also sums to 1. The row or column of a word
    without tokens contains only zeros.

    Args:
        weights: attention weights, ``(target tokens, source tokens)``.
        sources: word index of each source token.
        targets: word index of each target token.

    Returns:
        Attention weights between words, ``(target words, source words)``.
    """
    to_words = np.eye(sources.max(initial=-1) + 1)[sources]  # (source tokens, source words)
    mean = np.eye(targets.max(initial=-1) + 1)[targets]
    return (mean / np.maximum(mean.sum(axis=0), 1)).T @ weights @ to_words


def links(weights: np.ndarray) -> set[tuple[int, int]]:
    """Links each target word to the source word with the largest weight.

    Returns pairs (index of the source word, index of the target word).
    """
    return {(int(row.argmax()), target) for target, row in enumerate(weights)} if weights.size else set()


def error_rate(found: Sequence[Links], known: Sequence[Links]) -> float:
    """Computes one alignment error rate over all sentences (Och and Ney 2003, section 4.1).

    The paper distinguishes sure and possible links. Here, all links in ``known`` are sure. If the two sets
    have ``c`` links in common, the rate is ``1 - 2 c / (|found| + |known|)``.

    Args:
        found: predicted links of each sentence.
        known: true links of each sentence, in the same order as ``found``.
    """
    right = sum(len(one & other) for one, other in zip(found, known))
    return 1 - 2 * right / sum(len(one) + len(other) for one, other in zip(found, known))
