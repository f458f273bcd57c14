"""Language modeling: the next token of running text. Read from top to bottom, this is the app."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import keras
import numpy as np

from apps.language_modeling.data import characters, load, stream, words
from apps.language_modeling.options import Evaluate, Predict, Train
from apps.task import Data, Task
from seqmodels.baselines import ngrams
from seqmodels.data.tokenizer import END, Tokenizer
from seqmodels.models import FixedWindowModel, LanguageModel
from seqmodels.training.losses import Objective, next_token
from seqmodels.training.metrics import language_scores

SHARED_OPTIONS = (
    "embedding_units",
    "units",
    "tied",
    "embedding_dropout",
    "input_dropout",
    "output_dropout",
)
MODELS: dict[str, tuple[type[keras.Model], tuple[str, ...]]] = {
    "recurrent": (
        LanguageModel,
        ("cell", "layers", "residual", "layer_dropout", "recurrent_dropout", "weight_dropout"),
    ),
    "fixed-window": (FixedWindowModel, ("window",)),
}
RIVALS: dict[str, Callable[[np.ndarray, int], ngrams.NGrams]] = {
    "unigram": ngrams.unigram,
    "Markov, first order": partial(ngrams.markov, end=END),
    "Kneser-Ney, 3-grams": partial(ngrams.kneser_ney, order=3, end=END),
    "Kneser-Ney, 5-grams": partial(ngrams.kneser_ney, order=5, end=END),
}


def build(options: Train, tokenizer: Tokenizer) -> keras.Model:
    kind, names = MODELS[options.model]
    settings = {name: value for name, value in asdict(options).items() if name in (*SHARED_OPTIONS, *names)}
    model = kind(len(tokenizer), cutoffs=options.cluster_edges, **settings)
    model.build()
    return model


def objective(options: Train) -> Objective:
    return next_token(options.activation_penalty, options.temporal_penalty)


def perplexity(means: dict[str, float]) -> dict[str, float]:
    """``exp`` of the mean negative log-likelihood; infinite where that is more than a float holds."""
    return {"perplexity": math.exp(means["loss"]) if means["loss"] < 700 else math.inf}


def baselines(data: Data) -> dict[str, Any]:
    """Scores of the counting models on validation and test, fitted on the training split."""
    source, tokenizer = data.source, data.assets
    train = stream(tokenizer, source.train)
    splits = {name: getattr(source, name) for name in ("valid", "test")}
    ids = {name: stream(tokenizer, lines) for name, lines in splits.items()}
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for rival, fit in RIVALS.items():
        fitted = fit(train, len(tokenizer))
        for name, lines in splits.items():
            losses = -fitted.log_probabilities(ids[name])
            scores[name][rival] = {**_scores(tokenizer, losses, lines), "parameters": sum(fitted.stored)}
    return scores


def _scores(tokenizer: Tokenizer, losses: np.ndarray, lines: Sequence[str]) -> dict[str, Any]:
    whole = tokenizer.settings.unit in ("character", "byte") and not tokenizer.settings.lowercase
    return language_scores(losses, words(lines), characters(lines) if whole else None)


def headline(scores: dict[str, Any]) -> dict[str, float]:
    return {"perplexity": scores["perplexity"]}


TASK = Task(
    name="language_modeling",
    Train=Train,
    Evaluate=Evaluate,
    Predict=Predict,
    load=load,
    load_assets=Tokenizer.load,
    build=build,
    objective=objective,
    initial_carried=lambda model, rows: model.get_initial_state(rows),
    derive=perplexity,
    monitor=("valid_loss", False),
    baselines=baselines,
    evaluate=None,
    predict=None,
    headline=headline,
    render_scores=None,
    render_prediction=None,
    plot=None,
    signatures=None,
    examples=None,
    phone=None,
)
