"""Train, validation and test splits: their names, the rule for missing splits, and a digest of the data.

Every reader of texts follows the same rule. A source may be in one piece (`WHOLE`) or have named splits.
Without a test split, the validation split is used as the test split. If the validation split is missing or
used as the test split, a fraction of the training rows becomes the validation split. Each reader splits off
the fraction in its own way: running text in one piece, rows by their hash.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from seqmodels.errors import DataError, UsageError

SPLIT_NAMES = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
WHOLE = "whole"  # a source without splits
TEST_FRACTION = 0.1

Split = TypeVar("Split")


def read_splits(data: str, readers: Mapping[str, Callable[[], Split]]) -> dict[str, Split]:
    """Reads every split of the source ``data``.

    Raises:
        DataError: the source has splits but no train split.

    >>> read_splits("reviews.csv", {"whole": lambda: ["a", "b"]})
    {'whole': ['a', 'b']}
    """
    if not readers.keys() & {WHOLE, "train"}:
        raise DataError(
            f"{data} has no train split, only {', '.join(readers)}; add train or pass a single file"
        )
    return {name: read() for name, read in readers.items()}


def read_split(data: str, readers: Mapping[str, Callable[[], Split]], split: str = "test") -> Split:
    """Reads one split of the source ``data``, or the whole source if it has no splits.

    If the test split is missing, the validation split is read instead.

    Raises:
        DataError: the source does not have the split.

    >>> read_split("reviews", {"train": lambda: ["a"], "valid": lambda: ["b"]})
    ['b']
    """
    for name in (WHOLE, split, "valid" if split == "test" else split):
        if name in readers:
            return readers[name]()
    raise DataError(f"{data} has no {split} split, only {', '.join(readers)}; add it or pass a single file")


def missing_splits(
    read: Mapping[str, Split], valid_fraction: float, notes: list[str]
) -> tuple[Split, dict[str, Split], dict[str, float]]:
    """Determines which of the splits train, valid and test are missing, and the fraction of rows for each.

    Args:
        read: splits that were read, or `WHOLE`.
        valid_fraction: fraction of the training rows for the validation split, in (0, 0.5].
        notes: list to which a note is appended if the validation split is used as the test split.

    Returns:
        The rows to split, the existing splits, and the fraction of each missing split, test first.

    Raises:
        UsageError: ``valid_fraction`` is not in (0, 0.5].

    >>> missing_splits({"train": [1, 2], "valid": [3]}, 0.1, [])
    ([1, 2], {'test': [3]}, {'valid': 0.1})
    """
    if not 0 < valid_fraction <= 0.5:
        raise UsageError(f"valid_fraction must be in (0, 0.5]; got {valid_fraction}")
    splits = dict(read)
    whole = splits.pop(WHOLE if WHOLE in splits else "train")
    if "valid" in splits and "test" not in splits:
        splits["test"] = splits.pop("valid")
        notes.append("there is no test split, so the validation split is used as the test split")
    fractions = {"test": TEST_FRACTION, "valid": valid_fraction}
    return whole, splits, {name: share for name, share in fractions.items() if name not in splits}


def cut_order(text: str, seed: int) -> bytes:
    """Returns a sort key for splitting texts; it is equal on every machine and for every order of the rows.

    >>> cut_order("a film", 0) == cut_order("a film", 0) != cut_order("a film", 1)
    True
    """
    return hashlib.sha256(f"{seed}\n{text}".encode()).digest()


def digest(splits: Iterable[tuple[str, int, Iterable[str]]]) -> str:
    """Computes the SHA-256 of the data before any split that depends on a seed, in hexadecimal.

    Args:
        splits: name, number of rows, and rows as text, per split.

    >>> digest([("train", 1, ["a"])]) == digest([("train", 1, ["b"])])
    False
    """
    found = hashlib.sha256()
    for name, count, rows in splits:
        found.update(f"{name} {count}\n".encode())
        for row in rows:
            found.update(row.encode())
    return found.hexdigest()
