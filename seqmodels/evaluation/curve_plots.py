"""Line plots: general curves, learning curves, and the loss at each token position in a line of text."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from seqmodels.evaluation.style import (
    BLUE,
    CYCLE,
    DOTS_PER_INCH,
    GREY,
    LIGHT_BLUE,
    VERMILION,
    save,
    tidy,
)

MEASURED_PER_EPOCH = ("learning_rate", "gradient_norm")
LARGEST_TICKED = 9  # with at most this number of points, a logarithmic x axis has one tick per point


@dataclass(frozen=True)
class Curve:
    """One curve of a panel. Curves with the same name have the same colour and one legend entry.

    Attributes:
        name: name of the curve in the legend.
        x: x values, ``(points,)``.
        y: y values, ``(points,)``. A NaN leaves a gap in the curve.
        line: Matplotlib line format, such as ``-``, ``--`` or ``o-``.

    >>> Curve("gru", [1, 2, 4], [0.9, 0.7, 0.6], "--").name
    'gru'
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    line: str = "-"


@dataclass(frozen=True)
class Panel:
    """One panel of a plot: a pair of axes with curves.

    Attributes:
        title: title of the panel.
        x_label, y_label: quantities on the axes, with units.
        curves: curves of the panel.
        log: names of the axes that have a logarithmic scale: "", "x", "y" or "xy".
        limits: limits of the y axis. Default: limits that fit the curves.
        x_limits: limits of the x axis. Default: limits that fit the curves.
        surface: tuple of x values ``(columns,)``, y values ``(rows,)`` and z values ``(rows, columns)``. The
            z values are shown as filled grey contours behind the curves. Default: no contours.

    >>> Panel("loss", "epoch", "nats", [Curve("gru", [1, 2], [0.9, 0.7])]).title
    'loss'
    """

    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]
    log: str = ""
    limits: tuple[float | None, float | None] | None = None
    x_limits: tuple[float | None, float | None] | None = None
    surface: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None


def curves(panels: Sequence[Panel], path: str | os.PathLike[str], title: str = "") -> Path:
    """Plots panels next to each other, with one legend below all panels, and writes the plot to `path`.

    Raises:
        ValueError: ``panels`` is empty.

    >>> panel = Panel("loss", "epoch", "nats", [Curve("gru", [1, 2], [0.9, 0.7])])
    >>> curves([panel], folder / "curves.png").name
    'curves.png'
    """
    return save(draw_curves(panels, title), path)


def learning_curve(
    history: Sequence[Mapping[str, float]], path: str | os.PathLike[str], best_epoch: int | None = None
) -> Path:
    """Plots the history of a training, with one panel per quantity, and writes the plot to `path`.

    Args:
        history: one dictionary per epoch, with the keys `epoch`, `loss` and `valid_loss`. Each further
            validation score, such as `valid_accuracy`, has its own panel. If the history also contains the
            training score, such as `accuracy`, the panel shows both scores. `learning_rate` and
            `gradient_norm` are optional and have small panels. A missing value or a NaN leaves a gap. Other
            keys are ignored.
        path: PNG file to write.
        best_epoch: number of the epoch to mark, such as the epoch whose weights were kept. Default: no mark.

    Raises:
        ValueError: `history` is empty.

    >>> history = [{"epoch": 1, "loss": 0.9, "valid_loss": 0.8}, {"epoch": 2, "loss": 0.5, "valid_loss": 0.6}]
    >>> learning_curve(history, folder / "learning_curve.png", best_epoch=2).name
    'learning_curve.png'
    """
    return save(draw_learning_curve(history, best_epoch), path)


def loss_by_position(
    curves: Mapping[str, Sequence[Mapping[str, float]]], path: str | os.PathLike[str]
) -> Path:
    """Plots the mean loss at each token position in a line of text, and writes the plot to `path`.

    The plot has one curve per model. A lower panel shows the number of tokens at each position.

    Args:
        curves: dictionary ``{model name: list}``. Each list contains one dictionary per position. Its keys
            are `position` (from 1), `tokens` (number of tokens at the position) and `log_loss` (mean loss of
            these tokens in nats).
        path: PNG file to write.

    Raises:
        ValueError: `curves` is empty, or one of its lists is empty.

    >>> rows = [{"position": at, "tokens": 90, "log_loss": loss} for at, loss in ((1, 5.1), (2, 4.2))]
    >>> loss_by_position({"lstm": rows}, folder / "positions.png").name
    'positions.png'
    """
    return save(draw_loss_by_position(curves), path)


def draw_curves(panels: Sequence[Panel], title: str) -> Figure:
    if not panels:
        raise ValueError("panels must contain at least one panel; got none")
    names = list({curve.name: None for panel in panels for curve in panel.curves})
    colors = {name: CYCLE[index % len(CYCLE)] for index, name in enumerate(names)}
    across = min(len(panels), 3 if len(panels) != 4 else 2)
    down = -(-len(panels) // across)
    columns = 4 if across == 1 else 5  # number of columns of the legend
    height = 3.4 * down + 0.5 + 0.22 * -(-len(names) // columns)  # inches
    width = 6.0 if across == 1 else 4.2 * across
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    figure.suptitle(title)
    handles: dict[str, Any] = {}
    places = figure.subplots(down, across, squeeze=False).ravel()
    for empty in places[len(panels) :]:
        empty.remove()
    for axes, panel in zip(places, panels):
        if panel.surface is not None:
            axes.contourf(*panel.surface, levels=12, cmap="Greys", alpha=0.6)
        for curve in panel.curves:
            (line,) = axes.plot(curve.x, curve.y, curve.line, color=colors[curve.name], markersize=4)
            handles.setdefault(curve.name, line)
        axes.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
        axes.set_xscale("log" if "x" in panel.log else "linear")
        axes.set_yscale("log" if "y" in panel.log else "linear")
        points = sorted({float(x) for curve in panel.curves for x in np.ravel(curve.x)})
        if "x" in panel.log and len(points) <= LARGEST_TICKED:
            axes.set_xticks(points, [f"{x:g}" for x in points])
            axes.minorticks_off()
        if panel.limits is not None:
            axes.set_ylim(*panel.limits)
        if panel.x_limits is not None:
            axes.set_xlim(*panel.x_limits)
        tidy(axes)
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False)
    return figure


def draw_learning_curve(history: Sequence[Mapping[str, float]], best_epoch: int | None) -> Figure:
    if not history:
        raise ValueError("history must contain at least one epoch; got none")
    keys = {key for row in history for key in row}
    validated = {key.removeprefix("valid_") for key in keys if key.startswith("valid_")}
    pairs = ["loss", *sorted(validated - {"loss"})]
    # The learning rate has a panel only if it changes between epochs. The same is true for the gradient norm.
    single = [key for key in MEASURED_PER_EPOCH if len(np.unique(_finite(history, key))) > 1]
    heights = [2.6] * len(pairs) + [1.2] * len(single)  # inches
    figure = Figure(figsize=(7, sum(heights) + 0.6), dpi=DOTS_PER_INCH, layout="constrained")
    panels = figure.subplots(
        len(heights), sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    figure.suptitle("Learning curve")
    epochs = _column(history, "epoch")
    for axes, key in zip(panels, pairs + single, strict=True):
        for name, label, color, line in (
            (key, "training", BLUE, "-"),
            (f"valid_{key}", "validation", VERMILION, "--"),
        ):
            if name in keys:
                values = _column(history, name)
                axes.plot(epochs, values, line, color=color, marker=".", label=label)
                if len(epochs) == 1 and np.isfinite(values[0]):
                    shift = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
                    axes.annotate(f"{values[0]:.4g}", (epochs[0], values[0]), color=color, **shift)
        if best_epoch is not None:
            axes.axvline(best_epoch, color=GREY, linestyle=":", label=f"best epoch ({best_epoch})")
        axes.set_ylabel(key.replace("_", " "))
        tidy(axes)
    panels[0].legend(frameon=False)
    panels[-1].set(xlabel="epoch", xlim=(epochs.min() - 0.5, epochs.max() + 0.5))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    figure.align_ylabels(panels)
    return figure


def _column(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    """Returns the values of a key, one per dictionary in ``history``. A missing value becomes NaN."""
    return np.array([row.get(key) for row in history], float)


def _finite(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    values = _column(history, key)
    return values[np.isfinite(values)]


def draw_loss_by_position(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    if not curves or not all(curves.values()):
        raise ValueError("curves must contain at least one model, and each model needs at least one position")
    figure = Figure(figsize=(7, 5), dpi=DOTS_PER_INCH, layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    for (name, rows), colour in zip(curves.items(), cycle((BLUE, VERMILION, GREY, LIGHT_BLUE))):
        upper.plot(_column(rows, "position"), _column(rows, "log_loss"), color=colour, label=name)
    rows = next(iter(curves.values()))
    lower.bar(_column(rows, "position"), _column(rows, "tokens"), width=1, color=LIGHT_BLUE)
    upper.set(ylabel="loss (nats per token)", title="Loss by position in the line")
    upper.legend(frameon=False)
    lower.set(xlabel="position in the line (tokens)", ylabel="number of tokens")
    tidy(upper)
    tidy(lower)
    return figure
