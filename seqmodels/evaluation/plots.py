"""Plots of training and evaluation results as PNG files, such as learning curves and confusion matrices.

Each function draws on its own `Figure`. The functions do not use pyplot, because pyplot has a global state.
Each file is written completely or not at all. The first colours are from the palette of Okabe and Ito.
Colour-blind readers can distinguish these colours.
"""

from seqmodels.evaluation.attention_plots import attention_map
from seqmodels.evaluation.bar_plots import bars, score_by_group
from seqmodels.evaluation.classification_plots import confusion_matrix, reliability_diagram
from seqmodels.evaluation.curve_plots import (
    Curve,
    Panel,
    curves,
    learning_curve,
    loss_by_position,
)
from seqmodels.evaluation.scatter_plots import predicted_against_true
from seqmodels.evaluation.style import BLUE, DOTS_PER_INCH, GREY, LIGHT_BLUE, VERMILION, save, tidy

__all__ = [
    "BLUE",
    "DOTS_PER_INCH",
    "GREY",
    "LIGHT_BLUE",
    "VERMILION",
    "Curve",
    "Panel",
    "attention_map",
    "bars",
    "confusion_matrix",
    "curves",
    "learning_curve",
    "loss_by_position",
    "predicted_against_true",
    "reliability_diagram",
    "save",
    "score_by_group",
    "tidy",
]
