"""Learns a vocabulary from texts, and reads and writes the files of a tokenizer."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

import tensorflow as tf

from seqmodels.data.files import read_text
from seqmodels.data.token_rules import (
    CONTINUATION,
    CORPUS_UNKNOWN,
    LONGEST_WORD,
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerSettings,
    cut,
)
from seqmodels.errors import DataError, UsageError, excerpt

_TEXTS_AT_ONCE = 2048


def learn(texts: Iterable[str], settings: TokenizerSettings) -> list[str]:
    """Learns a vocabulary of words, characters or pieces from texts. The special tokens come first."""
    frequent = _frequent_pieces if settings.unit == "wordpiece" else _frequent_words
    return frequent(_count_words(texts, settings), settings)


def chunks(texts: Iterable[str]) -> Iterator[tf.Tensor]:
    """Yields string tensors of at most ``_TEXTS_AT_ONCE`` texts, encoded as UTF-8.

    A lone surrogate does not raise an error. It is encoded as bytes that are not valid UTF-8.
    """
    remaining = iter(texts)
    while chunk := [text.encode("utf-8", "surrogatepass") for text in islice(remaining, _TEXTS_AT_ONCE)]:
        yield tf.constant(chunk)


def _count_words(texts: Iterable[str], settings: TokenizerSettings) -> dict[str, int]:
    counts: Counter[bytes] = Counter()
    for chunk in chunks(texts):
        words, _, occurrences = tf.unique_with_counts(cut(chunk, settings).values)
        counts.update(dict(zip(words.numpy().tolist(), occurrences.numpy().tolist())))
    reserved = {*SPECIAL_TOKENS, CORPUS_UNKNOWN}
    return {word: count for key, count in counts.items() if (word := key.decode()) not in reserved}


def _by_frequency(counts: Mapping[str, int], minimum_count: int) -> list[str]:
    frequent = (token for token, count in counts.items() if count >= minimum_count)
    return sorted(frequent, key=lambda token: (-counts[token], token))


def _frequent_words(counts: Mapping[str, int], settings: TokenizerSettings) -> list[str]:
    return [*SPECIAL_TOKENS, *_by_frequency(counts, settings.minimum_count)][: settings.size]


def _frequent_pieces(counts: Mapping[str, int], settings: TokenizerSettings) -> list[str]:
    """Learns a vocabulary of pieces of words.

    The most frequent characters fill at most half of the vocabulary. Longer pieces are then added. If the
    vocabulary is still not full, the remaining characters are added.
    """
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
        # The trainer assigns ids to the characters in the arbitrary order of a hash table. If two pairs of
        # pieces are equally frequent, these ids decide which pair is merged first. Special tokens have fixed
        # ids. The characters are passed as special tokens, so the same texts give the same vocabulary.
        special_tokens=[*SPECIAL_TOKENS, *sorted(alphabet)],
        show_progress=False,
    )
    words = (word for word in counts if len(word) <= LONGEST_WORD and spelled(word))
    trainee.train_from_iterator((f"{word} " * counts[word] for word in words), trainer)
    ids = trainee.get_vocab()
    left_out = [character for character in characters if character not in ids]
    return [*sorted(ids, key=ids.__getitem__), *left_out][: settings.size]


def write(path: Path, text: str) -> None:
    """Writes a text file atomically: other processes read the old file or the new file, never a mixture."""
    temporary = path.with_name(f"{path.name}.partial")
    temporary.write_text(text, encoding="utf-8", newline="\n")
    os.replace(temporary, path)


def read_vocabulary(path: Path) -> list[str]:
    """Reads the tokens of a file with one token per line. Raises DataError if a line is invalid."""
    tokens = read_text(path).removesuffix("\n").split("\n")
    for line, (token, expected) in enumerate(zip(tokens, SPECIAL_TOKENS), start=1):
        if token != expected:
            raise DataError(
                f"{path}:{line}: the token must be {expected}; got {excerpt(token)}; restore the file "
                "or train again"
            )
    if len(tokens) <= len(SPECIAL_TOKENS):
        raise DataError(
            f"{path} ends after {len(tokens)} lines and contains only special tokens; restore the file or "
            "train again"
        )
    first_line: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        if not token:
            raise DataError(f"{path}:{line}: the line is empty; expected one token per line")
        if first_line.setdefault(token, line) != line:
            raise DataError(
                f"{path}:{line}: the token {excerpt(token)} is already on line {first_line[token]}; "
                "restore the "
                "file or train again"
            )
    return tokens


def read_settings(path: Path) -> TokenizerSettings:
    """Reads the settings of a saved tokenizer. Raises DataError if they are invalid."""
    try:
        return TokenizerSettings(**json.loads(read_text(path)))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}:{error.lineno}: the file is not valid JSON ({error.msg}); restore the file or train "
            "again"
        ) from error
    except (TypeError, UsageError) as error:
        raise DataError(
            f"{path} does not contain valid tokenizer settings ({error}); restore the file or train again"
        ) from error
