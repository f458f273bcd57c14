"""Scores of translations: BLEU and chrF."""

from collections.abc import Sequence
from typing import Any

from sacrebleu.metrics import BLEU, CHRF


def translation_scores(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Computes BLEU (Papineni et al. 2002) and chrF (Popović 2015) with sacreBLEU (Post 2018).

    Args:
        hypotheses: one detokenised translation per sentence.
        references: one detokenised reference per sentence.

    Returns:
        A dictionary. `sentences` is the number of sentences. `bleu` and `chrf` are from 0 to 100.
        `bleu_signature` and `chrf_signature` are texts that describe the settings of sacreBLEU (cased, 13a
        tokens). `length_ratio` is the length of the hypotheses divided by the length of the references.

    Raises:
        ValueError: there are no sentences, or the number of hypotheses differs from the number of references.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"got {len(hypotheses)} translations for {len(references)} references; expected one per reference"
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
