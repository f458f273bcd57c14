"""Defines the sentiment app, whose models classify raw texts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Group

from apps import frames
from apps.baseline_units import UNITS, read_units, units_of, without_units
from apps.console import log
from apps.inference import open_model
from apps.run import Run
from apps.sentiment import bag_of_words
from apps.sentiment.data import Assets, known_tokens, load, reading
from apps.sentiment.inference import forms, of_keras
from apps.sentiment.kinds import KINDS, Kind
from apps.sentiment.labeled_table import LabeledTexts, Reading, text_column, without_breaks
from apps.sentiment.labeled_texts import load_labeled_texts, load_split
from apps.sentiment.options import READING, Convert, Evaluate, Predict, Train
from apps.sentiment.phone import phone
from apps.sentiment.saved_model import examples, signatures
from apps.sentiment.transfer import copy_weights, encoder_of, rates
from apps.task import Data, Task
from seqmodels.data.embeddings import read_vectors
from seqmodels.data.tables import Table as DataTable
from seqmodels.models import Classifier
from seqmodels.training.objectives import Objective

STANDARD_ERRORS = 1.0  # advantage on the validation split that the recurrent part needs


def build(options: Train, assets: Assets) -> keras.Model:
    settings = options.model_settings()
    vectors = None
    if options.embeddings:
        vectors, _ = read_vectors(options.embeddings, assets.tokenizer.vocabulary)
        settings["embedding_units"] = vectors.shape[1]
    linear = assets.linear
    if linear is not None:
        settings |= {"evidence_scale": linear.scale, "ngram_buckets": linear.buckets, "normalized": True}
    if not options.ngrams:
        settings["reads"] = "words"
    model = Classifier(len(assets.tokenizer), **assets.kind.settings, **settings)
    model.build()
    if vectors is not None:
        model.embedding.set_weights([vectors])
    if folder := encoder_of(options):
        copy_weights(model, folder)
    if linear is not None:
        model.ngrams.set_weights([linear.table, linear.bias])
    return model


def objective(options: Train, assets: Assets) -> Objective:
    return assets.kind.objective(options.label_smoothing)


def calibrated(model: keras.Model, data: Data) -> Data:
    """Adjusts the kind of labels to the predictions for the validation split. See :class:`apps.task.Task`."""
    split, assets = data.source.valid, data.assets
    if not assets.kind.calibrates:
        return data
    (predictions,) = of_keras(model, assets)([split.texts])
    kind = assets.kind.calibrated(predictions, assets.targets(split))
    return replace(data, assets=replace(assets, kind=kind))


def start(options: Train) -> str:
    """Returns the name of the model with its initial weights. See :class:`apps.task.Task`."""
    if not options.ngrams:
        return ""
    return "the model of the earlier run" if options.from_ else "the linear part"


def back_to_start(model: keras.Model, data: Data) -> bool:
    """Removes the recurrent part if it is not clearly better than the linear part on the validation split.

    The mean loss must be lower by more than ``STANDARD_ERRORS`` standard errors of the difference. With few
    validation texts, the best of several epochs is often better only by chance. Without the recurrent part,
    the model equals the linear part.

    Returns:
        True if the recurrent part was removed.
    """
    if data.options is not None and data.options.from_:
        return False
    split, assets = data.source.valid, data.assets
    kind, targets = assets.kind, assets.targets(split)
    (predictions,) = of_keras(model, assets)([split.texts])
    alone = kind.of_linear(assets.linear.outputs(assets.encode(split.texts)))
    gain = kind.losses(alone, targets) - kind.losses(predictions, targets)
    if gain.mean() > STANDARD_ERRORS * gain.std() / np.sqrt(len(gain)):
        return False
    model.head.set_weights([np.zeros_like(weight) for weight in model.head.get_weights()])
    return True


def baselines(data: Data) -> dict[str, Any]:
    """Fits bag-of-words baselines on the training split, and scores them on validation and test splits."""
    source = data.source
    splits = {"valid": source.valid, "test": source.test}
    return _baseline_scores(source.train, source.valid, splits, data.assets)


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any]:
    """Compares the model with the baselines on the validation split. See :class:`apps.task.Task`."""
    split, assets = data.source.valid, data.assets
    kind, targets = assets.kind, assets.targets(split)
    (predictions,) = of_keras(model, assets)([split.texts])
    parts = {f"model {name}": row for name, row in _part_scores(model, split, assets).items()}
    scored = {**fitted, **parts, "model": kind.scores(predictions, targets)}
    rows = {_shown_name(name, row): kind.headline(row) for name, row in scored.items()}
    return {"rows": rows, "verdict": kind.verdict(kind.units(predictions, targets), units_of(fitted))}


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on ``options.data``. The default is the test split of the run."""
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    kind = assets.kind
    how = replace(reading(stored), output=kind.name)
    source = run.trained_on(stored.data, lambda: load_labeled_texts(stored.data, stored.seed, reading=how))
    split = source.test if options.data is None else _other_split(options, how)
    targets = assets.targets(split)
    units = read_units(run) if options.data is None else None
    if units is not None:
        rivals = run.read_json("metrics.json", "baselines")["baselines"]["test"]
    else:
        fitted = _baseline_scores(source.train, source.valid, {"test": split}, assets)["test"]
        rivals, units = without_units(fitted), units_of(fitted)
    model = run.load_model() if assets.linear is not None or options.model == "keras" else None
    opened = forms(run, assets)
    predict_with = opened.keras(model) if options.model == "keras" else open_model(run, options.model, opened)
    (predictions,) = predict_with([split.texts])
    return {
        "data": options.data or stored.data,
        "model": kind.scores(predictions, targets),
        "baselines": rivals,
        "variants": _part_scores(model, split, assets),
        "verdict": kind.verdict(kind.units(predictions, targets), units),
    }


def _part_scores(model: keras.Model | None, split: LabeledTexts, assets: Assets) -> dict[str, dict[str, Any]]:
    """Scores the model without its recurrent part, and without its linear part.

    A model without a linear part has no parts.
    """
    linear, kind = assets.linear, assets.kind
    if linear is None or model is None:
        return {}

    def without_linear(inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        zeros = tf.zeros((tf.shape(inputs["tokens"])[0], linear.table.shape[1]))
        return model({**inputs, "linear_logits": zeros}, training=training)

    (recurrent,) = of_keras(without_linear, assets)([split.texts])
    predictions = {
        "without the recurrent part": kind.of_linear(linear.outputs(assets.encode(split.texts))),
        "without the linear part": recurrent,
    }
    targets = assets.targets(split)
    return {name: kind.scores(each, targets) for name, each in predictions.items()}


def _other_split(options: Evaluate, stored: Reading) -> LabeledTexts:
    """Reads the data of ``evaluate --data``.

    The options in ``READING`` control how the file is read. If the user does not set one of them, the value
    from the training is used.
    """
    given = {name: getattr(options, name) for name in READING}
    chosen = {name: value for name, value in given.items() if value is not None}
    how = replace(stored, **chosen, stored=frozenset(given) - frozenset(chosen))
    notes: list[str] = []
    split = load_split(str(options.data), reading=how, notes=notes)
    for note in notes:
        log.print(f"note: {note}")
    return split


def _input_column(table: DataTable, options: Mapping[str, Any]) -> str:
    return text_column(table, Reading(text=options.get("text"), stored=frozenset({"text"})))


def predict(run: Run, chunks: Iterable[list[str]], options: Predict) -> Iterator[dict[str, Any]]:
    """Yields one record per text: the prediction, and the number of known tokens.

    The number includes only tokens that remain after truncation. If a text has no known tokens, the model
    reads it as an empty text. A note at the end states the number of these texts.
    """
    assets = Assets.load(run.assets)
    predictions_of = open_model(run, options.model, forms(run, assets))
    pending: list[list[str]] = []
    texts = without = 0

    def remembered() -> Iterator[list[str]]:
        for chunk in chunks:
            pending.append(chunk)
            yield [without_breaks(text) for text in chunk]

    for predictions in predictions_of(remembered()):
        chunk = pending.pop()
        known = known_tokens(assets.encode(chunk))
        texts, without = texts + len(chunk), without + int(np.sum(known == 0))
        for text, row, count in zip(chunk, predictions, known):
            yield {"text": text, **assets.kind.record(row), "known_tokens": int(count)}
    if without:
        print(
            f"note: {without} of {texts} texts are empty or have only unknown words; "
            "the model reads each of them as an empty text",
            file=sys.stderr,
        )


def _baseline_scores(
    train: LabeledTexts, valid: LabeledTexts, splits: dict[str, LabeledTexts], assets: Assets
) -> dict[str, dict[str, Any]]:
    """Scores the bag-of-words baselines on each split.

    The scores contain the contribution of each text as the entry ``units``, see :class:`apps.task.Task`.
    """
    known = valid.texts, assets.targets(valid)
    fitted = bag_of_words.fit(train.texts, assets.targets(train), assets.kind, known)
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for name, split in splits.items():
        targets = assets.targets(split)
        for baseline in fitted:
            predictions = baseline.predict(split.texts)
            scores[name][baseline.name] = {
                **baseline.kind.scores(predictions, targets),
                **({"features": baseline.features} if baseline.features else {}),
                UNITS: baseline.kind.units(predictions, targets),
            }
    return scores


def _shown_name(name: str, row: Mapping[str, Any]) -> str:
    """Returns the name of a baseline with its features, such as ``naive Bayes (word 1-2-grams)``."""
    return f"{name} ({row['features']})" if row.get("features") else name


def _kind_of_scores(scores: Mapping[str, Any]) -> type[Kind]:
    """Returns the kind of labels that has these scores."""
    return next(kind for kind in KINDS.values() if kind.own_score in scores)


def headline(scores: dict[str, Any]) -> dict[str, float]:
    return _kind_of_scores(scores).headline(scores)


def render_scores(scores: dict[str, Any]) -> Group:
    """Returns the tables of scores. The rows of the first table are the baselines and the model."""
    model = scores["model"]
    variants = {f"model {name}": row for name, row in scores["variants"].items()}
    rows = {
        _shown_name(name, row): row
        for name, row in {**scores["baselines"], **variants, "model": model}.items()
    }
    title = f"{scores['data']}: {model['examples']} texts, with 95 % intervals"
    return _kind_of_scores(model).render(title, rows, model)


def render_prediction(record: dict[str, Any]) -> str:
    """Returns one line with prediction and text. Tabs and line breaks in the text are escaped."""
    text = record["text"].translate({ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"})
    return f"{next(kind for kind in KINDS.values() if kind.entry in record).rendered(record)}\t{text}"


def plot(run: Run, scores: dict[str, Any]) -> list[Path]:
    return _kind_of_scores(scores).plot(run.plots, scores)


TASK = Task(
    name="sentiment",
    Train=Train,
    Evaluate=Evaluate,
    Predict=Predict,
    Convert=Convert,
    load=load,
    load_assets=Assets.load,
    build=build,
    objective=objective,
    monitor=("valid_loss", False),
    rates=rates,
    start=start,
    back_to_start=back_to_start,
    baselines=baselines,
    validate=validate,
    calibrated=calibrated,
    evaluate=evaluate,
    predict=predict,
    headline=headline,
    render_scores=render_scores,
    render_prediction=render_prediction,
    plot=plot,
    signatures=signatures,
    examples=examples,
    phone=phone,
    store=partial(frames.write_table, columns=("text", "label"), lists=True),
    inputs=frames.texts,
    input_column=_input_column,
)
