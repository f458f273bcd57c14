"""Translation of texts. The Python API is ``train``; the command line is ``python -m apps.translation``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a translation model and returns the trained run.

    Args:
        data: a value of ``--data``, such as a path; a DataFrame with one column per language; or a list of
            ``(source, target)`` pairs.
        run: folder of the run. Default: ``saved_models/translation``.
        **options: options of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: an option or the data are invalid, see :func:`apps.api.train_task`.
    """
    return train_task("translation", data, run, options)
