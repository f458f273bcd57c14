"""Compares a model with the best baseline, and writes the result as one sentence.

All apps use the same wording. The verb ``evaluate`` prints the sentence as its last line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqmodels.evaluation import PairedTest


@dataclass(frozen=True)
class Measure:
    """The score by which a model is compared with its baselines.

    Attributes:
        name: name of the score, such as ``accuracy``.
        higher_is_better: If True, the best score is the highest score.
        percent: If True, the score is a fraction, which is printed in percent.
        ratio: If True, two scores are compared by their ratio. If False, they are compared by their
            difference.
        digits: number of digits in the sentence.
        form: ``f`` if ``digits`` counts decimal places, ``g`` if it counts significant digits.
    """

    name: str
    higher_is_better: bool
    percent: bool = False
    ratio: bool = False
    digits: int = 4
    form: str = "f"

    def best(self, scores: Mapping[str, float]) -> str:
        """Returns the name with the best score."""
        return (max if self.higher_is_better else min)(scores, key=scores.__getitem__)

    def number(self, value: float) -> str:
        # z formats a number that is rounded to 0 without a sign.
        return f"{100 * value if self.percent else value:z.{self.digits}{self.form}}"


def against_best(
    measure: Measure,
    own: np.ndarray,
    others: Mapping[str, np.ndarray],
    score: Callable[[np.ndarray], float],
    test: Callable[[np.ndarray, np.ndarray], PairedTest],
) -> dict[str, Any]:
    """Compares a model with the best of its baselines. Returns the result of :func:`verdict`.

    Args:
        measure: the score that is compared.
        own: contribution of each of n examples to the score of the model, ``(n,)`` or ``(n, k)``.
        others: contributions to the score of each baseline, on the same examples.
        score: function that receives the contributions and returns the score.
        test: paired test of the contributions of two systems.
    """
    scores = {name: score(units) for name, units in others.items()}
    best = measure.best(scores)
    return verdict(measure, score(own), best, scores[best], test(own, others[best]))


def verdict(measure: Measure, own: float, baseline: str, other: float, test: PairedTest) -> dict[str, Any]:
    """Returns the result of a comparison with the best baseline, as a JSON-ready dictionary.

    Args:
        measure: the score that is compared.
        own: score of the model.
        baseline: name of the best baseline.
        other: score of the best baseline.
        test: paired test of the model (first system) and the baseline (second system).

    Returns:
        - ``conclusion``: ``better``, ``worse`` or ``not significantly different``.
        - ``score``: name of the score. ``model`` and ``baseline_score`` are its values.
        - ``baseline``: name of the baseline.
        - ``difference`` or ``ratio``: score of the model minus score of the baseline, or their ratio.
        - ``interval``: 95 % interval of the difference or ratio, or None if there are too few examples.
        - ``p``: p-value of the test. ``test`` is the name of the test.
        - ``sentence``: the result in words.
    """
    gain = test.effect - test.null
    better = gain > 0 if measure.higher_is_better else gain < 0
    conclusion = ("better" if better else "worse") if test.significant else "not significantly different"
    numbers = _numbers(measure, own, other, test)
    if test.significant:
        sentence = f"The model is significantly {conclusion} than the best baseline, {baseline} ({numbers})."
    else:
        sentence = (
            f"The model is not significantly different from the best baseline, {baseline} ({numbers}). "
            "The difference may be due to chance."
        )
    return {
        "conclusion": conclusion,
        "score": measure.name,
        "model": own,
        "baseline": baseline,
        "baseline_score": other,
        "ratio" if measure.ratio else "difference": test.effect,
        "interval": test.interval,
        "p": test.p,
        "test": test.test,
        "sentence": sentence,
    }


def _numbers(measure: Measure, own: float, other: float, test: PairedTest) -> str:
    unit = " %" if measure.percent else ""
    parts = [f"{measure.name} {measure.number(own)}{unit} against {measure.number(other)}{unit}"]
    if measure.ratio:
        number: Callable[[float], str] = "{:.3f}".format
        parts.append(f"ratio {number(test.effect)}")
    else:
        number = measure.number
        parts.append(f"difference {number(test.effect)}" + " points" * measure.percent)
    if test.interval is not None:
        low, high = test.interval
        parts.append(f"95 % interval {number(low)} to {number(high)}")
    p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}" if test.p < 0.1 else f"p = {test.p:.2f}"
    return ", ".join([*parts, f"{p}, {test.test}"])


def with_interval(number: str, interval: list[float] | None, form: str) -> str:
    """Returns the text of a table cell: a score, and its 95 % interval on a second line.

    Args:
        number: the score as text.
        interval: the two limits of the interval. If None, the cell contains only the score.
        form: format specification of the limits, such as ``.1%``.

    >>> with_interval("90.00%", [0.826, 0.945], ".1%")
    '90.00%\\n82.6% to 94.5%'
    """
    if interval is None:
        return number
    return f"{number}\n{interval[0]:{form}} to {interval[1]:{form}}"
