"""Option classes: a dataclass field is a flag of the command line, a key of options.json, a line of help.

Loads no TensorFlow, so that help and usage errors answer at once.
"""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar

from seqmodels.errors import UsageError
from seqmodels.registry import CLIP_BY, OPTIMIZERS, QUANTIZATIONS, SCHEDULES

MODELS = (
    "keras",
    "saved_model",
    *(f"tflite_{kind}" if kind != "none" else "tflite" for kind in QUANTIZATIONS),
)


def option(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    stored: bool = True,
    model: bool = False,
) -> Any:
    """A field of an option class.

    Args:
        default: the value when neither preset nor user says otherwise.
        help: what it is, for ``--help``.
        choices: the values that are allowed.
        minimum: the smallest value that is allowed.
        maximum: the largest.
        stored: part of options.json; False for what concerns one call only.
        model: an argument of the model's constructor, of the same name.
    """
    metadata = {"help": help, "choices": choices, "minimum": minimum, "maximum": maximum}
    metadata |= {"stored": stored, "model": model}
    return field(default=default, metadata=metadata)


def data_option(*variants: str, others: str = "a path, or tfds:NAME") -> Any:
    """``--data`` of ``train``.

    Args:
        variants: names of the app's embedded data; the first is what ``embedded`` alone means.
        others: what else it may be.
    """
    named = "|".join(f":{variant}" for variant in variants)
    return option("embedded", f"Training data: embedded[{named}], {others}.")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of all option classes."""

    @classmethod
    def declared(cls) -> list[tuple[Field, type, bool]]:
        """For each field: the field, the type of its values, and whether None is one of them."""
        hints = typing.get_type_hints(cls)
        return [(f, *_value_type(hints[f.name])) for f in fields(cls)]

    def check(self) -> None:
        """Raises UsageError for what can be known to be wrong before any work."""

    def model_settings(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """The arguments of the model's constructor that are options, but those in ``without``."""
        names = [f.name for f in fields(self) if f.metadata["model"] and f.name not in without]
        return {name: getattr(self, name) for name in names}

    def stored(self) -> dict[str, Any]:
        """What options.json keeps."""
        keep = {f.name for f in fields(self) if f.metadata["stored"]}
        return {name: value for name, value in asdict(self).items() if name in keep}


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Options of every verb."""

    run: str = option("", "Folder of the run. Default: saved_models/TASK.", stored=False)


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Options of ``train`` in every app."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}, "default": {}, "best": {}}

    data: str = option("embedded", "Training data; every app says which.")
    preset: str = option(
        "default", "A set of options; what you set explicitly wins.", choices=("quick", "default", "best")
    )
    seed: int = option(
        0, "For weights, dropout, the order of the data and every split.", minimum=0, maximum=2**32 - 1
    )
    epochs: int = option(10, "Passes over the training data, at most.", minimum=1)
    batch_size: int = option(64, "Rows in a batch.", minimum=1)
    optimizer: str = option("adam", "Any optimizer of Keras.", choices=OPTIMIZERS)
    learning_rate: float = option(0.002, "Peak learning rate.", minimum=0)
    schedule: str = option(
        "constant",
        "Learning rate after the warm-up; plateau: a quarter after every epoch that was not the best.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.0, "Share of all steps in which the learning rate rises from 0.", minimum=0, maximum=0.99
    )
    weight_decay: float | None = option(
        None, "Decoupled weight decay; none for the optimizer's own.", minimum=0
    )
    clipnorm: float | None = option(
        1.0, "Threshold of the gradient clipping; none for no clipping.", minimum=1e-9
    )
    clip_by: str = option(
        "global",
        "Norm of all gradients, of each variable's, or each entry.",
        choices=CLIP_BY,
    )
    patience: int | None = option(
        3, "Stop after so many epochs without a better validation; none for never.", minimum=1
    )
    average: float | None = option(
        None,
        "Score and keep averaged weights: 1 for the mean of all steps, less forgets exponentially.",
        minimum=0,
        maximum=1,
    )
    average_after: int = option(
        0,
        "Begin to average when an epoch is worse than the best one before the last so many; 0: at once.",
        minimum=0,
    )
    average_epochs: int | None = option(
        None,
        "Instead of --average, the mean of the weights after each of the last so many epochs.",
        minimum=1,
    )
    minutes: float | None = option(
        None, "Stop after so many minutes of training; none for no limit.", minimum=0
    )
    precision: str = option(
        "float32", "Dtype policy of Keras.", choices=("float32", "mixed_bfloat16", "mixed_float16")
    )
    xla: bool = option(True, "Compile the training step by XLA.")
    parts: int | None = option(
        None,
        "Parts of a batch's rows that are computed side by side on a CPU; none for 2 on two cores, else 1.",
        minimum=1,
    )
    strategy: str = option(
        "single", "One device, or a replica on each of the machine's GPUs.", choices=("single", "mirrored")
    )
    save_minutes: float = option(5.0, "Minutes between checkpoints inside an epoch.", minimum=0, stored=False)
    overwrite: bool = option(False, "Delete what the run holds and start anew.", stored=False)
    dry_run: bool = option(
        False, "Show counts, lengths, parameters and an estimate of the time; train nothing.", stored=False
    )

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """Options that come from elsewhere than the command line; nothing, unless an app says so."""
        return {}

    def check(self) -> None:
        check_data(self.data)
        if self.schedule == "plateau" and self.warmup:
            raise UsageError("--warmup: cannot go with --schedule plateau; leave it at 0 or choose another")
        if self.average_epochs is not None and self.average is not None:
            raise UsageError("--average-epochs: is another average than --average; set that to none")
        if self.average_after and self.average is None:
            raise UsageError("--average-after: there is no average to begin; give --average, 1 for the mean")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(RunOptions):
    """Options of ``evaluate`` in every app."""

    data: str | None = option(None, "Data to score on instead of the run's own test split.")
    model: str = option("keras", "Which of the run's models.", choices=MODELS)
    json: bool = option(False, "Print one JSON document.")

    def check(self) -> None:
        if self.data is not None:
            check_data(self.data)


@dataclass(frozen=True, kw_only=True)
class PredictOptions(RunOptions):
    """Options of ``predict`` in every app.

    Attributes:
        reads_stdin: whether inputs come from stdin where none are given; else the app does without.
    """

    reads_stdin: ClassVar[bool] = True

    model: str = option("keras", "Which of the run's models.", choices=MODELS)
    json: bool = option(False, "Print one JSON document a line.")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RunOptions):
    """Options of ``export`` in every app."""

    to: str | None = option(None, "Folder of the SavedModel. Default: export/saved_model in the run.")
    json: bool = option(False, "Print one JSON document.")

    def check(self) -> None:
        to = self.to
        if to and os.path.exists(to) and not os.path.exists(os.path.join(to, "saved_model.pb")):
            raise UsageError(f"--to {to}: exists and is no SavedModel; name a new folder, or one to replace")


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(RunOptions):
    """Options of ``convert`` in every app."""

    quantize: str = option(
        "none",
        "Make the file smaller: weights in 8 bits, in 16, or weights and computation in 8.",
        choices=QUANTIZATIONS,
    )
    json: bool = option(False, "Print one JSON document.")


@dataclass(frozen=True, kw_only=True)
class ConvertTextOptions(ConvertOptions):
    """Options of ``convert`` in apps whose files read texts of a fixed length."""

    length: int | None = option(
        None, "Tokens of a text; none for those of the run, up to what a phone does at ease.", minimum=2
    )


@dataclass(frozen=True, kw_only=True)
class InfoOptions(Options):
    """Options of ``info``."""

    json: bool = option(False, "Print one JSON document.")


def check_data(data: str) -> None:
    """Raises UsageError unless ``--data`` is embedded, a name in a catalogue, or a path that exists."""
    named = data.partition(":")[0] in ("embedded", "tfds", "yahoo")
    if not named and not os.path.exists(data):
        raise UsageError(f"--data {data}: no such file or folder; expected a path, embedded, or tfds:NAME")


def resolve(cls: type[TrainOptions], explicit: Mapping[str, Any]) -> TrainOptions:
    """Default, then preset, then an earlier run's where the app takes them, then what was set explicitly."""
    preset = explicit.get("preset", "default")
    return cls(**{**cls.presets[preset], **cls.inherited(explicit), **explicit})


def checked_values(cls: type[Options], given: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of the Python API, checked as the command line checks its flags.

    Raises:
        UsageError: an unknown name, or a value of a wrong type, outside of its range or not a choice.
    """
    declared = {one.name: (one.metadata, kind, optional) for one, kind, optional in cls.declared()}
    for name, value in given.items():
        if name not in declared:
            near = get_close_matches(name, declared) or sorted(declared)
            raise UsageError(f"{name}: no such option; expected {' or '.join(near)}")
        metadata, kind, optional = declared[name]
        if value is None and (optional or kind is str):
            continue
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if not (number or type(value) is kind):
            raise UsageError(f"{name}={value!r}: expected {kind.__name__}{' or None' if optional else ''}")
        if metadata["choices"] and value not in metadata["choices"]:
            raise UsageError(f"{name}={value!r}: expected one of {', '.join(metadata['choices'])}")
        low, high = metadata["minimum"], metadata["maximum"]
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            bounds = (("at least", low), ("at most", high))
            limits = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
            raise UsageError(f"{name}={value!r}: expected {' and '.join(limits)}")
    return dict(given)


def restore(cls: type[Options], stored: Mapping[str, Any], where: str) -> Any:
    """Options from what :meth:`Options.stored` wrote; those that came later have their defaults.

    Raises:
        UsageError: the run was made by a version that had further options.
    """
    if not isinstance(stored, Mapping):
        raise UsageError(f"{where}: holds no options; train the run again")
    known = {f.name for f in fields(cls) if f.metadata["stored"]}
    gone = sorted(set(stored) - known)
    if gone:
        raise UsageError(f"{where}: this version has no options {', '.join(gone)}; train the run again")
    return cls(**stored)


def flag(name: str) -> str:
    """``batch_size`` as a user types it: ``--batch-size``; ``from_``, which Python keeps: ``--from``."""
    return "--" + name.rstrip("_").replace("_", "-")


def _value_type(hint: Any) -> tuple[type, bool]:
    if isinstance(hint, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return members[0], True
    return hint, False
