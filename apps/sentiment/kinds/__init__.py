"""Kinds of labels: one label per text, several labels per text, or a number per text.

Each kind is one class with everything that depends on the kind: targets, objective, predictions, scores,
baselines, and the form in which results are shown. See :class:`apps.sentiment.kinds.base.Kind`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apps.sentiment.kinds.base import Kind
from apps.sentiment.kinds.multi_label import MultiLabel
from apps.sentiment.kinds.regression import Regression
from apps.sentiment.kinds.single_label import SingleLabel

KINDS: dict[str, type[Kind]] = {kind.name: kind for kind in (SingleLabel, MultiLabel, Regression)}


def kind_of(output: str, classes: Sequence[str], labels: Sequence[str]) -> Kind:
    """Returns the kind for the training labels.

    Args:
        output: value of ``--output``, a key of ``KINDS``.
        classes: names of the labels; empty for numbers.
        labels: labels of the training texts.
    """
    return KINDS[output].fitted(classes, labels)


def stored_kind(classes: Sequence[str], facts: Mapping[str, Any]) -> Kind:
    """Returns the kind that ``Kind.facts`` described. Raises KeyError if the kind is unknown."""
    return KINDS[facts["output"]](classes, **{key: facts[key] for key in facts if key != "output"})
