"""Splits a text into sentences before translation, and joins the translated sentences.

The library ``sentencex`` finds the boundaries. Its rules cover abbreviations, numbers, quotes, ellipses, and
the marks that end a sentence in each script. If a boundary is probably wrong, this module removes it.
"""

from __future__ import annotations

import re
import unicodedata

import sentencex

# Finds an initial at the end of a text: one letter and a period. Examples of such texts: "M." and "J. R."
INITIAL = re.compile(r"(?:^|[^\w])[^\W\d_]\.\s*$")
MARKER = re.compile(r"\W*(\d+|[^\W\d_])[.)]\W*")  # the number or letter of a list item, such as "2." or "b)"
# Finds a short word (at most four letters) and a period at the end of a text. Example of such a text: "figs."
SHORT = re.compile(r"(?:^|\W)[^\W\d_]{1,4}\.\s*$")
QUOTES = "\"'\u201c\u201d\u2018\u2019\u00bb)]}"  # marks that can follow the end of a sentence
CLOSING = ("\u300d", "\u300f")  # Japanese closing quotes. If hiragana follows, the sentence continues.


def split(text: str, language: str = "") -> list[str]:
    """Splits a text into sentences. White space around the sentences is removed.

    Args:
        text: text to split. A text without letters and digits has at most one sentence.
        language: code of the language of the text, such as ``de`` or ``pt-BR``. If the code is unknown,
            general rules are used.

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
    """Joins translated sentences. A space separates two sentences if their script uses spaces.

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
    """Returns True if ``piece`` continues the sentence ``before``.

    Args:
        before: a sentence that ends at a boundary found by ``sentencex``.
        piece: the text from this boundary to the next boundary.
        capitals: If True, the first letter of the whole text is a capital letter. In this case,
            every sentence is expected to start with a capital letter.
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
    """Returns True for characters of a script that does not use spaces between sentences."""
    wide = unicodedata.east_asian_width(mark) in ("W", "F") and "HANGUL" not in unicodedata.name(mark, "")
    return wide and not unicodedata.category(mark).startswith("S")
