"""Reads labels: one label per text, several labels per text, or a number per text.

A label is a text in the column of labels. Several labels are separated by ``|``, as in ``funny|sad``. A
cell with a list, such as ``["funny", "sad"]``, is converted to this form. The label ``|`` stands for a text
without labels.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from apps.sentiment.options import MULTI_LABEL, REGRESSION, SINGLE_LABEL
from seqmodels.data.tables import cell_text
from seqmodels.errors import excerpt

SEPARATOR = "|"
MANY_NUMBERS = 20  # more different numbers than this number are probably measurements
BINS = 10  # number of strata of numbers


def label_text(cell: Any, several: bool = True) -> str:
    """Converts a cell to a label. A list of labels is joined by ``|``.

    Args:
        cell: a text, a number, a list of labels, or a list in the syntax of JSON or Python.
        several: if True, a text with ``|`` contains several labels. If False, it is one label.

    Raises:
        ValueError: the cell contains a nested value other than a list of labels, or a label contains ``|``.

    >>> [label_text(cell) for cell in ("good", 3.0, ["a", "b"], '["a", "b"]', "['a']", [], " a |b")]
    ['good', '3', 'a|b', 'a|b', 'a', '|', 'a|b']
    """
    if isinstance(cell, list | tuple | np.ndarray):
        return _joined([cell_text(each) for each in cell])
    text = cell if type(cell) is str else cell_text(cell)
    if text.lstrip().startswith("[") and (found := _literal(text)) is not None:
        return _joined(found)
    return _joined(parts(text)) if several and SEPARATOR in text else text


def parts(label: str) -> list[str]:
    """Returns the different labels in a label, in their order.

    >>> parts("funny|sad|funny"), parts("|")
    (['funny', 'sad'], [])
    """
    return list(dict.fromkeys(part for each in label.split(SEPARATOR) if (part := each.strip())))


def number(label: str) -> float:
    """Converts a label to a number. Raises ValueError if the label is not a finite number."""
    value = float(label)
    if not math.isfinite(value):
        raise ValueError(f"{label} is not finite")
    return value


def problem(label: str, output: str, known: Collection[str]) -> str:
    """Returns why a label is invalid, or an empty text.

    Args:
        label: the label.
        output: one of ``options.OUTPUTS``.
        known: the labels of the training split.

    >>> problem("so", "single-label", {"bad", "good"}), problem("x", "regression", ())
    ("the label 'so' is unknown", "the label 'x' is not a finite number")
    """
    if output == REGRESSION:
        try:
            number(label)
        except ValueError:
            return f"the label {excerpt(label)} is not a finite number"
        return ""
    for part in parts(label) if output == MULTI_LABEL else [label]:
        if part not in known:
            return f"the label {excerpt(part)} is unknown"
    return ""


def expected(output: str, classes: Sequence[str]) -> str:
    """Returns a description of the valid labels, for an error message."""
    if output == REGRESSION:
        return "numbers, such as 3.5"
    joined = f" or several of them, joined by {SEPARATOR}" * (output == MULTI_LABEL)
    return f"a label of the training split{joined}: {', '.join(classes)}"


def recognise(labels: Sequence[str]) -> tuple[str, list[str]]:
    """Finds out the kind of the training labels.

    Returns:
        One of ``options.OUTPUTS``, and notes for the user.

    >>> recognise(["good", "bad"])[0], recognise(["a|b", "a", "b"])[0]
    ('single-label', 'multi-label')
    """
    joined = sum(SEPARATOR in label for label in labels)
    if joined:
        note = f"{joined:,} of {len(labels):,} training labels are lists or contain {SEPARATOR!r}, so a text "
        return MULTI_LABEL, [
            f"{note}can have several labels; use --output single-label to read each of them as one label"
        ]
    different = Counter(labels)
    like_numbers = sum(re.fullmatch(r"[-+]?\d+([.,]\d+)?", label) is not None for label in different)
    try:
        numbers = [number(label) for label in different]
    except ValueError:
        if like_numbers <= max(MANY_NUMBERS, len(different) / 2):
            return SINGLE_LABEL, []
        other = next(label for label in different if not _is_number(label))
        return SINGLE_LABEL, [
            f"{like_numbers:,} of {len(different):,} different labels are numbers, but {excerpt(other)} is "
            "not a number such as 0.5, so the labels are read as classes; correct them for "
            "--output regression"
        ]
    if len(numbers) <= MANY_NUMBERS:
        return SINGLE_LABEL, []
    if all(each.is_integer() for each in numbers):
        note = f"the labels are {len(numbers):,} different whole numbers, which are read as classes; "
        return SINGLE_LABEL, [f"{note}use --output regression to predict a number"]
    note = f"the labels are {len(numbers):,} different numbers, so the model predicts a number; "
    return REGRESSION, [f"{note}use --output single-label to read them as classes"]


def strata(labels: Sequence[str], output: str) -> list[str]:
    """Assigns each text to a stratum, so that all splits and folds get similar labels.

    - one label: the stratum is the label
    - several labels: the stratum is the rarest label of the text
    - numbers: the strata are tenths of the sorted numbers
    """
    if output == MULTI_LABEL:
        found = [parts(label) for label in labels]
        counts = Counter(part for each in found for part in each)
        return [min(each, key=lambda part: (counts[part], part), default="") for each in found]
    if output == REGRESSION:
        try:
            values = np.array([number(label) for label in labels])
        except ValueError:  # the error is reported when the labels are converted to targets
            return ["" for _ in labels]
        edges = np.quantile(values, np.arange(1, BINS) / BINS)
        return [str(place) for place in np.searchsorted(edges, values, side="right")]
    return list(labels)


def sorted_labels(labels: set[str]) -> list[str]:
    """Returns the labels in alphabetical order. If all are whole numbers, they are sorted by value."""
    if all(re.fullmatch("-?[0-9]+", label) for label in labels):
        return sorted(labels, key=lambda label: (int(label), label))
    return sorted(labels)


def _is_number(label: str) -> bool:
    try:
        number(label)
    except ValueError:
        return False
    return True


def _literal(text: str) -> list[str] | None:
    """Returns the texts and numbers in a list in the syntax of JSON or Python. Else, returns None."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and all(isinstance(each, str | int | float) for each in found):
            return [cell_text(each) for each in found]
    return None


def _joined(labels: Sequence[str]) -> str:
    if any(SEPARATOR in label for label in labels):
        raise ValueError(f"a label in the list contains {SEPARATOR!r}, which separates labels; replace it")
    return SEPARATOR.join(dict.fromkeys(each for label in labels if (each := label.strip()))) or SEPARATOR
