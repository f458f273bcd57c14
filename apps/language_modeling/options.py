"""Options of language modeling. This module does not import TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, ClassVar

from apps.options import (
    AUTO,
    EvaluateOptions,
    ExportOptions,
    PredictOptions,
    RunOptions,
    TrainOptions,
    check_dropouts,
    check_reading,
    column_option,
    data_option,
    encoding_option,
    flag,
    option,
    probability,
)
from apps.search import ByOption
from seqmodels.errors import UsageError
from seqmodels.registry import CELLS, OPTIMIZERS, PARALLEL_CELLS, SCHEDULES, SPLITS, UNITS

# Options that do not apply to a fixed-window model.
OF_RECURRENT = ("cell", "layers", "residual", "layer_dropout", "recurrent_dropout", "weight_dropout")
# Some values of ``--unit`` and ``--model`` exclude other options. This table lists the excluded options of
# each value. Excluded options must keep their defaults.
WITHOUT: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "unit": {"character": ("split",), "byte": ("split", "vocabulary", "minimum_count")},
    "model": {"recurrent": ("window",), "fixed-window": OF_RECURRENT},
}
TOKENS = "'auto': follows from the unit and the number of tokens."  # explanation of the default
OF_CHARACTERS = ("character", "byte")  # units with few different tokens
BY_FREQUENCY = ("word", "character")  # units whose token ids are sorted from frequent to rare
MAXIMUM_ORDER = 5  # largest number of tokens in an n-gram
MIX_ORDER = 5  # default order of the n-grams of --mix


def mix_option(does: str) -> Any:
    """Declares ``--mix``.

    Args:
        does: description of what the verb does with the mixture, for the help.
    """
    return option(
        False,
        f"{does} The mixture predicts with w * model + (1 - w) * modified Kneser-Ney n-grams of the training "
        "split. The weight w is fitted on the validation split.",
    )


def mix_order_option() -> Any:
    """Declares ``--mix-order``."""
    return option(
        MIX_ORDER, "Number of tokens in the longest n-grams of --mix.", minimum=2, maximum=MAXIMUM_ORDER
    )


def check_mix(mix: bool, order: int) -> None:
    """Raises UsageError if ``--mix-order`` is set without ``--mix``."""
    if order != MIX_ORDER and not mix:
        raise UsageError(f"--mix-order {order} needs --mix; add --mix or remove --mix-order")


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    fixed: ClassVar[frozenset[str]] = frozenset({"unit", "split", "lowercase", "vocabulary", "minimum_count"})
    reading: ClassVar[tuple[str, ...]] = ("text", "encoding")
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
        # The model is smaller than in Merity et al. 2018, and its regularization is weaker. Two cores train
        # it in three hours.
        "best": {
            "epochs": 35,
            "batch_size": 20,
            "steps": 35,
            "optimizer": "sgd",
            "learning_rate": 30.0,
            "clipnorm": 0.25,
            "layers": 2,
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

    data: str = data_option("prose", "code", others="a text file, a table, a folder, or tfds:NAME")
    text: str | None = column_option("the texts", "the column 'text'")
    encoding: str | None = encoding_option()
    epochs: int = option(
        AUTO,
        "Maximum number of passes over the training data. " + TOKENS,
        minimum=1,
        auto=True,
    )
    batch_size: int = option(
        AUTO,
        "Number of sequences per batch, N. The training text is cut into N parts, which are read in "
        "parallel. 'auto': 32 for characters and bytes; 10 for few tokens, else 20.",
        minimum=1,
        auto=True,
        search=[8, 16, 20, 32, 64],
    )
    optimizer: str = option(
        AUTO,
        "Keras optimizer. 'auto': 'sgd' for an LSTM on many words, else 'adam'.",
        choices=OPTIMIZERS,
        auto=True,
        search=["sgd", "adam"],
    )
    learning_rate: float = option(
        AUTO,
        "Peak of the learning rate. 'auto' with --optimizer sgd: 20 for --cell lstm, 2 for other models. "
        "'auto' with other optimizers: 0.003 for --cell lstm, 0.0005 for --cell rnn, else 0.002.",
        minimum=0,
        auto=True,
        search=ByOption("optimizer", {"sgd": (1.0, 50.0, "log")}, others=(2e-4, 2e-2, "log")),
    )
    schedule: str = option(
        "cosine",
        "How the learning rate changes after the warm-up. 'plateau' divides the learning rate by 4 after "
        "each epoch without a new best validation score.",
        choices=SCHEDULES,
    )
    clipnorm: float | None = option(
        AUTO,
        "Threshold of gradient clipping (see --clip-by). 'none' disables clipping. 'auto': 0.25 for "
        "--optimizer sgd, 1 for other optimizers.",
        minimum=1e-9,
        auto=True,
    )
    patience: int | None = option(
        8,
        "Stop after N consecutive epochs without a new best validation score. 'none' disables early "
        "stopping.",
        minimum=1,
    )

    unit: str = option(
        "word",
        "Type of the tokens. Default: 'character' for --data embedded:code, 'word' for other data.",
        group="Data",
        choices=UNITS,
    )
    split: str = option(
        "auto",
        "Rule that separates words. 'whitespace': only white space separates words. 'punctuation': each "
        "punctuation mark is also a word. 'letters': words consist of letters and digits; all other "
        "characters are dropped. 'auto': as 'whitespace', but emoji, emoticons, ! and ? are also words, and "
        "each character of Chinese, Japanese, Thai, Lao, Khmer and Burmese is a word.",
        group="Data",
        choices=SPLITS,
    )
    lowercase: bool = option(False, "Convert all text to lower case.", group="Data")
    vocabulary: int = option(
        20_000, "Maximum number of different tokens in the vocabulary.", group="Data", minimum=6
    )
    minimum_count: int | None = option(
        None,
        "Minimum number of occurrences of a token in the training split. Rarer tokens become the unknown "
        "token. Default: 2. Some texts contain the word <unk> in place of rare words. For such a text, the "
        "default is 1 if --unit is word or wordpiece, and --split is auto or whitespace.",
        group="Data",
        minimum=1,
    )
    model: str = option(
        "recurrent",
        "Type of the model. 'recurrent': a recurrent network. 'fixed-window': a feed-forward network that "
        "reads only the last --window tokens (Bengio et al. 2003).",
        group="Model",
        choices=("recurrent", "fixed-window"),
    )
    window: int = option(
        5,
        "Number of previous tokens from which a fixed-window model predicts the next token.",
        minimum=1,
        model=True,
    )
    embedding_units: int = option(
        AUTO,
        "Dimension of the token embeddings. 'auto': 64 for characters and bytes, else 200.",
        minimum=1,
        model=True,
        auto=True,
        search=[64, 128, 200, 300],
    )
    cell: str = option(
        "lstm", "Type of the recurrent cells.", choices=tuple(CELLS), model=True, search=["lstm", "gru"]
    )
    units: int = option(
        AUTO,
        "Number of units of each recurrent layer, or of the hidden layer of a fixed-window model. 'auto': "
        "256 for characters and bytes, else 200.",
        minimum=1,
        model=True,
        auto=True,
        search=[64, 128, 200, 300],
    )
    layers: int = option(
        AUTO,
        "Number of stacked recurrent layers. 'auto': 2 for many words, else 1.",
        minimum=1,
        model=True,
        auto=True,
        search=(1, 3),
    )
    residual: bool = option(
        False, "Add the input of each recurrent layer to its output.", group="Advanced", model=True
    )
    tied: bool = option(
        True,
        "Share the weights of the embedding and the output layer. Default: shared, except for characters and "
        "bytes.",
        model=True,
    )
    cutoffs: str | None = option(
        None,
        "Use an adaptive softmax. The value lists the token ids at which the clusters of rare tokens start, "
        "such as 2000,10000. An adaptive softmax needs --no-tied. Default: full softmax.",
        group="Advanced",
    )
    samples: int = option(
        0,
        "Approximate the training loss by a softmax over the target and N other tokens (sampled softmax). "
        "Half of the N tokens are the most frequent tokens, and the other half is sampled from the "
        "remaining tokens. The training loss is then slightly lower than with the full softmax. 0 uses the "
        "full softmax.",
        group="Advanced",
        minimum=0,
    )
    embedding_dropout: float = probability(
        AUTO,
        "Probability that a token is dropped from a batch. The embeddings of all its occurrences become 0. "
        + TOKENS,
        auto=True,
        search=(0.0, 0.3),
    )
    input_dropout: float = probability(
        AUTO, "Dropout rate of the token embeddings. " + TOKENS, auto=True, search=(0.0, 0.6)
    )
    layer_dropout: float = probability(
        AUTO, "Dropout rate between recurrent layers. " + TOKENS, auto=True, search=(0.0, 0.6)
    )
    output_dropout: float = probability(
        AUTO, "Dropout rate before the output layer. " + TOKENS, auto=True, search=(0.0, 0.6)
    )
    recurrent_dropout: float = probability(0.0, "Dropout rate of the recurrent state.", group="Advanced")
    weight_dropout: float = probability(
        AUTO, "Dropout rate of the recurrent weights. " + TOKENS, auto=True, search=(0.0, 0.5)
    )
    activation_penalty: float = option(
        0.0,
        "Weight of the AR penalty in the training loss (Merity et al. 2018). The penalty is the mean square "
        "of the inputs of the output layer.",
        group="Advanced",
        minimum=0,
    )
    temporal_penalty: float = option(
        0.0,
        "Weight of the TAR penalty in the training loss (Merity et al. 2018). The penalty compares the "
        "inputs of the output layer at consecutive time steps. It is the mean square of their differences.",
        group="Advanced",
        minimum=0,
    )
    steps: int = option(
        AUTO,
        "Number of time steps per batch. Truncated backpropagation computes the gradients over these steps. "
        "'auto': 64 for characters and bytes, else 35.",
        minimum=1,
        auto=True,
        search=(20, 70),
    )
    jitter: int = option(
        1,
        "Number of different sequence lengths, evenly spaced from 3/4 to 5/4 of --steps. Each training batch "
        "gets one of these lengths at random. The model is compiled once per length, and each compilation "
        "takes seconds. With 1, the length is always --steps.",
        group="Advanced",
        minimum=1,
        maximum=8,
    )

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns values for options that the user did not set.

        The values depend on the options that the user set, and override the preset. With ``--from``, the
        values of the earlier run are returned.
        """
        if explicit.get("from_"):
            return super().inherited(explicit)
        preset = cls.presets[explicit.get("preset", "default")]
        implied = cls._optimization(preset, explicit)
        if explicit.get("data") == "embedded:code":
            implied["unit"] = "character"
        chosen = {"unit": cls.unit, "model": cls.model, "layers": cls.layers, **preset, **implied, **explicit}
        if chosen["unit"] in OF_CHARACTERS and "tied" not in preset:
            implied["tied"] = False
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
        """Returns ``AUTO`` for optimizer, learning rate and clipping, if those of the preset do not apply.

        The presets are tuned for an LSTM and their optimizer. For other models, the learning rate of a preset
        can be too high (benchmarks/experiments.md).
        """
        usual = preset.get("optimizer", cls.optimizer)
        fixed = explicit.get("model") == "fixed-window"
        kind = "fixed-window" if fixed else explicit.get("cell", cls.cell)
        optimizer = explicit.get("optimizer", usual if kind == "lstm" else AUTO)
        if kind == "lstm" and optimizer == usual:
            return {}
        return {"optimizer": optimizer, "learning_rate": AUTO, "clipnorm": AUTO}

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"text": self.text, "encoding": self.encoding})
        for choice, without in WITHOUT.items():
            value = getattr(self, choice)
            for name in without.get(value, ()):
                if getattr(self, name) != getattr(type(self), name):
                    raise UsageError(
                        f"{flag(name)} does not apply to {flag(choice)} {value}; remove {flag(name)}"
                    )
        if self.model == "recurrent" and self.layers == 1 and self.layer_dropout not in (0, AUTO):
            raise UsageError(
                "--layer-dropout needs two or more layers; remove --layer-dropout or raise --layers"
            )
        weight_dropout = 0.0 if self.weight_dropout == AUTO else self.weight_dropout
        check_dropouts(self.cell, self.recurrent_dropout, weight_dropout)
        sizes = {self.units, self.embedding_units}
        if self.residual and self.layers == 1 and len(sizes) > 1 and AUTO not in sizes:
            raise UsageError(
                f"--residual with one layer needs --units equal to --embedding-units; got {self.units} and "
                f"{self.embedding_units}; make them equal, or use --layers 2"
            )
        if self.jitter > 1 and self.steps != AUTO and len(self.lengths) == 1:
            raise UsageError(
                f"--jitter {self.jitter} needs different sequence lengths near --steps {self.steps}, but all "
                "lengths are equal after rounding; raise --steps or remove --jitter"
            )
        for name in ("cutoffs", "samples"):
            if getattr(self, name) and self.unit not in BY_FREQUENCY:
                raise UsageError(
                    f"{flag(name)} needs token ids sorted by frequency, but --unit {self.unit} does not sort "
                    f"its ids; remove {flag(name)}, or use --unit word or --unit character"
                )
        if self.cutoffs is not None:
            edges = self.cluster_edges
            if not edges or edges[0] < 1 or any(left >= right for left, right in pairwise(edges)):
                raise UsageError(
                    f"--cutoffs {self.cutoffs} must be increasing positive integers, such as 2000,10000"
                )
            if self.tied:
                raise UsageError(
                    "--cutoffs needs --no-tied, because an adaptive softmax cannot use the weights of the "
                    "embedding"
                )
            if self.samples:
                raise UsageError("--samples cannot be combined with --cutoffs; remove one of the two options")
        if 0 < self.samples < 4:
            raise UsageError(f"--samples {self.samples} must be 0 or at least 4")

    @property
    def cluster_edges(self) -> list[int]:
        """The numbers in ``--cutoffs``.

        The list is empty if ``--cutoffs`` is not set, or if an entry is not a number.
        """
        try:
            return [int(part) for part in (self.cutoffs or "").split(",") if self.cutoffs]
        except ValueError:
            return []

    @property
    def lengths(self) -> list[int]:
        """The sequence lengths of the training batches, see ``--jitter``."""
        if self.jitter == 1:
            return [self.steps]
        shares = (3 / 4 + index / (self.jitter - 1) / 2 for index in range(self.jitter))
        return sorted({max(round(share * self.steps), 1) for share in shares})


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    text: str | None = column_option("the texts", "the column that the training used, else the column 'text'")
    encoding: str | None = encoding_option(
        "UTF-8; for a file that is not UTF-8, the --encoding of the training"
    )
    beside: str | None = option(
        None, "Folder of a second trained run. Its scores on the evaluated text are also shown."
    )
    dynamic: bool = option(
        False,
        "Also evaluate the model with dynamic evaluation (Krause et al. 2018). The model then scores the "
        "text in segments. After each segment, a gradient step on this segment updates the weights.",
    )
    dynamic_rate: float = option(0.002, "Learning rate of dynamic evaluation.", minimum=0)
    dynamic_decay: float = option(
        0.02,
        "Rate at which dynamic evaluation pulls the weights back to their trained values.",
        minimum=0,
    )
    cache: int = option(
        0,
        "Also evaluate the model with a continuous cache of the last N outputs of the network (Grave et al. "
        "2017). 0 disables the cache.",
        minimum=0,
    )
    cache_flatness: float = option(
        0.66,
        "Factor that multiplies the similarity between the current output and each output in the cache. With "
        "a larger factor, similar outputs get more weight. With 0, all outputs have equal weight.",
        minimum=0,
    )
    cache_weight: float = option(
        0.13,
        "Weight of the cache in the predicted probability, from 0 (only the model) to 1 (only the cache).",
        minimum=0,
        maximum=1,
    )
    mix: bool = mix_option(
        "Also evaluate a mixture. With --cache or --dynamic, the adapted model is also mixed."
    )
    mix_order: int = mix_order_option()

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"text": self.text, "encoding": self.encoding})
        check_mix(self.mix, self.mix_order)
        if self.model != "keras" and (self.dynamic or self.cache):
            raise UsageError(f"--dynamic and --cache need the Keras model; remove --model {self.model}")
        for way, on in (("dynamic", self.dynamic), ("cache", self.cache)):
            for name in (f.name for f in fields(self) if f.name.startswith(f"{way}_")):
                if not on and getattr(self, name) != getattr(type(self), name):
                    raise UsageError(f"{flag(name)} needs --{way}; add --{way}")
        if self.beside and not os.path.exists(os.path.join(self.beside, "metrics.json")):
            raise UsageError(
                f"--beside {self.beside} is not a finished run; pass the folder of a trained run"
            )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict`` and its alias ``score``."""

    text: str | None = column_option("the texts", "the column that the training used, else the column 'text'")
    encoding: str | None = encoding_option(
        "UTF-8; for a file that is not UTF-8, the --encoding of the training"
    )

    surprise: float = option(
        0.001, "Mark tokens as surprising if their probability is below this value.", minimum=0, maximum=1
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"text": self.text, "encoding": self.encoding})


@dataclass(frozen=True, kw_only=True)
class Generate(RunOptions):
    """Options of ``generate``."""

    length: int = option(100, "Number of tokens to generate.", minimum=1)
    temperature: float = option(
        1.0, "Softmax temperature of sampling. 0 always picks the most likely token.", minimum=0
    )
    top_k: int = option(0, "Sample from the K most likely tokens. 0 samples from all tokens.", minimum=0)
    top_p: float = option(
        1.0,
        "Sample from the smallest set of most likely tokens whose total probability reaches this value "
        "(nucleus sampling). 1 samples from all tokens.",
        minimum=1e-9,
        maximum=1,
    )
    beams: int = option(
        1,
        "Beam size. With 1, tokens are sampled. With 2 or more, beam search chooses the tokens.",
        minimum=1,
    )
    repetition_penalty: float = option(
        1.0,
        "Penalty for tokens that already occurred in the prompt or in the generated text. A value above 1 "
        "makes these tokens less likely. 1 disables the penalty.",
        minimum=1e-9,
    )
    seed: int = option(0, "Random seed of sampling.", minimum=0, maximum=2**32 - 1)
    stop: str | None = option(
        None, "End the output before the first occurrence of this text. Default: no stop text."
    )
    mix: bool = mix_option("Generate with a mixture.")
    mix_order: int = mix_order_option()
    json: bool = option(False, "Print one JSON document per prompt.")

    def check(self) -> None:
        check_mix(self.mix, self.mix_order)
        if self.beams > 1 and (self.temperature != 1.0 or self.top_k or self.top_p < 1):
            raise UsageError(
                "--beams cannot be combined with --temperature, --top-k or --top-p; remove --beams, or "
                "remove the other options"
            )


@dataclass(frozen=True, kw_only=True)
class Export(ExportOptions):
    """Options of ``export``."""

    mix: bool = mix_option("Export a mixture. The n-grams become part of the SavedModel.")
    mix_order: int = mix_order_option()

    def check(self) -> None:
        super().check()
        check_mix(self.mix, self.mix_order)
