"""Computes predictions for texts with a model in any of its formats: Keras, SavedModel or TFLite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from apps.inference import Forms
from apps.run import Run
from apps.sentiment.data import Assets
from seqmodels.data.batching import batches, evaluation_order
from seqmodels.data.sequences import PAD, TokenSequences

BATCH = 64  # number of texts per batch

Predictions = Callable[[Iterable[list[str]]], Iterator[np.ndarray]]
"""Function that receives lists of texts and yields the predictions for each list.

For a list of n texts, the predictions are ``(n, columns)`` float32, in the order of the texts. See
:class:`apps.sentiment.kinds.base.Kind`.
"""


def forms(run: Run, assets: Assets) -> Forms[Predictions]:
    """Returns one loader function per model format.

    A loader function receives a model or its path. It returns a function that computes predictions.
    """
    return Forms(
        keras=lambda model: of_keras(model, assets),
        saved_model=lambda loaded: _of_saved_model(loaded, assets),
        tflite=lambda path, _: _of_tflite(run, path, assets),
    )


def of_keras(model: Callable[..., tf.Tensor], assets: Assets) -> Predictions:
    @tf.function(autograph=False, reduce_retracing=True)
    def classify(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return assets.kind.predictions(model(inputs, training=False))

    shapes: dict[str, Any] = {"edges": assets.serving_edges, "batch_size": BATCH}

    def predictions(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            ids = assets.encode(texts)
            rows = [classify(inputs).numpy() for inputs, _, _ in batches(ids, **shapes)]
            yield np.concatenate(rows)[evaluation_order(ids.lengths, **shapes)]

    return predictions


def _of_saved_model(loaded: Any, assets: Assets) -> Predictions:
    classify = loaded.signatures["serving_default"]

    def predictions(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
            found = np.concatenate([classify(text=tf.constant(part))[assets.kind.column] for part in parts])
            yield found.reshape(len(texts), -1)

    return predictions


def _of_tflite(run: Run, path: Path, assets: Assets) -> Predictions:
    shape = run.read_json(
        "export/tflite/report.json", "length", "keep", mend="create it again with `convert`"
    )
    assets = at_length(assets, shape["length"], shape["keep"])
    classify = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("classify")

    def predictions(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            rows = padded(assets.encode(texts), assets.length)
            found = np.concatenate([classify(tokens=row[None])[assets.kind.column] for row in rows])
            yield assets.kind.normalized(found)

    return predictions


def at_length(assets: Assets, length: int, keep: str) -> Assets:
    """Returns a copy of the assets with other settings.

    With the copy, every text is truncated or padded to ``length`` tokens. ``keep`` selects the part of a
    truncated text that is kept.
    """
    return replace(assets, edges=[length], length=length, keep=keep)


def padded(rows: TokenSequences, length: int) -> np.ndarray:
    """Pads n rows of token ids to ``length`` tokens. Returns ``(n, length)`` int32."""
    tokens = np.full((len(rows), length), PAD, np.int32)
    tokens[np.arange(length) < rows.lengths[:, None]] = rows.values
    return tokens
