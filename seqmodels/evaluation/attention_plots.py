"""Plots of attention."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from numpy.typing import ArrayLike

from seqmodels.evaluation.style import (
    DOTS_PER_INCH,
    save,
)


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
    return save(draw_attention_map(weights, source, target), path)


def draw_attention_map(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> Figure:
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
