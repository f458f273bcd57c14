"""A tokenizer that consists only of TensorFlow operators.

Every step from the raw string to the token ids is part of the TensorFlow graph. A SavedModel with a
``Tokenizer`` therefore takes raw strings as inputs, and can be loaded with TensorFlow alone. TensorFlow has
no operator for Unicode normalisation (NFC, NFKC), so the tokenizer does not normalise texts. The character
"é" and the letter "e" followed by a combining accent are therefore different tokens.

Bytes that are not UTF-8, and control characters, are replaced by spaces. No input string therefore causes an
error.
"""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow as tf

from seqmodels.data.characters import CUT, WIDE_PUNCTUATION
from seqmodels.data.sequences import PAD, TokenSequences
from seqmodels.data.token_rules import (
    BYTES,
    CONTINUATION,
    CORPUS_UNKNOWN,
    END,
    INVISIBLE,
    LETTERS_DELIMITER,
    LONGEST_WORD,
    SPACE_MARK,
    SPECIAL_TOKENS,
    START,
    UNKNOWN,
    WHITE_SPACE,
    TokenizerSettings,
    cut,
)
from seqmodels.data.vocabulary import chunks, learn, read_settings, read_vocabulary, write
from seqmodels.errors import DataError

__all__ = [
    "CONTINUATION",
    "CORPUS_UNKNOWN",
    "END",
    "INVISIBLE",
    "LETTERS_DELIMITER",
    "LONGEST_WORD",
    "PAD",
    "SPACE_MARK",
    "SPECIAL_TOKENS",
    "START",
    "UNKNOWN",
    "WHITE_SPACE",
    "Tokenizer",
    "TokenizerSettings",
]

_CUT_PAIR = "([{0}]) ([{0}])".format(CUT + WIDE_PUNCTUATION)


class Tokenizer(tf.Module):
    """Converts raw strings to token ids in a TensorFlow graph.

    The split ``auto`` is for texts in any script:

    1. White space, control characters and zero-width spaces separate words.
    2. Every character of Han, Kana, Thai, Lao, Khmer and Burmese is a word. Every punctuation mark of Chinese
       and Japanese is a word, too. A character is one code point, so a vowel sign or a tone mark is a word.
    3. Every exclamation mark, question mark and emoji is a word, in any script. Characters that only join
       emoji or select their appearance are dropped. The parts of a combined emoji, such as a skin tone, are
       therefore separate words. A flag is one word.
    4. An emoticon is a word if it is followed by a space, the end of the text or one of ``. , ! ? < "``.
       ``:)``, ``:(`` and similar faces may follow a word directly. Other emoticons (``xD``, ``:P``, ``<3``,
       ``^_^``) must follow a space. In ``:)))``, the repeated brackets do not belong to the emoticon.
    5. The setting ``base`` is the rule for all characters that rules 1 to 4 do not mention. With "letters",
       letters, digits, combining marks and apostrophes form words. Characters such as ``+`` and ``(`` are
       dropped. With "whitespace", such characters are kept as parts of words.

    :meth:`join` puts no space between the characters of rule 2. :attr:`rewrites` contains the exact patterns,
    which also work in Java, Swift and Python.

    Args:
        vocabulary: tokens in the order of their ids, with ``SPECIAL_TOKENS`` first. For the unit "wordpiece",
            each piece that is not the start of a word has the prefix ``##``.
        settings: settings of the tokenizer.

    >>> tokenizer = Tokenizer.train(["a good film", "a dull film"], TokenizerSettings(size=7))
    >>> tokenizer.vocabulary
    ('<PAD>', '<START>', '<UNKNOWN>', '<END>', 'a', 'film', 'dull')
    >>> tokenizer(tf.constant(["A film!", "a good film"])).to_list()
    [[4, 5], [4, 2, 5]]
    >>> tokenizer.decode([4, 5])
    ['a', 'film']
    >>> texts = ["Isn't it great :) \u6211\u559c\u6b22!"]
    >>> Tokenizer.train(texts, TokenizerSettings(split="auto")).spell(texts[0])
    ["isn't", 'it', 'great', ':)', '\u6211', '\u559c', '\u6b22', '!']
    """

    def __init__(self, vocabulary: Sequence[str], settings: TokenizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary: tuple[str, ...] = tuple(vocabulary)
        # The lookup table has no special tokens, because the text "<END>" must not get the id END.
        tokens = BYTES if settings.unit == "byte" else self.vocabulary[len(SPECIAL_TOKENS) :]
        ids = tf.range(len(SPECIAL_TOKENS), len(self.vocabulary), dtype=tf.int32)
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(tokens, tf.string), ids)
        self._table = tf.lookup.StaticHashTable(initializer, default_value=UNKNOWN)

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings) -> "Tokenizer":
        """Learns a vocabulary from texts, and returns a tokenizer. The same texts give the same vocabulary.

        Words and characters are sorted by frequency, and alphabetically if the frequencies are equal.
        Pieces of words are learned by merging the most frequent pairs of pieces, as in byte pair encoding
        (Sennrich et al. 2016, section 3.2). The ``tokenizers`` library calls this method WordPiece.

        Raises:
            DataError: the texts contain no word.
        """
        if settings.unit == "byte":
            return cls([*SPECIAL_TOKENS, *(f"<0x{value:02X}>" for value in range(256))], settings)
        vocabulary = learn(texts, settings)
        if len(vocabulary) == len(SPECIAL_TOKENS):
            least = (
                "" if settings.minimum_count == 1 else f" that occurs at least {settings.minimum_count} times"
            )
            raise DataError(
                f"the training texts contain no word{least}; expected at least one for the vocabulary"
            )
        return cls(vocabulary, settings)

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def rewrites(self) -> tuple[tuple[str, str], ...]:
        """Pairs of an RE2 pattern and its replacement.

        To split a text into words, apply the pairs in this order. Then split the result at spaces.
        """
        return self.settings.rewrites

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Splits texts (n,) into words, characters or bytes. Returns a ragged string tensor (n, None)."""
        return cut(texts, self.settings)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Converts texts (n,) to token ids. Returns a ragged int32 tensor (n, None)."""
        words = self.split(texts)
        if self.settings.unit != "wordpiece":
            ids = words.with_values(self._table.lookup(words.values))
        else:
            unique, occurrence = tf.unique(words.values)
            pieces = tf.gather(self._pieces(unique), occurrence)  # (all words, None)
            ids = words.with_values(pieces).merge_dims(1, 2)
        column = [tf.size(texts), 1]
        first = [tf.fill(column, START)] if self.settings.start else []
        last = [tf.fill(column, END)] if self.settings.end else []
        return tf.concat([*first, ids, *last], axis=1) if first or last else ids

    def encode(self, texts: Iterable[str]) -> TokenSequences:
        """Converts texts to token ids. The texts are read and converted in chunks."""
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for chunk in chunks(texts):
            ids = self(chunk)
            values.append(ids.values.numpy())
            lengths.append(ids.row_lengths().numpy())
        return TokenSequences.from_lengths(np.concatenate(values), np.concatenate(lengths))

    @tf.function(
        autograph=False, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)]
    )
    def join(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """Converts token ids (n, None) to texts (n,).

        The words of the result are separated by spaces. With the split "reversible", there is a space only
        where the original text had white space. ``END`` becomes a line break, and ``UNKNOWN`` becomes
        ``CORPUS_UNKNOWN``. ``PAD`` and ``START`` are dropped.
        """
        ids = tf.ragged.boolean_mask(ids, (ids != PAD) & (ids != START))
        tokens = ids.with_values(tf.gather(self._spellings(), ids.values))
        if self.settings.unit in ("character", "byte"):
            return tf.strings.reduce_join(tokens, axis=1)
        if self.settings.split == "reversible":
            texts = tf.strings.regex_replace(tf.strings.reduce_join(tokens, axis=1), SPACE_MARK, " ")
            return tf.strings.strip(texts)
        texts = tf.strings.reduce_join(tokens, axis=1, separator=" ")
        if self.settings.unit == "wordpiece":
            texts = tf.strings.regex_replace(texts, f" {CONTINUATION}", "")
        if self.settings.split == "auto":
            for _ in range(2):  # one pass joins only every second pair, because matches do not overlap
                texts = tf.strings.regex_replace(texts, _CUT_PAIR, r"\1\2")
        return tf.strings.regex_replace(texts, " ?\n ?", "\n")

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Returns the token of each id."""
        return [self.vocabulary[index] for index in ids]

    def spell(self, text: str) -> list[str]:
        """Returns the tokens of a text. An unknown token is replaced by the original word or character."""
        ids = self([text]).values.numpy()
        if self.settings.unit == "byte":
            return self.decode(ids)
        words, left, spelled = iter(self.split([text]).values.numpy()), "", []
        for index in ids:
            name = self.vocabulary[index]
            if index in (START, END):
                spelled.append(name)
                continue
            begins = not left
            left = left or next(words).decode("utf-8", "replace")
            name = left if index == UNKNOWN else name
            left = left[len(name if begins else name.removeprefix(CONTINUATION)) :]
            spelled.append(name)
        return spelled

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the files vocab.txt and tokenizer.json to a folder.

        vocab.txt is UTF-8 and has one token per line. The token with id 0 is on the first line.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "vocab.txt", "".join(f"{token}\n" for token in self.vocabulary))
        write(folder / "tokenizer.json", json.dumps(asdict(self.settings), indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Tokenizer":
        """Loads a tokenizer from the folder that was passed to :meth:`save`.

        Raises:
            DataError: a file is missing or invalid.
        """
        return cls(
            read_vocabulary(Path(folder) / "vocab.txt"), read_settings(Path(folder) / "tokenizer.json")
        )

    def _spellings(self) -> tf.Tensor:
        """Returns a 1D string tensor. Element i is the string that :meth:`join` writes for the id i."""
        tokens = BYTES if self.settings.unit == "byte" else self.vocabulary[len(SPECIAL_TOKENS) :]
        if (self.settings.split, self.settings.unit) == ("reversible", "wordpiece"):
            # The split "reversible" makes every # a separate word, so no word starts with ##. The prefix ##
            # can therefore be removed from every token.
            tokens = tuple(token.removeprefix(CONTINUATION) for token in tokens)
        return tf.constant(["", "", CORPUS_UNKNOWN, "\n", *tokens], tf.string)

    def _pieces(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Splits u words (u,) into pieces, and returns the ids of the pieces, ragged (u, None).

        Each iteration of the loop finds the next piece of every unfinished word. This piece is the longest
        prefix of the remaining characters that is in the vocabulary. If the vocabulary has none, the whole
        word becomes one ``UNKNOWN`` (Wu et al. 2016, section 4.1; the greedy search is from BERT).
        """
        size, longest = len(self.vocabulary), max(map(len, self.vocabulary))
        lengths = tf.strings.length(words, unit="UTF8_CHAR")
        marked = tf.strings.regex_full_match(words, f"{CONTINUATION}.*")  # ## marks pieces inside a word
        hopeless = (lengths > LONGEST_WORD) | (words == CORPUS_UNKNOWN) | marked

        def advance(rows, starts, done_rows, done_ids):
            left = tf.gather(lengths, rows) - starts  # (rows,)
            prefixes = tf.ragged.range(1, tf.minimum(left, longest) + 1)  # (rows, None), in characters
            row, prefix = prefixes.value_rowids(), prefixes.values  # (prefixes,)
            start = tf.gather(starts, row)
            piece = tf.strings.substr(tf.gather(words, tf.gather(rows, row)), start, prefix, unit="UTF8_CHAR")
            ids = self._table.lookup(tf.where(start > 0, CONTINUATION + piece, piece))
            # One number encodes the length and the id of a match. The largest number belongs to the longest
            # match.
            score = tf.where(ids == UNKNOWN, UNKNOWN, prefix * size + ids)  # (prefixes,)
            match = tf.math.segment_max(score, row)  # (rows,)
            length, ids = match // size, match % size
            unfinished = (ids != UNKNOWN) & (length < left)
            done = tf.concat([done_rows, rows], 0), tf.concat([done_ids, ids], 0)
            return rows[unfinished], (starts + length)[unfinished], *done

        rows, hopeless_rows = tf.where(~hopeless)[:, 0], tf.where(hopeless)[:, 0]
        loop = (rows, tf.zeros_like(rows, tf.int32), hopeless_rows, tf.fill(tf.shape(hopeless_rows), UNKNOWN))
        *_, rows, ids = tf.while_loop(
            lambda rows, *_: tf.size(rows) > 0, advance, loop, shape_invariants=(tf.TensorShape([None]),) * 4
        )
        unknown = ids == UNKNOWN
        failed = tf.math.unsorted_segment_max(tf.cast(unknown, tf.int32), rows, tf.size(words)) > 0  # (u,)
        kept = unknown | ~tf.gather(failed, rows)
        rows, ids = rows[kept], ids[kept]
        order = tf.argsort(rows, stable=True)
        nrows = tf.size(words, tf.int64)
        return tf.RaggedTensor.from_value_rowids(tf.gather(ids, order), tf.gather(rows, order), nrows)
