"""Models: tensors in, tensors out, no strings."""

from seqmodels.models.classifier import Classifier
from seqmodels.models.language_model import FixedWindowModel, LanguageModel, NextToken

__all__ = ["Classifier", "FixedWindowModel", "LanguageModel", "NextToken"]
