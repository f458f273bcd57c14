"""Models: tensors in, tensors out, no strings."""

from seqmodels.models.classifier import Classifier
from seqmodels.models.forecaster import FixedWindowForecaster, Forecaster

__all__ = ["Classifier", "FixedWindowForecaster", "Forecaster"]
