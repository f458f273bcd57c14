"""Text classifiers that do not read: what a recurrent model must beat.

All see only bags of 1- and 2-grams, and nothing but the training split is fitted. Words are lower-cased
runs of letters, digits, "_" and "'", so that "n't" and "a" are words, and every "!" and "?" is one too. That
choice, ``INVERSE_PENALTY``, and presence instead of counts in naive Bayes, were made on cuts of the training
splits of SST-2 and IMDB.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, spmatrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from seqmodels.errors import DataError

WORD = r"[\w']+|[!?]"
INVERSE_PENALTY = 10.0  # scikit-learn's C: the weight of the loss against half the squared norm
RATIO_INVERSE_PENALTY = 0.1  # the same of fit_ratios, between 0.05 and 0.2, which were as good on IMDB


@dataclass(frozen=True)
class Baseline:
    """A fitted classifier: its name, and its probabilities (n, classes) float64 for n texts."""

    name: str
    probabilities: Callable[[Sequence[str]], np.ndarray]


def fit(texts: Sequence[str], labels: Sequence[str], classes: Sequence[str]) -> list[Baseline]:
    """Fit "majority", "naive Bayes" and "logistic regression" to the training split.

    - majority gives every text the class frequencies of training;
    - naive Bayes is multinomial with Laplace's add-one smoothing; an n-gram counts once a text (Wang and
      Manning 2012, "Baselines and Bigrams", section 2.1);
    - logistic regression is on tf-idf with ``tf = 1 + log(count)``, rows of length 1.

    Args:
        texts: training texts.
        labels: the label of each text, a member of ``classes``.
        classes: every class; probabilities come in this order. A class without a training text
            has probability 0 in all three.

    Raises:
        DataError: the labels are all the same, or no text has a word.
    """
    codes = np.array([classes.index(label) for label in labels])
    frequencies = np.bincount(codes, minlength=len(classes)) / len(codes)
    if np.count_nonzero(frequencies) < 2:
        raise DataError(
            f"all {len(codes)} training texts are labelled {labels[0]!r}; "
            "a classifier needs texts of two classes or more: add some"
        )
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=WORD)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError as error:  # an empty vocabulary, the only way in which strings can fail here
        raise DataError(
            f"none of the {len(codes)} training texts has a word; expected texts with letters or digits: "
            "check which column holds the text"
        ) from error
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    bayes = MultinomialNB().fit(counts.sign(), codes)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(weights.transform(counts), codes)

    def spread(estimator: MultinomialNB | LogisticRegression, features: spmatrix) -> np.ndarray:
        result = np.zeros((features.shape[0], len(classes)))
        result[:, estimator.classes_] = estimator.predict_proba(features)  # estimators drop absent classes
        return result

    return [
        Baseline("majority", lambda texts: np.tile(frequencies, (len(texts), 1))),
        Baseline("naive Bayes", lambda texts: spread(bayes, vectorizer.transform(texts).sign())),
        Baseline(
            "logistic regression",
            lambda texts: spread(regression, weights.transform(vectorizer.transform(texts))),
        ),
    ]


def fit_ratios(features: csr_matrix, codes: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    r"""Logistic regression on binary features that are scaled by their naive Bayes log-count ratios.

    The NBSVM of Wang and Manning (2012, "Baselines and Bigrams", section 2.3) with the logistic loss. With
    ``p`` and ``q`` how many rows of a class and of all others have a feature, each plus one,

    .. math::
        r = \log \frac{p / \|p\|_1}{q / \|q\|_1}, \qquad
        \min_v \tfrac12 \|v\|^2 + C \sum_i \log(1 + e^{-y_i (v \circ r) \cdot x_i})

    so that a feature that tells nothing has to pay for its weight. Classes are fitted one against the rest;
    of two, one, whose logits are halved to both sides.

    Args:
        features: ``(n, m)`` of 0 and 1.
        codes: index of each row's class, ``(n,)``.
        classes: how many there are, k.

    Returns:
        Weights ``(m, k)`` and bias ``(k,)`` of logits, float32. A class without a row gets the logit
        ``-log n`` and no weights, one that has all rows ``log n``.
    """
    weights = np.zeros((features.shape[1], classes), np.float32)
    bias = np.full(classes, -np.log(len(codes)), np.float32)
    present = np.unique(codes)
    halved = classes == len(present) == 2
    for each in present[1:] if halved else present:
        own = codes == each
        if own.all():
            bias[each] = np.log(len(codes))
            continue
        p, q = (1.0 + features[rows].sum(axis=0).A1 for rows in (own, ~own))
        ratios = np.log(p / p.sum()) - np.log(q / q.sum())
        regression = LogisticRegression(
            C=RATIO_INVERSE_PENALTY, solver="liblinear", dual=True, max_iter=1000, random_state=0
        ).fit(features.multiply(ratios).tocsr(), own)
        weights[:, each], bias[each] = regression.coef_[0] * ratios, regression.intercept_[0]
    if halved:
        weights[:, 1], bias[1] = weights[:, 1] / 2, bias[1] / 2
        weights[:, 0], bias[0] = -weights[:, 1], -bias[1]
    return weights, bias
