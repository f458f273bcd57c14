"""Plots of the confusion matrix and of the reliability diagram of a classifier."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from seqmodels.evaluation.style import (
    BLUE,
    DOTS_PER_INCH,
    GREY,
    LIGHT_BLUE,
    VERMILION,
    save,
    shorten,
    tidy,
)

LARGEST_ANNOTATED = 25  # with more classes than this number, the cells are too small for text
# Largest number of class names that fit on an axis. An axis for 61 to 120 classes shows every second name. An
# axis for 121 to 180 classes shows every third name, and so on.
LARGEST_LABELED = 60


def confusion_matrix(confusion: ArrayLike, classes: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Plots a confusion matrix as a coloured table, and writes the plot to `path`.

    The colour of a cell shows the count as a percentage of all examples of the true class. The colour depends
    on the square root of the percentage, so that rare confusions are visible. For at most 25 classes, the
    cells also contain the counts and percentages.

    Args:
        confusion: counts `(classes, classes)`, with a row per true class and a column per predicted class.
        classes: names of the classes.
        path: PNG file to write.

    Raises:
        ValueError: `confusion` does not have one row and one column per class name.

    >>> confusion_matrix([[8, 2], [1, 9]], ["negative", "positive"], folder / "confusion.png").name
    'confusion.png'
    """
    return save(draw_confusion_matrix(confusion, classes), path)


def reliability_diagram(calibration: Sequence[Mapping[str, float]], path: str | os.PathLike[str]) -> Path:
    """Plots the accuracy against the confidence (reliability diagram), and writes the plot to `path`.

    The confidence is the predicted probability of the predicted class. A lower panel shows the histogram of
    the confidence.

    Args:
        calibration: one dictionary per bin (interval of the confidence). Its keys are `lower` and `upper`
            (limits of the bin), `confidence` and `accuracy` (means over the examples in the bin), and `count`
            (number of examples). All bins must have the same width.
        path: PNG file to write.

    >>> bins = [{"lower": 0.0, "upper": 0.5, "confidence": 0.25, "accuracy": 0.2, "count": 4}]
    >>> bins.append({"lower": 0.5, "upper": 1.0, "confidence": 0.75, "accuracy": 0.8, "count": 9})
    >>> reliability_diagram(bins, folder / "reliability.png").name
    'reliability.png'
    """
    return save(draw_reliability_diagram(calibration), path)


def draw_confusion_matrix(confusion: ArrayLike, classes: Sequence[str]) -> Figure:
    counts, size = np.asarray(confusion), len(classes)
    if counts.shape != (size, size):
        raise ValueError(
            f"confusion must have the shape ({size}, {size}) for {size} class names; got {counts.shape}"
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (true, predicted)
    side = float(np.clip(1.5 + 0.5 * size, 3, 11))  # inches
    figure = Figure(figsize=(side + 2, side + 1.8), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    if size > LARGEST_ANNOTATED:
        figure.colorbar(image, label="fraction of the true class", format=PercentFormatter(1), shrink=0.8)
    else:
        for (row, column), count in np.ndenumerate(counts):
            share = shares[row, column]
            axes.text(
                column,
                row,
                f"{count:,}\n{share:.1%}" if count else "0",
                ha="center",
                va="center",
                fontsize=10 if size <= 5 else 7,
                color="white" if share > 0.3 else "black" if count else GREY,
            )
    ticks = range(0, size, -(-size // LARGEST_LABELED))
    names = [shorten(classes[tick]) for tick in ticks]
    # A dollar sign in a class name must not start a formula.
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    correct, total = int(counts.trace()), int(counts.sum())
    axes.set_title(
        f"Confusion matrix\n{correct:,} of {total:,} correct (accuracy {correct / max(total, 1):.1%})"
    )
    return figure


def draw_reliability_diagram(calibration: Sequence[Mapping[str, float]]) -> Figure:
    lower, upper, confidence, accuracy, count = (
        np.array([entry[key] for entry in calibration])
        for key in ("lower", "upper", "confidence", "accuracy", "count")
    )  # each (bins,)
    error = np.average(abs(accuracy - confidence), weights=count)
    figure = Figure(figsize=(5, 6), dpi=DOTS_PER_INCH, layout="constrained")
    reliability, histogram = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    width = upper - lower
    reliability.bar(
        lower, accuracy, width, align="edge", color=LIGHT_BLUE, edgecolor="white", label="accuracy"
    )
    reliability.bar(
        lower,
        confidence - accuracy,
        width,
        bottom=accuracy,
        align="edge",
        facecolor="none",
        hatch="///",
        edgecolor=VERMILION,
        label="gap (confidence - accuracy)",
    )
    reliability.plot([0, 1], [0, 1], "--", color="black", label="perfectly calibrated")
    reliability.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy (fraction correct)")
    reliability.set_title(
        f"Reliability diagram\n{count.sum():,} examples, expected calibration error {error:.3f}"
    )
    figure.legend(loc="outside lower center", ncols=3, frameon=False, columnspacing=1)
    histogram.bar(lower, count / count.sum(), width, align="edge", color=BLUE, edgecolor="white")
    histogram.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    histogram.set(xlabel="confidence (probability of the predicted class)", ylabel="fraction of examples")
    tidy(reliability)
    tidy(histogram)
    return figure
