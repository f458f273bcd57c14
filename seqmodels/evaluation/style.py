"""Defines the style of all plots, and writes plots to files atomically."""

import os
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

BLUE, LIGHT_BLUE, VERMILION, GREY = "#0072B2", "#56B4E9", "#D55E00", "#555555"
DOTS_PER_INCH = 100
# Colours of the first, second, ... curve. The light yellow of Okabe and Ito is not used, because it is
# invisible on white.
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


def tidy(axes: Axes) -> None:
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def shorten(name: str, longest: int = 18) -> str:
    """Shortens a name to at most ``longest`` characters.

    Characters in the middle are removed, because long names often have the same start.
    """
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
        # The limit of 256 colours reduces the file to a third of its size.
        image.quantize(256, dither=Image.Dither.NONE).save(temporary, format="png", optimize=True)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
