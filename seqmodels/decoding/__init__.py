"""Decoding of token sequences: greedy decoding, sampling and beam search, in TensorFlow operators.

A step function runs a model for one step. It receives the previous token of each row and the states. It
returns the logits of the next token and the new states. It may also return the attention weights of the
step::

    step(tokens (n,), states) -> (logits (n, V), states)  or  (logits, states, attention (n, source))

Here, n is the number of rows, V is the size of the vocabulary, and ``source`` is the number of source
positions. ``states`` is any nested structure of tensors ``(n, ...)``. Tensors that are the same at every
step, such as encoder outputs, are not states. The step function itself must store such tensors. In `beam`,
the step function receives ``n * beams`` rows. Use `repeat_rows` to repeat the rows of the stored tensors.

All functions except `stream` work eagerly, in a ``tf.function`` and in a SavedModel. The rows of a batch do
not influence each other.
"""

from seqmodels.decoding.beam import Ranked, Search, beam, repeat_rows
from seqmodels.decoding.loop import Decoded, greedy, sample, stream
from seqmodels.decoding.rules import NONE, PAD, Rules, Step, restrict
from seqmodels.decoding.sampling import Sampling, draw, uniform

__all__ = [
    "NONE",
    "PAD",
    "Decoded",
    "Ranked",
    "Rules",
    "Sampling",
    "Search",
    "Step",
    "beam",
    "draw",
    "greedy",
    "repeat_rows",
    "restrict",
    "sample",
    "stream",
    "uniform",
]
