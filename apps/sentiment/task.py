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
from rich.table import Table

from apps import frames
from apps.baseline_units import UNITS, read_units, units_of, without_units
from apps.console import log
from apps.inference import open_model
from apps.run import Run
from apps.sentiment import bag_of_words
from apps.sentiment.data import Assets, known_tokens, load, reading
from apps.sentiment.inference import forms, of_keras
from apps.sentiment.labeled_table import LabeledTexts, Reading, text_column, without_breaks
from apps.sentiment.labeled_texts import load_labeled_texts, load_split
from apps.sentiment.metrics import ACCURACY, classification_scores
from apps.sentiment.options import READING, Convert, Evaluate, Predict, Train
from apps.sentiment.phone import phone
from apps.sentiment.saved_model import examples, signatures
from apps.task import Data, Task
from apps.verdict import against_best, with_interval
from seqmodels.data.embeddings import read_glove
from seqmodels.data.tables import Table as DataTable
from seqmodels.evaluation import mcnemar, plots
from seqmodels.models import Classifier
from seqmodels.training.objectives import Objective, classification


def build(options: Train, assets: Assets) -> keras.Model:
    settings = options.model_settings()
    vectors = None
    if options.embeddings:
        vectors, _ = read_glove(options.embeddings, assets.tokenizer.vocabulary)
        settings["embedding_units"] = vectors.shape[1]
    linear = assets.linear
    if linear is not None:
        settings |= {"evidence_scale": linear.scale, "ngram_buckets": linear.buckets, "normalized": True}
    if not options.ngrams:
        settings["reads"] = "words"
    model = Classifier(len(assets.tokenizer), len(assets.classes), **settings)
    model.build()
    if vectors is not None:
        model.embedding.set_weights([vectors])
    if linear is not None:
        model.ngrams.set_weights([linear.table, linear.bias])
    return model


def objective(options: Train) -> Objective:
    return classification(options.label_smoothing)


def baselines(data: Data) -> dict[str, Any]:
    """Fits bag-of-words baselines on the training split, and scores them on validation and test splits."""
    source = data.source
    splits = {"valid": source.valid, "test": source.test}
    return _baseline_scores(source.train, source.valid, splits, data.assets)


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any]:
    """Compares the model with the baselines on the validation split. See :class:`apps.task.Task`."""
    split, assets = data.source.valid, data.assets
    (probabilities,) = of_keras(model, assets)([split.texts])
    labels = assets.labels(split)
    own = classification_scores(probabilities, labels, assets.classes)
    parts = {f"model {name}": row for name, row in _part_scores(model, split, assets).items()}
    scored = {**fitted, **parts, "model": own}
    rows = {_shown_name(name, row): headline(row) for name, row in scored.items()}
    return {"rows": rows, "verdict": _verdict(probabilities.argmax(axis=1) == labels, units_of(fitted))}


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on ``options.data``. The default is the test split of the run."""
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    how = reading(stored)
    source = run.trained_on(stored.data, lambda: load_labeled_texts(stored.data, stored.seed, reading=how))
    split = source.test if options.data is None else _other_split(options, how)
    labels = assets.labels(split)
    units = read_units(run) if options.data is None else None
    if units is not None:
        rivals = run.read_json("metrics.json", "baselines")["baselines"]["test"]
    else:
        fitted = _baseline_scores(source.train, source.valid, {"test": split}, assets)["test"]
        rivals, units = without_units(fitted), units_of(fitted)
    (probabilities,) = open_model(run, options.model, forms(run, assets))([split.texts])
    parts = _part_scores(run.load_model(), split, assets) if assets.linear is not None else {}
    return {
        "data": options.data or stored.data,
        "model": classification_scores(probabilities, labels, assets.classes),
        "baselines": rivals,
        "variants": parts,
        "verdict": _verdict(probabilities.argmax(axis=1) == labels, units),
    }


def _part_scores(model: keras.Model, split: LabeledTexts, assets: Assets) -> dict[str, dict[str, Any]]:
    """Scores the model without its recurrent part, and without its linear part.

    A model without a linear part has no parts.
    """
    linear = assets.linear
    if linear is None:
        return {}

    def without_linear(inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        zeros = tf.zeros((tf.shape(inputs["tokens"])[0], linear.table.shape[1]))
        return model({**inputs, "linear_logits": zeros}, training=training)

    (recurrent,) = of_keras(without_linear, assets)([split.texts])
    probabilities = {
        "without the recurrent part": linear.probabilities(assets.encode(split.texts)),
        "without the linear part": recurrent,
    }
    labels = assets.labels(split)
    return {name: classification_scores(each, labels, assets.classes) for name, each in probabilities.items()}


def _verdict(correct: np.ndarray, others: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compares the correct predictions ``(n,)`` of the model with those of the best baseline."""
    return against_best(ACCURACY, correct, others, lambda units: float(np.mean(units)), mcnemar)


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
    """Yields one record per text: label, probability of each class, and number of known tokens.

    The number includes only tokens that remain after truncation. If a text has no known tokens, the model
    reads it as an empty text. A note at the end states the number of these texts.
    """
    assets = Assets.load(run.assets)
    probabilities_of = open_model(run, options.model, forms(run, assets))
    pending: list[list[str]] = []
    texts = without = 0

    def remembered() -> Iterator[list[str]]:
        for chunk in chunks:
            pending.append(chunk)
            yield [without_breaks(text) for text in chunk]

    for probabilities in probabilities_of(remembered()):
        chunk = pending.pop()
        known = known_tokens(assets.encode(chunk))
        texts, without = texts + len(chunk), without + int(np.sum(known == 0))
        for text, row, count in zip(chunk, probabilities, known):
            label = assets.classes[int(row.argmax())]
            named = {name: round(float(p), 6) for name, p in zip(assets.classes, row)}
            yield {"text": text, "label": label, "probabilities": named, "known_tokens": int(count)}
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

    The scores contain the correct predictions as the entry ``units``, ``(n,)``.
    """
    fitted = bag_of_words.fit(train.texts, train.labels, assets.classes, (valid.texts, valid.labels))
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for name, split in splits.items():
        labels = assets.labels(split)
        for baseline in fitted:
            probabilities = baseline.probabilities(split.texts)
            scores[name][baseline.name] = {
                **classification_scores(probabilities, labels, assets.classes),
                **({"features": baseline.features} if baseline.features else {}),
                UNITS: probabilities.argmax(axis=1) == labels,
            }
    return scores


def _shown_name(name: str, row: dict[str, Any]) -> str:
    """Returns the name of a baseline with its features, such as ``naive Bayes (word 1-2-grams)``."""
    return f"{name} ({row['features']})" if row.get("features") else name


def headline(scores: dict[str, Any]) -> dict[str, float]:
    return {name: scores[name] for name in ("accuracy", "macro_f1", "log_loss")}


def render_scores(scores: dict[str, Any]) -> Group:
    """Returns three tables: all scores, the scores per class, and the confusion matrix."""
    model = scores["model"]
    title = f"{scores['data']}: {model['examples']} texts, with 95 % intervals"
    side = Table("", "accuracy", "macro F1", "log loss", "calibration error", title=title)
    variants = {f"model {name}": row for name, row in scores["variants"].items()}
    for name, row in {**scores["baselines"], **variants, "model": model}.items():
        cells = [with_interval(f"{row['accuracy']:.2%}", row["accuracy_interval"], ".2%")]
        for key in ("macro_f1", "log_loss"):
            cells.append(with_interval(f"{row[key]:.4f}", row.get(f"{key}_interval"), ".4f"))
        side.add_row(_shown_name(name, row), *cells, f"{row['calibration_error']:.4f}")
    classes = Table("class", "precision", "recall", "F1", "texts")
    for name, row in model["per_class"].items():
        classes.add_row(
            name, *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")), str(row["support"])
        )
    confusion = Table("true \\ predicted", *model["per_class"])
    for name, counts in zip(model["per_class"], model["confusion"]):
        confusion.add_row(name, *map(str, counts))
    return Group(side, classes, confusion)


def render_prediction(record: dict[str, Any]) -> str:
    """Returns one line with label, probability and text. Tabs and line breaks in the text are escaped."""
    text = record["text"].translate({ord("\t"): "\\t", ord("\n"): "\\n", ord("\r"): "\\r"})
    return f"{record['label']}\t{record['probabilities'][record['label']]:.4f}\t{text}"


def plot(run: Run, scores: dict[str, Any]) -> list[Path]:
    return [
        plots.confusion_matrix(
            scores["confusion"], list(scores["per_class"]), run.plots / "confusion_matrix.png"
        ),
        plots.reliability_diagram(scores["calibration"], run.plots / "reliability.png"),
    ]


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
    start=lambda options: "the linear part" if options.ngrams else "",
    baselines=baselines,
    validate=validate,
    evaluate=evaluate,
    predict=predict,
    headline=headline,
    render_scores=render_scores,
    render_prediction=render_prediction,
    plot=plot,
    signatures=signatures,
    examples=examples,
    phone=phone,
    store=partial(frames.write_table, columns=("text", "label")),
    inputs=frames.texts,
    input_column=_input_column,
)
