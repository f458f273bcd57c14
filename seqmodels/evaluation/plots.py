"""Pictures of a run as small PNG files: how it learned, what it confuses, how far to trust it; and curves
of what was measured.

Each function draws on a `Figure` of its own, without pyplot and so without global state, and writes the
file whole or not at all. Colours are those of Okabe and Ito, told apart with any colour vision.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from PIL import Image

BLUE, LIGHT_BLUE, VERMILION, GREY = "#0072B2", "#56B4E9", "#D55E00", "#555555"
DOTS_PER_INCH = 100
MEASURED_PER_EPOCH = ("learning_rate", "gradient_norm")
# In the order in which curves take them; the light yellow of Okabe and Ito would be lost on white.
CYCLE = (
    BLUE,
    VERMILION,
    "#009E73",
    "#CC79A7",
    LIGHT_BLUE,
    "#E69F00",
    "black",
    GREY,
    "#8B5A2B",
    "#999999",
    "#6A3D9A",
)
LARGEST_ANNOTATED = 25  # classes: beyond, the numbers in the cells could not be read
LARGEST_TICKED = 9  # points of a logarithmic axis: up to so many are its ticks
LARGEST_LABELED = 60  # classes: beyond, every second, third, ... name is written


@dataclass(frozen=True)
class Curve:
    """One line of a panel; curves of one name have one colour in all panels and one entry in the legend.

    Attributes:
        name: in the legend.
        x: ``(points,)``.
        y: ``(points,)``; a NaN leaves a gap.
        line: a format of matplotlib, such as ``-``, ``--`` or ``o-``.

    >>> Curve("gru", [1, 2, 4], [0.9, 0.7, 0.6], "--").name
    'gru'
    """

    name: str
    x: ArrayLike
    y: ArrayLike
    line: str = "-"


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: what it shows.
        x_label, y_label: the quantities, with their units.
        curves: the lines.
        log: which axes are logarithmic, "", "x", "y" or "xy".
        limits, x_limits: of y and of x, or None for what the curves need.
        surface: x ``(columns,)``, y ``(rows,)`` and z ``(rows, columns)`` to draw as greys behind them.

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
    """Draw panels side by side over one legend and write them to `path`.

    Raises:
        ValueError: there is no panel.

    >>> panel = Panel("loss", "epoch", "nats", [Curve("gru", [1, 2], [0.9, 0.7])])
    >>> curves([panel], folder / "curves.png").name
    'curves.png'
    """
    return save(_draw_curves(panels, title), path)


def bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    title: str = "",
    label: str = "",
    chance: float | None = None,
) -> Path:
    """Draw bars in groups, one of each series in each group, and write them to `path`.

    Args:
        groups: names along the horizontal axis.
        series: for each name in the legend, one value for each group.
        path: the PNG file.
        title: above all.
        label: of the vertical axis.
        chance: where to draw the line of guessing.

    Raises:
        ValueError: a series has not one value for each group.

    >>> bars(["short", "long"], {"gru": [0.9, 0.7], "lstm": [0.9, 0.8]}, folder / "bars.png").name
    'bars.png'
    """
    return save(_draw_bars(groups, series, title, label, chance), path)


def learning_curve(
    history: Sequence[Mapping[str, float]], path: str | os.PathLike[str], best_epoch: int | None = None
) -> Path:
    """Draw what each epoch reached, one panel per quantity, and write it to `path`.

    Args:
        history: a row per epoch with `epoch`, `loss` and `valid_loss`; any further pairs `x` and
            `valid_x`, of which `x` may be absent; optionally `learning_rate` and `gradient_norm`, in small
            panels. A value that is missing or NaN leaves a gap. Other keys are not drawn.
        path: the PNG file.
        best_epoch: the epoch to mark, that of the weights that were kept.

    Raises:
        ValueError: the history has no row.

    >>> history = [{"epoch": 1, "loss": 0.9, "valid_loss": 0.8}, {"epoch": 2, "loss": 0.5, "valid_loss": 0.6}]
    >>> learning_curve(history, folder / "learning_curve.png", best_epoch=2).name
    'learning_curve.png'
    """
    return save(_draw_learning_curve(history, best_epoch), path)


def confusion_matrix(confusion: ArrayLike, classes: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draw counts, and the percentage of each true class, in a coloured table and write it to `path`.

    The colour grows with the square root of the share, so that rare confusions show.

    Args:
        confusion: `(classes, classes)` counts, a row per true and a column per predicted class.
        classes: the names of the classes.
        path: the PNG file.

    Raises:
        ValueError: the table is not square with one row per name.

    >>> confusion_matrix([[8, 2], [1, 9]], ["negative", "positive"], folder / "confusion.png").name
    'confusion.png'
    """
    return save(_draw_confusion_matrix(confusion, classes), path)


def reliability_diagram(calibration: Sequence[Mapping[str, float]], path: str | os.PathLike[str]) -> Path:
    """Draw accuracy against confidence above a histogram of the confidence, and write it to `path`.

    Args:
        calibration: bins of equal width, at least one, with `lower`, `upper`, `confidence`, `accuracy` and
            `count`.
        path: the PNG file.

    >>> bins = [{"lower": 0.0, "upper": 0.5, "confidence": 0.25, "accuracy": 0.2, "count": 4}]
    >>> bins.append({"lower": 0.5, "upper": 1.0, "confidence": 0.75, "accuracy": 0.8, "count": 9})
    >>> reliability_diagram(bins, folder / "reliability.png").name
    'reliability.png'
    """
    return save(_draw_reliability_diagram(calibration), path)


def attention_map(
    weights: ArrayLike, source: Sequence[str], target: Sequence[str], path: str | os.PathLike[str]
) -> Path:
    """Draw how much each word of a translation attends to each word of its source, and write it to `path`.

    Args:
        weights: `(target, source)`, from 0 to 1.
        source: the words of the source.
        target: the words of the translation.
        path: the PNG file.

    Raises:
        ValueError: the weights do not have a row for each target word and a column for each source word.

    >>> weights = [[0.9, 0.1], [0.2, 0.8]]
    >>> attention_map(weights, ["guten", "Tag"], ["good", "day"], folder / "attention.png").name
    'attention.png'
    """
    return save(_draw_attention_map(weights, source, target), path)


def score_by_group(
    groups: Sequence[Mapping[str, float | str]], score: str, label: str, path: str | os.PathLike[str]
) -> Path:
    """Draw a score of each group above how many examples it has, and write it to `path`.

    Args:
        groups: `name`, `count` and the score of each.
        score: the key of the score.
        label: what the groups are.
        path: the PNG file.

    >>> groups = [{"name": "1-10", "count": 40, "f1": 0.9}, {"name": "11-20", "count": 12, "f1": 0.8}]
    >>> score_by_group(groups, "f1", "words", folder / "groups.png").name
    'groups.png'
    """
    return save(_draw_score_by_group(groups, score, label), path)


def loss_by_position(
    curves: Mapping[str, Sequence[Mapping[str, float]]], path: str | os.PathLike[str]
) -> Path:
    """Draw how well the tokens at each place of a line are predicted, a curve per model; write it to `path`.

    Args:
        curves: of each model, rows with `position` (from 1), `tokens` there, and their mean `log_loss`.
        path: the PNG file.

    Raises:
        ValueError: there is no curve, or one has no row.

    >>> rows = [{"position": at, "tokens": 90, "log_loss": loss} for at, loss in ((1, 5.1), (2, 4.2))]
    >>> loss_by_position({"lstm": rows}, folder / "positions.png").name
    'positions.png'
    """
    return save(_draw_loss_by_position(curves), path)


def _draw_learning_curve(history: Sequence[Mapping[str, float]], best_epoch: int | None) -> Figure:
    if not history:
        raise ValueError("got a history without rows; expected at least one epoch to draw")
    keys = {key for row in history for key in row}
    validated = {key.removeprefix("valid_") for key in keys if key.startswith("valid_")}
    pairs = ["loss", *sorted(validated - {"loss"})]
    single = [key for key in MEASURED_PER_EPOCH if key in keys]
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
                axes.plot(epochs, _column(history, name), line, color=color, marker=".", label=label)
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
    """`(epochs,)`, NaN where a row has no value: `None` becomes NaN as it turns into a float."""
    return np.array([row.get(key) for row in history], float)


def _draw_confusion_matrix(confusion: ArrayLike, classes: Sequence[str]) -> Figure:
    counts, size = np.asarray(confusion), len(classes)
    if counts.shape != (size, size):
        raise ValueError(
            f"got a confusion matrix {counts.shape} for {size} class names; expected ({size}, {size})"
        )
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)  # (true, predicted)
    side = float(np.clip(1.5 + 0.5 * size, 3, 11))  # inches
    figure = Figure(figsize=(side + 2, side + 1.8), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    if size > LARGEST_ANNOTATED:
        figure.colorbar(image, label="share of the true class", format=PercentFormatter(1), shrink=0.8)
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
    names = [_shorten(classes[tick]) for tick in ticks]
    # A name is data: a dollar sign in it starts no formula.
    axes.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(ticks, names, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    correct, total = int(counts.trace()), int(counts.sum())
    axes.set_title(f"Confusion matrix\n{correct:,} of {total:,} correct ({correct / max(total, 1):.1%})")
    return figure


def _draw_reliability_diagram(calibration: Sequence[Mapping[str, float]]) -> Figure:
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
        label="gap to confidence",
    )
    reliability.plot([0, 1], [0, 1], "--", color="black", label="perfectly calibrated")
    reliability.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy (share correct)")
    reliability.set_title(f"Reliability\n{count.sum():,} examples, expected calibration error {error:.3f}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, columnspacing=1)
    histogram.bar(lower, count / count.sum(), width, align="edge", color=BLUE, edgecolor="white")
    histogram.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    histogram.set(xlabel="confidence (probability of the predicted class)", ylabel="examples")
    tidy(reliability)
    tidy(histogram)
    return figure


def _draw_attention_map(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> Figure:
    shares = np.asarray(weights)
    if shares.shape != (len(target), len(source)):
        raise ValueError(
            f"got attention {shares.shape} for {len(target)} target and {len(source)} source words; expected "
            f"({len(target)}, {len(source)})"
        )
    width, height = (float(np.clip(2 + 0.3 * count, 4.5, 18)) for count in (len(source), len(target)))
    figure = Figure(figsize=(width + 1, height), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, label="attention", format=PercentFormatter(1))
    axes.set_xticks(
        range(len(source)), source, rotation=60, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(len(target)), target, parse_math=False)
    axes.set(xlabel="source", ylabel="translation")
    return figure


def _draw_score_by_group(groups: Sequence[Mapping[str, float | str]], score: str, label: str) -> Figure:
    figure = Figure(figsize=(6, 5), dpi=DOTS_PER_INCH, layout="constrained")
    above, below = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    names = [str(group["name"]) for group in groups]
    above.bar(names, [float(group[score]) for group in groups], color=BLUE)
    above.set_ylabel(score.upper() if len(score) <= 4 else score)
    below.bar(names, [float(group["count"]) for group in groups], color=GREY)
    below.set(xlabel=label, ylabel="examples")
    tidy(above)
    tidy(below)
    return figure


def _draw_curves(panels: Sequence[Panel], title: str) -> Figure:
    if not panels:
        raise ValueError("got no panels; expected at least one")
    names = list({curve.name: None for panel in panels for curve in panel.curves})
    colors = {name: CYCLE[index % len(CYCLE)] for index, name in enumerate(names)}
    across = min(len(panels), 3 if len(panels) != 4 else 2)
    down = -(-len(panels) // across)
    columns = 4 if across == 1 else 5  # of the legend
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


def _draw_bars(
    groups: Sequence[str],
    series: Mapping[str, Sequence[float]],
    title: str,
    label: str,
    chance: float | None,
) -> Figure:
    for name, values in series.items():
        if len(values) != len(groups):
            raise ValueError(f"{name!r} has {len(values)} values for {len(groups)} groups; give each one")
    figure = Figure(figsize=(7, 4), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        places = np.arange(len(groups)) - 0.4 + (index + 0.5) * width
        axes.bar(places, values, width, color=CYCLE[index % len(CYCLE)], edgecolor="white", label=name)
    if chance is not None:
        axes.axhline(chance, color="black", linestyle="--", label="guessing")
    axes.set_xticks(range(len(groups)), groups)
    axes.set(title=title, ylabel=label)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    tidy(axes)
    return figure


def _draw_loss_by_position(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    if not curves or not all(curves.values()):
        raise ValueError("there is nothing to draw: expected at least one curve, and rows in each")
    figure = Figure(figsize=(7, 5), dpi=DOTS_PER_INCH, layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": [3, 1]})
    for (name, rows), colour in zip(curves.items(), cycle((BLUE, VERMILION, GREY, LIGHT_BLUE))):
        upper.plot(_column(rows, "position"), _column(rows, "log_loss"), color=colour, label=name)
    rows = next(iter(curves.values()))
    lower.bar(_column(rows, "position"), _column(rows, "tokens"), width=1, color=LIGHT_BLUE)
    upper.set(ylabel="loss (nats a token)", title="Loss by position in the line")
    upper.legend(frameon=False)
    lower.set(xlabel="position", ylabel="tokens")
    tidy(upper)
    tidy(lower)
    return figure


def tidy(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shorten(name: str, longest: int = 18) -> str:
    """Cut from the middle, because long names of one scheme often share their beginning."""
    name = " ".join(name.split())
    return name if len(name) <= longest else f"{name[: longest - 8]}…{name[-7:]}"


def save(figure: Figure, path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        # A palette of 256 colours makes the file a third of the size of full colour.
        image.quantize(256, dither=Image.Dither.NONE).save(temporary, format="png", optimize=True)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
