"""Writes notes about texts and tokens. Every note suggests a remedy.

A training prints the notes before it starts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from seqmodels.data import END, PAD, SPECIAL_TOKENS, START, UNKNOWN, Tokenizer, TokenSequences
from seqmodels.data.characters import UNCUT, UNSPACED, in_python
from seqmodels.data.tokenizer import LONGEST_WORD, SPACE_MARK

UNKNOWN_SHARE = 0.1  # a note is printed if more than this fraction of the tokens of a split is unknown
SMALLEST_VOCABULARY = 50  # a note is printed if a vocabulary has fewer tokens than this number
FEWEST_TEXTS = 10  # with fewer texts than this number, all texts may have the same length by chance
# The function script_note finds very long words, and scripts that the tokenizer does not split into words.
# It returns a note only if such words, or one such script, contain more than this fraction of all characters.
SCRIPT_SHARE = 0.1
SAMPLE = 2000  # number of texts that are searched for scripts without spaces
# Limits for the mean word length of a script. The mean is weighted: the weight of a word is the number of its
# characters in this script. Above the limit, the "words" are probably whole sentences without spaces.
# LONG_WORD is the limit for all scripts that are not in LONG_WORDS.
LONG_WORDS = {"Han": 4, "Kana": 4}
LONG_WORD = 12
SCRIPTS = {
    name: re.compile(in_python(f"[{characters}]")) for name, characters in {**UNSPACED, **UNCUT}.items()
}


def unknown_note(
    tokenizer: Tokenizer, splits: Mapping[str, np.ndarray], marked: bool = False, more: str = ""
) -> list[str]:
    """Returns a note if more than 10 % of the tokens of a split are unknown.

    Args:
        tokenizer: the tokenizer of the splits.
        splits: token ids of each split, as ``{name: ids}``.
        marked: if True, the text itself contains tokens such as ``<unk>`` for unknown words.
        more: additional remedy, which the calling task offers. The note lists it last.
    """
    shares = {}
    for name, ids in splits.items():
        real = ids[~np.isin(ids, (PAD, START, END))]
        shares[name] = float(np.mean(real == UNKNOWN)) if len(real) else 0.0
    high = [f"{share:.1%} of the {name} tokens" for name, share in shares.items() if share > UNKNOWN_SHARE]
    if not high:
        return []
    settings, remedies = tokenizer.settings, []
    if len(tokenizer) >= settings.size:
        remedies.append("raise --vocabulary")
    if settings.minimum_count > 1:
        remedies.append("lower --minimum-count")
    if settings.unit == "word":
        remedies.append("use --unit wordpiece")
    remedies += [more] if more else []
    remedies = remedies or ["add training texts"]
    source = "; the text marks unknown words itself" if marked else ""
    return [f"{' and '.join(high)} are unknown{source}; {', or '.join(remedies)}"]


def vocabulary_note(tokenizer: Tokenizer, language: str = "") -> list[str]:
    """Returns a note if a vocabulary has fewer than 50 tokens.

    A vocabulary of characters or bytes can be small, so it never causes a note.
    """
    count, settings = len(tokenizer) - len(SPECIAL_TOKENS), tokenizer.settings
    if settings.unit not in ("word", "wordpiece") or count >= SMALLEST_VOCABULARY:
        return []
    remedies = ["check the texts of --data", "add training texts"]
    if len(tokenizer) >= settings.size:
        remedies.insert(0, "raise --vocabulary")
    elif settings.minimum_count > 1:
        remedies.insert(0, "lower --minimum-count")
    of = f" of {language}" if language else ""
    return [f"the vocabulary{of} has only {count} tokens; {', or '.join(remedies)}"]


def length_note(ids: TokenSequences, special: int, texts: str = "training texts") -> list[str]:
    """Returns a note if all texts have the same number of tokens.

    Args:
        ids: tokens of the texts.
        special: number of start and end tokens in every text. These tokens are not counted.
        texts: name for the texts in the message, such as ``training lines``.
    """
    lengths = ids.lengths - special
    if len(lengths) < FEWEST_TEXTS or lengths.min() < lengths.max():
        return []
    if (length := int(lengths[0])) > 1:
        return [
            f"all {len(lengths)} {texts} have {length} tokens; check that --data has whole texts of "
            "different lengths"
        ]
    what = "1 token" if length else "no tokens"
    return [f"all {len(lengths)} {texts} have {what}; check that --data has whole texts"]


def script_note(
    tokenizer: Tokenizer, texts: Sequence[str], chosen: str, remedies: Sequence[str]
) -> list[str]:
    """Returns a note if many words are too long because their script has no spaces between words.

    Args:
        tokenizer: the tokenizer of the texts.
        texts: training texts.
        chosen: option that determines how texts are split, such as ``--split letters``.
        remedies: options of the task that can split such texts, such as ``--split auto``, best first.
    """
    settings = tokenizer.settings
    remedies = [each for each in remedies if each not in (chosen, f"--unit {settings.unit}")]
    if settings.unit not in ("word", "wordpiece"):
        return []
    words = _words(tokenizer, texts)
    total = sum(len(word) * count for word, count in words.items())
    if not total:
        return []
    if settings.unit == "wordpiece":
        share = sum(len(word) * count for word, count in words.items() if len(word) > LONGEST_WORD) / total
        if share <= SCRIPT_SHARE:
            return []
        return [
            f"{share:.0%} of the characters are in words of more than {LONGEST_WORD} characters; "
            f"such words become unknown tokens, so {_either(remedies)}"
        ]
    uncut = []
    for name, script in SCRIPTS.items():
        found = {word: len(script.findall(word)) * count for word, count in words.items()}
        characters = sum(found.values())
        long = sum(len(word) * number for word, number in found.items()) / max(characters, 1)
        if characters > SCRIPT_SHARE * total and long > LONG_WORDS.get(name, LONG_WORD):
            uncut.append((name, characters / total))
    if not uncut:
        return []
    named = " and ".join(f"{name} ({share:.0%} of the characters)" for name, share in uncut)
    if all(name in UNCUT for name, _ in uncut):
        remedies = [each for each in remedies if each != "--split auto"]
    return [f"{chosen} does not cut {named} into words; {_either(remedies)}"]


def _either(remedies: Sequence[str]) -> str:
    return f"use {' or '.join(remedies)}" if remedies else "separate the words of the texts with spaces"


def _words(tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, int]:
    """Counts the words of a sample of the texts."""
    chosen = texts[:: max(1, len(texts) // SAMPLE)]
    encoded = [text.encode("utf-8", "surrogatepass") for text in chosen]
    words = tokenizer.split(tf.constant(encoded, tf.string)).values.numpy().tolist()
    return Counter(word.decode("utf-8", "replace").removeprefix(SPACE_MARK) for word in words)
