"""Text to integers in plain TensorFlow operators.

Everything between the raw string and the ids happens in the graph, so a SavedModel made from a ``Tokenizer``
takes raw strings and needs nothing but TensorFlow to load. What plain TensorFlow cannot do is left out, and
the same at training and at serving time: there is no Unicode normalisation (NFC, NFKC), so a letter with an
accent and the same letter followed by a combining accent are two different tokens.

Bytes that are not UTF-8 are read as spaces, as are control characters: a served string cannot fail.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from seqmodels.data.files import read_text
from seqmodels.data.sequences import PAD as PAD
from seqmodels.data.sequences import TokenSequences
from seqmodels.errors import DataError, UsageError
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
_REWRITES: dict[str, tuple[tuple[str, str], ...]] = {
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
_BYTES = [bytes([value]) for value in range(256)]
_TEXTS_AT_ONCE = 2048


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
        for name, choices in (("unit", UNITS), ("split", tuple(_REWRITES))):
            if getattr(self, name) not in choices:
                raise UsageError(
                    f"tokenizer {name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}"
                )
        for name, least in (("size", len(SPECIAL_TOKENS) + 1), ("minimum_count", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"tokenizer {name} is {getattr(self, name)}; it must be at least {least}")


class Tokenizer(tf.Module):
    """Raw strings to ids, in a graph.

    Args:
        vocabulary: the tokens in the order of their ids, ``SPECIAL_TOKENS`` first. For "wordpiece", pieces
            that continue a word begin with ``##``.
        settings: what a token is.

    >>> tokenizer = Tokenizer.train(["a good film", "a dull film"], TokenizerSettings(size=7))
    >>> tokenizer.vocabulary
    ('<PAD>', '<START>', '<UNKNOWN>', '<END>', 'a', 'film', 'dull')
    >>> tokenizer(tf.constant(["A film!", "a good film"])).to_list()
    [[4, 5], [4, 2, 5]]
    >>> tokenizer.decode([4, 5])
    ['a', 'film']
    """

    def __init__(self, vocabulary: Sequence[str], settings: TokenizerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.vocabulary: tuple[str, ...] = tuple(vocabulary)
        # Special tokens are not in the table: a text that spells one out must not become one.
        tokens = _BYTES if settings.unit == "byte" else self.vocabulary[len(SPECIAL_TOKENS) :]
        ids = tf.range(len(SPECIAL_TOKENS), len(self.vocabulary), dtype=tf.int32)
        initializer = tf.lookup.KeyValueTensorInitializer(tf.constant(tokens, tf.string), ids)
        self._table = tf.lookup.StaticHashTable(initializer, default_value=UNKNOWN)

    @classmethod
    def train(cls, texts: Iterable[str], settings: TokenizerSettings) -> "Tokenizer":
        """Makes the vocabulary from exactly these texts; the same texts give the same vocabulary.

        Words are taken by frequency, then alphabetically. Pieces are merged by frequency, as in byte pair
        encoding (Sennrich et al. 2016, section 3.2), which is what the ``tokenizers`` library does under the
        name of WordPiece.

        Raises:
            DataError: there is no word in the texts.
        """
        if settings.unit == "byte":
            return cls([*SPECIAL_TOKENS, *(f"<0x{value:02X}>" for value in range(256))], settings)
        learn = _frequent_pieces if settings.unit == "wordpiece" else _frequent_words
        vocabulary = learn(_count_words(texts, settings), settings)
        if len(vocabulary) == len(SPECIAL_TOKENS):
            least = "" if settings.minimum_count == 1 else f" that occurs {settings.minimum_count} times"
            raise DataError(f"the training texts hold no word{least}; expected at least one for a vocabulary")
        return cls(vocabulary, settings)

    def __len__(self) -> int:
        return len(self.vocabulary)

    @property
    def rewrites(self) -> tuple[tuple[str, str], ...]:
        """Patterns and replacements (RE2), in their order, of what comes before words are cut at spaces."""
        return _REWRITES[self.settings.split]

    def split(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Cuts strings (n,) into words, characters or bytes, ragged (n, None); see the settings."""
        return _split(texts, self.settings)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Turns strings (n,) into ids, ragged (n, None) int32."""
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
        """Turns a whole data set into ids."""
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
        for chunk in _chunks(texts):
            ids = self(chunk)
            values.append(ids.values.numpy())
            lengths.append(ids.row_lengths().numpy())
        return TokenSequences.from_lengths(np.concatenate(values), np.concatenate(lengths))

    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32, ragged_rank=1)])
    def join(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """Turns ids (n, None) into strings (n,): a space between words, ``END`` a new line.

        With the reversible split, spaces stand where the text had white space, and nowhere else. ``PAD`` and
        ``START`` leave no trace; what is unknown is spelled ``CORPUS_UNKNOWN``.
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
        return tf.strings.regex_replace(texts, " ?\n ?", "\n")

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Names the tokens of one row of ids."""
        return [self.vocabulary[index] for index in ids]

    def spell(self, text: str) -> list[str]:
        """The names of a text's tokens, and of those that are unknown what stands in the text."""
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
        """Writes vocab.txt (UTF-8, the token of id ``i`` on line ``i`` counted from 0) and tokenizer.json."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "vocab.txt", "".join(f"{token}\n" for token in self.vocabulary))
        _write(folder / "tokenizer.json", json.dumps(asdict(self.settings), indent=2) + "\n")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "Tokenizer":
        """Reads what ``save`` wrote.

        Raises:
            DataError: a file is missing or is not what ``save`` writes.
        """
        return cls(
            _read_vocabulary(Path(folder) / "vocab.txt"), _read_settings(Path(folder) / "tokenizer.json")
        )

    def _spellings(self) -> tf.Tensor:
        """What each id stands for in a text: (v,) strings."""
        tokens = _BYTES if self.settings.unit == "byte" else self.vocabulary[len(SPECIAL_TOKENS) :]
        if (self.settings.split, self.settings.unit) == ("reversible", "wordpiece"):
            # A word of two number signs does not occur: each of them is a word.
            tokens = tuple(token.removeprefix(CONTINUATION) for token in tokens)
        return tf.constant(["", "", CORPUS_UNKNOWN, "\n", *tokens], tf.string)

    def _pieces(self, words: tf.Tensor) -> tf.RaggedTensor:
        """Cuts words (u,) into ids of pieces, ragged (u, None): greedily, the longest piece first.

        All words advance together, one piece in each turn of the loop: every prefix of what is left of
        a word is looked up, and the longest that is in the vocabulary wins. A word of which some part has
        no match is one ``UNKNOWN`` (Wu et al. 2016, section 4.1; the greedy match is BERT's).
        """
        size, longest = len(self.vocabulary), max(map(len, self.vocabulary))
        lengths = tf.strings.length(words, unit="UTF8_CHAR")
        marked = tf.strings.regex_full_match(words, f"{CONTINUATION}.*")  # nothing that a word may begin with
        hopeless = (lengths > LONGEST_WORD) | (words == CORPUS_UNKNOWN) | marked

        def advance(rows, starts, done_rows, done_ids):
            left = tf.gather(lengths, rows) - starts  # (rows,)
            prefixes = tf.ragged.range(1, tf.minimum(left, longest) + 1)  # (rows, None), in characters
            row, prefix = prefixes.value_rowids(), prefixes.values  # (prefixes,)
            start = tf.gather(starts, row)
            piece = tf.strings.substr(tf.gather(words, tf.gather(rows, row)), start, prefix, unit="UTF8_CHAR")
            ids = self._table.lookup(tf.where(start > 0, CONTINUATION + piece, piece))
            # One maximum finds the longest match and its id: both are digits of one number.
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


def _split(texts: tf.Tensor, settings: TokenizerSettings) -> tf.RaggedTensor:
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
    for pattern, replacement in _REWRITES[settings.split]:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.split(texts)


def _chunks(texts: Iterable[str]) -> Iterator[tf.Tensor]:
    """Hands out the texts as string tensors of ``_TEXTS_AT_ONCE``; a lone surrogate is invalid UTF-8 then."""
    remaining = iter(texts)
    while chunk := [text.encode("utf-8", "surrogatepass") for text in islice(remaining, _TEXTS_AT_ONCE)]:
        yield tf.constant(chunk)


def _count_words(texts: Iterable[str], settings: TokenizerSettings) -> dict[str, int]:
    counts: Counter[bytes] = Counter()
    for chunk in _chunks(texts):
        words, _, occurrences = tf.unique_with_counts(_split(chunk, settings).values)
        counts.update(dict(zip(words.numpy().tolist(), occurrences.numpy().tolist())))
    reserved = {*SPECIAL_TOKENS, CORPUS_UNKNOWN}
    return {word: count for key, count in counts.items() if (word := key.decode()) not in reserved}


def _by_frequency(counts: Mapping[str, int], minimum_count: int) -> list[str]:
    frequent = (token for token, count in counts.items() if count >= minimum_count)
    return sorted(frequent, key=lambda token: (-counts[token], token))


def _frequent_words(counts: Mapping[str, int], settings: TokenizerSettings) -> list[str]:
    return [*SPECIAL_TOKENS, *_by_frequency(counts, settings.minimum_count)][: settings.size]


def _frequent_pieces(counts: Mapping[str, int], settings: TokenizerSettings) -> list[str]:
    """Learns pieces; single characters take half of the vocabulary at most, and what longer ones leave."""
    from tokenizers import Tokenizer as Trainee
    from tokenizers import models, pre_tokenizers, trainers

    counts = {word: count for word, count in counts.items() if not word.startswith(CONTINUATION)}
    occurrences: Counter[str] = Counter()
    for word, count in counts.items():
        for index, character in enumerate(word):
            occurrences[CONTINUATION + character if index else character] += count
    characters = _by_frequency(occurrences, settings.minimum_count)
    alphabet = set(characters[: (settings.size - len(SPECIAL_TOKENS)) // 2])

    def spelled(word: str) -> bool:
        return word[0] in alphabet and all(CONTINUATION + character in alphabet for character in word[1:])

    trainee = Trainee(models.WordPiece(unk_token=SPECIAL_TOKENS[UNKNOWN]))
    trainee.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.size,
        min_frequency=settings.minimum_count,
        continuing_subword_prefix=CONTINUATION,
        # The trainer numbers characters in the order of a hash table and breaks ties by these numbers:
        # to give them first, as if they were special, is what makes its result repeatable.
        special_tokens=[*SPECIAL_TOKENS, *sorted(alphabet)],
        show_progress=False,
    )
    words = (word for word in counts if len(word) <= LONGEST_WORD and spelled(word))
    trainee.train_from_iterator((f"{word} " * counts[word] for word in words), trainer)
    ids = trainee.get_vocab()
    left_out = [character for character in characters if character not in ids]
    return [*sorted(ids, key=ids.__getitem__), *left_out][: settings.size]


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def _read_vocabulary(path: Path) -> list[str]:
    tokens = read_text(path).removesuffix("\n").split("\n")
    for line, (token, expected) in enumerate(zip(tokens, SPECIAL_TOKENS), start=1):
        if token != expected:
            raise DataError(
                f"{path}:{line}: found {token!r} where {expected} must be; restore it, or train again"
            )
    if len(tokens) <= len(SPECIAL_TOKENS):
        raise DataError(f"{path} ends after {len(tokens)} lines and holds no token beyond the special ones")
    first_line: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        if not token:
            raise DataError(f"{path}:{line}: the line is empty; expected one token a line")
        if first_line.setdefault(token, line) != line:
            raise DataError(
                f"{path}:{line}: {token!r} is on line {first_line[token]} already; expected it once"
            )
    return tokens


def _read_settings(path: Path) -> TokenizerSettings:
    try:
        return TokenizerSettings(**json.loads(read_text(path)))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: not JSON ({error.msg}); restore it, or train again"
        ) from error
    except (TypeError, UsageError) as error:
        raise DataError(f"{path}: not the settings of a tokenizer: {error}") from error
