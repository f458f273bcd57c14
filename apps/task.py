"""The interface of an app: a frozen record of option classes and typed functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import keras
import numpy as np
import tensorflow as tf
from rich.console import RenderableType

from apps.bundle import Phone
from apps.frames import Records
from apps.options import ConvertOptions, EvaluateOptions, PredictOptions, TrainOptions
from apps.outputs import flat
from apps.run import Run
from seqmodels.data.tables import Table
from seqmodels.export.signature import Signature
from seqmodels.training.objectives import Objective

Record = dict[str, object]
"""A JSON-ready dictionary: scores, or the prediction for one input."""


class Assets(Protocol):
    """Fitted objects that a trained model needs besides its weights: vocabulary, labels, scaler."""

    def save(self, folder: Path) -> None: ...


TrainT = TypeVar("TrainT", bound=TrainOptions)
EvaluateT = TypeVar("EvaluateT", bound=EvaluateOptions)
PredictT = TypeVar("PredictT", bound=PredictOptions)
ConvertT = TypeVar("ConvertT", bound=ConvertOptions)
AssetsT = TypeVar("AssetsT", bound=Assets)
SourceT = TypeVar("SourceT")


@dataclass(frozen=True)
class Data(Generic[AssetsT, SourceT]):
    """The data of one training, as ``Task.load`` returns it.

    Attributes:
        train: ``epoch -> tf.data.Dataset`` of batches ``(inputs, targets, weights)`` for the objective. The
            batches depend only on the seed and the epoch. The cardinality of the dataset must be known; it is
            the number of steps.
        valid: ``() -> tf.data.Dataset`` with elements of the same structure.
        assets: fitted on the training split only.
        facts: JSON-ready description of the data. ``train`` stores it in ``data.json``, with the additional
            key ``task``. ``train --dry-run`` prints all keys. These keys are required:

            - ``source`` (str): path or name of the data, as given to ``--data``.
            - ``sha256`` (str): hexadecimal digest of the content. A resumed training and ``evaluate`` compare
              it with the digest of the data that they read.
            - ``notes`` (list of str): one sentence per decision that the user should know of, such as skipped
              rows or a missing split. ``train`` prints each sentence after ``note: ``.
            - ``counts`` (dict): number of examples per split, such as ``{"train": 48, "valid": 12}``.

            A task may add keys of its own, such as ``vocabulary`` or ``lookback``.
        source: splits as the task's reader returns them. Only functions of the same task use them, for
            example ``baselines``.
    """

    train: Callable[[int], tf.data.Dataset]
    valid: Callable[[], tf.data.Dataset]
    assets: AssetsT
    facts: dict
    source: SourceT


@dataclass(frozen=True, kw_only=True)
class Task(Generic[TrainT, EvaluateT, PredictT, ConvertT, AssetsT, SourceT]):
    """The option classes and functions of one app.

    ``runner.py``, ``exporting.py`` and ``api.py`` call the functions. A ``Run`` argument is always a finished
    run. "JSON-ready" values consist of dict, list, tuple, str, int, float, bool and None. "Scores" is the
    JSON-ready dict of one model or one baseline, with keys that the task chooses.

    Attributes:
        name: name of the app, as in ``python -m apps.<name>``.
        Train, Evaluate, Predict, Convert: option classes of these verbs.
        load: ``(options, assets) -> Data``. ``assets`` are the stored assets of a run, which the function
            reuses, or None. With None, the function fits new assets to the training split. Raises
            UsageError if the data does not exist, and DataError if the data is malformed.
        build: ``(options, assets) -> model``. Returns a built Keras model with its initial weights. The
            caller has set the seed, the dtype policy and the distribution strategy.
        objective: ``options -> Objective`` of the training loop; see :mod:`seqmodels.training.objectives`.
        monitor: ``(column, maximize)``: the history column that decides the best epoch, and True if a higher
            value is better.
        baselines: ``data -> {split: {baseline: scores}}``. Fits the baselines without the test split. The
            split ``test`` is required, ``valid`` is optional. ``metrics.json`` stores the result.
        evaluate: ``(run, options) -> dict``, JSON-ready. Scores the test split of the run, or
            ``options.data`` if it is not None, with the model format ``options.model``. The keys are:

            - ``model`` (scores): scores of the model. For the Keras model on the run's own test split,
              ``metrics.json`` stores them as ``test``.
            - ``baselines`` (``{baseline: scores}``): scores on the same data.
            - ``data`` (str): the path or name of the scored data, for ``render_scores``.
            - any other key that ``render_scores`` needs, such as ``variants`` or ``languages``.
        predict: ``(run, chunks, options) -> iterator of records``. ``chunks`` is an iterable of lists of
            inputs: one list with all arguments, or lists of lines as they arrive on stdin. Without inputs, an
            app that does not read stdin gets one empty list. A record is a JSON-ready dict for one input.
            Records have the order of the inputs. All records of a chunk are yielded before the next chunk is
            read.
        load_assets: ``folder -> assets``. Reads the files that ``Assets.save`` wrote. Raises DataError if
            they are damaged.
        render_scores: ``dict -> text or table``. Receives the complete result of ``evaluate``, and returns
            the object that the verb ``evaluate`` prints.
        render_prediction: ``record -> str``. Returns the text that ``predict`` prints without ``--json``.
        plot: ``(run, scores) -> paths``. Receives the entry ``model`` of ``evaluate``, and writes its plots
            to ``run.plots``. Called only for the Keras model on the run's own test split.
        headline: ``scores -> {name: value}``. Selects the scores that ``info`` shows, from the scores of the
            model or of one baseline.
        signatures: ``(model, assets) -> list of Signature``: the entry points of the SavedModel, the default
            one first. The model computes in float32.
        served: paragraphs of the SavedModel's README, for example on the steps of ``predict`` that the
            signatures do not include. Default: no paragraph.
        examples: ``assets -> [(signature name, {input name: array})]``. ``export`` compares the SavedModel
            with the model on these inputs.
        phone: ``(run, model, options) -> Phone``: everything that ``convert`` needs. The model computes in
            float32.
        store: ``(data, folder) -> path``. Writes a DataFrame or lists to a file in ``folder`` that ``load``
            and ``evaluate`` accept as ``--data``. Raises UsageError for data of another type.
        inputs: ``(inputs, folder) -> list of str``. Converts a text, list, DataFrame or path to one chunk for
            ``predict``. May write files to the temporary ``folder``. Raises UsageError for another type.
        input_column: ``(table, options) -> str``: the column that contains the inputs of ``predict`` in a
            DataFrame or in the file of a table. ``options`` are the options of the training. Default: None;
            ``inputs`` converts tables, too.
        input_line: ``(line, options) -> str``: the input of ``predict`` in one line of a text file.
            Default: the line.
        rows: ``record -> list of flat dicts``: the rows of a record in ``predict --to FILE`` as .csv or
            .parquet. All rows of a run have the same keys. Default: one row; nested names are joined by dots.
        outputs: ``list of records -> object``: the value that ``TrainedRun.predict`` returns.
            Default: ``Records``.
        initial_carried: ``(model, rows) -> state`` at the start of an epoch, for models that carry a state
            from batch to batch. ``rows`` is the number of rows of a batch. Default: no state.
        derive: ``means -> {column: value}``: additional history columns. ``means`` holds ``loss`` and the
            scores of the objective, averaged over an epoch. Called for training and for validation; the
            validation columns get the prefix ``valid_``. Default: no columns.
        describe: ``run -> {name: value}``: additional rows of ``info``. Default: no rows.
        verbs: ``{name: (run, chunks, options) -> iterator of str}``: verbs that only this app has. ``chunks``
            is as in ``predict``. Without arguments and with stdin at a terminal, the only input is one empty
            string. Each piece of text is printed immediately and without a line break.
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
    served: str = ""
    input_column: Callable[[Table, Mapping[str, Any]], str] | None = None
    input_line: Callable[[str, Mapping[str, Any]], str] = lambda line, options: line
    rows: Callable[[Record], list[Record]] = flat
    outputs: Callable[[list[Record]], object] = Records
    initial_carried: Callable[[keras.Model, int], object] = lambda model, rows: ()
    derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {}
    describe: Callable[[Run], Record] = lambda run: {}
    verbs: Mapping[str, Callable[..., Iterator[str]]] = field(default_factory=dict)


def load_task(name: str) -> Task:
    """Returns the Task of an app by its name."""
    return import_module(f"apps.{name}.task").TASK
