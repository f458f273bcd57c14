"""Names that a user may choose by, and where their classes are. Loads no TensorFlow until asked for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Where the class of a name is.

    Attributes:
        path: ``module:Class``.
        options: arguments that the name stands for.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CellEntry(Entry):
    """Where a cell is, and what the command line must know of it without TensorFlow.

    Attributes:
        parallel: the cell's own ``parallel``: without a recurrent matrix, hence without dropout of one.
    """

    parallel: bool = False


CELLS: dict[str, CellEntry] = {
    "rnn": CellEntry("seqmodels.cells:RNNCell"),
    "irnn": CellEntry("seqmodels.cells:RNNCell", {"activation": "relu", "recurrent_initializer": "identity"}),
    "lstm": CellEntry("seqmodels.cells:LSTMCell"),
    "gru": CellEntry("seqmodels.cells:GRUCell"),
    "gru-reset-after": CellEntry("seqmodels.cells:GRUCell", {"reset_after": True}),
    "mingru": CellEntry("seqmodels.cells:MinGRUCell", parallel=True),
    "minlstm": CellEntry("seqmodels.cells:MinLSTMCell", parallel=True),
    "rglru": CellEntry("seqmodels.cells:RGLRUCell", parallel=True),
}

PARALLEL_CELLS = tuple(name for name, entry in CELLS.items() if entry.parallel)

POOLINGS: dict[str, Entry] = {
    "last": Entry("seqmodels.layers:LastPooling"),
    "mean": Entry("seqmodels.layers:MeanPooling"),
    "max": Entry("seqmodels.layers:MaxPooling"),
    "attention": Entry("seqmodels.layers:AttentionPooling"),
}

ATTENTIONS: dict[str, Entry] = {
    "additive": Entry("seqmodels.layers:AdditiveAttention"),
    "general": Entry("seqmodels.layers:GeneralAttention"),
    "dot": Entry("seqmodels.layers:DotAttention"),
    "multi-head": Entry("seqmodels.layers:MultiHeadAttention"),
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


def make(table: Mapping[str, Entry], name: str, /, **options: Any) -> Any:
    """Makes an instance of the class that ``table`` has under ``name``; ``options`` win over the entry's own.

    Raises:
        ValueError: a name that the table does not have.
    """
    if name not in table:
        raise ValueError(f"{name!r} is unknown; expected one of {', '.join(table)}")
    module, attribute = table[name].path.split(":")
    return getattr(import_module(module), attribute)(**{**table[name].options, **options})
