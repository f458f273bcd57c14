"""What can be set for translation. Loads no TensorFlow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from apps.options import (
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    data_option,
    flag,
    option,
    restore,
)
from seqmodels.errors import UsageError
from seqmodels.registry import ATTENTIONS, CELLS, FEEDINGS, PARALLEL_CELLS, SCHEDULES, TIES, UNITS

VOCABULARY = {"unit", "lowercase", "vocabulary", "minimum_count", "joint"}  # what makes it
HEADS = 4  # of the multi-head attention


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {
            "epochs": 3,
            "batch_size": 2000,
            "learning_rate": 0.004,
            "average": 0.99,
            "embedding_units": 96,
            "units": 64,
            "decoder_units": 128,
            "vocabulary": 1000,
            "shapes": 4,
            "word_dropout": 0.0,
            "dropout": 0.1,
        },
        "default": {},
        "best": {
            "epochs": 45,
            "learning_rate": 0.001,
            "vocabulary": 6000,
            "embedding_units": 256,
            "units": 320,
            "decoder_units": 640,
            "dropout": 0.5,
        },
    }

    from_: str = option(
        "", "Go on from the weights and vocabularies of this run, with its options where you set none."
    )
    data: str = data_option("grammar")
    source: str = option("", "Language, or column, to translate from. Default: the first one that is there.")
    target: str = option("", "Language, or column, to translate to. Default: the other one.")
    batch_size: int = option(1200, "Tokens of the targets in a batch, padding too.", minimum=1)
    epochs: int = option(18, "Passes over the training data, at most.", minimum=1)
    learning_rate: float = option(0.0015, "Peak learning rate.", minimum=0)
    schedule: str = option(
        "cosine",
        "Learning rate after the warm-up; plateau: a quarter after every epoch that was not the best.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.02, "Share of all steps in which the learning rate rises from 0.", minimum=0, maximum=0.99
    )
    average: float | None = option(
        0.999,
        "Score and keep averaged weights: 1 for the mean of all steps, less forgets exponentially.",
        minimum=0,
        maximum=1,
    )
    patience: int | None = option(
        6, "Stop after so many epochs without a better validation; none for never.", minimum=1
    )
    unit: str = option("wordpiece", "What a token is.", choices=UNITS[:2])
    lowercase: bool = option(False, "Lower-case all text; translations are then lower-case too.")
    vocabulary: int = option(5000, "Entries of a vocabulary, at most.", minimum=10)
    minimum_count: int = option(2, "Tokens that are rarer in the training split are unknown.", minimum=1)
    joint: bool = option(True, "One vocabulary for both languages.")
    length: int = option(
        100, "Tokens of a text, at most; longer training pairs are left out, longer inputs cut.", minimum=2
    )
    shapes: int = option(
        8, "Shapes of a batch, at most; each costs a compilation of seconds.", minimum=1, maximum=8
    )
    tie: str = option(
        "all",
        "What the output's matrix shares: nothing, the target embedding, or one embedding of both languages.",
        choices=TIES,
        model=True,
    )
    embedding_units: int = option(
        192, "Width of a token's vector and of the decoder's output.", minimum=1, model=True
    )
    cell: str = option("lstm", "Recurrent cell.", choices=tuple(CELLS), model=True)
    units: int = option(192, "Features of each recurrent state of the encoder.", minimum=1, model=True)
    decoder_units: int = option(
        320, "Features of each recurrent state of the decoder.", minimum=1, model=True
    )
    layers: int = option(
        1, "Recurrent layers on top of each other, in encoder and decoder.", minimum=1, model=True
    )
    bidirectional: bool = option(True, "Run each layer of the encoder in both directions.", model=True)
    attention: str = option(
        "general",
        "How the decoder looks at the source; none: not at all.",
        choices=(*ATTENTIONS, "none"),
        model=True,
    )
    feeding: str = option(
        "none",
        "What of it enters the recurrence: nothing (fast), the last output (Luong's input feeding), or the "
        "context of this step (Bahdanau).",
        choices=FEEDINGS,
        model=True,
    )
    deep_output: bool = option(
        False, "Show the decoder's output the token before, and end in a maxout.", model=True
    )
    normalize: bool = option(False, "Layer normalisation between encoder, decoder and output.", model=True)
    word_dropout: float = option(
        0.05, "Probability of hiding a token in training.", minimum=0, maximum=0.99, model=True
    )
    dropout: float = option(
        0.3, "Probability of dropping a feature between layers.", minimum=0, maximum=0.99, model=True
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
    label_smoothing: float = option(
        0.1, "Share of the target that is spread over the whole vocabulary.", minimum=0, maximum=0.99
    )
    scheduled_sampling: float = option(
        0.0,
        "Share of the target's tokens that training replaces by the model's own; slow.",
        minimum=0,
        maximum=1,
        model=True,
    )
    sampling_steps: int = option(5000, "Steps in which that share rises from 0.", minimum=1, model=True)

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """The options of the run that ``--from`` names, its direction and its vocabulary among them.

        Raises:
            UsageError: it is no run, or an option cannot differ from its own.
        """
        run = explicit.get("from_")
        if not run:
            return {}
        try:
            stored, pairs = (
                json.loads(Path(run, name).read_text(encoding="utf-8"))
                for name in ("options.json", "assets/pairs.json")
            )
            languages = {name: pairs[name] for name in ("source", "target")}
            options = asdict(restore(cls, stored, f"{run}/options.json"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"--from {run}: is no run of translation ({error}); name a trained one"
            ) from error
        for name in sorted(VOCABULARY & explicit.keys()):
            if explicit[name] != options[name]:
                raise UsageError(
                    f"{flag(name)} {explicit[name]}: --from keeps the vocabulary of its run, where this is "
                    f"{options[name]}; leave it out"
                )
        if "preset" in explicit:
            raise UsageError("--preset: --from takes the options of its run instead; leave one of them out")
        return {**options, **languages}

    def check(self) -> None:
        super().check()
        if self.from_ and not os.path.exists(os.path.join(self.from_, "model.keras")):
            raise UsageError(f"--from {self.from_}: its training is not finished; name a trained run")
        if self.from_ and os.path.realpath(self.from_) == os.path.realpath(self.run):
            raise UsageError(
                f"--from {self.from_}: is the run that would be written; name another with --run"
            )
        if self.cell in PARALLEL_CELLS and (self.recurrent_dropout or self.weight_dropout):
            raise UsageError(f"--cell {self.cell}: has no recurrent product; leave its dropouts at 0")
        if self.tie == "all" and not self.joint:
            raise UsageError("--tie all: needs one vocabulary for both languages; leave out --no-joint")
        if self.attention == "none" and self.feeding == "context":
            raise UsageError("--feeding context: without attention there is none; choose none or output")
        memory = self.units * (2 if self.bidirectional else 1)
        if self.attention == "dot" and memory != self.decoder_units:
            raise UsageError(
                f"--attention dot: compares encoder outputs of width {memory} with --decoder-units "
                f"{self.decoder_units}; make both equal, or take general"
            )
        if self.attention == "multi-head" and self.decoder_units % HEADS:
            raise UsageError(f"--decoder-units {self.decoder_units}: expected a multiple of {HEADS} heads")


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    beam: int = option(5, "Translations that are followed at once; 1 is greedy.", minimum=1)
    length_penalty: float = option(1.0, "Favour of long translations (Wu et al. 2016).", minimum=0)
    coverage_penalty: float = option(
        0.0, "Favour of translations that attend to all of the source.", minimum=0
    )
    no_repeat: int = option(0, "No n-gram of so many tokens comes twice; 0: any may.", minimum=0)

    def check(self) -> None:
        super().check()
        check_ranking(self)


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    beam: int = option(5, "Translations that are followed at once; 1 is greedy.", minimum=1)
    best: int = option(1, "Translations to show of each text, at most as many as --beam.", minimum=1)
    length_penalty: float = option(1.0, "Favour of long translations (Wu et al. 2016).", minimum=0)
    coverage_penalty: float = option(
        0.0, "Favour of translations that attend to all of the source.", minimum=0
    )
    no_repeat: int = option(0, "No n-gram of so many tokens comes twice; 0: any may.", minimum=0)
    minimum: int = option(0, "Tokens of a translation, at least.", minimum=0)
    maximum: int | None = option(
        None, "Tokens of a translation, at most; none for twice those of the source and 10.", minimum=1
    )
    align: bool = option(False, "Show which word of the source each word attends to.")
    plot: bool = option(False, "Draw the attention of each translation into the run's plots.")

    def check(self) -> None:
        super().check()
        check_ranking(self)
        if self.best > self.beam:
            raise UsageError(f"--best {self.best}: a beam of {self.beam} has no more; raise --beam")
        if self.maximum is not None and self.minimum > self.maximum:
            raise UsageError(f"--minimum {self.minimum}: is more than --maximum {self.maximum}")
        if (self.align or self.plot) and self.model != "keras":
            raise UsageError(
                f"--model {self.model}: hands out no attention; leave --align and --plot to keras"
            )


def check_ranking(options: Evaluate | Predict) -> None:
    """Raises UsageError where what ranks the translations of a beam is set and there is none."""
    for name in ("length_penalty", "coverage_penalty"):
        if options.beam == 1 and getattr(options, name) != getattr(type(options), name):
            raise UsageError(
                f"{flag(name)}: ranks the translations of a beam; --beam 1 has one, leave it out"
            )
