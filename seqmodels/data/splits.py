"""Train, validation and test splits: their names, a rule for missing splits, and a hash of the data.

All readers of texts follow the same rule:

- A data source either has named splits, or all of its rows are one split named `WHOLE`.
- If a source has named splits but no test split, the validation split is used as the test split.
- If the test split or the validation split is still missing, a fraction of the training rows becomes the
  missing split.
- If all rows are the split `WHOLE`, a fraction of these rows becomes the test split, and another fraction
  becomes the validation split.

Each reader chooses the rows for a missing split. A reader of running text takes one contiguous section. A
reader of separate texts sorts the texts by a hash (`cut_order`), and takes texts from one end of this order.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from seqmodels.errors import DataError, UsageError

SPLIT_NAMES = {"train": ("train",), "valid": ("valid", "validation", "val", "dev"), "test": ("test",)}
WHOLE = "whole"  # name of the only split of a source that has no named splits
TEST_FRACTION = 0.1

Split = TypeVar("Split")


def read_splits(data: str, readers: Mapping[str, Callable[[], Split]]) -> dict[str, Split]:
    """Reads every split of a data source.

    Args:
        data: name of the source, for the error message.
        readers: dictionary from the name of a split to a function that reads and returns the split.

    Returns:
        The splits by name.

    Raises:
        DataError: the source has named splits but no train split.

    >>> read_splits("reviews.csv", {"whole": lambda: ["a", "b"]})
    {'whole': ['a', 'b']}
    """
    if not readers.keys() & {WHOLE, "train"}:
        raise DataError(
            f"{data} has no train split, only {', '.join(readers)}; add a train split or pass a single file"
        )
    return {name: read() for name, read in readers.items()}


def read_split(data: str, readers: Mapping[str, Callable[[], Split]], split: str = "test") -> Split:
    """Reads one split of a data source, or the whole source if the source has no named splits.

    If the test split is missing, the validation split is read instead.

    Args:
        data: name of the source, for the error message.
        readers: dictionary from the name of a split to a function that reads and returns the split.
        split: name of the split to read.

    Raises:
        DataError: the source does not have the split.

    >>> read_split("reviews", {"train": lambda: ["a"], "valid": lambda: ["b"]})
    ['b']
    """
    for name in (WHOLE, split, "valid" if split == "test" else split):
        if name in readers:
            return readers[name]()
    raise DataError(
        f"{data} has no {split} split, only {', '.join(readers)}; add the split or pass a single file"
    )


def missing_splits(
    read: Mapping[str, Split], valid_fraction: float, notes: list[str]
) -> tuple[Split, dict[str, Split], dict[str, float]]:
    """Determines which of the splits 'test' and 'valid' are missing, and the fraction of rows for each.

    Args:
        read: the splits of the source by name. The dictionary contains either only `WHOLE`, or 'train' and
            possibly 'valid' and 'test'.
        valid_fraction: number in (0, 0.5]. If the validation split is missing, this fraction of 'train'
            or `WHOLE` becomes the validation split.
        notes: list to which a note is appended if the validation split is used as the test split.

    Returns:
        A tuple of three items. The first item is the split 'train' or `WHOLE`. The rows of the missing splits
        must be taken from this split. The second item is a dictionary that contains the splits 'test' and
        'valid' if they exist. The third item is a dictionary from the name of each missing split to its
        fraction of the rows. In this dictionary, 'test' comes before 'valid'.

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
        notes.append("the data has no test split, so the validation split is used as the test split")
    fractions = {"test": TEST_FRACTION, "valid": valid_fraction}
    return whole, splits, {name: share for name, share in fractions.items() if name not in splits}


def cut_order(text: str, seed: int) -> bytes:
    """Returns a hash of a text. To split texts at random, sort them by their hashes.

    The hash depends only on ``text`` and ``seed``. It is therefore the same on every machine and for every
    order of the rows.

    >>> cut_order("a film", 0) == cut_order("a film", 0) != cut_order("a film", 1)
    True
    """
    return hashlib.sha256(f"{seed}\n{text}".encode()).digest()


def digest(splits: Iterable[tuple[str, int, Iterable[str]]]) -> str:
    """Computes the SHA-256 hash of the data as a hexadecimal string.

    Pass only the splits that the data source has. Do not pass splits that were taken from other splits,
    because their rows may depend on a random seed.

    Args:
        splits: one tuple ``(name, number of rows, rows as texts)`` per split.

    >>> digest([("train", 1, ["a"])]) == digest([("train", 1, ["b"])])
    False
    """
    found = hashlib.sha256()
    for name, count, rows in splits:
        found.update(f"{name} {count}\n".encode())
        for row in rows:
            found.update(row.encode())
    return found.hexdigest()
