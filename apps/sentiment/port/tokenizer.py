"""The tokenizer of the .tflite, in a few lines for those who port it; Tokenizer.kt and Tokenizer.swift follow
it line by line, and ``golden.json`` tells whether a port is right."""

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
    """``length`` ids; of a longer text the first ``front`` and the last ``length - front``."""
    spaced = text.lower() if lowercase else text
    for pattern, replacement in rewrites:
        spaced = re.sub(pattern, replacement, spaced)
    words = [word for word in spaced.split(" ") if word]
    ids = [START] + [vocabulary.get(word, UNKNOWN) for word in words]
    if len(ids) > length:
        ids = ids[:front] + ids[len(ids) - (length - front) :]
    return ids + [PAD] * (length - len(ids))


def read_vocabulary(text: str) -> dict[str, int]:
    """The content of vocab.txt: the token of id ``i`` is on line ``i``, counted from 0."""
    return {token: index for index, token in enumerate(text.removesuffix("\n").split("\n"))}
