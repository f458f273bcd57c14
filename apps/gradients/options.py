"""What can be set for each experiment. Loads no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.options import RunOptions, option
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS

# Cells as the laboratory names them: a name of the registry and what differs from it.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn-linear": ("rnn", {"activation": "linear"}),
    "rnn-sigmoid": ("rnn", {"activation": "sigmoid"}),
    "rnn-tanh": ("rnn", {}),
    "rnn-relu": ("irnn", {}),
    "lstm-forget-0": ("lstm", {"forget_bias": 0.0}),
    **{name: (name, {}) for name in CELLS if name not in ("rnn", "irnn")},
}

FACTOR = 4  # from one lag or length to the next
LONGEST = 4_096  # steps of a sequence to learn from: 80 MB for the 1,600 of an epoch
LARGEST = 2**24  # features of all steps of a batch: an LSTM keeps about ten times as many numbers


@dataclass(frozen=True, kw_only=True)
class Experiment(RunOptions):
    """Options of every experiment."""

    run: str = option(
        "", "Folder of the findings and figures. Default: saved_models/gradients.", stored=False
    )
    seed: int = option(0, "For weights and data.", minimum=0, maximum=2**32 - 1)
    json: bool = option(False, "Print one JSON document.", stored=False)


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Experiment):
    """Options of the experiments that also look at a trained run."""

    run: str = option(
        "",
        "A trained run to diagnose, which then keeps the findings, or a folder for those of fresh cells. "
        "Default: fresh cells, saved_models/gradients.",
        stored=False,
    )


@dataclass(frozen=True, kw_only=True)
class Flow(Diagnosis):
    """Options of ``flow``."""

    cell: str = option("all", "Which fresh cell.", choices=("all", *VARIANTS))
    units: int = option(32, "Features of each state of a fresh cell.", minimum=1)
    steps: int = option(100, "Length of the sequences of a fresh cell.", minimum=2, maximum=2_000)
    rows: int = option(4, "Sequences to measure on.", minimum=1)
    exact: int = option(
        128, "Largest state that is measured by whole Jacobians; beyond, by vector products.", minimum=0
    )
    vectors: int = option(8, "Vector products for a larger state.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Radius(Experiment):
    """Options of ``radius``."""

    units: int = option(32, "Features of the state.", minimum=2, maximum=128)
    steps: int = option(200, "Steps of distance.", minimum=20, maximum=5_000)
    below: float = option(0.95, "The spectral radius below 1.", minimum=1e-3, maximum=0.999)
    above: float = option(1.05, "The spectral radius above 1.", minimum=1.001, maximum=4)


@dataclass(frozen=True, kw_only=True)
class Trainings(Experiment):
    """Options of the experiments that train."""

    xla: bool = option(True, "Compile the training steps by XLA.")


@dataclass(frozen=True, kw_only=True)
class Learning(Trainings):
    """Options of the experiments that learn problems of a lag."""

    units: int = option(32, "Features of each state.", minimum=1)
    steps: int = option(300, "Steps of a training, at most, in epochs of 50.", minimum=1)
    learning_rate: float = option(0.01, "Of the optimizer.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class Clipping(Learning):
    """Options of ``clipping``."""

    threshold: float = option(1.0, "Threshold of the clipping in the training.", minimum=1e-9)
    lag: int = option(40, "Length of the sequences of the training.", minimum=4, maximum=LONGEST)


@dataclass(frozen=True, kw_only=True)
class Truncation(Learning):
    """Options of ``truncation``."""

    length: int = option(
        128, "Length of the sequences whose gradients are compared.", minimum=8, maximum=LONGEST
    )
    lag: int = option(29, "Steps that the learned dependency spans.", minimum=4, maximum=LONGEST)


@dataclass(frozen=True, kw_only=True)
class Parallel(Experiment):
    """Options of ``parallel``."""

    units: int = option(64, "Features of each state.", minimum=1)
    rows: int = option(8, "Sequences in a batch.", minimum=1)
    shortest: int = option(64, "Steps of the shortest sequences.", minimum=2)
    lengths: int = option(3, "How many lengths, each four times the one before.", minimum=2, maximum=10)

    def tried(self) -> list[int]:
        """The lengths."""
        return [self.shortest * FACTOR**power for power in range(self.lengths)]

    def check(self) -> None:
        numbers = self.rows * self.tried()[-1] * self.units
        if numbers > LARGEST:
            raise UsageError(
                f"--lengths {self.lengths}: {self.rows} rows of {self.tried()[-1]:,} steps and {self.units} "
                f"units are {numbers:,} numbers; expected at most {LARGEST:,}: lower one of them"
            )


@dataclass(frozen=True, kw_only=True)
class Memory(Learning):
    """Options of ``memory``."""

    cell: str = option("all", "Which cell.", choices=("all", *VARIANTS))
    steps: int = option(
        200,
        "Steps of a training, at most, in epochs of 50; after 150 one that explains nothing is given up.",
        minimum=1,
    )
    shortest: int = option(4, "The first lag.", minimum=4)
    lags: int = option(3, "How many lags, each four times the one before.", minimum=1, maximum=10)

    def tried(self) -> list[int]:
        """The lags."""
        return [self.shortest * FACTOR**power for power in range(self.lags)]

    def check(self) -> None:
        if self.tried()[-1] > LONGEST:
            raise UsageError(
                f"--lags {self.lags}: the last lag from --shortest {self.shortest} is {self.tried()[-1]:,} "
                f"steps; expected at most {LONGEST:,}: lower one of both"
            )


@dataclass(frozen=True, kw_only=True)
class Order(Trainings):
    """Options of ``order``."""

    units: int = option(32, "Features of the recurrent state and of the hidden layers.", minimum=1)
    reviews: int = option(16_000, "Reviews to train on.", minimum=64, maximum=20_000)
    tests: int = option(500, "Reviews of each test.", minimum=1, maximum=2_000)
    epochs: int = option(4, "Passes over the reviews.", minimum=1)
    window: int = option(10, "Words that the fixed window at the end sees.", minimum=1)


@dataclass(frozen=True, kw_only=True)
class Markov(Trainings):
    """Options of ``markov``."""

    vocabulary: int = option(3_000, "Entries of the vocabulary, at most.", minimum=10)
    units: int = option(64, "Width of a word's vector, and features of the hidden layers.", minimum=1)
    epochs: int = option(12, "Passes over the text, at most.", minimum=1)
    # Of 0.003, 0.006 and 0.01 those with the least validation loss, for each kind of network.
    learning_rate: float = option(0.01, "Of Adam, for the recurrent network.", minimum=0)
    window_learning_rate: float = option(0.003, "Of Adam, for the windows.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class All(Diagnosis):
    """Options of ``all``."""


EXPERIMENTS: dict[str, tuple[type[Experiment], str]] = {
    "flow": (Flow, "How much gradient arrives from how many steps away, in fresh cells or a trained run."),
    "radius": (Radius, "Below, at and above a spectral radius of 1: decay, preservation, explosion."),
    "clipping": (Clipping, "With and without clipping: on a cliff of the loss, and in a training."),
    "truncation": (Truncation, "Truncated against full backpropagation: bias, cost, what is lost."),
    "memory": (Memory, "The lag at which each cell fails to learn, and the gates that keep the gradient."),
    "markov": (Markov, "The price of context: tables, fixed windows, and a recurrent state."),
    "order": (Order, "The four demands on a sequence model: order, length, distance, sharing."),
    "parallel": (Parallel, "Time of sequential against parallel cells as the sequence grows."),
    "all": (All, "Every experiment in its default form, and a report with all figures."),
}
