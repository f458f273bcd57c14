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


def line_interval(losses: ArrayLike, ends: ArrayLike) -> list[float] | None:
    """Computes a 95 % confidence interval of the mean loss per token.

    The tokens of a line depend on each other. Therefore, the lines are the units of the sample. The mean is
    the ratio of two sums over lines. Dependence between lines is ignored.

    Args:
        losses: losses, or differences of losses, (tokens,).
        ends: True at the last token of each line, (tokens,).

    Returns:
        The list ``[low, high]`` of the two limits. None if there are fewer than two lines, or if a loss is
        infinite.

    >>> losses, ends = [1.0, 2.0, 3.0, 2.0, 1.0, 1.0], [False, True, False, True, False, True]
    >>> [round(limit, 3) for limit in line_interval(losses, ends)]
    [0.802, 2.531]
    """
    losses, ends = np.asarray(losses, np.float64), np.array(ends, bool)
    ends[-1:] = True
    starts = np.flatnonzero(np.append(True, ends[:-1]))
    if len(starts) < 2 or not np.isfinite(losses).all():
        return None
    tokens = np.diff(np.append(starts, len(losses)))  # (lines,)
    mean = losses.mean()
    residuals = np.add.reduceat(losses, starts) - mean * tokens
    lines = len(tokens)
    half = 1.96 * np.sqrt(lines / (lines - 1) * np.sum(residuals**2)) / len(losses)
    return [float(mean - half), float(mean + half)]


def perplexity_interval(losses: ArrayLike, ends: ArrayLike) -> list[float] | None:
    """Computes a 95 % confidence interval of the perplexity; see `line_interval`."""
    interval = line_interval(losses, ends)
    return None if interval is None else [float(np.exp(min(limit, 700.0))) for limit in interval]
