"""Bag-of-words classifiers: the baselines that a recurrent model must beat.

All baselines use bags of 1- and 2-grams, and are fitted on the training split only. A word is a sequence of
letters, digits, "_" and "'", converted to lower case. A word may be as short as one letter, such as "a".
Every "!", "?" and emoji is also a word, and so is every character of a script without spaces, such as
Chinese. Three choices were tuned on parts of the training splits of SST-2 and IMDB: this definition of a
word, the value of ``INVERSE_PENALTY``, and the rule that naive Bayes counts a word only once per text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, spmatrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from seqmodels.data.characters import CUT, EMOJI, MARKS, in_python
from seqmodels.errors import DataError

WORD = in_python(f"[{CUT}{MARKS}{EMOJI}]|(?:(?![{CUT}])[\\w'])+")
INVERSE_PENALTY = (
    10.0  # scikit-learn's C: weight of the loss relative to half the squared norm of the weights
)
RATIO_INVERSE_PENALTY = 0.1  # scikit-learn's C in fit_ratios; 0.05 and 0.2 are equally good on IMDB


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline classifier.

    Attributes:
        name: name of the baseline.
        probabilities: function that receives n texts and returns probabilities ``(n, classes)`` float64.
    """

    name: str
    probabilities: Callable[[Sequence[str]], np.ndarray]


def fit(texts: Sequence[str], labels: Sequence[str], classes: Sequence[str]) -> list[Baseline]:
    """Fits "majority", "naive Bayes" and "logistic regression" to the training split.

    - "majority" returns the class frequencies of the training split as the probabilities of every text.
    - "naive Bayes" is a multinomial model with Laplace's add-one smoothing. An n-gram that occurs several
      times in a text counts only once (Wang and Manning 2012, "Baselines and Bigrams", section 2.1).
    - "logistic regression" uses tf-idf features with ``tf = 1 + log(count)``. The feature vector of every
      text is scaled to norm 1.

    Args:
        texts: training texts.
        labels: label of each text, a member of ``classes``.
        classes: all classes, in the order of the probabilities. A class without training texts has
            probability 0 in all three baselines.

    Raises:
        DataError: all labels are equal, or no text contains a word.
    """
    codes = np.array([classes.index(label) for label in labels])
    frequencies = np.bincount(codes, minlength=len(classes)) / len(codes)
    if np.count_nonzero(frequencies) < 2:
        raise DataError(
            f"all {len(codes)} training texts are labelled {labels[0]!r}; "
            "a classifier needs at least two classes; add texts of another class"
        )
    vectorizer = CountVectorizer(ngram_range=(1, 2), token_pattern=WORD)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError as error:  # CountVectorizer fails for strings only if no text has a word
        raise DataError(
            f"none of the {len(codes)} training texts has a word; expected texts with letters or digits; "
            "check which column contains the texts"
        ) from error
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    bayes = MultinomialNB().fit(counts.sign(), codes)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(weights.transform(counts), codes)

    def spread(estimator: MultinomialNB | LogisticRegression, features: spmatrix) -> np.ndarray:
        result = np.zeros((features.shape[0], len(classes)))
        result[:, estimator.classes_] = estimator.predict_proba(
            features
        )  # a class without training texts keeps 0
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
    r"""Fits a logistic regression. Each binary feature is multiplied by its naive Bayes ratio ``r``.

    This is the NBSVM of Wang and Manning (2012, "Baselines and Bigrams", section 2.3) with the logistic loss.
    Each class is fitted against all other classes. The vectors ``p`` and ``q`` have one count per feature.
    ``p`` counts the rows of the class that have the feature, plus 1. ``q`` counts the rows of the other
    classes that have the feature, plus 1. ``x_i`` is row i. ``y_i`` is 1 if row i belongs to the class,
    else -1.

    .. math::
        r = \log \frac{p / \|p\|_1}{q / \|q\|_1}, \qquad
        \min_v \tfrac12 \|v\|^2 + C \sum_i \log(1 + e^{-y_i (v \circ r) \cdot x_i})

    The optimizer finds ``v``. In the logit, the weight of a feature is the product of ``v`` and ``r``. If a
    feature is not informative, its ratio ``r`` is near 0. The penalty on ``v`` then keeps the weight small.
    For two classes, only one logit is fitted. Each class gets half of this logit, with opposite signs.

    Args:
        features: matrix of 0 and 1, ``(n, m)``, with one row per text and one column per feature.
        codes: class index of each row, ``(n,)``.
        classes: number of classes, k.

    Returns:
        Weights ``(m, k)`` and bias ``(k,)`` of the logits, float32. A class without rows has weights 0 and
        bias ``-log n``. A class that contains all rows has weights 0 and bias ``log n``.
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
