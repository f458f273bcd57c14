"""Analysis of gradients in recurrent networks.

The functions record the states of a network and compute the Jacobians of these states. They also compute the
norms of Jacobians and gradients, and judge whether a gradient vanishes or explodes.
"""

from seqmodels.analysis.jacobians import log_norms, state_jacobians, step_jacobians, vector_products
from seqmodels.analysis.norms import (
    GROWN,
    LEFT,
    Verdict,
    decay_rate,
    mean_norms,
    slope,
    spectral_norms,
    spectral_radius,
    verdict,
)
from seqmodels.analysis.trace import (
    Trace,
    gates,
    loss_gradients,
    recording,
    recurrent_layers,
    step_bound,
)

__all__ = [
    "GROWN",
    "LEFT",
    "Trace",
    "Verdict",
    "decay_rate",
    "gates",
    "log_norms",
    "loss_gradients",
    "mean_norms",
    "recording",
    "recurrent_layers",
    "slope",
    "spectral_norms",
    "spectral_radius",
    "state_jacobians",
    "step_bound",
    "step_jacobians",
    "vector_products",
    "verdict",
]
