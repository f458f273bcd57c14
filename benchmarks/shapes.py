"""The shapes at which recurrent layers are measured, and the sides that are compared.

This module loads neither TensorFlow nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A stack of recurrent layers over one batch.

    Attributes:
        batch: number of rows, n.
        time: number of time steps, T.
        layers: number of stacked layers.
        units: size of each state and of the inputs or word vectors.
        vocabulary: words of the embedding before the stack and of the softmax after it. If None, the stack
            reads and returns vectors.
        bidirectional: if True, the layers read in both directions and the rows have different lengths.
    """

    batch: int
    time: int
    layers: int
    units: int
    vocabulary: int | None = None
    bidirectional: bool = False

    @property
    def lengths(self) -> list[int]:
        """Row lengths, evenly spaced from T down to T / 8, as in a batch of texts from one bucket."""
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

# Each side: the module of its worker and its environment variables.
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
ONLY_TRAINING = (WHOLE, RECOMPUTING)  # inference has no parts and keeps no values for a backward pass

# The cells whose time is measured as T grows, and the number of sequential steps in one training step. A loop
# runs T steps forward and T backward. A parallel scan runs two rounds per halving of T, forward and backward.
GROWTH_STEPS = (64, 256, 1024, 4096, 8192)
GROWTH_CELLS: dict[str, Callable[[int], int]] = {
    **{name: lambda steps: 2 * steps for name in ("lstm", "gru", "rnn", "mingru", "minlstm", "rglru")},
    "mingru by rounds": lambda steps: 4 * (steps - 1).bit_length(),
}
