"""Experiments of the translation app."""

from __future__ import annotations

from functools import partial

from benchmarks.scores.experiment import Experiment
from benchmarks.scores.sources import ENJA, GRAMMAR, MULTI30K

SCORES = ("bleu", "chrf")
WITHOUT_SPACES = ("chrf",)  # the BLEU of the app needs spaces between words
FROM_GERMAN = ("--source", "de", "--target", "en")
TO_GERMAN = ("--source", "en", "--target", "de")
TO_JAPANESE = ("--source", "en", "--target", "ja")
FOR_TEN_MINUTES = (
    *("--minutes", "10", "--epochs", "1000", "--patience", "none", "--schedule", "constant"),
    *("--warmup", "0", "--average", "0.99", "--learning-rate", "0.002", "--vocabulary", "4000"),
    *("--embedding-units", "128", "--units", "128", "--decoder-units", "256"),
)

_experiment = partial(Experiment, task="translation")

PRESETS = (
    _experiment(
        name="translation-quick",
        source=GRAMMAR,
        model="preset `quick`",
        train=("--preset", "quick"),
        minutes=5,
        scores=SCORES,
    ),
    *(
        _experiment(
            name=name,
            source=MULTI30K,
            model=f"preset `default`, {direction}",
            train=languages,
            evaluate=("--beam", "5"),
            minutes=67,
            seeds=1,
            scores=SCORES,
        )
        for name, direction, languages in (
            ("multi30k-de-en", "German to English", FROM_GERMAN),
            ("multi30k-en-de", "English to German", TO_GERMAN),
        )
    ),
)

CUTS = tuple(
    _experiment(
        name=f"{source.name}-{size}",
        source=source,
        model=f"preset `default`, {direction}",
        train=(*languages, "--minutes", "10"),
        cut=None if source is MULTI30K and size == 29_000 else size,
        minutes=11,
        seeds=3,
        scores=scores,
    )
    for source, direction, languages, scores in (
        (MULTI30K, "German to English", FROM_GERMAN, SCORES),
        (ENJA, "English to Japanese", TO_JAPANESE, WITHOUT_SPACES),
    )
    for size in (1_000, 3_000, 10_000, 29_000)
)

ABLATIONS = tuple(
    _experiment(
        name=f"multi30k-{name}",
        source=MULTI30K,
        model=model,
        train=(*FROM_GERMAN, *FOR_TEN_MINUTES, *options),
        minutes=11,
        seeds=1,
        scores=SCORES,
    )
    for name, model, options in (
        ("lstm", "LSTM, general attention without input feeding (Luong et al.)", ()),
        (
            "feeding",
            "LSTM, general attention with input feeding (Luong et al.)",
            ("--attention", "general", "--feeding", "output"),
        ),
        (
            "additive",
            "LSTM, additive attention; the context enters the decoder (Bahdanau et al.)",
            ("--attention", "additive", "--feeding", "context"),
        ),
        ("no-attention", "LSTM without attention (Sutskever et al.)", ("--attention", "none")),
        ("gru", "GRU, general attention without input feeding", ("--cell", "gru")),
        ("rnn", "RNN, general attention without input feeding", ("--cell", "rnn")),
        ("mingru", "MinGRU, general attention without input feeding", ("--cell", "mingru")),
    )
)

EXPERIMENTS = (*PRESETS, *CUTS, *ABLATIONS)
