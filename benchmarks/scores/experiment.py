"""The classes of the experiment table: an experiment, its data, and the scores that the tables show."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field

SHORT = 10.0  # trainings below this number of minutes are repeated with 5 seeds
SEEDS = 5


@dataclass(frozen=True)
class Source:
    """A data set.

    Attributes:
        name: value of ``--data``: a path relative to the data folder, or the name of an embedded data set.
        title: name of the data set in the tables.
        obtain: description of the source and the files of the data set.
        files: files that the data set needs, relative to the data folder. Empty for embedded data sets.
        kind: "labeled" (tables of texts and labels), "pairs" (one file per language and split), or "other".
            Only data sets of the first two kinds can be cut.
    """

    name: str
    title: str
    obtain: str
    files: tuple[str, ...] = ()
    kind: str = "other"

    @property
    def embedded(self) -> bool:
        return not self.files


@dataclass(frozen=True)
class Score:
    """A score of the tables.

    Attributes:
        title: name of the score in the header of a table, with its unit.
        higher: if True, higher values are better.
        factor: number by which the value is multiplied in the tables, such as 100 for percent.
        digits: number of decimals in the tables.
    """

    title: str
    higher: bool
    factor: float = 1
    digits: int = 2

    def shown(self, value: float) -> str:
        """Returns the value as it appears in a table.

        >>> Score("accuracy (%)", True, 100).shown(0.98765)
        '98.77'
        """
        return f"{self.factor * value:.{self.digits}f}"


# Maps the keys of `evaluate --json` to the scores of the tables.
SCORES = {
    "accuracy": Score("accuracy (%)", True, 100),
    "macro_f1": Score("macro F1 (%)", True, 100),
    "log_loss": Score("log loss (nats)", False, digits=4),
    "perplexity": Score("perplexity", False),
    "word_perplexity": Score("perplexity per word", False),
    "bits_per_character": Score("bits per character", False, digits=3),
    "bleu": Score("BLEU", True),
    "chrf": Score("chrF", True),
    "nll": Score("negative log-likelihood", False, digits=4),
    "crps": Score("CRPS", False, digits=4),
    "mse_scaled": Score("MSE", False, digits=3),
    "mae_scaled": Score("MAE", False, digits=3),
    "owa": Score("OWA", False, digits=3),
    "smape": Score("sMAPE", False, digits=3),
    "mase": Score("MASE", False, digits=3),
}


@dataclass(frozen=True)
class Experiment:
    """A model whose scores are published: its data, its training, and the number of trainings.

    Attributes:
        name: name of the experiment and of its folder of records.
        task: name of the app.
        source: data set.
        model: description of the model in the tables.
        train: arguments of ``train``, without ``--data``, ``--seed`` and ``--run``.
        minutes: expected wall time of one training on two cores, in minutes.
        scores: keys of the scores in the tables. The model and the baselines are compared by the first score.
        seeds: number of trainings. The seeds are 0, 1, 2 and so on.
        evaluate: arguments of ``evaluate``.
        files: formats of the TFLite files to measure, as values of ``convert --quantize``.
        convert: further arguments of ``convert``.
        cut: number of training texts or pairs. Default: all.
        published: scores of other publications on the same test split, with their sources.

    Raises:
        ValueError: the number of seeds does not fit the training time, or the data cannot be cut.
    """

    name: str
    task: str
    source: Source
    model: str
    train: tuple[str, ...]
    minutes: float
    scores: tuple[str, ...]
    seeds: int = SEEDS
    evaluate: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    convert: tuple[str, ...] = ()
    cut: int | None = None
    published: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        allowed = {SEEDS} if self.minutes < SHORT else {1, 3, SEEDS}
        if self.seeds not in allowed:
            raise ValueError(
                f"{self.name} must have {' or '.join(map(str, sorted(allowed)))} seeds, because a training "
                f"takes {self.minutes:g} minutes; got {self.seeds}"
            )
        if self.cut is not None and self.source.kind == "other":
            raise ValueError(f"{self.name} cannot have a cut, because {self.source.name} cannot be cut")
        if unknown := [key for key in self.scores if key not in SCORES]:
            raise ValueError(f"{self.name} has the score {unknown[0]}; expected one of {', '.join(SCORES)}")

    def data(self, seed: int) -> str:
        """Returns the value of ``--data``. Each seed has its own cut."""
        return self.source.name if self.cut is None else f"{self.source.name}-{self.cut}-{seed}"

    def arguments(self, seed: int) -> list[str]:
        """Returns the arguments of ``train`` without the folder of the run."""
        return ["--data", self.data(seed), *self.train, "--seed", str(seed)]

    def command(self, seed: int) -> str:
        """Returns the training command as the tables show it."""
        return shlex.join(["python", "-m", f"apps.{self.task}", "train", *self.arguments(seed)])
