"""What can be set for language modeling. Loads no TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

from apps.options import (
    EvaluateOptions,
    PredictOptions,
    RunOptions,
    TrainOptions,
    data_option,
    flag,
    option,
)
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS, OPTIMIZERS, PARALLEL_CELLS, SCHEDULES, SPLITS, UNITS

# What a fixed-window model has not.
OF_RECURRENT = ("cell", "layers", "residual", "layer_dropout", "recurrent_dropout", "weight_dropout")
# Options that mean nothing beside a value of another one, which leaves them at their defaults.
WITHOUT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "unit": {"character": ("split",), "byte": ("split", "vocabulary", "minimum_count")},
    "model": {"recurrent": ("window",), "fixed-window": OF_RECURRENT},
}
BY_FREQUENCY = ("word", "character")  # units whose ids go from frequent to rare
# Where the common rate is too high, and what all but an LSTM bear with sgd (benchmarks/experiments.md).
ADAM_RATES = {"rnn": 0.0005}
SGD_RATE = 2.0


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {
            "epochs": 16,
            "batch_size": 8,
            "optimizer": "adam",
            "learning_rate": 0.003,
            "schedule": "cosine",
            "clipnorm": 1.0,
            "split": "punctuation",
            "embedding_units": 128,
            "units": 128,
            "layers": 1,
            "embedding_dropout": 0.05,
            "input_dropout": 0.3,
            "output_dropout": 0.4,
            "weight_dropout": 0.2,
        },
        "default": {},
        # The means of Merity et al. 2018 in smaller doses, at a size that two cores train in three hours.
        "best": {
            "epochs": 35,
            "learning_rate": 30.0,
            "embedding_units": 500,
            "units": 500,
            "samples": 2000,
            "embedding_dropout": 0.05,
            "input_dropout": 0.4,
            "layer_dropout": 0.25,
            "output_dropout": 0.4,
            "weight_dropout": 0.3,
            "activation_penalty": 2.0,
            "temporal_penalty": 1.0,
        },
    }

    data: str = data_option("prose", "code")
    epochs: int = option(16, "Passes over the training data, at most.", minimum=1)
    batch_size: int = option(20, "Columns of running text that are read side by side.", minimum=1)
    optimizer: str = option(
        "sgd", "Any optimizer of Keras; of other models than an LSTM it is adam.", choices=OPTIMIZERS
    )
    learning_rate: float = option(
        20.0,
        "Peak learning rate; of other models than an LSTM with sgd 2; with other optimizers 0.002, of --cell "
        "rnn then 0.0005.",
        minimum=0,
    )
    schedule: str = option(
        "cosine",
        "Learning rate after the warm-up; plateau: a quarter after every epoch that was not the best.",
        choices=SCHEDULES,
    )
    clipnorm: float | None = option(
        0.25,
        "Threshold of the gradient clipping, of other optimizers than sgd 1; none for no clipping.",
        minimum=1e-9,
    )
    patience: int | None = option(
        8, "Stop after so many epochs without a better validation; none for never.", minimum=1
    )

    unit: str = option(
        "word",
        "What a token is; of embedded:code a character.",
        choices=UNITS,
    )
    split: str = option(
        "whitespace",
        "Where the words end that units are cut out of: at white space, at punctuation too, or at all but "
        "letters and digits.",
        choices=SPLITS,
    )
    lowercase: bool = option(False, "Lower-case all text.")
    vocabulary: int = option(20_000, "Entries of the vocabulary, at most.", minimum=6)
    minimum_count: int | None = option(
        None,
        "Tokens that are rarer in the training split are unknown; none for 1 where the text marks unknown "
        "words and is read by words, else 2.",
        minimum=1,
    )
    model: str = option(
        "recurrent",
        "All tokens before decide, or a window of them alone (Bengio et al. 2003).",
        choices=("recurrent", "fixed-window"),
    )
    window: int = option(5, "Tokens that decide in a fixed-window model.", minimum=1, model=True)
    embedding_units: int = option(200, "Width of a token's vector.", minimum=1, model=True)
    cell: str = option("lstm", "Recurrent cell.", choices=tuple(CELLS), model=True)
    units: int = option(
        200, "Features of a recurrent state, or hidden ones of a fixed window.", minimum=1, model=True
    )
    layers: int = option(2, "Recurrent layers on top of each other.", minimum=1, model=True)
    residual: bool = option(False, "Add the input of a recurrent layer to its output.", model=True)
    tied: bool = option(True, "Share the matrix of the embedding with the output layer.", model=True)
    cutoffs: str | None = option(
        None, "Adaptive softmax: the ids where its clusters begin, as 2000,10000; needs --no-tied."
    )
    samples: int = option(
        0,
        "Sampled softmax: train against so many tokens, half of them the most frequent, half drawn from the "
        "rest; 0, or no fewer than there are: against all. The loss of the training is then a little low.",
        minimum=0,
    )
    embedding_dropout: float = option(
        0.0,
        "Probability of dropping all occurrences of a token's type.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    input_dropout: float = option(
        0.2,
        "Probability of dropping a feature of the embedded tokens.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    layer_dropout: float = option(
        0.2,
        "Probability of dropping a feature between layers.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    output_dropout: float = option(
        0.2,
        "Probability of dropping a feature before the output.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    recurrent_dropout: float = option(
        0.0,
        "Probability of dropping a feature of the state.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    weight_dropout: float = option(
        0.0,
        "Probability of dropping a recurrent weight.",
        minimum=0,
        maximum=0.99,
        model=True,
    )
    activation_penalty: float = option(
        0.0, "Weight of the mean square of the outputs (AR of Merity et al. 2018).", minimum=0
    )
    temporal_penalty: float = option(
        0.0, "Weight of the mean square of their change from step to step (TAR).", minimum=0
    )
    steps: int = option(35, "Steps of truncated backpropagation.", minimum=1)
    jitter: int = option(
        1,
        "Numbers of steps to draw from for each batch, evenly from 3/4 to 5/4 of --steps; each costs a "
        "compilation of seconds.",
        minimum=1,
        maximum=8,
    )

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """What other choices imply, whatever the preset says."""
        preset = cls.presets[explicit.get("preset", "default")]
        implied = cls._optimization(preset, explicit)
        if explicit.get("data") == "embedded:code":
            implied["unit"] = "character"
        chosen = {"unit": cls.unit, "model": cls.model, "layers": cls.layers, **preset, **implied, **explicit}
        if chosen["layers"] == 1:
            implied["layer_dropout"] = 0.0
        if explicit.get("cutoffs") or chosen["unit"] not in BY_FREQUENCY:
            implied["samples"] = 0
        if explicit.get("cell") in PARALLEL_CELLS:
            implied |= {"recurrent_dropout": 0.0, "weight_dropout": 0.0}
        for choice, without in WITHOUT.items():
            implied |= {name: getattr(cls, name) for name in without.get(chosen[choice], ())}
        return implied

    @classmethod
    def _optimization(cls, preset: Mapping[str, Any], explicit: Mapping[str, Any]) -> dict[str, Any]:
        """The optimizer that suits the model, and the rate and the clipping that suit both. What a preset has
        is for an LSTM; with its sgd others learn late or not at all (benchmarks/experiments.md)."""
        usual = preset.get("optimizer", cls.optimizer)
        fixed = explicit.get("model") == "fixed-window"
        kind = "fixed-window" if fixed else explicit.get("cell", cls.cell)
        optimizer = explicit.get("optimizer", usual if kind == "lstm" else "adam")
        if kind == "lstm" and optimizer == usual:
            return {}
        if optimizer == "sgd":
            rate, clipnorm = cls.learning_rate if kind == "lstm" else SGD_RATE, cls.clipnorm
        else:
            rate, clipnorm = ADAM_RATES.get(kind, TrainOptions.learning_rate), TrainOptions.clipnorm
        return {"optimizer": optimizer, "learning_rate": rate, "clipnorm": clipnorm}

    def check(self) -> None:
        super().check()
        for choice, without in WITHOUT.items():
            value = getattr(self, choice)
            for name in without.get(value, ()):
                if getattr(self, name) != getattr(type(self), name):
                    raise UsageError(f"{flag(name)}: {flag(choice)} {value} has no such thing; leave it out")
        if self.model == "recurrent" and self.layers == 1 and self.layer_dropout:
            raise UsageError("--layer-dropout: is between layers, and there is one; leave it out")
        if self.cell in PARALLEL_CELLS and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError(f"--cell {self.cell}: has no recurrent product; leave its dropouts at 0")
        if self.residual and self.layers == 1 and self.units != self.embedding_units:
            raise UsageError(
                f"--residual: the one layer has {self.units} features and its input {self.embedding_units}; "
                "give as many --units as --embedding-units, or two --layers"
            )
        if self.jitter > 1 and len(self.lengths) == 1:
            raise UsageError(f"--jitter {self.jitter}: only {self.steps} is near {self.steps}; raise --steps")
        for name in ("cutoffs", "samples"):
            if getattr(self, name) and self.unit not in BY_FREQUENCY:
                raise UsageError(f"{flag(name)}: needs ids by frequency, which --unit {self.unit} has not")
        if self.cutoffs is not None:
            edges = self.cluster_edges
            if not edges or edges[0] < 1 or any(left >= right for left, right in pairwise(edges)):
                raise UsageError(f"--cutoffs {self.cutoffs}: expected rising numbers, as 2000,10000")
            if self.tied:
                raise UsageError("--cutoffs: an adaptive softmax has matrices of its own; give --no-tied too")
            if self.samples:
                raise UsageError("--samples: is of the full softmax, and --cutoffs of another; choose one")
        if 0 < self.samples < 4:
            raise UsageError(f"--samples {self.samples}: two frequent and two drawn tokens at least; give 4")

    @property
    def cluster_edges(self) -> list[int]:
        """Of ``--cutoffs``; empty for the full softmax, and where it is not made of numbers."""
        try:
            return [int(part) for part in (self.cutoffs or "").split(",") if self.cutoffs]
        except ValueError:
            return []

    @property
    def lengths(self) -> list[int]:
        """The numbers of steps that ``--jitter`` draws from."""
        if self.jitter == 1:
            return [self.steps]
        shares = (3 / 4 + index / (self.jitter - 1) / 2 for index in range(self.jitter))
        return sorted({max(round(share * self.steps), 1) for share in shares})


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    beside: str | None = option(None, "Another run for the same table, such as one with a fixed window.")
    dynamic: bool = option(
        False, "Also let the model learn from the text as it reads (dynamic evaluation, Krause et al. 2018)."
    )
    dynamic_rate: float = option(0.002, "Its learning rate.", minimum=0)
    dynamic_decay: float = option(0.02, "How strongly its weights are drawn back.", minimum=0)
    cache: int = option(
        0, "Also remember so many outputs (continuous cache, Grave et al. 2017); 0: no.", minimum=0
    )
    cache_flatness: float = option(0.66, "How much the likeness of two outputs counts in it.", minimum=0)
    cache_weight: float = option(0.13, "Its share of the probability.", minimum=0, maximum=1)

    def check(self) -> None:
        super().check()
        if self.model != "keras" and (self.dynamic or self.cache):
            raise UsageError(f"--model {self.model}: dynamic evaluation and cache need the Keras model")
        for way, on in (("dynamic", self.dynamic), ("cache", self.cache)):
            for name in (f.name for f in fields(self) if f.name.startswith(f"{way}_")):
                if not on and getattr(self, name) != getattr(type(self), name):
                    raise UsageError(f"{flag(name)}: is of --{way}; give that too")
        if self.beside and not os.path.exists(os.path.join(self.beside, "metrics.json")):
            raise UsageError(f"--beside {self.beside}: is no finished run; name a trained one")


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``, which is called ``score`` here."""

    surprise: float = option(
        0.001, "Mark tokens that the model gives a smaller probability.", minimum=0, maximum=1
    )


@dataclass(frozen=True, kw_only=True)
class Generate(RunOptions):
    """Options of ``generate``."""

    length: int = option(100, "Tokens to add.", minimum=1)
    temperature: float = option(
        1.0, "Below 1 likelier tokens, above 1 others; 0: always the likeliest.", minimum=0
    )
    top_k: int = option(0, "Draw from so many of the likeliest tokens; 0: from all.", minimum=0)
    top_p: float = option(
        1.0, "Draw from the fewest likeliest tokens with this probability.", minimum=1e-9, maximum=1
    )
    beams: int = option(1, "Search for the likeliest text with so many beams, and draw nothing.", minimum=1)
    repetition_penalty: float = option(1.0, "Above 1: what came before is less likely.", minimum=1e-9)
    seed: int = option(0, "The same one gives the same text.", minimum=0, maximum=2**32 - 1)
    stop: str | None = option(None, "Stop before this text.")
    json: bool = option(False, "Print one JSON document for each prompt.")

    def check(self) -> None:
        if self.beams > 1 and (self.temperature != 1.0 or self.top_k or self.top_p < 1):
            raise UsageError("--beams: searches, and --temperature, --top-k and --top-p draw; choose one")
