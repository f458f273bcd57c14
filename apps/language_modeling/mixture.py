"""The mixture of a language model and Kneser-Ney n-grams (``--mix``).

The mixture predicts a token with the probability ``p = w p_model + (1 - w) p_ngrams``. Both models use the
same tokens, so p sums to 1 over the vocabulary. The n-grams are fitted on the training split. The weight w
maximizes the likelihood of the validation split. The test split is not used.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from apps.console import log
from apps.inference import Forms
from apps.language_modeling import ngrams
from apps.language_modeling.corpora import Texts
from apps.language_modeling.data import stream, trained
from apps.language_modeling.inference import FORMS, Losses, is_mixed, of_keras
from apps.language_modeling.mixed_model import MixedModel
from apps.language_modeling.ngram_tables import bytes_of
from apps.language_modeling.options import Export
from apps.run import Run
from seqmodels.data.tokenizer import END, Tokenizer
from seqmodels.errors import UsageError, UserError
from seqmodels.models import NextToken

NAME = "Kneser-Ney"  # start of the names of these n-grams in the scores
LARGEST = 500_000_000  # largest size of the n-gram tables of an exported model, in bytes
STEPS = 60  # number of bisections; the error of the weight is 2^-60
VERIFIED = 300  # number of validation tokens on which the tables are compared with the n-gram model
TOLERANCE = 1e-4  # largest difference of the losses in this comparison, in nats


@dataclass(frozen=True)
class Partner:
    """The n-gram model of a mixture, and the text on which the weight is fitted.

    Attributes:
        fitted: n-gram model of the training split.
        valid: token ids of the validation split, (tokens,).
    """

    fitted: ngrams.NGrams
    valid: np.ndarray

    @property
    def name(self) -> str:
        return f"{NAME}, {self.fitted.order}-grams"

    @cached_property
    def valid_losses(self) -> np.ndarray:
        """Loss of the n-gram model for each token of the validation split, (tokens,)."""
        return self.losses(self.valid)

    def losses(self, ids: np.ndarray) -> np.ndarray:
        """Returns the loss of the n-gram model for each token of a text: (tokens,) to (tokens,)."""
        return -self.fitted.log_probabilities(ids)

    def weight_of(self, losses_of: Losses) -> float:
        """Returns the weight of a language model, fitted on the validation split."""
        return fit_weight(losses_of(self.valid), self.valid_losses)


def partner(tokenizer: Tokenizer, source: Texts, order: int) -> Partner:
    """Fits Kneser-Ney n-grams on the training split.

    Args:
        tokenizer: tokenizer of the language model.
        source: the splits of the data.
        order: number of tokens in the longest n-grams.
    """
    train, valid = (stream(tokenizer, lines) for lines in (source.train, source.valid))
    return Partner(ngrams.kneser_ney(train, len(tokenizer), order, END), valid)


def fit_weight(model: np.ndarray, other: np.ndarray) -> float:
    """Returns the weight of a model in the mixture with the lowest mean loss.

    The mean loss is a convex function of the weight w, so the minimum is found by bisection of its
    derivative, ``-mean((p - q) / (w p + (1 - w) q))``. Here, p and q are the probabilities of a token.

    Args:
        model: losses of the model, ``-ln p``, (tokens,).
        other: losses of the other model, ``-ln q``, (tokens,). They are finite.

    Returns:
        The weight w, from 0 to 1. It is 1 if the other model does not lower the loss.

    >>> round(fit_weight(-np.log([0.9, 0.1, 0.9]), -np.log([0.1, 0.9, 0.1])), 3)
    0.833
    """
    smaller = np.minimum(model, other)
    p, q = np.exp(smaller - model), np.exp(smaller - other)  # divided by the larger of the two

    def gain(weight: float) -> float:
        with np.errstate(divide="ignore"):
            return float(np.mean((p - q) / (weight * p + (1 - weight) * q)))

    if gain(0.0) <= 0:
        return 0.0
    if gain(1.0) >= 0:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if gain(middle) > 0 else (low, middle)
    return (low + high) / 2


def mixed_losses(model: np.ndarray, other: np.ndarray, weight: float) -> np.ndarray:
    """Returns the loss of the mixture for each token, (tokens,).

    Args:
        model: losses of the model, (tokens,).
        other: losses of the other model, (tokens,).
        weight: weight of the model, from 0 to 1.

    >>> np.exp(-mixed_losses(-np.log([0.5]), -np.log([0.1]), weight=0.25)).round(3).tolist()
    [0.2]
    """
    with np.errstate(divide="ignore"):
        return -np.logaddexp(np.log(weight) - model, np.log1p(-weight) - other)


def mixed_model(run: Run, model: NextToken, order: int) -> MixedModel:
    """Returns the mixture of the model of a run and n-grams as a model in TensorFlow operators.

    Raises:
        DataError: the training data of the run have changed or are missing.
        UsageError: the tables of the n-grams are larger than `LARGEST`.
        UserError: the tables do not have the probabilities of the n-gram model.
    """
    log.print("fitting the n-grams, and their weight on the validation split")
    _, tokenizer, source = trained(run)
    other = partner(tokenizer, source, order)
    size, count = bytes_of(other.fitted), sum(other.fitted.stored)
    if size > LARGEST:
        lower = f"lower --mix-order, which is {order}, or " if order > 2 else ""
        raise UsageError(
            f"--mix needs tables of {size / 1e6:,.0f} MB for {count:,} n-grams, but at most "
            f"{LARGEST / 1e6:,.0f} MB are allowed; {lower}remove --mix"
        )
    losses = of_keras(model)(other.valid)
    weight = fit_weight(losses, other.valid_losses)
    mixed = MixedModel(model, other.fitted, weight)
    _verify(mixed, other.valid, mixed_losses(losses, other.valid_losses, weight))
    log.print(
        f"mixture: {weight:.3f} * model + {1 - weight:.3f} * {other.name}, fitted on {len(other.valid):,} "
        f"validation tokens; {count:,} n-grams, {size / 1e6:,.1f} MB"
    )
    return mixed


def exported(run: Run, model: NextToken, options: Export) -> keras.Model:
    """Returns the model that ``export`` writes: the model of the run, or its mixture with ``--mix``."""
    return mixed_model(run, model, options.mix_order) if options.mix else model


def unmixed(run: Run) -> Forms[Losses]:
    """Returns `FORMS`, but refuses to open a SavedModel that is already a mixture."""

    def of_saved_model(loaded: Any) -> Losses:
        if is_mixed(loaded):
            raise UsageError(
                f"--mix does not apply to {run.saved_model}, which was exported with --mix and is already a "
                "mixture; remove --mix"
            )
        return FORMS.saved_model(loaded)

    return replace(FORMS, saved_model=of_saved_model)


def mixture_lines(name: str, scores: Mapping[str, Any]) -> Iterator[str]:
    """Yields lines for the end of a table: the weight of a mixture, and its differences from its parts.

    Args:
        name: name of the row in the table.
        scores: scores of the row. If they are not scores of a mixture, nothing is yielded.
    """
    if "weight" not in scores:
        return
    weight, tokens = scores["weight"], scores["weight_tokens"]
    yield f"{name}: weight of the model {weight:.3f}, fitted on {tokens:,} validation tokens"
    for part, difference in scores["difference"].items():
        limits = difference["interval"]
        shown = "" if limits is None else f" (95 % interval {limits[0]:+.4f} to {limits[1]:+.4f})"
        yield f"nats per token compared with {part}: {difference['log_loss']:+.4f}{shown}"


def advice(run: Run, metrics: Mapping[str, Any]) -> list[str]:
    """Returns a sentence if Kneser-Ney n-grams have a lower validation perplexity than the model.

    Args:
        run: the finished run.
        metrics: content of ``metrics.json``.
    """
    found = {
        name: row["perplexity"]
        for name, row in metrics["baselines"].get("valid", {}).items()
        if name.startswith(NAME)
    }
    if not found:
        return []
    best, perplexity = min(found, key=found.__getitem__), metrics["valid"]["perplexity"]
    if not found[best] < perplexity:
        return []
    command = f"python -m apps.language_modeling evaluate --run {shlex.quote(str(run.path))} --mix"
    return [
        f"{best} are better than the model: their validation perplexity is {found[best]:.2f}, the "
        f"perplexity of the model is {perplexity:.2f}; `{command}` interpolates both"
    ]


def _verify(mixed: MixedModel, valid: np.ndarray, expected: np.ndarray) -> None:
    """Compares the losses in TensorFlow with the losses that NumPy computes from the n-gram model."""
    found = of_keras(mixed)(valid[:VERIFIED])
    difference = float(np.max(np.abs(found - expected[:VERIFIED])))
    if not difference <= TOLERANCE:
        raise UserError(
            f"--mix: the tables of the n-grams change a loss by {difference:.3g} nats; expected at most "
            f"{TOLERANCE:g}; remove --mix"
        )
