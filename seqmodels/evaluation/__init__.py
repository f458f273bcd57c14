"""Plots, confidence intervals and significance tests that two or more tasks use.

The module of a function is imported when the function is first used. Matplotlib is therefore loaded only for
plots.
"""

from seqmodels.lazy import lazy

__all__ = [
    "Curve",
    "PairedTest",
    "Panel",
    "attention_map",
    "bars",
    "bootstrap_interval",
    "confusion_matrix",
    "curves",
    "learning_curve",
    "loss_by_position",
    "mcnemar",
    "paired_bootstrap",
    "predicted_against_true",
    "reliability_diagram",
    "score_by_group",
    "wilson_interval",
]
__getattr__ = lazy(
    __name__,
    {
        "Curve": "plots:Curve",
        "PairedTest": "significance:PairedTest",
        "Panel": "plots:Panel",
        "attention_map": "plots:attention_map",
        "bars": "plots:bars",
        "bootstrap_interval": "intervals:bootstrap_interval",
        "confusion_matrix": "plots:confusion_matrix",
        "curves": "plots:curves",
        "learning_curve": "plots:learning_curve",
        "loss_by_position": "plots:loss_by_position",
        "mcnemar": "significance:mcnemar",
        "paired_bootstrap": "significance:paired_bootstrap",
        "predicted_against_true": "plots:predicted_against_true",
        "reliability_diagram": "plots:reliability_diagram",
        "score_by_group": "plots:score_by_group",
        "wilson_interval": "intervals:wilson_interval",
    },
)
