"""Keras callbacks that report the progress of a training, on stderr and to TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Report(keras.callbacks.Callback):
    """Prints one line per epoch, and shows a progress bar if the console is a terminal."""

    def __init__(self, epochs: int, console: Console):
        super().__init__()
        self.epochs, self.console = epochs, console
        self.bar: Progress | None = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        if not self.console.is_terminal or logs is None:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("loss {task.fields[loss]:.4f}"),
        )
        self.bar = Progress(*columns, console=self.console, transient=True)
        shown = f"{epoch + 1}/{self.epochs}"
        self.row = self.bar.add_task(
            "", total=logs["steps"], completed=logs["step"], epoch=shown, loss=float("nan")
        )
        self.bar.start()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        if self.bar and logs:
            self.bar.update(self.row, completed=batch + 1, loss=logs["loss"])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.close()
        row = dict(logs or {})
        hidden = ("epoch", "steps", "seconds", "examples_per_second", "targets_per_second", "clipped")
        names = [name for name in row if name not in hidden]
        shown = "  ".join(f"{name} {row[name]:.4g}" for name in names)
        speed = f"{row['seconds']:.1f} s, {row['examples_per_second']:.0f} examples/s"
        self.console.print(
            f"epoch {epoch + 1}/{self.epochs}  {shown}  ({speed})", highlight=False, soft_wrap=True
        )

    def close(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None


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
