"""Keras models. Their inputs and outputs are tensors; they do not process strings."""

from seqmodels.models.classifier import Classifier
from seqmodels.models.forecasting.linear import FixedWindowForecaster
from seqmodels.models.forecasting.recurrent import Forecaster
from seqmodels.models.language_model import FixedWindowModel, LanguageModel, NextToken
from seqmodels.models.translator import Translator

__all__ = [
    "Classifier",
    "FixedWindowForecaster",
    "FixedWindowModel",
    "Forecaster",
    "LanguageModel",
    "NextToken",
    "Translator",
]
