"""What an app is: plain functions in a frozen record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from apps.options import ConvertOptions, EvaluateOptions, PredictOptions, TrainOptions
from apps.run import Run
from seqmodels.export.signature import Signature
from seqmodels.export.tflite import Entry
from seqmodels.training.objectives import Objective


class Assets(Protocol):
    """What a trained model needs beside its weights: vocabulary, labels, scaler."""

    def save(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Data:
    """The data of one training.

    Attributes:
        train: ``epoch -> dataset`` of ``(inputs, targets, weights)`` batches, deterministic in (seed, epoch).
        valid: ``() -> dataset`` of the same elements.
        assets: made from the training split alone.
        facts: what data.json keeps: source, counts, lengths, sha256, notes.
        source: the splits as the task reads them, for its baselines and its evaluation.
    """

    train: Callable[[int], tf.data.Dataset]
    valid: Callable[[], tf.data.Dataset]
    assets: Any
    facts: dict[str, Any]
    source: Any


@dataclass(frozen=True)
class Phone:
    """What ``convert`` needs of an app.

    Attributes:
        entries: the signatures of a file, with rows of the validation split to try them on and rows of the
            training split for int8.
        form: how the loops over time are built, see ``tflite.choose_form``.
        shape: what all files of a run share (``length``), JSON-ready; a conversion to another shape removes
            the files of the one before.
        note: a line about the shape, for a person.
        metric: name of the score.
        number: how it is written, as a format: ``.2%``.
        score: the file and its outputs, by signature, to the score on the validation split.
        references: the score of the model itself, by name.
        write: puts beside the files what their integrator needs, given the report.
        mediapipe: whether MediaPipe can read a file with so many subgraphs; None where it has no reader.
        finish: the file and the number of its subgraphs to the file with its metadata.
    """

    entries: Sequence[Entry]
    form: str
    shape: dict[str, Any]
    note: str
    metric: str
    number: str
    score: Callable[[Path, dict[str, dict[str, np.ndarray]]], float]
    references: dict[str, float]
    write: Callable[[Path, dict[str, Any]], None]
    mediapipe: Callable[[int], bool] | None = None
    finish: Callable[[bytes, int], bytes] = lambda content, subgraphs: content


@dataclass(frozen=True)
class Task:
    """One app. Its ``task.py`` read from top to bottom is the app.

    Attributes:
        name: as in ``python -m apps.<name>``.
        Train, Evaluate, Predict: option classes.
        load: options and the assets of an interrupted run, or None, to data.
        build: options and assets to a built model.
        objective: options to the objective of the training loop.
        monitor: column of the history that decides which epoch is the best, and whether more of it is better.
        evaluate: ``(run, options) -> scores`` of the model and its baselines, JSON-ready.
        baselines: ``data -> scores``, fitted on the training split.
        load_assets: reads what ``Assets.save`` wrote.
        predict: ``(run, chunks of inputs, options) -> iterator`` of JSON-ready records, one for each input,
            in order.
        render_scores: what ``evaluate`` prints for a person.
        render_prediction: one record for a person.
        plot: writes the plots of an evaluation into the run and returns their paths.
        headline: the scores that ``info`` shows.
        signatures: model and assets to the entry points of the SavedModel, the default one first.
        examples: assets to names of signatures with inputs that the SavedModel is tried with.
        phone: ``(run, model, options)`` to what is converted.
        initial_carried: ``(model, rows)`` to the state at the start of an epoch, for models that carry one
            from batch to batch.
        derive: means of an epoch to further columns of the history.
        describe: further lines of ``info``.
        verbs: what this app alone does, by name: ``(run, chunks of inputs, options)`` to pieces of text,
            which are printed as they come and as they are.
    """

    name: str
    Train: type[TrainOptions]
    Evaluate: type[EvaluateOptions]
    Predict: type[PredictOptions]
    load: Callable[[Any, Any], Data]
    build: Callable[[Any, Any], keras.Model]
    objective: Callable[[Any], Objective]
    monitor: tuple[str, bool]
    baselines: Callable[[Data], dict[str, Any]]
    evaluate: Callable[[Run, Any], dict[str, Any]]
    predict: Callable[[Run, Iterable[list[str]], Any], Iterator[dict[str, Any]]]
    load_assets: Callable[[Path], Any]
    render_scores: Callable[[dict[str, Any]], Any]
    render_prediction: Callable[[dict[str, Any]], str]
    plot: Callable[[Run, dict[str, Any]], list[Path]]
    headline: Callable[[dict[str, Any]], dict[str, float]]
    signatures: Callable[[keras.Model, Any], list[Signature]]
    examples: Callable[[Any], list[tuple[str, dict[str, np.ndarray]]]]
    phone: Callable[[Run, keras.Model, ConvertOptions], Phone]
    initial_carried: Callable[[Any, int], Any] = lambda model, rows: ()
    derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {}
    describe: Callable[[Run], dict[str, Any]] = lambda run: {}
    verbs: Mapping[str, Callable[[Run, Iterable[list[str]], Any], Iterator[str]]] = field(
        default_factory=dict
    )


def load_task(name: str) -> Task:
    """The Task of an app by its name."""
    return import_module(f"apps.{name}.task").TASK
