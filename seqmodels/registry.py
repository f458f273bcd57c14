"""Names that a user can choose, and the locations of their classes. TensorFlow is loaded only by ``make``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Location of the class that belongs to a name.

    Attributes:
        path: ``module:Class``.
        options: constructor arguments that the name implies.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CellEntry(Entry):
    """Location of a cell, and the properties that the command line needs without TensorFlow.

    Attributes:
        parallel: ``parallel`` of the cell class. If True, the cell has no recurrent matrix, so recurrent
            dropout does not apply.
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

FEEDINGS = ("none", "output", "context")  # attention results that enter the decoder's recurrence

# All of keras.optimizers except the wrappers and ScheduleFreeAdamW. The weights of ScheduleFreeAdamW must be
# swapped before every evaluation.
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

UNITS = ("word", "wordpiece", "character", "byte")  # token units of a tokenizer
SPLITS = ("auto", "letters", "punctuation", "whitespace")  # rules that split a text into words
KEEPS = ("head", "tail", "both")  # parts of a long text that truncation keeps
TIES = ("none", "target", "all")  # embeddings that share the output matrix of a translator
QUANTIZATIONS = ("none", "dynamic", "float16", "int8")  # of a TFLite file
FORECAST_OUTPUTS = ("point", "quantiles", "normal", "student_t")
FORECAST_LOSSES = ("auto", "absolute", "squared")  # of a point forecast
SCALINGS = ("none", "mean", "robust", "instance", "last")  # scaling methods of a window of values
FORECAST_DECODERS = ("direct", "autoregressive")
FIXED_WINDOWS = ("nlinear", "dlinear", "mlp")  # forecasters without a recurrent state

CURVES = ("constant", "cosine", "linear", "exponential")  # schedules that are fixed before training starts
SCHEDULES = (*CURVES, "plateau")
CLIP_BY = ("global", "variable", "value")


def make(table: Mapping[str, Entry], name: str, /, **options: Any) -> Any:
    """Makes an instance of the class of ``table[name]``; ``options`` override the options of the entry.

    Raises:
        ValueError: ``name`` is not in ``table``.
    """
    if name not in table:
        raise ValueError(f"{name!r} is unknown; expected one of {', '.join(table)}")
    module, attribute = table[name].path.split(":")
    return getattr(import_module(module), attribute)(**{**table[name].options, **options})
