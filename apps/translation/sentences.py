"""Splits a text into sentences before translation, and joins the translated sentences.

The rules are those of the library ``sentencex``: abbreviations, numbers, quotes, ellipses, and the marks that
end a sentence in each script. Where a boundary is doubtful, the text is not split.
"""

from __future__ import annotations

import re
import unicodedata

import sentencex

INITIAL = re.compile(
    r"(?:^|[^\w])[^\W\d_]\.\s*$"
)  # one letter and a period at the end, as in "M." or "J. R."
MARKER = re.compile(r"\W*(\d+|[^\W\d_])[.)]\W*")  # the number of a list item, as in "2." or "b)"
SHORT = re.compile(r"(?:^|\W)[^\W\d_]{1,4}\.\s*$")  # a short word and a period at the end, as in "figs."
QUOTES = "\"'\u201c\u201d\u2018\u2019\u00bb)]}"  # marks after the end of a sentence, in every script
CLOSING = ("\u300d", "\u300f")  # Japanese quotes; kana after them continues the sentence


def split(text: str, language: str = "") -> list[str]:
    """Splits a text into sentences without the white space around them.

    Args:
        text: the text. A text without letters and digits has at most one sentence.
        language: code of its language, such as ``de`` or ``pt-BR``. Other names select general rules.

    >>> split("Dr. Smith paid 3.50 dollars. Really?", "en")
    ['Dr. Smith paid 3.50 dollars.', 'Really?']
    """
    code = re.split("[-_]", language.lower())[0]
    pieces = [piece for piece in sentencex.segment(code, text) if piece]
    first = next((letter for letter in text if letter.isalpha()), "")
    joined: list[str] = []
    for piece in pieces:
        if joined and _continues(joined[-1], piece, capitals=first.isupper()):
            joined[-1] += piece
        else:
            joined.append(piece)
    return [sentence for piece in joined if (sentence := piece.strip())]


def join(sentences: list[str]) -> str:
    """Joins translated sentences, with a space unless the script of the sentences has no spaces.

    >>> join(["Il dort.", "", "Elle chante."])
    'Il dort. Elle chante.'
    """
    text = ""
    for sentence in sentences:
        if text and sentence:
            text += "" if _unspaced((text.rstrip(QUOTES) or text)[-1]) else " "
        text += sentence
    return text


def _continues(before: str, piece: str, capitals: bool) -> bool:
    """Returns True if a piece belongs to the sentence before it.

    Args:
        before: the previous sentence.
        piece: the next piece.
        capitals: if True, the sentences of the text start with capital letters.
    """
    if not any(letter.isalnum() for letter in before) or not any(letter.isalnum() for letter in piece):
        return True
    if before.endswith(CLOSING):
        return "HIRAGANA" in unicodedata.name(piece[0], "")
    first = next(letter for letter in piece if letter.isalnum())
    if INITIAL.search(before) or MARKER.fullmatch(before):
        return True
    if MARKER.fullmatch(piece):
        return False
    return capitals and (first.islower() or (first.isdigit() and bool(SHORT.search(before))))


def _unspaced(mark: str) -> bool:
    """Returns True for letters and marks of a script without spaces between sentences."""
    wide = unicodedata.east_asian_width(mark) in ("W", "F") and "HANGUL" not in unicodedata.name(mark, "")
    return wide and not unicodedata.category(mark).startswith("S")
