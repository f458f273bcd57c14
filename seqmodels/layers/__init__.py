"""Recurrent cells and the layers that run, stack and summarise them."""

from seqmodels.layers.adaptive_softmax import AdaptiveSoftmax
from seqmodels.layers.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from seqmodels.layers.cell import Cell, MatrixCell
from seqmodels.layers.convert import from_keras, to_keras
from seqmodels.layers.decoder import AttentionDecoderCell
from seqmodels.layers.dropout import Dropout
from seqmodels.layers.embedding_dropout import EmbeddingDropout
from seqmodels.layers.encoder import Encoded, Encoder
from seqmodels.layers.gru import GRUCell
from seqmodels.layers.linear import LinearCell
from seqmodels.layers.locked_dropout import LockedDropout
from seqmodels.layers.lstm import LSTMCell
from seqmodels.layers.min_gru import MinGRUCell
from seqmodels.layers.min_lstm import MinLSTMCell
from seqmodels.layers.ngram_bag import NgramBag
from seqmodels.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from seqmodels.layers.recurrent import Recurrent
from seqmodels.layers.rg_lru import RGLRUCell
from seqmodels.layers.rnn import RNNCell
from seqmodels.layers.sampled_softmax import sampled_softmax_losses
from seqmodels.layers.tied_output import TiedOutput
from seqmodels.layers.word_dropout import WordDropout

__all__ = [
    "AdaptiveSoftmax",
    "AdditiveAttention",
    "Attention",
    "AttentionDecoderCell",
    "AttentionPooling",
    "Cell",
    "DotAttention",
    "Dropout",
    "EmbeddingDropout",
    "Encoded",
    "Encoder",
    "GRUCell",
    "GeneralAttention",
    "LSTMCell",
    "LastPooling",
    "LinearCell",
    "LockedDropout",
    "MatrixCell",
    "MaxPooling",
    "MeanPooling",
    "MinGRUCell",
    "MinLSTMCell",
    "MultiHeadAttention",
    "NgramBag",
    "RGLRUCell",
    "RNNCell",
    "Recurrent",
    "TiedOutput",
    "WordDropout",
    "from_keras",
    "sampled_softmax_losses",
    "to_keras",
]
