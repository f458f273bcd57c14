"""The sizes for which recurrent layers are measured, and the implementations that are compared.

In the code, an implementation such as Keras, PyTorch or our kernel is called a side. This
module imports neither TensorFlow nor PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """The sizes of stacked recurrent layers and of the batch that they read.

    Attributes:
        batch: number of sequences in the batch, n.
        time: number of time steps, T.
        layers: number of stacked layers.
        units: size of each state. It is also the size of the inputs or of the word vectors.
        vocabulary: number of words. The model then has an embedding before the stack and a softmax layer
            after the stack. With None, the model is only the stack, which reads and returns vectors.
        bidirectional: if True, the layers run in both directions, and the sequences have different lengths.
    """

    batch: int
    time: int
    layers: int
    units: int
    vocabulary: int | None = None
    bidirectional: bool = False

    @property
    def lengths(self) -> list[int]:
        """Lengths of the sequences: evenly spaced numbers from T down to T / 8."""
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

# SIDES maps each implementation to a module and to environment variables. The benchmark starts one process
# per implementation. The process runs the module with these environment variables.
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
ONLY_TRAINING = (WHOLE, RECOMPUTING)  # inference does not split a batch and has no backward pass

# GROWTH_STEPS contains numbers of time steps. For each number T, the benchmark measures the training step of
# every cell in GROWTH_CELLS. GROWTH_CELLS maps a cell to a function. The function receives T and returns the
# number of sequential steps. Sequential steps are operations that must run one after the other.
#
# A loop has T sequential steps in the forward pass and T sequential steps in the backward pass. A parallel
# scan (the method "rounds") has about log2(T) rounds. Each round has two sequential steps in the forward pass
# and two sequential steps in the backward pass.
GROWTH_STEPS = (64, 256, 1024, 4096, 8192)
GROWTH_CELLS: dict[str, Callable[[int], int]] = {
    **{name: lambda steps: 2 * steps for name in ("lstm", "gru", "rnn", "mingru", "minlstm", "rglru")},
    "mingru by rounds": lambda steps: 4 * (steps - 1).bit_length(),
}
