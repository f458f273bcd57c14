"""Search ranges of options, which ``tune`` explores. They are declared by ``option(..., search=...)``.

This module imports neither TensorFlow nor Optuna. A search range has one of these forms:

- ``(low, high)``: every number from ``low`` to ``high``.
- ``(low, high, "log")``: the same numbers, sampled on a logarithmic scale.
- ``[first, second, ...]``: these values. ``[]`` means that the option is not searched.
- :class:`ByOption`: one of these forms, selected by the value of another option.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Candidates = tuple[float, float] | tuple[float, float, str] | list
DIGITS = 4  # sampled floating-point numbers are rounded to this number of significant digits


@dataclass(frozen=True)
class ByOption:
    """A search range that depends on the value of another option.

    Attributes:
        option: name of the other option.
        ranges: search range for some values of the other option.
        others: search range for all other values.

    >>> ByOption("optimizer", {"sgd": (0.1, 10.0, "log")}, others=(1e-4, 1e-2, "log")).at("adam")
    (0.0001, 0.01, 'log')
    """

    option: str
    ranges: Mapping[Any, Candidates]
    others: Candidates

    def at(self, value: Any) -> Candidates:
        """Returns the search range for this value of the other option."""
        return self.ranges.get(value, self.others)


Search = Candidates | ByOption


@dataclass(frozen=True)
class Dimension:
    """One option that a study searches.

    Attributes:
        name: name of the option.
        kind: type of the option values.
        search: search range of the option.
    """

    name: str
    kind: type
    search: Search

    def at(self, options: Any) -> tuple[str, Candidates]:
        """Returns the name of the parameter in the study, and its search range.

        The parameter has the name of the option. If the option has several ranges, the name can also contain
        the value of the other option. Therefore one parameter always has one range.

        Args:
            options: option object that contains the value of the other option.
        """
        if not isinstance(self.search, ByOption):
            return self.name, self.search
        value = getattr(options, self.search.option)
        candidates = self.search.at(value)
        several = value in self.search.ranges and sum(map(bool, ranges(self.search))) > 1
        return f"{self.name} ({value})" if several else self.name, candidates


def ranges(search: Search) -> list[Candidates]:
    """Returns all ranges of a declaration."""
    return [*search.ranges.values(), search.others] if isinstance(search, ByOption) else [search]


def ends(candidates: Candidates) -> list:
    """Returns the smallest and the largest value of a range, or all values of a list."""
    return candidates if isinstance(candidates, list) else list(candidates[:2])


def widened(candidates: Candidates, value: Any) -> Candidates:
    """Returns the range, extended so that it contains ``value``.

    None and texts such as 'auto' do not change a range of numbers. Zero and negative numbers do not change a
    logarithmic range.

    >>> widened((0.1, 0.5), 0.6), widened([16, 32], 8), widened((1e-4, 1e-2, "log"), 0)
    ((0.1, 0.6), [16, 32, 8], (0.0001, 0.01, 'log'))
    """
    if isinstance(candidates, list):
        return candidates if value in candidates else [*candidates, value]
    logarithmic = len(candidates) == 3
    if not isinstance(value, int | float) or (logarithmic and value <= 0):
        return candidates
    low, high = min(candidates[0], value), max(candidates[1], value)
    return (low, high, "log") if logarithmic else (low, high)


def contains(candidates: Candidates, value: Any) -> bool:
    """Returns True if the range contains the value."""
    if isinstance(candidates, list):
        return value in candidates
    return isinstance(value, int | float) and candidates[0] <= value <= candidates[1]


def described(search: Search) -> str:
    """Returns a search range as text.

    >>> described((0.0001, 0.01, "log")), described([16, 32])
    ('0.0001 to 0.01 (logarithmic)', '16, 32')
    """
    if isinstance(search, ByOption):
        flag = f"--{search.option.replace('_', '-')}"
        parts = [f"{described(each)} with {flag} {value}" for value, each in search.ranges.items() if each]
        rest = f" with other values of {flag}" if parts else ""
        return "; ".join([*parts, *([described(search.others) + rest] if search.others else [])])
    if isinstance(search, list):
        return ", ".join(map(str, search))
    low, high, *scale = search
    return f"{low:g} to {high:g}" + " (logarithmic)" * bool(scale)


def sample(trial: Any, label: str, dimension: Dimension, candidates: Candidates) -> Any:
    """Returns the value of a parameter that an Optuna trial suggests.

    Args:
        trial: an ``optuna.Trial``.
        label: name of the parameter in the study.
        dimension: the option that is sampled.
        candidates: search range.
    """
    if isinstance(candidates, list):
        return trial.suggest_categorical(label, candidates)
    low, high, *scale = candidates
    if dimension.kind is int:
        return trial.suggest_int(label, int(low), int(high), log=bool(scale))
    value = trial.suggest_float(label, low, high, log=bool(scale))
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)


Ask = Callable[[str, Dimension, Candidates], Any]
"""A function that receives a parameter name, its dimension and its range, and returns a value."""
