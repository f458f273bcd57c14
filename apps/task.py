"""The interface of an app: a dataclass with the option classes and the functions of the app."""

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
from apps.options import ConvertOptions, EvaluateOptions, ExportOptions, PredictOptions, TrainOptions
from apps.outputs import flat
from apps.run import Run
from seqmodels.data.tables import Table
from seqmodels.export.signature import Signature
from seqmodels.training.objectives import Objective

Record = dict[str, object]
"""A dictionary that can be written as JSON: scores, or the prediction for one input."""


Rates = list[tuple[list[keras.Variable], float, float]]
"""Weights with their own learning rates: tuples ``(weights, factor, epochs)``, see ``Task.rates``."""


class Assets(Protocol):
    """Fitted objects that a trained model needs besides its weights, such as a vocabulary or a scaler."""

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
        train: function that receives the number of the epoch, from 0, and returns a ``tf.data.Dataset`` of
            batches ``(inputs, targets, weights)`` for the objective. The batches depend only on the seed and
            the epoch. The cardinality of the dataset must be known, because it is the number of training
            steps.
        valid: function without arguments that returns a ``tf.data.Dataset`` of validation batches, which
            have the same structure as the training batches.
        assets: fitted objects, such as the vocabulary. They are fitted on the training split only.
        facts: dictionary that describes the data and can be written as JSON. The verb ``train`` stores it in
            ``data.json`` and adds the key ``task``. ``train --dry-run`` prints all entries. These keys are
            required:

            - ``source`` (str): path or name of the data, as given to ``--data``.
            - ``sha256`` (str): hexadecimal digest of the content. A resumed training and ``evaluate`` compare
              this digest with the digest of the data that they read.
            - ``notes`` (list of str): one sentence for each event that the user should know about, such as
              skipped rows or a missing split. The verb ``train`` prints each sentence after ``note: ``.
            - ``counts`` (dict): number of examples per split, such as ``{"train": 48, "valid": 12}``.

            A task may add other keys. The verb ``train`` prints these keys before the first step:
            ``languages`` (str), ``classes`` (dict), ``series`` (int), ``tokens`` (dict with the key
            ``train``), ``lookback`` and ``horizon`` (int), ``vocabulary`` (int or list of int), and ``unknown
            tokens`` (str, or dict with the key ``train``).
        source: data splits before they are converted to batches. Their type depends on the task. Only
            functions of the task use them, for example ``baselines``.
        options: options of the training, in which the task has replaced every ``AUTO`` by a value that suits
            the data. Default: the task has no such options.
    """

    train: Callable[[int], tf.data.Dataset]
    valid: Callable[[], tf.data.Dataset]
    assets: AssetsT
    facts: dict
    source: SourceT
    options: TrainOptions | None = None


@dataclass(frozen=True, kw_only=True)
class Task(Generic[TrainT, EvaluateT, PredictT, ConvertT, AssetsT, SourceT]):
    """The option classes and functions of one app.

    ``runner.py``, ``exporting.py`` and ``api.py`` call the functions. In this class, four terms have a fixed
    meaning:

    - ``run`` is always a finished run.
    - "JSON-ready" values consist of dict, list, tuple, str, int, float, bool and None.
    - "Scores" are a JSON-ready dict with the scores of one model or one baseline. The task chooses the keys.
    - A "record" is a JSON-ready dict with the prediction for one input.

    Attributes:
        name: name of the app, as in ``python -m apps.<name>``.
        Train, Evaluate, Predict, Convert: option classes of these verbs.
        load: function that receives ``(options, assets)`` and returns :class:`Data`. If ``assets`` has
            the value None, the function fits new assets on the training split. Otherwise, it reuses
            ``assets``, which come from the resumed run or from the run in ``--from``. It raises UsageError if
            the data does not exist, and DataError if the data is malformed.
        build: function that receives ``(options, assets)`` and returns a built Keras model with its initial
            weights. The caller sets the seed, the dtype policy and the distribution strategy before the call.
        objective: function that receives ``(options, assets)`` and returns the ``Objective`` of the training
            loop; see :mod:`seqmodels.training.objectives`.
        monitor: pair ``(column, maximize)``. The best epoch has the best value in this column of the
            history. If ``maximize`` is True, higher values are better.
        baselines: function that receives :class:`Data`, fits the baselines, and returns
            ``{split: {baseline: scores}}``. The fit must not use the test split. The split ``test`` is
            required. The split ``valid`` is required if there is a function ``validate``. ``metrics.json``
            stores the result. The scores can also have the entry ``units``, which is not JSON-ready. It is an
            array with one row per example: the contribution of this example to the score. The arrays of the
            split ``test`` are stored in ``baselines.npz``; see :mod:`apps.baseline_units`.
        validate: function that receives ``(model, data, baselines)`` after the training and compares the
            trained model with the baselines on the validation split. ``baselines`` is the entry ``valid`` of
            the result of the function ``baselines``. The result has the key ``rows``
            (``{name: {score: value}}``) for the table at the end of ``train``, and the key ``verdict``, a
            result of :func:`apps.verdict.verdict`. It can also have the key ``examples`` (str), which
            describes the scored part of the validation split. If no comparison is possible, the function
            returns None. Default: no comparison.
        evaluate: function that receives ``(run, options)`` and returns a JSON-ready dict. It scores the model
            on ``options.data``. If ``options.data`` is absent (None), it uses the test split of the run.
            ``options.model`` selects the file format of the model. The keys of the result are:

            - ``model`` (scores): scores of the model. For the Keras model on the run's own test split,
              ``metrics.json`` stores them as ``test``.
            - ``baselines`` (``{baseline: scores}``): scores of the baselines on the same data.
            - ``verdict``: optional result of :func:`apps.verdict.verdict`. The verb ``evaluate`` prints its
              entry ``sentence`` as the last line.
            - ``data`` (str): path or name of the scored data, for ``render_scores``.
            - any other key that ``render_scores`` needs, such as ``variants`` or ``languages``.
        predict: function that receives ``(run, chunks, options)`` and returns an iterator of records, one per
            input and in the order of the inputs. ``chunks`` is an iterable of lists of inputs. If the command
            has arguments, there is one list with all arguments. Otherwise, each list contains lines of stdin
            or of the file in ``--data``. An app that does not read stdin gets one empty list if there are no
            inputs. The function must yield all records of a list before it reads the next list.
        load_assets: function that receives a folder and returns the assets that ``Assets.save`` wrote there.
            It raises DataError if the files are damaged.
        render_scores: function that receives the complete result of ``evaluate``. It returns the text or
            table that the verb ``evaluate`` prints.
        render_prediction: function that receives a record and returns the text that ``predict`` prints
            without ``--json``.
        plot: function that receives ``(run, scores)``, writes its plots to ``run.plots``, and returns their
            paths. ``scores`` is the entry ``model`` of the result of ``evaluate``. The function is called
            only for the Keras model on the run's own test split.
        headline: function that receives the scores of the model or of one baseline. It returns the scores
            that ``info`` shows, as ``{name: value}``.
        signatures: function that receives ``(model, assets)`` and returns the list of ``Signature`` objects
            of the SavedModel. The first signature is the default. The model computes in float32.
        examples: function that receives the assets and returns a list of
            ``(signature name, {input name: array})``. ``export`` verifies the SavedModel on these inputs.
        Export: option class of the verb ``export``. Default: ``ExportOptions``.
        exported: function that receives ``(run, model, options)`` and returns the model that ``signatures``
            receives. ``options`` is an instance of ``Export``. Default: the model of the run.
        served: text at the end of the README of the SavedModel. The text can describe the steps of
            ``predict`` that the signatures do not include. Default: no text.
        phone: function that receives ``(run, model, options)`` and returns the :class:`Phone` that
            ``convert`` needs. The model computes in float32.
        store: function that receives ``(data, folder)``, writes a DataFrame or lists to a file in the folder,
            and returns the path of the file. ``load`` and ``evaluate`` must accept this path as ``--data``.
            The function raises UsageError for data of any other type.
        inputs: function that receives ``(inputs, folder)`` and converts a text, list, DataFrame or path to a
            list of str. This list is one chunk for ``predict``. The function may write files to the temporary
            folder. It raises UsageError for inputs of any other type.
        input_column: function that receives ``(table, options)`` and returns the name of the column that
            contains the inputs of ``predict``. ``options`` are the options of the training. Default: None,
            which selects the column ``text``. With this default, the function ``inputs`` must also convert
            tables.
        input_line: function that receives ``(line, options)``, where ``line`` is one line of a text file. It
            returns the input of ``predict`` that the line contains. Default: the whole line.
        rows: function that receives a record and returns a list of table rows. ``predict --to FILE`` writes
            the rows of all records to a .csv or .parquet file. A row is a flat dict, and all rows of a file
            must have the same keys. Default: one row per record, in which nested names are joined by dots.
        outputs: function that receives a list of records and converts it to the result of
            ``TrainedRun.predict``. Default: ``Records``.
        initial_carried: function that receives ``(model, rows)`` and returns the state at the start of an
            epoch, for models that pass a state from batch to batch. ``rows`` is the batch size
            of one replica of the model. Default: no state.
        derive: function that receives a dict with the mean ``loss`` of an epoch and the mean of each score of
            the objective. It returns additional columns of the history, ``{column: value}``. It is called
            once for training and once for validation. The columns of the validation get the prefix
            ``valid_``. Default: no columns.
        calibrated: function that receives ``(model, data)`` after the training and returns :class:`Data`. It
            can adjust the assets to the predictions for the validation split, for example thresholds. The
            changed assets are saved. Default: no change.
        rates: function that receives ``(options, model)`` and returns a list of tuples
            ``(weights, factor, epochs)``. These weights of the model do not change in the first epochs. Then
            they learn with the learning rate times the factor. Default: an empty list.
        start: function that receives the options and returns a name for the model with its initial weights,
            such as ``the linear part``. If the name is not empty, the initial weights are validated before
            the first epoch, and compete for the best epoch. Default: an empty name.
        back_to_start: function that receives ``(model, data)`` if an epoch is better than the initial weights
            on the validation split. If the difference may be due to chance, it changes the model back, and
            returns True. It is called only if ``start`` returns a name. Default: the model is not changed.
        advice: function that receives ``(run, metrics)`` and returns sentences that ``train`` prints at its
            end. ``metrics`` is the content of ``metrics.json``. Default: no sentences.
        describe: function that receives a run and returns additional rows for the table that ``info``
            prints, ``{name: value}``. Default: no rows.
        verbs: additional verbs of this app, ``{name: function}``. The function receives
            ``(run, chunks, options)`` and returns an iterator of str. Each str is printed immediately and
            without a line break. ``chunks`` is an iterable of lists of inputs, as in ``predict``. If
            the command has no arguments and stdin is a terminal, the only input is one empty string.
    """

    name: str
    Train: type[TrainT]
    Evaluate: type[EvaluateT]
    Predict: type[PredictT]
    Convert: type[ConvertT]
    load: Callable[[TrainT, AssetsT | None], Data[AssetsT, SourceT]]
    build: Callable[[TrainT, AssetsT], keras.Model]
    objective: Callable[[TrainT, AssetsT], Objective]
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
    Export: type[ExportOptions] = ExportOptions
    exported: Callable[..., keras.Model] = lambda run, model, options: model
    served: str = ""
    validate: Callable[[keras.Model, Data[AssetsT, SourceT], Record], Record | None] | None = None
    input_column: Callable[[Table, Mapping[str, object]], str] | None = None
    input_line: Callable[[str, Mapping[str, object]], str] = lambda line, options: line
    rows: Callable[[Record], list[Record]] = flat
    outputs: Callable[[list[Record]], object] = Records
    initial_carried: Callable[[keras.Model, int], object] = lambda model, rows: ()
    derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {}
    calibrated: Callable[[keras.Model, Data], Data] = lambda model, data: data
    rates: Callable[[TrainT, keras.Model], Rates] = lambda options, model: []
    start: Callable[[TrainT], str] = lambda options: ""
    back_to_start: Callable[[keras.Model, Data], bool] = lambda model, data: False
    advice: Callable[[Run, Record], list[str]] = lambda run, metrics: []
    describe: Callable[[Run], Record] = lambda run: {}
    verbs: Mapping[str, Callable[..., Iterator[str]]] = field(default_factory=dict)


def load_task(name: str) -> Task:
    """Returns the Task of an app by its name."""
    return import_module(f"apps.{name}.task").TASK
