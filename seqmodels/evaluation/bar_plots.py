"""Bar plots that compare groups, such as texts of different lengths."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from seqmodels.evaluation.style import (
    BLUE,
    CYCLE,
    DOTS_PER_INCH,
    GREY,
    save,
    tidy,
)


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    title: str = "",
    label: str = "",
    chance: float | None = None,
) -> Path:
    """Plots groups of bars and writes the plot to `path`. Each group has one bar per series.

    Args:
        groups: names of the groups, which label the horizontal axis.
        series: dictionary from the name of a series to its values, one per group. The legend shows the names.
        path: PNG file to write.
        title: title of the plot.
        label: label of the vertical axis.
        chance: score of random guessing (chance level), shown as a horizontal line. Default: no line.

    Raises:
        ValueError: a series does not have one value per group.

    >>> bars(["short", "long"], {"gru": [0.9, 0.7], "lstm": [0.9, 0.8]}, folder / "bars.png").name
    'bars.png'
    """
    return save(draw_bars(groups, series, title, label, chance), path)


def score_by_group(
    groups: Sequence[Mapping[str, float | str]], score: str, label: str, path: str | os.PathLike[str]
) -> Path:
    """Plots the score and the number of examples of each group, and writes the plot to `path`.

    The upper panel shows the scores. The lower panel shows the numbers of examples.

    Args:
        groups: one dictionary per group. It contains the name of the group (key `name`), the number of
            examples (key `count`) and the score.
        score: key of the score in each dictionary, such as `f1`.
        label: label of the horizontal axis, which shows the names of the groups.
        path: PNG file to write.

    >>> groups = [{"name": "1-10", "count": 40, "f1": 0.9}, {"name": "11-20", "count": 12, "f1": 0.8}]
    >>> score_by_group(groups, "f1", "words", folder / "groups.png").name
    'groups.png'
    """
    return save(draw_score_by_group(groups, score, label), path)


def draw_bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    title: str,
    label: str,
    chance: float | None,
) -> Figure:
    for name, values in series.items():
        if len(values) != len(groups):
            raise ValueError(
                f"series {name!r} must have {len(groups)} values, one per group; got {len(values)}"
            )
    figure = Figure(figsize=(7, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        places = np.arange(len(groups)) - 0.4 + (index + 0.5) * width
        axes.bar(places, values, width, color=CYCLE[index % len(CYCLE)], edgecolor="white", label=name)
    if chance is not None:
        axes.axhline(chance, color="black", linestyle="--", label="chance level")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(title=title, ylabel=label)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return figure


def draw_score_by_group(groups: Sequence[Mapping[str, float | str]], score: str, label: str) -> Figure:
    figure = Figure(figsize=(6, 5), dpi=DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    names = [str(group["name"]) for group in groups]
    above.bar(names, [float(group[score]) for group in groups], color=BLUE)
    above.set_ylabel(score.upper() if len(score) <= 4 else score)
    below.bar(names, [float(group["count"]) for group in groups], color=GREY)
    below.set(xlabel=label, ylabel="number of examples")
    tidy(above)
    tidy(below)
    return figure
