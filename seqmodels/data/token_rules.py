"""Settings of a tokenizer, and the rules that split a text into words, characters or bytes."""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from seqmodels.data.characters import CUTS, LETTERS_LEFT
from seqmodels.errors import UsageError
from seqmodels.registry import UNITS

START, UNKNOWN, END = 1, 2, 3
SPECIAL_TOKENS = ("<PAD>", "<START>", "<UNKNOWN>", "<END>")
"""Special tokens, spelled as MediaPipe expects. Their ids are 0 to 3: PAD, START, UNKNOWN and END."""

CORPUS_UNKNOWN = "<unk>"
"""Token that replaces rare words in corpora that are already tokenised. Its id is always ``UNKNOWN``."""

CONTINUATION = "##"
LONGEST_WORD = 100
"""Maximum length of a word that is split into pieces. A longer word becomes ``UNKNOWN``, as in BERT."""

LETTERS_DELIMITER = r"[^\pL\pN\pM']+"
WHITE_SPACE = r"[\pZ\p{Cc}]+"
INVISIBLE = r"[\p{Cf}\x{FE00}-\x{FE0F}]+"  # joiners, byte order marks and selectors of emoji variants

SPACE_MARK = "\u2581"
"""Character, similar to "_", that the split "reversible" puts before each word that follows white space."""

# Each key is a value of ``TokenizerSettings.split``. Each pair consists of a regular expression and its
# replacement. The pairs are applied to a text from the first to the last. The text is then split at spaces.
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
        (r"(^| )([^ ])", " \ue000\\2"),  # a temporary mark that no rule treats as a symbol
        (r"(\x{E000}?[\pP\pS\p{Han}])", r" \1 "),
        ("\ue000", SPACE_MARK),
    ),
    "whitespace": ((WHITE_SPACE, " "),),
}
# The split "auto" uses these pairs. Each key is a value of ``TokenizerSettings.base``.
AUTO_REWRITES: dict[str, tuple[tuple[str, str], ...]] = {
    "letters": (
        *CUTS,
        (INVISIBLE, ""),
        (r"([\pL\pM])\x{2019}([\pL])", r"\1'\2"),  # phones insert this apostrophe
        LETTERS_LEFT,
    ),
    "whitespace": CUTS,
}
BYTES = [bytes([value]) for value in range(256)]


@dataclass(frozen=True)
class TokenizerSettings:
    """Settings of a tokenizer.

    Attributes:
        unit: type of the tokens. "word" means words. "wordpiece" means pieces of words (Schuster and Nakajima
            2012; Wu et al. 2016, section 4.1). "character" means characters, including spaces. "byte" means
            bytes. The vocabulary of "byte" is always the 256 bytes. With "byte", ``split``, ``size``,
            ``minimum_count`` and the training texts are ignored.
        split: rule that splits a text into words. It applies only to the units "word" and "wordpiece".
            "letters": words consist of letters, digits, combining marks and apostrophes. All other characters
            are dropped and separate words.
            "punctuation": white space separates words. Every punctuation mark, symbol and CJK character
            (Unicode script Han) is a word of its own, as in BERT's basic tokenizer.
            "whitespace": only white space separates words. This rule is for corpora that are already
            tokenised. Their token ``<unk>`` becomes ``UNKNOWN``.
            "reversible": like "punctuation", but each word that follows white space starts with
            ``SPACE_MARK``. :meth:`Tokenizer.join` can then restore the spaces of the text.
            "auto": for texts in any script, see :class:`~seqmodels.data.Tokenizer`.
        base: only for the split "auto". This split has special rules for some characters. ``base`` is the
            rule for all other characters: "letters" or "whitespace".
        lowercase: if True, texts are first converted to lower case.
        size: maximum number of vocabulary entries, including the four special tokens.
        minimum_count: minimum number of occurrences in the training texts. Words, characters or pieces with
            fewer occurrences are not added to the vocabulary.
        start: if True, the ids of each text start with ``START``.
        end: if True, the ids of each text end with ``END``.

    Raises:
        UsageError: a value is invalid.

    >>> TokenizerSettings(unit="wordpiece", split="punctuation", size=8000).lowercase
    True
    """

    unit: Literal["word", "wordpiece"] = "word"
    split: Literal["auto", "letters", "punctuation", "whitespace", "reversible"] = "letters"
    base: Literal["letters", "whitespace"] = "letters"
    lowercase: bool = True
    size: int = 20_000
    minimum_count: int = 1
    start: bool = False
    end: bool = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("unit", UNITS),
            ("split", ("auto", *REWRITES)),
            ("base", tuple(AUTO_REWRITES)),
        ):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"tokenizer {name} must be one of {', '.join(choices)}; got {getattr(self, name)!r}"
                )
        for name, least in (("size", len(SPECIAL_TOKENS) + 1), ("minimum_count", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"tokenizer {name} must be at least {least}; got {getattr(self, name)}")

    @property
    def rewrites(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an RE2 pattern and its replacement.

        To split a text into words, apply the pairs in this order. Then split the result at spaces.
        """
        return AUTO_REWRITES[self.base] if self.split == "auto" else REWRITES[self.split]


def cut(texts: tf.Tensor, settings: TokenizerSettings) -> tf.RaggedTensor:
    """Splits texts (n,) into words, characters or bytes. Returns a ragged string tensor (n, None).

    For the unit "wordpiece", the result contains whole words.
    """
    if settings.unit == "byte":
        return tf.strings.bytes_split(tf.strings.lower(texts) if settings.lowercase else texts)
    texts = tf.strings.unicode_transcode(
        texts, "UTF-8", "UTF-8", errors="replace", replacement_char=ord(" "), replace_control_characters=True
    )
    if settings.lowercase:
        # ``tf.strings.lower`` depends on the locale if it has the argument ``encoding``. In a Turkish locale,
        # it would turn I into a dotless i. Therefore, ASCII letters and the letter İ are converted first.
        texts = tf.strings.regex_replace(tf.strings.lower(texts), "İ", "i\u0307")
        texts = tf.strings.lower(texts, encoding="utf-8")
    if settings.unit == "character":
        return tf.strings.unicode_split(texts, "UTF-8")
    for pattern, replacement in settings.rewrites:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.split(texts)
