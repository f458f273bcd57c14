"""Plots and confidence intervals that two or more tasks use.

The module of a function is imported when the function is first used. Matplotlib is therefore loaded only for
plots.
"""

from seqmodels.lazy import lazy

__all__ = [
    "Curve",
    "Panel",
    "attention_map",
    "bars",
    "confusion_matrix",
    "curves",
    "learning_curve",
    "loss_by_position",
    "reliability_diagram",
    "score_by_group",
    "wilson_interval",
]
__getattr__ = lazy(
    __name__,
    {
        "Curve": "plots:Curve",
        "Panel": "plots:Panel",
        "attention_map": "plots:attention_map",
        "bars": "plots:bars",
        "confusion_matrix": "plots:confusion_matrix",
        "curves": "plots:curves",
        "learning_curve": "plots:learning_curve",
        "loss_by_position": "plots:loss_by_position",
        "reliability_diagram": "plots:reliability_diagram",
        "score_by_group": "plots:score_by_group",
        "wilson_interval": "intervals:wilson_interval",
    },
)
