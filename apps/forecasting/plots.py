"""Draws plots of forecasts and of evaluation scores, and saves the plots as PNG files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from seqmodels.evaluation.plots import BLUE, DOTS_PER_INCH, GREY, LIGHT_BLUE, VERMILION, save, tidy

SHARES = ((0, 6, "95 % interval", 0.25), (1, 5, "80 % interval", 0.45), (2, 4, "50 % interval", 0.75))

LABELS = {
    "nll": "negative log-likelihood (nats)",
    "crps": "CRPS (error units)",
    "mae": "absolute error (error units)",
}


@dataclass(frozen=True)
class Fan:
    """Data of a fan chart: T past values, H forecasts, and the actual values at the times of the forecasts.

    Attributes:
        series: name of the series.
        times: ISO dates or row numbers of the past values and the forecasts, ``(T + H,)``.
        history: past values, ``(T,)``.
        quantiles: forecast quantiles at the levels 2.5, 10, 25, 50, 75, 90 and 97.5 %, ``(H, 7)``.
        actual: actual values, ``(H,)``.
        rolling: If True, each forecast uses all rows before the time of this forecast. If False, all
            forecasts use only the past values in ``history``.
        unit: label of the vertical axis.
        step: time between two values, such as ``hour``.
    """

    series: str
    times: Sequence[str] | Sequence[int]
    history: Sequence[float]
    quantiles: Sequence[Sequence[float]]
    actual: Sequence[float]
    rolling: bool = False
    unit: str = "value"
    step: str = "step"


def fan_chart(fan: Fan, title: str, path: str | os.PathLike[str]) -> Path:
    """Draws past values, median forecasts, forecast intervals and actual values over time."""
    times = np.array(fan.times, "datetime64" if isinstance(fan.times[0], str) else np.int64)
    past, quantiles = len(fan.history), np.asarray(fan.quantiles)
    figure = Figure(figsize=(8, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    ahead = times[past:]
    if not fan.rolling:  # The intervals start at the last known value.
        ahead = times[past - 1 :]
        quantiles = np.concatenate([np.full((1, 7), fan.history[-1]), quantiles])
    # Each rolling forecast has its own origin. A sloped line would connect separate forecasts, so the plot
    # is drawn as steps.
    step: Literal["mid"] | None = "mid" if fan.rolling else None
    for low, high, label, alpha in SHARES:
        axes.fill_between(
            ahead,
            quantiles[:, low],
            quantiles[:, high],
            step=step,
            color=LIGHT_BLUE,
            alpha=alpha,
            lw=0,
            label=label,
        )
    style = "steps-mid" if fan.rolling else "default"
    axes.plot(ahead, quantiles[:, 3], color=BLUE, drawstyle=style, label="median forecast")
    axes.plot(times[:past], fan.history, color="black", label="past value")
    axes.plot(times[past:], fan.actual, color=VERMILION, marker=".", label="actual value")
    label = "row" if times.dtype == np.int64 else f"date (one value per {fan.step})"
    axes.set(title=title, xlabel=label, ylabel=fan.unit)
    axes.title.set_parse_math(False)
    if times.dtype != np.int64:
        locator = AutoDateLocator(maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return save(figure, path)


def pit_histogram(shares: Sequence[float], path: str | os.PathLike[str]) -> Path:
    """Draws the histogram of the probability integral transform. It is flat for calibrated forecasts."""
    figure = Figure(figsize=(5, 3.5), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    bins = len(shares)
    axes.bar((np.arange(bins) + 0.5) / bins, shares, 1 / bins, color=LIGHT_BLUE, edgecolor="white")
    axes.axhline(1 / bins, color="black", linestyle="--", label="calibrated")
    axes.set(
        title="PIT histogram",
        xlabel="probability integral transform F(y)",
        ylabel="fraction of targets",
        xlim=(0, 1),
    )
    axes.legend(frameon=False)
    tidy(axes)
    return save(figure, path)


def interval_coverage(coverage: Mapping[str, float], path: str | os.PathLike[str]) -> Path:
    """Draws the observed coverage of central intervals against their nominal coverage."""
    figure = Figure(figsize=(4, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    nominal = [float(name.rstrip("%")) / 100 for name in coverage]
    axes.plot([0, 1], [0, 1], "--", color="black", label="calibrated")
    axes.plot(nominal, list(coverage.values()), color=BLUE, marker="o", label="forecast")
    axes.set(
        title="Interval coverage",
        xlabel="nominal coverage",
        ylabel="observed coverage (fraction of targets)",
        xlim=(0, 1),
        ylim=(0, 1),
    )
    axes.legend(frameon=False)
    tidy(axes)
    return save(figure, path)


def backtest(
    losses: Mapping[str, Sequence[float]], labels: Sequence[str], measure: str, path: str | os.PathLike[str]
) -> Path:
    """Draws the mean loss of the model and of each baseline in each part of the test split.

    Args:
        losses: maps ``model`` and the name of each baseline to the mean loss in each part. The plot
            highlights the line of the model.
        labels: labels of the parts on the horizontal axis.
        measure: name of the loss, a key of ``LABELS``.
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
    axes.set(title="Backtest: mean loss of each part of the test split", ylabel=f"mean {LABELS[measure]}")
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return save(figure, path)


def influence(rises: Mapping[str, float], measure: str, path: str | os.PathLike[str]) -> Path:
    """Draws the permutation importance of each part of the inputs. The most important part is at the top."""
    ordered = sorted(rises.items(), key=lambda item: item[1])
    figure = Figure(figsize=(6, 1.2 + 0.4 * len(ordered)), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=BLUE)
    axes.axvline(0, color=GREY)
    axes.set(title="Permutation importance of the inputs", xlabel=f"increase of the mean {LABELS[measure]}")
    tidy(axes)
    return save(figure, path)
