"""Links between words, computed from the attention between tokens."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

CONTINUATION = "##"

Links = AbstractSet[tuple[int, int]]


def words_of(tokens: Sequence[str]) -> np.ndarray:
    """Returns the index of the word that contains each token, from 0: ``(tokens,)``.

    A piece that begins with ``##`` continues the word before it.
    """
    begins = [not token.startswith(CONTINUATION) for token in tokens]
    return np.maximum(np.cumsum(begins, dtype=int) - 1, 0)


def owners(tokens: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """Returns the index of the word that contains the first character of each token: ``(tokens,)``.

    Tokens and words must spell the same text.
    """
    ends = np.cumsum([len(word) for word in words], dtype=int)
    begins = np.cumsum([0, *(len(token) for token in tokens)])[:-1]
    return np.searchsorted(ends, begins, side="right")


def between_words(weights: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Converts attention between tokens to attention between words.

    The weights are summed over the pieces of a source word and averaged over the pieces of a target word. The
    sum of a row stays the same.

    Args:
        weights: ``(target tokens, source tokens)``.
        sources: word index of each source token.
        targets: word index of each target token.

    Returns:
        ``(target words, source words)``.
    """
    to_words = np.eye(sources.max(initial=-1) + 1)[sources]  # (source tokens, source words)
    mean = np.eye(targets.max(initial=-1) + 1)[targets]
    return (mean / np.maximum(mean.sum(axis=0), 1)).T @ weights @ to_words


def links(weights: np.ndarray) -> set[tuple[int, int]]:
    """Links each target word to the source word with the largest weight: ``(source, target)``."""
    return {(int(row.argmax()), target) for target, row in enumerate(weights)} if weights.size else set()


def error_rate(found: Sequence[Links], known: Sequence[Links]) -> float:
    """Computes the alignment error rate of all sentences (Och and Ney 2003, section 4.1).

    All known links count as sure links. The rate is ``1 - 2 |found and known| / (|found| + |known|)``.

    Args:
        found: predicted links of each sentence.
        known: true links of each sentence.
    """
    right = sum(len(one & other) for one, other in zip(found, known))
    return 1 - 2 * right / sum(len(one) + len(other) for one, other in zip(found, known))
