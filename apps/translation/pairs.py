"""Readers of texts with their translations, for every source that ``--data`` accepts.

========================  ================================================================================
``embedded[:grammar]``    English and French sentences of the grammar in this project.
``DIR``                   ``train.en`` and ``train.de``, also ``valid`` and ``test``, with one text per line.
                          The same line of both files is a pair. Each file also ``.gz``. Or tables as below.
``FILE``                  ``.csv``, ``.tsv`` or ``.jsonl`` with one column per language; ``.txt`` with both
                          texts of a pair on one line, separated by a tab. Each file also ``.gz``.
``tfds:NAME[/CONFIG]``    a translation data set of TensorFlow Datasets, prepared on this machine.
========================  ================================================================================

Missing splits are cut from the training pairs, see `load_pairs`. Only ``tfds:`` sources import TensorFlow.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from seqmodels.data import tfds
from seqmodels.data.files import (
    TABLE_FORMATS,
    list_folder,
    read_table,
    read_text,
    table_columns,
    table_name,
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

FORMS = "a .csv, .tsv, .jsonl or tab-separated .txt file (also .gz), a folder, embedded or tfds:NAME"
COLUMNS = ("source", "target")  # columns of a .txt file, which has no header


@dataclass(frozen=True)
class Pairs:
    """One split: ``targets[row]`` translates ``sources[row]``.

    ``files`` are the source file and the target file, or one file with both texts. ``lines[row]`` is the line
    or the number of the row in each of ``files``, from 1.
    """

    sources: list[str]
    targets: list[str]
    files: tuple[str, ...]
    lines: list[int]

    def __len__(self) -> int:
        return len(self.sources)

    def where(self, row: int) -> str:
        """Returns the location of ``row`` for an error message: ``train.en:12 and train.de:12``."""
        return " and ".join(f"{file}:{self.lines[row]}" for file in self.files)

    def take(self, rows: Sequence[int]) -> "Pairs":
        """Returns the given rows in the given order."""
        sources, targets = [self.sources[row] for row in rows], [self.targets[row] for row in rows]
        return Pairs(sources, targets, self.files, [self.lines[row] for row in rows])


@dataclass(frozen=True)
class ParallelData:
    """The three splits of the source ``name``, from language ``source`` to language ``target``.

    ``notes`` describe the cuts, the chosen languages and repeated pairs. ``sha256`` is the digest of the
    source before any cut that depends on a seed.
    """

    train: Pairs
    valid: Pairs
    test: Pairs
    source: str
    target: str
    name: str
    notes: list[str]
    sha256: str


Readers = dict[str, Callable[[], Pairs]]


def load_pairs(
    data: str, source: str = "", target: str = "", seed: int = 0, valid_fraction: float = 0.1
) -> ParallelData:
    """Reads ``data`` and cuts missing splits from the training pairs.

    If only the test split is missing, the validation split becomes the test split. If no validation split
    remains, ``valid_fraction`` of train is validation. A single file, or a train split alone, is cut into
    test (10 %), valid and train. A cut depends only on the seed and the source texts. Pairs with equal
    sources stay in the same split.

    Args:
        data: source of the pairs, see the module.
        source: language or column to translate from. Default: the language that is not the target, or the
            first language.
        target: language or column to translate to. Default: the language that is not the source.
        seed: seed of the cuts.
        valid_fraction: share of the training pairs that becomes validation.

    Raises:
        UsageError: ``data`` does not exist or has an unknown form, or ``data`` lacks a language.
        DataError: the source is broken, a text of a pair is empty, or there is no train split.
    """
    notes: list[str] = []
    readers, languages = _readers(data, source, target, notes)
    read = read_splits(data, readers)
    sha256 = digest(
        (name, len(split), map(json.dumps, zip(split.sources, split.targets))) for name, split in read.items()
    )
    splits = _complete(read, seed, valid_fraction, notes)
    train, valid, test = (splits[name] for name in SPLIT_NAMES)
    seen = {*zip(train.sources, train.targets), *zip(valid.sources, valid.targets)}
    if repeated := sum(pair in seen for pair in zip(test.sources, test.targets)):
        notes.append(
            f"{repeated} of {len(test)} test pairs are also in train or valid; "
            "remove them from test, because their scores are too good"
        )
    return ParallelData(train, valid, test, *languages, data, notes, sha256)


def is_grammar(data: str) -> bool:
    """Returns True if ``data`` is the grammar in this project, whose alignments are known."""
    return data in ("embedded", "embedded:grammar")


def load_test_pairs(data: str, source: str, target: str) -> Pairs:
    """Reads the split of ``data`` to score on: test, else valid. A single file is read whole.

    Raises:
        UsageError, DataError: as `load_pairs`; DataError also if both splits are missing.
    """
    readers, _ = _readers(data, source, target, [])
    return read_split(data, readers)


def _complete(read: dict[str, Pairs], seed: int, valid_fraction: float, notes: list[str]) -> dict[str, Pairs]:
    """Returns train, valid and test. Missing splits are cut, with a line in ``notes`` per cut."""
    whole, splits, missing = missing_splits(read, valid_fraction, notes)
    # Equal sources are next to each other.
    rows = sorted(range(len(whole)), key=lambda row: cut_order(whole.sources[row], seed))
    for split, fraction in missing.items():
        cut = max(1, round(fraction * len(whole)))
        while cut < len(rows) and whole.sources[rows[cut]] == whole.sources[rows[cut - 1]]:
            cut += 1
        if cut >= len(rows):
            raise DataError(
                f"{whole.files[0]} has {len(whole)} pairs, too few to cut a {split} split; "
                "add pairs or that split"
            )
        splits[split], rows = whole.take(sorted(rows[:cut])), rows[cut:]
        part = f"{100 * fraction:g}% of {'all' if WHOLE in read else 'train'} ({cut} pairs, seed {seed})"
        notes.append(f"{part} is the {'test' if split == 'test' else 'validation'} split")
    return {**splits, "train": whole.take(sorted(rows))}


def _readers(data: str, source: str, target: str, notes: list[str]) -> tuple[Readers, tuple[str, str]]:
    """Returns a reader for each split of ``data``, or for `WHOLE`, and the languages."""
    if is_grammar(data):
        from apps.translation import grammar

        languages = _languages(data, grammar.LANGUAGES, source, target, [])
        flip = languages != grammar.LANGUAGES
        return _numbered(data, grammar.splits(), flip), languages
    if data.startswith("embedded:"):
        raise UsageError(f"unknown embedded data {data!r}; expected embedded or embedded:grammar")
    if data.startswith("tfds:"):
        found, read = tfds.translations(data, SPLIT_NAMES)
        languages = _languages(data, found, source, target, notes)
        return _numbered(data, read(*languages)), languages
    if not os.path.exists(data):
        raise UsageError(f"no such file or folder: {data!r}; expected {FORMS}")
    if os.path.isdir(data):
        return _folder_readers(Path(data), source, target, notes)
    path = Path(data)
    languages = _languages(data, _columns(path), source, target, notes)
    guessed = [name for name, named in zip(languages, (source, target)) if not named]
    if table_name(path) and any(len(name.split()) != 1 for name in guessed):
        raise DataError(
            f"{path}:1: the column {guessed[0]!r} is not a language; add a header such as en and de, choose "
            "columns with --source and --target, or rename a file without a header to .txt"
        )
    return {WHOLE: partial(_read_file, path, languages)}, languages


def _languages(
    where: str, found: Sequence[str], source: str, target: str, notes: list[str]
) -> tuple[str, str]:
    """Returns the languages to translate from and to, chosen from the languages in ``found``."""
    listed = ", ".join(found)
    for option, name in (("source", source), ("target", target)):
        if name and name not in found:
            raise UsageError(f"--{option} {name} is not in {where}; expected one of {listed}")
    left = [name for name in found if name not in (source, target)]
    missing = (not source) + (not target)
    if source and source == target:
        raise UsageError(f"--target {target} is also the source; expected another of {listed}")
    if len(left) < missing:
        raise UsageError(
            f"{where} has {listed or 'no language'}; expected two languages to translate between"
        )
    if missing and len(found) > 2:
        raise UsageError(f"{where} has {listed}; choose two with --source and --target")
    chosen = (source or left.pop(0), target or left.pop(0))
    if missing == 2:
        notes.append(
            f"the model translates from {chosen[0]} to {chosen[1]}; use --source and --target to change this"
        )
    return chosen


def _collect(files: tuple[str, ...], rows: Iterable[tuple[int, tuple[str, str]]]) -> Pairs:
    """Collects rows of (line, (source, target)). Raises DataError for an empty text or if no row exists."""
    pairs = Pairs([], [], files, [])
    for line, (source, target) in rows:
        pairs.sources.append(source)
        pairs.targets.append(target)
        pairs.lines.append(line)
        for index, side in enumerate((source, target)):
            if not side.strip():
                place = f"{files[index if len(files) > 1 else 0]}:{line}"
                raise DataError(
                    f"{place}: the {COLUMNS[index]} is empty; fill it in or remove the pair from both sides"
                )
    if not len(pairs):
        raise DataError(
            f"no pairs found in {' and '.join(files)}; expected a text and its translation in each line"
        )
    return pairs


def _numbered(data: str, splits: Mapping[str, Iterable[tuple[str, str]]], flip: bool = False) -> Readers:
    """Returns readers of pairs with numbers instead of lines. If ``flip`` is True, swaps the sides."""

    def rows(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[int, tuple[str, str]]]:
        for number, (first, second) in enumerate(pairs, 1):
            yield number, (second, first) if flip else (first, second)

    return {split: partial(_collect, (f"{data}[{split}]",), rows(pairs)) for split, pairs in splits.items()}


def _folder_readers(
    folder: Path, source: str, target: str, notes: list[str]
) -> tuple[Readers, tuple[str, str]]:
    """Returns readers of a folder, and the languages.

    The folder has one file per split and language, or one table per split.
    """
    tables: dict[str, Path] = {}
    texts: dict[str, dict[str, Path]] = {}
    names = {name: split for split, each in SPLIT_NAMES.items() for name in each}
    for path in list_folder(folder)[1]:
        stem, _, language = path.name.removesuffix(".gz").rpartition(".")
        split = names.get(stem.lower())
        if split is None:
            continue
        table = table_name(path) is not None
        known = tables if table else texts.setdefault(split, {})
        key = split if table else language
        if key in known:
            raise DataError(f"{folder} has both {known[key].name} and {path.name}; keep one of them")
        known[key] = path
    if tables:
        first = tables.get("train") or next(iter(tables.values()))
        languages = _languages(str(first), _columns(first), source, target, notes)
        return {split: partial(_read_file, path, languages) for split, path in tables.items()}, languages
    if not texts:
        raise DataError(
            f"{folder} has no data files; expected train.en and train.de, also valid and test, or tables "
            f"({', '.join(TABLE_FORMATS)})"
        )
    found = list(texts.get("train") or next(iter(texts.values())))
    languages = _languages(str(folder), found, source, target, notes)
    readers: Readers = {}
    for split in SPLIT_NAMES:
        files = [texts.get(split, {}).get(language) for language in languages]
        if files[0] and files[1]:
            readers[split] = partial(_read_lines, files[0], files[1])
        elif files[0] or files[1]:
            there = files[0] or files[1]
            lacking = languages[1 if files[0] else 0]
            raise DataError(f"{there} has no matching {lacking} file; add that file or remove this one")
    return readers, languages


def _read_lines(source: Path, target: Path) -> Pairs:
    """Reads two files with one text per line."""
    sides = [_lines(path) for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{source} has {len(sides[0])} lines and {target} has {len(sides[1])}; expected the translation "
            "of each line on the same line"
        )
    return _collect((str(source), str(target)), enumerate(zip(*sides), 1))


def _lines(path: Path) -> list[str]:
    # splitlines would also split at other separators, which occur within the lines of a corpus.
    return [line.removesuffix("\r") for line in read_text(path).removesuffix("\n").split("\n")]


def _columns(path: Path) -> Sequence[str]:
    """Returns the columns of a file with both texts."""
    if table_name(path):
        return table_columns(path)
    if Path(path.name.lower().removesuffix(".gz")).suffix == ".txt":
        return COLUMNS
    raise UsageError(f"{path} has an unsupported extension; expected {FORMS}")


def _read_file(path: Path, languages: tuple[str, str]) -> Pairs:
    if table_name(path):
        rows = ((line, (values[0], values[1])) for line, values in read_table(path, languages))
        return _collect((str(path),), rows)
    return _collect((str(path),), _tab_separated(path, flip=languages != COLUMNS))


def _tab_separated(path: Path, flip: bool) -> Iterable[tuple[int, tuple[str, str]]]:
    for number, line in enumerate(_lines(path), 1):
        if not line:
            continue
        first, tab, rest = line.partition("\t")
        second = rest.partition("\t")[0]  # drops a third column, the name of the translator
        if not tab:
            raise DataError(
                f"{path}:{number}: the line has no tab; expected a text, a tab and its translation"
            )
        yield number, (second, first) if flip else (first, second)
