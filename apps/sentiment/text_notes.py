"""Writes notes about problems in labeled texts. The training prints them before it starts."""

from __future__ import annotations

from apps.sentiment.labeled_texts import LabeledTextData
from apps.sentiment.labels import SEPARATOR, parts
from apps.sentiment.options import MULTI_LABEL, REGRESSION, Train
from apps.text_notes import length_note, script_note, unknown_note, vocabulary_note
from seqmodels.data import Tokenizer, TokenSequences

TRUNCATED = 0.01  # a note is printed above this share of truncated training texts


def text_notes(
    options: Train,
    source: LabeledTextData,
    train_ids: TokenSequences,
    valid_ids: TokenSequences,
    tokenizer: Tokenizer,
) -> list[str]:
    """Returns notes about unknown tokens, the vocabulary, text lengths, scripts and contradicting labels.

    Args:
        options: options of the training.
        source: all splits.
        train_ids, valid_ids: tokens of the train and valid splits, with start tokens.
        tokenizer: tokenizer of the training.
    """
    remedies = ("--split auto", "--unit wordpiece")
    return [
        *script_note(tokenizer, source.train.texts, f"--split {options.split}", remedies),
        *unknown_note(tokenizer, {"train": train_ids.values, "validation": valid_ids.values}),
        *vocabulary_note(tokenizer),
        *length_note(train_ids, special=1),
        *_truncated(options, train_ids),
        *_contradictions(options, source),
    ]


def _truncated(options: Train, ids: TokenSequences) -> list[str]:
    """Returns a note if more than 1 % of the training texts are truncated."""
    share = float((ids.lengths > options.length).mean())
    if share <= TRUNCATED:
        return []
    kept = {"head": "first", "tail": "last", "both": "first and last"}[options.keep]
    return [
        f"{share:.0%} of the training texts have more than {options.length} tokens, and only the {kept} "
        "tokens are read; raise --length to read more"
    ]


def _contradictions(options: Train, source: LabeledTextData) -> list[str]:
    """Returns a note if texts have different labels but the same words.

    Differences in white space are ignored. With ``lowercase``, differences in case are also ignored. Equal
    texts may have different numbers.
    """
    if source.output == REGRESSION:
        return []
    places: dict[
        str, dict[str, str]
    ] = {}  # maps a text to its labels, and each label to the location of its first row
    for split in (source.train, source.valid, source.test):
        for row, (text, label) in enumerate(zip(split.texts, split.labels)):
            key = " ".join(text.lower().split() if options.lowercase else text.split())
            if source.output == MULTI_LABEL:
                label = SEPARATOR.join(sorted(parts(label)))
            places.setdefault(key, {}).setdefault(label, split.where(row))
    different = [labels for labels in places.values() if len(labels) > 1]
    if not different:
        return []
    shown = " and ".join(f"{label!r} in {where}" for label, where in list(different[0].items())[:2])
    count = "1 text has" if len(different) == 1 else f"{len(different)} texts have"
    return [f"{count} more than one label, such as {shown}; correct the labels or remove the rows"]
