"""From the attention between tokens to links between words."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np

CONTINUATION = "##"

Links = AbstractSet[tuple[int, int]]


def words_of(tokens: Sequence[str]) -> np.ndarray:
    """The number of the word that each token belongs to, from 0: ``(tokens,)``.

    A piece that begins with ``##`` goes on with the word before it.
    """
    begins = [not token.startswith(CONTINUATION) for token in tokens]
    return np.maximum(np.cumsum(begins, dtype=int) - 1, 0)


def owners(tokens: Sequence[str], words: Sequence[str]) -> np.ndarray:
    """The word that each token's first character lies in, where both spell the same text: ``(tokens,)``."""
    ends = np.cumsum([len(word) for word in words], dtype=int)
    begins = np.cumsum([0, *(len(token) for token in tokens)])[:-1]
    return np.searchsorted(ends, begins, side="right")


def between_words(weights: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Attention between tokens to attention between words.

    The weights of a source word's pieces are summed, and those of a target word's pieces averaged, so that a
    row still sums to what it did.

    Args:
        weights: ``(target tokens, source tokens)``.
        sources: the word of each source token.
        targets: the word of each target token.

    Returns:
        ``(target words, source words)``.
    """
    to_words = np.eye(sources.max(initial=-1) + 1)[sources]  # (source tokens, source words)
    mean = np.eye(targets.max(initial=-1) + 1)[targets]
    return (mean / np.maximum(mean.sum(axis=0), 1)).T @ weights @ to_words


def links(weights: np.ndarray) -> set[tuple[int, int]]:
    """The source word that each target word attends to most: ``(source, target)``."""
    return {(int(row.argmax()), target) for target, row in enumerate(weights)} if weights.size else set()


def error_rate(found: Sequence[Links], known: Sequence[Links]) -> float:
    """Alignment error rate of all sentences (Och and Ney 2003, section 4.1), all known links sure.

    ``1 - 2 |found and known| / (|found| + |known|)``.

    Args:
        found: links of each sentence.
        known: its true links.
    """
    right = sum(len(one & other) for one, other in zip(found, known))
    return 1 - 2 * right / sum(len(one) + len(other) for one, other in zip(found, known))
