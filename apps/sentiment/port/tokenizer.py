"""Reference implementation of the tokenizer. Every program that uses the TFLite file needs this tokenizer.

Tokenizer.kt and Tokenizer.swift follow this file line by line. ``golden.json`` contains examples that test
an implementation in another programming language.
"""

import re
from collections.abc import Sequence

PAD, START, UNKNOWN = 0, 1, 2


def tokenize(
    text: str,
    vocabulary: dict[str, int],
    length: int,
    front: int,
    rewrites: Sequence[tuple[str, str]],
    lowercase: bool,
) -> list[int]:
    """Converts a text to ``length`` ids.

    If there are more than ``length`` ids, the first ``front`` and the last ``length - front`` ids are kept.
    If there are fewer ids, ``PAD`` is appended. If all kept words are unknown, the result is the same as for
    an empty text.
    """
    spaced = text.lower() if lowercase else text
    for pattern, replacement in rewrites:
        spaced = re.sub(pattern, replacement, spaced)
    words = [word for word in spaced.split(" ") if word]
    ids = [START] + [vocabulary.get(word, UNKNOWN) for word in words]
    if len(ids) > length:
        ids = ids[:front] + ids[len(ids) - (length - front) :]
    if all(id == UNKNOWN for id in ids[1:]):
        ids = [START]
    return ids + [PAD] * (length - len(ids))


def read_vocabulary(text: str) -> dict[str, int]:
    """Reads the content of vocab.txt, in which the token with id ``i`` is on line ``i``, counted from 0."""
    return {token: index for index, token in enumerate(text.removesuffix("\n").split("\n"))}
