"""Reads running text from every kind of data that ``--data`` of the language model accepts.

=======================  ==================================================================================
``embedded[:prose]``     The reference documentation that is included in CPython, one sentence per line.
``embedded:code``        The source code of Python's standard library.
``FILE``                 A ``.txt`` file, or a table with one text per row (see `seqmodels.data.tables`). The
                         file may be compressed (see `seqmodels.data.compression`).
``DIR``                  A folder with one text file or table per split, such as ``train.txt``, ``valid.txt``
                         and ``test.txt``. A prefix is allowed: ``ptb.train.txt`` is also the train split.
``tfds:NAME[/CONFIG]``   The texts of a TensorFlow Datasets data set, see `seqmodels.data.tfds`.
=======================  ==================================================================================

A missing split is cut out of the training text, see `load_texts`. TensorFlow is imported only for ``tfds:``.
"""

import os
import re
import stat
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from random import Random

from seqmodels.data import tfds
from seqmodels.data.columns import find_column, has_column, note_columns
from seqmodels.data.compression import plain_name
from seqmodels.data.files import list_folder, read_text, unreadable
from seqmodels.data.splits import SPLIT_NAMES, WHOLE, digest, missing_splits, read_split, read_splits
from seqmodels.data.tables import FORMATS, Table, read_table, table_name
from seqmodels.errors import DataError, UsageError

TEXT_FORMAT = ".txt"
WHITE_SPACE = re.compile(r"\s")
FORMS = (
    f"a .txt file or a table ({', '.join(FORMATS)}), which may be compressed; a folder with train.txt; "
    "'embedded'; embedded:code; or tfds:NAME"
)

Readers = dict[str, Callable[[], list[str]]]


@dataclass(frozen=True)
class Reading:
    """Options that determine how files are read.

    Attributes:
        encoding: encoding of text formats. Default: UTF-8.
        prefer_utf8: if True, ``encoding`` applies only to files that are not UTF-8.
        text: column of the texts of a table. Default: ``text``.
        optional: if True, ``text`` is ignored for tables that do not have a column with this name.
    """

    encoding: str | None = None
    prefer_utf8: bool = False
    text: str | None = None
    optional: bool = False

    def of_other_data(self, encoding: str | None, text: str | None) -> "Reading":
        """Returns the options for other data than the training data.

        Without ``encoding``, the encoding of the training data is used for files that are not UTF-8. Without
        ``text``, the text column of the training data is used for tables that have this column.
        """
        return Reading(encoding or self.encoding, encoding is None, text or self.text, text is None)


@dataclass(frozen=True)
class Texts:
    """The three splits of a data set, as lists of lines.

    Lines keep their order and have no newline character at the end. Empty lines are kept. ``name`` is the
    value of ``--data``. ``notes`` describes the data, and explains how missing splits were created.
    ``sha256`` is the digest of the data before missing splits were created.
    """

    train: list[str]
    valid: list[str]
    test: list[str]
    name: str
    notes: list[str]
    sha256: str


def load_texts(data: str, seed: int, valid_fraction: float = 0.1, reading: Reading | None = None) -> Texts:
    """Reads ``data``. A missing split is cut out of the training text.

    1. If only the test split is missing, the validation split becomes the test split.
    2. If the validation split and the test split are missing, the last 10 % of the characters become the test
       split.
    3. If there is now no validation split, a part of the remaining training text becomes the validation
       split. The part is contiguous and contains ``valid_fraction`` of the characters. The seed determines
       its position.

    A new split starts and ends at line ends. If the text has too few lines, the new split starts and ends at
    white space. ``reading`` contains the options that determine how files are read.

    Raises:
        UsageError: ``data`` does not exist or has an unknown format, or ``valid_fraction`` is not in
            (0, 0.5].
        DataError: the data is malformed or empty, has no train split, or is too short to split.
    """
    notes: list[str] = []
    readers = _readers(data, reading or Reading(), notes)
    read = read_splits(data, readers)
    sha256 = digest((name, len(lines), (f"{line}\n" for line in lines)) for name, lines in read.items())
    train, splits, missing = missing_splits(read, valid_fraction, notes)
    if "test" in missing:
        train, splits["test"] = _cut(data, train, missing["test"], 1.0)
        notes.append(
            f"the last {100 * missing['test']:g}% of the text is the test split ({len(splits['test'])} lines)"
        )
    if "valid" in missing:
        train, splits["valid"] = _cut(data, train, valid_fraction, Random(seed).random())
        share = f"{100 * valid_fraction:g}% of train ({len(splits['valid'])} lines in one piece, seed {seed})"
        notes.append(f"{share} is the validation split")
    return Texts(train, splits["valid"], splits["test"], data, notes, sha256)


def load_text(
    data: str,
    split: str = "test",
    reading: Reading | None = None,
    notes: list[str] | None = None,
) -> list[str]:
    """Returns the lines of one split of ``data`` for ``evaluate --data``. Missing splits are not created.

    A single file is returned whole. As in training, the validation split replaces a missing test split.
    ``reading`` contains the options that determine how files are read. Notes are appended to ``notes``.

    Raises:
        UsageError, DataError: see `load_texts`. DataError is also raised if the split does not exist.
    """
    readers = _readers(data, reading or Reading(), [] if notes is None else notes)
    return read_split(data, readers, split)


def _cut(data: str, lines: list[str], fraction: float, place: float) -> tuple[list[str], list[str]]:
    """Removes a piece from a text. Returns the rest of the text and the piece.

    The piece is contiguous and contains about ``fraction`` of the characters. ``place`` is the position of
    the piece, from 0 (start of the text) to 1 (end of the text).
    """
    total = sum(len(line) + 1 for line in lines)
    wanted = fraction * total
    begins = place * (total - wanted)
    cut = _at_line_ends(lines, begins, wanted)
    cut = cut or _at_line_ends(_broken(lines, begins, wanted), begins, wanted)
    if not cut:
        raise DataError(
            f"{data} is too short ({len(lines)} lines): a validation or test split needs {100 * fraction:g}% "
            "of the text, and must start and end at white space; add text, or use a folder with train.txt, "
            "valid.txt and test.txt"
        )
    return cut


def _at_line_ends(lines: list[str], begins: float, wanted: float) -> tuple[list[str], list[str]] | None:
    """Removes a piece from a text. The piece consists of whole lines.

    The piece starts at about character ``begins`` and has about ``wanted`` characters. Returns the remaining
    lines and the piece, or None if one of the two has no text.
    """
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    first = min(bisect_left(starts, begins), len(lines) - 1)
    stop = min(bisect_left(starts, starts[first] + wanted), len(lines))
    rest, piece = lines[:first] + lines[stop:], lines[first:stop]
    return (rest, piece) if any(map(str.strip, rest)) and any(map(str.strip, piece)) else None


def _broken(lines: list[str], begins: float, wanted: float) -> list[str]:
    """Adds line ends, so that a piece of the text consists of whole lines.

    The piece starts at about character ``begins`` and has about ``wanted`` characters. The first white space
    after its start becomes a line end, and so does the first white space after its end.
    """
    text, place = "\n".join(lines), begins
    for _ in range(2):
        if space := WHITE_SPACE.search(text, int(place)):
            text = f"{text[: space.start()]}\n{text[space.end() :]}"
            place = space.end() + wanted
    return text.split("\n")


def _readers(data: str, reading: Reading, notes: list[str]) -> Readers:
    """Returns a dictionary of functions. Each function reads one split of ``data``.

    The keys are the names of the splits. If ``data`` is a single file, the only key is `WHOLE`. Each function
    may be called only once.
    """
    if data == "embedded" or data.startswith("embedded:"):
        return _embedded_readers(data, notes)
    if data.startswith("tfds:"):
        splits = tfds.text_splits(data, SPLIT_NAMES)
        return {split: partial(_of_rows, f"{data}[{split}]", rows) for split, rows in splits.items()}
    try:
        is_folder = stat.S_ISDIR(os.stat(data).st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no such file or folder: {data!r}; expected {FORMS}") from error
    except OSError as error:
        raise unreadable(data, error) from error
    if is_folder:
        return _folder_readers(Path(data), reading, notes)
    if _stem(Path(data)) is None:
        raise UsageError(f"{data} has an unsupported extension; expected {FORMS}")
    return {WHOLE: partial(_of_file, Path(data), reading, notes)}


def _embedded_readers(data: str, notes: list[str]) -> Readers:
    from apps.language_modeling import prose

    makers = {"embedded": prose.prose, "embedded:prose": prose.prose, "embedded:code": prose.code}
    if data not in makers:
        raise UsageError(
            f"unknown embedded data {data!r}; expected 'embedded', embedded:prose or embedded:code"
        )
    notes.append(prose.version())
    splits = makers[data]()
    return {split: partial(splits.__getitem__, split) for split in splits}


def _folder_readers(folder: Path, reading: Reading, notes: list[str]) -> Readers:
    files = [(stem.rpartition(".")[2], path) for path in list_folder(folder)[1] if (stem := _stem(path))]
    readers: Readers = {}
    for split, names in SPLIT_NAMES.items():
        found = [path for name, path in files if name in names]
        if len(found) > 1:
            listed = " and ".join(path.name for path in found)
            raise DataError(f"{folder} has more than one split {split!r}: {listed}; keep one of them")
        readers.update((split, partial(_of_file, path, reading, notes)) for path in found)
    if not readers:
        raise DataError(
            f"{folder} has no data files; expected train{TEXT_FORMAT}, valid{TEXT_FORMAT} and "
            f"test{TEXT_FORMAT} (each may be compressed)"
        )
    return readers


def _stem(path: Path) -> str | None:
    """Returns the name of a text file or table, in lower case and without extensions.

    For example, it returns ``train`` for ``Train.txt.gz``. For all other files, it returns None.
    """
    name = Path(plain_name(path))
    return name.stem if name.suffix in (TEXT_FORMAT, *FORMATS) else None


def _of_file(path: Path, reading: Reading, notes: list[str]) -> list[str]:
    if table_name(path):
        return _of_rows(str(path), _of_table(path, reading, notes))
    if reading.text and not reading.optional:
        raise UsageError(f"--text {reading.text} applies to tables, but {path} is a text file; remove --text")
    text = read_text(path, reading.encoding, prefer_utf8=reading.prefer_utf8, notes=notes)
    return _lines(str(path), text)


def _of_table(path: Path, reading: Reading, notes: list[str]) -> list[str]:
    """Returns the texts of a table, one per row."""
    table = read_table(path, encoding=reading.encoding, prefer_utf8=reading.prefer_utf8)
    column = text_column(table, reading)
    notes += table.notes
    note_columns(table, {"text": column}, notes)
    return table.texts(column)


def text_column(table: Table, reading: Reading) -> str:
    """Returns the column of the texts. Raises UsageError or DataError if the table lacks this column."""
    wanted = None if reading.optional and not has_column(table, reading.text) else reading.text
    return find_column(table, wanted, ("text",), "--text")


def _of_rows(source: str, rows: Iterable[str]) -> list[str]:
    return _lines(source, "\n".join(rows))


def _lines(source: str, text: str) -> list[str]:
    if not text.strip():
        raise DataError(f"{source} is empty; expected text")
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
