"""Names that a user may choose by, and where their classes are. Loads no TensorFlow until asked for one."""

from __future__ import annotations

from importlib import import_module
from typing import Any

CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("seqmodels.cells:RNNCell", {}),
    "irnn": ("seqmodels.cells:RNNCell", {"activation": "relu", "recurrent_initializer": "identity"}),
    "lstm": ("seqmodels.cells:LSTMCell", {}),
    "gru": ("seqmodels.cells:GRUCell", {}),
    "gru-reset-after": ("seqmodels.cells:GRUCell", {"reset_after": True}),
    "mingru": ("seqmodels.cells:MinGRUCell", {}),
    "minlstm": ("seqmodels.cells:MinLSTMCell", {}),
    "rglru": ("seqmodels.cells:RGLRUCell", {}),
}

PARALLEL_CELLS = ("mingru", "minlstm", "rglru")  # no recurrent matrix, hence no dropout of one

POOLINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "last": ("seqmodels.layers:LastPooling", {}),
    "mean": ("seqmodels.layers:MeanPooling", {}),
    "max": ("seqmodels.layers:MaxPooling", {}),
    "attention": ("seqmodels.layers:AttentionPooling", {}),
}

ATTENTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "additive": ("seqmodels.layers:AdditiveAttention", {}),
    "general": ("seqmodels.layers:GeneralAttention", {}),
    "dot": ("seqmodels.layers:DotAttention", {}),
    "multi-head": ("seqmodels.layers:MultiHeadAttention", {}),
}

FEEDINGS = ("none", "output", "context")  # what of the attention enters the decoder's recurrence

# All of keras.optimizers but the wrappers, and ScheduleFreeAdamW, whose weights must be swapped before
# every evaluation.
OPTIMIZERS = (
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "ftrl",
    "lamb",
    "lion",
    "muon",
    "nadam",
    "rmsprop",
    "sgd",
)

UNITS = ("word", "wordpiece", "character", "byte")  # of a tokenizer
SPLITS = ("letters", "punctuation", "whitespace")  # where the words end that units are cut out of
KEEPS = ("head", "tail", "both")  # parts of a text that is too long
TIES = ("none", "target", "all")  # embeddings that share the matrix of a translator's output
QUANTIZATIONS = ("none", "dynamic", "float16", "int8")  # of a .tflite
FORECAST_OUTPUTS = ("point", "quantiles", "normal", "student_t")
FORECAST_LOSSES = ("auto", "absolute", "squared")  # of a point
SCALINGS = ("none", "mean", "robust", "instance", "last")  # of a window of values
FORECAST_DECODERS = ("direct", "autoregressive")
FIXED_WINDOWS = ("nlinear", "dlinear", "mlp")  # forecasters without memory

CURVES = ("constant", "cosine", "linear", "exponential")  # known before the training begins
SCHEDULES = (*CURVES, "plateau")
CLIP_BY = ("global", "variable", "value")


def make(table: dict[str, tuple[str, dict[str, Any]]], name: str, /, **options: Any) -> Any:
    """An instance of the class that ``table`` has under ``name``; ``options`` win over the table's own.

    Raises:
        ValueError: a name that the table does not have.
    """
    if name not in table:
        raise ValueError(f"{name!r} is unknown; expected one of {', '.join(table)}")
    path, defaults = table[name]
    module, attribute = path.split(":")
    return getattr(import_module(module), attribute)(**{**defaults, **options})
