"""Classifies texts. ``train`` is the Python API, ``python -m apps.sentiment`` the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a model and returns the run.

    Args:
        data: a path, a DataFrame with a column of texts and one of labels, a list of ``(text, label)``, or a
            tuple ``(texts, labels)``.
        run: folder of the run. Default: ``saved_models/sentiment``.
        **options: the flags of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: see :func:`apps.api.train_task`.
    """
    return train_task("sentiment", data, run, options)
