"""Train, validation and test: names of splits, what is cut where one is missing, a digest of the data.

Every reader of texts follows the same rule. A source may be in one piece (`WHOLE`) or have named splits.
Without a test split, valid is the test. Without valid, or when it became the test, a share of the training
rows is validation. How a share is cut is the reader's own: running text in one piece, rows by their hash.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from seqmodels.errors import DataError, UsageError

SPLIT_NAMES = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
WHOLE = "whole"  # a source that is not split
TEST_FRACTION = 0.1

Split = TypeVar("Split")


def read_splits(data: str, readers: Mapping[str, Callable[[], Split]]) -> dict[str, Split]:
    """Reads every split of the source ``data``.

    Raises:
        DataError: the source has splits, and train is not among them.

    >>> read_splits("reviews.csv", {"whole": lambda: ["a", "b"]})
    {'whole': ['a', 'b']}
    """
    if not readers.keys() & {WHOLE, "train"}:
        raise DataError(f"{data} has no train split, only {', '.join(readers)}; add train or name one file")
    return {name: read() for name, read in readers.items()}


def read_split(data: str, readers: Mapping[str, Callable[[], Split]], split: str = "test") -> Split:
    """Reads one split of the source ``data``, or a source in one piece; valid stands for a missing test.

    Raises:
        DataError: the source has no such split.

    >>> read_split("reviews", {"train": lambda: ["a"], "valid": lambda: ["b"]})
    ['b']
    """
    for name in (WHOLE, split, "valid" if split == "test" else split):
        if name in readers:
            return readers[name]()
    raise DataError(f"{data} has no {split} split, only {', '.join(readers)}; add it or name one file")


def missing_splits(
    read: Mapping[str, Split], valid_fraction: float, notes: list[str]
) -> tuple[Split, dict[str, Split], dict[str, float]]:
    """Says what must be cut so that there are train, valid and test.

    Args:
        read: the splits that were read, or `WHOLE`.
        valid_fraction: share of the training rows that becomes validation, in (0, 0.5].
        notes: gets a line where valid becomes the test.

    Returns:
        The rows to cut from, the splits that are there, and the share of each split that is missing, test
        first.

    Raises:
        UsageError: ``valid_fraction`` is out of range.

    >>> missing_splits({"train": [1, 2], "valid": [3]}, 0.1, [])
    ([1, 2], {'test': [3]}, {'valid': 0.1})
    """
    if not 0 < valid_fraction <= 0.5:
        raise UsageError(f"valid_fraction is {valid_fraction}; expected more than 0 and at most 0.5")
    splits = dict(read)
    whole = splits.pop(WHOLE if WHOLE in splits else "train")
    if "valid" in splits and "test" not in splits:
        splits["test"] = splits.pop("valid")
        notes.append("no test split: valid is the test")
    fractions = {"test": TEST_FRACTION, "valid": valid_fraction}
    return whole, splits, {name: share for name, share in fractions.items() if name not in splits}


def cut_order(text: str, seed: int) -> bytes:
    """Sort key of a text for a cut: the same on every machine, and for every order of the rows.

    >>> cut_order("a film", 0) == cut_order("a film", 0) != cut_order("a film", 1)
    True
    """
    return hashlib.sha256(f"{seed}\n{text}".encode()).digest()


def digest(splits: Iterable[tuple[str, int, Iterable[str]]]) -> str:
    """SHA-256 of what was read, before any cut that depends on a seed: hexadecimal.

    Args:
        splits: for each split its name, its number of rows, and its rows as text.

    >>> digest([("train", 1, ["a"])]) == digest([("train", 1, ["b"])])
    False
    """
    found = hashlib.sha256()
    for name, count, rows in splits:
        found.update(f"{name} {count}\n".encode())
        for row in rows:
            found.update(row.encode())
    return found.hexdigest()
