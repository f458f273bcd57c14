"""Texts to translations by any form that a run's model has: Keras, SavedModel, TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.inference import Forms
from apps.translation.data import Assets
from apps.translation.port.translate import Translator as PhoneTranslator
from seqmodels import decoding
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.tokenizer import END, PAD, START, UNKNOWN
from seqmodels.errors import UsageError
from seqmodels.models import Translator

BATCH = 64  # texts that are translated together
NEVER = (PAD, START, UNKNOWN)  # tokens that no translation has


@dataclass(frozen=True)
class Decoding:
    """How a translation is looked for.

    Attributes:
        beam: translations that are followed at once; 1 is greedy.
        best: how many of them are handed out.
        length_penalty, coverage_penalty: of :class:`seqmodels.decoding.Search`.
        no_repeat, minimum: of :class:`seqmodels.decoding.Rules`.
        maximum: tokens at most; None for twice those of the source and 10.
    """

    beam: int = 5
    best: int = 1
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    no_repeat: int = 0
    minimum: int = 0
    maximum: int | None = None


@dataclass(frozen=True)
class Translation:
    """One translation and how good the model finds it: the mean log-probability of a token, or, of a beam,
    what it is ranked by. None where a form of the model does not say."""

    text: str
    score: float | None


Translate = Callable[[Iterable[list[str]]], Iterator[list[list[Translation]]]]
"""For each chunk of texts the translations of each text, the best first."""


def search(
    model: Translator, assets: Assets, texts: tf.Tensor, how: Decoding
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """In a graph: strings ``(n,)`` to tokens ``(n, best, T)``, their lengths and scores ``(n, best)``."""
    inputs = assets.tensors(texts)
    memory, states = model.encode(inputs["source"], inputs["lengths"])
    maximum = how.maximum
    if maximum is None:
        maximum = tf.maximum(2 * inputs["lengths"] + 10, how.minimum + 1)
    rules = decoding.Rules(
        maximum=maximum,
        end=END,
        minimum=how.minimum,
        forbidden=NEVER,
        no_repeat=how.no_repeat,
    )
    start = tf.fill(tf.shape(texts), START)
    repeated = memory if how.beam == 1 or memory is None else decoding.repeat_rows(memory, how.beam)

    def step(tokens: tf.Tensor, states: Any) -> tuple:
        logits, states, attention = model.step(tokens, states, repeated)
        return (logits, states) if attention is None else (logits, states, attention)

    if how.beam == 1:
        found = decoding.greedy(step, start, states, rules)
        # The end was predicted too, where the maximum did not come first.
        predicted = tf.minimum(found.lengths + 1, maximum)
        mean = found.log_probabilities / tf.cast(predicted, tf.float32)
        return found.tokens[:, None], found.lengths[:, None], mean[:, None]
    ranking = decoding.Search(how.beam, how.length_penalty, how.coverage_penalty)
    ranked = decoding.beam(step, start, states, rules, ranking, source_lengths=inputs["lengths"])
    return ranked.tokens[:, : how.best], ranked.lengths[:, : how.best], ranked.scores[:, : how.best]


def translate(
    model: Translator, assets: Assets, texts: tf.Tensor, how: Decoding
) -> tuple[tf.Tensor, tf.Tensor]:
    """In a graph: strings ``(n,)`` to translations and their scores, ``(n, best)``."""
    tokens, lengths, scores = search(model, assets, texts, how)
    shape = tf.shape(lengths)
    flat = tf.reshape(tokens, (shape[0] * shape[1], tf.shape(tokens)[2]))
    return tf.reshape(assets.texts(flat, tf.reshape(lengths, [-1])), shape), scores


def forms(assets: Assets, how: Decoding) -> Forms[Translate]:
    """How each form of a model translates; raises UsageError for one that cannot decode so."""

    def saved_model(loaded: Any) -> Translate:
        if how not in (Decoding(), Decoding(beam=1)):
            raise UsageError("--model saved_model: decodes by --beam 5 or 1 and no other settings")
        return _of_saved_model(loaded, "translate" if how.beam > 1 else "translate_greedy")

    def phone(path: Path, kind: str) -> Translate:
        if how != Decoding(beam=1):
            raise UsageError(
                f"--model {kind}: decodes greedily, token by token; set --beam 1 and nothing else"
            )
        return of_tflite(path)

    return Forms(lambda model: of_keras(model, assets, how), saved_model, phone)


def of_keras(model: Translator, assets: Assets, how: Decoding) -> Translate:
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def run(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return translate(model, assets, texts, how)

    return _in_batches(run)


def _of_saved_model(loaded: Any, name: str) -> Translate:
    signature = loaded.signatures[name]

    def run(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        found = signature(text=texts)
        return found["translations"][:, None], found["scores"][:, None]

    return _in_batches(run)


def _in_batches(run: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]) -> Translate:
    """Texts of similar length together, each answer at the place of its text."""

    def translations(chunks: Iterable[list[str]]) -> Iterator[list[list[Translation]]]:
        for texts in chunks:
            order = np.argsort([len(text) for text in texts], kind="stable")
            answers: list[list[Translation]] = [[] for _ in texts]
            for start in range(0, len(texts), BATCH):
                rows = order[start : start + BATCH]
                batch = tf.constant([texts[row].encode("utf-8", "surrogatepass") for row in rows])
                found, scores = (tensor.numpy() for tensor in run(batch))
                for row, names, numbers in zip(rows, found, scores):
                    answers[row] = [
                        Translation(text.decode(), float(score))
                        for text, score in zip(names, numbers)
                        if np.isfinite(score)
                    ]
            yield answers

    return translations


def of_tflite(path: Path) -> Translate:
    """By the short loop that is handed to integrators."""
    translator = PhoneTranslator(path)

    def translations(chunks: Iterable[list[str]]) -> Iterator[list[list[Translation]]]:
        for texts in chunks:
            yield [[Translation(translator(text), None)] for text in texts]

    return translations


def attention(
    model: Translator, assets: Assets, sources: Sequence[str], targets: Sequence[str]
) -> list[np.ndarray]:
    """The weights of each pair under teacher forcing, ``(tokens of the target, of the source)``, ends
    counted."""
    source_rows = assets.cut(assets.encode_sources(sources))
    target_rows = assets.encode_targets(targets)

    @tf.function
    def run(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model.alignments(inputs)

    found = []
    for start in range(0, len(sources), BATCH):
        rows = np.arange(start, min(start + BATCH, len(sources)))
        one, other = source_rows.rows(rows), target_rows.rows(rows)
        inputs = {
            "source": padded(one, _rounded(one)),
            "source_lengths": one.lengths.astype(np.int32),
            "target": padded(other, _rounded(other)),
            "target_lengths": other.lengths.astype(np.int32) - 1,
        }
        weights = run({name: tf.constant(value) for name, value in inputs.items()}).numpy()
        found += [weight[:t, :s] for weight, s, t in zip(weights, one.lengths, inputs["target_lengths"])]
    return found


def padded(rows: TokenSequences, length: int) -> np.ndarray:
    """``(n, length)`` int32."""
    tokens = np.full((len(rows), length), PAD, np.int32)
    tokens[np.arange(length) < rows.lengths[:, None]] = rows.values
    return tokens


def _rounded(rows: TokenSequences) -> int:
    """A length that holds all rows and that other rows have too, so that there are few shapes."""
    return -(-int(rows.lengths.max()) // 16) * 16
