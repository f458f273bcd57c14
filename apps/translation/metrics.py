"""Scores of translations: BLEU and chrF."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from apps.verdict import Measure, against_best
from seqmodels.evaluation import bootstrap_interval, paired_bootstrap

BLEU_COLUMNS = 10  # length of hypothesis and reference, and for n = 1 to 4 the matching and all n-grams
BLEU_ORDER = 4  # BLEU counts n-grams of up to 4 tokens
MEASURES = {
    "bleu": Measure("BLEU", higher_is_better=True, digits=1),
    "chrf": Measure("chrF", higher_is_better=True, digits=1),
}


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], intervals: bool = True
) -> dict[str, Any]:
    """Computes BLEU (Papineni et al. 2002) and chrF (Popović 2015) with sacreBLEU (Post 2018).

    Args:
        hypotheses: one detokenised translation per sentence.
        references: one detokenised reference per sentence.
        intervals: If True, the result contains the 95 % bootstrap intervals of the scores.

    Returns:
        A dictionary. `sentences` is the number of sentences. `bleu` and `chrf` are from 0 to 100.
        `bleu_interval` and `chrf_interval` are their intervals, `[low, high]`. With one sentence, they are
        None.
        `bleu_signature` and `chrf_signature` are texts that describe the settings of sacreBLEU (cased, 13a
        tokens). `length_ratio` is the length of the hypotheses divided by the length of the references.

    Raises:
        ValueError: there are no sentences, or the number of hypotheses differs from the number of references.
    """
    return scores_of(sentence_statistics(hypotheses, references), intervals)


def sentence_statistics(hypotheses: Sequence[str], references: Sequence[str]) -> NDArray:
    """Counts n-grams in each sentence. The sums over all sentences determine BLEU and chrF.

    The arguments and errors are those of `translation_scores`.

    Returns:
        The counts of sacreBLEU, `(sentences, k)`. The first `BLEU_COLUMNS` columns belong to BLEU, and all
        other columns to chrF.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"got {len(hypotheses)} translations for {len(references)} references; expected one per reference"
        )
    # sacreBLEU has no public function for the counts of each sentence. Its own paired tests use this method.
    counts = [
        metric._extract_corpus_statistics(list(hypotheses), [list(references)]) for metric in (BLEU(), CHRF())
    ]
    return np.hstack([np.array(each, np.int32) for each in counts])


def scores_of(statistics: NDArray, intervals: bool = True) -> dict[str, Any]:
    """Computes the scores from the result of `sentence_statistics`. See `translation_scores`."""
    # The metrics receive any reference here, because their signatures contain the number of references.
    bleu, chrf = BLEU(references=[[""]]), CHRF(references=[[""]])
    sums = statistics.sum(axis=0, dtype=np.int64)
    scores: dict[str, Any] = {"sentences": len(statistics)}
    for name, score in SCORES.items():
        scores[name] = float(score(sums[None])[0])
        if intervals:
            scores[f"{name}_interval"] = bootstrap_interval(statistics, score)
    return {
        **scores,
        "length_ratio": float(sums[0] / sums[1]) if sums[1] else 0.0,
        "bleu_signature": str(bleu.get_signature()),
        "chrf_signature": str(chrf.get_signature()),
    }


def translation_verdict(own: NDArray, others: Mapping[str, NDArray]) -> dict[str, Any]:
    """Compares a model with the best baseline by BLEU.

    chrF replaces BLEU if most references have fewer than four tokens. This is the case in languages that are
    written without spaces. BLEU is then near 0 for every system.

    Args:
        own: result of `sentence_statistics` for the model.
        others: results of `sentence_statistics` for the baselines, with the same references.
    """
    name = "bleu" if np.mean(own[:, 1] >= BLEU_ORDER) >= 0.5 else "chrf"
    score = SCORES[name]
    return against_best(
        MEASURES[name],
        own,
        others,
        lambda statistics: float(score(statistics.sum(axis=0)[None])[0]),
        lambda first, second: paired_bootstrap(first, second, score),
    )


def _bleu(sums: NDArray) -> NDArray:
    """Computes BLEU from sums of counts, `(resamples, k)`."""
    return _each(BLEU(), sums[:, :BLEU_COLUMNS])


def _chrf(sums: NDArray) -> NDArray:
    """Computes chrF from sums of counts, `(resamples, k)`."""
    return _each(CHRF(), sums[:, BLEU_COLUMNS:])


def _each(metric: BLEU | CHRF, sums: NDArray) -> NDArray:
    rows = np.rint(sums).astype(np.int64).tolist()
    return np.array([metric._compute_score_from_stats(row).score for row in rows])


SCORES: dict[str, Callable[[NDArray], NDArray]] = {"bleu": _bleu, "chrf": _chrf}
