"""Fits the linear part of a classifier, and computes its out-of-fold outputs.

The features of a text are its distinct tokens, their character n-grams, and its distinct token n-grams. The
weights of the character n-grams are added to the weights of their tokens. The fitted model is therefore one
table with a row per token and a row per hash bucket, see :class:`seqmodels.layers.NgramBag`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix, diags
from scipy.special import logsumexp

from apps.sentiment.logistic import Design, fit_logistic, full, log_losses
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.splits import cut_order
from seqmodels.data.token_rules import CONTINUATION, SPECIAL_TOKENS
from seqmodels.layers import NgramBag

CHUNK = 256  # number of rows per call of the layer
FOLDS = 5
MANY_TEXTS, MANY_WEIGHTS = 5_000, 1_000_000  # above one of them, only one fold compares the choices
CHARACTERS = (2, 5)  # shortest and longest character n-grams
CHARACTER_SCALE = 0.5  # scale of the character n-grams relative to tokens and token n-grams
INVERSE_PENALTIES = (3.0, 10.0, 30.0, 100.0)  # values of C that are compared
BAYES_SHARES = (0.0, 0.3, 1.0, 2.0)  # weights of naive Bayes that are compared
USUAL, USUAL_OF_MANY = (10.0, 1.0), (30.0, 0.0)  # C and the weight of naive Bayes for 2 and for more classes
FEWEST, MOST = 2**10, 2**18  # smallest and largest number of hash buckets
LARGEST_TABLE = 2**22  # largest number of weights of the hash buckets, for all classes together


@dataclass(frozen=True)
class Linear:
    """A fitted :class:`seqmodels.layers.NgramBag`.

    Attributes:
        order: number of tokens of the longest n-grams.
        table: weights of the tokens and of the hash buckets, ``(vocabulary + buckets, features)`` float32.
            ``features`` is 1 for two classes (the log odds of the second class), else the number of classes.
        bias: ``(features,)`` float32.
        buckets: number of hash buckets.
        scale: factor that scales ``OutOfFold.evidence`` to a standard deviation of 1.
        choice: what the cross-validation chose: ``inverse_penalty``, ``bayes_share`` and ``temperature``.
    """

    order: int
    table: np.ndarray
    bias: np.ndarray
    buckets: int
    scale: float = 1.0
    choice: tuple[float, float, float] = (10.0, 0.0, 1.0)

    def bag(self) -> NgramBag:
        vocabulary = len(self.table) - self.buckets
        layer = _bag(self.order, self.table.shape[1], self.buckets, vocabulary)
        layer.build()
        layer.set_weights([self.table, self.bias])
        return layer

    def logits(self, ids: TokenSequences) -> np.ndarray:
        """Returns the outputs of n rows: ``(n, features)`` float32."""
        layer = self.bag()
        return np.concatenate([layer(*chunk).numpy() for chunk in _chunks(ids)])

    def evidence(self, ids: TokenSequences) -> np.ndarray:
        """Returns the weights of the n-grams that end at each token, ``(tokens, order * features)``."""
        layer = self.bag()
        found = []
        for tokens, lengths in _chunks(ids):
            real = tf.sequence_mask(lengths, tf.shape(tokens)[1])
            found.append(tf.boolean_mask(layer.evidence(tokens, lengths), real).numpy())
        return np.concatenate(found)

    def probabilities(self, ids: TokenSequences) -> np.ndarray:
        """Returns the class probabilities of the linear part alone: ``(n, classes)`` float64."""
        logits = full(self.logits(ids).astype(np.float64))
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)


@dataclass(frozen=True)
class OutOfFold:
    """Outputs for the training texts. The values of a text come from a model that was fitted without it.

    Attributes:
        evidence: weights of the n-grams that end at each token, ``(tokens, order * features)`` float32, or
            None if the evidence is not needed.
        logits: outputs of the texts, ``(n, features)`` float32.
    """

    evidence: np.ndarray | None
    logits: np.ndarray


def folds_of(texts: Sequence[str], labels: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Assigns each text to a fold, ``(n,)``. Equal texts are in the same fold.

    Every fold has about the same proportions of the labels. The folds depend only on the texts and their
    labels, not on their order.

    >>> folds_of(["a", "b", "c", "d"], np.array([0, 0, 1, 1]), folds=2).tolist()
    [0, 1, 0, 1]
    """
    label_of: dict[str, int] = {}
    for text, label in zip(texts, labels.tolist()):
        label_of[text] = min(label, label_of.get(text, label))
    ordered = sorted(label_of, key=lambda text: (label_of[text], cut_order(text, 0)))
    fold_of = {text: position % folds for position, text in enumerate(ordered)}
    return np.array([fold_of[text] for text in texts])


def fit_linear(
    ids: TokenSequences,
    texts: Sequence[str],
    labels: np.ndarray,
    classes: int,
    vocabulary: Sequence[str],
    order: int,
    buckets: int | None = None,
    importance: np.ndarray | None = None,
    evidence: bool = True,
) -> tuple[Linear, OutOfFold]:
    """Fits the linear part to all training texts, and computes out-of-fold outputs.

    The model is the sum of a logistic regression and of naive Bayes (Wang and Manning 2012). The penalty of
    the regression and the weight of naive Bayes are chosen by the out-of-fold errors. The scale of the sum
    has the smallest out-of-fold log loss.

    Args:
        ids: token ids of the n training texts.
        texts: the training texts; they determine the folds.
        labels: class index of each text, ``(n,)``.
        classes: number of classes.
        vocabulary: the tokens, by id.
        order: number of tokens of the longest n-grams.
        buckets: number of hash buckets. Default: from the number of distinct n-grams and of classes.
        importance: weight of each text, ``(n,)``. Default: 1.
        evidence: if True, the out-of-fold evidence is also computed.

    Returns:
        The fitted model, and the out-of-fold outputs.
    """
    columns = 1 if classes == 2 else classes
    buckets = buckets or _bucket_count(ids, order, columns)
    present = _present(_bag(order, columns, buckets, len(vocabulary)), ids)
    occurs = np.bincount(present.indices, minlength=present.shape[1]) > 0
    occurs[: len(vocabulary)] = True  # tokens keep their places, because character n-grams belong to them
    present = present[:, occurs].tocsr()
    rows = (diags(1 / np.sqrt(np.maximum(present.sum(axis=1).A1, 1))) @ present).tocsr()
    design = _design(present, rows, vocabulary)
    own = np.ones(len(labels)) if importance is None else importance
    numbers = folds_of(texts, labels)
    folds = [_Fold(design, present, labels, own, classes, numbers == number) for number in np.unique(numbers)]
    size = columns * sum(design.parts.shape)
    compared = folds if len(labels) <= MANY_TEXTS and size <= MANY_WEIGHTS else folds[:1]
    penalty, share = _choose(compared, labels)
    logits = np.zeros((len(labels), columns))
    for fold in folds:
        logits[fold.held] = fold.logits(penalty, share)
    temperature = _temperature(logits, labels)

    def linear(fold: _Fold, scale: float = 1.0) -> Linear:
        table = np.zeros((len(occurs), columns), np.float32)
        fitted, bias = fold.table(penalty, share)
        table[occurs] = temperature * fitted
        bias = (temperature * bias).astype(np.float32)
        return Linear(order, table, bias, buckets, scale, (penalty, share, temperature))

    found, scale = None, 1.0
    if evidence:
        found = np.zeros((len(ids.values), order * columns), np.float32)
        for fold in folds:
            own_rows = ids.rows(np.flatnonzero(fold.held))
            found[np.repeat(fold.held, ids.lengths)] = linear(fold).evidence(own_rows)
        scale = 1 / max(float(found.std()), 1e-6)
    whole = _Fold(design, present, labels, own, classes, np.full(len(labels), False))
    return linear(whole, scale), OutOfFold(found, (temperature * logits).astype(np.float32))


class _Fold:
    """The models that are fitted without the texts of one fold.

    Args:
        design: features of all n texts.
        present: rows of the table in each text, ``(n, m)`` of 0 and 1.
        labels: class index of each text, ``(n,)``.
        own: weight of each text, ``(n,)``.
        classes: number of classes.
        held: True for the texts of the fold, ``(n,)``.
    """

    def __init__(
        self,
        design: Design,
        present: csr_matrix,
        labels: np.ndarray,
        own: np.ndarray,
        classes: int,
        held: np.ndarray,
    ):
        self.design, self.labels, self.own, self.classes, self.held = design, labels, own, classes, held
        self.ratios = _bayes(present[~held], labels[~held], own[~held], classes)
        self.fitted: dict[float, np.ndarray] = {}
        self.latest: np.ndarray | None = None  # the next fit starts from these weights

    def table(self, penalty: float, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns weights ``(m, columns)`` and bias ``(columns,)`` of the sum with naive Bayes."""
        if penalty not in self.fitted:
            kept = ~self.held
            self.latest = fit_logistic(
                self.design.take(kept), self.labels[kept], self.classes, penalty, self.own[kept], self.latest
            )
            weights = np.vstack([self.design.table(self.latest[:-1]), self.latest[-1:]])
            self.fitted[penalty] = weights.astype(np.float32)
        weights = self.fitted[penalty]
        return weights[:-1] + share * self.ratios, weights[-1]

    def logits(self, penalty: float, share: float) -> np.ndarray:
        """Returns the outputs for the texts of the fold, ``(texts, columns)``."""
        table, bias = self.table(penalty, share)
        return self.design.rows[self.held] @ table + bias


def _choose(folds: Sequence[_Fold], labels: np.ndarray) -> tuple[float, float]:
    """Returns C and the weight of naive Bayes with the fewest errors on the texts of the folds.

    The usual choice is kept unless another choice is better by more than one standard error of the
    difference (Breiman et al. 1984, section 3.4.3). With few texts, the fewest errors are often due to
    chance.
    """
    targets = np.concatenate([labels[fold.held] for fold in folds])
    wrong = {}
    for choice in product(INVERSE_PENALTIES, BAYES_SHARES):
        logits = np.concatenate([fold.logits(*choice) for fold in folds])
        wrong[choice] = (full(logits).argmax(axis=1) != targets).astype(float)
    usual = USUAL if folds[0].classes == 2 else USUAL_OF_MANY
    best = min(wrong, key=lambda choice: float(wrong[choice].mean()))
    gain = wrong[usual] - wrong[best]
    return best if gain.mean() > gain.std() / np.sqrt(len(targets)) else usual


def _temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the factor of the logits with the smallest log loss (Guo et al. 2017, section 4.2).

    The targets are smoothed as if there were one more text that belongs equally to all classes. Without this,
    the factor would have no limit if all predictions are right (Platt 1999, section 2.2).
    """
    whole, smoothing = full(logits), 1 / (len(labels) + 1)

    def loss(log_scale: float) -> float:
        scaled = np.exp(log_scale) * whole
        uniform = logsumexp(scaled, axis=1) - scaled.mean(axis=1)
        return float(np.mean((1 - smoothing) * log_losses(scaled, labels) + smoothing * uniform))

    found = minimize_scalar(
        loss,
        bounds=(-3.0, 3.0),
        method="bounded",
        options={"xatol": 0.02},
    )
    return float(np.exp(found.x))


def _bayes(present: csr_matrix, labels: np.ndarray, own: np.ndarray, classes: int) -> np.ndarray:
    """Returns the log ratios of naive Bayes with add-one smoothing, ``(rows of the table, columns)``.

    For two classes, the column is the log ratio of the second class to the first class. For more classes,
    the columns are centered log probabilities.
    """
    counts = np.zeros((classes, present.shape[1]))
    for each in range(classes):
        kept = labels == each
        counts[each] = 1 + own[kept] @ present[kept]
    logs = np.log(counts / counts.sum(axis=1, keepdims=True)).T  # (rows, classes)
    return logs[:, 1:] - logs[:, :1] if classes == 2 else logs - logs.mean(axis=1, keepdims=True)


def _design(present: csr_matrix, rows: csr_matrix, vocabulary: Sequence[str]) -> Design:
    """Weights the features by inverse document frequency, and scales the texts to a mean square of 1."""
    known = np.arange(present.shape[1]) >= len(SPECIAL_TOKENS)
    members = _characters(vocabulary)
    width = len(vocabulary)
    weights = CHARACTER_SCALE * _idf((present[:, :width] @ members).tocsr())
    alone, parts = _merged(members, weights)
    squares = known * np.square(_idf(present))
    squares[:width] += alone
    shared = np.zeros(len(squares))
    shared[:width] = np.asarray(parts.multiply(parts).sum(axis=1)).ravel()
    factor = 1 / np.sqrt(max(float(np.mean(rows.multiply(rows) @ (squares + shared))), 1e-9))
    starts = np.append(parts.indptr, np.full(len(squares) - width, parts.indptr[-1]))
    padded = csr_matrix((factor * parts.data, parts.indices, starts), (len(squares), parts.shape[1]))
    return Design(rows, factor * np.sqrt(squares), padded)


def _merged(members: csr_matrix, weights: np.ndarray) -> tuple[np.ndarray, csr_matrix]:
    """Merges character n-grams that have the same tokens.

    With a square penalty, equal columns with the weights a and b act as one column with the weight
    ``sqrt(a^2 + b^2)``. The model stays the same, but is fitted faster.

    Returns:
        The sum of the squared weights of the n-grams that only one token has, ``(vocabulary,)``, and the
        merged other n-grams, ``(vocabulary, merged)``.
    """
    columns = members.tocsc()
    groups: dict[bytes, int] = {}
    group = np.array(
        [
            groups.setdefault(columns.indices[first:last].tobytes(), len(groups))
            for first, last in zip(columns.indptr, columns.indptr[1:])
        ],
        int,
    )
    squares = np.bincount(group, np.square(weights), minlength=len(groups))
    firsts = np.unique(group, return_index=True)[1]
    merged = (columns[:, firsts] @ diags(np.sqrt(squares))).tocsc()
    single = np.diff(merged.indptr) == 1
    alone = np.asarray(merged[:, single].multiply(merged[:, single]).sum(axis=1)).ravel()
    return alone, merged[:, ~single].tocsr()


def _idf(counts: csr_matrix) -> np.ndarray:
    """Returns ``ln((1 + n) / (1 + df)) + 1`` of each column, as in scikit-learn. ``df`` counts its rows."""
    found = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log((1 + counts.shape[0]) / (1 + found)) + 1


def _characters(vocabulary: Sequence[str]) -> csr_matrix:
    """Returns a matrix of 0 and 1: which character n-grams each token has, ``(vocabulary, n-grams)``.

    Before a token that starts a word, the n-grams see the mark "^". After every token, they see "$".
    """
    numbers: dict[str, int] = {}
    tokens, grams = [], []
    for token, text in enumerate(vocabulary):
        if token < len(SPECIAL_TOKENS):
            continue
        marked = (text[len(CONTINUATION) :] if text.startswith(CONTINUATION) else "^" + text) + "$"
        found = {
            marked[start : start + size]
            for size in range(CHARACTERS[0], CHARACTERS[1] + 1)
            for start in range(len(marked) - size + 1)
        }
        for gram in sorted(found):
            tokens.append(token)
            grams.append(numbers.setdefault(gram, len(numbers)))
    return csr_matrix((np.ones(len(tokens)), (tokens, grams)), (len(vocabulary), len(numbers)))


def _bucket_count(ids: TokenSequences, order: int, columns: int) -> int:
    """Returns a power of two: at least 4 times the number of distinct n-grams, within the limits."""
    if order == 1:
        return 1
    large = _bag(order, columns, 2**31 - 2, vocabulary=1)
    distinct = len(np.unique(np.concatenate([_longer(large, *chunk) for chunk in _chunks(ids)])))
    most = min(MOST, LARGEST_TABLE // columns)
    wanted = 2 ** int(np.ceil(np.log2(4 * max(distinct, 1))))
    return int(np.clip(wanted, min(FEWEST, most), max(most, 1)))


def _longer(bag: NgramBag, tokens: tf.Tensor, lengths: tf.Tensor) -> np.ndarray:
    """Returns the distinct hashes of the n-grams with at least two tokens."""
    hashed = np.unique(np.stack([each.numpy() for each in bag._buckets(tokens, lengths)[1:]]))
    return hashed[hashed >= 0]


def _present(bag: NgramBag, ids: TokenSequences) -> csr_matrix:
    """Returns a matrix ``(n, rows of the table)`` of 0 and 1: which rows of the table each text has."""

    def found() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for tokens, lengths in _chunks(ids):
            hashed = bag.hashed(tokens, lengths).numpy()
            yield hashed[hashed >= 0], np.count_nonzero(hashed >= 0, axis=1)

    rows, counts = map(np.concatenate, zip(*found()))
    shape = (len(ids), bag.rows)
    return csr_matrix((np.ones(len(rows)), rows, np.append(0, np.cumsum(counts))), shape)


def _bag(order: int, columns: int, buckets: int, vocabulary: int) -> NgramBag:
    """Returns the layer. It computes in float32, also if the last training in this process did not."""
    return NgramBag(order, columns, buckets, vocabulary, normalized=True, dtype="float32")


def _chunks(ids: TokenSequences) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Yields the padded tokens ``(n, T)`` and the lengths ``(n,)`` of n texts at a time."""
    for first in range(0, len(ids), CHUNK):
        rows = ids.rows(np.arange(first, min(first + CHUNK, len(ids))))
        tokens = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits).to_tensor()
        yield tokens, tf.constant(rows.lengths, tf.int32)
