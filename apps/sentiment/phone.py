"""Prepares the conversion of a sentiment model to TFLite.

The TFLite file has the signature ``classify``, which reads token ids. The verb ``convert`` also writes a
README, the vocabulary, the labels and examples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.bundle import Bundle, Phone
from apps.run import Run
from apps.sentiment.data import PREFIX, Assets, reading
from apps.sentiment.inference import at_length, of_keras, padded
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.sentiment.options import SINGLE_LABEL, Convert, Train
from seqmodels.data.sequences import PAD, front_tokens
from seqmodels.data.tokenizer import LETTERS_DELIMITER, START, UNKNOWN, Tokenizer
from seqmodels.errors import UsageError
from seqmodels.export.metadata import with_text_classifier
from seqmodels.export.signature import Signature
from seqmodels.export.tflite import Entry, choose_form

LONGEST_DEFAULT = 128  # maximum length in tokens if --length is not set
# The int8 calibration uses at most this many training texts. It also uses this many windows. A window is a
# part of the joined tokens of these texts.
REPRESENTATIVE = 500
PORT = Path(__file__).parent / "port"
SPLITS = {
    "auto": "apply the rewrites below in their order; split the text at spaces",
    "letters": f"split the text at every match of `{LETTERS_DELIMITER}`",
    "punctuation": "remove variation selectors and characters of the Unicode category Cf; split the text at "
    "white space; make each punctuation mark, symbol and CJK character a separate word",
    "whitespace": "split the text at white space",
}
# The code that converts a word to ids, if the tokens are whole words.
KOTLIN_WORD, SWIFT_WORD = "return listOf(vocabulary[word] ?: UNKNOWN)", "return [vocabulary[word] ?? UNKNOWN]"
GOLDEN_TEXTS = (
    "",
    "The plot was boring, but the acting was GREAT!",
    "Don't miss it: 10/10 ...",
    "L'\u00e9t\u00e9 \u00e9tait beau",
    "\u0130stanbul, \u039f\u0394\u039f\u03a3, stra\u00dfe",  # lower-casing needs special rules
    "so good!!! :) xD <3 \u2764\ufe0f\U0001f44d\U0001f3fd \U0001f1eb\U0001f1f7 don\u2019t :(",
    "\u306f\u30ab\u30bf\u30ab\u30ca\u30fc\uff01 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 "
    "\u1019\u103c\u1014\u103a\u200b\u1781\u17d2\u1789\u17bb\u17c6",
    "\u0444\u0438\u043b\u044c\u043c \u65e0\u804a\u3002 \u0928\u092e\u0938\u094d\u0924\u0947",
    "e\u0301 \u0301a\ttab\u00a0space\u2028line \U0001f600\u200d\U0001f525",
    "good " * 40 + "and then bad " * 300,
)


def signature(model: keras.Model, assets: Assets) -> Signature:
    """Returns the signature ``classify``.

    The input is ``tokens [1, length]`` int32, padded. The output is ``probabilities [1, classes]``, or
    ``values [1, 1]`` if the model predicts a number.
    """
    kind = assets.kind

    def classify(tokens: tf.Tensor) -> dict[str, tf.Tensor]:
        lengths = tf.reduce_sum(tf.cast(tokens != PAD, tf.int32), axis=1)
        outputs = model({"tokens": tokens, "lengths": lengths}, training=False)
        return {kind.column: kind.predictions(outputs)}

    spec = tf.TensorSpec((1, assets.length), tf.int32)
    variables = [variable.value for variable in model.variables]
    return Signature("classify", classify, {"tokens": spec}, (kind.column,), variables)


def phone(run: Run, model: keras.Model, options: Convert) -> Phone:
    """Prepares the conversion to TFLite files, which read texts of one fixed length.

    The score of the files is measured on the validation split.
    """
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    longest = LONGEST_DEFAULT * (4 if assets.tokenizer.settings.unit == "character" else 1)
    length = options.length or min(assets.edges[-1], assets.length, longest)
    if length > assets.length:
        raise UsageError(
            f"--length {length} must be at most {assets.length}, the maximum text length of the run; "
            "lower --length"
        )
    form = choose_form(fused=stored.cell == "lstm", steps=length, quantize=options.quantize)
    how = replace(reading(stored), output=assets.kind.name)
    source = run.trained_on(stored.data, lambda: load_labeled_texts(stored.data, stored.seed, reading=how))
    short = at_length(assets, length, options.keep or assets.keep)
    kind, texts, targets = assets.kind, source.valid.texts, assets.targets(source.valid)
    (whole,), (cut,) = (list(of_keras(model, each)([texts])) for each in (assets, short))

    share_cut = np.mean(assets.tokenizer.encode(texts).lengths > length)

    def score(predictions: np.ndarray) -> float:
        return kind.score(kind.normalized(predictions), targets)

    def bundle(report: dict[str, Any]) -> Bundle:
        return Bundle(
            _readme(stored.data, short, report),
            _golden(model, short, [*GOLDEN_TEXTS, *texts[:8]]),
            {"vocab.txt": assets.tokenizer.vocabulary, **kind.phone_lines()},
        )

    def finish(content: bytes, subgraphs: int) -> bytes:
        if not mediapipe(assets, subgraphs):
            return content
        return with_text_classifier(content, assets.classes, assets.tokenizer.vocabulary, LETTERS_DELIMITER)

    return Phone(
        entries=[
            Entry(
                signature(model, short),
                inputs={"tokens": padded(short.encode(texts), length)},
                expected={kind.column: cut},
                representative={"tokens": _representative(short, source.train.texts)},
            )
        ],
        form=form,
        shape={"length": length, "keep": short.keep},
        note=f"{length} tokens; {share_cut:.1%} of the validation texts are truncated (keep {short.keep})",
        metric=kind.measure.name,
        number=".2%" if kind.measure.percent else ".4g",
        score=lambda _, outputs: score(outputs["classify"][kind.column]),
        references={
            f"Keras, {assets.length} tokens": score(whole),
            f"Keras, {length} tokens": score(cut),
        },
        bundle=bundle,
        mediapipe=lambda subgraphs: mediapipe(assets, subgraphs),
        finish=finish,
    )


def mediapipe(assets: Assets, subgraphs: int) -> bool:
    """Returns True if MediaPipe's text classifier can read the file.

    MediaPipe needs a file with one subgraph. It always splits texts at delimiters, so the model must be
    trained with ``--unit word`` and ``--split letters``. It shows the class with the highest probability, so
    each text must have one label.
    """
    settings = assets.tokenizer.settings
    split = (settings.unit, settings.split) == ("word", "letters")
    return subgraphs == 1 and split and assets.kind.name == SINGLE_LABEL


def _representative(assets: Assets, texts: Sequence[str]) -> np.ndarray:
    """Returns token ids for the int8 calibration, ``(rows, length)``. A row is a padded text or a window.

    A window is a part of the joined tokens of many texts, so it does not contain padding.

    The calibration measures the cell state of a fused LSTM only after the last step. The last
    step of most padded texts is padding, but the last step of a window is a real token. The windows are
    therefore needed for the cell state. Other values depend on the length of the text, such as the weight of
    a step in a mean. The padded texts are needed for these values.
    """
    spread = np.linspace(0, len(texts) - 1, min(len(texts), REPRESENTATIVE)).astype(int)
    chosen = [texts[index] for index in spread]
    tokens = assets.tokenizer.encode(chosen).values
    words = tokens[tokens != START]
    starts = np.linspace(0, len(words), REPRESENTATIVE, endpoint=False).astype(int)
    windows = words[(starts[:, None] + np.arange(assets.length - PREFIX)) % len(words)]
    windows = np.pad(windows, ((0, 0), (PREFIX, 0)), constant_values=START)
    return np.concatenate([padded(assets.encode(chosen), assets.length), windows])


def _golden(model: keras.Model, assets: Assets, texts: Sequence[str]) -> dict[str, Any]:
    (predictions,) = of_keras(model, assets)([list(texts)])
    column = assets.kind.column
    ids = padded(assets.encode(texts), assets.length)
    cases = [
        {"text": text, "ids": row.tolist(), column: [round(float(p), 6) for p in expected]}
        for text, row, expected in zip(texts, ids, predictions)
    ]
    front = front_tokens(assets.length, assets.keep, PREFIX)
    return {"length": assets.length, "front": front, "labels": assets.classes, "cases": cases}


def _readme(source: str, assets: Assets, report: dict[str, Any]) -> str:
    settings = assets.tokenizer.settings
    length, front = assets.length, front_tokens(assets.length, assets.keep, PREFIX)
    words = f"replace each word by its id, or by {UNKNOWN} if the word is not in the vocabulary"
    if settings.unit == "wordpiece":
        words = (
            "split each word, from the left, into the longest pieces in the vocabulary, where all pieces "
            "except the first start with `##`; replace each piece by its id; replace a word that cannot be "
            f"split by {UNKNOWN}"
        )
    split = SPLITS[settings.split]
    if settings.unit == "character":
        split = "replace each control character by a space; make each character, including spaces, a word"
    steps = (
        f"{'convert the text to lower case; ' if settings.lowercase else ''}{split}; "
        f"{words}; put {START} before the ids; if there are more than {length} ids, keep the first {front} "
        f"and the last {length - front}; if all ids after {START} are {UNKNOWN}, keep only {START}; if there "
        f"are fewer than {length} ids, append {PAD} until there are {length} ids."
    )
    tokenizers = "No code is provided for this tokenizer. Test your implementation with `golden.json`."
    if settings.unit in ("word", "wordpiece"):
        tokenizers = _tokenizers(assets, front)
    ready = [name for name, facts in report["files"].items() if facts["mediapipe"]]
    return Template((PORT / "README.md").read_text(encoding="utf-8")).substitute(
        source=Path(source).name,
        length=length,
        column=assets.kind.column,
        outputs=assets.kind.settings["classes"],
        meaning=assets.kind.phone_note(),
        steps=steps,
        tokenizers=tokenizers,
        mediapipe=_mediapipe_notes(ready, assets, front),
    )


def _tokenizers(assets: Assets, front: int) -> str:
    """Returns Markdown with the Kotlin and Swift code of the tokenizer.

    The code contains the rewrite patterns of this tokenizer.
    """
    parts = [f"Call `tokenize(text, vocabulary, length = {assets.length}, front = {front})`."]
    lowercase, of_words = assets.tokenizer.settings.lowercase, assets.tokenizer.settings.unit == "word"
    for language, ending, pair, lower, whole in (
        ("kotlin", "kt", '"{}" to "{}"', "text.lowercase(Locale.ROOT)", KOTLIN_WORD),
        ("swift", "swift", '("{}", "{}")', "text.lowercased()", SWIFT_WORD),
    ):
        pieces = whole if of_words else (PORT / f"Pieces.{ending}").read_text(encoding="utf-8").rstrip()
        escaped = ([part.replace("\\", "\\\\") for part in each] for each in rewrites(assets.tokenizer))
        code = Template((PORT / f"Tokenizer.{ending}").read_text(encoding="utf-8")).substitute(
            rewrites=", ".join(pair.format(*each) for each in escaped),
            cased=lower if lowercase else "text",
            ids=pieces,
        )
        parts.append(f"```{language}\n{code}```")
    return "\n\n".join(parts)


def rewrites(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    """Returns the tokenizer's patterns and replacements in the syntax of Java (Kotlin) and ICU (Swift)."""
    return [
        (
            re.sub(r"\\p([A-Z])", r"\\p{\1}", pattern).replace(r"\p{Han}", r"\p{script=Han}"),
            re.sub(r"\\(\d)", r"$\1", replacement),
        )
        for pattern, replacement in tokenizer.rewrites
    ]


def _mediapipe_notes(ready: Sequence[str], assets: Assets, front: int) -> str:
    classifier = "MediaPipe's text classifier"
    if not ready:
        return (
            f"{classifier} cannot read these files, because it needs a file with one subgraph and a run that "
            "was trained with --unit word and --split letters."
        )
    notes = [
        f"{classifier} can read {', '.join(ready)} directly; they contain the vocabulary and labels.",
        "It does not replace a text of only unknown words by an empty text.",
    ]
    if assets.tokenizer.settings.lowercase:
        notes.append("It does not convert texts to lower case, so pass it only texts in lower case.")
    if front < assets.length:
        notes.append(
            f"Unlike the steps above, it keeps the first {assets.length} ids of a text with more ids."
        )
    return " ".join(notes)
