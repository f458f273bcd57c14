"""Reads pretrained word vectors in the text format of GloVe."""

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence

import numpy as np

from seqmodels.errors import DataError, UsageError, excerpt

MISSING_SEED = 0


def read_glove(path: str | os.PathLike[str], vocabulary: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reads word vectors for a vocabulary (Pennington et al. 2014, https://nlp.stanford.edu/projects/glove/).

    Each line of the file has the form ``word x1 ... xd``, where x1 to xd are the d numbers of the vector. The
    first line may be a header as in word2vec: the number of words, then the number d. A word may contain
    spaces. If a word occurs twice, its first vector is used. If the file name ends in .gz, the file is
    decompressed. The file is read line by line, and only the vectors of the vocabulary are kept in memory.

    Args:
        path: file of word vectors.
        vocabulary: v tokens in the order of their ids. The first token is the padding token.

    Returns:
        The vectors, (v, d) float32, and a mask that is True for each token found in the file, (v,) bool. The
        vector of the padding token is zero. The vectors of other tokens that are not in the file are sampled
        from a normal distribution with a fixed seed. In each dimension, this distribution has the mean and
        the standard deviation of the vectors that were found.

    Raises:
        UsageError: the file does not exist.
        DataError: the file cannot be read, a line is invalid, or the file contains no word of the vocabulary.

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
            f"{other_case} words match if case is ignored; change the lower-casing of the tokenizer"
            if other_case
            else "no word matches even if case is ignored; use a file for the language of the texts"
        )
        raise DataError(f"{path} contains none of the {len(wanted)} words of the vocabulary; {why}")
    known = np.stack(list(vectors.values()))  # (found, d)
    random = np.random.default_rng(MISSING_SEED)
    matrix = random.normal(known.mean(axis=0), known.std(axis=0), (len(vocabulary), known.shape[1]))
    matrix[list(vectors)] = known
    matrix[0] = 0.0
    found = np.zeros(len(vocabulary), bool)
    found[list(vectors)] = True
    return matrix.astype(np.float32), found


def _lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str, bytes]]:
    """Yields ``(line number, word, bytes that contain the numbers of the vector)`` for each line."""
    offset = dimensions = 0
    for line, content in enumerate(_read(path), start=1):
        fields = content.rstrip()
        columns = fields.count(b" ")
        if line == 1 and columns == 1 and fields.replace(b" ", b"").isdigit():
            offset += len(content)
            continue
        dimensions = dimensions or columns
        word, *numbers = fields.rsplit(b" ", dimensions) if columns > dimensions else fields.split(b" ", 1)
        # If a line has too many columns, either the word contains spaces or there are too many numbers.
        # There are too many numbers if all parts of the word after its first space are numbers.
        extra = word.split(b" ")[1:]
        if columns < max(dimensions, 1) or (extra and all(map(_is_number, extra))):
            raise DataError(
                f"{path}:{line}: the word must be followed by {max(dimensions, 1)} numbers; got {columns}; "
                "correct or delete the line"
            )
        try:
            yield line, word.decode("utf-8"), b" ".join(numbers)
        except UnicodeDecodeError as error:
            raise DataError(
                f"{path}:{line}: byte {offset + error.start} of the file is not UTF-8; convert the file to "
                "UTF-8"
            ) from error
        offset += len(content)


def _read(path: str | os.PathLike[str]) -> Iterator[bytes]:
    try:
        with gzip.open(path) if os.fspath(path).endswith(".gz") else open(path, "rb") as lines:
            yield from lines
    except (FileNotFoundError, IsADirectoryError) as error:
        raise UsageError(
            f"{path} cannot be opened ({error.strerror}); expected a file of word vectors in GloVe's text "
            "format"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end ({error}); download it again") from error


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
                f"{place}: {excerpt(field.decode(errors='replace'))} is not a finite number; correct the line"
            )
    return np.array(fields, np.float64)
