"""Scores of a language model."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


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
