"""Settings of a tokenizer, and how a text is cut by them into words, characters or bytes."""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from seqmodels.errors import UsageError
from seqmodels.registry import UNITS

START, UNKNOWN, END = 1, 2, 3
SPECIAL_TOKENS = ("<PAD>", "<START>", "<UNKNOWN>", "<END>")
"""The spellings that MediaPipe reads; their ids are ``PAD`` 0, ``START`` 1, ``UNKNOWN`` 2 and ``END`` 3."""

CORPUS_UNKNOWN = "<unk>"
"""How a corpus that was tokenised by others writes the words it left out; always ``UNKNOWN``."""

CONTINUATION = "##"
LONGEST_WORD = 100
"""A word of more characters is not cut into pieces: it is ``UNKNOWN``, as in BERT."""

LETTERS_DELIMITER = r"[^\pL\pN\pM']+"
WHITE_SPACE = r"[\pZ\p{Cc}]+"
INVISIBLE = r"[\p{Cf}\x{FE00}-\x{FE0F}]+"  # joiners, byte order marks, emoji variants

SPACE_MARK = "\u2581"
"""What begins every word that had white space before it, in the reversible split; drawn as a low bar."""

# What the graph rewrites, in this order, before it splits at spaces.
REWRITES: dict[str, tuple[tuple[str, str], ...]] = {
    "letters": ((LETTERS_DELIMITER, " "),),
    "punctuation": (
        (INVISIBLE, ""),
        (r"([\pP\pS\p{Han}])", r" \1 "),
        (WHITE_SPACE, " "),
    ),
    "reversible": (
        (INVISIBLE, ""),
        (r"[\pZ\p{Cc}\x{E000}\x{2581}]+", " "),
        (r"(^| )([^ ])", " \ue000\\2"),  # for now a mark that is no symbol
        (r"(\x{E000}?[\pP\pS\p{Han}])", r" \1 "),
        ("\ue000", SPACE_MARK),
    ),
    "whitespace": ((WHITE_SPACE, " "),),
}
BYTES = [bytes([value]) for value in range(256)]


@dataclass(frozen=True)
class TokenizerSettings:
    """What a token is.

    Attributes:
        unit: "word"; "wordpiece" for pieces of words (Schuster and Nakajima 2012; Wu et al. 2016, section
            4.1); "character", spaces too; or "byte", of which there are 256 whatever the texts and the other
            settings but case.
        split: what separates words, of the units that have any. "letters": everything but letters, digits,
            marks and apostrophes, which is then dropped (``LETTERS_DELIMITER``). "punctuation": white space,
            and every punctuation mark, symbol and CJK character is a word of its own (as BERT's basic
            tokenizer). "whitespace": white space only, for a corpus that is already tokenised; its ``<unk>``
            becomes ``UNKNOWN``. "reversible": as "punctuation", and words that had white space before them
            begin with ``SPACE_MARK``, so that :meth:`Tokenizer.join` gives the text back.
        lowercase: whether case is dropped first.
        size: the most entries the vocabulary may have, the four special tokens among them.
        minimum_count: entries that occur less often in the training texts are left out.
        start: whether ids begin with ``START``.
        end: whether ids end with ``END``.

    Raises:
        UsageError: a value is none of these.

    >>> TokenizerSettings(unit="wordpiece", split="punctuation", size=8000).lowercase
    True
    """

    unit: Literal["word", "wordpiece"] = "word"
    split: Literal["letters", "punctuation", "whitespace", "reversible"] = "letters"
    lowercase: bool = True
    size: int = 20_000
    minimum_count: int = 1
    start: bool = False
    end: bool = False

    def __post_init__(self) -> None:
        for name, choices in (("unit", UNITS), ("split", tuple(REWRITES))):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"tokenizer {name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}"
                )
        for name, least in (("size", len(SPECIAL_TOKENS) + 1), ("minimum_count", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"tokenizer {name} is {getattr(self, name)}; it must be at least {least}")


def cut(texts: tf.Tensor, settings: TokenizerSettings) -> tf.RaggedTensor:
    """Cuts strings (n,) into words, characters or bytes, ragged (n, None)."""
    if settings.unit == "byte":
        return tf.strings.bytes_split(tf.strings.lower(texts) if settings.lowercase else texts)
    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace", replacement_char=ord(" "), replace_control_characters=True
    )
    if settings.lowercase:
        # The Unicode operator follows the machine's locale, and a Turkish one would turn I into a dotless i.
        texts = tf.strings.regex_replace(tf.strings.lower(texts), "İ", "i\u0307")
        texts = tf.strings.lower(texts, encoding="utf-8")
    if settings.unit == "character":
        return tf.strings.unicode_split(texts, "UTF-8")
    for pattern, replacement in REWRITES[settings.split]:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.split(texts)
