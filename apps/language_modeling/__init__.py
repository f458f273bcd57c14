"""Language models that predict the next token of a text.

:func:`train` is the Python interface. ``python -m apps.language_modeling`` is the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a model and returns the trained run.

    Args:
        data: a value of ``--data``, such as a path; a list of lines; or a DataFrame with the column
            ``text``. The default is English text from the documentation that is included in Python.
        run: folder of the run. Default: ``saved_models/language_modeling``.
        **options: options of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: the options or the data are invalid; see :func:`apps.api.train_task`.
    """
    return train_task("language_modeling", data, run, options)
