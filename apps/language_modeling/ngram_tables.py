"""Tables of an n-gram model that TensorFlow operators can read.

:class:`apps.language_modeling.ngrams.NGrams` finds an n-gram by its suffix. An exported model needs the
probabilities of all tokens after a context. Therefore, these tables sort the n-grams by their context. The
n-grams with the same context are then in adjacent rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.language_modeling.ngrams import NGrams

BYTES = 12  # size of one n-gram: an int64 key and a float32 value
BYTES_OF_CONTEXT = 4  # size of one gamma, float32


@dataclass(frozen=True)
class Level:
    """The n-grams of one order n, from 2.

    The node of an n-gram is its row in the tables of its order. The node of a unigram is its token id, where
    the number V is the start token of a sentence. The key of an n-gram is the number
    ``context * (V + 1) + token``. Here, ``context`` is the node of the first ``n - 1`` tokens.

    Attributes:
        keys: keys in ascending order, (nodes,) int64.
        values: ``(c - D(c)) / sum of c`` for each n-gram, (nodes,) float32; see
            :mod:`apps.language_modeling.ngrams`.
        gammas: share of the lower orders for each context, (contexts,) float32. It is 1 for a context that no
            token follows.
    """

    keys: NDArray
    values: NDArray
    gammas: NDArray


@dataclass(frozen=True)
class Tables:
    """An n-gram model as tables.

    Attributes:
        unigrams: probability of each token without a context, (V,) float32.
        levels: n-grams of the orders 2, 3 and so on. Orders without n-grams are left out.
    """

    unigrams: NDArray
    levels: list[Level]


def tables_of(ngrams: NGrams) -> Tables:
    """Returns the tables of a fitted n-gram model.

    >>> from apps.language_modeling.ngrams import kneser_ney
    >>> tables = tables_of(kneser_ney([0, 1, 2, 0, 1, 2, 0, 2], vocabulary=3, order=2, end=2))
    >>> tables.levels[0].keys.tolist()  # 0 1, 0 2, 1 2, start 0
    [1, 2, 6, 12]
    """
    symbols = ngrams.vocabulary + 1
    first = ngrams.orders[0]
    shares = first.discounted[:-1] / first.totals[0]  # (V,)
    unigrams = shares + first.gammas[0] / ngrams.vocabulary
    levels: list[Level] = []
    nodes = last = np.arange(symbols)  # new node and last token of each n-gram, in the old order
    for order in ngrams.orders[1:]:
        if not len(order.keys):
            break
        gammas = np.empty(len(nodes), np.float32)
        gammas[nodes] = np.where(order.totals > 0, order.gammas, 1.0)
        last = last[order.keys // symbols]
        keys = nodes[order.contexts] * symbols + last
        rows = np.argsort(keys)
        values = order.discounted[rows] / order.totals[order.contexts[rows]]
        levels.append(Level(keys[rows], values.astype(np.float32), gammas))
        nodes = np.empty(len(rows), np.int64)
        nodes[rows] = np.arange(len(rows))
    return Tables(unigrams.astype(np.float32), levels)


def bytes_of(ngrams: NGrams) -> int:
    """Returns the size of the tables in bytes, without creating the tables.

    >>> from apps.language_modeling.ngrams import kneser_ney
    >>> bytes_of(kneser_ney([0, 1, 2, 0, 1, 2, 0, 2], vocabulary=3, order=2, end=2))
    76
    """
    unigrams, *longer = ngrams.stored
    contexts = [unigrams + 1, *longer[:-1]] if longer else []
    return 4 * unigrams + BYTES * sum(longer) + BYTES_OF_CONTEXT * sum(contexts)
