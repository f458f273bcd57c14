"""Scores language models and n-gram models on a text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from apps.baseline_units import UNITS
from apps.inference import open_model
from apps.language_modeling import ngrams
from apps.language_modeling.adaptation import cached_losses, dynamic_losses
from apps.language_modeling.data import characters, stream, words
from apps.language_modeling.inference import FORMS, Losses
from apps.language_modeling.metrics import block_sums, language_scores, log_loss_interval
from apps.language_modeling.mixture import Partner, mixed_losses
from apps.language_modeling.options import Evaluate
from apps.run import Run
from seqmodels.data.tokenizer import END, UNKNOWN, Tokenizer

RIVALS: dict[str, Callable[[np.ndarray, int], ngrams.NGrams]] = {
    "unigram": ngrams.unigram,
    "Markov, first order": partial(ngrams.markov, end=END),
    "Kneser-Ney, 3-grams": partial(ngrams.kneser_ney, order=3, end=END),
    "Kneser-Ney, 5-grams": partial(ngrams.kneser_ney, order=5, end=END),
}
STRONGEST = "Kneser-Ney, 5-grams"
POSITIONS = 50  # number of positions, from the start of a line, for which the mean loss is reported


def scores_of(
    tokenizer: Tokenizer, losses: np.ndarray, ids: np.ndarray, lines: Sequence[str]
) -> dict[str, Any]:
    """Returns all scores of a model on a text.

    Args:
        tokenizer: tokenizer of the model.
        losses: loss of each token, ``(tokens,)``.
        ids: token ids of the text, ``(tokens,)``.
        lines: the text.
    """
    settings = tokenizer.settings
    of_characters = settings.unit in ("character", "byte")
    # With ``--split letters``, a word such as "--" has no token. The perplexity per word is then omitted.
    every_word = of_characters or settings.split != "letters"
    every_character = of_characters and not settings.lowercase
    scores = language_scores(
        losses, words(lines) if every_word else None, characters(lines) if every_character else None
    )
    # The fraction of unknown tokens is reported, because unknown tokens are easy to predict. They therefore
    # improve the score.
    unknown = float(np.mean(ids == UNKNOWN))
    return {**scores, "unknown": unknown, "by_position": _by_position(losses, ids)}


def _by_position(losses: np.ndarray, ids: np.ndarray) -> list[dict[str, Any]]:
    """Returns the mean loss of the tokens at each position in a line. The line end is also a token."""
    ends = np.flatnonzero(np.append(END, ids[:-1]) == END)
    places = np.arange(len(ids)) - np.repeat(ends, np.diff(np.append(ends, len(ids))))
    counts = np.bincount(places)[:POSITIONS]
    sums = np.bincount(places, losses)[:POSITIONS]
    return [
        {"position": place + 1, "tokens": int(count), "log_loss": float(total / count)}
        for place, (count, total) in enumerate(zip(counts, sums))
    ]


def rivals_of(
    tokenizer: Tokenizer, train: Sequence[str], splits: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """Fits the n-gram models on the training split, and returns their scores on each split."""
    train_ids = stream(tokenizer, train)
    ids = {name: stream(tokenizer, lines) for name, lines in splits.items()}
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for rival, fit in RIVALS.items():
        fitted = fit(train_ids, len(tokenizer))
        for name, lines in splits.items():
            scores[name][rival] = rival_scores(fitted, tokenizer, ids[name], lines)
    return scores


def rival_scores(
    fitted: ngrams.NGrams, tokenizer: Tokenizer, ids: np.ndarray, lines: Sequence[str]
) -> dict[str, Any]:
    """Returns all scores of an n-gram model on a text, see :func:`scores_of`."""
    losses = -fitted.log_probabilities(ids)
    return {
        **scores_of(tokenizer, losses, ids, lines),
        "parameters": sum(fitted.stored),
        "fallbacks": fitted.fallbacks,
        UNITS: block_sums(losses),
    }


def mixed_scores(
    mix: Partner,
    method: Losses,
    losses: np.ndarray,
    tokenizer: Tokenizer,
    ids: np.ndarray,
    lines: Sequence[str],
) -> dict[str, Any]:
    """Scores the mixture of a model and n-grams.

    The result also contains the difference of the mean loss from the model and from the n-grams, each with
    its 95 % interval.

    Args:
        mix: the n-grams.
        method: function that computes the losses of the model.
        losses: losses of the model on the text, ``(tokens,)``.
        tokenizer: tokenizer of the model.
        ids: token ids of the text, ``(tokens,)``.
        lines: the text.
    """
    weight, of_ngrams = mix.weight_of(method), mix.losses(ids)
    mixed = mixed_losses(losses, of_ngrams, weight)
    return {
        **scores_of(tokenizer, mixed, ids, lines),
        "parameters": sum(mix.fitted.stored) + 1,
        "weight": weight,
        "weight_tokens": len(mix.valid),
        "difference": {
            name: {"log_loss": float(np.mean(each)), "interval": log_loss_interval(each)}
            for name, each in (("model", mixed - losses), (mix.name, mixed - of_ngrams))
        },
    }


def adapted(run: Run, options: Evaluate, tokenizer: Tokenizer, train: Sequence[str]) -> dict[str, Losses]:
    """Returns the functions that compute the losses of the adapted models, by the names of the methods."""
    methods: dict[str, Losses] = {}
    if options.cache:
        methods[f"with a cache of {options.cache}"] = lambda ids: cached_losses(
            run.load_model(), ids, options.cache, options.cache_flatness, options.cache_weight
        )
    if options.dynamic:
        train_ids = stream(tokenizer, train)
        methods["with dynamic evaluation"] = lambda ids: dynamic_losses(
            run.load_model(), ids, train_ids, options.dynamic_rate, options.dynamic_decay
        )
    return methods


def scores_of_run(run: Run, path: str, lines: Sequence[str]) -> dict[str, Any]:
    """Scores the model of another run on ``lines``.

    ``path`` is the folder of the other run. The tokenizer of the other run splits the lines into tokens.
    """
    other = Run(path)
    other.require_finished("language_modeling")
    sources = [each.read_json("data.json", "source", "sha256") for each in (run, other)]
    if sources[0]["sha256"] != sources[1]["sha256"]:
        print(f"note: {path} was trained on other data ({sources[1]['source']})", file=sys.stderr)
    tokenizer = Tokenizer.load(other.assets)
    ids = stream(tokenizer, lines)
    scores = scores_of(tokenizer, open_model(other, "keras", FORMS)(ids), ids, lines)
    return {**scores, "parameters": other.read_json("metrics.json")["parameters"]}
