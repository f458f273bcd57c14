"""Reads labeled texts from every kind of data that ``--data`` accepts.

- ``embedded[:reviews]``: the reviews that are included in the project
- ``FILE``: a table with a column of texts and a column of labels, see `seqmodels.data.tables`
- ``DIR``: a folder with the splits ``train``, ``valid`` and ``test``. A split is a table, such as
  ``train.csv``, or a folder, such as ``train/<class>/*.txt``
- ``DIR/<class>/*.txt``: a folder without splits. It contains one folder per class. Each file is one text
- ``tfds:NAME[/CONFIG]``: a TensorFlow Datasets data set, prepared in ``$TFDS_DATA_DIR`` or the default folder

A missing split is created from rows of the training split, see `load_labeled_texts`. TensorFlow is imported
only for ``tfds:``.
"""

import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from apps.sentiment import labels as label_values
from apps.sentiment.labeled_table import (
    LabeledTexts,
    Reading,
    collect,
    read_labeled_table,
    without_breaks,
)
from seqmodels.data import tfds
from seqmodels.data.files import list_folder, read_text, unreadable
from seqmodels.data.splits import (
    SPLIT_NAMES,
    WHOLE,
    cut_order,
    digest,
    missing_splits,
    read_split,
    read_splits,
)
from seqmodels.data.tables import FORMATS, BadRows, table_name
from seqmodels.errors import DataError, UsageError

# In the data set aclImdb (Maas et al. 2011), the folder with this name contains the unlabeled texts. It is
# next to the folders of the classes.
UNLABELED_FOLDER = "unsup"
FORMS = f"a table ({', '.join(FORMATS)}, also compressed), a folder, 'embedded' or tfds:NAME"


@dataclass(frozen=True)
class LabeledTextData:
    """The train, valid and test splits of a data set.

    ``name`` is the name of the data set. ``output`` is the kind of the labels, see ``--output``. ``classes``
    contains the sorted labels of train. If all labels are integers, they are sorted by value. If the labels
    are numbers to predict, ``classes`` is empty.
    ``notes`` describes how missing splits were replaced, what was skipped, and how many test texts are also
    in another split. ``sha256`` is a digest of the data. It is computed before new splits are created, so it
    does not depend on the seed.
    """

    train: LabeledTexts
    valid: LabeledTexts
    test: LabeledTexts
    classes: list[str]
    output: str
    name: str
    notes: list[str]
    sha256: str


def load_labeled_texts(
    data: str, seed: int, valid_fraction: float = 0.1, reading: Reading | None = None
) -> LabeledTextData:
    """Reads ``data``, and creates the missing splits.

    - If there is a validation split but no test split, the validation split is used as the test split. A new
      validation split is then created.
    - A new validation split gets the fraction ``valid_fraction`` of the training rows.
    - A new test split gets 10 % of the training rows.
    - If the data has no splits, all rows count as training rows.

    The rows of a new split depend only on the seed and the texts. All splits have about the same
    proportions of the labels. Rows with equal texts stay in the same split. HTML breaks in the texts become
    line breaks.

    Args:
        data: value of ``--data``, see the top of this module.
        seed: seed that determines which rows the new splits get.
        valid_fraction: fraction of the rows that becomes the validation split, in (0, 0.5].
        reading: options that determine how files are read. Default: the defaults of `Reading`.

    Raises:
        UsageError: ``data`` does not exist or has an unknown format, or ``valid_fraction`` is not in
            (0, 0.5].
        DataError: the data is malformed, has no train split or only one class, or has labels that do not
            occur in train.
    """
    notes: list[str] = []
    reading = reading or Reading()
    read = read_splits(data, _readers(data, reading, notes))
    sha256 = digest(
        (name, len(split), map(json.dumps, zip(split.texts, split.labels))) for name, split in read.items()
    )
    # HTML breaks are replaced only now, because the digest is computed from the original texts.
    read = {name: _plain(split, notes) for name, split in read.items()}
    output, found = reading.output, list[str]()
    if output == "auto":
        output, found = label_values.recognise(
            next(read[name] for name in (WHOLE, "train") if name in read).labels
        )
    notes += found
    splits = _complete(read, seed, valid_fraction, output, notes)
    train, valid, test = (splits[name] for name in SPLIT_NAMES)
    if output == label_values.REGRESSION:
        check_labels(train, [], output)
    classes = _classes(data, train, output)
    check_labels(valid, classes, output)
    check_labels(test, classes, output)
    seen = {*train.texts, *valid.texts}
    if repeated := sum(text in seen for text in test.texts):
        notes.append(
            f"{repeated} of {len(test)} test texts are also in train or valid; "
            "remove them from test, because their scores are too good"
        )
    return LabeledTextData(train, valid, test, classes, output, data, notes, sha256)


def load_split(
    data: str, split: str = "test", reading: Reading | None = None, notes: list[str] | None = None
) -> LabeledTexts:
    """Reads one split of ``data`` for ``evaluate --data``. Missing splits are not created.

    Some data has no splits: a single file, or a folder with one folder per class. In this case, all rows are
    read. As in training, the validation split replaces a missing test split. Notes on the rows are appended
    to ``notes``.

    Raises:
        UsageError, DataError: see `load_labeled_texts`. DataError is also raised if the split does not exist.
    """
    notes = [] if notes is None else notes
    readers = _readers(data, reading or Reading(), notes)
    return _plain(read_split(data, readers, split), notes)


def check_labels(split: LabeledTexts, classes: Sequence[str], output: str) -> None:
    """Raises one DataError that lists the rows with invalid labels.

    Args:
        split: texts and labels.
        classes: the labels of the training split, or an empty list for numbers.
        output: kind of the labels, see ``--output``.
    """
    known, bad = set(classes), BadRows(split.source)
    for row, label in enumerate(split.labels):
        if reason := label_values.problem(label, output, known):
            bad.add(row, split.where(row), reason)
    if bad.count:
        raise DataError(f"{bad.listed()}; expected {label_values.expected(output, classes)}")


def _classes(data: str, train: LabeledTexts, output: str) -> list[str]:
    """Returns the sorted labels of the training split, or an empty list for numbers.

    Raises:
        DataError: the training split has only one label, or all its numbers are equal.
    """
    different: set[Any] = set(train.labels)
    if output == label_values.REGRESSION:
        if len({label_values.number(label) for label in different}) == 1:
            raise DataError(
                f"{data} has only the number {train.labels[0]} in train; expected different numbers"
            )
        return []
    if output == label_values.MULTI_LABEL:
        classes = label_values.sorted_labels(
            {part for label in different for part in label_values.parts(label)}
        )
        if not classes:
            raise DataError(
                f"{data} has no labels in train; expected labels that are joined by |, such as a|b"
            )
        if len({frozenset(label_values.parts(label)) for label in different}) == 1:
            raise DataError(f"all texts of {data} have the same labels in train; expected different labels")
        return classes
    if len(different) == 1:
        (only,) = different
        raise DataError(f"{data} has only the label {only!r} in train; expected at least two labels")
    return label_values.sorted_labels(different)


def _plain(split: LabeledTexts, notes: list[str]) -> LabeledTexts:
    texts = [without_breaks(text) for text in split.texts]
    if changed := sum(text != raw for text, raw in zip(texts, split.texts)):
        notes.append(
            f"{changed} of {len(texts)} texts of {split.source} have HTML breaks, "
            "which are read as line breaks"
        )
    return replace(split, texts=texts)


def _complete(
    read: dict[str, LabeledTexts], seed: int, valid_fraction: float, output: str, notes: list[str]
) -> dict[str, LabeledTexts]:
    """Returns train, valid and test, and creates the missing splits. ``notes`` gets a note on new splits."""
    origin, said = "all rows" if WHOLE in read else "train", list[str]()
    whole, splits, missing = missing_splits(read, valid_fraction, said)
    strata = label_values.strata(whole.labels, output)
    cut = _cut(whole, strata, missing, seed)
    if output == label_values.MULTI_LABEL:
        _keep_labels(whole, cut)
    for split, rows in cut.items():
        if not rows:
            raise DataError(
                f"{whole.source} has too few rows ({len(whole)}) to create the split {split!r}; add rows, or "
                "add this split to the data"
            )
        splits[split] = whole.take(rows)
        if split in missing:
            part = f"{100 * missing[split]:g}% of {origin} ({len(rows)} rows, seed {seed})"
            said.append(f"{part} is the {'test' if split == 'test' else 'validation'} split")
    if said:
        notes.append("; ".join(said))
    return splits


def _cut(
    whole: LabeledTexts, strata: Sequence[str], fractions: dict[str, float], seed: int
) -> dict[str, list[int]]:
    """Assigns the rows to train and to the new splits.

    ``strata`` contains the stratum of each row, such as its label. ``fractions`` contains the fraction of the
    rows for each new split. The texts of each stratum are sorted by a hash of seed and text. This order is
    the same on every machine and for every order of the rows. The training split keeps at least one text of
    every stratum. Each new split also gets at least one text of a stratum, unless the stratum has too few
    texts.

    Returns:
        The row numbers of each split, in ascending order.
    """
    rows_of: dict[str, list[int]] = {}
    for row, text in enumerate(whole.texts):
        rows_of.setdefault(text, []).append(row)
    texts_of: dict[str, list[str]] = {}
    for text, rows in rows_of.items():
        texts_of.setdefault(strata[rows[0]], []).append(text)
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


def _keep_labels(whole: LabeledTexts, cut: dict[str, list[int]]) -> None:
    """Moves texts to train, so that train has every label. Equal texts stay together."""
    found = [set(label_values.parts(label)) for label in whole.labels]
    missing = set().union(*found) - set().union(*(found[row] for row in cut["train"]))
    for name in cut.keys() - {"train"}:
        moved = {whole.texts[row] for row in cut[name] if found[row] & missing}
        cut["train"] = sorted([*cut["train"], *(row for row in cut[name] if whole.texts[row] in moved)])
        cut[name] = [row for row in cut[name] if whole.texts[row] not in moved]


Readers = dict[str, Callable[[], LabeledTexts]]


def _readers(data: str, reading: Reading, notes: list[str]) -> Readers:
    """Returns a dictionary from the name of each split of ``data`` to its reader function.

    If the data has no splits, the only name is `WHOLE`. Each reader may be called only once.
    """
    if data in ("embedded", "embedded:reviews"):
        from apps.sentiment import reviews

        return _numbered(data, reviews.splits(), reading, notes)
    if data.startswith("embedded:"):
        raise UsageError(f"{data} is not an embedded data set; expected 'embedded' or embedded:reviews")
    if data.startswith("tfds:"):
        return _numbered(data, tfds.labeled_splits(data, SPLIT_NAMES, notes), reading, notes)
    try:
        is_folder = stat.S_ISDIR(os.stat(data).st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"{data!r} does not exist; expected {FORMS}") from error
    except OSError as error:
        raise unreadable(data, error) from error
    if is_folder:
        return _folder_readers(Path(data), reading, notes)
    return {WHOLE: partial(read_labeled_table, Path(data), reading, notes)}


def _numbered(
    data: str, splits: Mapping[str, Iterable[tuple[str, str]]], reading: Reading, notes: list[str]
) -> Readers:
    """Returns one reader per split, for data that is not stored in files with lines.

    Error messages give the row number instead of the line number.
    """

    def read(source: str, rows: Iterable[tuple[str, str]]) -> LabeledTexts:
        numbered = ((number, text, label) for number, (text, label) in enumerate(rows, 1))
        return collect(source, numbered, BadRows(source), reading, notes)

    return {split: partial(read, f"{data}[{split}]", rows) for split, rows in splits.items()}


def _folder_readers(folder: Path, reading: Reading, notes: list[str]) -> Readers:
    folders, files = list_folder(folder)
    candidates = [
        (path.name.lower(), path, partial(_read_class_folders, path, reading, notes)) for path in folders
    ]
    candidates += [
        (name[0], path, partial(read_labeled_table, path, reading, notes))
        for path in files
        if (name := table_name(path))
    ]
    readers: Readers = {}
    for split, names in SPLIT_NAMES.items():
        found = [(path.name, reader) for name, path, reader in candidates if name in names]
        if len(found) > 1:
            listed = " and ".join(name for name, _ in found)
            raise DataError(f"{folder} has more than one split {split!r}: {listed}; keep one of them")
        readers.update((split, reader) for _, reader in found)
    return readers or {WHOLE: partial(_read_class_folders, folder, reading, notes)}


def _read_class_folders(folder: Path, reading: Reading, notes: list[str]) -> LabeledTexts:
    """Reads the files ``folder/<class>/*.txt``. The name of the class folder is the label."""
    files: dict[Path, list[Path]] = {}
    for class_folder in list_folder(folder)[0]:
        if class_folder.name == UNLABELED_FOLDER:
            notes.append(f"{class_folder} is skipped because its texts have no labels")
        else:
            files[class_folder] = [
                path for path in list_folder(class_folder)[1] if path.suffix.lower() == ".txt"
            ]
    if not any(files.values()):
        raise DataError(
            f"{folder} has no data files; expected folders or tables ({', '.join(FORMATS)}) with the names "
            "train, valid and test, or one folder of .txt files per class"
        )
    for option, column in (("text", reading.text), ("label", reading.label)):
        if column is not None and option not in reading.stored:
            raise UsageError(
                f"--{option} {column} applies to tables, but {folder} has one folder per class; "
                f"remove --{option}"
            )
    for class_folder, paths in files.items():
        if not paths:
            raise DataError(
                f"{class_folder} has no .txt file; add .txt files to this folder or remove the folder"
            )
    labeled = [(path, class_folder.name) for class_folder, paths in files.items() for path in paths]
    is_stored = "encoding" in reading.stored
    rows = (
        (number, read_text(path, reading.encoding, prefer_utf8=is_stored, notes=notes), label)
        for number, (path, label) in enumerate(labeled, 1)
    )
    return collect(str(folder), rows, BadRows(folder), reading, notes, [str(path) for path, _ in labeled])
