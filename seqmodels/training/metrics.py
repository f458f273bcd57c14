"""Scores of classifiers and of language models, computed in NumPy from their probabilities and the truth.

A model and the baselines it must beat go through the same functions, so that their numbers compare.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sacrebleu.metrics import BLEU, CHRF
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

CALIBRATION_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)
"""What the log loss takes for any smaller probability, 1.2e-7: one mistake costs at most 15.9. It is
scikit-learn's bound for float32, applied to float64 too, or a baseline would pay more than a model."""


def classification_scores(
    probabilities: ArrayLike, labels: ArrayLike, classes: Sequence[str]
) -> dict[str, Any]:
    """All scores of a classifier on one split, as plain numbers, lists and dicts ready for JSON.

    The prediction is the most probable class, the first of equals. A ratio without a denominator
    (precision of a class never predicted, recall of a class without examples) is 0, and the macro
    averages run over all classes, so such a class lowers them.

    Args:
        probabilities: `(n, classes)`; each row sums to 1.
        labels: `(n,)` integers, the index of the true class.
        classes: the names of the classes, in the order of the columns.

    Returns:
        - `examples`: n.
        - `accuracy`, and `accuracy_interval`: its 95 % score interval `[low, high]` (Wilson 1927).
        - `macro_precision`, `macro_recall`, `macro_f1`: means over the classes.
        - `per_class`: `{name: {precision, recall, f1, support}}`, support being the number of examples.
        - `log_loss`: mean of `-ln p(true class)` in nats, p at least `SMALLEST_PROBABILITY`.
        - `calibration_error`, and `calibration`: the bins it is computed from; see the functions below.
        - `confusion`: counts, `(classes, classes)`, a row per true and a column per predicted class.

    Raises:
        ValueError: no example; shapes that do not match; fewer than two classes or names that repeat; labels
            that are not integers in `[0, classes)`; a row with a negative entry or a sum further than
            1e-3 from 1.
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    _check(probabilities, labels, classes)
    count, indices = len(labels), range(len(classes))
    predicted = probabilities.argmax(axis=1)  # (n,)
    correct = predicted == labels
    interval = binomtest(int(correct.sum()), count).proportion_ci(0.95, method="wilson")
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=indices, zero_division=0
    )  # each (classes,)
    bins = calibration_bins(probabilities.max(axis=1), correct)
    true_class = np.maximum(probabilities[np.arange(count), labels], SMALLEST_PROBABILITY)  # (n,)
    return {
        "examples": count,
        "accuracy": float(correct.mean()),
        "accuracy_interval": [float(interval.low), float(interval.high)],
        "macro_precision": float(precision.mean()),
        "macro_recall": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "per_class": {
            name: {"precision": float(p), "recall": float(r), "f1": float(f), "support": int(n)}
            for name, p, r, f, n in zip(classes, precision, recall, f1, support, strict=True)
        },
        "log_loss": float(-np.log(true_class).mean()),
        "calibration_error": calibration_error(bins),
        "calibration": bins,
        "confusion": confusion_matrix(labels, predicted, labels=indices).tolist(),
    }


def calibration_bins(confidence: NDArray, correct: NDArray) -> list[dict[str, float]]:
    """The bars of a reliability diagram: examples grouped by the probability of their predicted class.

    `CALIBRATION_BINS` bins of equal width, `(lower, upper]` as in Guo et al. 2017 (arXiv 1706.04599),
    section 2. Bins without examples are left out: they have no mean.

    Args:
        confidence: `(n,)`, the probability given to the predicted class.
        correct: `(n,)`, whether the prediction was right.

    Returns:
        `{lower, upper, confidence (mean), accuracy, count}` per bin, by increasing confidence.
    """
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)
    bin_of = np.digitize(confidence, edges[1:-1], right=True)  # (n,)
    return [
        {
            "lower": float(edges[index]),
            "upper": float(edges[index + 1]),
            "confidence": float(confidence[bin_of == index].mean()),
            "accuracy": float(correct[bin_of == index].mean()),
            "count": int((bin_of == index).sum()),
        }
        for index in np.unique(bin_of)
    ]


def calibration_error(bins: Sequence[dict[str, float]]) -> float:
    """Expected calibration error, 0 to 1: the mean of `|accuracy - confidence|` over the bins, weighted
    by their counts (Guo et al. 2017, arXiv 1706.04599, equation 3)."""
    gaps = [abs(entry["accuracy"] - entry["confidence"]) for entry in bins]
    return float(np.average(gaps, weights=[entry["count"] for entry in bins]))


def _check(probabilities: NDArray, labels: NDArray, classes: Sequence[str]) -> None:
    expected = (labels.size, len(classes))
    if labels.ndim != 1 or probabilities.shape != expected:
        raise ValueError(
            f"got probabilities {probabilities.shape} for labels {labels.shape} and {len(classes)} classes; "
            f"expected probabilities (n, classes), labels (n,) and the name of each class"
        )
    if not labels.size:
        raise ValueError("got no example; expected at least one to score")
    if len(set(classes)) < max(len(classes), 2):
        raise ValueError(f"got class names {list(classes)}; expected two or more, each name once")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"got {labels.dtype} labels from {labels.min()} to {labels.max()}; "
            f"expected integers from 0 to {len(classes) - 1}, the columns of the probabilities"
        )
    # Written so that NaN fails too.
    sound = (probabilities >= 0).all(axis=1) & (abs(probabilities.sum(axis=1) - 1) <= 1e-3)  # (n,)
    if not sound.all():
        row = int(sound.argmin())
        raise ValueError(
            f"got probabilities in row {row} that sum to {probabilities[row].sum():.6g} (least "
            f"{probabilities[row].min():.6g}); expected none negative and a sum of 1: apply a softmax first"
        )


def language_scores(
    losses: ArrayLike, words: int | None = None, characters: int | None = None
) -> dict[str, Any]:
    """Scores of a language model on running text, as plain numbers ready for JSON.

    Models with different tokens compare by what they give for the same words or characters: the total
    negative log-likelihood of the text is divided by their number instead of that of the tokens.

    Args:
        losses: negative log-likelihood of every token in nats, ends of lines counted, (tokens,).
        words: how many words, ends of lines counted, the tokens spell; None where they leave out some.
        characters: how many characters they spell; None where they leave out some of the text.

    Returns:
        - `tokens`: their number.
        - `log_loss`: mean of `-ln p` over tokens, in nats.
        - `perplexity`: `exp(log_loss)`.
        - `words`, and `word_perplexity`: `exp(sum of -ln p / words)`; only with `words`.
        - `bits_per_character`: `sum of -log2 p / characters`; only with `characters`.

    Raises:
        ValueError: no token, no word or no character.
    """
    losses = np.asarray(losses, np.float64)
    if not losses.size or words == 0 or characters == 0:
        raise ValueError("there is no text to score; expected at least one token")
    total = float(losses.sum())
    scores = {
        "tokens": losses.size,
        "log_loss": total / losses.size,
        "perplexity": float(np.exp(total / losses.size)),
    }
    if words is not None:
        scores |= {"words": words, "word_perplexity": float(np.exp(total / words))}
    if characters is not None:
        scores["bits_per_character"] = total / np.log(2) / characters
    return scores


def translation_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """BLEU (Papineni et al. 2002) and chrF (Popović 2015) of detokenised text, by sacreBLEU (Post 2018).

    Args:
        hypotheses: a translation of each sentence.
        references: one reference of each.

    Returns:
        `sentences`; `bleu` and `chrf`, 0 to 100; `bleu_signature` and `chrf_signature`, which say how they
        were computed (cased, 13a tokens); `length_ratio` of hypotheses to references.

    Raises:
        ValueError: no sentence, or not as many of both.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"got {len(hypotheses)} translations for {len(references)} references; expected one for each"
        )
    bleu, chrf = BLEU(), CHRF()
    score = bleu.corpus_score(list(hypotheses), [list(references)])
    return {
        "sentences": len(hypotheses),
        "bleu": score.score,
        "chrf": chrf.corpus_score(list(hypotheses), [list(references)]).score,
        "length_ratio": score.ratio,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }
