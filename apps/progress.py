"""Keras callbacks that report the progress of a training, on stderr and to TensorBoard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.announcement import duration, time_line
from seqmodels.training import Training

SILENCE = 30.0  # without a terminal, a line is printed at least every SILENCE seconds


class Report(keras.callbacks.Callback):
    """Prints one line per epoch, and one line about the expected time when the speed is known.

    If the console is a terminal, progress bars show training and validation. Otherwise, a line about the
    progress is printed at least every 30 seconds. A thread prints these lines during long operations, such as
    the compilation.

    Args:
        training: the training to report.
        console: console for all lines and bars.
        clock: function that returns the time in seconds.
    """

    def __init__(self, training: Training, console: Console, clock: Callable[[], float] = time.monotonic):
        super().__init__()
        self.training, self.console, self.clock = training, console, clock
        self.epochs = training.settings.epochs
        self.bar: Progress | None = None
        self.timed = False  # True after the line about the expected time
        self.state = "compiling"
        self.last = clock()
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.thread: threading.Thread | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.last = self.clock()
        if not self.console.is_terminal:
            self.thread = threading.Thread(target=self._watch, daemon=True)
            self.thread.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        logs = logs or {}
        self.epoch, self.steps, self.done = epoch + 1, _known(logs.get("steps")), int(logs.get("step", 0))
        self.shown = ""
        self._show("compiling" if not self.training.pace.compiled else "training")
        if not self.console.is_terminal:
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
        )
        self.bar = Progress(*columns, console=self.console, transient=True)
        self.row = self.bar.add_task(
            f"epoch {self.epoch}/{self.epochs}", total=self.steps, completed=self.done, shown=self.state
        )
        self.bar.start()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if (logs or {}).get("compiling"):
            self._show("compiling")
            if self.bar:
                self.bar.update(self.row, shown="compiling")

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.done = batch + 1
        left = self.training.remaining()
        self.shown = f"loss {(logs or {}).get('loss', float('nan')):.4f}"
        self.shown += "" if left is None else f", about {duration(left)} left"
        self._show("training")
        if self.bar:
            self.bar.update(self.row, completed=self.done, shown=self.shown)
        self._announce_time()

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self.batches, self.checked = _known((logs or {}).get("steps")), 0
        self._show("validation")
        if self.bar:
            name = f"validation {self.epoch}/{self.epochs}"
            self.check = self.bar.add_task(name, total=self.batches, shown="")

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.checked = batch + 1
        self._show("validation")
        if self.bar:
            self.bar.update(self.check, completed=self.checked)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._stop_bar()
        row = dict(logs or {})
        hidden = ("epoch", "steps", "seconds", "examples_per_second", "targets_per_second", "clipped")
        names = [name for name in row if name not in hidden]
        shown = "  ".join(f"{name} {row[name]:.4g}" for name in names)
        speed = f"{row['seconds']:.1f} s, {row['examples_per_second']:.0f} examples/s"
        self._print(f"epoch {epoch + 1}/{self.epochs}  {shown}  ({speed})")

    def tick(self) -> None:
        """Prints the progress if stderr is not a terminal and the last line is 30 seconds old."""
        with self.lock:
            silent = self.clock() - self.last >= SILENCE
        if silent and not self.console.is_terminal:
            self._print(self._line())

    def close(self) -> None:
        """Removes the progress bar and ends the thread."""
        self._stop_bar()
        self.closing.set()
        if self.thread:
            self.thread.join()
            self.thread = None

    def _show(self, state: str) -> None:
        self.state = state
        self.tick()

    def _line(self) -> str:
        if self.state == "validation":
            place = f"batch {self.checked:,} of {_number(self.batches)}"
        elif self.state == "compiling":
            place = f"step {self.done + 1:,} of {_number(self.steps)}"
        else:
            place = f"step {self.done:,} of {_number(self.steps)}, {self.shown}".removesuffix(", ")
        return f"{self.state}: epoch {self.epoch} of {self.epochs}, {place}"

    def _announce_time(self) -> None:
        if self.timed:
            return
        line = time_line(self.training)
        if line is not None:
            self.timed = True
            self._print(line)

    def _print(self, line: str) -> None:
        with self.lock:
            self.last = self.clock()
            self.console.print(line, highlight=False, soft_wrap=True)

    def _watch(self) -> None:
        while not self.closing.wait(1.0):
            if hasattr(self, "epoch"):
                self.tick()

    def _stop_bar(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None


def _known(steps: float | None) -> int | None:
    """Returns the number of steps, or None if it is not known. Keras converts numbers in logs to float."""
    return int(steps) if steps is not None and steps >= 0 else None


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}"


class TensorBoard(keras.callbacks.Callback):
    """Writes TensorBoard logs.

    For every step, the logs contain the loss, the learning rate and the gradient norm. For every epoch, they
    contain all columns of history.csv.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.writer = tf.summary.create_file_writer(str(folder))
        self.offset = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.offset = epoch * int((logs or {}).get("steps", 0))

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._write("step", self.offset + batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._write("epoch", epoch + 1, logs)
        self.writer.flush()

    def _write(self, group: str, step: int, logs: Mapping[str, Any] | None) -> None:
        with self.writer.as_default(step=step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(f"{group}/{name}", value)
