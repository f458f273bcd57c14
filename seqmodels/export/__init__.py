"""SavedModel and TFLite files from a list of signatures, verified in fresh processes.

Each name imports its module at first use.
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
