"""Forecasting of time series.

The function ``train`` is the Python API. ``python -m apps.forecasting`` is the command line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.api import TrainedRun, train_task

__all__ = ["train"]


def train(data: object = "embedded", run: str | Path | None = None, **options: Any) -> TrainedRun:
    """Trains a forecasting model and returns the trained run.

    Args:
        data: a value of ``--data``, such as a path; a pandas DataFrame or Series; or a list of numbers.
        run: folder of the run. Default: ``saved_models/forecasting``.
        **options: the options of ``train`` as keyword arguments, such as ``preset="quick", epochs=3``.

    Raises:
        UserError: see :func:`apps.api.train_task`.
    """
    return train_task("forecasting", data, run, options)
