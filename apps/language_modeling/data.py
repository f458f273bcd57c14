"""Converts texts to training data: one long sequence of token ids, which is cut into batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from apps.language_modeling.corpora import Reading, Texts, load_texts
from apps.language_modeling.defaults import choose
from apps.language_modeling.options import Train
from apps.run import Run
from apps.task import Data
from apps.text_notes import length_note, script_note, unknown_note, vocabulary_note
from seqmodels.data.running import running_text
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.tokenizer import (
    CORPUS_UNKNOWN,
    END,
    SPECIAL_TOKENS,
    UNKNOWN,
    Tokenizer,
    TokenizerSettings,
)
from seqmodels.errors import DataError

LINE_END = "\r\n?|\n"
KEEPING_MARKS = ("auto", "whitespace")  # values of --split that keep <unk> as one word
SHORTEST_LINE = 10  # lines with fewer characters than this do not count as repeated lines
REPEATED_LINES = 0.1  # a note is printed if more than this fraction of the test lines is repeated


def reading(options: Train) -> Reading:
    """Returns the training options that control the reading of files."""
    return Reading(options.encoding, text=options.text)


def load(options: Train, tokenizer: Tokenizer | None) -> Data:
    """Reads the splits and converts them to batches. The vocabulary comes from the training split only.

    Args:
        options: options of the training.
        tokenizer: tokenizer of the resumed run, or of the run in ``--from``. If None, a new tokenizer is
            trained.
    """
    source = load_texts(options.data, options.seed, reading=reading(options))
    if tokenizer is None:
        tokenizer = Tokenizer.train(source.train, _settings(options, source.train))
    if len(tokenizer) < len(SPECIAL_TOKENS) + 2:
        only = ", ".join(tokenizer.vocabulary[len(SPECIAL_TOKENS) :])
        raise DataError(
            f"{source.name}: the vocabulary of the training text has only one token ({only}), but at "
            "least two are needed; add text, or change --minimum-count, --vocabulary or --unit"
        )
    train_ids, valid_ids = stream(tokenizer, source.train), stream(tokenizer, source.valid)
    options, chosen = choose(options, len(train_ids))
    shortest = options.batch_size * min(options.lengths)
    if len(train_ids) < shortest:
        raise DataError(
            f"{source.name}: the training text has {len(train_ids)} tokens, but one batch needs {shortest} "
            f"tokens ({options.batch_size} sequences of {min(options.lengths)} steps); add text, or lower "
            "--batch-size or --steps"
        )
    shapes: dict[str, Any] = {"first": END, "batch_size": options.batch_size}
    return Data(
        train=lambda epoch: running_text(
            train_ids, **shapes, lengths=options.lengths, seed=options.seed, epoch=epoch
        ),
        valid=lambda: running_text(valid_ids, **shapes, lengths=[options.steps]),
        assets=tokenizer,
        facts=_facts(source, tokenizer, train_ids, valid_ids, chosen),
        source=source,
        options=options,
    )


def trained(run: Run) -> tuple[Train, Tokenizer, Texts]:
    """Returns the options of the training, the tokenizer, and the data of a run.

    Raises:
        DataError: the data have changed or are missing.
    """
    stored = run.trained_with(Train)
    source = run.trained_on(
        stored.data, lambda: load_texts(stored.data, stored.seed, reading=reading(stored))
    )
    return stored, Tokenizer.load(run.assets), source


def stream(tokenizer: Tokenizer, lines: Sequence[str]) -> np.ndarray:
    """Returns the token ids of all lines in one array, with ``END`` after each line: ``(tokens,)`` int32."""
    return tokenizer.encode(lines).values


def encode(tokenizer: Tokenizer, texts: tf.Tensor) -> tf.RaggedTensor:
    """Converts texts ``(n,)`` to token ids ``(n, None)`` in a TensorFlow graph. ``END`` follows each line."""
    lines = tf.strings.split(tf.strings.regex_replace(texts, LINE_END, "\n"), "\n")
    return lines.with_values(tokenizer(lines.values)).merge_dims(1, 2)


def words(lines: Sequence[str]) -> int:
    """Returns the number of words plus the number of line ends. White space separates words."""
    return sum(len(line.split()) + 1 for line in lines)


def characters(lines: Sequence[str]) -> int:
    """Returns the number of characters plus the number of line ends."""
    return sum(len(line) + 1 for line in lines)


def _settings(options: Train, lines: Sequence[str]) -> TokenizerSettings:
    of_words = options.unit in ("word", "wordpiece")
    marked = of_words and options.split in KEEPING_MARKS and _marks_unknown_words(lines)
    settings: dict[str, Any] = {
        "unit": options.unit,
        "split": options.split,
        "base": "whitespace",
        "lowercase": options.lowercase,
        "size": options.vocabulary,
        "minimum_count": options.minimum_count or (1 if marked else 2),
        "end": True,
    }
    return TokenizerSettings(**settings)


def _marks_unknown_words(lines: Sequence[str]) -> bool:
    return any(CORPUS_UNKNOWN in line and CORPUS_UNKNOWN in line.split() for line in lines)


def _notes(
    source: Texts, tokenizer: Tokenizer, train_ids: np.ndarray, valid_ids: np.ndarray, marked: bool
) -> list[str]:
    settings = tokenizer.settings
    lengths = np.diff(np.append(-1, np.flatnonzero(train_ids == END)))
    remedies = ("--split auto", "--unit wordpiece", "--unit character")
    unsplit = settings.unit == "word" and settings.split in KEEPING_MARKS
    return [
        *script_note(tokenizer, source.train, f"--split {settings.split}", remedies),
        *unknown_note(
            tokenizer,
            {"train": train_ids, "validation": valid_ids},
            marked and settings.split in KEEPING_MARKS,
            "use --split punctuation" if unsplit and not marked else "",
        ),
        *vocabulary_note(tokenizer),
        *length_note(TokenSequences.from_lengths(train_ids, lengths), 1, "training lines"),
        *_repeated(source),
    ]


def _repeated(source: Texts) -> list[str]:
    """Returns a note if more than 10 % of the test lines are also in train or valid."""
    seen = {*source.train, *source.valid}
    lines = [line for line in source.test if len(line.strip()) >= SHORTEST_LINE]
    repeated = sum(line in seen for line in lines)
    if repeated <= REPEATED_LINES * len(lines):
        return []
    return [
        f"{repeated} of {len(lines)} test lines are also in train or valid; "
        "remove them from test, because their scores are too good"
    ]


def _facts(
    source: Texts, tokenizer: Tokenizer, train_ids: np.ndarray, valid_ids: np.ndarray, chosen: list[str]
) -> dict[str, Any]:
    notes, settings = [*source.notes, *chosen], tokenizer.settings
    marked = _marks_unknown_words(source.train)
    if settings.split not in KEEPING_MARKS and marked:
        notes.append(
            f"--split {settings.split} breaks the {CORPUS_UNKNOWN} marks of the text into pieces; use "
            "--split auto to read these marks as unknown tokens"
        )
    notes += _notes(source, tokenizer, train_ids, valid_ids, marked)
    splits = {"train": source.train, "valid": source.valid, "test": source.test}
    return {
        "source": source.name,
        "sha256": source.sha256,
        "notes": notes,
        "counts": {name: len(lines) for name, lines in splits.items()},
        "words": {name: words(lines) for name, lines in splits.items()},
        "tokens": {"train": len(train_ids), "valid": len(valid_ids)},
        "vocabulary": len(tokenizer),
        "unknown tokens": {
            "train": f"{np.mean(train_ids == UNKNOWN):.2%}",
            "valid": f"{np.mean(valid_ids == UNKNOWN):.2%}",
        },
    }
