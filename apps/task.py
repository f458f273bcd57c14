"""What an app is: plain functions in a frozen record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from apps.options import EvaluateOptions, PredictOptions, TrainOptions
from apps.run import Run
from seqmodels.training.losses import Objective


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


def load_task(name: str) -> Task:
    """The Task of an app by its name."""
    return import_module(f"apps.{name}.task").TASK
