"""Pretrained word vectors in the text format of GloVe."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from seqmodels.errors import DataError, UsageError

MISSING_SEED = 0


def read_glove(path: str | os.PathLike[str], vocabulary: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reads the vectors of a vocabulary (Pennington et al. 2014, https://nlp.stanford.edu/projects/glove/).

    A line is ``word v1 ... vd``; the first may be word2vec's ``count dimensions`` instead. A word may hold
    spaces. Of a word that comes twice the first vector counts. The file, which may be gzipped (.gz), is
    streamed: only the vectors of the vocabulary are kept, and only their numbers are read.

    Args:
        path: the file.
        vocabulary: v tokens in the order of their ids; the first one is the padding.

    Returns:
        The vectors, (v, d) float32, and which of them the file holds, (v,) bool. The others are drawn from a
        normal distribution with the mean and the deviation that the found ones have in each dimension, always
        the same; the vector of the padding is zero.

    Raises:
        UsageError: there is no such file.
        DataError: the file cannot be read, a line is not what it must be, or no word is in the vocabulary.

    >>> path = folder / "vectors.txt"
    >>> _ = path.write_text("film 1 2\\ngood 3 4\\n")
    >>> vectors, found = read_glove(path, ["<PAD>", "good", "unseen"])
    >>> vectors.shape, vectors[1], found
    ((3, 2), array([3., 4.], dtype=float32), array([False,  True, False]))
    """
    wanted = {token: row for row, token in enumerate(vocabulary) if row}
    folded = {token.lower() for token in wanted}
    vectors: dict[int, np.ndarray] = {}
    other_case = 0
    for line, word, numbers in _lines(path):
        row = wanted.get(word)
        if row is None:
            other_case += word.lower() in folded
        elif row not in vectors:
            vectors[row] = _vector(numbers, f"{path}:{line}")
    if not vectors:
        why = (
            f"{other_case} are when case is ignored: change whether the tokenizer lower-cases"
            if other_case
            else "nor when case is ignored: expected a file for the language of the texts"
        )
        raise DataError(f"{path}: none of the {len(wanted)} words of the vocabulary is in it, {why}")
    known = np.stack(list(vectors.values()))  # (found, d)
    random = np.random.default_rng(MISSING_SEED)
    matrix = random.normal(known.mean(axis=0), known.std(axis=0), (len(vocabulary), known.shape[1]))
    matrix[list(vectors)] = known
    matrix[0] = 0.0
    found = np.zeros(len(vocabulary), bool)
    found[list(vectors)] = True
    return matrix.astype(np.float32), found


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str, bytes]]:
    """Hands out the number of each line, its word, and its numbers as they are written."""
    offset = dimensions = 0
    for line, content in enumerate(_read(path), start=1):
        fields = content.rstrip()
        columns = fields.count(b" ")
        if line == 1 and columns == 1 and fields.replace(b" ", b"").isdigit():
            offset += len(content)
            continue
        dimensions = dimensions or columns
        word, *numbers = fields.rsplit(b" ", dimensions) if columns > dimensions else fields.split(b" ", 1)
        # More columns than expected are a word with spaces, unless they are all numbers.
        extra = word.split(b" ")[1:]
        if columns < max(dimensions, 1) or (extra and all(map(_is_number, extra))):
            raise DataError(
                f"{path}:{line}: {columns} numbers after the word, expected {max(dimensions, 1)} as before; "
                "mend or delete the line"
            )
        try:
            yield line, word.decode("utf-8"), b" ".join(numbers)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{line}: not UTF-8 at byte {offset + error.start} of the file; convert it to UTF-8"
            ) from error
        offset += len(content)


def _read(path: str | os.PathLike[str]) -> Iterator[bytes]:
    try:
        with gzip.open(path) if os.fspath(path).endswith(".gz") else open(path, "rb") as lines:
            yield from lines
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"{path}: {error.strerror}; expected a file of word vectors in GloVe's text format"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end ({error}); fetch it again") from error


def _is_number(field: bytes) -> bool:
    try:
        return np.isfinite(float(field))
    except ValueError:
        return False


def _vector(numbers: bytes, place: str) -> np.ndarray:
    fields = numbers.split(b" ")
    for field in fields:
        if not _is_number(field):
            raise DataError(
                f"{place}: {field.decode(errors='replace')!r} is not a finite number; mend the line"
            )
    return np.array(fields, np.float64)
