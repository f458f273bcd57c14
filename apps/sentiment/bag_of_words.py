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
from scipy.sparse import spmatrix
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
SAMPLE = 5_000_000


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
