"""The shapes at which recurrent layers are measured, and the protocol between the table and its workers.

This module loads neither TensorFlow nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A stack of recurrent layers over one batch.

    Attributes:
        batch: rows n.
        time: steps T.
        layers: of the stack.
        units: features of each state; also of the inputs, or of the word vectors.
        vocabulary: words of an embedding before and a softmax after the stack; None for vectors in and out.
        bidirectional: both directions, rows of different lengths.
    """

    batch: int
    time: int
    layers: int
    units: int
    vocabulary: int | None = None
    bidirectional: bool = False

    @property
    def lengths(self) -> list[int]:
        """Evenly from T down to T / 8: what a batch of texts of one bucket looks like."""
        span = self.time - self.time // 8
        return [self.time - span * row // max(self.batch - 1, 1) for row in range(self.batch)]


SHAPES = {
    "batch 32, T 64, 2 x 256": Shape(32, 64, 2, 256),
    "PTB small: batch 20, T 35, 2 x 200, 10,000 words": Shape(20, 35, 2, 200, vocabulary=10_000),
    "batch 64, T 100, 2 x 512": Shape(64, 100, 2, 512),
    "batch 16, T 1024, 1 x 256": Shape(16, 1024, 1, 256),
    "bidirectional, ragged: batch 32, T 64, 1 x 256": Shape(32, 64, 1, 256, bidirectional=True),
}
CELLS = ("lstm", "gru")
MODES = ("training", "inference")

# Side: the module of its worker, the environment it starts in.
FAST = {"TF_ENABLE_ONEDNN_OPTS": "1"}
SIDES: dict[str, tuple[str, dict[str, str]]] = {
    "Keras": ("tensorflow_worker", {}),
    "Keras, XLA and oneDNN": ("tensorflow_worker", FAST),
    "PyTorch": ("torch_worker", {}),
    "generic loop": ("tensorflow_worker", FAST),
    "kernel": ("tensorflow_worker", FAST),
    "kernel, one part": ("tensorflow_worker", FAST),
    "kernel, recomputing": ("tensorflow_worker", FAST),
    "products alone": ("tensorflow_worker", FAST),
}
OURS, WHOLE, RECOMPUTING, FLOOR = "kernel", "kernel, one part", "kernel, recomputing", "products alone"
ONLY_TRAINING = (WHOLE, RECOMPUTING)  # inference has no parts, and nothing to keep

# The cells whose time is measured as T grows, and how many of their steps wait for one another in a step of
# training: all of them, forward and back, or two rounds for every halving of T.
GROWTH_STEPS = (64, 256, 1024, 4096, 8192)
GROWTH_CELLS: dict[str, Callable[[int], int]] = {
    **{name: lambda steps: 2 * steps for name in ("lstm", "gru", "rnn", "mingru", "minlstm", "rglru")},
    "mingru by rounds": lambda steps: 4 * (steps - 1).bit_length(),
}
