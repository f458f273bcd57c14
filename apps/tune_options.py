"""Options of ``tune``, and the search space of an app. This module imports neither TensorFlow nor Optuna."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from apps.options import RunOptions, TrainOptions, option, resolve
from apps.search import Ask, Dimension, contains, described, ends, widened
from seqmodels.errors import UsageError, UserError


@dataclass(frozen=True, kw_only=True)
class TuneOptions(RunOptions):
    """Options of ``tune`` in every app. The command also takes options of ``train``."""

    trials: int = option(
        30,
        "Number of trials in the study. A trial is one training. The trials of earlier commands and of other "
        "processes count.",
        group="Tuning",
        minimum=1,
    )
    minutes: float | None = option(
        None,
        "Stop after N minutes of work on the study. The time of earlier commands counts. Default: no limit.",
        group="Tuning",
        minimum=0,
    )
    trial_minutes: float | None = option(
        None,
        "Limit of the training time of each trial, in minutes. best.json contains this limit. Default: no "
        "limit.",
        group="Tuning",
        minimum=0,
    )
    prune: bool = option(
        True,
        "Stop a trial early if its validation score is worse than the median of the earlier trials at the "
        "same epoch.",
        group="Tuning",
    )
    overwrite: bool = option(
        False, "Delete the study in the run directory and start a new study.", group="Output", stored=False
    )
    json: bool = option(False, "Print the result as one JSON document.", group="Output", stored=False)


KEEP = object()  # result of an Ask function: the option keeps the value that it has without the study
# Options of ``train`` that ``tune`` does not have.
EXCLUDED = frozenset({"options", "dry_run", *(each.name for each in fields(TuneOptions))})


def tune_declared(train: type[TrainOptions]) -> list[tuple[Field, type, bool]]:
    """Returns the options of ``tune`` of an app, in the format of ``Options.declared``.

    These options are the fields of :class:`TuneOptions` and most options of ``train``. The help of an option
    that a study searches contains its search range.
    """
    kept = [each for each in train.declared() if each[0].name not in EXCLUDED]
    return TuneOptions.declared() + [(_searched(one), kind, optional) for one, kind, optional in kept]


def _searched(declared: Field) -> Field:
    if declared.metadata["search"] is None:
        return declared
    meaning = declared.metadata["help"].partition(" Default")[0]
    text = (
        f"{meaning} If this option is not set, the study searches {described(declared.metadata['search'])}."
    )
    shown = copy.copy(declared)
    shown.default = declared.default if isinstance(declared.default, bool) else None  # None shows no default
    shown.metadata = MappingProxyType({**declared.metadata, "help": text})
    return shown


def split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits option values into the options of :class:`TuneOptions` and the options of ``train``."""
    own = {each.name for each in fields(TuneOptions)}
    return (
        {name: value for name, value in given.items() if name in own},
        {name: value for name, value in given.items() if name not in own},
    )


def fixed_options(options: TuneOptions, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of ``train`` that have the same value in all trials.

    Args:
        options: options of ``tune``.
        given: options of ``train`` that the user has set.
    """
    limit = {} if options.trial_minutes is None else {"minutes": options.trial_minutes}
    return {**given, **limit}


def check_tuning(train: type[TrainOptions], options: TuneOptions, fixed: Mapping[str, Any]) -> None:
    """Checks the options of ``tune`` before TensorFlow is imported.

    Raises:
        UsageError: an option of ``train`` is invalid, or all searchable options are fixed.
        UserError: the package optuna is not installed.
    """
    options.check()
    resolve(train, {**fixed, "run": options.run}).check()
    if not search_space(train, fixed):
        raise UsageError("tune needs at least one option to search, but all of them are set; remove some")
    if find_spec("optuna") is None:
        raise UserError("tune needs the package optuna; run python -m pip install 'seqmodels[tune]'")


def search_space(train: type[TrainOptions], fixed: Mapping[str, Any]) -> list[Dimension]:
    """Returns the options that a study searches, in the order of their declaration.

    An option that the user has set is not searched. With ``--from``, the options that determine the model and
    the preprocessing are not searched either, because the earlier run has set them.
    """
    kept = set(fixed)
    if fixed.get("from_"):
        kept |= {each.name for each in fields(train) if each.metadata["model"]} | train.fixed
    return [
        Dimension(one.name, kind, one.metadata["search"])
        for one, kind, _ in train.declared()
        if one.metadata["search"] is not None and one.name not in kept
    ]


def choose(train: type[TrainOptions], fixed: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    """Asks for a value of each searched option, and returns the values by name.

    An option that cannot be combined with the values so far is left out. For example, ``--layer-dropout`` is
    left out if the number of layers is 1. Each range is extended to contain the value of the preset.
    """
    usual = resolve(train, fixed)
    chosen: dict[str, Any] = {}
    for dimension in search_space(train, fixed):
        label, candidates = dimension.at(resolve(train, {**fixed, **chosen}))
        if candidates and label == dimension.at(usual)[0]:
            candidates = widened(candidates, getattr(usual, dimension.name))
        if candidates and all(
            allowed(train, {**fixed, **chosen, dimension.name: value}) for value in ends(candidates)
        ):
            value = ask(label, dimension, candidates)
            if value is not KEEP:
                chosen[dimension.name] = value
    return chosen


def usual_parameters(train: type[TrainOptions], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of the first trial, whose options are the options of the preset.

    If the value of the preset is not in the search range, such as 'auto', the option is left out.
    """
    usual, parameters = resolve(train, fixed), {}

    def ask(label: str, dimension: Dimension, candidates: Any) -> Any:
        value = getattr(usual, dimension.name)
        if not contains(candidates, value):
            return KEEP
        parameters[label] = value
        return value

    choose(train, fixed, ask)
    return parameters


def allowed(train: type[TrainOptions], explicit: Mapping[str, Any]) -> bool:
    """Returns True if these options can be combined."""
    try:
        resolve(train, explicit).check()
    except UsageError:
        return False
    return True
