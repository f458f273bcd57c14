"""Decoding of sequences with a step function: greedy, sampling and beam search, in TensorFlow operators.

A step function maps the last tokens and the states to the next logits and states::

    step(tokens (n,), states) -> (logits (n, V), states)  or  (logits, states, attention (n, source))

``states`` is any nested structure of tensors ``(n, ...)``. Constant tensors, such as the memory of an
attention, are not states; the step function must store them itself. In `beam`, n is ``rows * beams``; see
`repeat_rows`. All functions work eagerly, in a ``tf.function`` and in a SavedModel. Rows do not influence
each other.
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
