"""What can be set for sentiment. Loads no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.options import (
    ConvertTextOptions,
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    data_option,
    option,
)
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS, KEEPS, PARALLEL_CELLS, POOLINGS, SPLITS, UNITS


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {"epochs": 3, "learning_rate": 0.003, "units": 32},
        "default": {},
        "best": {
            "ngrams": 3,
            "split": "punctuation",
            "vocabulary": 45_000,
            "length": 800,
            "units": 48,
            "pooling": "max+mean",
            "dropout": 0.2,
            "epochs": 5,
            "learning_rate": 0.004,
            "schedule": "cosine",
            "warmup": 0.02,
        },
    }

    data: str = data_option("reviews")
    unit: str = option("word", "What a token is.", choices=UNITS[:2])
    split: str = option(
        "letters",
        "Where words end: at all but letters and digits, at punctuation too, or at white space.",
        choices=SPLITS,
    )
    lowercase: bool = option(True, "Lower-case all text.")
    vocabulary: int = option(20_000, "Entries of the vocabulary, at most.", minimum=10)
    minimum_count: int = option(2, "Words that are rarer in the training split are unknown.", minimum=1)
    length: int = option(256, "Tokens of a text, at most; longer ones are cut.", minimum=2)
    keep: str = option("both", "Which part of a text that is too long.", choices=KEEPS)
    buckets: int = option(6, "Padded lengths; each costs a compilation of seconds.", minimum=1, maximum=8)
    embeddings: str | None = option(None, "Pretrained vectors: a file in the text format of GloVe.")
    embedding_units: int = option(
        32,
        "Width of a token's vector, unless --embeddings gives it or --ngrams needs none.",
        minimum=1,
        model=True,
    )
    cell: str = option("lstm", "Recurrent cell.", choices=tuple(CELLS), model=True)
    units: int = option(64, "Features of a recurrent state.", minimum=1, model=True)
    layers: int = option(1, "Recurrent layers on top of each other.", minimum=1, model=True)
    bidirectional: bool = option(True, "Run each layer in both directions.", model=True)
    residual: bool = option(False, "Add the input of a recurrent layer to its output.", model=True)
    pooling: str = option(
        "max",
        "From outputs to one vector: last, mean, max, attention, or several joined by +.",
        model=True,
    )
    word_dropout: float = option(
        0.05, "Probability of hiding a token in training.", minimum=0, maximum=0.99, model=True
    )
    dropout: float = option(
        0.3, "Probability of dropping a feature between layers.", minimum=0, maximum=0.99, model=True
    )
    recurrent_dropout: float = option(
        0.0,
        "Probability of dropping a feature of the state.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    weight_dropout: float = option(
        0.0,
        "Probability of dropping a recurrent weight.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    ngrams: int = option(
        0,
        "Longest n-gram of a linear model, which the network reads in the place of words; 0 for none.",
        minimum=0,
        model=True,
    )
    ngram_buckets: int = option(
        2**21, "Rows of its table; n-grams share them by their hashes.", minimum=1, model=True
    )
    label_smoothing: float = option(
        0.0, "Share of the target that is spread over all classes.", minimum=0, maximum=0.99
    )
    class_weights: str = option(
        "none", "Weigh rows by the inverse frequency of their class.", choices=("none", "balanced")
    )

    def check(self) -> None:
        super().check()
        if self.cell in PARALLEL_CELLS and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError(f"--cell {self.cell}: has no recurrent product; leave its dropouts at 0")
        names = self.pooling.split("+")
        if len(set(names)) < len(names):
            raise UsageError(f"--pooling {self.pooling}: names one twice; expected each at most once")
        for name in names:
            if name not in POOLINGS:
                raise UsageError(
                    f"--pooling: {name!r} is unknown; expected {', '.join(POOLINGS)}, or several joined by +"
                )
        if self.embeddings is not None and self.ngrams:
            raise UsageError(
                f"--embeddings {self.embeddings}: a model with --ngrams reads no words; leave it out"
            )
        if self.embeddings is not None and os.path.isdir(self.embeddings):
            raise UsageError(f"--embeddings {self.embeddings}: is a folder; expected a file of vectors")
        if self.embeddings is not None and not os.path.isfile(self.embeddings):
            raise UsageError(
                f"--embeddings {self.embeddings}: no such file; expected vectors in the text format of GloVe"
            )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""


@dataclass(frozen=True, kw_only=True)
class Convert(ConvertTextOptions):
    """Options of ``convert``."""

    keep: str | None = option(None, "Part of a longer text to keep. Default: as in the run.", choices=KEEPS)


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""
