"""The training loop, objectives, optimizers and settings of a training."""

from seqmodels.training.loop import Training
from seqmodels.training.objectives import (
    Objective,
    Outcome,
    classification,
    independent_labels,
    next_token,
    squared_error,
    translation,
)
from seqmodels.training.optimizers import Clipped, RateGroup, Schedule, clip, make
from seqmodels.training.pace import Pace, shape_of
from seqmodels.training.settings import Diverged, Interrupted, Position, Settings

__all__ = [
    "Clipped",
    "Diverged",
    "Interrupted",
    "Objective",
    "Outcome",
    "Pace",
    "Position",
    "RateGroup",
    "Schedule",
    "Settings",
    "Training",
    "classification",
    "clip",
    "independent_labels",
    "make",
    "next_token",
    "shape_of",
    "squared_error",
    "translation",
]
