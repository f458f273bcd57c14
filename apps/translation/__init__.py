"""Translation: ``train`` is the Python API, ``python -m apps.translation`` the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a model and returns the run.

    Args:
        data: path, DataFrame with one column per language, or list of ``(source, target)``.
        run: folder of the run. Default: ``saved_models/translation``.
        **options: options of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: the options or the data are invalid; see :func:`apps.api.train_task`.
    """
    return train_task("translation", data, run, options)
