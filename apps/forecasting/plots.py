"""Pictures of forecasts as small PNG files: the fan of what may come, how it was scored, what it hangs on."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from seqmodels.evaluation.plots import BLUE, DOTS_PER_INCH, GREY, LIGHT_BLUE, VERMILION, save, tidy

SHARES = ((0, 6, "95 %", 0.25), (1, 5, "80 %", 0.45), (2, 4, "50 %", 0.75))


def fan_chart(
    history: ArrayLike, quantiles: ArrayLike, actual: ArrayLike, title: str, path: str | os.PathLike[str]
) -> Path:
    """Draw a past, what was forecast after it, and what came.

    Args:
        history: ``(T,)``, up to the origin.
        quantiles: ``(H, 7)`` at 2.5, 10, 25, 50, 75, 90 and 97.5 %.
        actual: ``(H,)``.
        title: the heading.
        path: the PNG file.
    """
    history, quantiles, actual = np.asarray(history), np.asarray(quantiles), np.asarray(actual)
    figure = Figure(figsize=(8, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    steps = np.arange(1, len(quantiles) + 1)
    axes.plot(np.arange(1 - len(history), 1), history, color="black", label="past")
    # The fan opens at the last known value, so that one step ahead is seen too.
    joined = np.concatenate([np.full((1, 7), history[-1]), quantiles])
    for low, high, label, alpha in SHARES:
        axes.fill_between(
            np.append(0, steps),
            joined[:, low],
            joined[:, high],
            color=LIGHT_BLUE,
            alpha=alpha,
            lw=0,
            label=label,
        )
    axes.plot(np.append(0, steps), joined[:, 3], color=BLUE, label="median")
    axes.plot(steps, actual, color=VERMILION, marker=".", label="what came")
    axes.set(title=title, xlabel="steps from the origin")
    axes.title.set_parse_math(False)
    axes.legend(frameon=False, ncols=3)
    tidy(axes)
    return save(figure, path)


def pit_histogram(shares: Sequence[float], path: str | os.PathLike[str]) -> Path:
    """Draw the histogram of the probability integral transform: flat where forecasts are calibrated."""
    figure = Figure(figsize=(5, 3.5), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    bins = len(shares)
    axes.bar((np.arange(bins) + 0.5) / bins, shares, 1 / bins, color=LIGHT_BLUE, edgecolor="white")
    axes.axhline(1 / bins, color="black", linestyle="--", label="calibrated")
    axes.set(title="Probability integral transform", xlabel="F(y)", ylabel="share of targets", xlim=(0, 1))
    axes.legend(frameon=False)
    tidy(axes)
    return save(figure, path)


def interval_coverage(coverage: Mapping[str, float], path: str | os.PathLike[str]) -> Path:
    """Draw the share of targets inside central intervals against the share that was promised."""
    figure = Figure(figsize=(4, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    promised = [float(name.rstrip("%")) / 100 for name in coverage]
    axes.plot([0, 1], [0, 1], "--", color="black", label="calibrated")
    axes.plot(promised, list(coverage.values()), color=BLUE, marker="o", label="forecast")
    axes.set(
        title="Calibration", xlabel="promised", ylabel="share of targets inside", xlim=(0, 1), ylim=(0, 1)
    )
    axes.legend(frameon=False)
    tidy(axes)
    return save(figure, path)


def backtest(
    losses: Mapping[str, Sequence[float]], labels: Sequence[str], measure: str, path: str | os.PathLike[str]
) -> Path:
    """Draw the loss of the model and its baselines part by part.

    Args:
        losses: by name, one number for each part; ``model`` stands out.
        labels: of the parts.
        measure: name of the loss.
        path: the PNG file.
    """
    figure = Figure(figsize=(8, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    for index, (name, values) in enumerate(losses.items()):
        own = name == "model"
        axes.plot(
            range(len(values)),
            values,
            marker="o" if own else ".",
            color=VERMILION if own else None,
            lw=2.5 if own else 1,
            alpha=1 if own else 0.7,
            label=name,
            zorder=10 if own else index,
        )
    axes.set(title="Backtest", ylabel=measure)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return save(figure, path)


def influence(rises: Mapping[str, float], measure: str, path: str | os.PathLike[str]) -> Path:
    """Draw how much the loss rises when a part of what the model sees comes from another window."""
    ordered = sorted(rises.items(), key=lambda item: item[1])
    figure = Figure(figsize=(6, 1.2 + 0.4 * len(ordered)), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=BLUE)
    axes.axvline(0, color=GREY)
    axes.set(title="Influence, by permutation", xlabel=f"rise of {measure}")
    tidy(axes)
    return save(figure, path)
