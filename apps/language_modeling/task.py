"""Defines the language modeling app, whose models predict the next token of a text."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table

from apps import frames
from apps.baseline_units import UNITS, read_units, units_of, without_units
from apps.console import log
from apps.inference import open_model
from apps.language_modeling import ngrams
from apps.language_modeling.adaptation import cached_losses, dynamic_losses
from apps.language_modeling.corpora import Reading, load_text, text_column
from apps.language_modeling.data import LINE_END, characters, encode, load, reading, stream, trained, words
from apps.language_modeling.generation import generate
from apps.language_modeling.inference import FORMS, Losses
from apps.language_modeling.metrics import block_sums, language_scores, language_verdict, log_loss_interval
from apps.language_modeling.mixture import (
    Partner,
    advice,
    exported,
    mixed_losses,
    mixture_lines,
    partner,
    unmixed,
)
from apps.language_modeling.options import WITHOUT, Evaluate, Export, Predict, Train
from apps.language_modeling.phone import phone
from apps.language_modeling.saved_model import SERVED, examples, signatures
from apps.options import ConvertOptions
from apps.run import Run
from apps.task import Data, Task
from apps.verdict import with_interval
from seqmodels.data.table import Table as DataTable
from seqmodels.data.tokenizer import END, SPECIAL_TOKENS, UNKNOWN, Tokenizer
from seqmodels.errors import DataError, UsageError
from seqmodels.evaluation import plots
from seqmodels.models import FixedWindowModel, LanguageModel
from seqmodels.training.objectives import Objective, next_token

MODELS: dict[str, type[keras.Model]] = {"recurrent": LanguageModel, "fixed-window": FixedWindowModel}
RIVALS: dict[str, Callable[[np.ndarray, int], ngrams.NGrams]] = {
    "unigram": ngrams.unigram,
    "Markov, first order": partial(ngrams.markov, end=END),
    "Kneser-Ney, 3-grams": partial(ngrams.kneser_ney, order=3, end=END),
    "Kneser-Ney, 5-grams": partial(ngrams.kneser_ney, order=5, end=END),
}

STRONGEST = "Kneser-Ney, 5-grams"
POSITIONS = 50  # number of positions, from the start of a line, for which the mean loss is reported
# ``info`` shows example tokens, and the tokens with the nearest embeddings. NEIGHBOURS_OF is the number of
# examples. NEIGHBOURS is the number of nearest tokens per example.
NEIGHBOURS, NEIGHBOURS_OF = 5, 6


def build(options: Train, tokenizer: Sized) -> keras.Model:
    if options.cluster_edges and options.cluster_edges[-1] >= len(tokenizer):
        raise UsageError(
            f"--cutoffs {options.cutoffs} must be below the vocabulary size; "
            f"the vocabulary has {len(tokenizer)} entries"
        )
    settings = options.model_settings(without=WITHOUT["model"][options.model])
    samples = options.samples if options.samples < len(tokenizer) else 0
    model = MODELS[options.model](len(tokenizer), cutoffs=options.cluster_edges, samples=samples, **settings)
    model.build()
    return model


def objective(options: Train, assets: object) -> Objective:
    return next_token(options.activation_penalty, options.temporal_penalty)


def perplexity(means: dict[str, float]) -> dict[str, float]:
    """Computes the perplexity: ``exp`` of the mean loss, or infinity if ``exp`` overflows."""
    return {"perplexity": math.exp(means["loss"]) if means["loss"] < 700 else math.inf}


def baselines(data: Data) -> dict[str, Any]:
    """Fits n-gram models on the training split, and scores them on the validation and test splits."""
    source = data.source
    return _rivals(data.assets, source.train, {"valid": source.valid, "test": source.test})


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any]:
    """Compares the model with the baselines on the validation split. See :class:`apps.task.Task`."""
    lines = data.source.valid
    ids = stream(data.assets, lines)
    losses = FORMS.keras(model)(ids)
    rows = {**fitted, "model": _scores(data.assets, losses, ids, lines)}
    return {
        "rows": {name: headline(row) for name, row in rows.items()},
        "verdict": language_verdict(block_sums(losses), units_of(fitted)),
    }


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on ``options.data``. The default is the test split of the run."""
    stored, tokenizer, source = trained(run)
    lines = source.test if options.data is None else _other_text(options, stored)
    ids = stream(tokenizer, lines)
    if not len(ids):
        raise DataError(f"{options.data} contains no tokens; expected text")
    units = read_units(run) if options.data is None else None
    if units is not None:
        rivals = run.read_json("metrics.json", "baselines")["baselines"]["test"]
    else:
        fitted = _rivals(tokenizer, source.train, {"test": lines})["test"]
        rivals, units = without_units(fitted), units_of(fitted)
    if options.beside:
        rivals = {**rivals, options.beside: _other(run, options.beside, lines)}
    parameters = run.read_json("metrics.json")["parameters"]
    mix = partner(tokenizer, source, options.mix_order) if options.mix else None
    losses_of = open_model(run, options.model, unmixed(run) if mix else FORMS)
    rows: dict[str, dict[str, Any]] = {}
    methods = {"": losses_of, **_adapted(run, options, tokenizer, source.train)}
    found = {name: method(ids) for name, method in methods.items()}
    for name, losses in found.items():
        rows[name] = _scores(tokenizer, losses, ids, lines)
        if mix:
            mixed = f"{name}, mixed with {mix.name}" if name else f"mixed with {mix.name}"
            rows[mixed] = _mixed_scores(mix, methods[name], losses, tokenizer, ids, lines)
            rows[mixed]["parameters"] = parameters + rows[mixed]["parameters"]
    if mix:
        also = {mix.name: _rival_scores(mix.fitted, tokenizer, ids, lines)}
        rivals, units = {**rivals, **without_units(also)}, {**units, **units_of(also)}
    scores = {**rows.pop(""), "parameters": parameters}
    return {
        "data": options.data or stored.data,
        "model": scores,
        "variants": rows,
        "baselines": rivals,
        "verdict": language_verdict(block_sums(found[""]), units),
    }


def _mixed_scores(
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
        **_scores(tokenizer, mixed, ids, lines),
        "parameters": sum(mix.fitted.stored) + 1,
        "weight": weight,
        "weight_tokens": len(mix.valid),
        "difference": {
            name: {"log_loss": float(np.mean(each)), "interval": log_loss_interval(each)}
            for name, each in (("model", mixed - losses), (mix.name, mixed - of_ngrams))
        },
    }


def _other_text(options: Evaluate, stored: Train) -> list[str]:
    """Reads the text in ``evaluate --data``. Returns its lines, and prints the notes on the text."""
    notes: list[str] = []
    how = reading(stored).of_other_data(options.encoding, options.text)
    lines = load_text(str(options.data), reading=how, notes=notes)
    for note in notes:
        log.print(f"note: {note}")
    return lines


def _input_column(table: DataTable, options: Mapping[str, Any]) -> str:
    return text_column(table, Reading(text=options.get("text"), optional=True))


def predict(run: Run, chunks: Iterable[list[str]], options: Predict) -> Iterator[dict[str, Any]]:
    """Yields one record per text, with the log-probability of every token. Line ends are also tokens."""
    tokenizer, losses_of = Tokenizer.load(run.assets), open_model(run, options.model, FORMS)
    limit = -math.log(options.surprise) if options.surprise else math.inf
    for chunk in chunks:
        for text, ids in zip(chunk, encode(tokenizer, tf.constant(chunk)).to_list()):
            losses = losses_of(np.array(ids, np.int32))
            names = [name for line in re.split(LINE_END, text) for name in tokenizer.spell(line)]
            tokens = [
                {"token": token, "log_probability": round(-float(loss), 4), "surprising": bool(loss > limit)}
                for token, loss in zip(names, losses)
            ]
            yield {
                "text": text,
                "log_probability": round(-float(losses.sum()), 4),
                "perplexity": round(math.exp(min(losses.mean(), 700)), 4),
                "tokens": tokens,
            }


def _rivals(
    tokenizer: Tokenizer, train: Sequence[str], splits: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    train_ids = stream(tokenizer, train)
    ids = {name: stream(tokenizer, lines) for name, lines in splits.items()}
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for rival, fit in RIVALS.items():
        fitted = fit(train_ids, len(tokenizer))
        for name, lines in splits.items():
            scores[name][rival] = _rival_scores(fitted, tokenizer, ids[name], lines)
    return scores


def _rival_scores(
    fitted: ngrams.NGrams, tokenizer: Tokenizer, ids: np.ndarray, lines: Sequence[str]
) -> dict[str, Any]:
    losses = -fitted.log_probabilities(ids)
    return {
        **_scores(tokenizer, losses, ids, lines),
        "parameters": sum(fitted.stored),
        "fallbacks": fitted.fallbacks,
        UNITS: block_sums(losses),
    }


def _other(run: Run, path: str, lines: Sequence[str]) -> dict[str, Any]:
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
    scores = _scores(tokenizer, open_model(other, "keras", FORMS)(ids), ids, lines)
    return {**scores, "parameters": other.read_json("metrics.json")["parameters"]}


def _adapted(run: Run, options: Evaluate, tokenizer: Tokenizer, train: Sequence[str]) -> dict[str, Losses]:
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


def _scores(
    tokenizer: Tokenizer, losses: np.ndarray, ids: np.ndarray, lines: Sequence[str]
) -> dict[str, Any]:
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


def headline(scores: dict[str, Any]) -> dict[str, float]:
    names = ("perplexity", "word_perplexity", "bits_per_character")
    return {name: scores[name] for name in names if name in scores}


def describe(run: Run) -> dict[str, Any]:
    """Returns additional rows for ``info``.

    The first rows show how many parameters each baseline has. The next rows show how many entries a table of
    all possible n-grams would have. The last rows show example tokens, and the tokens with the nearest
    embeddings.
    """
    tokenizer, model = Tokenizer.load(run.assets), run.load_model()
    orders = {2, 3, 5} | ({model.window + 1} if isinstance(model, FixedWindowModel) else set())
    rivals = run.read_json("metrics.json")["baselines"]["test"]
    facts: dict[str, Any] = {f"parameters, {name}": row["parameters"] for name, row in rivals.items()}
    facts |= {f"parameters, full table of {n}-grams": len(tokenizer) ** n for n in sorted(orders)}
    vectors = model.embedding.get_weights()[0]
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    places = np.geomspace(len(SPECIAL_TOKENS), len(tokenizer), NEIGHBOURS_OF, endpoint=False)
    for token in np.unique(places.astype(int)).tolist():
        likeness = vectors @ vectors[token]  # (vocabulary,)
        likeness[[*range(len(SPECIAL_TOKENS)), token]] = -np.inf
        nearest = np.argsort(-likeness)[: min(NEIGHBOURS, len(tokenizer) - len(SPECIAL_TOKENS) - 1)]
        names = [f"{tokenizer.vocabulary[index]} {likeness[index]:.2f}" for index in nearest]
        facts[f"nearest to {tokenizer.vocabulary[token]}"] = ", ".join(names)
    return facts


def render_scores(scores: dict[str, Any]) -> Table:
    """Returns a table of scores.

    The rows are the baselines, the model, and the model with a cache, with dynamic evaluation or in a
    mixture. The second line of a cell is the 95 % interval of the score.
    """
    model = scores["model"]
    named = {**scores["baselines"], "model": model}
    named |= {f"model {name}": row for name, row in scores["variants"].items()}
    columns = ["perplexity", "word perplexity", "nats per token"]
    bits = "bits_per_character" in model
    title = f"{scores['data']}: {model['tokens']:,} tokens, {model['unknown']:.1%} unknown"
    if "words" in model:
        title += f"; {model['words']:,} words, line ends included"
    caption = "\n".join(line for name, row in named.items() for line in mixture_lines(name, row))
    headers = [*columns, *(["bits per character"] if bits else []), "parameters"]
    table = Table("", *headers, title=title, caption=caption or None)
    keys = {"perplexity": ".2f", "word_perplexity": ".2f", "log_loss": ".4f"}
    keys |= {"bits_per_character": ".4f"} if bits else {}
    for name, row in named.items():
        table.add_row(
            f"{name} (discounts not estimated)" if row.get("fallbacks") else name,
            *(
                with_interval(f"{row[key]:{form}}", row.get(f"{key}_interval"), form) if key in row else ""
                for key, form in keys.items()
            ),
            f"{row['parameters']:,}" if "parameters" in row else "",
        )
    return table


def render_prediction(record: dict[str, Any]) -> str:
    """Returns one line with perplexity, log-probability and tokens. Asterisks enclose surprising tokens."""
    tokens = [f"*{each['token']}*" if each["surprising"] else each["token"] for each in record["tokens"]]
    shown = " ".join(tokens).translate({ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"})
    return f"{record['perplexity']:.2f}\t{record['log_probability']:.2f}\t{shown}"


def plot(run: Run, scores: dict[str, Any]) -> list[Path]:
    rivals = run.read_json("metrics.json")["baselines"]["test"]
    rows = {"model": scores["by_position"], STRONGEST: rivals[STRONGEST]["by_position"]}
    curves = [
        plots.Curve(name, [row["position"] for row in of_model], [row["log_loss"] for row in of_model])
        for name, of_model in rows.items()
    ]
    panel = plots.Panel("Loss by position in the line", "position (tokens)", "loss (nats per token)", curves)
    return [plots.curves([panel], run.plots / "loss_by_position.png")]


TASK = Task(
    name="language_modeling",
    Train=Train,
    Evaluate=Evaluate,
    Predict=Predict,
    Convert=ConvertOptions,
    load=load,
    load_assets=Tokenizer.load,
    build=build,
    objective=objective,
    initial_carried=lambda model, rows: model.get_initial_state(rows),
    monitor=("valid_loss", False),
    derive=perplexity,
    baselines=baselines,
    validate=validate,
    evaluate=evaluate,
    predict=predict,
    input_column=_input_column,
    verbs={"generate": generate},
    headline=headline,
    describe=describe,
    advice=advice,
    Export=Export,
    exported=exported,
    served=SERVED,
    render_scores=render_scores,
    render_prediction=render_prediction,
    plot=plot,
    signatures=signatures,
    examples=examples,
    phone=phone,
    store=frames.write_lines,
    inputs=frames.texts,
)
