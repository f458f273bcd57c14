"""Bag-of-words classifiers: the baselines that a recurrent model must beat.

All baselines are fitted on the training split only. Their features are either 1- and 2-grams of words, or
1- to 3-grams of characters. For each baseline, the validation split decides which of the two is better. Words
fail in languages that are written without spaces, and characters are often better for short texts.

A word is a sequence of letters, digits, "_" and "'", converted to lower case. A word may be as short as one
letter, such as "a". Every "!", "?" and emoji is also a word, and so is every character of a script without
spaces, such as Chinese. Three choices were tuned on parts of the training splits of SST-2 and IMDB: this
definition of a word, the value of ``INVERSE_PENALTY``, and the rule that naive Bayes counts an n-gram only
once per text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, spmatrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB

from apps.console import log
from apps.sentiment.metrics import SMALLEST_PROBABILITY
from seqmodels.data.characters import CUT, EMOJI, MARKS, in_python
from seqmodels.errors import DataError

WORD = in_python(f"[{CUT}{MARKS}{EMOJI}]|(?:(?![{CUT}])[\\w'])+")
INVERSE_PENALTY = (
    10.0  # scikit-learn's C: weight of the loss relative to half the squared norm of the weights
)
WORDS, CHARACTERS = "word 1-2-grams", "character 1-3-grams"
VECTORIZERS: dict[str, dict[str, Any]] = {
    WORDS: {"ngram_range": (1, 2), "token_pattern": WORD},
    CHARACTERS: {"ngram_range": (1, 3), "analyzer": "char"},
}
# If the training split is longer than this number of characters, a random sample
# of its texts decides between words and characters.
SAMPLE = 50_000_000
RATIO_INVERSE_PENALTY = 0.1  # scikit-learn's C in fit_ratios; 0.05 and 0.2 are equally good on IMDB


@dataclass(frozen=True)
class Baseline:
    """A fitted baseline classifier.

    Attributes:
        name: name of the baseline.
        probabilities: function that receives n texts and returns probabilities ``(n, classes)`` float64.
        features: description of the features, such as ``word 1-2-grams``. Empty if there are no features.
    """

    name: str
    probabilities: Callable[[Sequence[str]], np.ndarray]
    features: str = ""


def fit(
    texts: Sequence[str],
    labels: Sequence[str],
    classes: Sequence[str],
    valid: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> list[Baseline]:
    """Fits "majority", "naive Bayes" and "logistic regression" to the training split.

    - "majority" returns the class frequencies of the training split as the probabilities of every text.
    - "naive Bayes" is a multinomial model with Laplace's add-one smoothing. An n-gram that occurs several
      times in a text counts only once (Wang and Manning 2012, "Baselines and Bigrams", section 2.1).
    - "logistic regression" uses tf-idf features with ``tf = 1 + log(count)``. The feature vector of every
      text is scaled to norm 1.

    Naive Bayes and logistic regression are fitted to words and to characters. The better of the two is
    returned: the one with the higher accuracy on ``valid``, or with the lower log loss if the accuracies are
    equal. Without ``valid``, words are used.

    Args:
        texts: training texts.
        labels: label of each text, a member of ``classes``.
        classes: all classes, in the order of the probabilities. A class without training texts has
            probability 0 in all three baselines.
        valid: texts and labels of the validation split. They only decide between words and characters.

    Raises:
        DataError: all labels are equal, or no text contains a word or another visible character.
    """
    codes = np.array([classes.index(label) for label in labels])
    frequencies = np.bincount(codes, minlength=len(classes)) / len(codes)
    if np.count_nonzero(frequencies) < 2:
        raise DataError(
            f"all {len(codes)} training texts are labelled {labels[0]!r}; "
            "a classifier needs at least two classes; add texts of another class"
        )
    majority = Baseline("majority", lambda texts: np.tile(frequencies, (len(texts), 1)))
    sample = _sample(texts, codes)
    fitted = {
        features: found
        for features in (VECTORIZERS if len(valid[0]) else [WORDS])
        if (found := _fit_features(features, *sample, len(classes)))
    }
    if not fitted and not (found := _fit_features(CHARACTERS, *sample, len(classes))):
        raise DataError(
            f"none of the {len(codes)} training texts has a word; expected texts with letters or digits; "
            "check which column contains the texts"
        )
    fitted = fitted or {CHARACTERS: found}
    truth = np.array([classes.index(label) for label in valid[1]], np.int64)
    chosen = [
        min((each[index] for each in fitted.values()), key=lambda each: _errors(each, valid[0], truth))
        for index in range(len(next(iter(fitted.values()))))
    ]
    if len(sample[0]) < len(texts):
        log.print(
            f"note: {len(sample[0]):,} of {len(texts):,} training texts decided between words and characters "
            "as features of the baselines"
        )
        whole = {
            features: _fit_features(features, texts, codes, len(classes))
            for features in {each.features for each in chosen}
        }
        chosen = [next(b for b in whole[each.features] if b.name == each.name) for each in chosen]
    return [majority, *chosen]


def _sample(texts: Sequence[str], codes: np.ndarray) -> tuple[Sequence[str], np.ndarray]:
    """Returns a random sample of the texts, and the class of each text.

    The sample has at most ``SAMPLE`` characters, plus the first text of each class.
    """
    if sum(map(len, texts)) <= SAMPLE:
        return texts, codes
    order = np.random.default_rng(0).permutation(len(texts))
    sizes = np.cumsum([len(texts[index]) for index in order])
    first = np.unique(codes, return_index=True)[1]
    kept = np.union1d(order[: np.searchsorted(sizes, SAMPLE, side="right")], first)
    return [texts[index] for index in kept], codes[kept]


def _fit_features(features: str, texts: Sequence[str], codes: np.ndarray, classes: int) -> list[Baseline]:
    """Fits naive Bayes and logistic regression. The list is empty if no text has an n-gram."""
    vectorizer = CountVectorizer(**VECTORIZERS[features])
    if features == CHARACTERS and not any(text.strip() for text in texts):
        return []
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # CountVectorizer fails for strings only if no text has an n-gram
        return []
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)
    bayes = MultinomialNB().fit(counts.sign(), codes)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(weights.transform(counts), codes)

    def spread(estimator: MultinomialNB | LogisticRegression, rows: spmatrix) -> np.ndarray:
        result = np.zeros((rows.shape[0], classes))
        # A class without training texts keeps the probability 0.
        result[:, estimator.classes_] = estimator.predict_proba(rows)
        return result

    return [
        Baseline("naive Bayes", lambda texts: spread(bayes, vectorizer.transform(texts).sign()), features),
        Baseline(
            "logistic regression",
            lambda texts: spread(regression, weights.transform(vectorizer.transform(texts))),
            features,
        ),
    ]


def _errors(baseline: Baseline, texts: Sequence[str], codes: np.ndarray) -> tuple[float, float]:
    """Returns the share of wrong predictions and the log loss, or zeros if there are no texts."""
    if not len(texts):
        return 0.0, 0.0
    probabilities = baseline.probabilities(texts)
    true_class = np.maximum(probabilities[np.arange(len(codes)), codes], SMALLEST_PROBABILITY)
    return float(np.mean(probabilities.argmax(axis=1) != codes)), float(-np.log(true_class).mean())


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
