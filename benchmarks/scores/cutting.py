"""Cuts data sets to a number of texts or pairs, in order to measure models on small data.

The cut data set has the training split and the test split only. An app takes the validation split from the
training split, because a user with N texts has no further texts for validation.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas

from benchmarks.scores.experiment import Source
from seqmodels.errors import DataError

LABEL = "label"


def sample(count: int, size: int, seed: int) -> list[int]:
    """Returns ``size`` of the numbers from 0 to ``count - 1`` in ascending order.

    The sample depends only on the arguments. A smaller sample with the same seed is a part of a larger one.

    Args:
        count: number of rows.
        size: number of rows of the sample, at most ``count``.
        seed: seed of the sample.

    Raises:
        ValueError: ``size`` is not from 1 to ``count``.

    >>> sample(10, 3, seed=0), sample(10, 4, seed=0)
    ([3, 7, 9], [3, 7, 8, 9])
    """
    if not 1 <= size <= count:
        raise ValueError(f"size must be from 1 to {count}; got {size}")

    def order(row: int) -> bytes:
        return hashlib.blake2b(f"{seed}:{row}".encode(), digest_size=8).digest()

    return sorted(sorted(range(count), key=order)[:size])


def cut(source: Source, folder: Path, size: int, seed: int, target: Path) -> list[str]:
    """Writes a data set with ``size`` training rows to the folder ``target``. Returns notes.

    Args:
        source: data set of the kind "labeled" or "pairs".
        folder: data folder.
        size: number of rows of the training split.
        seed: seed of the sample.
        target: folder of the cut data set. An existing folder is replaced.

    Raises:
        DataError: the training split has too few rows.
    """
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    notes = {"labeled": _cut_labeled, "pairs": _cut_pairs}[source.kind](source, folder, size, seed, partial)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return notes


def _files(source: Source, folder: Path, *splits: str) -> list[Path]:
    """Returns the files of the first of these splits that the data set has."""
    for split in splits:
        if found := [folder / name for name in source.files if Path(name).name.startswith(f"{split}.")]:
            return found
    raise DataError(f"{folder / source.name} has none of the splits {', '.join(splits)}")


def _chosen(count: int, size: int, seed: int, path: Path) -> list[int]:
    if size > count:
        raise DataError(f"{path} has {count:,} rows; a cut to {size:,} rows needs more rows")
    return sample(count, size, seed)


def _cut_labeled(source: Source, folder: Path, size: int, seed: int, target: Path) -> list[str]:
    (path,), (other,) = _files(source, folder, "train"), _files(source, folder, "test", "valid")
    train, test = (pandas.read_csv(each, dtype=str, keep_default_na=False) for each in (path, other))
    train = train.iloc[_chosen(len(train), size, seed, path)]
    known = test[test[LABEL].isin(set(train[LABEL]))]
    train.to_csv(target / "train.csv", index=False)
    known.to_csv(target / "test.csv", index=False)
    classes = train[LABEL].nunique()
    notes = [f"{size:,} of the training texts, {classes} classes"]
    if dropped := len(test) - len(known):
        notes.append(f"{dropped:,} test texts are left out, because their labels are not in the cut")
    return notes


def _cut_pairs(source: Source, folder: Path, size: int, seed: int, target: Path) -> list[str]:
    sides = {path: _lines(path) for path in _files(source, folder, "train")}
    counts = {len(lines) for lines in sides.values()}
    if len(counts) != 1:
        raise DataError(f"{folder / source.name} has training files with different numbers of lines")
    rows = _chosen(counts.pop(), size, seed, next(iter(sides)))
    for path, lines in sides.items():
        _write(target / path.name, [lines[row] for row in rows])
    for path in _files(source, folder, "test", "valid"):
        shutil.copyfile(path, target / f"test{path.suffix}")
    return [f"{size:,} of the training pairs"]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
