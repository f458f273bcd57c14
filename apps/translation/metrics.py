"""Scores of a translator."""

from collections.abc import Sequence
from typing import Any

from sacrebleu.metrics import BLEU, CHRF


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
