"""Builds the TFLite signatures ``encode`` and ``step``, and the files that explain how to use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import tensorflow as tf

from apps.bundle import Bundle, Phone
from apps.options import ConvertTextOptions
from apps.run import Run, write_text
from apps.translation.data import Assets, reading
from apps.translation.inference import NEVER, Decoding, Translate, of_keras, of_tflite, padded
from apps.translation.metrics import translation_scores
from apps.translation.options import Train
from apps.translation.pairs import load_pairs
from seqmodels.data.tokenizer import END, PAD, START
from seqmodels.export.signature import Signature
from seqmodels.export.tflite import Entry, choose_form
from seqmodels.layers.attention import Prepared
from seqmodels.models import Translator

LONGEST_DEFAULT = 64  # maximum source length in tokens, unless the user passes --length
SCORED = 200  # number of validation texts for the BLEU of a TFLite file
# A TFLite file is verified on this number of validation texts. The int8 quantization is calibrated on the
# same number of training texts.
RECORDED = 20
PORT = Path(__file__).parent / "port"
GOLDEN_TEXTS = (
    "",
    "A cat.",
    "\u0444 \U0001f600",
    "e\u0301 \u2581  (tab\there) \u00abx\u00bb",
    "a\u4eba\u3005\u3007b",
)


def signatures(model: Translator, longest: int) -> list[Signature]:
    """Returns the signatures ``encode`` and ``step``.

    - ``encode`` maps the padded token ids ``source [1, longest]`` int32 to ``states`` and the memory.
    - ``step`` maps ``token [1]``, ``states`` and the memory to the new ``states`` and the
      ``probabilities [1, vocabulary]`` of the next token.

    ``states [1, size]`` contains all decoder states, concatenated. The memory consists of ``keys``,
    ``values`` and ``length [1]``. A model without attention has no memory.
    """

    def encode(source: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.reduce_sum(tf.cast(source != PAD, tf.int32), axis=1)
        memory, states = model.encode(source, lengths)
        result = {"states": tf.concat(states, axis=1)}
        if memory is not None:
            result |= {"keys": memory.keys, "values": memory.values, "length": lengths}
        return result

    def after(token: tf.Tensor, states: tf.Tensor, memory: Prepared | None) -> dict[str, tf.Tensor]:
        split = tuple(tf.split(states, model.cell.state_size, axis=1))
        logits, states, _ = model.step(token, split, memory)
        return {"probabilities": tf.nn.softmax(logits), "states": tf.concat(states, axis=1)}

    def attending(
        token: tf.Tensor, states: tf.Tensor, keys: tf.Tensor, values: tf.Tensor, length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        real = tf.range(longest)[None, None] < length[:, None, None]
        return after(token, states, Prepared(keys, values, real))

    def alone(token: tf.Tensor, states: tf.Tensor) -> dict[str, tf.Tensor]:
        return after(token, states, None)

    variables = [variable.value for variable in model.variables]
    given = encode(tf.zeros((1, longest), tf.int32))
    specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in given.items()}
    return [
        Signature(
            "encode", encode, {"source": tf.TensorSpec((1, longest), tf.int32)}, tuple(specs), variables
        ),
        Signature(
            "step",
            alone if model.cell.attention is None else attending,
            {"token": tf.TensorSpec((1,), tf.int32), **specs},
            ("probabilities", "states"),
            variables,
        ),
    ]


def phone(run: Run, model: Translator, options: ConvertTextOptions) -> Phone:
    """Prepares the conversion to TFLite files, which have a fixed source length.

    The TFLite files are scored on the first texts of the validation split.
    """
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    length = options.length or min(assets.shapes.sources[-1], assets.length, LONGEST_DEFAULT)
    # Both signatures need all states of an LSTM. The fused operator of TFLite does not return all states.
    # Therefore, it is not used.
    form = choose_form(fused=False, steps=length, quantize=options.quantize)
    source = run.trained_on(
        stored.data,
        lambda: load_pairs(stored.data, assets.source, assets.target, stored.seed, reading=reading(stored)),
    )
    short = replace(assets, length=length)
    valid = source.valid.take(range(min(SCORED, len(source.valid))))
    entries = signatures(model, length)
    tried = _recorded(entries, short, valid.sources[:RECORDED])
    seen = _recorded(entries, short, source.train.sources[:RECORDED])

    def bleu(texts: list[str]) -> float:
        return translation_scores(texts, valid.targets)["bleu"]

    def score(path: Path, _: Any) -> float:
        _write_settings(path.parent, short)
        (answers,) = of_tflite(path)([valid.sources])
        return bleu([answer[0].text for answer in answers])

    greedy = of_keras(model, short, Decoding(beam=1))

    def references() -> dict[str, float]:
        found = {}
        for name, translate in (
            ("Keras, beam 5", of_keras(model, assets, Decoding(beam=5))),
            ("Keras, greedy", of_keras(model, assets, Decoding(beam=1))),
            (f"Keras, greedy, {length} tokens", greedy),
        ):
            (answers,) = translate([valid.sources])
            found[name] = bleu([answer[0].text for answer in answers])
        return found

    def bundle(report: dict[str, Any]) -> Bundle:
        readme = Template((PORT / "README.md").read_text(encoding="utf-8"))
        return Bundle(
            readme.substitute(source=assets.source, target=assets.target, length=length),
            _golden(greedy, short, [*GOLDEN_TEXTS, *valid.sources[:8]]),
            copies=[PORT / "translate.py"],
        )

    share = np.mean(assets.encode_sources(source.valid.sources).lengths > length)
    return Phone(
        entries=[
            Entry(each, tried[each.name][0], tried[each.name][1], seen[each.name][0]) for each in entries
        ],
        form=form,
        shape={"length": length},
        note=f"{length} tokens; {share:.1%} of the validation texts are longer and are truncated",
        metric="BLEU",
        number=".2f",
        score=score,
        references=references(),
        bundle=bundle,
    )


def _write_settings(folder: Path, assets: Assets) -> None:
    """Writes ``settings.json`` and the vocabularies, which ``port/translate.py`` reads."""
    settings = assets.source_tokenizer.settings
    facts = {"length": assets.length, "unit": settings.unit, "lowercase": settings.lowercase}
    write_text(folder / "settings.json", json.dumps(facts) + "\n")
    for side, tokenizer in (("source", assets.source_tokenizer), ("target", assets.target_tokenizer)):
        write_text(folder / f"{side}_vocab.txt", "".join(f"{token}\n" for token in tokenizer.vocabulary))


Rows = dict[str, np.ndarray]


def _recorded(
    entries: Sequence[Signature], assets: Assets, texts: Sequence[str]
) -> dict[str, tuple[Rows, Rows]]:
    """Translates the texts greedily and records the inputs and outputs of both signatures.

    Returns the inputs and the outputs per signature. Each array has one row per call of the signature.
    """
    encode, step = (tf.function(entry.function, autograph=False) for entry in entries)
    calls: dict[str, list[tuple[Rows, Rows]]] = {"encode": [], "step": []}
    for row in padded(assets.cut(assets.encode_sources(texts)), assets.length):
        inputs = {"source": row[None]}
        memory = {name: value.numpy() for name, value in encode(**inputs).items()}
        calls["encode"].append((inputs, memory))
        token = np.array([START], np.int32)
        for _ in range(2 * assets.length):
            inputs = {"token": token, **memory}
            result = {name: value.numpy() for name, value in step(**inputs).items()}
            calls["step"].append((inputs, result))
            memory = {**memory, "states": result["states"]}
            probabilities = result["probabilities"][0].copy()
            probabilities[list(NEVER)] = 0
            token = np.array([probabilities.argmax()], np.int32)
            if token[0] == END:
                break

    def merged(rows: Sequence[Rows]) -> Rows:
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    return {
        name: (merged([i for i, _ in each]), merged([o for _, o in each])) for name, each in calls.items()
    }


def _golden(greedy: Translate, assets: Assets, texts: list[str]) -> dict[str, Any]:
    (answers,) = greedy([texts])
    ids = assets.cut(assets.encode_sources(texts))
    cases = [
        {"text": text, "ids": ids.rows(np.array([row])).values.tolist(), "translation": answer[0].text}
        for row, (text, answer) in enumerate(zip(texts, answers))
    ]
    return {"length": assets.length, "cases": cases}
