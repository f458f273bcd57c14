"""Options of each experiment. This module does not import TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.options import RunOptions, option
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS

# The experiments have their own names for cells. Each name is mapped to a pair: the name of the cell in the
# registry, and the arguments that differ from the defaults.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn-linear": ("rnn", {"activation": "linear"}),
    "rnn-sigmoid": ("rnn", {"activation": "sigmoid"}),
    "rnn-tanh": ("rnn", {}),
    "rnn-relu": ("irnn", {}),
    "lstm-forget-0": ("lstm", {"forget_bias": 0.0}),
    **{name: (name, {}) for name in CELLS if name not in ("rnn", "irnn")},
}

FACTOR = 4  # each lag or sequence length is this multiple of the previous one
LONGEST = 4_096  # maximum lag or sequence length; at this length, the 1,600 sequences of an epoch take 80 MB
# Maximum number of input values in a batch. It limits the memory use: an LSTM stores about ten numbers per
# input value.
LARGEST = 2**24


@dataclass(frozen=True, kw_only=True)
class Experiment(RunOptions):
    """Options of every experiment."""

    run: str = option("", "Folder for findings and figures. Default: saved_models/gradients.", stored=False)
    seed: int = option(0, "Seed of the weights and the data.", minimum=0, maximum=2**32 - 1)
    json: bool = option(False, "Print the result as one JSON document.", stored=False)


@dataclass(frozen=True, kw_only=True)
class Diagnosis(Experiment):
    """Options of the experiments that can measure a trained model instead of untrained cells."""

    run: str = option(
        "",
        "Folder for findings and figures. If the folder contains a trained run, the experiment flow measures "
        "the trained model instead of untrained cells. Default: saved_models/gradients.",
        stored=False,
    )


@dataclass(frozen=True, kw_only=True)
class Flow(Diagnosis):
    """Options of ``flow``."""

    cell: str = option(
        "all",
        "Type of the untrained cell to measure. 'all' measures every type.",
        choices=("all", *VARIANTS),
    )
    units: int = option(32, "Number of units of an untrained cell.", minimum=1)
    steps: int = option(100, "Sequence length for untrained cells (time steps).", minimum=2, maximum=2_000)
    rows: int = option(4, "Number of sequences to measure.", minimum=1)
    exact: int = option(
        128,
        "Maximum state size for which the Jacobian norm is computed exactly. For a larger state, the norm is "
        "estimated from --vectors random vectors. The estimate is a lower bound.",
        minimum=0,
    )
    vectors: int = option(
        8,
        "Number of random vectors for the estimate of the Jacobian norm. They are used only if the state is "
        "larger than --exact.",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Radius(Experiment):
    """Options of ``radius``."""

    units: int = option(32, "Number of units of the cell.", minimum=2, maximum=128)
    steps: int = option(200, "Sequence length (time steps).", minimum=20, maximum=5_000)
    below: float = option(
        0.95, "Smallest spectral radius to measure. It must be less than 1.", minimum=1e-3, maximum=0.999
    )
    above: float = option(
        1.05, "Largest spectral radius to measure. It must be greater than 1.", minimum=1.001, maximum=4
    )


@dataclass(frozen=True, kw_only=True)
class Trainings(Experiment):
    """Options of the experiments that train models."""

    xla: bool = option(True, "Compile the training step with XLA.")


@dataclass(frozen=True, kw_only=True)
class Learning(Trainings):
    """Options of the experiments that train on problems whose answers depend on much earlier inputs."""

    units: int = option(32, "Number of units of the cell.", minimum=1)
    steps: int = option(
        300, "Maximum number of training steps, rounded up to a multiple of 50 (one epoch).", minimum=1
    )
    learning_rate: float = option(0.01, "Learning rate of the optimizer.", minimum=0)


@dataclass(frozen=True, kw_only=True)
class Clipping(Learning):
    """Options of ``clipping``."""

    threshold: float = option(
        1.0,
        "Gradient clipping threshold for the training on the adding problem. The experiment also runs "
        "gradient descent on a steep loss surface, where the threshold is fixed.",
        minimum=1e-9,
    )
    lag: int = option(
        40,
        "Maximum distance from a relevant input to the answer in the adding problem (time steps).",
        minimum=4,
        maximum=LONGEST,
    )


@dataclass(frozen=True, kw_only=True)
class Truncation(Learning):
    """Options of ``truncation``."""

    length: int = option(
        128,
        "Sequence length for the comparison of the truncated gradients with the full gradient (time steps).",
        minimum=8,
        maximum=LONGEST,
    )
    lag: int = option(
        29,
        "Distance from the relevant input to the first answer in the recall problem (time steps).",
        minimum=4,
        maximum=LONGEST,
    )


@dataclass(frozen=True, kw_only=True)
class Parallel(Experiment):
    """Options of ``parallel``."""

    units: int = option(64, "Number of units of each cell.", minimum=1)
    rows: int = option(8, "Number of sequences per batch.", minimum=1)
    shortest: int = option(64, "Shortest sequence length (time steps).", minimum=2)
    lengths: int = option(
        3,
        "Number of sequence lengths to measure. Each length is four times the previous one.",
        minimum=2,
        maximum=10,
    )

    def tried(self) -> list[int]:
        """Returns the sequence lengths to measure."""
        return [self.shortest * FACTOR**power for power in range(self.lengths)]

    def check(self) -> None:
        numbers = self.rows * self.tried()[-1] * self.units
        if numbers > LARGEST:
            raise UsageError(
                f"--lengths {self.lengths} needs a batch with {numbers:,} values ({self.rows} sequences, "
                f"{self.tried()[-1]:,} steps and {self.units} units); expected at most {LARGEST:,} values; "
                "lower --lengths, --shortest, --rows or --units"
            )


@dataclass(frozen=True, kw_only=True)
class Memory(Learning):
    """Options of ``memory``."""

    cell: str = option(
        "all",
        "Type of the cell to train. 'all' trains a separate model for every type.",
        choices=("all", *VARIANTS),
    )
    steps: int = option(
        200,
        "Maximum number of training steps per problem and lag, rounded up to a multiple of 50 (one epoch). A "
        "training that learns nothing stops after 150 steps.",
        minimum=1,
    )
    shortest: int = option(
        4,
        "Shortest lag to try. The lag is the distance from an input to the answer (time steps).",
        minimum=4,
    )
    lags: int = option(
        3, "Number of lags to try. Each lag is four times the previous one.", minimum=1, maximum=10
    )

    def tried(self) -> list[int]:
        """Returns the lags to try."""
        return [self.shortest * FACTOR**power for power in range(self.lags)]

    def check(self) -> None:
        if self.tried()[-1] > LONGEST:
            raise UsageError(
                f"with --lags {self.lags} and --shortest {self.shortest}, the longest lag is "
                f"{self.tried()[-1]:,} steps; expected at most {LONGEST:,}; lower --lags or --shortest"
            )


@dataclass(frozen=True, kw_only=True)
class Order(Trainings):
    """Options of ``order``."""

    units: int = option(
        32,
        "Number of units of the recurrent and hidden layers. The embeddings have the same size.",
        minimum=1,
    )
    reviews: int = option(16_000, "Number of reviews to train on.", minimum=64, maximum=20_000)
    tests: int = option(500, "Number of reviews in each of the four tests.", minimum=1, maximum=2_000)
    epochs: int = option(4, "Number of epochs.", minimum=1)
    window: int = option(
        10,
        "Number of words that the fixed-window baseline reads at the end of each text.",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class Markov(Trainings):
    """Options of ``markov``."""

    vocabulary: int = option(3_000, "Maximum vocabulary size: number of different tokens.", minimum=10)
    units: int = option(
        64,
        "Number of units of the recurrent and hidden layers. The embeddings have the same size.",
        minimum=1,
    )
    epochs: int = option(12, "Maximum number of epochs.", minimum=1)
    # The learning rates 0.003, 0.006 and 0.01 were compared. For each type of network, the default gave the
    # lowest validation loss.
    learning_rate: float = option(0.01, "Learning rate of Adam for the recurrent network.", minimum=0)
    window_learning_rate: float = option(
        0.003, "Learning rate of Adam for the fixed-window networks.", minimum=0
    )


@dataclass(frozen=True, kw_only=True)
class All(Diagnosis):
    """Options of ``all``."""


EXPERIMENTS: dict[str, tuple[type[Experiment], str]] = {
    "flow": (Flow, "Gradient norm by distance in time, in untrained cells or in a trained model."),
    "radius": (
        Radius,
        "Gradient norm if the spectral radius of the recurrent matrix is below 1, equal to 1 or above 1.",
    ),
    "clipping": (
        Clipping,
        "Gradient descent with and without clipping, on a steep loss surface and in the training of a "
        "network.",
    ),
    "truncation": (
        Truncation,
        "Gradient error, time and memory of truncated backpropagation, and the lags that it can learn.",
    ),
    "memory": (
        Memory,
        "Smallest lag at which each cell fails to learn, and the gates that preserve the gradient.",
    ),
    "markov": (
        Markov,
        "Size and perplexity of n-gram models, fixed-window networks and a recurrent network, by context "
        "length.",
    ),
    "order": (
        Order,
        "Accuracy of text classifiers in four tests: word order, text length, distance and position.",
    ),
    "parallel": (Parallel, "Computing time of sequential and parallel cells, by sequence length."),
    "all": (All, "Run all experiments with default options, and write a report with all figures."),
}
