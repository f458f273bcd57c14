"""Pictures of a run as small PNG files: how it learned, what it confuses, how far to trust it; and curves
of what was measured.

Each function draws on a `Figure` of its own, without pyplot and so without global state, and writes the
file whole or not at all. Colours are those of Okabe and Ito, told apart with any colour vision.
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
    "reliability_diagram",
    "save",
    "score_by_group",
    "tidy",
]
