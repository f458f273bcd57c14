"""The Python API. It trains models, loads trained models, applies them to inputs, and exports them.

>>> from apps import load_run, sentiment  # doctest: +SKIP
>>> run = sentiment.train(data=frame, preset="quick", epochs=3)  # doctest: +SKIP
>>> run.predict(["a dull film"]).to_frame()  # doctest: +SKIP

The keyword arguments have the names and meanings of the flags of the command line. Errors are exceptions of
``seqmodels.errors`` with a message of one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from apps.cli import import_tensorflow
from apps.options import RunOptions, TrainOptions, checked_values, resolve
from apps.run import Run
from apps.tune_options import TuneOptions, check_tuning, split
from seqmodels.errors import UsageError

if TYPE_CHECKING:
    import keras
    import pandas

    from apps.frames import Scores


class TrainedRun:
    """A finished run. It has methods to evaluate, apply and export the trained model.

    Args:
        path: folder of the run.

    Attributes:
        path: folder of the run.
        task: name of the app that trained the run.

    Raises:
        UsageError: the folder does not contain a finished run.
    """

    def __init__(self, path: str | Path):
        self._run = Run(path)
        self._run.require_finished()
        self.path = self._run.path
        self.task: str = self._run.task

    def __repr__(self) -> str:
        return f"TrainedRun({str(self.path)!r}, task={self.task!r})"

    @property
    def model(self) -> keras.Model:
        """The trained Keras model. Every access loads the model from its file."""
        import_tensorflow()
        self._loaded_task()  # the import registers the classes of the model with Keras
        return self._run.load_model()

    @property
    def history(self) -> pandas.DataFrame:
        """Table of the training history, with one row per epoch.

        The columns contain the losses, the scores, the learning rate, the gradient norm and the duration in
        seconds.
        """
        import pandas

        return pandas.read_csv(self._run.history)

    @property
    def options(self) -> dict[str, Any]:
        """Dictionary of the option values with which the model was trained."""
        return self._run.read_json("options.json")

    def evaluate(self, data: object = None, **options: Any) -> Scores:
        """Scores the model and its baselines.

        Args:
            data: data on which the model is scored: a path, a DataFrame or lists. Default: the test
                split of the data that the run was trained on.
            **options: options of the verb ``evaluate``.

        Returns:
            A dictionary of scores. Jupyter notebooks show this dictionary as a table.
        """
        import_tensorflow()
        from apps.frames import Scores
        from apps.runner import evaluate_run

        task = self._loaded_task()
        with TemporaryDirectory() as folder:
            given = {**options, **({} if data is None else {"data": _stored(task, data, Path(folder))})}
            chosen = self._chosen(task.Evaluate, given)
            return Scores(evaluate_run(task, self._run, chosen))

    def predict(self, inputs: object = None, **options: Any) -> Any:
        """Applies the model to inputs.

        Args:
            inputs: a text, a list of texts, a DataFrame, or a ``Path``. A table must have the same text
                column as the training data, or a column with a known name such as ``text``. A forecasting run
                accepts the same types as the argument ``data`` of ``forecasting.train``, and also a list of
                paths. Without inputs, a forecasting run forecasts from the end of its training data.
            **options: options of the verb ``predict``. ``data`` is the path of a file with inputs. Pass
                ``data`` or ``inputs``, but not both. If ``to`` is the path of a file, the predictions are
                also written to this file.

        Returns:
            A list of predictions, one per input. Each prediction is a dictionary. The method ``to_frame()``
            converts the list to a DataFrame. A forecasting run returns a DataFrame of dates and quantiles.
        """
        import_tensorflow()
        from apps.inputs import inputs_of
        from apps.outputs import write_records

        task = self._loaded_task()
        chosen = self._chosen(task.Predict, options)
        if inputs is not None and chosen.data is not None:
            raise UsageError("data cannot be combined with inputs; pass only one of them")
        with TemporaryDirectory() as folder:
            chunks: Iterable[list[str]] = [[] if inputs is None else self._given(task, inputs, Path(folder))]
            if chosen.data is not None:
                chunks = inputs_of(task, self._run, chosen)
            made = list(task.predict(self._run, chunks, chosen))
        if chosen.to is not None:
            write_records(Path(chosen.to), made, task.rows)
        return task.outputs(made)

    def export(self, to: str | None = None, **options: Any) -> dict[str, Any]:
        """Writes the SavedModel and verifies its outputs in a separate process.

        Args:
            to: folder of the SavedModel. Default: ``export/saved_model`` in the run directory.
            **options: other options of the verb ``export``.

        Returns:
            A dictionary with the path, the signatures and the size in bytes. It also contains the largest
            difference between the outputs of the SavedModel and of the Keras model.
        """
        import_tensorflow()
        from apps.exporting import export_run

        task = self._loaded_task()
        return export_run(task, self._run, self._chosen(task.Export, {"to": to, **options}))

    def convert(self, quantize: str = "none", **options: Any) -> dict[str, Any]:
        """Writes a TFLite file, and files that help to integrate the TFLite file in a phone app.

        Args:
            quantize: number format of the file: ``"none"``, ``"dynamic"``, ``"float16"`` or ``"int8"``, see
                ``--quantize``.
            **options: other options of the verb ``convert``.

        Returns:
            A report on all TFLite files that were written for this run.
        """
        import_tensorflow()
        from apps.exporting import convert_run

        task = self._loaded_task()
        return convert_run(task, self._run, self._chosen(task.Convert, {"quantize": quantize, **options}))[1]

    def _given(self, task: Any, inputs: object, folder: Path) -> list[str]:
        from apps.frames import table_texts

        texts = table_texts(inputs, task.input_column, self.options) if task.input_column else None
        return task.inputs(inputs, folder) if texts is None else texts

    def _loaded_task(self) -> Any:
        from apps.task import load_task

        return load_task(self.task)

    def _chosen(self, options: type[RunOptions], given: dict[str, Any]) -> Any:
        chosen = options(**checked_values(options, given), run=str(self.path))
        chosen.check()
        return chosen


def load_run(path: str | Path) -> TrainedRun:
    """Opens a finished run of any task.

    Raises:
        UsageError: the folder does not contain a finished run.
    """
    return TrainedRun(path)


def train_task(name: str, data: object, run: str | Path | None, options: dict[str, Any]) -> TrainedRun:
    """Trains a model as ``python -m apps.<name> train`` does, and returns the trained run.

    Args:
        name: name of the app.
        data: a value of ``--data``, a DataFrame, or lists. A DataFrame or lists are first written to a file
            in the run directory.
        run: folder of the run. Default: ``saved_models/<name>``.
        options: option values, by name.

    Raises:
        UsageError: an option is unknown, or its value is invalid.
        UserError: the folder already contains a finished run, or the training diverged or was interrupted.
        DataError: the data is malformed.
    """
    import_tensorflow()
    from apps.runner import train
    from apps.task import load_task

    task, folder = load_task(name), Run(run or os.path.join("saved_models", name))
    given = checked_values(task.Train, options)
    chosen: TrainOptions = resolve(task.Train, {**given, "run": str(folder.path)})
    if not (chosen.overwrite or chosen.dry_run):
        folder.require_unfinished(chosen)
    if not isinstance(data, str | Path):
        with folder.locked():
            if chosen.overwrite:
                folder.clear()
                given = {**given, "overwrite": False}
            data = _stored(task, data, folder.path / "data")
    # With from_ or options, the default is the data of the earlier run or the data in the file.
    if not ((given.get("from_") or given.get("options")) and data == "embedded"):
        given = {**given, "data": str(data)}
    chosen = resolve(task.Train, {**given, "run": str(folder.path)})
    chosen.check()
    train(name, chosen)
    return TrainedRun(folder.path)


def tune(
    task: str, data: object = "embedded", run: str | Path | None = None, **options: Any
) -> dict[str, Any]:
    """Searches for the best options of a task, as ``python -m apps.<task> tune`` does.

    Args:
        task: name of the app, such as ``"sentiment"``.
        data: a value of ``--data``, a DataFrame, or lists. A DataFrame or lists are first written to a file
            in the run directory.
        run: folder of the study. If it contains a study, the study continues. Default:
            ``saved_models/<task>``.
        **options: options of ``tune``, such as ``trials=10``, and options of ``train``, such as ``epochs=3``.
            Options of ``train`` have the same value in all trials.

    Returns:
        A dictionary with the trials, the importance of the options, and the best options in
        ``["best"]["options"]``. The function ``train`` of the app accepts these options as keyword arguments.

    Raises:
        UsageError: an option is unknown, or its value is invalid.
        UserError: the package optuna is not installed, the study was interrupted, or no trial has finished.
        DataError: the data is malformed, or the data has changed since the study began.

    >>> found = tune("sentiment", trials=20, epochs=3)  # doctest: +SKIP
    >>> sentiment.train(run="saved_models/best", **found["best"]["options"])  # doctest: +SKIP
    """
    import_tensorflow()
    from apps.task import load_task

    chosen_task, folder = load_task(task), Run(run or os.path.join("saved_models", task))
    own, given = split(options)
    own = {**checked_values(TuneOptions, own), "run": str(folder.path)}
    given = checked_values(chosen_task.Train, given)
    for name in ("options", "dry_run"):
        if name in given:
            raise UsageError(f"{name} is not an option of tune; remove it")
    if not isinstance(data, str | Path):
        with folder.locked():
            data = _stored(chosen_task, data, folder.path / "data")
    if not (given.get("from_") and data == "embedded"):
        given = {**given, "data": str(data)}
    chosen = TuneOptions(**own)
    check_tuning(chosen_task.Train, chosen, given)
    from apps.tuning import run_study, summary_of

    return summary_of(*run_study(chosen_task, chosen, given))


def _stored(task: Any, data: object, folder: Path) -> str:
    """Returns the path of the data. A DataFrame or lists are first written to a file in ``folder``."""
    return str(data if isinstance(data, str | Path) else task.store(data, folder))
