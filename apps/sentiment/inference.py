"""Texts to probabilities by any form that a run's model has: Keras, SavedModel, TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from apps.run import Run
from apps.sentiment.data import Assets
from seqmodels.data.batching import batches, evaluation_order
from seqmodels.data.sequences import PAD, TokenSequences
from seqmodels.errors import UsageError
from seqmodels.export import tflite

BATCH = 64  # rows of a batch

Probabilities = Callable[[Iterable[list[str]]], Iterator[np.ndarray]]
"""For each chunk of texts ``(n, classes)`` float32 in the order of the texts."""


def open_model(run: Run, assets: Assets, kind: str) -> Probabilities:
    """The run's model by its kind: keras, saved_model, or tflite, tflite_dynamic, ...

    Raises:
        UsageError: the run has not been exported or converted to this kind.
    """
    if kind == "keras":
        return of_keras(run.load_model(), assets)
    if kind == "saved_model":
        return _of_saved_model(_required(run.saved_model, "export"))
    quantize = kind.partition("_")[2] or "none"
    path = _required(run.tflite / tflite.file_name(quantize), f"convert --quantize {quantize}")
    return _of_tflite(run, path, assets)


def _required(path: Path, verb: str) -> Path:
    if not path.exists():
        raise UsageError(f"{path}: is not there; `{verb}` makes it")
    return path


def of_keras(model: keras.Model, assets: Assets) -> Probabilities:
    @tf.function(reduce_retracing=True)
    def classify(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.nn.softmax(model(inputs, training=False))

    shapes: dict[str, Any] = {"edges": assets.serving_edges, "batch_size": BATCH}

    def probabilities(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            ids = assets.encode(texts)
            rows = [classify(inputs).numpy() for inputs, _, _ in batches(ids, **shapes)]
            yield np.concatenate(rows)[evaluation_order(ids.lengths, **shapes)]

    return probabilities


def _of_saved_model(path: Path) -> Probabilities:
    classify = tf.saved_model.load(str(path)).signatures["serving_default"]

    def probabilities(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
            yield np.concatenate([classify(text=tf.constant(part))["probabilities"] for part in parts])

    return probabilities


def _of_tflite(run: Run, path: Path, assets: Assets) -> Probabilities:
    shape = run.read_json("export/tflite/report.json", "length", "keep", mend="`convert` writes it again")
    assets = at_length(assets, shape["length"], shape["keep"])
    classify = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("classify")

    def probabilities(chunks: Iterable[list[str]]) -> Iterator[np.ndarray]:
        for texts in chunks:
            rows = padded(assets.encode(texts), assets.length)
            found = np.concatenate([classify(tokens=row[None])["probabilities"] for row in rows])
            # In 8 bits each is rounded by itself, and they need not sum to 1.
            yield found / found.sum(axis=1, keepdims=True)

    return probabilities


def at_length(assets: Assets, length: int, keep: str) -> Assets:
    """The same tokenizer with all texts cut, or padded, to one length."""
    return replace(assets, edges=[length], length=length, keep=keep)


def padded(rows: TokenSequences, length: int) -> np.ndarray:
    """``(n, length)`` int32."""
    tokens = np.full((len(rows), length), PAD, np.int32)
    tokens[np.arange(length) < rows.lengths[:, None]] = rows.values
    return tokens
