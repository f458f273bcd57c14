"""Plots the attention weights of a translation."""

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
    """Plots the attention weights of a translation and writes the plot to `path`.

    Args:
        weights: attention weights from 0 to 1, with the shape `(target words, source words)`.
        source: words of the source text.
        target: words of the translation.
        path: PNG file to write.

    Raises:
        ValueError: the weights do not have one row per target word and one column per source word.

    >>> weights = [[0.9, 0.1], [0.2, 0.8]]
    >>> attention_map(weights, ["guten", "Tag"], ["good", "day"], folder / "attention.png").name
    'attention.png'
    """
    return save(draw_attention_map(weights, source, target), path)


def draw_attention_map(weights: ArrayLike, source: Sequence[str], target: Sequence[str]) -> Figure:
    shares = np.asarray(weights)
    if shares.shape != (len(target), len(source)):
        raise ValueError(
            f"weights must have the shape ({len(target)}, {len(source)}) for {len(target)} target and "
            f"{len(source)} source words; got {shares.shape}"
        )
    width, height = (float(np.clip(2 + 0.3 * count, 4.5, 18)) for count in (len(source), len(target)))
    figure = Figure(figsize=(width + 1, height), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(image, label="attention weight", format=PercentFormatter(1))
    axes.set_xticks(
        range(len(source)), source, rotation=60, ha="right", rotation_mode="anchor", parse_math=False
    )
    axes.set_yticks(range(len(target)), target, parse_math=False)
    axes.set(xlabel="source word", ylabel="target word")
    return figure
