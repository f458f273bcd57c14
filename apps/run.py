"""The run directory: the folder with all files of one training.

This module writes every file completely or not at all.

- ``run.json``: version of the package, name of the task, and the SHA-256 digest of every file of the run
- ``options.json``: option values of the training
- ``data/``: training data that the Python API received as an object instead of a path
- ``data.json``: name of the task, and facts about the data, such as its source and its SHA-256 digest
- ``assets/``: files that the model needs in addition to its weights, such as the vocabulary
- ``checkpoints/``: ``last.npz``, from which training resumes, and ``best.npz`` with the best weights
- ``model.keras``: the trained model
- ``history.csv``: one row per epoch
- ``logs/``: TensorBoard logs
- ``metrics.json``: scores of the model and its baselines
- ``baselines.npz``: contribution of each test example to the score of each baseline
- ``plots/``: plots of the training and the evaluation
- ``findings/``: results of experiments on the run, and ``report.md``
- ``export/``: ``saved_model/``, written by the verb ``export``, and ``tflite/``, written by ``convert``
- ``study.db``: trials of the verb ``tune``
- ``tuning/``: results of the verb ``tune``, such as ``best.json`` with the best options
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from filelock import FileLock, Timeout

from apps import continuing
from apps.options import Options, TrainOptions, restore
from seqmodels import __version__
from seqmodels.errors import DataError, UsageError, UserError

DATABASE, TUNING = "study.db", "tuning"
STUDY = {DATABASE, f"{DATABASE}-journal", TUNING}  # files of ``tune``, which a training does not delete
# Names of all files and folders that a run writes to the top level of its directory.
KNOWN = {
    *STUDY,
    *(
        "run.json",
        "data",
        "options.json",
        "data.json",
        "metrics.json",
        "baselines.npz",
        "history.csv",
        "model.keras",
        "partial.keras",
        ".lock",
    ),
    *("assets", "checkpoints", "logs", "plots", "export", "findings", "report.md"),
}

Stored = TypeVar("Stored", bound=Options)


class HasDigest(Protocol):
    """Loaded data that has the SHA-256 digest of its content."""

    @property
    def sha256(self) -> str: ...


Loaded = TypeVar("Loaded", bound=HasDigest)


class Run:
    """The folder of one training, with its data, model, scores, plots and exports."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.assets = self.path / "assets"
        self.checkpoints = self.path / "checkpoints"
        self.logs = self.path / "logs"
        self.plots = self.path / "plots"
        self.saved_model = self.path / "export" / "saved_model"
        self.tflite = self.path / "export" / "tflite"
        self.model = self.path / "model.keras"
        self.history = self.path / "history.csv"

    @property
    def started(self) -> bool:
        return (self.path / "options.json").exists()

    @property
    def finished(self) -> bool:
        return self.model.exists() and (self.path / "metrics.json").exists()

    @property
    def has_data(self) -> bool:
        """True if data.json exists. The assets then exist too, and the training can be resumed."""
        return (self.path / "data.json").exists()

    def require_unfinished(self, wanted: TrainOptions) -> None:
        """Raises UserError if the run is finished. The message contains the command that continues the run.

        Args:
            wanted: options of the training that the user started.
        """
        if self.finished:
            further = continuing.command(self.path, {"data": wanted.data, "epochs": wanted.epochs})
            raise UserError(
                f"{self.path} is a finished run; "
                + f"to train it further, use `{further}`; " * bool(further)
                + "use --overwrite to replace it, or --run DIR to train in another folder"
            )

    def require_finished(self, task: str | None = None) -> None:
        """Raises UsageError if the run is not finished, or if an app other than ``task`` trained the run.

        Without ``task``, the run of any app is accepted.
        """
        if self.finished:
            made_by = self.read_json("data.json").get("task", task)
            if task is not None and made_by != task:
                raise UsageError(f"{self.path} is a run of {made_by}; use `python -m apps.{made_by}`")
            return
        if self.started:
            raise UsageError(
                f"{self.path} is an unfinished run; repeat its `train` command to resume the training"
            )
        raise UsageError(
            f"no run found at {self.path}; create one with `train`, or choose another folder with --run"
        )

    def require_no_part(self) -> None:
        """Raises UsageError if the folder contains an unfinished run or a run with missing files.

        A folder without a run is accepted.
        """
        if self.started:
            self.require_finished()
        elif self.model.exists() or (self.path / "metrics.json").exists():
            raise UsageError(
                f"{self.path} is an incomplete run without options.json; train it again with --overwrite"
            )

    def trained_with(self, options: type[Stored]) -> Stored:
        """Returns the options of the training.

        Raises:
            UsageError: the run was trained by another version of the package, with options that this
                version does not have.
        """
        return restore(options, self.read_json("options.json"), f"{self.path}/options.json")

    def trained_on(self, source: str, load: Callable[[], Loaded]) -> Loaded:
        """Loads the training data again, and checks that it is unchanged.

        Args:
            source: path or name of the data, for error messages.
            load: function without arguments that returns the data.

        Raises:
            DataError: the data was not found, or has changed since the training began.
        """
        try:
            data = load()
        except UsageError as error:
            raise DataError(
                f"{self.path} needs its training data {source}, which was not found ({error}); "
                "restore the data"
            ) from error
        self.require_data(source, data.sha256)
        return data

    def require_data(self, source: str, sha256: str) -> None:
        """Raises DataError if the data has changed since the training began."""
        if self.read_json("data.json")["sha256"] != sha256:
            raise DataError(
                f"{source} has changed since the training of {self.path} began; restore it, or train again "
                "with --overwrite"
            )

    @property
    def task(self) -> str:
        """Name of the app that trained the run. Raises DataError if data.json is damaged."""
        return self.read_json("data.json", "task")["task"]

    def own(self, task: str | None = None) -> None:
        """Writes run.json. The file contains the version, the task and the SHA-256 digest of every file.

        Args:
            task: name of the app. Default: the name in data.json.
        """
        files = [path for path in sorted(self.path.rglob("*")) if path.is_file()]
        names = [path.relative_to(self.path).as_posix() for path in files]
        owned = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in zip(names, files)
            if name.partition("/")[0] in KNOWN - {"run.json", ".lock", f"{DATABASE}-journal"}
            and not name.endswith((".partial", ".lock"))
            and not name.startswith(f"{TUNING}/trials/")  # other processes may delete these files
        }
        self.write_json("run.json", {"version": __version__, "task": task or self.task, "files": owned})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(
        self, name: str, *keys: str, mend: str = "train the run again with --overwrite"
    ) -> dict[str, Any]:
        """Returns the content of a JSON file of the run.

        Args:
            name: path of the file, relative to the folder of the run.
            keys: keys that the content must have.
            mend: advice on how to repair the run. The error message ends with this advice.

        Raises:
            DataError: the file is damaged or does not have one of the keys.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            missing = [key for key in keys if key not in content]
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path} cannot be read ({error}); {mend}") from error
        if missing:
            raise DataError(f"{path} does not contain the key {missing[0]!r}; {mend}")
        return content

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.history, text.getvalue())

    def clear(self) -> None:
        """Removes all files of the run except the lock file and the study of ``tune``.

        Raises:
            UserError: the folder contains files that do not belong to a run. In this case, nothing is
                removed.
        """
        self.require_no_strangers()
        # metrics.json and the checkpoints are removed first. If the removal is then interrupted, the
        # remaining files do not count as a finished run, and no training resumes from old checkpoints.
        (self.path / "metrics.json").unlink(missing_ok=True)
        self.forget_checkpoints()
        for entry in self.path.iterdir():
            if entry.name == ".lock" or entry.name in STUDY:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def forget_checkpoints(self) -> None:
        """Removes the checkpoints. A later training then starts from scratch."""
        if self.checkpoints.exists():
            shutil.rmtree(self.checkpoints)

    def require_no_strangers(self) -> None:
        """Raises UserError if the folder contains files that do not belong to a run."""
        names = (entry.name for entry in self.path.iterdir())
        strangers = sorted(name for name in names if name.removesuffix(".partial") not in KNOWN)
        if strangers:
            raise UserError(
                f"{self.path} contains {strangers[0]!r}, which does not belong to a run; --overwrite deletes "
                "only the files of a run, so move your own files away, or choose another folder with --run"
            )

    def load_model(self) -> Any:
        """Returns the trained Keras model. Raises DataError if the file is damaged."""
        import keras  # not at the top, because the command line imports this module and must start fast

        try:
            return keras.models.load_model(self.model)
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise DataError(
                f"{self.model} is damaged ({first}); train the run again with --overwrite"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the run for this process. The operating system releases the lock even after kill -9.

        Raises:
            UserError: another process is training the run, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.path} is being trained by another process; wait until it ends, or choose another "
                "folder with --run"
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.path} cannot be written ({error.strerror}); choose another folder with --run"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def sizes(self) -> dict[str, int]:
        """Returns the size in bytes of each file and folder at the top level of the run directory."""
        sizes = {}
        for entry in sorted(self.path.iterdir()):
            files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
            sizes[entry.name] = sum(file.stat().st_size for file in files)
        sizes.pop(".lock", None)
        return sizes


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text to a temporary file next to ``path``, then renames the temporary file to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
