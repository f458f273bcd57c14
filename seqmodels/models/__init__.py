"""Models: tensors in, tensors out, no strings."""

from seqmodels.models.classifier import Classifier
from seqmodels.models.translator import Translator

__all__ = ["Classifier", "Translator"]
