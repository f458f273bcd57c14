"""Copies numbers, URLs, e-mail addresses and unknown words from a source text into its translation.

A source word is unknown if it is not in the vocabulary of the model. Instead of this word, the model reads
the unknown token. The attention links the source word to a word of the translation. The source word then
replaces the linked word (Jean et al. 2015, arXiv 1412.2007, section 3.3; Luong et al. 2015, arXiv 1410.8206).

URLs, e-mail addresses and numbers are replaced by a placeholder before the translation, because the model
cannot translate their tokens. The model reads the placeholder as the unknown token. A number that is one
token of the vocabulary is not replaced. Such a number is copied only if the translation does not contain it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from apps.translation import alignment
from apps.translation.data import Assets
from seqmodels.data.token_rules import cut
from seqmodels.data.tokenizer import SPACE_MARK, UNKNOWN, Tokenizer

PLACEHOLDER = "\ufffc"  # The tokenizer reads this object replacement character as an unknown word.
ASCII = r"[!#-;=?-~]"  # characters of a URL: ASCII without white space, quotes and angle brackets
# The tokenizer may split a rare word into many tokens of one or two letters. Such a word is treated as
# unknown if it has at least SHORTEST letters, and fewer than SPELLED letters per token.
SPELLED, SHORTEST = 1.6, 4
SPANS = re.compile(
    rf"(?<![A-Za-z0-9@])(?:https?://|ftp://|www\.){ASCII}*[A-Za-z0-9/_=&#~-]"
    r"|[A-Za-z0-9_.+%-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
    rf"|(?<![A-Za-z0-9@.-])(?:[A-Za-z0-9-]+\.)+(?:com|org|net|edu|gov|info|io)\b(?:/{ASCII}*[A-Za-z0-9/_=&#~-])?"
    r"|(?<![^\W_])(?:(?<!\S)[+\u2212-])?\d+(?:[.,:/'\u2019\u00a0\u202f-]\d+)*(?![^\W_])"
)


@dataclass(frozen=True)
class Source:
    """A source sentence in the form that the model reads, and the words to copy.

    Attributes:
        masked: the sentence that the model reads. ``PLACEHOLDER`` replaces some of the words to copy.
        words: words of the original sentence, without placeholders. A word that follows white space starts
            with ``SPACE_MARK``.
        groups: index of the word that contains each token, ``(tokens,)``.
        copied: indexes of the words to copy.
        numbers: indexes of the numbers that are in the vocabulary.
        unknown: indexes of the words that are not in the vocabulary.
        truncated: If True, the sentence has more tokens than the model reads.
    """

    masked: str
    words: list[str]
    groups: np.ndarray
    copied: list[int]
    numbers: list[int]
    unknown: list[int]
    truncated: bool

    @property
    def unknown_words(self) -> list[str]:
        return [self.words[index].removeprefix(SPACE_MARK) for index in self.unknown]


def read(assets: Assets, texts: Sequence[str], mask: bool) -> list[Source]:
    """Tokenizes sentences with the tokenizer of the model, and finds the words to copy.

    Args:
        assets: assets of the run.
        texts: the sentences.
        mask: If True, placeholders replace the words to copy. If False, the sentences are not changed. In
            this case, only words that contain the unknown token are marked as words to copy.
    """
    if not mask:
        return [
            _source(assets, text, [], *tokens)
            for text, tokens in zip(texts, _tokens(assets, texts), strict=True)
        ]
    vocabulary = frozenset(assets.source_tokenizer.vocabulary)
    masked, spans = zip(*(_masked(text, vocabulary) for text in texts)) if texts else ((), ())
    again = [
        _without_spelled(assets, text, list(found), *tokens)
        for text, found, tokens in zip(masked, spans, _tokens(assets, masked), strict=True)
    ]
    return [
        _source(assets, text, found, *tokens)
        for (text, found), tokens in zip(again, _tokens(assets, [text for text, _ in again]), strict=True)
    ]


def _tokens(assets: Assets, texts: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    """Yields the token ids and the words of each text. The words are not converted to lower case."""
    tokenizer = assets.source_tokenizer
    strings = tf.constant([text.encode("utf-8", "surrogatepass") for text in texts], tf.string)
    words = cut(strings, replace(tokenizer.settings, lowercase=False)).to_list()
    for ids, row in zip(tokenizer(strings).to_list(), words):
        yield ids, [word.decode() for word in row]


def _without_spelled(
    assets: Assets, text: str, spans: list[str], ids: list[int], words: list[str]
) -> tuple[str, list[str]]:
    """Replaces a word by a placeholder if the word has fewer than ``SPELLED`` letters per token.

    Only words that consist of at least ``SHORTEST`` letters are replaced.

    Args:
        assets: assets of the run.
        text: a text in which :func:`_masked` has already replaced URLs, addresses and numbers.
        spans: the strings that are already replaced.
        ids: token ids of the text.
        words: words of the text.

    Returns:
        The text with all placeholders, and a list of all strings that the placeholders replace.
    """
    groups = alignment.words_of(assets.source_tokenizer.decode(ids))
    pieces = np.bincount(groups, minlength=len(words))
    found, left = [], iter(spans)
    written = []
    for word, count in zip(words, pieces):
        plain = word.removeprefix(SPACE_MARK)
        spelled = plain.isalpha() and SHORTEST <= len(plain) < SPELLED * count
        if plain == PLACEHOLDER or spelled:
            found.append(next(left, "") if plain == PLACEHOLDER else plain)
            word = word.replace(plain, PLACEHOLDER)
        written.append(word)
    return (text_of(written), found) if len(found) > len(spans) else (text, spans)


def _masked(text: str, vocabulary: frozenset[str]) -> tuple[str, list[str]]:
    """Replaces URLs, e-mail addresses and numbers by placeholders. Returns the text and these strings."""
    spans: list[str] = []

    def placeholder(match: re.Match[str]) -> str:
        span = match.group()
        if span.isdigit() and (span in vocabulary or SPACE_MARK + span in vocabulary):
            return span
        spans.append(span)
        return PLACEHOLDER

    return SPANS.sub(placeholder, text.replace(PLACEHOLDER, " ")), spans


def _source(assets: Assets, masked: str, spans: list[str], ids: list[int], words: list[str]) -> Source:
    kept = ids[: assets.length - 1]
    groups = alignment.words_of(assets.source_tokenizer.decode(kept))
    words = words[: groups.max(initial=-1) + 1]
    unknown, numbers, copied, left = [], [], [], iter(spans)
    lost = {int(group) for group, index in zip(groups, kept) if index == UNKNOWN}
    for index, word in enumerate(words):
        plain = word.removeprefix(SPACE_MARK)
        if plain == PLACEHOLDER and (span := next(left, None)) is not None:
            words[index] = word.replace(PLACEHOLDER, span)
            copied.append(index)
            if not SPANS.fullmatch(span):
                unknown.append(index)
        elif index in lost:
            unknown.append(index)
            copied.append(index)
        elif plain.isdigit():
            numbers.append(index)
    return Source(masked, words, groups, copied, numbers, unknown, len(ids) > len(kept))


def pieces_of(tokenizer: Tokenizer, ids: Sequence[int]) -> tuple[list[str], list[bool], np.ndarray]:
    """Groups the tokens of a translation into words.

    Returns:
        The words, one bool per word, and the index of the word that contains each token, ``(tokens,)``. A
        word that follows white space starts with ``SPACE_MARK``. The bool is True if the word contains the
        unknown token.
    """
    groups = alignment.words_of(tokenizer.decode(ids))
    words = [""] * (groups.max(initial=-1) + 1)
    unknown = [False] * len(words)
    for index, group in zip(ids, groups):
        piece = tokenizer.vocabulary[index]
        words[group] += piece.removeprefix(alignment.CONTINUATION)
        unknown[group] |= index == UNKNOWN
    return words, unknown, groups


def copy(
    source: Source, words: list[str], unknown: list[bool], weights: np.ndarray
) -> tuple[list[str], np.ndarray, list[str]]:
    """Copies words of the source into the translation.

    A copied word replaces a word of the translation. A word can be replaced if it contains the unknown token.
    It can also be replaced if it attends to the copied word more than to any other source word. If several
    words can be replaced, the word with the highest attention to the copied word is replaced. If no word can
    be replaced, :func:`_position` determines where to insert the copied word.

    After these steps, some words of the translation can still contain the unknown token. Each of them is
    replaced by the source word to which it attends most. A number that the translation already contains is
    not copied.

    Args:
        source: the source sentence.
        words: words of the translation. A word that follows white space starts with ``SPACE_MARK``.
        unknown: for each word of the translation, True if the word contains the unknown token.
        weights: attention between words, ``(target words, source words)``.

    Returns:
        The words of the new translation, their attention, and the copied words.
    """
    marks = {word.removeprefix(SPACE_MARK) for word in source.words if not _is_text(word)}
    free = {row for row, word in enumerate(words) if word.removeprefix(SPACE_MARK) not in marks}
    wanted = []
    for index in sorted({*source.copied, *source.numbers}):
        same = [row for row in free if _same(words[row], source.words[index])]
        if same:
            free.discard(max(same, key=lambda row: (weights[row, index], -row)))
        else:
            wanted.append(index)
    best = weights.argmax(axis=1) if weights.size else np.zeros(len(words), int)
    taken: dict[int, int] = {}  # index of a replaced word: index of the source word that replaces it
    for row, index in sorted(((row, index) for row in free for index in wanted), key=lambda at: -weights[at]):
        fits = best[row] == index and _is_text(words[row]) == _is_text(source.words[index])
        if (fits or unknown[row]) and row not in taken and index not in taken.values():
            taken[row] = index
    missing = [index for index in wanted if index not in taken.values()]
    if source.words:
        taken |= {row: int(best[row]) for row in free if unknown[row] and row not in taken}
    placed = [
        (
            _in_place_of(words[row], source.words[taken[row]], unknown[row]) if row in taken else words[row],
            row,
        )
        for row in range(len(words))
    ]
    rows = [*weights, *np.eye(len(source.words))[missing]]
    for number, index in enumerate(missing, len(words)):
        placed.insert(_position(placed, rows, index), (source.words[index], number))
    copied = [source.words[index].removeprefix(SPACE_MARK) for index in sorted([*taken.values(), *missing])]
    attention = np.array([rows[row] for _, row in placed]).reshape(len(placed), len(source.words))
    return [word for word, _ in placed], attention, copied


def _position(placed: Sequence[tuple[str, int]], rows: Sequence[np.ndarray], index: int) -> int:
    """Returns the position in a translation where a source word is inserted.

    The position is next to one word of the translation, the neighbor. The neighbor is the word with the
    highest attention to the source word. Punctuation marks are ignored if the translation has other words.

    If the neighbor attends most to a word before the source word, the position is after the neighbor.
    Otherwise, the position is before the neighbor.
    """
    if not placed:
        return 0
    places = [at for at, (word, _) in enumerate(placed) if _is_text(word)] or range(len(placed))
    nearest = max(places, key=lambda at: rows[placed[at][1]][index])
    return nearest + (int(rows[placed[nearest][1]].argmax()) < index)


def _in_place_of(word: str, source: str, unknown: bool) -> str:
    """Returns the source word that replaces ``word``. Only the ``SPACE_MARK`` at its start can change.

    If ``unknown`` is True, ``source`` is returned without changes. Otherwise, the result starts with
    ``SPACE_MARK`` only if ``word`` starts with ``SPACE_MARK``.
    """
    plain = source.removeprefix(SPACE_MARK)
    spaced = source.startswith(SPACE_MARK) if unknown else word.startswith(SPACE_MARK)
    return SPACE_MARK * spaced + plain


def _same(word: str, source: str) -> bool:
    """Returns True if both words are equal. White space before the words is ignored."""
    one, other = (each.removeprefix(SPACE_MARK) for each in (word, source))
    return one == other


def _is_text(word: str) -> bool:
    """Returns True if a word contains a letter or a digit, and False for punctuation and symbols."""
    return any(letter.isalnum() for letter in word)


def text_of(words: Sequence[str]) -> str:
    """Joins the words of a translation.

    >>> text_of(["▁Le", "▁chat", "."])
    'Le chat.'
    """
    return "".join(words).replace(SPACE_MARK, " ").strip(" ")
