"""Models: tensors in, tensors out, no strings."""

from seqmodels.models.classifier import Classifier
from seqmodels.models.forecaster import FixedWindowForecaster, Forecaster
from seqmodels.models.language_model import FixedWindowModel, LanguageModel, NextToken
from seqmodels.models.translator import Translator
from seqmodels.models.window_classifier import WindowClassifier

__all__ = [
    "Classifier",
    "FixedWindowForecaster",
    "FixedWindowModel",
    "Forecaster",
    "LanguageModel",
    "NextToken",
    "Translator",
    "WindowClassifier",
]
