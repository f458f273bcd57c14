"""Generates text: a trained model continues prompts token by token."""

from __future__ import annotations

import codecs
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from apps.language_modeling.data import encode
from apps.language_modeling.mixed_model import MixedModel
from apps.language_modeling.mixture import mixed_model
from apps.language_modeling.options import Generate
from apps.run import Run
from seqmodels import decoding
from seqmodels.data.sequences import PAD
from seqmodels.data.tokenizer import END, START, UNKNOWN, Tokenizer
from seqmodels.models import NextToken

FORBIDDEN = (PAD, START, UNKNOWN)  # tokens that must not be generated


def generate(run: Run, chunks: Iterable[list[str]], options: Generate) -> Iterator[str]:
    """Yields strings. Together, they are the output: each prompt with its continuation.

    With ``--json``, each string is a JSON document for one prompt.
    """
    model, tokenizer = run.load_model(), Tokenizer.load(run.assets)
    if options.mix:
        model = mixed_model(run, model, options.mix_order)
    continuation = continuations(model, tokenizer, options)
    for chunk in chunks:
        for prompt in chunk:
            unknown = unknown_tokens(tokenizer, prompt)
            if unknown:
                listed = ", ".join(unknown)
                print(
                    "note: these parts of the prompt are read as the unknown token, because they are not in "
                    f"the vocabulary: {listed}",
                    file=sys.stderr,
                )
            pieces = until(continuation(prompt), options.stop)
            if options.json:
                yield json.dumps({"prompt": prompt, "text": "".join(pieces)}, ensure_ascii=False) + "\n"
            else:
                # If the tokens are words or wordpieces, the continuation has a space before each new word.
                # Spaces at the end of the prompt are removed. Otherwise, there would be two spaces.
                yield prompt.rstrip(" \t") if tokenizer.settings.unit in ("word", "wordpiece") else prompt
                yield from pieces
                yield "\n"


def continuations(
    model: NextToken | MixedModel, tokenizer: Tokenizer, options: Generate
) -> Callable[[str], Iterator[str]]:
    """Returns a function that receives a prompt and yields its continuation in small pieces of text."""

    compiled = tf.function(partial(step, model), autograph=False, reduce_retracing=True)
    rules = decoding.Rules(options.length, forbidden=FORBIDDEN, repetition_penalty=options.repetition_penalty)
    sampling = decoding.Sampling(options.temperature, options.top_k, options.top_p)

    def ids_after(prompt: tf.Tensor) -> Iterator[int]:
        start, states = begin(model, tf.RaggedTensor.from_tensor(prompt))
        if options.beams > 1:
            search = decoding.Search(options.beams)
            ranked = decoding.beam(compiled, start, states, rules, search, prompt[:, 1:])
            yield from ranked.tokens[0, 0, : ranked.lengths[0, 0]].numpy().tolist()
        else:
            stream = decoding.stream(compiled, start, states, rules, sampling, options.seed, prompt[:, 1:])
            yield from (int(tokens[0]) for tokens in stream)

    def continuation(prompt: str) -> Iterator[str]:
        (ids,) = encode(tokenizer, tf.constant([prompt])).to_list()
        ids = ids[:-1]  # drop END, so that the model continues the last line
        return text_of(tokenizer, ids, ids_after(tf.constant([[END, *ids]], tf.int32)))

    return continuation


def step(model: NextToken | MixedModel, tokens: tf.Tensor, states: Any) -> tuple[tf.Tensor, Any]:
    """Computes the logits of the next tokens. :mod:`seqmodels.decoding` calls this function at every step.

    Args:
        model: a language model.
        tokens: the last token of each text in the batch, ``(n,)``.
        states: the states of the model before these tokens.

    Returns:
        The logits of the next tokens, ``(n, v)`` for a vocabulary of v tokens, and the new states.
    """
    predicted = model({"tokens": tokens[:, None], "states": states}, training=False)
    return predicted.logits[:, 0], predicted.states


def begin(model: NextToken | MixedModel, prompts: tf.RaggedTensor) -> tuple[tf.Tensor, Any]:
    """Reads all tokens of each prompt except the last token. The prompts are ``(n, None)``.

    Returns:
        The last token of each prompt, ``(n,)``, and the states of the model before these tokens.
    """
    lengths = tf.cast(prompts.row_lengths(), tf.int32)
    tokens = prompts.to_tensor(PAD)  # (batch, time)
    start = tf.gather(tokens, lengths - 1, batch_dims=1)
    rows = tf.shape(tokens)[0]
    inputs = {"tokens": tokens, "lengths": lengths - 1, "states": model.get_initial_state(rows)}
    return start, model.features(inputs, training=False).states


def text_of(tokenizer: Tokenizer, before: list[int], tokens: Iterable[int]) -> Iterator[str]:
    """Yields the text that each token adds. ``before`` contains the ids of the text so far.

    If a character has several bytes, it is yielded when its last byte is generated.
    """
    ids, written = list(before), _joined(tokenizer, before)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for token in tokens:
        ids.append(token)
        text = _joined(tokenizer, ids)
        yield decoder.decode(text[len(written) :])
        written = text
    yield decoder.decode(b"", final=True)


def until(pieces: Iterable[str], stop: str | None) -> Iterator[str]:
    """Yields the text up to the first occurrence of ``stop``, which may span several pieces."""
    if not stop:
        yield from pieces
        return
    waiting = ""
    for piece in pieces:
        waiting += piece
        place = waiting.find(stop)
        if place >= 0:
            yield waiting[:place]
            return
        sure = max(len(waiting) - len(stop) + 1, 0)  # ``stop`` cannot start in the first ``sure`` characters
        yield waiting[:sure]
        waiting = waiting[sure:]
    yield waiting


def unknown_tokens(tokenizer: Tokenizer, text: str) -> list[str]:
    """Returns the distinct words or characters of a text that are not in the vocabulary."""
    pieces = tokenizer.split(tf.constant([text])).values
    known = tokenizer(pieces)
    lost = tf.reduce_any(known == UNKNOWN, axis=1).numpy() if len(pieces) else np.zeros(0, bool)
    return [*dict.fromkeys(piece.decode("utf-8", "replace") for piece in pieces.numpy()[lost])]


def _joined(tokenizer: Tokenizer, ids: list[int]) -> bytes:
    row = tf.RaggedTensor.from_row_lengths(tf.constant(ids, tf.int32), [len(ids)])
    return tokenizer.join(row).numpy()[0]
