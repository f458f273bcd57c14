"""Models: tensors in, tensors out, no strings."""

from seqmodels.models.classifier import Classifier

__all__ = ["Classifier"]
