"""Summarizes the records of one experiment: means over the seeds, intervals, and conclusions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.scores.experiment import SCORES, Experiment
from benchmarks.scores.records import Record
from benchmarks.scores.running import SAME

MARK = " (of an earlier version)"
"""Mark of a score whose record belongs to other code or other options than those of today."""

OPTIMUM = "optimum"
"""Name of the true distribution of simulated data. It is the best possible forecast, not a baseline."""


@dataclass(frozen=True)
class Summary:
    """The records of one experiment.

    Attributes:
        experiment: the experiment.
        records: its records in the order of their seeds, at least one.
        current: if True, all records belong to the code and the options of today.
    """

    experiment: Experiment
    records: tuple[Record, ...]
    current: bool

    @property
    def mark(self) -> str:
        return "" if self.current else MARK

    @property
    def key(self) -> str:
        """Key of the score by which the model and the baselines are compared."""
        return self.experiment.scores[0]

    def values(self, key: str) -> list[float]:
        """Returns the score of the model for each seed."""
        return [record.scores[key] for record in self.records if key in record.scores]

    def baselines(self, key: str) -> dict[str, list[float]]:
        """Returns the score of each baseline for each seed: ``{name: values}``."""
        return _collected(((record.baselines) for record in self.records), key)

    def variants(self, key: str) -> dict[str, list[float]]:
        """Returns the score of each variant of the model for each seed: ``{name: values}``."""
        return _collected(((record.variants) for record in self.records), key)

    def best_baseline(self) -> tuple[str, list[float]] | None:
        """Returns the name and the scores of the baseline with the best mean, or None without baselines."""
        found = {name: values for name, values in self.baselines(self.key).items() if name != OPTIMUM}
        sign = 1 if SCORES[self.key].higher else -1
        return max(found.items(), key=lambda item: sign * mean(item[1])) if found else None

    def interval(self, key: str) -> list[float] | None:
        """Returns the mean of the lower limits and the mean of the upper limits of the 95 % intervals."""
        found = [record.intervals[key] for record in self.records if key in record.intervals]
        return [mean([edges[side] for edges in found]) for side in (0, 1)] if found else None

    def conclusion(self) -> str:
        """Returns whether the model is better than the best baseline.

        The test of ``evaluate`` decides. Without such a test, the model is better or worse if the score of
        the best baseline is outside the 95 % interval of the model.
        """
        found = Counter(filter(None, map(self._conclusion, self.records)))
        if not found:
            return "not tested"
        total = found.total()
        if len(found) == 1:
            (only,) = found
            return only if total == 1 else f"{only} with each of {total} seeds"
        return ", ".join(f"{name} with {count} of {total} seeds" for name, count in found.most_common())

    def _conclusion(self, record: Record) -> str | None:
        if record.verdict is not None:
            return record.verdict["conclusion"]
        rows = {name: row for name, row in record.baselines.items() if name != OPTIMUM}
        others = [row[self.key] for row in rows.values() if self.key in row]
        if not others or self.key not in record.intervals:
            return None
        higher = SCORES[self.key].higher
        best = max(others) if higher else min(others)
        low, high = record.intervals[self.key]
        if low <= best <= high:
            return SAME
        return "better" if (best < low) == higher else "worse"


def summarize(
    experiments: Iterable[Experiment],
    records: dict[str, list[Record]],
    is_current: Callable[[Record, Experiment], bool] = Record.is_current,
) -> list[Summary]:
    """Returns the summaries of the experiments that have records."""
    return [
        Summary(each, tuple(found), all(is_current(record, each) for record in found))
        for each in experiments
        if (found := records.get(each.name))
    ]


def _collected(rows: Iterable[dict[str, dict[str, float]]], key: str) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, scores in row.items():
            if key in scores:
                found.setdefault(name, []).append(scores[key])
    return found


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float | None:
    """Returns the standard error of the mean. Returns None if there is only one value.

    >>> standard_error([1.0, 2.0, 3.0])
    0.5773502691896258
    """
    if len(values) < 2:
        return None
    middle = mean(values)
    variance = math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def shown(key: str, values: Sequence[float]) -> str:
    """Returns the mean and the range of a score as a table shows them.

    >>> shown("accuracy", [0.9, 0.92])
    '91.00 (90.00 to 92.00)'
    >>> shown("perplexity", [88.69])
    '88.69'
    """
    if not values:
        return ""
    score = SCORES[key]
    edges = score.shown(min(values)), score.shown(max(values))
    middle = score.shown(mean(values))
    return middle if edges[0] == edges[1] else f"{middle} ({edges[0]} to {edges[1]})"
