"""What an app is: typed functions in a frozen record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import keras
import numpy as np
import tensorflow as tf
from rich.console import RenderableType

from apps.bundle import Phone
from apps.frames import Records
from apps.options import ConvertOptions, EvaluateOptions, PredictOptions, TrainOptions
from apps.run import Run
from seqmodels.export.signature import Signature
from seqmodels.training.objectives import Objective

Record = dict[str, object]
"""One JSON document: scores, or what is predicted for one input."""


class Assets(Protocol):
    """What a trained model needs beside its weights: vocabulary, labels, scaler."""

    def save(self, folder: Path) -> None: ...


TrainT = TypeVar("TrainT", bound=TrainOptions)
EvaluateT = TypeVar("EvaluateT", bound=EvaluateOptions)
PredictT = TypeVar("PredictT", bound=PredictOptions)
ConvertT = TypeVar("ConvertT", bound=ConvertOptions)
AssetsT = TypeVar("AssetsT", bound=Assets)
SourceT = TypeVar("SourceT")


@dataclass(frozen=True)
class Data(Generic[AssetsT, SourceT]):
    """The data of one training.

    Attributes:
        train: ``epoch -> dataset`` of ``(inputs, targets, weights)`` batches, deterministic in (seed, epoch).
        valid: ``() -> dataset`` of the same elements.
        assets: made from the training split alone.
        facts: the content of data.json: source, counts, lengths, sha256, notes.
        source: the splits as the task reads them, for its baselines and its evaluation.
    """

    train: Callable[[int], tf.data.Dataset]
    valid: Callable[[], tf.data.Dataset]
    assets: AssetsT
    facts: dict
    source: SourceT


@dataclass(frozen=True, kw_only=True)
class Task(Generic[TrainT, EvaluateT, PredictT, ConvertT, AssetsT, SourceT]):
    """One app. Its ``task.py`` read from top to bottom is the app.

    Attributes:
        name: as in ``python -m apps.<name>``.
        Train, Evaluate, Predict, Convert: option classes.
        load: options and the assets of an interrupted run, or None, to data.
        build: options and assets to a built model.
        objective: options to the objective of the training loop.
        monitor: column of the history that decides which epoch is the best, and whether more of it is better.
        evaluate: ``(run, options) -> scores`` of the model and its baselines, JSON-ready.
        baselines: ``data -> scores``, fitted on the training split.
        load_assets: reads what ``Assets.save`` wrote.
        predict: ``(run, chunks of inputs, options) -> iterator`` of JSON-ready records, one for each input,
            in order.
        render_scores: the text or table that ``evaluate`` prints.
        render_prediction: one record as text.
        plot: writes the plots of an evaluation into the run and returns their paths.
        headline: the scores that ``info`` shows.
        signatures: model and assets to the entry points of the SavedModel, the default one first.
        examples: assets to names of signatures with inputs that the SavedModel is tried with.
        phone: ``(run, model, options)`` to what is converted.
        store: writes a DataFrame or lists to a file in a folder, for the Python API, and returns its path.
        inputs: a DataFrame, a path or lists to the inputs of ``predict``; may write into the folder.
        outputs: the records of ``predict`` to what the Python API returns.
        initial_carried: ``(model, rows)`` to the state at the start of an epoch, for models that carry one
            from batch to batch.
        derive: means of an epoch to further columns of the history.
        describe: further lines of ``info``.
        verbs: what this app alone does, by name: ``(run, chunks of inputs, options)`` to pieces of text,
            which are printed as they come and as they are.
    """

    name: str
    Train: type[TrainT]
    Evaluate: type[EvaluateT]
    Predict: type[PredictT]
    Convert: type[ConvertT]
    load: Callable[[TrainT, AssetsT | None], Data[AssetsT, SourceT]]
    build: Callable[[TrainT, AssetsT], keras.Model]
    objective: Callable[[TrainT], Objective]
    monitor: tuple[str, bool]
    baselines: Callable[[Data[AssetsT, SourceT]], Record]
    evaluate: Callable[[Run, EvaluateT], Record]
    predict: Callable[[Run, Iterable[list[str]], PredictT], Iterator[Record]]
    load_assets: Callable[[Path], AssetsT]
    render_scores: Callable[[Record], RenderableType]
    render_prediction: Callable[[Record], str]
    plot: Callable[[Run, Record], list[Path]]
    headline: Callable[[Record], dict[str, float]]
    signatures: Callable[[keras.Model, AssetsT], list[Signature]]
    examples: Callable[[AssetsT], list[tuple[str, dict[str, np.ndarray]]]]
    phone: Callable[[Run, keras.Model, ConvertT], Phone]
    store: Callable[[object, Path], Path]
    inputs: Callable[[object, Path], list[str]]
    outputs: Callable[[list[Record]], object] = Records
    initial_carried: Callable[[keras.Model, int], object] = lambda model, rows: ()
    derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {}
    describe: Callable[[Run], Record] = lambda run: {}
    verbs: Mapping[str, Callable[..., Iterator[str]]] = field(default_factory=dict)


def load_task(name: str) -> Task:
    """The Task of an app by its name."""
    return import_module(f"apps.{name}.task").TASK
