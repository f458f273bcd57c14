"""Exports models as SavedModels or TFLite files, and verifies the exported files in a new process.

The exporting functions receive a list of signatures. A signature is a named function of a model. A module
of this package is imported when one of its functions or classes is first used.
"""

from seqmodels.lazy import lazy

__all__ = [
    "Converted",
    "Entry",
    "Signature",
    "choose_form",
    "convert",
    "export_saved_model",
    "in_place_of",
    "largest_difference",
    "save_signatures",
    "with_text_classifier",
]
__getattr__ = lazy(
    __name__,
    {
        "Converted": "tflite:Converted",
        "Entry": "tflite:Entry",
        "Signature": "signature:Signature",
        "choose_form": "tflite:choose_form",
        "convert": "tflite:convert",
        "export_saved_model": "saved_model:export",
        "in_place_of": "place:in_place_of",
        "largest_difference": "verify:largest_difference",
        "save_signatures": "signature:save",
        "with_text_classifier": "metadata:with_text_classifier",
    },
)
