"""Reference implementation of the tokenizer. Every program that uses the TFLite file needs this tokenizer.

Tokenizer.kt and Tokenizer.swift follow this file line by line. ``golden.json`` contains examples that test
an implementation in another programming language.
"""

import re
from collections.abc import Sequence

PAD, START, UNKNOWN = 0, 1, 2
LONGEST_WORD = 100


def tokenize(
    text: str,
    vocabulary: dict[str, int],
    length: int,
    front: int,
    rewrites: Sequence[tuple[str, str]],
    lowercase: bool,
    unit: str = "word",
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
    ids = [START] + [id for word in words for id in ids_of(word, vocabulary, unit)]
    if len(ids) > length:
        ids = ids[:front] + ids[len(ids) - (length - front) :]
    if all(id == UNKNOWN for id in ids[1:]):
        ids = [START]
    return ids + [PAD] * (length - len(ids))


def ids_of(word: str, vocabulary: dict[str, int], unit: str) -> list[int]:
    """Returns the ids of a word. The unit is ``word`` or ``wordpiece``.

    With ``wordpiece``, the word is split from the left into the longest pieces in the vocabulary. All pieces
    except the first have the prefix ``##`` there. A word that cannot be split is unknown.
    """
    if unit == "word":
        return [vocabulary.get(word, UNKNOWN)]
    if len(word) > LONGEST_WORD:
        return [UNKNOWN]
    ids = []
    start = 0
    while start < len(word):
        prefix = "##" if start > 0 else ""
        end = len(word)
        while end > start and prefix + word[start:end] not in vocabulary:
            end -= 1
        if end == start:
            return [UNKNOWN]
        ids.append(vocabulary[prefix + word[start:end]])
        start = end
    return ids


def read_vocabulary(text: str) -> dict[str, int]:
    """Reads the content of vocab.txt, in which the token with id ``i`` is on line ``i``, counted from 0."""
    return {token: index for index, token in enumerate(text.removesuffix("\n").split("\n"))}
