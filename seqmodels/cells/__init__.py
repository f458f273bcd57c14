"""Recurrent cells, each implemented from its published equations.

The module ``base`` defines the interface that all cells share.
"""

from seqmodels.cells.base import Cell, MatrixCell
from seqmodels.cells.gru import GRUCell
from seqmodels.cells.linear import LinearCell
from seqmodels.cells.lstm import LSTMCell
from seqmodels.cells.min_gru import MinGRUCell
from seqmodels.cells.min_lstm import MinLSTMCell
from seqmodels.cells.rg_lru import RGLRUCell
from seqmodels.cells.rnn import RNNCell

__all__ = [
    "Cell",
    "GRUCell",
    "LSTMCell",
    "LinearCell",
    "MatrixCell",
    "MinGRUCell",
    "MinLSTMCell",
    "RGLRUCell",
    "RNNCell",
]
