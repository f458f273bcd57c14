"""Option classes. Each field of these dataclasses defines one option of the command line.

The field defines the flag, its line in ``--help``, and a key of options.json. This module does not import
TensorFlow, because the import is slow. Therefore ``--help`` and usage errors appear at once.
"""

from __future__ import annotations

import json
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import Field, asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from apps.continuing import check_run, stored_options
from apps.search import ByOption, Search
from seqmodels.data.bad_rows import ON_BAD_ROWS
from seqmodels.data.encodings import check_encoding
from seqmodels.errors import DataError, UsageError
from seqmodels.registry import CLIP_BY, OPTIMIZERS, PARALLEL_CELLS, QUANTIZATIONS, SCHEDULES

MODELS = (
    "keras",
    "saved_model",
    *(f"tflite_{kind}" if kind != "none" else "tflite" for kind in QUANTIZATIONS),
)
AUTO = "auto"  # value of an option that the task chooses from the data, see ``option(auto=True)``
OUTPUTS = (".csv", ".jsonl", ".json", ".parquet")  # file formats that predict --to writes
# Headings of --help, in this order. Only ``tune`` has the first heading.
GROUPS = ("Tuning", "Data", "Model", "Training", "Output", "Advanced")
# Search ranges of the learning rate in ``tune``.
RATES = ByOption("optimizer", {"sgd": (0.01, 1.0, "log")}, others=(2e-4, 2e-2, "log"))


def option(
    default: Any,
    help: str,
    *,
    group: str = "",
    choices: Sequence[str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    stored: bool = True,
    model: bool = False,
    auto: bool = False,
    search: Search | None = None,
) -> Any:
    """Declares a field of an option class.

    Args:
        default: value of the option if neither the user nor a preset sets the option.
        help: description of the option in ``--help``. The default value is appended, unless the description
            contains "Default:".
        group: heading in the help of ``train``, one of ``GROUPS``. Default: ``"Model"`` if ``model`` is True,
            else ``"Training"``.
        choices: allowed values. Default: no restriction.
        minimum, maximum: smallest and largest allowed value.
        stored: If True, options.json stores the value. False is for options that do not affect the result.
        model: If True, the value is passed to the constructor of the model, as the argument of the same name.
        auto: If True, the option also has the value ``AUTO``. The function ``load`` of the task then chooses
            the value from the data, and options.json stores the chosen value.
        search: values that ``tune`` tries, see :mod:`apps.search`. Default: ``tune`` does not change the
            option.
    """
    group = group or ("Model" if model else "Training")
    metadata: dict[str, Any] = {"help": help, "group": group, "choices": choices, "search": search}
    metadata |= {"minimum": minimum, "maximum": maximum, "stored": stored, "model": model, "auto": auto}
    return field(default=default, metadata=metadata)


def probability(
    default: float | str, help: str, *, group: str = "Model", model: bool = True, **more: Any
) -> Any:
    """Declares an option with a value from 0 to 0.99. See :func:`option` for the arguments."""
    return option(default, help, group=group, minimum=0, maximum=0.99, model=model, **more)


def data_option(*variants: str, others: str = "a path, or tfds:NAME") -> Any:
    """Declares ``--data`` of ``train``.

    Args:
        variants: names of the data sets that are included in the package. The value ``embedded`` selects the
            first of them.
        others: description of the other accepted values, for the help.
    """
    named = ", ".join(f"embedded:{variant}" for variant in variants)
    return option(
        "embedded",
        f"Training data. Included in the package: {named}; 'embedded' is short for embedded:{variants[0]}. "
        f"Other data: {others}.",
        group="Data",
    )


def column_option(meaning: str, default: str) -> Any:
    """Declares an option whose value is the name of a table column.

    Args:
        meaning: content of the column, such as ``the texts``.
        default: description of the default column, for the help.
    """
    return option(None, f"Table column that contains {meaning}. Default: {default}.", group="Data")


def encoding_option(default: str = "UTF-8") -> Any:
    """Declares ``--encoding``."""
    return option(
        None, f"Text encoding of the files, such as latin-1 or gb18030. Default: {default}.", group="Data"
    )


def bad_rows_option(rows: str) -> Any:
    """Declares ``--on-bad-rows`` of ``train``.

    Args:
        rows: the kinds of bad rows, such as ``empty texts``.
    """
    return option(
        "error",
        f"What to do with bad rows ({rows}). 'error' stops with an error. 'skip' leaves these rows out.",
        group="Data",
        choices=ON_BAD_ROWS,
    )


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base class of all option classes."""

    @classmethod
    def declared(cls) -> list[tuple[Field, type, bool]]:
        """Returns one tuple per field: the field, the type of its values, and True if None is allowed."""
        hints = typing.get_type_hints(cls)
        return [(f, *_value_type(hints[f.name])) for f in fields(cls)]

    def check(self) -> None:
        """Raises UsageError if an option value is invalid, or if two values cannot be combined.

        Every command calls this method before it does anything else.
        """

    def model_settings(self, without: Sequence[str] = ()) -> dict[str, Any]:
        """Returns the options that the constructor of the model takes, as a dictionary from names to values.

        Args:
            without: names of options that are left out.
        """
        names = [f.name for f in fields(self) if f.metadata["model"] and f.name not in without]
        return {name: getattr(self, name) for name in names}

    def with_chosen(self, values: Mapping[str, Any]) -> typing.Self:
        """Returns a copy in which the options that are ``AUTO`` have the given values.

        Options that the user has set keep their values.
        """
        return replace(self, **{name: values[name] for name in self.automatic() if name in values})

    def automatic(self) -> list[str]:
        """Returns the names of the options that the task chooses from the data."""
        return [f.name for f in fields(self) if f.metadata["auto"] and getattr(self, f.name) == AUTO]

    def chosen_note(self, chosen: Options, data: str, without: Sequence[str] = ()) -> list[str]:
        """Returns a note that names the values that the task has chosen from the data.

        Args:
            chosen: the options with the chosen values.
            data: the amount of data, such as ``270 training texts``.
            without: names of options that the note does not contain.
        """
        left = {*chosen.automatic(), *without}
        names = [name for name in self.automatic() if name not in left]
        values = " ".join(f"{flag(name)} {getattr(chosen, name)}" for name in names)
        return [f"chosen for {data}: {values}"] if names else []

    def stored(self) -> dict[str, Any]:
        """Returns the option values that options.json stores, by name."""
        keep = {f.name for f in fields(self) if f.metadata["stored"]}
        return {name: value for name, value in asdict(self).items() if name in keep}


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    """Options of every verb that uses one run directory."""

    run: str = option(
        "",
        "Directory of the run. It contains the model, the scores and the plots. Default: saved_models/TASK, "
        "such as saved_models/sentiment for the task sentiment.",
        group="Output",
        stored=False,
    )


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Options of ``train`` in every app.

    Attributes:
        presets: Option values of each preset.
        fixed: Names of the options that determine the vocabulary and the preprocessing. With ``--from``,
            these options must have the values of the earlier run.
        reading: Names of the options that tell how to read files. With ``--from`` and a new ``--data``, these
            options are reset to their defaults.
    """

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"quick": {}, "default": {}, "best": {}}
    fixed: ClassVar[frozenset[str]] = frozenset()
    reading: ClassVar[tuple[str, ...]] = ()

    from_: str = option(
        "",
        "Folder of an earlier run. The new training starts with the weights of the earlier run, and uses its "
        "vocabulary, preprocessing and options. Options on the command line override the options of the "
        "earlier run. Default: train from scratch.",
    )
    options: str = option(
        "",
        "JSON file of option values, such as tuning/best.json from the tune command, or options.json of a "
        "run. The values override the preset. Options on the command line override the file. Default: no "
        "file.",
        stored=False,
    )
    data: str = option("embedded", "Training data.", group="Data")
    preset: str = option(
        "default",
        "Name of a set of option values. The sets are listed at the end of this help. Options on the command "
        "line override the values of the preset.",
        choices=("quick", "default", "best"),
    )
    epochs: int = option(10, "Maximum number of epochs (passes over the training data).", minimum=1)
    batch_size: int = option(
        64, "Number of training examples per batch.", minimum=1, search=[16, 32, 64, 128]
    )
    optimizer: str = option("adam", "Name of the Keras optimizer.", choices=OPTIMIZERS)
    learning_rate: float = option(
        0.002,
        "Peak of the learning rate. --warmup and --schedule tell how the learning rate changes.",
        minimum=0,
        search=RATES,
    )
    schedule: str = option(
        "constant",
        "How the learning rate changes after the warm-up. 'plateau' divides the learning rate by 4 after "
        "each epoch without a new best validation score.",
        choices=SCHEDULES,
    )
    warmup: float = option(
        0.0,
        "Length of the warm-up as a fraction of all training steps. During the warm-up, the learning rate "
        "rises linearly from 0 to --learning-rate. 0 disables the warm-up.",
        minimum=0,
        maximum=0.99,
    )
    clipnorm: float | None = option(
        1.0, "Threshold of gradient clipping (see --clip-by). 'none' disables clipping.", minimum=1e-9
    )
    patience: int | None = option(
        3,
        "Stop after N consecutive epochs without a new best validation score. 'none' disables early "
        "stopping.",
        minimum=1,
    )
    minutes: float | None = option(
        None,
        "Limit the time of the training steps to about N minutes. --schedule, --warmup and --average follow "
        "the limit. Default: no limit.",
        minimum=0,
    )
    weight_decay: float | None = option(
        None,
        "Rate of the decoupled weight decay. Default: the default of the Keras optimizer.",
        group="Advanced",
        minimum=0,
    )
    clip_by: str = option(
        "global",
        "Quantity that --clipnorm limits. 'global': the norm of all gradients together. 'variable': the norm "
        "of each variable's gradient. 'value': the absolute value of each gradient entry.",
        group="Advanced",
        choices=CLIP_BY,
    )
    average: float | None = option(
        None,
        "Average the weights over the training steps. The average is evaluated and saved instead of the last "
        "weights. With 1, the average is the mean over all steps. A value below 1 is the decay rate of an "
        "exponential moving average. Default: no averaging.",
        group="Advanced",
        minimum=0,
        maximum=1,
    )
    average_after: int = option(
        0,
        "Start --average only when the validation score stops improving: after the first epoch whose score "
        "is worse than the best score of the epochs more than N epochs before it. With 0, --average starts "
        "at the first training step.",
        group="Advanced",
        minimum=0,
    )
    average_epochs: int | None = option(
        None,
        "Save the weights after every epoch, and average them over the last N epochs. The average is "
        "evaluated and saved instead of the last weights. Default: no averaging.",
        group="Advanced",
        minimum=1,
    )
    seed: int = option(
        0,
        "Random seed of the initial weights, the dropout, the shuffling and the data splits.",
        group="Advanced",
        minimum=0,
        maximum=2**32 - 1,
    )
    precision: str = option(
        "float32",
        "Number format of the training (Keras dtype policy). With a mixed format, most computations use 16 "
        "bits.",
        group="Advanced",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    xla: bool | None = option(
        None,
        "Compile the training step with XLA. The compilation takes seconds to minutes, and makes the steps "
        "faster. Default: compile if the training has at least 1,500 steps.",
        group="Advanced",
    )
    parts: int | None = option(
        None,
        "Split each batch into N parts that the CPU computes in parallel. Default: 2 if at least two cores "
        "are available, else 1.",
        group="Advanced",
        minimum=1,
    )
    strategy: str = option(
        "single",
        "'single' trains on one device. 'mirrored' trains on all GPUs of this machine.",
        group="Advanced",
        choices=("single", "mirrored"),
    )
    save_minutes: float = option(
        5.0,
        "Save a checkpoint every N minutes within an epoch. A checkpoint is also saved after every epoch.",
        group="Advanced",
        minimum=0,
        stored=False,
    )
    overwrite: bool = option(
        False,
        "Delete the contents of the run directory and train from scratch. A study of the tune command is "
        "kept.",
        group="Output",
        stored=False,
    )
    dry_run: bool = option(
        False,
        "Do not train. Print the estimated training time, the number of parameters and facts about the data.",
        group="Output",
        stored=False,
    )

    @classmethod
    def inherited(cls, explicit: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the option values that follow from the user's options. Apps extend this method.

        For example, ``--from`` sets all options to their values in the earlier run.

        Args:
            explicit: option values that the user has set, by name.

        Raises:
            UsageError: the folder in ``--from`` does not contain a trained run of the app; ``--preset`` and
                ``--from`` are both set; or a value of the user contradicts the earlier run.
        """
        run = explicit.get("from_")
        return cls.continued(run, explicit) if run else {}

    @classmethod
    def continued(cls, run: str, explicit: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of the run in ``--from``. See :meth:`inherited` for the errors."""
        stored = stored_options(run, cls.__module__.split(".")[-2])
        options = asdict(restore(cls, stored, f"{run}/options.json"))
        # A run of an earlier version does not have the values of new options.
        for name in sorted(cls.fixed & explicit.keys() & stored.keys()):
            if explicit[name] != options[name]:
                raise UsageError(
                    f"{flag(name)} {explicit[name]} contradicts the run in --from, which was trained "
                    f"with {flag(name)} {options[name]}; remove {flag(name)}"
                )
        if "preset" in explicit:
            raise UsageError(
                "--preset cannot be combined with --from, because --from sets all options; remove --preset"
            )
        if explicit.get("data", options["data"]) != options["data"]:
            options |= {each.name: each.default for each in fields(cls) if each.name in cls.reading}
        return {name: value for name, value in options.items() if name in stored}

    def check(self) -> None:
        check_data(self.data)
        if self.from_:
            check_run(self.from_, self.run)
        if self.schedule == "plateau" and self.warmup:
            raise UsageError(
                "--warmup does not apply to --schedule plateau; set --warmup 0 or use another schedule"
            )
        if self.average_epochs is not None and self.average is not None:
            raise UsageError("--average-epochs cannot be combined with --average; set --average none")
        if self.average_after and self.average is None:
            raise UsageError("--average-after needs --average; add --average 1, or remove --average-after")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(RunOptions):
    """Options of ``evaluate`` in every app."""

    data: str | None = option(
        None, "Data to evaluate on. Default: the test split of the data that the run was trained on."
    )
    model: str = option(
        "keras",
        "File format of the model to evaluate. The export command writes the format 'saved_model'. The "
        "convert command writes the tflite formats.",
        choices=MODELS,
    )
    json: bool = option(False, "Print the result as one JSON document.")

    def check(self) -> None:
        if self.data is not None:
            check_data(self.data)


@dataclass(frozen=True, kw_only=True)
class PredictOptions(RunOptions):
    """Options of ``predict`` in every app.

    Attributes:
        reads_stdin: If True, a ``predict`` command without arguments and without ``--data`` reads its inputs
            from stdin.
        column: Name of the option that selects the table column with the inputs.
    """

    reads_stdin: ClassVar[bool] = True
    column: ClassVar[str] = "text"

    data: str | None = option(
        None,
        "File with the inputs. A table contains one input per row. Any other file contains one input per "
        "line. Default: read the inputs from the arguments or, if there are none, from stdin.",
    )
    to: str | None = option(
        None,
        f"Write the predictions to this {', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]} file instead of stdout. "
        "With --json, the predictions are also printed to stdout. Default: stdout.",
    )
    model: str = option(
        "keras",
        "File format of the model to apply. The export command writes the format 'saved_model'. The convert "
        "command writes the tflite formats.",
        choices=MODELS,
    )
    json: bool = option(False, "Print one line of JSON per input.")

    def check(self) -> None:
        if self.data is not None:
            check_data(self.data)
            named = self.data.partition(":")[0] in ("embedded", "tfds")
            if self.reads_stdin and (named or os.path.isdir(self.data)):
                kind = "is a folder" if os.path.isdir(self.data) else "is not a file"
                raise UsageError(f"--data {self.data} {kind}; pass one file that contains the inputs")
        if self.to is not None:
            if not self.to.lower().endswith(OUTPUTS):
                endings = f"{', '.join(OUTPUTS[:-1])} or {OUTPUTS[-1]}"
                raise UsageError(f"--to {self.to} must be a file name that ends in {endings}")
            if os.path.isdir(self.to):
                raise UsageError(f"--to {self.to} is a folder; pass the path of a file")
            if not os.path.isdir(os.path.dirname(self.to) or "."):
                raise UsageError(f"--to {self.to} is in a folder that does not exist; create the folder")


@dataclass(frozen=True, kw_only=True)
class ExportOptions(RunOptions):
    """Options of ``export`` in every app."""

    to: str | None = option(
        None, "Directory of the SavedModel. Default: export/saved_model in the run directory."
    )
    json: bool = option(False, "Print the result as one JSON document.")

    def check(self) -> None:
        to = self.to
        if to and os.path.exists(to) and not os.path.exists(os.path.join(to, "saved_model.pb")):
            raise UsageError(
                f"--to {to} exists and is not a SavedModel; pass a directory that does not exist, or an old "
                "SavedModel that may be replaced"
            )


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(RunOptions):
    """Options of ``convert`` in every app."""

    quantize: str = option(
        "none",
        "Number format in the TFLite file. 'none': float32. 'dynamic': weights in 8 bits. 'float16': weights "
        "in 16 bits. 'int8': weights and activations in 8 bits.",
        choices=QUANTIZATIONS,
    )
    json: bool = option(False, "Print the result as one JSON document.")


@dataclass(frozen=True, kw_only=True)
class ConvertTextOptions(ConvertOptions):
    """Options of ``convert`` in apps whose TFLite models take texts of a fixed length."""

    length: int | None = option(
        None,
        "Number of tokens in an input of the TFLite file. Default: the length of the longest training "
        "texts after padding. The default is at most 128 for sentiment and 64 for translation.",
        minimum=2,
    )


@dataclass(frozen=True, kw_only=True)
class InfoOptions(Options):
    """Options of ``info``."""

    json: bool = option(False, "Print the result as one JSON document.")


def check_data(data: str) -> None:
    """Raises UsageError if ``data`` is a path that does not exist.

    Values such as ``embedded``, ``tfds:NAME`` and ``yahoo:NAME`` are not paths, and are not checked.
    """
    named = data.partition(":")[0] in ("embedded", "tfds", "yahoo")
    if not named and not os.path.exists(data):
        raise UsageError(f"--data {data} does not exist; pass a file, a folder, 'embedded' or tfds:NAME")


def check_reading(data: str | None, given: Mapping[str, Any]) -> None:
    """Checks the options that tell how to read files, such as ``--encoding``.

    Args:
        data: the value of ``--data``.
        given: values of these options, by name. An option that is not set has the value None.

    Raises:
        UsageError: an option does not apply to this kind of data, or the encoding is unknown.
    """
    check_encoding(given.get("encoding"))
    kind = (data or "").partition(":")[0]
    for name, value in given.items():
        if name == "on_bad_rows" and (value == "error" or kind == "tfds"):
            continue
        if value is not None and (data is None or kind in ("embedded", "tfds", "yahoo")):
            needs = "needs --data" if data is None else f"does not apply to --data {data}"
            raise UsageError(f"{flag(name)} {value} {needs}; pass a file or a folder with --data")


def check_dropouts(cell: str, *rates: float) -> None:
    """Raises UsageError if the cell has no recurrent weights and a rate is above 0.

    Args:
        cell: value of ``--cell``.
        *rates: values of ``--recurrent-dropout`` and ``--weight-dropout``, which need recurrent weights.
    """
    if cell in PARALLEL_CELLS and any(rates):
        raise UsageError(
            f"--cell {cell} has no recurrent weights; --recurrent-dropout and --weight-dropout must be 0"
        )


def resolve(cls: type[TrainOptions], explicit: Mapping[str, Any]) -> TrainOptions:
    """Returns the options of a training.

    The preset overrides the defaults. The values from ``cls.inherited`` override the preset. The values in
    the file ``--options`` override these values. The values that the user has set (``explicit``) override all
    other values.

    Raises:
        UsageError: an option is invalid, or the file ``--options`` does not exist.
        DataError: the content of the file ``--options`` is invalid.
    """
    explicit = {**file_options(cls, explicit), **explicit}
    preset = explicit.get("preset", "default")
    return cls(**{**cls.presets[preset], **cls.inherited(explicit), **explicit})


def file_options(cls: type[TrainOptions], explicit: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the option values in the file ``--options``, or an empty dictionary without this option.

    If the user has set other data than the file, the options in ``cls.reading`` are left out.

    Raises:
        UsageError: the file does not exist or cannot be opened.
        DataError: the file does not contain a JSON object of options, or contains an invalid value.
    """
    path = explicit.get("options")
    if not path:
        return {}
    expected = 'a JSON object of option values, such as {"units": 32}'
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--options {path} cannot be read ({error.strerror}); pass a JSON file") from error
    except ValueError as error:
        raise DataError(f"{path} is not a JSON file ({error}); expected {expected}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} contains a JSON {type(content).__name__}; expected {expected}")
    stored = {each.name for each in fields(cls) if each.metadata["stored"]}
    unknown = sorted(content.keys() - stored)
    if unknown:
        near = get_close_matches(unknown[0], stored)
        hint = f"; did you mean {' or '.join(near)}?" if near else "; remove it"
        raise DataError(f"{path} contains {unknown[0]!r}, which is not an option of train{hint}")
    try:
        values = checked_values(cls, content)
    except UsageError as error:
        raise DataError(f"{path} contains an invalid value: {error}") from error
    data = explicit.get("data", cls.data)
    if "data" in explicit and data != content.get("data", cls.data):
        values = {name: value for name, value in values.items() if name not in cls.reading}
    return values


def changes(cls: type[Options], stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Returns a text that lists the options whose stored value differs from the wanted value.

    An older version of the package may have stored the values. Options that are new since then have their
    defaults. A wanted value ``AUTO`` equals every stored value that was chosen from the data.
    """
    chosen = {each.name for each in fields(cls) if each.metadata["auto"] and wanted.get(each.name) == AUTO}
    added = {each.name: each.default for each in fields(cls) if each.metadata["stored"]}
    before = {**added, **stored}
    compared = {*before, *wanted} - chosen
    names = sorted(name for name in compared if before.get(name) != wanted.get(name))
    return ", ".join(f"{flag(name)} was {before.get(name)}, is {wanted.get(name)}" for name in names)


def checked_values(cls: type[Options], given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks the keyword arguments of the Python API, and returns them as a new dictionary.

    The checks are the same as for the flags of the command line.

    Raises:
        UsageError: if a name is unknown, or a value has a wrong type, is out of range, or is not one of
            the choices.
    """
    declared = {one.name: (one.metadata, kind, optional) for one, kind, optional in cls.declared()}
    for name, value in given.items():
        if name not in declared:
            near = get_close_matches(name, declared) or sorted(declared)
            raise UsageError(f"{name} is not an option; did you mean {' or '.join(near)}?")
        metadata, kind, optional = declared[name]
        if value == AUTO and metadata["auto"]:
            continue
        if value is None and (optional or kind is str):
            continue
        number = kind is float and isinstance(value, int) and not isinstance(value, bool)
        if not (number or type(value) is kind):
            raise UsageError(f"{name} must be {kind.__name__}{' or None' if optional else ''}; got {value!r}")
        if metadata["choices"] and value not in metadata["choices"]:
            raise UsageError(f"{name} must be one of {', '.join(metadata['choices'])}; got {value!r}")
        low, high = metadata["minimum"], metadata["maximum"]
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            bounds = (("at least", low), ("at most", high))
            limits = [f"{word} {bound:g}" for word, bound in bounds if bound is not None]
            raise UsageError(f"{name} must be {' and '.join(limits)}; got {value!r}")
    return dict(given)


def restore(cls: type[Options], stored: Mapping[str, Any], where: str) -> Any:
    """Creates an option object from the values that :meth:`Options.stored` returned.

    Options without a stored value get their defaults.

    Args:
        cls: the option class.
        stored: option values, by name.
        where: name of the file that contains the values, for error messages.

    Raises:
        UsageError: if the stored values contain an option that this version does not have.
    """
    if not isinstance(stored, Mapping):
        raise UsageError(f"{where} does not contain a JSON object of options; train the run again")
    known = {f.name for f in fields(cls) if f.metadata["stored"]}
    gone = sorted(set(stored) - known)
    if gone:
        raise UsageError(
            f"{where} contains options unknown to this version: {', '.join(gone)}; train the run again"
        )
    return cls(**stored)


def flag(name: str) -> str:
    """Returns the flag of an option: ``--batch-size`` for ``batch_size``, ``--from`` for ``from_``."""
    return "--" + name.rstrip("_").replace("_", "-")


def _value_type(hint: Any) -> tuple[type, bool]:
    if isinstance(hint, types.UnionType):
        members = [member for member in typing.get_args(hint) if member is not type(None)]
        return members[0], True
    return hint, False
