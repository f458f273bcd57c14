"""Learns a word-by-word dictionary from pairs of sentences with IBM model 1.

In the model (Brown et al. 1993, section 4.1), each target word of a pair is produced by one source word of
the pair, or by a null word. ``t(f | e)`` is the probability that the source word e produces the target word
f. In one pair, ``e_i`` is source word i, and ``f_j`` is target word j. ``p(i | j)`` is the probability that
``e_i`` produced ``f_j``. Expectation maximisation starts from uniform values and repeats two steps::

    p(i | j) = t(f_j | e_i) / sum_i' t(f_j | e_i')

    t(f | e) = c(e, f) / sum_f' c(e, f')

``c(e, f)`` is the sum of ``p(i | j)`` over all positions in all pairs with ``e_i = e`` and ``f_j = f``. Every
local maximum of the likelihood is also a global maximum. Therefore uniform initial values are sufficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ITERATIONS = 10
NULL = 0


@dataclass(frozen=True)
class WordTable:
    """The dictionary that :func:`fit` learns.

    Attributes:
        sources, targets: dictionaries that map each source word or target word to a number. The first number
            is 1. The null word is the source word with the number 0.
        table: ``{(e, f): p}``. e is the number of a source word, and f is the number of a target word. p is
            the probability that e produces f. Only words that occur together in at least one pair are listed.
        best: most probable target word of each source word.
    """

    sources: dict[str, int]
    targets: dict[str, int]
    table: dict[tuple[int, int], float]
    best: dict[str, str]

    def translate(self, words: Sequence[str]) -> list[str]:
        """Replaces each word by its most probable translation. Unknown words stay unchanged."""
        return [self.best.get(word, word) for word in words]

    def align(self, source: Sequence[str], target: Sequence[str]) -> list[int | None]:
        """Returns the index of the most probable source word for each target word.

        If the null word is at least as probable as every source word, None is returned as the index.
        """
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
    """Learns the table from pairs of sentences.

    Args:
        sources: the source sentences. Each sentence is a list of words.
        targets: the target sentences, in the same order as ``sources``.
        iterations: number of iterations of expectation maximisation.

    Raises:
        ValueError: no pair has both a source word and a target word.
    """
    source_words, source_ids, source_lengths = _numbered(sources)
    target_words, target_ids, target_lengths = _numbered(targets)
    if not (source_lengths * target_lengths).sum():
        raise ValueError("at least one pair must have a source word and a target word; got none")
    # Each target word can be produced by the null word or by any source word of the same pair. A "meeting"
    # consists of a target word and one of these words.
    candidates = np.repeat(source_lengths + 1, target_lengths)  # (target words,)
    starts = np.cumsum(candidates) - candidates
    position = np.arange(candidates.sum()) - np.repeat(
        starts, candidates
    )  # (meetings,); position 0 is the null word
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
    # The entries are sorted by source word. Entries with the same source word are sorted by decreasing
    # probability. If probabilities are equal, the target word that occurs first in the data comes first.
    order = np.lexsort((kind_f, -t, kind_e))
    chosen = order[np.unique(kind_e[order], return_index=True)[1]]
    target_list, source_list = list(target_words), list(source_words)
    best = {source_list[kind_e[k] - 1]: target_list[kind_f[k] - 1] for k in chosen if kind_e[k] != NULL}
    table = dict(zip(zip(kind_e.tolist(), kind_f.tolist()), t.tolist()))
    return WordTable(source_words, target_words, table, best)


def _numbered(sentences: Sequence[Sequence[str]]) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Assigns a number (1, 2, ...) to each different word.

    Returns three values. The first value maps each word to its number. The second value contains the numbers
    of all words, sentence by sentence. The third value contains the length of each sentence.
    """
    numbers: dict[str, int] = {}
    ids = [numbers.setdefault(word, len(numbers) + 1) for words in sentences for word in words]
    return numbers, np.array(ids, np.int64), np.array([len(words) for words in sentences], np.int64)
