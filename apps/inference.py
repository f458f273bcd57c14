"""Opens the model of a run in any format: Keras, SavedModel or TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import keras
import tensorflow as tf

from apps.run import Run
from seqmodels.errors import UsageError
from seqmodels.export import tflite

Called = TypeVar("Called")


@dataclass(frozen=True)
class Forms(Generic[Called]):
    """Three functions of an app, one per model format.

    Each of them receives a trained model and returns a function that computes predictions. The prediction
    functions of all formats have the same arguments and results.

    Attributes:
        keras: function that receives the loaded Keras model.
        saved_model: function that receives the loaded SavedModel.
        tflite: function that receives the path of the TFLite file and the name of its format, such as
            ``tflite_int8``.
    """

    keras: Callable[[keras.Model], Called]
    saved_model: Callable[[Any], Called]
    tflite: Callable[[Path, str], Called]


def open_model(run: Run, kind: str, forms: Forms[Called]) -> Called:
    """Opens the model of the run in one of the formats, and returns the prediction function.

    Args:
        run: a finished run.
        kind: name of the format, one of the values of ``--model``, such as ``"tflite_int8"``.
        forms: functions of the app that open each format.

    Raises:
        UsageError: the run has no file in this format; `export` or `convert` writes it.
        DataError: ``model.keras`` is damaged.
    """
    if kind == "keras":
        return forms.keras(run.load_model())
    if kind == "saved_model":
        return forms.saved_model(tf.saved_model.load(str(_required(run.saved_model, "export"))))
    quantize = kind.partition("_")[2] or "none"
    verb = f"convert --quantize {quantize}"
    return forms.tflite(_required(run.tflite / tflite.file_name(quantize), verb), kind)


def _required(path: Path, verb: str) -> Path:
    if not path.exists():
        raise UsageError(f"{path} does not exist; create it with `{verb}`")
    return path
