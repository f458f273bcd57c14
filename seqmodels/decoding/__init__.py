"""Turning a step function into sequences: greedy, sampling and beam search, in TensorFlow operators.

A step function maps the last tokens and the states to the next logits and states::

    step(tokens (n,), states) -> (logits (n, V), states)  or  (logits, states, attention (n, source))

``states`` is any nesting of tensors ``(n, ...)``; what a step needs besides and never changes, such as the
memory of an attention, it holds itself. In `beam` its n is ``rows * beams``, see `repeat_rows`. Everything
works eagerly, in a ``tf.function`` and in a SavedModel; rows do not influence each other.
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
