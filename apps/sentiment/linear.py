"""Fits the linear part of a classifier, and computes its out-of-fold outputs.

The features of a text are its distinct tokens, their character n-grams, and its distinct token n-grams. The
weights of the character n-grams are added to the weights of their tokens. The fitted model is therefore one
table with a row per token and a row per hash bucket, see :class:`seqmodels.layers.NgramBag`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.sparse import csr_matrix

from apps.sentiment.families import Family
from apps.sentiment.generalized_linear import Design, fit
from apps.sentiment.ngram_features import bag_of, bucket_count, design_of, padded_chunks, presence
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.splits import cut_order
from seqmodels.layers import NgramBag

FOLDS, FOLDS_OF_MANY_WEIGHTS = 5, 3
FEW_TEXTS = 1_500  # with fewer texts, the usual choice is better than a choice by cross-validation
MANY_TEXTS = 5_000  # above this number, only one fold compares the choices
MANY_WEIGHTS = 1_000_000  # above this number, a fit takes long, so C is not chosen
STANDARD_ERRORS = 2.0  # advantage over the usual choice that another choice needs
PENALTY_FACTORS = (0.1, 0.3, 1.0, 3.0)  # values of C that are compared, relative to the usual value


@dataclass(frozen=True)
class Linear:
    """A fitted :class:`seqmodels.layers.NgramBag`.

    Attributes:
        order: number of tokens of the longest n-grams.
        table: weights of the tokens and of the hash buckets, ``(vocabulary + buckets, columns)`` float32.
            ``columns`` is the number of outputs of the :class:`apps.sentiment.families.Family`.
        bias: ``(columns,)`` float32.
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
        layer = bag_of(self.order, self.table.shape[1], self.buckets, vocabulary)
        layer.build()
        layer.set_weights([self.table, self.bias])
        return layer

    def outputs(self, ids: TokenSequences) -> np.ndarray:
        """Returns the outputs for n rows: ``(n, columns)`` float64."""
        layer = self.bag()
        return np.concatenate([layer(*chunk).numpy() for chunk in padded_chunks(ids)]).astype(np.float64)

    def evidence(self, ids: TokenSequences) -> np.ndarray:
        """Returns the weights of the n-grams that end at each token, ``(tokens, order * columns)``."""
        layer = self.bag()
        found = []
        for tokens, lengths in padded_chunks(ids):
            real = tf.sequence_mask(lengths, tf.shape(tokens)[1])
            found.append(tf.boolean_mask(layer.evidence(tokens, lengths), real).numpy())
        return np.concatenate(found)


@dataclass(frozen=True)
class OutOfFold:
    """Outputs for the training texts. The values of a text come from a model that was fitted without it.

    Attributes:
        evidence: weights of the n-grams that end at each token, ``(tokens, order * columns)`` float32, or
            None if the evidence is not needed.
        outputs: outputs for the texts, ``(n, columns)`` float32.
    """

    evidence: np.ndarray | None
    outputs: np.ndarray


def folds_of(texts: Sequence[str], strata: Sequence[Any], folds: int = FOLDS) -> np.ndarray:
    """Assigns each text to a fold, ``(n,)``. Equal texts are in the same fold.

    Every fold has about the same proportions of the strata. The folds depend only on the texts and their
    strata, not on their order.

    Args:
        texts: the texts.
        strata: stratum of each text, such as its label. The values must be sortable.
        folds: number of folds.

    >>> folds_of(["a", "b", "c", "d"], [0, 0, 1, 1], folds=2).tolist()
    [0, 1, 0, 1]
    """
    stratum_of: dict[str, Any] = {}
    for text, stratum in zip(texts, strata):
        stratum_of[text] = min(stratum, stratum_of.get(text, stratum))
    ordered = sorted(stratum_of, key=lambda text: (stratum_of[text], cut_order(text, 0)))
    fold_of = {text: position % folds for position, text in enumerate(ordered)}
    return np.array([fold_of[text] for text in texts])


def fit_linear(
    ids: TokenSequences,
    texts: Sequence[str],
    targets: np.ndarray,
    strata: Sequence[Any],
    family: Family,
    vocabulary: Sequence[str],
    order: int,
    buckets: int | None = None,
    importance: np.ndarray | None = None,
    evidence: bool = True,
) -> tuple[Linear, OutOfFold]:
    """Fits the linear part to all training texts, and computes out-of-fold outputs.

    The model is the sum of a penalized generalized linear model and of naive Bayes (Wang and Manning 2012).
    The penalty and the weight of naive Bayes are chosen by the out-of-fold errors. The scale of the sum has
    the smallest out-of-fold loss.

    Args:
        ids: token ids of the n training texts.
        texts: the training texts; they determine the folds.
        targets: target of each text, in the form that the family needs.
        strata: stratum of each text, see :func:`folds_of`.
        family: probability model of the targets.
        vocabulary: the tokens, by id.
        order: number of tokens of the longest n-grams.
        buckets: number of hash buckets. Default: from the number of distinct n-grams and of outputs.
        importance: weight of each text, ``(n,)``. Default: 1.
        evidence: if True, the out-of-fold evidence is also computed.

    Returns:
        The fitted model, and the out-of-fold outputs.
    """
    columns = family.columns
    buckets = buckets or bucket_count(ids, order, columns)
    present = presence(bag_of(order, columns, buckets, len(vocabulary)), ids)
    occurs = np.bincount(present.indices, minlength=present.shape[1]) > 0
    occurs[: len(vocabulary)] = True  # tokens keep their places, because character n-grams belong to them
    present = present[:, occurs].tocsr()
    own = np.ones(len(targets)) if importance is None else importance
    problem = _Problem(design_of(present, vocabulary), present, targets, own, family)
    many = columns * sum(problem.design.parts.shape) > MANY_WEIGHTS
    numbers = folds_of(texts, strata, FOLDS_OF_MANY_WEIGHTS if many else FOLDS)
    folds = [_Fold(problem, numbers == number) for number in np.unique(numbers)]
    penalty, share = usual = family.usual(targets)
    if len(targets) >= FEW_TEXTS:
        compared = folds if len(targets) <= MANY_TEXTS or many else folds[:1]
        penalty, share = _choose(compared, family, usual, factors=(1.0,) if many else PENALTY_FACTORS)
    outputs = np.zeros((len(targets), columns))
    for fold in folds:
        outputs[fold.held] = fold.outputs(penalty, share)
    temperature = family.temperature(outputs, targets)

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
    whole = _Fold(problem, np.full(len(targets), False))
    return linear(whole, scale), OutOfFold(found, (temperature * outputs).astype(np.float32))


@dataclass(frozen=True)
class _Problem:
    """The data of a fit.

    Attributes:
        design: features of all n texts.
        present: rows of the table in each text, ``(n, m)`` of 0 and 1.
        targets: target of each text.
        importance: weight of each text, ``(n,)``.
        family: probability model of the targets.
    """

    design: Design
    present: csr_matrix
    targets: np.ndarray
    importance: np.ndarray
    family: Family


class _Fold:
    """The models that are fitted without the texts of one fold.

    Args:
        problem: the data of the fit.
        held: True for the texts of the fold, ``(n,)``.
    """

    def __init__(self, problem: _Problem, held: np.ndarray):
        self.problem, self.held, self.kept = problem, held, ~held
        kept = self.kept
        self.targets = problem.targets[held]
        ratios = problem.family.bayes(problem.present[kept], problem.targets[kept], problem.importance[kept])
        # The outputs are divided by the root of the number of n-grams. The outputs of naive Bayes are sums of
        # ratios that mostly agree, so they grow with the number of n-grams; this division removes the growth.
        self.ratios = ratios / np.sqrt(max(problem.present[kept].sum() / max(kept.sum(), 1), 1.0))
        self.fitted: dict[float, np.ndarray] = {}
        self.latest: np.ndarray | None = None  # the next fit starts from these weights

    def table(self, penalty: float, share: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns weights ``(m, columns)`` and bias ``(columns,)`` of the sum with naive Bayes."""
        if penalty not in self.fitted:
            problem, kept = self.problem, self.kept
            self.latest = fit(
                problem.design.take(kept),
                problem.targets[kept],
                problem.family,
                penalty,
                problem.importance[kept],
                self.latest,
            )
            weights = np.vstack([problem.design.table(self.latest[:-1]), self.latest[-1:]])
            self.fitted[penalty] = weights.astype(np.float32)
        weights = self.fitted[penalty]
        return weights[:-1] + share * self.ratios, weights[-1]

    def outputs(self, penalty: float, share: float) -> np.ndarray:
        """Returns the outputs for the texts of the fold, ``(texts, columns)``."""
        table, bias = self.table(penalty, share)
        return self.problem.design.rows[self.held] @ table + bias


def _choose(
    folds: Sequence[_Fold], family: Family, usual: tuple[float, float], factors: Sequence[float]
) -> tuple[float, float]:
    """Returns C and the weight of naive Bayes with the fewest errors on the texts of the folds.

    The usual choice is kept unless another choice is better by more than ``STANDARD_ERRORS`` standard errors
    of the difference (compare Breiman et al. 1984, section 3.4.3). The fewest errors are often due to chance.
    """
    targets = np.concatenate([fold.targets for fold in folds])
    errors = {}
    penalties = [factor * usual[0] for factor in factors]
    for choice in product(penalties, family.shares):
        outputs = np.concatenate([fold.outputs(*choice) for fold in folds])
        errors[choice] = family.errors(outputs, targets)
    best = min(errors, key=lambda choice: float(errors[choice].mean()))
    gain = errors[usual] - errors[best]
    threshold = STANDARD_ERRORS * gain.std() / np.sqrt(len(targets))
    return best if gain.mean() > threshold else usual
