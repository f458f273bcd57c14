"""A word-by-word dictionary learned from parallel texts: IBM model 1.

Brown et al. 1993, section 4.1: the source words of a pair, and a null word, each may have produced any
target word. With ``t(f | e)`` the probability that word e gives word f, expectation maximisation repeats::

    p(i | j) = t(f_j | e_i) / sum_i' t(f_j | e_i')        how much of f_j is due to e_i, in each pair
    t(f | e) = sum of p(i | j) where e_i = e, f_j = f, over the same sum with any f

from a uniform start. The likelihood has no other maxima.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ITERATIONS = 10
NULL = 0


@dataclass(frozen=True)
class WordTable:
    """What :func:`fit` learned.

    Attributes:
        sources, targets: numbers of the words; that of the null word is 0.
        table: ``t(f | e)`` of the pairs ``(e, f)`` that occurred together.
        best: the likeliest target word of each source word.
    """

    sources: dict[str, int]
    targets: dict[str, int]
    table: dict[tuple[int, int], float]
    best: dict[str, str]

    def translate(self, words: Sequence[str]) -> list[str]:
        """Each word by its likeliest translation, in the same order; an unknown word stays as it is."""
        return [self.best.get(word, word) for word in words]

    def align(self, source: Sequence[str], target: Sequence[str]) -> list[int | None]:
        """For every target word the index of the likeliest source word, None for the null word."""
        sources = [NULL, *(self.sources.get(word, -1) for word in source)]
        links: list[int | None] = []
        for word in target:
            f = self.targets.get(word, -1)
            best = int(np.argmax([self.table.get((e, f), 0.0) for e in sources]))
            links.append(None if best == 0 else best - 1)
        return links


def fit(
    sources: Sequence[Sequence[str]], targets: Sequence[Sequence[str]], iterations: int = ITERATIONS
) -> WordTable:
    """Learns the table from pairs of sentences cut into words.

    Args:
        sources: words of each source.
        targets: words of each target.
        iterations: of expectation maximisation.

    Raises:
        ValueError: no pair in which both sides have a word.
    """
    source_words, source_ids, source_lengths = _numbered(sources)
    target_words, target_ids, target_lengths = _numbered(targets)
    if not (source_lengths * target_lengths).sum():
        raise ValueError("there is no pair with words on both sides; expected at least one")
    # With the null word in front, every target word meets all source words of its pair.
    candidates = np.repeat(source_lengths + 1, target_lengths)  # (target words,) how many each meets
    starts = np.cumsum(candidates) - candidates
    position = np.arange(candidates.sum()) - np.repeat(starts, candidates)  # (meetings,) 0 is null
    first = np.repeat(np.cumsum(source_lengths) - source_lengths, target_lengths)
    places = np.repeat(first, candidates) + position - 1
    e = np.where(position == 0, NULL, source_ids[np.maximum(places, 0)] if len(source_ids) else NULL)
    f = np.repeat(target_ids, candidates)
    kinds, meeting = np.unique(e * (len(target_words) + 1) + f, return_inverse=True)
    kind_e, kind_f = np.divmod(kinds, len(target_words) + 1)
    t = np.ones(len(kinds))
    for _ in range(iterations):
        share = t[meeting]
        share /= np.repeat(np.add.reduceat(share, starts), candidates)
        counts = np.bincount(meeting, share, len(kinds))
        t = counts / np.bincount(kind_e, counts)[kind_e]
    # By source word and falling probability, equals by the order in which words came.
    order = np.lexsort((kind_f, -t, kind_e))
    chosen = order[np.unique(kind_e[order], return_index=True)[1]]
    target_list, source_list = list(target_words), list(source_words)
    best = {source_list[kind_e[k] - 1]: target_list[kind_f[k] - 1] for k in chosen if kind_e[k] != NULL}
    table = dict(zip(zip(kind_e.tolist(), kind_f.tolist()), t.tolist()))
    return WordTable(source_words, target_words, table, best)


def _numbered(sentences: Sequence[Sequence[str]]) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Numbers of the words from 1, all words one after another, and the words of each sentence."""
    numbers: dict[str, int] = {}
    ids = [numbers.setdefault(word, len(numbers) + 1) for words in sentences for word in words]
    return numbers, np.array(ids, np.int64), np.array([len(words) for words in sentences], np.int64)
