"""The TFLite signature ``step`` of a language model, and the integration files next to the TFLite file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from string import Template
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.bundle import Bundle, Phone
from apps.language_modeling.data import stream, trained
from apps.language_modeling.generation import FORBIDDEN, begin, step
from apps.language_modeling.inference import initial_state, of_keras, of_tflite
from apps.language_modeling.metrics import language_scores
from apps.language_modeling.saved_model import step_signature
from apps.options import ConvertOptions
from apps.run import Run
from seqmodels import decoding
from seqmodels.data.characters import CUT, WIDE_PUNCTUATION, in_python
from seqmodels.data.tokenizer import END, Tokenizer, TokenizerSettings
from seqmodels.export.signature import Signature
from seqmodels.export.tflite import Entry, choose_form
from seqmodels.models import NextToken

ROWS = 200  # number of time steps that verify a TFLite file, and that calibrate int8
SCORED = 5000  # number of validation tokens on which the perplexity of a TFLite file is measured
GOLDEN_TOKENS = 20  # number of generated tokens per example in golden.json
PORT = Path(__file__).parent / "port"
SPLITS = {
    "auto": "Apply the rewrites of `golden.json` in their order. Then spaces separate the words",
    "whitespace": "White space separates the words",
    "punctuation": "White space separates the words. Every punctuation mark, symbol and CJK character is "
    "also a word",
    "letters": "Words consist of letters, digits, marks and apostrophes. All other characters are dropped",
}
UNITS = {
    "word": "{words}. Unknown words have id 2.",
    "wordpiece": "{words}. Each word is split into the longest pieces of the vocabulary. All pieces "
    "except the first start with `##`. A word that cannot be split has id 2.",
    "character": "Tokens are characters. Unknown characters have id 2.",
    "byte": "The token with id i is the byte i - 4.",
}


def phone(run: Run, model: NextToken, options: ConvertOptions) -> Phone:
    """Prepares the TFLite conversion of ``step``.

    The perplexity of each TFLite file is measured on the first `SCORED` tokens of the validation split.
    """
    stored, tokenizer, source = trained(run)
    valid, train = (stream(tokenizer, lines) for lines in (source.valid, source.train))
    valid = valid[:SCORED]
    signature = step_signature(model, rows=1)
    inputs = _recorded(signature, valid[:ROWS])
    outputs = signature.function(**{name: tf.constant(value) for name, value in inputs.items()})
    reference = _perplexity(of_keras(model)(valid))

    def bundle(report: dict[str, Any]) -> Bundle:
        return Bundle(
            _readme(stored.data, tokenizer, signature, report, len(valid)),
            _golden(model, tokenizer, valid),
            {"vocab.txt": tokenizer.vocabulary},
            [PORT / "generate.py"],
        )

    return Phone(
        entries=[
            Entry(
                signature,
                inputs=inputs,
                expected={name: value.numpy() for name, value in outputs.items()},
                representative=_recorded(signature, train[:ROWS]),
            )
        ],
        form=choose_form(fused=False, steps=1, quantize=options.quantize),
        shape={},
        note=f"one step per call; perplexity on the first {len(valid)} tokens of the validation text",
        metric="perplexity",
        number=".2f",
        score=lambda path, _: _perplexity(of_tflite(path)(valid)),
        references={"Keras": reference},
        bundle=bundle,
    )


def _perplexity(losses: np.ndarray) -> float:
    return language_scores(losses, words=len(losses))["perplexity"]


def _recorded(signature: Signature, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Runs ``step`` on each token of a text, and returns the inputs of all these calls.

    The inputs are ``tokens (tokens,)`` and ``state (tokens, size)``.
    """
    spec, step = signature.inputs["state"], tf.function(signature.function, autograph=False)
    states = [tf.constant(initial_state(spec.shape[-1], spec.dtype.as_numpy_dtype))]
    tokens = np.append(END, ids[:-1]).astype(np.int32)
    for token in tokens[:-1]:
        states.append(step(tokens=tf.constant([token]), state=states[-1])["state"])
    return {"tokens": tokens, "state": np.concatenate(states)}


def _golden(model: keras.Model, tokenizer: Tokenizer, ids: np.ndarray) -> dict[str, Any]:
    """Returns the content of golden.json: prompts from a text, and their continuations.

    If the temperature is 0, the continuation consists of the most probable tokens. Otherwise it is sampled
    with the random numbers in golden.json.
    """
    numbers = np.random.default_rng(0).random(GOLDEN_TOKENS)
    compiled = tf.function(partial(step, model), autograph=False)
    cases = []
    for temperature, length in ((0.0, 0), (0.0, 5), (1.0, 5)):
        prompt = [int(token) for token in ids[:length]]
        start, states = begin(model, tf.RaggedTensor.from_row_lengths([END, *prompt], [length + 1]))
        tokens: list[int] = []
        for number in numbers:
            logits, states = compiled(start, states)
            allowed, _ = decoding.restrict(logits, start[:, None], 0, decoding.Rules(1, forbidden=FORBIDDEN))
            start = decoding.draw(allowed, tf.constant([number]), decoding.Sampling(temperature))
            tokens.append(int(start[0]))
        cases.append(
            {"prompt": prompt, "temperature": temperature, "numbers": numbers.tolist(), "ids": tokens}
        )
    return {"tokens": token_settings(tokenizer.settings), "cases": cases}


def token_settings(settings: TokenizerSettings) -> dict[str, Any]:
    """Returns the settings that the class ``Text`` in generate.py needs, as a dictionary for JSON."""
    read: dict[str, Any] = {
        "unit": settings.unit,
        "split": settings.split,
        "lowercase": settings.lowercase,
    }
    if settings.split == "auto":
        # The first entry of settings.rewrites replaces white space. Its pattern is not valid in Python's re,
        # so the entry is left out. In generate.py, the method ``spaced`` replaces white space.
        read["rewrites"] = [[in_python(pattern), other] for pattern, other in settings.rewrites[1:]]
        read["unspaced"] = in_python(CUT + WIDE_PUNCTUATION)
    return read


def _readme(
    source: str, tokenizer: Tokenizer, signature: Signature, report: dict[str, Any], tokens: int
) -> str:
    spec, settings = signature.inputs["state"], tokenizer.settings
    rows = [
        f"| {name} | {facts['bytes'] / 1000:.0f} | {facts['perplexity']:.2f} | "
        f"{facts['milliseconds']['step']:.2f} |"
        for name, facts in report["files"].items()
    ]
    return Template((PORT / "README.md").read_text(encoding="utf-8")).substitute(
        source=source if source.startswith(("embedded", "tfds:")) else Path(source).resolve().name,
        state=spec.shape[-1],
        dtype=spec.dtype.name,
        beginning="all zeros" if spec.dtype.is_floating else f"all {END}",
        vocabulary=len(tokenizer),
        unit="Convert the text to lower case first. " * settings.lowercase
        + UNITS[settings.unit].format(words=SPLITS[settings.split]),
        files="\n".join(rows),
        tokens=tokens,
        reference=f"{report['references']['Keras']:.2f}",
    )
