"""The run directory: what is stored where, written whole or not at all.

::

    run.json           version, task, and every file of the run with its digest
    options.json       what the run was trained with
    data/              data that came from Python, not from a file
    data.json          the app; source, counts, sha256 of its data
    assets/            vocabulary, labels, scaler
    checkpoints/       last.npz (to resume), best.npz (the best weights)
    model.keras        the trained model
    history.csv        one row for each epoch
    logs/              TensorBoard
    metrics.json       scores and baselines
    plots/
    findings/          what experiments on the run have found, and report.md
    export/            saved_model/, tflite/ (see their verbs)
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

from apps.options import Options, restore
from seqmodels import __version__
from seqmodels.errors import DataError, UsageError, UserError

# What a run writes, at the top of its folder.
KNOWN = {
    *(
        "run.json",
        "data",
        "options.json",
        "data.json",
        "metrics.json",
        "history.csv",
        "model.keras",
        "partial.keras",
        ".lock",
    ),
    *("assets", "checkpoints", "logs", "plots", "export", "findings", "report.md"),
}

Stored = TypeVar("Stored", bound=Options)


class HasDigest(Protocol):
    """What was read, with the digest of its content."""

    @property
    def sha256(self) -> str: ...


Loaded = TypeVar("Loaded", bound=HasDigest)


class Run:
    """A folder that holds one training and everything made from it."""

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
        """Whether data and assets are complete, so that resuming takes them as they are."""
        return (self.path / "data.json").exists()

    def require_unfinished(self) -> None:
        """Raises UserError, with what to do, if the run is complete."""
        if self.finished:
            raise UserError(
                f"{self.path}: is a finished run; --overwrite deletes it, --run DIR trains another beside it"
            )

    def require_finished(self, task: str | None = None) -> None:
        """Raises UsageError, with what to do, unless there is a trained model (of this app, if given)."""
        if self.finished:
            made_by = self.read_json("data.json").get("task", task)
            if task is not None and made_by != task:
                raise UsageError(f"{self.path}: is a run of {made_by}; use `python -m apps.{made_by}`")
            return
        if self.started:
            raise UsageError(
                f"{self.path}: its training is not finished; the same `train` command resumes it"
            )
        raise UsageError(f"{self.path}: no run is there; `train` makes one, --run names another")

    def require_no_part(self) -> None:
        """Raises UsageError, with what to do, if the folder holds a part of a training and not all of it."""
        if self.started:
            self.require_finished()
        elif self.model.exists() or (self.path / "metrics.json").exists():
            raise UsageError(f"{self.path}: is half a run, without options.json; train it with --overwrite")

    def trained_with(self, options: type[Stored]) -> Stored:
        """The options of the training; raises UsageError where an earlier version had further ones."""
        return restore(options, self.read_json("options.json"), f"{self.path}/options.json")

    def trained_on(self, source: str, load: Callable[[], Loaded]) -> Loaded:
        """The data of the training, loaded again; raises DataError where they have changed or are gone."""
        try:
            data = load()
        except UsageError as error:
            raise DataError(
                f"{self.path}: was trained on {source}, which is needed here and is no longer found ({error})"
            ) from error
        self.require_data(source, data.sha256)
        return data

    def require_data(self, source: str, sha256: str) -> None:
        """Raises DataError unless the data are those that the training began with."""
        if self.read_json("data.json")["sha256"] != sha256:
            raise DataError(
                f"{source}: has changed since the training of {self.path} began; restore it, or train again "
                "with --overwrite"
            )

    @property
    def task(self) -> str:
        """The app that made the run; raises DataError where data.json is damaged."""
        return self.read_json("data.json", "task")["task"]

    def own(self) -> None:
        """Writes run.json, the manifest: version, task, and every file that the run owns with its SHA-256."""
        files = [path for path in sorted(self.path.rglob("*")) if path.is_file()]
        names = [path.relative_to(self.path).as_posix() for path in files]
        owned = {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in zip(names, files)
            if name.partition("/")[0] in KNOWN - {"run.json", ".lock"} and not name.endswith(".partial")
        }
        self.write_json("run.json", {"version": __version__, "task": self.task, "files": owned})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_text(self.path / name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def read_json(
        self, name: str, *keys: str, mend: str = "train the run again with --overwrite"
    ) -> dict[str, Any]:
        """The content of a file of the run; raises DataError where it is damaged or lacks one of the keys.

        Args:
            name: path in the run's folder.
            keys: what must be in it.
            mend: what the error tells the user to do.
        """
        path = self.path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            missing = [key for key in keys if key not in content]
        except (OSError, ValueError, TypeError) as error:
            raise DataError(f"{path}: cannot be read ({error}); {mend}") from error
        if missing:
            raise DataError(f"{path}: has no {missing[0]!r}; {mend}")
        return content

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.history, text.getvalue())

    def clear(self) -> None:
        """Removes a run; refuses a folder that holds anything that no run ever wrote.

        Raises:
            UserError: there are other files.
        """
        self.require_no_strangers()
        # First what makes a run complete, and what makes it resumable: half a run must not look like one.
        (self.path / "metrics.json").unlink(missing_ok=True)
        self.forget_checkpoints()
        for entry in self.path.iterdir():
            if entry.name == ".lock":
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def forget_checkpoints(self) -> None:
        """Removes the checkpoints, so that no other training takes them for its own."""
        if self.checkpoints.exists():
            shutil.rmtree(self.checkpoints)

    def require_no_strangers(self) -> None:
        """Raises UserError if the folder holds anything that no run ever wrote."""
        names = (entry.name for entry in self.path.iterdir())
        strangers = sorted(name for name in names if name.removesuffix(".partial") not in KNOWN)
        if strangers:
            raise UserError(
                f"{self.path}: holds {strangers[0]!r}, which no run wrote; --overwrite deletes only runs"
            )

    def load_model(self) -> Any:
        """The trained Keras model; raises DataError where the file is damaged."""
        import keras  # not at the top: the command line reads this module before TensorFlow

        try:
            return keras.models.load_model(self.model)
        except (OSError, ValueError) as error:
            first = str(error).strip().splitlines()[0]
            raise DataError(
                f"{self.model}: is damaged ({first}); train the run again with --overwrite"
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process; the system lets go of it even after kill -9.

        Raises:
            UserError: another process trains it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path / ".lock")
            lock.acquire(timeout=0)
        except Timeout as error:
            raise UserError(
                f"{self.path}: another process is training this run; wait or name another --run"
            ) from error
        except OSError as error:
            raise UserError(
                f"{self.path}: cannot be written ({error.strerror}); name another folder with --run"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def sizes(self) -> dict[str, int]:
        """Bytes of each part of the run."""
        sizes = {}
        for entry in sorted(self.path.iterdir()):
            files = [entry] if entry.is_file() else [file for file in entry.rglob("*") if file.is_file()]
            sizes[entry.name] = sum(file.stat().st_size for file in files)
        sizes.pop(".lock", None)
        return sizes


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 to a temporary name beside ``path``, then renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".partial")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
