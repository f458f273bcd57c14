"""Readers of texts with their translations, for every source that ``--data`` accepts.

========================  ================================================================================
``embedded[:grammar]``    English and French sentences of the grammar in this project.
``DIR``                   ``train.en`` and ``train.de``, also ``valid`` and ``test``, with one text per line.
                          The same line of both files is a pair. The names of OPUS (``News.en-fr.en``) and of
                          OpenNMT (``src-train.txt``) are also known. Or tables as below.
``FILE``                  a table with one column per language, see `seqmodels.data.tables`. Or ``.txt`` with
                          both texts of a pair on one line, separated by a tab.
``tfds:NAME[/CONFIG]``    a translation data set of TensorFlow Datasets, prepared on this machine.
========================  ================================================================================

Each file may be compressed. Missing splits are cut from the training pairs, see `load_pairs`. Only ``tfds:``
sources import TensorFlow.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from apps.translation.pair_names import by_split, is_side, text_file
from apps.translation.pair_table import COLUMNS, Pairs, Reading, TableReader, collect
from seqmodels.data import tfds
from seqmodels.data.compression import plain_name
from seqmodels.data.files import list_folder, read_text
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

FORMS = (
    f"a table ({', '.join(FORMATS)}), a tab-separated .txt file, each also compressed, a folder, embedded or "
    "tfds:NAME"
)


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
    data: str,
    source: str = "",
    target: str = "",
    seed: int = 0,
    valid_fraction: float = 0.1,
    reading: Reading | None = None,
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
        reading: options of reading files. Default: those of `Reading`.

    Raises:
        UsageError: ``data`` does not exist or has an unknown form, or ``data`` lacks a language.
        DataError: the source is broken, a text of a pair is empty, or there is no train split.
    """
    notes: list[str] = []
    readers, languages_of = _readers(data, source, target, reading or Reading(), notes)
    read = read_splits(data, readers)
    sha256 = digest(
        (name, len(split), map(json.dumps, zip(split.sources, split.targets))) for name, split in read.items()
    )
    splits = _complete(read, seed, valid_fraction, notes)
    train, valid, test = (splits[name] for name in SPLIT_NAMES)
    seen = {*zip(train.sources, train.targets), *zip(valid.sources, valid.targets)}
    if repeated := sum(pair in seen for pair in zip(test.sources, test.targets)):
        notes.append(f"{repeated} of {len(test)} test pairs are also in train or valid")
    return ParallelData(train, valid, test, *languages_of(), data, notes, sha256)


def is_grammar(data: str) -> bool:
    """Returns True if ``data`` is the grammar in this project, whose alignments are known."""
    return data in ("embedded", "embedded:grammar")


def load_test_pairs(
    data: str,
    source: str,
    target: str,
    reading: Reading | None = None,
    notes: list[str] | None = None,
) -> Pairs:
    """Reads the split of ``data`` to score on: test, else valid. A single file is read whole.

    Notes on the pairs are appended to ``notes``.

    Raises:
        UsageError, DataError: as `load_pairs`; DataError also if both splits are missing.
    """
    readers, _ = _readers(data, source, target, reading or Reading(), [] if notes is None else notes)
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


Languages = Callable[[], tuple[str, str]]
"""Returns the languages, after the pairs were read."""


def _readers(
    data: str, source: str, target: str, reading: Reading, notes: list[str]
) -> tuple[Readers, Languages]:
    """Returns a reader for each split of ``data``, or for `WHOLE`, and the languages."""
    if is_grammar(data):
        from apps.translation import grammar

        languages = _languages(data, grammar.LANGUAGES, source, target, [])
        flip = languages != grammar.LANGUAGES
        return _numbered(data, grammar.splits(), reading, notes, flip), lambda: languages
    if data.startswith("embedded:"):
        raise UsageError(f"unknown embedded data {data!r}; expected embedded or embedded:grammar")
    if data.startswith("tfds:"):
        found, read = tfds.translations(data, SPLIT_NAMES)
        languages = _languages(data, found, source, target, notes)
        return _numbered(data, read(*languages), reading, notes), lambda: languages
    if not os.path.exists(data):
        raise UsageError(f"no such file or folder: {data!r}; expected {FORMS}")
    path = Path(data)
    tables = TableReader(source, target, reading, notes)
    if path.is_dir():
        return _folder_readers(path, tables)
    if table_name(path):
        return {WHOLE: partial(tables.read, path)}, partial(_found, tables)
    if Path(plain_name(path)).suffix != ".txt":
        raise UsageError(f"{path} has an unsupported extension; expected {FORMS}")
    _refuse_columns(path, reading)
    languages = _languages(data, COLUMNS, source, target, notes)
    return {WHOLE: partial(_tab_separated, path, languages != COLUMNS, reading, notes)}, lambda: languages


def _found(tables: TableReader) -> tuple[str, str]:
    if tables.languages is None:
        raise ValueError("the languages are known only after a table was read")
    return tables.languages


def _refuse_columns(path: Path, reading: Reading) -> None:
    for name in ("source_column", "target_column"):
        column = getattr(reading, name)
        if column is not None and name not in reading.stored:
            raise UsageError(f"--{name.replace('_', '-')} {column} applies to tables; {path} is not a table")


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


def _numbered(
    data: str,
    splits: Mapping[str, Iterable[tuple[str, str]]],
    reading: Reading,
    notes: list[str],
    flip: bool = False,
) -> Readers:
    """Returns readers of pairs with numbers instead of lines. If ``flip`` is True, swaps the sides."""

    def read(name: str, pairs: Iterable[tuple[str, str]]) -> Pairs:
        rows = (
            (number, second, first) if flip else (number, first, second)
            for number, (first, second) in enumerate(pairs, 1)
        )
        return collect((name,), rows, BadRows(name), reading, notes)

    return {split: partial(read, f"{data}[{split}]", pairs) for split, pairs in splits.items()}


def _folder_readers(folder: Path, tables: TableReader) -> tuple[Readers, Languages]:
    """Returns readers of a folder, and the languages.

    The folder has one file per split and language, or one table per split.
    """
    names = {name: split for split, each in SPLIT_NAMES.items() for name in each}
    found: dict[str, Path] = {}
    files = list_folder(folder)[1]
    for path in files:
        name = table_name(path)
        split = names.get(name[0]) if name else None
        if split is None:
            continue
        if split in found:
            raise DataError(f"{folder} has both {found[split].name} and {path.name}; keep one of them")
        found[split] = path
    if found:
        # The first table, train, determines the languages.
        readers: Readers = {
            split: partial(tables.read, found[split]) for split in SPLIT_NAMES if split in found
        }
        return readers, partial(_found, tables)
    texts, conflicts, left_out = by_split(
        file for path in files if not table_name(path) and (file := text_file(path))
    )
    if conflicts:
        raise DataError(f"{folder} has both {conflicts[0]}; keep one of them")
    tables.notes += [f"{names} are left out because {folder} has both" for names in left_out]
    if not texts:
        raise DataError(
            f"{folder} has no data files; expected train.en and train.de, also valid and test, or tables "
            f"({', '.join(FORMATS)})"
        )
    _refuse_columns(folder, tables.reading)
    return _line_readers(folder, texts, tables)


def _line_readers(
    folder: Path, texts: dict[str, dict[str, Path]], tables: TableReader
) -> tuple[Readers, Languages]:
    """Returns readers of files with one text per line."""
    sides = list(texts.get("train") or next(iter(texts.values())))
    if set(map(is_side, sides)) == {True}:
        sides.sort(key=lambda side: side in ("target", "tgt", "trg"))  # the source first
    languages = _languages(str(folder), sides, tables.source, tables.target, tables.notes)
    readers: Readers = {}
    for split in (*SPLIT_NAMES, WHOLE):
        files = [texts.get(split, {}).get(language) for language in languages]
        if files[0] and files[1]:
            readers[split] = partial(_read_lines, files[0], files[1], tables.reading, tables.notes)
        elif files[0] or files[1]:
            there = files[0] or files[1]
            lacking = languages[1 if files[0] else 0]
            raise DataError(f"{there} has no matching {lacking} file; add that file or remove this one")
    return readers, lambda: languages


def _read_lines(source: Path, target: Path, reading: Reading, notes: list[str]) -> Pairs:
    """Reads two files with one text per line."""
    sides = [_lines(path, reading, notes) for path in (source, target)]
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{source} has {len(sides[0])} lines and {target} has {len(sides[1])}; expected the translation "
            "of each line on the same line"
        )
    rows = ((number, *pair) for number, pair in enumerate(zip(*sides), 1))
    names = str(source), str(target)
    return collect(names, rows, BadRows(" and ".join(names)), reading, notes)


def _lines(path: Path, reading: Reading, notes: list[str]) -> list[str]:
    # splitlines would also split at other separators, which occur within the lines of a corpus.
    text = read_text(path, reading.encoding, prefer_utf8=reading.prefer_utf8, notes=notes)
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _tab_separated(path: Path, flip: bool, reading: Reading, notes: list[str]) -> Pairs:
    bad = BadRows(path)

    def rows() -> Iterable[tuple[int, str, str]]:
        for number, line in enumerate(_lines(path, reading, notes), 1):
            first, tab, rest = line.partition("\t")
            second = rest.partition("\t")[0]  # drops a third column, the name of the translator
            if line and not tab:
                reason = "the line has no tab; expected a text, a tab and its translation"
                bad.add(number, f"{path}:{number}", reason)
            elif line:
                yield (number, second, first) if flip else (number, first, second)

    return collect((str(path),), rows(), bad, reading, notes)
