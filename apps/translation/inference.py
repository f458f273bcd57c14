"""Translates texts with a model in any of its formats: Keras, SavedModel or TFLite."""

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

BATCH = 64  # number of texts per batch
NEVER = (PAD, START, UNKNOWN)  # tokens that a translation must not contain


@dataclass(frozen=True)
class Decoding:
    """Settings of the search for translations.

    Attributes:
        beam: number of partial translations that each step extends (beam size). 1 is greedy search.
        best: number of translations to return per text.
        length_penalty, coverage_penalty: see :class:`seqmodels.decoding.Search`.
        no_repeat, minimum: see :class:`seqmodels.decoding.Rules`.
        maximum: maximum number of tokens of a translation. Default: 2 * (number of source tokens) + 10.
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
    """One translation and its score.

    With greedy search, the score is the mean log-probability per token. With beam search, the score is the
    value by which the translations are ranked, see :class:`seqmodels.decoding.Search`. A translation by a
    TFLite file has no score (None).
    """

    text: str
    score: float | None


Translate = Callable[[Iterable[list[str]]], Iterator[list[list[Translation]]]]
"""Function that receives chunks (lists of texts) and yields the translations of each chunk.

The translations of a chunk are a list with one entry per text. The entry is the list of the translations of
this text. The best translation comes first.
"""


def search(
    model: Translator,
    assets: Assets,
    texts: tf.Tensor,
    how: Decoding,
    forbidden: tuple[int, ...] = NEVER,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Searches for the best translations of n strings ``(n,)``, in a TensorFlow graph.

    A translation never contains a token in ``forbidden``.

    Returns:
        Tokens ``(n, best, T)``, lengths ``(n, best)`` and scores ``(n, best)``. ``best`` is the number of
        translations per text. T is the maximum length.
    """
    inputs = assets.tensors(texts)
    memory, states = model.encode(inputs["source"], inputs["lengths"])
    maximum = how.maximum
    if maximum is None:
        maximum = tf.maximum(2 * inputs["lengths"] + 10, how.minimum + 1)
    rules = decoding.Rules(
        maximum=maximum,
        end=END,
        minimum=how.minimum,
        forbidden=forbidden,
        no_repeat=how.no_repeat,
    )
    start = tf.fill(tf.shape(texts), START)
    repeated = memory if how.beam == 1 or memory is None else decoding.repeat_rows(memory, how.beam)

    def step(tokens: tf.Tensor, states: Any) -> tuple:
        logits, states, attention = model.step(tokens, states, repeated)
        return (logits, states) if attention is None else (logits, states, attention)

    if how.beam == 1:
        found = decoding.greedy(step, start, states, rules)
        # The mean is computed over all predicted tokens. ``found.lengths`` does not count END, so 1 is added.
        # A translation that was stopped after ``maximum`` tokens has no END.
        predicted = tf.minimum(found.lengths + 1, maximum)
        mean = found.log_probabilities / tf.cast(predicted, tf.float32)
        return found.tokens[:, None], found.lengths[:, None], mean[:, None]
    ranking = decoding.Search(how.beam, how.length_penalty, how.coverage_penalty)
    ranked = decoding.beam(step, start, states, rules, ranking, source_lengths=inputs["lengths"])
    return ranked.tokens[:, : how.best], ranked.lengths[:, : how.best], ranked.scores[:, : how.best]


def translate(
    model: Translator, assets: Assets, texts: tf.Tensor, how: Decoding
) -> tuple[tf.Tensor, tf.Tensor]:
    """Maps n strings ``(n,)`` to translations ``(n, best)`` and scores ``(n, best)``, in a TensorFlow graph.

    ``best`` is the number of translations per text. A text without words has an empty translation.
    """
    tokens, lengths, scores = search(model, assets, texts, how)
    empty = assets.source_tokenizer(texts).row_lengths() == 0  # (n,)
    lengths = tf.where(empty[:, None], 0, lengths)
    shape = tf.shape(lengths)
    flat = tf.reshape(tokens, (shape[0] * shape[1], tf.shape(tokens)[2]))
    return tf.reshape(assets.texts(flat, tf.reshape(lengths, [-1])), shape), scores


def check_format(kind: str, how: Decoding) -> None:
    """Raises UsageError if the format ``kind`` of the model does not support the decoding settings."""
    if kind == "saved_model" and how not in (Decoding(), Decoding(beam=1)):
        raise UsageError(
            "--model saved_model supports only --beam 5 and --beam 1; use one of them and remove the other "
            "search options"
        )
    if kind.startswith("tflite") and how != Decoding(beam=1):
        raise UsageError(
            f"--model {kind} supports only greedy search; use --beam 1 and remove the other search options"
        )


def forms(assets: Assets, how: Decoding) -> Forms[Translate]:
    """Returns one function per model format. Each receives a model and returns a translation function.

    Call :func:`check_format` first, because some formats do not support all decoding settings.
    """
    return Forms(
        lambda model: of_keras(model, assets, how),
        lambda loaded: _of_saved_model(loaded, "translate" if how.beam > 1 else "translate_greedy"),
        lambda path, _: of_tflite(path),
    )


def of_keras(model: Translator, assets: Assets, how: Decoding) -> Translate:
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
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
    """Returns a translation function that calls ``run`` on batches of texts of similar length.

    The translations are in the order of the texts.
    """

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
    """Returns a translation function for a TFLite file.

    The function translates one text at a time. It uses the class in ``port/translate.py``.
    """
    translator = PhoneTranslator(path)

    def translations(chunks: Iterable[list[str]]) -> Iterator[list[list[Translation]]]:
        for texts in chunks:
            yield [[Translation(translator(text), None)] for text in texts]

    return translations


def attention(
    model: Translator, assets: Assets, sources: Sequence[str], targets: Sequence[str]
) -> list[np.ndarray]:
    """Returns the attention weights of each pair of texts.

    The decoder receives the tokens of ``targets`` as its input (teacher forcing). The weights of a pair have
    the shape ``(target tokens, source tokens)``. The tokens include the end tokens.
    """
    source_rows = assets.cut(assets.encode_sources(sources))
    target_rows = assets.encode_targets(targets)

    @tf.function(autograph=False)
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
    """Pads n token sequences to the same ``length``. Returns an int32 array ``(n, length)``."""
    tokens = np.full((len(rows), length), PAD, np.int32)
    tokens[np.arange(length) < rows.lengths[:, None]] = rows.values
    return tokens


def _rounded(rows: TokenSequences) -> int:
    """Returns the length of the longest token sequence, rounded up to a multiple of 16.

    TensorFlow compiles a graph per shape. Rounding keeps the number of different shapes small.
    """
    return -(-int(rows.lengths.max()) // 16) * 16
