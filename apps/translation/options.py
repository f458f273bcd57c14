"""Options of translation. This module does not import TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from apps.options import (
    AUTO,
    RATES,
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
from seqmodels.errors import UsageError
from seqmodels.registry import ATTENTIONS, CELLS, FEEDINGS, SCHEDULES, TIES, UNITS

PAIRS = "'auto': follows from the number of pairs."  # explanation of the default
READING = ("source_column", "target_column", "encoding")  # options that control how files are read
HEADS = 4  # number of heads of multi-head attention


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    fixed: ClassVar[frozenset[str]] = frozenset({"unit", "lowercase", "vocabulary", "minimum_count", "joint"})
    reading: ClassVar[tuple[str, ...]] = (*READING, "on_bad_rows")
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

    data: str = data_option("grammar", others="a file, a folder, or tfds:NAME")
    source: str = option(
        "",
        "Language of the source texts, or the name of their column. Default: the first language in the data. "
        "If --target is this language, the default is the second language.",
        group="Data",
    )
    target: str = option(
        "",
        "Language of the translations, or the name of their column. Default: the second language in the "
        "data. If --source is this language, the default is the first language.",
        group="Data",
    )
    source_column: str | None = column_option(
        "the source texts",
        "the column named by --source. Without --source, the default is a column such as source, src or en",
    )
    target_column: str | None = column_option(
        "the translations",
        "the column named by --target. Without --target, the default is a column such as target, tgt or de",
    )
    encoding: str | None = encoding_option()
    on_bad_rows: str = bad_rows_option("malformed rows, and pairs in which one of the two texts is empty")
    batch_size: int = option(
        AUTO,
        "Number of target tokens per batch. The number includes padding tokens. " + PAIRS,
        minimum=1,
        auto=True,
        search=[600, 1200, 2400],
    )
    epochs: int = option(
        AUTO, "Maximum number of passes over the training data. " + PAIRS, minimum=1, auto=True
    )
    learning_rate: float = option(
        AUTO,
        f"Highest learning rate of the training. It is reached at the end of the warm-up. {PAIRS}",
        minimum=0,
        auto=True,
        search=RATES,
    )
    schedule: str = option(
        "cosine",
        "Change of the learning rate after the warm-up. 'plateau' divides the learning rate by 4 after each "
        "epoch without a new best validation score.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.02,
        "Length of the warm-up as a fraction of all training steps. In the warm-up, the learning rate rises "
        "linearly from 0.",
        minimum=0,
        maximum=0.99,
    )
    average: float | None = option(
        0.999,
        "Average the model weights over the training steps. The average is evaluated and saved instead of "
        "the last weights. If the value is 1, all steps count equally. A value below 1 is the decay rate of "
        "an exponential moving average. 'none' disables averaging.",
        group="Advanced",
        minimum=0,
        maximum=1,
    )
    patience: int | None = option(
        6,
        "Stop after N epochs without a new best validation score. 'none' disables early stopping.",
        minimum=1,
    )
    unit: str = option(
        "wordpiece",
        "Kind of token. With 'word', each token is a whole word. With 'wordpiece', a token is a word or a "
        "part of a word.",
        group="Data",
        choices=UNITS[:2],
    )
    lowercase: bool = option(
        False, "Convert all text to lower case. Translations are then in lower case, too.", group="Data"
    )
    vocabulary: int = option(
        AUTO, "Maximum number of tokens in each vocabulary. " + PAIRS, group="Data", minimum=10, auto=True
    )
    minimum_count: int = option(
        2,
        "Minimum number of occurrences of a token in the training split. A token with fewer occurrences is "
        "not in the vocabulary.",
        group="Data",
        minimum=1,
    )
    joint: bool = option(True, "Use one vocabulary for both languages.", group="Data")
    length: int = option(
        100,
        "Maximum length of a text in tokens. A training pair is skipped if one of its texts is longer. "
        "The command predict truncates longer texts.",
        group="Data",
        minimum=2,
    )
    shapes: int = option(
        AUTO,
        "Maximum number of different batch shapes after padding. The model is compiled once per shape. Each "
        "compilation takes seconds.",
        group="Advanced",
        minimum=1,
        maximum=8,
        auto=True,
    )
    tie: str = option(
        "all",
        "Weight sharing of the output layer. 'none': the layer has its own weights. 'target': it uses the "
        "weights of the target embedding. 'all': the output layer and both embeddings have the same weights.",
        group="Advanced",
        choices=TIES,
        model=True,
    )
    embedding_units: int = option(
        AUTO,
        "Dimension of the embeddings and of the decoder output. " + PAIRS,
        minimum=1,
        model=True,
        auto=True,
        search=[96, 128, 192, 256],
    )
    cell: str = option(
        "lstm", "Type of the recurrent cells.", choices=tuple(CELLS), model=True, search=["lstm", "gru"]
    )
    units: int = option(
        AUTO,
        "Number of units of each encoder layer. A bidirectional layer has this number per direction. "
        + PAIRS,
        minimum=1,
        model=True,
        auto=True,
        search=[64, 128, 192, 256],
    )
    decoder_units: int = option(
        AUTO,
        "Number of units of each decoder layer. " + PAIRS,
        minimum=1,
        model=True,
        auto=True,
        search=[128, 192, 320, 512],
    )
    layers: int = option(
        1,
        "Number of stacked recurrent layers in the encoder and in the decoder.",
        minimum=1,
        model=True,
        search=(1, 2),
    )
    bidirectional: bool = option(True, "Run each encoder layer in both directions.", model=True)
    attention: str = option(
        "general",
        "Attention of the decoder to the source text. 'none' disables the attention.",
        choices=(*ATTENTIONS, "none"),
        model=True,
    )
    feeding: str = option(
        "none",
        "Additional input of the first decoder layer. With 'none', the layer has no additional input, and "
        "training is fastest. With 'output', the layer also reads the decoder output of the previous step "
        "(Luong et al. 2015). With 'context', it also reads the attention context of the current step "
        "(Bahdanau et al. 2015).",
        group="Advanced",
        choices=FEEDINGS,
        model=True,
    )
    deep_output: bool = option(
        False,
        "Use a deep output (Bahdanau et al. 2015). The decoder output then also depends on the previous "
        "token, and its activation is maxout instead of tanh.",
        group="Advanced",
        model=True,
    )
    normalize: bool = option(
        False,
        "Apply layer normalization to the encoder output and to the output of each decoder layer. It is also "
        "applied to the final decoder output, before the activation.",
        group="Advanced",
        model=True,
    )
    word_dropout: float = probability(
        0.05,
        "Probability that an input token is replaced by the unknown token in training.",
        search=(0.0, 0.3),
    )
    dropout: float = probability(AUTO, "Dropout rate between layers. " + PAIRS, auto=True, search=(0.0, 0.6))
    recurrent_dropout: float = probability(0.0, "Dropout rate of the recurrent state.", group="Advanced")
    weight_dropout: float = probability(0.0, "Dropout rate of the recurrent weights.", group="Advanced")
    label_smoothing: float = probability(
        0.1,
        "Label smoothing: fraction of the target probability that is spread evenly over all tokens of the "
        "vocabulary.",
        group="Training",
        model=False,
        search=(0.0, 0.2),
    )
    scheduled_sampling: float = option(
        0.0,
        "Final probability of scheduled sampling. With this probability, the decoder reads a token that is "
        "sampled from the model. Otherwise, it reads the token of the target text. A value above 0 makes "
        "training slower.",
        group="Advanced",
        minimum=0,
        maximum=1,
        model=True,
    )
    sampling_steps: int = option(
        5000,
        "Number of training steps in which the probability of scheduled sampling rises linearly from 0 to "
        "--scheduled-sampling.",
        group="Advanced",
        minimum=1,
        model=True,
    )

    @classmethod
    def continued(cls, run: str, explicit: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that training inherits from the run in ``--from``, including its languages."""
        options = super().continued(run, explicit)
        try:
            pairs = json.loads(Path(run, "assets", "pairs.json").read_text(encoding="utf-8"))
            return {**options, "source": pairs["source"], "target": pairs["target"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"the file assets/pairs.json of --from {run} cannot be read ({error}); "
                "pass the folder of a trained run"
            ) from error

    def check(self) -> None:
        super().check()
        check_reading(self.data, {name: getattr(self, name) for name in (*READING, "on_bad_rows")})
        check_dropouts(self.cell, self.recurrent_dropout, self.weight_dropout)
        if self.tie == "all" and not self.joint:
            raise UsageError(
                "--tie all needs one vocabulary for both languages; remove --no-joint, or use --tie target"
            )
        if self.attention == "none" and self.feeding == "context":
            raise UsageError(
                "--feeding context needs attention; got --attention none; choose another --feeding or "
                "another --attention"
            )
        known = AUTO not in (self.units, self.decoder_units)
        memory = self.units * (2 if self.bidirectional else 1) if known else None
        if self.attention == "dot" and known and memory != self.decoder_units:
            raise UsageError(
                "with --attention dot, --decoder-units must equal the size of the encoder output; got "
                f"{self.decoder_units}, but the size is {memory}; use --decoder-units {memory} or "
                "--attention general"
            )
        if self.attention == "multi-head" and self.decoder_units != AUTO and self.decoder_units % HEADS:
            raise UsageError(
                f"--decoder-units {self.decoder_units} must be a multiple of {HEADS}, the number of heads of "
                "--attention multi-head"
            )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    source_column: str | None = column_option(
        "the texts to translate",
        "the column that was used in training. If the table does not have this column, the default is a "
        "column such as source or src",
    )
    target_column: str | None = column_option(
        "the translations",
        "the column that was used in training. If the table does not have this column, the default is a "
        "column such as target or tgt",
    )
    encoding: str | None = encoding_option(
        "UTF-8. If a file is not valid UTF-8, the default is the --encoding of the training"
    )
    beam: int = option(5, "Beam size. 1 is greedy search.", minimum=1)
    length_penalty: float = option(
        1.0,
        "Exponent of the length penalty (Wu et al. 2016). With a higher value, beam search prefers longer "
        "translations. 0 disables the penalty.",
        minimum=0,
    )
    coverage_penalty: float = option(
        0.0,
        "Weight of the coverage penalty (Wu et al. 2016). With a higher value, beam search prefers "
        "translations that attend to every source token. 0 disables the penalty.",
        minimum=0,
    )
    no_repeat: int = option(
        0,
        "Do not generate the same sequence of N tokens twice in a translation. 0 allows repetition.",
        minimum=0,
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {name: getattr(self, name) for name in READING})
        check_ranking(self)


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    column: ClassVar[str] = "source_column"

    source_column: str | None = column_option(
        "the texts to translate",
        "the column that was used in training. If the table does not have this column, the default is a "
        "column such as source or src",
    )
    encoding: str | None = encoding_option(
        "UTF-8. If a file is not valid UTF-8, the default is the --encoding of the training"
    )

    beam: int = option(5, "Beam size. 1 is greedy search.", minimum=1)
    best: int = option(1, "Number of translations to show per text. It must not exceed --beam.", minimum=1)
    length_penalty: float = option(
        1.0,
        "Exponent of the length penalty (Wu et al. 2016). With a higher value, beam search prefers longer "
        "translations. 0 disables the penalty.",
        minimum=0,
    )
    coverage_penalty: float = option(
        0.0,
        "Weight of the coverage penalty (Wu et al. 2016). With a higher value, beam search prefers "
        "translations that attend to every source token. 0 disables the penalty.",
        minimum=0,
    )
    no_repeat: int = option(
        0,
        "Do not generate the same sequence of N tokens twice in a translated sentence. 0 allows repetition.",
        minimum=0,
    )
    minimum: int = option(0, "Minimum length of a translated sentence in tokens.", minimum=0)
    maximum: int | None = option(
        None,
        "Maximum length of a translated sentence in tokens. Default: 2 * (number of source tokens) + 10.",
        minimum=1,
    )
    split_sentences: bool = option(
        True, "Split each text into sentences, translate each sentence, and join the translations."
    )
    copy_unknown: bool = option(
        True,
        "Copy numbers, URLs, e-mail addresses and unknown words from the source into the translation. The "
        "attention determines the position of a copied word. Words are copied only with --model keras.",
    )
    align: bool = option(
        False, "For each word of the translation, show the source word with the highest attention."
    )
    plot: bool = option(False, "Write an attention plot of each translation to the run directory.")

    def check(self) -> None:
        super().check()
        check_ranking(self)
        check_reading(self.data, {"source_column": self.source_column, "encoding": self.encoding})
        if self.best > self.beam:
            raise UsageError(f"--best {self.best} must be at most --beam {self.beam}; raise --beam")
        if self.maximum is not None and self.minimum > self.maximum:
            raise UsageError(
                f"--minimum {self.minimum} must be at most --maximum {self.maximum}; lower --minimum"
            )
        if (self.align or self.plot) and self.model != "keras":
            raise UsageError(f"--align and --plot need the Keras model; remove --model {self.model}")


def check_ranking(options: Evaluate | Predict) -> None:
    """Raises UsageError if the user sets an option of beam search, but ``--beam`` is 1."""
    for name in ("length_penalty", "coverage_penalty"):
        if options.beam == 1 and getattr(options, name) != getattr(type(options), name):
            raise UsageError(f"{flag(name)} does not apply to --beam 1; remove {flag(name)}, or raise --beam")
