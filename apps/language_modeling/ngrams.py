"""Language models that count: what a recurrent language model must beat.

All are interpolated n-gram models over one stream of tokens in which a special token may end each sentence.
A word's probability after the context ``h`` (the ``n - 1`` tokens before it) leans on that after the shorter
context ``h'``, and below one word on the uniform distribution over the vocabulary (Chen and Goodman 1999,
"An empirical study of smoothing techniques for language modeling", sections 2.7 and 3)::

    p(w | h) = (c(h w) - D(c(h w))) / sum_v c(h v)  +  gamma(h) p(w | h')
    gamma(h) = sum_v D(c(h v)) / sum_v c(h v),     p(w | no word at all) = 1 / V

A context that training has not seen gives way to ``h'`` as it is. The discount D has three values for each
order, for counts of one, two, and three or more, from the number ``n_r`` of n-grams with count r (their
equation 26)::

    Y = n_1 / (n_1 + 2 n_2),    D_r = r - (r + 1) Y n_{r+1} / n_r

=================  ===================================================================================
`unigram`          ``n = 1``
`markov`           ``n = 2``, c counts how often a pair occurs. An unseen pair has the share of the
                   discounted mass that its second word's frequency gives it: add-one, the simpler remedy,
                   moves most of the mass to unseen pairs when V is large (Chen and Goodman, section 2.1)
`kneser_ney`       modified Kneser-Ney: below the highest order, c is the number of different tokens that
                   stand before an n-gram, not of its occurrences (section 3.2)
=================  ===================================================================================

Sentences begin with a token that is context and is never predicted; an n-gram that begins with it has nothing
before it and keeps its number of occurrences, as in SRILM and KenLM. No n-gram is left out for being rare.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAXIMUM_ORDER = 5
FALLBACK = (0.5, 1.0, 1.5)
"""The discounts of an order whose counts of counts give none: those of KenLM's ``--discount_fallback``."""
NONE = -1  # no token: before the beginning; no node: an n-gram that training has not seen
ROWS = 1 << 20  # tokens that are scored at once


@dataclass(frozen=True)
class _Order:
    """The n-grams of one order, numbered; a number is called a node.

    An n-gram is its last ``n - 1`` tokens, a node of the order below, and the token before them: its key is
    ``suffix * (V + 1) + token``. As a context it is looked up in the order above.

    Attributes:
        keys: rising, (nodes,) int64; of unigrams the tokens themselves, 0 to V.
        discounted: ``c - D(c)``, (nodes,) float64.
        totals: of each context, a node of the order below: the sum of counts after it, (contexts,) float64.
        gammas: the weight of the order below after each context, (contexts,) float64.
    """

    keys: NDArray
    discounted: NDArray
    totals: NDArray
    gammas: NDArray


class NGrams:
    """An interpolated n-gram model with modified discounts.

    Args:
        ids: the tokens to count, (tokens,) int in ``[0, vocabulary)``.
        vocabulary: V, how many tokens there are to predict.
        order: n, the tokens of the longest n-gram, the predicted one included: 1 to 5.
        end: the token that ends a sentence; it is predicted, and nothing before it is context of what
            follows. None: one sentence.
        continuation: lower orders count the tokens before an n-gram and not its occurrences.

    Attributes:
        discounts: of each order from 1, for counts of one, two and more: (order, 3) float64.
        fallbacks: the orders that took `FALLBACK`, for their counts of counts give no sound discounts (a
            count that does not occur, a discount below 0): too few n-grams, or not enough rare ones.

    Raises:
        ValueError: no token, one outside the vocabulary, or an order outside 1 to 5.
    """

    def __init__(
        self, ids: ArrayLike, vocabulary: int, order: int, end: int | None = None, continuation: bool = True
    ):
        if not 1 <= order <= MAXIMUM_ORDER:
            raise ValueError(f"order is {order}; expected 1 to {MAXIMUM_ORDER}")
        self.vocabulary = vocabulary
        self.order = order
        self.end = end
        self.fallbacks: list[int] = []
        windows = self._windows(self._checked(ids))  # (tokens, order)
        keys, counts, contexts = self._count(windows, continuation)
        self.discounts = np.array([self._discounts(n, counts[n - 1]) for n in range(1, order + 1)])
        self._orders = [
            _order(keys[n], counts[n], contexts[n], self.discounts[n], len(keys[n - 1]) if n else 1)
            for n in range(order)
        ]

    @property
    def stored(self) -> list[int]:
        """How many n-grams of each order from 1 the model keeps, each with a number of its own."""
        return [self.vocabulary, *(len(order.keys) for order in self._orders[1:])]

    @property
    def table(self) -> int:
        """How many numbers the full table of a Markov chain with contexts of this length has: V^n."""
        return self.vocabulary**self.order

    def log_probabilities(self, ids: ArrayLike) -> NDArray:
        """``ln p`` of each token after those before it, from the beginning of a sentence.

        Args:
            ids: (tokens,) int.

        Returns:
            (tokens,) float64.

        Raises:
            ValueError: as the constructor.
        """
        windows = self._windows(self._checked(ids))
        blocks = range(0, len(windows), ROWS)
        return np.log(np.concatenate([self._probabilities(windows[at : at + ROWS]) for at in blocks]))

    def perplexity(self, ids: ArrayLike) -> float:
        """``exp(-mean ln p)`` over all tokens (tokens,) int, ends of sentences included."""
        return float(np.exp(-self.log_probabilities(ids).mean()))

    def distribution(self, context: ArrayLike) -> NDArray:
        """The probability of every token after ``context``.

        Args:
            context: the tokens so far, (tokens,) int; empty at the beginning of a text.

        Returns:
            (V,) float64 with the sum 1.
        """
        context = np.asarray(context, np.int64).reshape(-1)
        following = self._windows(self._checked(np.append(context, 0)))[-1]  # (order,)
        windows = np.tile(following, (self.vocabulary, 1))
        windows[:, 0] = np.arange(self.vocabulary)
        return self._probabilities(windows)

    def _checked(self, ids: ArrayLike) -> NDArray:
        ids = np.asarray(ids, np.int64)
        if ids.ndim != 1 or not ids.size:
            raise ValueError(f"got ids of shape {ids.shape}; expected (tokens,), at least one")
        if ids.min() < 0 or ids.max() >= self.vocabulary:
            raise ValueError(f"got ids from {ids.min()} to {ids.max()}; expected 0 to {self.vocabulary - 1}")
        return ids

    def _windows(self, ids: NDArray) -> NDArray:
        """Each token and those before it, nearest first: (tokens, order), V for the start, NONE before it."""
        count = len(ids)
        opens = np.zeros(count, bool)
        opens[0] = True
        if self.end is not None:
            opens[1:] = ids[:-1] == self.end
        starts = np.maximum.accumulate(np.where(opens, np.arange(count), 0))
        before = np.arange(count) - starts  # tokens of the same sentence before this one
        windows = np.full((count, self.order), NONE)
        windows[:, 0] = ids
        for back in range(1, self.order):
            windows[back:, back] = ids[:-back]
            windows[before == back - 1, back] = self.vocabulary
            windows[before < back - 1, back] = NONE
        return windows

    def _count(
        self, windows: NDArray, continuation: bool
    ) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
        """Of each order from 1: the keys, the counts, and the context of each n-gram, all (nodes,)."""
        symbols = self.vocabulary + 1
        nodes = windows[:, 0]
        ending = windows[:, 1] if self.order > 1 else nodes  # the unigram that ends each context
        keys = [np.arange(symbols)]
        counts = [np.bincount(nodes, minlength=symbols)]
        contexts = [np.zeros(symbols, np.int64)]  # every unigram follows the empty context
        before = ending
        for n in range(2, self.order + 1):
            rows = np.flatnonzero(windows[:, n - 1] != NONE)
            unique, found = np.unique(nodes[rows] * symbols + windows[rows, n - 1], return_inverse=True)
            context = np.empty(len(unique), np.int64)
            context[found] = before[rows]
            keys.append(unique)
            counts.append(np.bincount(found))
            contexts.append(context)
            nodes = np.full(len(windows), NONE)
            nodes[rows] = found
            if n < self.order:
                # The context of the next order ends one token earlier. It is an n-gram of the row before, or
                # nothing where the sentence has no more tokens.
                longer = windows[:, n] != NONE
                before = np.where(longer, np.append(NONE, nodes[:-1]), NONE)
        if continuation:
            for n in range(1, self.order):
                suffixes = keys[n] // symbols
                starts_sentence = (keys[n - 1] % symbols == self.vocabulary) if n > 1 else False
                followed = np.bincount(suffixes, minlength=len(keys[n - 1]))
                counts[n - 1] = np.where(starts_sentence, counts[n - 1], followed)
        return keys, counts, contexts

    def _discounts(self, n: int, counts: NDArray) -> tuple[float, float, float]:
        """D_1, D_2 and D_3 of the n-grams with these counts (nodes,); 0 is no n-gram."""
        occurring = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
        if all(occurring):
            y = occurring[0] / (occurring[0] + 2 * occurring[1])
            first, second, third = (r - (r + 1) * y * occurring[r] / occurring[r - 1] for r in (1, 2, 3))
            if min(first, second, third) >= 0:
                return first, second, third
        self.fallbacks.append(n)
        return FALLBACK

    def _probabilities(self, windows: NDArray) -> NDArray:
        """Of the first column after the others: (rows, order) int to (rows,) float64."""
        symbols = self.vocabulary + 1
        result = np.full(len(windows), 1 / self.vocabulary)
        nodes = windows[:, 0]
        contexts = np.zeros(len(windows), np.int64)
        for n, order in enumerate(self._orders):
            if n:
                nodes = _find(order.keys, nodes, windows[:, n], symbols)
                below = self._orders[n - 1].keys
                contexts = windows[:, 1] if n == 1 else _find(below, contexts, windows[:, n], symbols)
            known = contexts != NONE
            known[known] = order.totals[contexts[known]] > 0
            context = contexts[known]
            node = nodes[known]
            counted = np.where(node == NONE, 0, order.discounted[node])
            result[known] = counted / order.totals[context] + order.gammas[context] * result[known]
        return result


def unigram(ids: ArrayLike, vocabulary: int) -> NGrams:
    """How often each token occurs; arguments as `NGrams`."""
    return NGrams(ids, vocabulary, order=1)


def markov(ids: ArrayLike, vocabulary: int, end: int | None = None) -> NGrams:
    """The Markov chain of first order with absolute discounts; arguments as `NGrams`."""
    return NGrams(ids, vocabulary, order=2, end=end, continuation=False)


def kneser_ney(ids: ArrayLike, vocabulary: int, order: int, end: int | None = None) -> NGrams:
    """Interpolated modified Kneser-Ney; arguments as `NGrams`."""
    return NGrams(ids, vocabulary, order, end)


def _order(
    keys: NDArray, counts: NDArray, contexts: NDArray, discounts: NDArray, context_count: int
) -> _Order:
    discount = np.append(0.0, discounts)[np.minimum(counts, 3)]  # (nodes,)
    totals = np.bincount(contexts, counts, context_count)
    freed = np.bincount(contexts, discount, context_count)
    return _Order(keys, counts - discount, totals, freed / np.maximum(totals, 1))


def _find(keys: NDArray, suffixes: NDArray, tokens: NDArray, symbols: int) -> NDArray:
    """The nodes of the n-grams with these suffixes and the tokens before them, NONE where there is none."""
    if not len(keys):
        return np.full(len(suffixes), NONE)
    wanted = np.where((suffixes == NONE) | (tokens == NONE), NONE, suffixes * symbols + tokens)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NONE)
