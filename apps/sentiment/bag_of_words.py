"""Bag-of-words models: the baselines that a recurrent model must beat.

All baselines are fitted on the training split only. Their features are either 1- and 2-grams of words, or
1- to 3-grams of characters. For each baseline, the validation split decides which of the two is better. Words
fail in languages that are written without spaces, and characters are often better for short texts.

A word is a sequence of letters, digits, "_" and "'", converted to lower case. A word may be as short as one
letter, such as "a". Every "!", "?" and emoji is also a word, and so is every character of a script without
spaces, such as Chinese. Three choices were tuned on parts of the training splits of SST-2 and IMDB: this
definition of a word, the penalty of logistic regression, and the rule that naive Bayes counts an n-gram only
once per text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from apps.console import log
from apps.sentiment.kinds import Kind
from apps.sentiment.kinds.base import Predict
from seqmodels.data.characters import CUT, EMOJI, MARKS, in_python
from seqmodels.errors import DataError

WORD = in_python(f"[{CUT}{MARKS}{EMOJI}]|(?:(?![{CUT}])[\\w'])+")
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
    """A fitted baseline.

    Attributes:
        name: name of the baseline.
        predict: function that receives n texts and returns predictions, see :class:`Kind`.
        kind: kind of labels, adjusted to the predictions of the baseline for the validation split.
        features: description of the features, such as ``word 1-2-grams``. Empty if there are no features.
    """

    name: str
    predict: Callable[[Sequence[str]], np.ndarray]
    kind: Kind
    features: str = ""


def fit(
    texts: Sequence[str],
    targets: np.ndarray,
    kind: Kind,
    valid: tuple[Sequence[str], np.ndarray] | None = None,
) -> list[Baseline]:
    """Fits the baselines to the training split.

    - "majority" returns the class frequencies of the training split as the probabilities of every text. With
      several labels per text, "label frequencies" does the same. For numbers, "median" returns the median.
    - "naive Bayes" is a multinomial model with Laplace's add-one smoothing. An n-gram that occurs several
      times in a text counts only once (Wang and Manning 2012, "Baselines and Bigrams", section 2.1).
    - "logistic regression" uses tf-idf features with ``tf = 1 + log(count)``. The feature vector of every
      text is scaled to norm 1. With several labels per text, one model per label is fitted.
    - "ridge regression" predicts numbers from the same features.

    The models are fitted to words and to characters. The better of the two is returned: the one with the
    better score on ``valid``, or the lower loss if the scores are equal.

    Args:
        texts: training texts.
        targets: targets of the training texts, from ``kind.targets``.
        kind: kind of labels.
        valid: texts and targets of the validation split. They decide between words and characters, and
            determine the thresholds of a model with several labels per text. Default: words, and the
            thresholds of ``kind``.

    Raises:
        DataError: all targets are equal, or no text contains a word or another visible character.
    """
    if not np.any(targets != targets[0]):
        raise DataError(
            f"all {len(targets)} training texts have the same label; "
            "a model needs at least two different labels; add texts with another label"
        )
    constant, prediction = kind.constant(targets)
    sample = _sample(texts, targets)
    tried = VECTORIZERS if valid else [WORDS]
    fitted = {features: found for features in tried if (found := _fit(features, *sample, kind))}
    if not fitted and not (fitted := {CHARACTERS: _fit(CHARACTERS, *sample, kind)})[CHARACTERS]:
        raise DataError(
            f"none of the {len(targets)} training texts has a word; expected texts with letters or digits; "
            "check which column contains the texts"
        )
    chosen = [
        min((each[name] for each in fitted.values()), key=lambda each: _loss(each, valid))
        for name in next(iter(fitted.values()))
    ]
    if len(sample[0]) < len(texts):
        log.print(
            f"note: {len(sample[0]):,} of {len(texts):,} training texts decided between words and characters "
            "as features of the baselines"
        )
        whole = {
            features: _fit(features, texts, targets, kind) for features in {each.features for each in chosen}
        }
        chosen = [whole[each.features][each.name] for each in chosen]
    fixed = Baseline(constant, lambda texts: np.tile(prediction, (len(texts), 1)), kind)
    return [_calibrated(each, valid) for each in (fixed, *chosen)]


def _calibrated(baseline: Baseline, valid: tuple[Sequence[str], np.ndarray] | None) -> Baseline:
    if valid is None or not baseline.kind.calibrates:
        return baseline
    return replace(baseline, kind=baseline.kind.calibrated(baseline.predict(valid[0]), valid[1]))


def _sample(texts: Sequence[str], targets: np.ndarray) -> tuple[Sequence[str], np.ndarray]:
    """Returns a random sample of the texts, and their targets.

    The sample has at most ``SAMPLE`` characters, plus the first text of each different target.
    """
    if sum(map(len, texts)) <= SAMPLE:
        return texts, targets
    order = np.random.default_rng(0).permutation(len(texts))
    sizes = np.cumsum([len(texts[index]) for index in order])
    first: Any = np.unique(targets, return_index=True, axis=0)[1] if targets.dtype.kind == "i" else []
    kept = np.union1d(order[: np.searchsorted(sizes, SAMPLE, side="right")], first).astype(int)
    return [texts[index] for index in kept], targets[kept]


def _fit(features: str, texts: Sequence[str], targets: np.ndarray, kind: Kind) -> dict[str, Baseline]:
    """Fits the baselines to one kind of features. The dictionary is empty if no text has an n-gram."""
    vectorizer = CountVectorizer(**VECTORIZERS[features])
    if features == CHARACTERS and not any(text.strip() for text in texts):
        return {}
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # CountVectorizer fails for strings only if no text has an n-gram
        return {}
    weights = TfidfTransformer(sublinear_tf=True).fit(counts)

    def rows(counts: csr_matrix, weighted: bool) -> csr_matrix:
        return weights.transform(counts) if weighted else counts.sign()

    def baseline(name: str, predict: Predict, weighted: bool) -> Baseline:
        return Baseline(
            name, lambda texts: predict(rows(vectorizer.transform(texts), weighted)), kind, features
        )

    binary, weighted = rows(counts, False), rows(counts, True)
    return {
        name: baseline(name, *make(binary, weighted, targets)) for name, make in kind.estimators().items()
    }


def _loss(baseline: Baseline, valid: tuple[Sequence[str], np.ndarray] | None) -> tuple[float, float]:
    """Returns two numbers by which baselines are compared on the validation split. Lower is better."""
    if valid is None:
        return 0.0, 0.0
    return baseline.kind.order(baseline.predict(valid[0]), valid[1])
