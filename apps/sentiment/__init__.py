"""Classifies texts by sentiment, or by any other set of labels.

:func:`train` is the Python interface. ``python -m apps.sentiment`` is the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a model and returns the trained run.

    Args:
        data: a DataFrame with texts and labels, a list of pairs ``(text, label)``, or a tuple of two lists
            ``(texts, labels)``. A path and all other values of ``--data`` are also accepted.
        run: folder of the run. Default: ``saved_models/sentiment``.
        **options: options of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: the options or the data are invalid; see :func:`apps.api.train_task`.
    """
    return train_task("sentiment", data, run, options)
