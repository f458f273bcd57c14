"""N-gram language models: the baselines of a recurrent language model.

An n-gram model predicts a token w from its context h, the ``n - 1`` tokens before w. All models are fitted on
one sequence of tokens, in which a special token may end each sentence. All models are interpolated: the
probability after h is mixed with the probability after the shorter context h', which lacks the first token of
h. The unigram probability is mixed with the uniform distribution over the V tokens of the vocabulary. See
Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", sections 2.7 and
3::

    p(w | h) = (c(h w) - D(c(h w))) / sum_v c(h v)  +  gamma(h) p(w | h')

    gamma(h) = sum_v D(c(h v)) / sum_v c(h v),     p(w | h') = 1 / V for unigrams

Here c is the count of an n-gram, D(c) is a discount, and v stands for every token of the vocabulary. If h
does not occur in the training text, the model uses p(w | h'). D has three values for each n: D_1 for
a count of 1, D_2 for a count of 2, and D_3 for all larger counts. The values follow from ``n_r``, the number
of n-grams with count r (equation 26)::

    Y = n_1 / (n_1 + 2 n_2),    D_r = r - (r + 1) Y n_{r+1} / n_r

=================  ===================================================================================
`unigram`          A model with ``n = 1``: the context is empty.
`markov`           A model with ``n = 2``; c is the number of occurrences of a pair of tokens. The discounts
                   take probability from the pairs in the training text. The model distributes this
                   probability over all tokens, in proportion to their unigram probability. Add-one smoothing
                   is simpler, but gives most of the probability to unseen pairs if V is large (Chen and
                   Goodman, section 2.1).
`kneser_ney`       The modified Kneser-Ney model (section 3.2). For the largest n, c is the number of
                   occurrences. For smaller n, c is the number of different tokens that precede the n-gram.
=================  ===================================================================================

Every sentence begins with a start token, which belongs to the context and is never predicted. No token
precedes an n-gram that begins with the start token. For these n-grams, c is always the number of occurrences,
as in SRILM and KenLM. Rare n-grams are kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.language_modeling.options import MAXIMUM_ORDER

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts that are used if the estimated discounts are not valid, as in KenLM's ``--discount_fallback``."""
# Marks a position before the start of the sentence, or an n-gram that is not in the training text.
NONE = -1
ROWS = 1 << 20  # number of tokens whose probabilities are computed together


@dataclass(frozen=True)
class Order:
    """The n-grams of one order n, which is the number of tokens in each of these n-grams.

    The node of an n-gram is its index in the arrays of its order. The suffix of an n-gram is the n-gram
    without its first token. The context is the n-gram without its last token. The suffix and the context are
    n-grams of order ``n - 1``. The key of an n-gram is the number ``suffix * (V + 1) + token``. Here
    ``suffix`` is the node of the suffix, and ``token`` is the first token of the n-gram.

    Attributes:
        keys: keys in ascending order, (nodes,) int64. The keys of the unigrams are the token ids 0 to V.
        contexts: node of the context of each n-gram, (nodes,) int64. It is 0 for unigrams.
        discounted: ``c - D(c)`` of each n-gram, (nodes,) float64.
        totals: for each context, the sum of the counts of all n-grams with this context, (contexts,) float64.
        gammas: for each context h, the value ``gamma(h)`` in the formula of this module, (contexts,) float64.
    """

    keys: NDArray
    contexts: NDArray
    discounted: NDArray
    totals: NDArray
    gammas: NDArray


class NGrams:
    """An interpolated n-gram model with three discounts per order.

    Args:
        ids: the tokens to count, (tokens,) int in ``[0, vocabulary)``.
        vocabulary: V, the number of different tokens.
        order: n, the number of tokens in the longest n-grams, from 1 to 5. The predicted token is included.
        end: token that ends a sentence. The model also predicts this token. Contexts do not extend over a
            sentence end. If None, all tokens are one sentence.
        continuation: if True, the count of an n-gram below the highest order is the number of different
            tokens that precede the n-gram. If False, all counts are numbers of occurrences.

    Attributes:
        discounts: D_1, D_2 and D_3 of the orders 1, 2 and so on, (order, 3) float64.
        fallbacks: orders that use `FALLBACK`, because their estimated discounts are not valid. Discounts are
            not valid if one of the counts 1, 2, 3 and 4 never occurs, or if a discount is negative. This
            happens if the order has too few n-grams, or too few rare n-grams.
        orders: the n-grams of the orders 1, 2 and so on, see `Order`.

    Raises:
        ValueError: there are no tokens, a token is outside the vocabulary, or the order is not in 1 to 5.
    """

    def __init__(
        self, ids: ArrayLike, vocabulary: int, order: int, end: int | None = None, continuation: bool = True
    ):
        if not 1 <= order <= MAXIMUM_ORDER:
            raise ValueError(f"order must be from 1 to {MAXIMUM_ORDER}; got {order}")
        self.vocabulary = vocabulary
        self.order = order
        self.end = end
        self.fallbacks: list[int] = []
        windows = self._windows(self._checked(ids))  # (tokens, order)
        keys, counts, contexts = self._count(windows, continuation)
        self.discounts = np.array([self._discounts(n, counts[n - 1]) for n in range(1, order + 1)])
        self.orders = [
            _order(keys[n], counts[n], contexts[n], self.discounts[n], len(keys[n - 1]) if n else 1)
            for n in range(order)
        ]

    @property
    def stored(self) -> list[int]:
        """Number of stored n-grams for the orders 1, 2 and so on. Each stored n-gram has one parameter."""
        return [self.vocabulary, *(len(order.keys) for order in self.orders[1:])]

    @property
    def table(self) -> int:
        """Number of entries in a table with the probabilities of all possible n-grams: V^n."""
        return self.vocabulary**self.order

    def log_probabilities(self, ids: ArrayLike) -> NDArray:
        """Computes ``ln p`` of each token given the tokens before it. The first token starts a sentence.

        Args:
            ids: tokens of the text, (tokens,) int.

        Returns:
            Logarithm of the probability of each token, (tokens,) float64.

        Raises:
            ValueError: there are no tokens, or a token is outside the vocabulary.
        """
        windows = self._windows(self._checked(ids))
        blocks = range(0, len(windows), ROWS)
        return np.log(np.concatenate([self._probabilities(windows[at : at + ROWS]) for at in blocks]))

    def perplexity(self, ids: ArrayLike) -> float:
        """Computes ``exp(-mean ln p)`` over all tokens ``(tokens,)`` int, sentence ends included."""
        return float(np.exp(-self.log_probabilities(ids).mean()))

    def distribution(self, context: ArrayLike) -> NDArray:
        """Computes the probability of every token after ``context``.

        Args:
            context: the tokens so far, (tokens,) int; empty at the start of a text.

        Returns:
            the probabilities, (V,) float64; their sum is 1.
        """
        context = np.asarray(context, np.int64).reshape(-1)
        following = self._windows(self._checked(np.append(context, 0)))[-1]  # (order,)
        windows = np.tile(following, (self.vocabulary, 1))
        windows[:, 0] = np.arange(self.vocabulary)
        return self._probabilities(windows)

    def _checked(self, ids: ArrayLike) -> NDArray:
        ids = np.asarray(ids, np.int64)
        if ids.ndim != 1 or not ids.size:
            raise ValueError(
                f"ids must have the shape (tokens,) and at least one token; got the shape {ids.shape}"
            )
        if ids.min() < 0 or ids.max() >= self.vocabulary:
            raise ValueError(
                f"ids must be from 0 to {self.vocabulary - 1}; got ids from {ids.min()} to {ids.max()}"
            )
        return ids

    def _windows(self, ids: NDArray) -> NDArray:
        """Returns an array (tokens, order) with one row per token.

        A row contains the token, then the tokens before it in reverse order. The number V stands for the
        start token of a sentence. NONE fills the positions before the start token.
        """
        count = len(ids)
        opens = np.zeros(count, bool)
        opens[0] = True
        if self.end is not None:
            opens[1:] = ids[:-1] == self.end
        starts = np.maximum.accumulate(np.where(opens, np.arange(count), 0))
        before = np.arange(count) - starts  # number of earlier tokens in the same sentence
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
        """Returns the keys (see `Order`), the counts and the contexts of all n-grams.

        Each of the three results is a list of arrays (nodes,), one array per order.
        """
        symbols = self.vocabulary + 1
        nodes = windows[:, 0]
        ending = windows[:, 1] if self.order > 1 else nodes  # last token of each context
        keys = [np.arange(symbols)]
        counts = [np.bincount(nodes, minlength=symbols)]
        contexts = [np.zeros(symbols, np.int64)]  # the context of every unigram is empty
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
                # ``nodes[i]`` is the node of the n-gram that ends with token i of the text. If an n-gram of
                # order n + 1 ends with token i, its context ends with token i - 1. The node of the context
                # is therefore ``nodes[i - 1]``. If the sentence has fewer than n tokens before token i, the
                # node is ``NONE``. The start token of the sentence is counted.
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
        """Estimates D_1, D_2 and D_3 of order n from the positive counts of its n-grams, (nodes,)."""
        occurring = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
        if all(occurring):
            y = occurring[0] / (occurring[0] + 2 * occurring[1])
            first, second, third = (r - (r + 1) * y * occurring[r] / occurring[r - 1] for r in (1, 2, 3))
            if min(first, second, third) >= 0:
                return first, second, third
        self.fallbacks.append(n)
        return FALLBACK

    def _probabilities(self, windows: NDArray) -> NDArray:
        """Returns the probability of each token given the tokens before it, (rows,) float64.

        ``windows`` (rows, order) has the format of :meth:`_windows`: the first column contains the predicted
        tokens.
        """
        symbols = self.vocabulary + 1
        result = np.full(len(windows), 1 / self.vocabulary)
        nodes = windows[:, 0]
        contexts = np.zeros(len(windows), np.int64)
        for n, order in enumerate(self.orders):
            if n:
                nodes = _find(order.keys, nodes, windows[:, n], symbols)
                below = self.orders[n - 1].keys
                contexts = windows[:, 1] if n == 1 else _find(below, contexts, windows[:, n], symbols)
            known = contexts != NONE
            known[known] = order.totals[contexts[known]] > 0
            context = contexts[known]
            node = nodes[known]
            counted = np.where(node == NONE, 0, order.discounted[node])
            result[known] = counted / order.totals[context] + order.gammas[context] * result[known]
        return result


def unigram(ids: ArrayLike, vocabulary: int) -> NGrams:
    """Fits a unigram model, which ignores the context. `NGrams` explains the arguments."""
    return NGrams(ids, vocabulary, order=1)


def markov(ids: ArrayLike, vocabulary: int, end: int | None = None) -> NGrams:
    """Fits a Markov chain of first order with absolute discounts. `NGrams` explains the arguments."""
    return NGrams(ids, vocabulary, order=2, end=end, continuation=False)


def kneser_ney(ids: ArrayLike, vocabulary: int, order: int, end: int | None = None) -> NGrams:
    """Fits an interpolated modified Kneser-Ney model. `NGrams` explains the arguments."""
    return NGrams(ids, vocabulary, order, end)


def _order(
    keys: NDArray, counts: NDArray, contexts: NDArray, discounts: NDArray, context_count: int
) -> Order:
    discount = np.append(0.0, discounts)[np.minimum(counts, 3)]  # (nodes,)
    totals = np.bincount(contexts, counts, context_count)
    freed = np.bincount(contexts, discount, context_count)
    return Order(keys, contexts, counts - discount, totals, freed / np.maximum(totals, 1))


def _find(keys: NDArray, suffixes: NDArray, tokens: NDArray, symbols: int) -> NDArray:
    """Returns the nodes of the n-grams with these suffixes and first tokens (see `Order`).

    The node of an n-gram that is not stored is ``NONE``.
    """
    if not len(keys):
        return np.full(len(suffixes), NONE)
    wanted = np.where((suffixes == NONE) | (tokens == NONE), NONE, suffixes * symbols + tokens)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places, NONE)
