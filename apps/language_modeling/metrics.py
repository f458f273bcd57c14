"""Computes the scores of a language model: perplexity and bits per character."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def language_scores(
    losses: ArrayLike, words: int | None = None, characters: int | None = None
) -> dict[str, Any]:
    """Computes the scores of a language model on a text, as plain numbers for JSON.

    Models with different tokenizers split the same text into different numbers of tokens. Their perplexities
    per token cannot be compared. Compare the perplexities per word or the bits per character instead. For
    these scores, the total negative log-likelihood is divided by the number of words or characters.

    Args:
        losses: negative log-likelihood of every token in nats, line ends included, (tokens,).
        words: number of words in the text, line ends included. Use None if the tokenizer drops some words.
        characters: number of characters in the text. Use None if the tokenizer drops or changes characters.

    Returns:
        - `tokens`: number of tokens.
        - `log_loss`: mean of `-ln p` over tokens, in nats.
        - `perplexity`: `exp(log_loss)`.
        - `words`: value of the argument; only if `words` is given.
        - `word_perplexity`: `exp((sum of -ln p) / words)`; only if `words` is given.
        - `bits_per_character`: `(sum of -log2 p) / characters`; only if `characters` is given.

    Raises:
        ValueError: the number of tokens, words or characters is 0.
    """
    losses = np.asarray(losses, np.float64)
    if not losses.size or words == 0 or characters == 0:
        raise ValueError("the text to score is empty; expected at least one token")
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
