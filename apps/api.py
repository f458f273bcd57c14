"""The Python API: train a task, open a run, and use it without the command line.

>>> from apps import load_run, sentiment  # doctest: +SKIP
>>> run = sentiment.train(data=frame, preset="quick", epochs=3)  # doctest: +SKIP
>>> run.predict(["a dull film"]).to_frame()  # doctest: +SKIP

The names are those of the command line: a flag is a keyword argument. Errors are exceptions
(``seqmodels.errors``) with one line of text.
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from apps.cli import import_tensorflow
from apps.options import ExportOptions, RunOptions, TrainOptions, checked_values, resolve
from apps.run import Run

if TYPE_CHECKING:
    import keras
    import pandas

    from apps.frames import Scores


class TrainedRun:
    """A finished run: its model, scores and exports.

    Args:
        path: the folder of the run.

    Attributes:
        path: the folder of the run.
        task: the name of the app that trained it.

    Raises:
        UsageError: no finished run is there.
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
        """The trained Keras model, loaded anew at every access."""
        import_tensorflow()
        self._loaded_task()  # registers what the model is made of
        return self._run.load_model()

    @property
    def history(self) -> pandas.DataFrame:
        """One row for each epoch: losses, scores, learning rate, gradient norm, seconds."""
        import pandas

        return pandas.read_csv(self._run.history)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the training."""
        return self._run.read_json("options.json")

    def evaluate(self, data: object = None, **options: Any) -> Scores:
        """Scores the model beside its baselines.

        Args:
            data: a path, a DataFrame or lists to score on. Default: the run's own test split.
            **options: of the verb ``evaluate``.

        Returns:
            A dictionary that a notebook shows as a table.
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
        """Applies the model.

        Args:
            inputs: a text, a list of texts, a DataFrame, or a path. Forecasting takes a DataFrame or a path;
                without inputs it forecasts from the end of the run's own data.
            **options: of the verb ``predict``.

        Returns:
            A list of records with ``to_frame()``; of forecasting a DataFrame of dates and quantiles.
        """
        import_tensorflow()
        task = self._loaded_task()
        chosen = self._chosen(task.Predict, options)
        with TemporaryDirectory() as folder:
            given = [] if inputs is None else task.inputs(inputs, Path(folder))
            return task.outputs(list(task.predict(self._run, [given], chosen)))

    def export(self, to: str | None = None) -> dict[str, Any]:
        """Writes the SavedModel, checked in a process of its own; returns its path and signatures."""
        import_tensorflow()
        from apps.exporting import export_run

        return export_run(self._loaded_task(), self._run, self._chosen(ExportOptions, {"to": to}))

    def convert(self, quantize: str = "none", **options: Any) -> dict[str, Any]:
        """Writes a ``.tflite`` and the files beside it; returns the report on all files of the run."""
        import_tensorflow()
        from apps.exporting import convert_run

        task = self._loaded_task()
        return convert_run(task, self._run, self._chosen(task.Convert, {"quantize": quantize, **options}))[1]

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
        UsageError: no finished run is there.
    """
    return TrainedRun(path)


def train_task(name: str, data: object, run: str | Path | None, options: dict[str, Any]) -> TrainedRun:
    """Trains a task as ``python -m apps.<name> train`` does.

    Args:
        name: of the app.
        data: what ``--data`` takes, a DataFrame, or lists. A DataFrame and lists are stored in the run.
        run: folder of the run. Default: ``saved_models/<name>``.
        options: the flags, by name.

    Raises:
        UsageError: an unknown option, or a value that cannot be meant.
        UserError: the run is finished, or the training diverged or was interrupted.
        DataError: the data are broken.
    """
    import_tensorflow()
    from apps.runner import train
    from apps.task import load_task

    task, folder = load_task(name), Run(run or os.path.join("saved_models", name))
    given = checked_values(task.Train, options)
    chosen: TrainOptions = resolve(task.Train, {**given, "run": str(folder.path)})
    if not (chosen.overwrite or chosen.dry_run):
        folder.require_unfinished()
    if not isinstance(data, str | Path):
        with folder.locked():
            if chosen.overwrite:
                folder.clear()
                given = {**given, "overwrite": False}
            data = _stored(task, data, folder.path / "data")
    chosen = resolve(task.Train, {**given, "run": str(folder.path), "data": str(data)})
    chosen.check()
    train(name, chosen)
    return TrainedRun(folder.path)


def _stored(task: Any, data: object, folder: Path) -> str:
    """A path as it is; a DataFrame or lists in a file."""
    return str(data if isinstance(data, str | Path) else task.store(data, folder))
