"""Scatter plots of predictions."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from seqmodels.evaluation.style import BLUE, DOTS_PER_INCH, save, tidy


def predicted_against_true(pairs: Sequence[Sequence[float]], path: str | os.PathLike[str]) -> Path:
    """Plots predicted numbers against true numbers, and writes the plot to `path`.

    Args:
        pairs: one pair `(true, predicted)` per example.
        path: PNG file to write.

    >>> predicted_against_true([(1.0, 1.2), (2.0, 1.9), (3.0, 2.4)], folder / "predictions.png").name
    'predictions.png'
    """
    return save(draw_predicted_against_true(pairs), path)


def draw_predicted_against_true(pairs: Sequence[Sequence[float]]) -> Figure:
    true, predicted = np.array(pairs, np.float64).T
    figure = Figure(figsize=(5, 5), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.scatter(true, predicted, s=12, alpha=0.5, color=BLUE, edgecolor="none")
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    axes.plot(ends, ends, "--", color="black", label="prediction = true number")
    axes.set(xlabel="true number", ylabel="predicted number", title=f"Predictions for {len(true):,} examples")
    figure.legend(loc="outside lower center", frameon=False)
    tidy(axes)
    return figure
