"""Kernels: functions that compute all time steps of a recurrent cell.

Their arguments and results are tensors, not layers.
"""

from seqmodels.kernels.forms import FORMS, current_form, form, keeps, recompute
from seqmodels.kernels.fused import fused_lstm
from seqmodels.kernels.gru import gru
from seqmodels.kernels.linear_recurrence import linear_recurrence
from seqmodels.kernels.loops import States, generic, unrolled
from seqmodels.kernels.lstm import lstm
from seqmodels.kernels.projection import affine, projection
from seqmodels.kernels.rnn import ACTIVATIONS as RNN_ACTIVATIONS
from seqmodels.kernels.rnn import rnn
from seqmodels.kernels.scan import dropped

__all__ = [
    "FORMS",
    "RNN_ACTIVATIONS",
    "States",
    "affine",
    "current_form",
    "dropped",
    "form",
    "fused_lstm",
    "generic",
    "gru",
    "keeps",
    "linear_recurrence",
    "lstm",
    "projection",
    "recompute",
    "rnn",
    "unrolled",
]
