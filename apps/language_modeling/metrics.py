"""Computes the scores of a language model: perplexity and bits per character."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.verdict import Measure, against_best
from seqmodels.evaluation import bootstrap_interval, paired_bootstrap

PERPLEXITY = Measure("perplexity", higher_is_better=False, ratio=True, digits=2)
BLOCK, BLOCKS = 50, 1000  # minimum number of tokens per block, and maximum number of blocks
LARGEST_EXPONENT = 700  # exp of a larger number overflows


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
        - `log_loss_interval`, `perplexity_interval` and so on: 95 % bootstrap interval of each of these
          scores, `[low, high]`. None if the text is shorter than two blocks, see `block_sums`.

    Raises:
        ValueError: the number of tokens, words or characters is 0.
    """
    losses = np.asarray(losses, np.float64)
    if not losses.size or words == 0 or characters == 0:
        raise ValueError("the text to score is empty; expected at least one token")
    total = float(losses.sum())
    blocks = block_sums(losses)
    low_high = bootstrap_interval(blocks, lambda sums: sums[:, 0] / sums[:, 1])
    scores: dict[str, Any] = {"tokens": losses.size, "log_loss": total / losses.size}
    units = {"perplexity": losses.size, "word_perplexity": words}
    scores["log_loss_interval"] = low_high
    for name, count in units.items():
        if count is not None:
            scores[name] = float(np.exp(total / count))
            scores[f"{name}_interval"] = _scaled(low_high, losses.size / count, exponential=True)
    if words is not None:
        scores["words"] = words
    if characters is not None:
        scores["bits_per_character"] = float(total / np.log(2) / characters)
        scores["bits_per_character_interval"] = _scaled(low_high, losses.size / np.log(2) / characters)
    return scores


def _scaled(interval: list[float] | None, factor: float, exponential: bool = False) -> list[float] | None:
    """Multiplies the limits of an interval by ``factor``, and then applies ``exp`` if ``exponential``."""
    if interval is None:
        return None
    edges = np.array(interval) * factor
    return (np.exp(np.minimum(edges, LARGEST_EXPONENT)) if exponential else edges).tolist()


def block_sums(losses: ArrayLike) -> NDArray:
    """Adds up the losses of consecutive tokens.

    The losses of neighbouring tokens depend on each other. The bootstrap therefore resamples blocks of at
    least `BLOCK` tokens. A text is cut into at most `BLOCKS` blocks.

    Args:
        losses: negative log-likelihood of every token, (tokens,).

    Returns:
        The total loss and the number of tokens of each block, (blocks, 2).
    """
    losses = np.asarray(losses, np.float64)
    count = int(np.clip(losses.size // BLOCK, 1, BLOCKS))
    starts = np.arange(count) * losses.size // count
    return np.stack([np.add.reduceat(losses, starts), np.diff(np.append(starts, losses.size))], axis=1)


def perplexity_of(sums: NDArray) -> NDArray:
    """Computes the perplexity from total loss and number of tokens, `(..., 2)`."""
    return np.exp(np.minimum(sums[..., 0] / sums[..., 1], LARGEST_EXPONENT))


def language_verdict(own: NDArray, others: Mapping[str, NDArray]) -> dict[str, Any]:
    """Compares the perplexity of a model with the perplexity of the best baseline.

    Args:
        own: result of `block_sums` for the model.
        others: results of `block_sums` for the baselines, on the same text with the same tokens.
    """
    return against_best(
        PERPLEXITY,
        own,
        others,
        lambda sums: float(perplexity_of(sums.sum(axis=0))),
        lambda first, second: paired_bootstrap(first, second, perplexity_of, ratio=True),
    )


def log_loss_interval(losses: ArrayLike) -> list[float] | None:
    """Computes a 95 % interval of a mean loss per token, or of a mean difference of losses.

    Args:
        losses: losses, or differences of losses, (tokens,).

    Returns:
        The list ``[low, high]``. None if a loss is infinite, or if the text has fewer than two blocks, see
        `block_sums`.

    >>> low, high = log_loss_interval(np.tile([0.1, 0.3], 100))
    >>> round(low, 3) == round(high, 3) == 0.2
    True
    """
    blocks = block_sums(losses)
    if not np.isfinite(blocks).all():
        return None
    return bootstrap_interval(blocks, lambda sums: sums[:, 0] / sums[:, 1])
