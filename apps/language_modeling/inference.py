"""Computes the negative log-likelihood of each token of a text, with a model in any format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from apps.console import log
from apps.inference import Forms
from seqmodels.data.tokenizer import END
from seqmodels.models import NextToken

AT_ONCE = 256  # number of tokens per call of the model; the state is passed to the next call

Losses = Callable[[np.ndarray], np.ndarray]
"""Function that receives the token ids of a text, ``(tokens,)``, and returns their losses, float64.

The loss of a token is its negative log-likelihood given all earlier tokens.
"""


def of_saved_model(loaded: Any) -> Losses:
    step = loaded.signatures["step"]
    if is_mixed(loaded):
        log.print("note: the SavedModel was exported with --mix, so the scores are scores of the mixture")
    return of_step(
        lambda **inputs: {name: value.numpy() for name, value in step(**_tensors(inputs)).items()},
        {
            name: initial_state(spec.shape[-1], spec.dtype.as_numpy_dtype)
            for name, spec in step.structured_input_signature[1].items()
            if name != "tokens"
        },
    )


def is_mixed(loaded: Any) -> bool:
    """Returns True if a SavedModel was exported with ``--mix``."""
    return "history" in loaded.signatures["step"].structured_input_signature[1]


def of_keras(model: NextToken) -> Losses:
    read = reader(model)

    def losses(ids: np.ndarray) -> np.ndarray:
        parts = [part for part, _ in read(ids)]
        return np.concatenate([np.zeros(0), *parts])

    return losses


def reader(model: NextToken) -> Callable[[np.ndarray], Iterator[tuple[np.ndarray, np.ndarray]]]:
    """Returns a function that yields the losses and the features of a text, part by part.

    The function receives the token ids of the text, ``(tokens,)``. For each part of t tokens, it yields the
    losses, ``(t,)``, and the features, ``(t, d)``. The features are the d inputs of the output layer.
    """

    @tf.function(autograph=False, reduce_retracing=True)
    def read(tokens: tf.Tensor, targets: tf.Tensor, states: Any) -> tuple:
        features = model.features({"tokens": tokens, "states": states}, training=False)
        return model.losses_of(features.outputs, targets), features.outputs, features.states

    def parts(ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        states = model.get_initial_state(1)
        tokens = np.append(np.int32(END), ids[:-1]).astype(np.int32)
        for start in range(0, len(ids), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            losses, outputs, states = read(
                tf.constant(tokens[None, part]), tf.constant(ids[None, part], tf.int32), states
            )
            yield losses[0].numpy().astype(np.float64), outputs[0].numpy()

    return parts


def of_tflite(path: Path) -> Losses:
    step = Interpreter(model_path=str(path), num_threads=1).get_signature_runner("step")
    details = step.get_input_details()["state"]
    return of_step(step, {"state": initial_state(details["shape"][-1], details["dtype"])})


def of_step(step: Callable[..., dict[str, np.ndarray]], states: Mapping[str, np.ndarray]) -> Losses:
    """Returns a function that computes the losses of a text.

    For each token, the function runs the signature ``step`` of an exported model.

    Args:
        step: the signature, see :func:`apps.language_modeling.saved_model.step_signature`.
        states: the states at the start of a text, ``{input name: (1, size)}``. The outputs of the same names
            are the next states.
    """

    def losses(ids: np.ndarray) -> np.ndarray:
        carried, found = dict(states), np.zeros(len(ids))
        for index, (token, target) in enumerate(zip(np.append(END, ids[:-1]), ids)):
            results = step(tokens=np.array([token], np.int32), **carried)
            carried = {name: results[name] for name in carried}
            logits = results["logits"][0].astype(np.float64)
            largest = logits.max()
            found[index] = np.log(np.sum(np.exp(logits - largest))) + largest - logits[target]
        return found

    return losses


def initial_state(size: int, dtype: Any) -> np.ndarray:
    """Returns the state at the start of a text, ``(1, size)``.

    For a recurrent model, all entries are 0. For a fixed-window model, the state consists of the previous
    tokens. At the start, all of them are ``END``, the token that ends a line.
    """
    return np.full((1, size), END if np.issubdtype(dtype, np.integer) else 0, dtype)


def _tensors(inputs: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(value) for name, value in inputs.items()}


FORMS: Forms[Losses] = Forms(of_keras, of_saved_model, lambda path, _: of_tflite(path))
