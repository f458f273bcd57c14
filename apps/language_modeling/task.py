"""Defines the language modeling app, whose models predict the next token of a text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sized
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table

from apps import frames
from apps.baseline_units import read_units, units_of, without_units
from apps.console import log
from apps.inference import open_model
from apps.language_modeling.corpora import Reading, load_text, text_column
from apps.language_modeling.data import LINE_END, encode, load, reading, stream, trained
from apps.language_modeling.generation import generate
from apps.language_modeling.inference import FORMS
from apps.language_modeling.metrics import block_sums, language_verdict
from apps.language_modeling.mixture import (
    advice,
    exported,
    mixture_lines,
    partner,
    unmixed,
)
from apps.language_modeling.options import WITHOUT, Evaluate, Export, Predict, Train
from apps.language_modeling.phone import phone
from apps.language_modeling.saved_model import SERVED, examples, signatures
from apps.language_modeling.scoring import (
    STRONGEST,
    adapted,
    mixed_scores,
    rival_scores,
    rivals_of,
    scores_of,
    scores_of_run,
)
from apps.options import ConvertOptions
from apps.run import Run
from apps.task import Data, Task
from apps.verdict import with_interval
from seqmodels.data.table import Table as DataTable
from seqmodels.data.tokenizer import SPECIAL_TOKENS, Tokenizer
from seqmodels.errors import DataError, UsageError
from seqmodels.evaluation import plots
from seqmodels.models import FixedWindowModel, LanguageModel
from seqmodels.training.objectives import Objective, next_token

MODELS: dict[str, type[keras.Model]] = {"recurrent": LanguageModel, "fixed-window": FixedWindowModel}
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
    return rivals_of(data.assets, source.train, {"valid": source.valid, "test": source.test})


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any]:
    """Compares the model with the baselines on the validation split. See :class:`apps.task.Task`."""
    lines = data.source.valid
    ids = stream(data.assets, lines)
    losses = FORMS.keras(model)(ids)
    rows = {**fitted, "model": scores_of(data.assets, losses, ids, lines)}
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
        fitted = rivals_of(tokenizer, source.train, {"test": lines})["test"]
        rivals, units = without_units(fitted), units_of(fitted)
    if options.beside:
        rivals = {**rivals, options.beside: scores_of_run(run, options.beside, lines)}
    parameters = run.read_json("metrics.json")["parameters"]
    mix = partner(tokenizer, source, options.mix_order) if options.mix else None
    losses_of = open_model(run, options.model, unmixed(run) if mix else FORMS)
    rows: dict[str, dict[str, Any]] = {}
    methods = {"": losses_of, **adapted(run, options, tokenizer, source.train)}
    found = {name: method(ids) for name, method in methods.items()}
    for name, losses in found.items():
        rows[name] = scores_of(tokenizer, losses, ids, lines)
        if mix:
            mixed = f"{name}, mixed with {mix.name}" if name else f"mixed with {mix.name}"
            rows[mixed] = mixed_scores(mix, methods[name], losses, tokenizer, ids, lines)
            rows[mixed]["parameters"] = parameters + rows[mixed]["parameters"]
    if mix:
        also = {mix.name: rival_scores(mix.fitted, tokenizer, ids, lines)}
        rivals, units = {**rivals, **without_units(also)}, {**units, **units_of(also)}
    scores = {**rows.pop(""), "parameters": parameters}
    return {
        "data": options.data or stored.data,
        "model": scores,
        "variants": rows,
        "baselines": rivals,
        "verdict": language_verdict(block_sums(found[""]), units),
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
