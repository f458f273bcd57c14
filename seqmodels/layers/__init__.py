"""Layers that run and stack recurrent cells, and layers for pooling, attention, dropout and softmax."""

from seqmodels.layers.attention import (
    AdditiveAttention,
    Attention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from seqmodels.layers.decoder import AttentionDecoderCell
from seqmodels.layers.dropout import Dropout, EmbeddingDropout, LockedDropout, WordDropout
from seqmodels.layers.encoder import Encoded, Encoder
from seqmodels.layers.keras_conversion import from_keras, to_keras
from seqmodels.layers.ngram_bag import NgramBag
from seqmodels.layers.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling
from seqmodels.layers.recurrent import Recurrent
from seqmodels.layers.softmax import AdaptiveSoftmax, TiedOutput, sampled_softmax_losses

__all__ = [
    "AdaptiveSoftmax",
    "AdditiveAttention",
    "Attention",
    "AttentionDecoderCell",
    "AttentionPooling",
    "DotAttention",
    "Dropout",
    "EmbeddingDropout",
    "Encoded",
    "Encoder",
    "GeneralAttention",
    "LastPooling",
    "LockedDropout",
    "MaxPooling",
    "MeanPooling",
    "MultiHeadAttention",
    "NgramBag",
    "Recurrent",
    "TiedOutput",
    "WordDropout",
    "from_keras",
    "sampled_softmax_losses",
    "to_keras",
]
