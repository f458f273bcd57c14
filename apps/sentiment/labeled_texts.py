"""Texts with one label each, from everything that ``--data`` may name.

==========================  ==============================================================================
``embedded[:reviews]``      the reviews that come with the project
``FILE``                    ``.csv``, ``.tsv`` or ``.jsonl``, each also ``.gz``, with ``text`` and ``label``
``DIR``                     ``train``, ``valid`` and ``test``, each a file as above or a folder per class
``DIR/<class>/*.txt``       a folder per class, one text a file
``tfds:NAME[/CONFIG]``      a set of TensorFlow Datasets prepared in ``$TFDS_DATA_DIR`` or tfds' default
==========================  ==============================================================================

What a source lacks is cut from its training rows, see `load_labeled_texts`. Only ``tfds:`` loads TensorFlow.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seqmodels.data import tfds
from seqmodels.data.files import (
    TABLE_FORMATS,
    Row,
    list_folder,
    read_table,
    read_text,
    table_name,
    unreadable,
)
from seqmodels.data.splits import (
    SPLIT_NAMES,
    WHOLE,
    cut_order,
    digest,
    missing_splits,
    read_split,
    read_splits,
)
from seqmodels.errors import DataError, UsageError

UNLABELED_FOLDER = "unsup"  # stands beside the classes in aclImdb (Maas et al. 2011)
FORMS = "a .csv, .tsv or .jsonl file (also .gz), a folder, embedded or tfds:NAME"


@dataclass(frozen=True)
class LabeledTexts:
    """One split: ``texts[row]`` has ``labels[row]``.

    ``lines[row]`` is the line of the file ``source`` on which the row starts, or where there is no such file
    the row's number in ``source``, from 1. Of a folder per class, ``files[row]`` is the text's own path.
    """

    texts: list[str]
    labels: list[str]
    source: str
    lines: list[int]
    files: list[str] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def where(self, row: int) -> str:
        """The place of ``row`` for an error message: ``train.csv:12``, or the path of its own file."""
        return self.files[row] if self.files else f"{self.source}:{self.lines[row]}"

    def take(self, rows: Sequence[int]) -> "LabeledTexts":
        """The given rows, in that order."""
        return LabeledTexts(
            [self.texts[row] for row in rows],
            [self.labels[row] for row in rows],
            self.source,
            [self.lines[row] for row in rows],
            [self.files[row] for row in rows] if self.files else None,
        )


@dataclass(frozen=True)
class LabeledTextData:
    """The three splits of the source ``name``.

    ``classes`` are the labels of train, sorted, by value if all are whole numbers. ``notes`` say what was
    cut, left out or found twice. ``sha256`` covers what was read, before any cut that depends on a seed.
    """

    train: LabeledTexts
    valid: LabeledTexts
    test: LabeledTexts
    classes: list[str]
    name: str
    notes: list[str]
    sha256: str


def load_labeled_texts(data: str, seed: int, valid_fraction: float = 0.1) -> LabeledTextData:
    """Reads ``data`` and cuts from train what it lacks.

    Without a test split, valid is the test. Without valid, or when it became the test, ``valid_fraction`` of
    train is validation. A source in one piece, or with train alone, is cut into test (10 %), valid and train.
    A cut depends on the seed and the texts alone, keeps each label's share and never parts equal texts.

    Raises:
        UsageError: ``data`` does not exist or has no known form; ``valid_fraction`` is not in (0, 0.5].
        DataError: what was read is broken, has no train split, one class only, or labels that train lacks.
    """
    notes: list[str] = []
    readers = _readers(data, notes)
    read = read_splits(data, readers)
    sha256 = digest(
        (name, len(split), map(json.dumps, zip(split.texts, split.labels))) for name, split in read.items()
    )
    splits = _complete(read, seed, valid_fraction, notes)
    train, valid, test = (splits[name] for name in SPLIT_NAMES)
    classes = _sorted_labels(set(train.labels))
    if len(classes) == 1:
        raise DataError(
            f"{data}: every row of train has the label {classes[0]!r}; expected at least two labels"
        )
    check_labels(valid, classes)
    check_labels(test, classes)
    seen = {*train.texts, *valid.texts}
    if repeated := sum(text in seen for text in test.texts):
        notes.append(f"{repeated} of {len(test)} test texts are also in train or valid")
    return LabeledTextData(train, valid, test, classes, data, notes, sha256)


def load_split(data: str, split: str = "test") -> LabeledTexts:
    """Reads one split of ``data``, uncut, as for ``evaluate --data``.

    A source in one piece (a file, a folder per class) is that split itself. As in training, valid stands for
    a missing test.

    Raises:
        UsageError, DataError: as `load_labeled_texts`; DataError also if there is no such split.
    """
    readers = _readers(data, [])
    return read_split(data, readers, split)


def check_labels(split: LabeledTexts, classes: Sequence[str]) -> None:
    """Raises DataError at the first row whose label is not one of ``classes``."""
    known = set(classes)
    for row, label in enumerate(split.labels):
        if label not in known:
            listed = ", ".join(classes)
            raise DataError(
                f"{split.where(row)}: unknown label {label!r}; expected a class of train: {listed}"
            )


def _sorted_labels(labels: set[str]) -> list[str]:
    if all(re.fullmatch("-?[0-9]+", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _complete(
    read: dict[str, LabeledTexts], seed: int, valid_fraction: float, notes: list[str]
) -> dict[str, LabeledTexts]:
    """Train, valid and test from the splits that were read; what is cut goes into ``notes``."""
    origin, said = "all rows" if WHOLE in read else "train", list[str]()
    whole, splits, missing = missing_splits(read, valid_fraction, said)
    for split, rows in _cut(whole, missing, seed).items():
        if not rows:
            raise DataError(
                f"{whole.source}: too few rows ({len(whole)}) to cut {split} from; add rows or {split}"
            )
        splits[split] = whole.take(rows)
        if split in missing:
            part = f"{100 * missing[split]:g}% of {origin} ({len(rows)} rows, seed {seed})"
            said.append(f"{part} is {'the test' if split == 'test' else 'validation'}")
    if said:
        notes.append("; ".join(said))
    return splits


def _cut(whole: LabeledTexts, fractions: dict[str, float], seed: int) -> dict[str, list[int]]:
    """The rows of train and of each part in ``fractions``, ascending.

    Within a label, texts go in the order of their hash with the seed: the same on every machine and for every
    order of the rows. A part gets at least one text of each label that has enough; train always keeps one.
    """
    rows_of: dict[str, list[int]] = {}
    for row, text in enumerate(whole.texts):
        rows_of.setdefault(text, []).append(row)
    texts_of: dict[str, list[str]] = {}
    for text, rows in rows_of.items():
        texts_of.setdefault(whole.labels[rows[0]], []).append(text)
    parts: dict[str, list[int]] = {name: [] for name in ("train", *fractions)}
    for texts in texts_of.values():
        texts.sort(key=lambda text: cut_order(text, seed))
        count = sum(len(rows_of[text]) for text in texts)
        for name, fraction in fractions.items():
            wanted = max(1, round(fraction * count))
            while wanted > 0 and len(texts) > 1:
                rows = rows_of[texts.pop()]
                parts[name] += rows
                wanted -= len(rows)
        for text in texts:
            parts["train"] += rows_of[text]
    return {name: sorted(rows) for name, rows in parts.items()}


Readers = dict[str, Callable[[], LabeledTexts]]


def _readers(data: str, notes: list[str]) -> Readers:
    """How to read each split that ``data`` has, or `WHOLE`; a reader reads when it is called, once."""
    if data in ("embedded", "embedded:reviews"):
        from apps.sentiment import reviews

        return _numbered(data, reviews.splits())
    if data.startswith("embedded:"):
        raise UsageError(f"unknown embedded data {data!r}; expected embedded or embedded:reviews")
    if data.startswith("tfds:"):
        return _numbered(data, tfds.labeled_splits(data, SPLIT_NAMES, notes))
    try:
        is_folder = stat.S_ISDIR(os.stat(data).st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"no such file or folder: {data!r}; expected {FORMS}") from error
    except OSError as error:
        raise unreadable(data, error) from error
    if is_folder:
        return _folder_readers(Path(data), notes)
    return {WHOLE: partial(_read_file, Path(data))}


def _collect(source: str, rows: Iterable[Row], files: list[str] | None = None) -> LabeledTexts:
    """Gathers (line, (text, label)); raises DataError for an empty text or label, and for no rows."""
    split = LabeledTexts([], [], source, [], files)
    for line, (text, label) in rows:
        split.texts.append(text)
        split.labels.append(label.strip())
        split.lines.append(line)
        for name, value in (("text", text), ("label", label)):
            if not value.strip():
                raise DataError(
                    f"{split.where(len(split) - 1)}: the {name} is empty; fill it in or remove the row"
                )
        if len(label.strip().splitlines()) > 1:
            raise DataError(
                f"{split.where(len(split) - 1)}: the label {label.strip()!r} has a line break; "
                "write it in one line"
            )
    if not split.texts:
        raise DataError(f"{source} has no rows; expected a text and a label in each")
    return split


def _numbered(data: str, splits: Mapping[str, Iterable[tuple[str, str]]]) -> Readers:
    """Readers of (text, label) rows that have a number and no line."""
    return {
        split: partial(_collect, f"{data}[{split}]", enumerate(rows, 1)) for split, rows in splits.items()
    }


def _read_file(path: Path) -> LabeledTexts:
    return _collect(str(path), read_table(path, ("text", "label"), numbers=("label",)))


def _folder_readers(folder: Path, notes: list[str]) -> Readers:
    folders, files = list_folder(folder)
    candidates = [(path.name.lower(), path, partial(_read_class_folders, path, notes)) for path in folders]
    candidates += [(name[0], path, partial(_read_file, path)) for path in files if (name := table_name(path))]
    readers: Readers = {}
    for split, names in SPLIT_NAMES.items():
        found = [(path.name, reader) for name, path, reader in candidates if name in names]
        if len(found) > 1:
            listed = " and ".join(name for name, _ in found)
            raise DataError(f"{folder} has more than one {split} split: {listed}; keep one of them")
        readers.update((split, reader) for _, reader in found)
    return readers or {WHOLE: partial(_read_class_folders, folder, notes)}


def _read_class_folders(folder: Path, notes: list[str]) -> LabeledTexts:
    """``folder/<class>/*.txt``, in the order of the names."""
    files: dict[Path, list[Path]] = {}
    for class_folder in list_folder(folder)[0]:
        if class_folder.name == UNLABELED_FOLDER:
            notes.append(f"{class_folder} is left out: its texts have no label")
        else:
            files[class_folder] = [
                path for path in list_folder(class_folder)[1] if path.suffix.lower() == ".txt"
            ]
    if not any(files.values()):
        formats = ", ".join(TABLE_FORMATS)
        raise DataError(
            f"{folder} has nothing to read; expected train, valid, test ({formats}) or <class>/*.txt"
        )
    for class_folder, paths in files.items():
        if not paths:
            raise DataError(
                f"{class_folder} has no .txt file; add the texts of that class or remove the folder"
            )
    labeled = [(path, class_folder.name) for class_folder, paths in files.items() for path in paths]
    rows = ((read_text(path), label) for path, label in labeled)
    return _collect(str(folder), enumerate(rows, 1), [str(path) for path, _ in labeled])
