"""Computes forecasts with a model in any format: Keras, SavedModel or TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from apps.forecasting.data import Prepared
from apps.forecasting.metrics import Forecast
from apps.inference import Forms
from seqmodels.models.forecasting.base import DECILES

BATCH = 256  # number of windows per batch
LEVELS = DECILES  # levels that a model with quantile output forecasts

Forecasts = Callable[[Prepared, np.ndarray], Forecast]
"""Function that receives series and windows ``(n, 2)``, and returns the forecasts of the windows."""


def forms(output: str) -> Forms[Forecasts]:
    """Returns one function per model format. Each function converts a model to a forecast function.

    Args:
        output: value of ``--output`` in the training.
    """
    return Forms(
        of_keras,
        lambda loaded: _of_saved_model(loaded, output),
        lambda path, _: _of_tflite(path, output),
    )


def _of_tflite(path: Path, output: str) -> Forecasts:
    runner = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("forecast")
    names = list(runner.get_input_details())

    def forecasts(prepared: Prepared, origins: np.ndarray) -> Forecast:
        rows = rows_of(prepared, origins)
        found = [
            runner(**{name: rows[name][row : row + 1] for name in names})["parameters"]
            for row in range(len(origins))
        ]
        return as_forecast(np.concatenate(found), output)

    return forecasts


def rows_of(prepared: Prepared, origins: np.ndarray) -> dict[str, np.ndarray]:
    """Returns ``{name: array}`` of the model inputs. The first axis of each array is the window."""
    batches = [inputs for inputs, _, _ in prepared.batches(origins, BATCH).as_numpy_iterator()]
    return {name: np.concatenate([batch[name] for batch in batches])[: len(origins)] for name in batches[0]}


def as_forecast(parameters: np.ndarray, output: str) -> Forecast:
    """Converts model outputs ``(n, H, p)`` with p parameters to forecasts of n windows and H steps.

    A normal distribution becomes a Student-t distribution with infinite degrees of freedom.
    """
    if output == "normal":
        freedom = np.full((*parameters.shape[:-1], 1), np.inf)
        return Forecast("student_t", np.concatenate([parameters, freedom], -1))
    return Forecast(output, parameters, LEVELS if output == "quantiles" else ())


def of_keras(model: keras.Model, change: Callable[[dict], dict] = lambda inputs: inputs) -> Forecasts:
    """Returns the forecast function of a Keras model.

    Args:
        model: the model.
        change: function that receives the inputs of a batch and returns the inputs that the model reads.
            Default: the same inputs.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def forecast(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model(inputs, training=False)

    def forecasts(prepared: Prepared, origins: np.ndarray) -> Forecast:
        batches = prepared.batches(origins, min(BATCH, max(len(origins), 1)))
        found = np.concatenate([forecast(change(inputs)).numpy() for inputs, _, _ in batches])
        return as_forecast(found[: len(origins)], model.output_kind)

    return forecasts


def _of_saved_model(loaded: Any, output: str) -> Forecasts:
    signature = loaded.signatures["serving_default"]
    names = list(signature.structured_input_signature[1])

    def forecasts(prepared: Prepared, origins: np.ndarray) -> Forecast:
        found = []
        for start in range(0, len(origins), BATCH):
            rows = rows_of(prepared, origins[start : start + BATCH])
            found.append(signature(**{name: tf.constant(rows[name]) for name in names})["parameters"].numpy())
        return as_forecast(np.concatenate(found), output)

    return forecasts
