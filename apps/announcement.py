"""Short texts about a training: its data and its model, its expected time, and why it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from seqmodels.training import Training

ENOUGH = 0.5  # a limit of the time below this share of the planned steps is probably too short


def data_line(facts: Mapping[str, Any]) -> str:
    """Returns one line about the data.

    Args:
        facts: facts of the data, see :class:`apps.task.Data`. Only ``counts`` is required.

    >>> data_line({"counts": {"train": 5400, "valid": 60}, "classes": {"bad": 2700, "good": 2700},
    ...            "vocabulary": 1234, "unknown tokens": "3.10%"})
    'data: 5,400 train, 60 valid examples; 2 classes; vocabulary 1,234 (3.10% unknown)'
    """
    counts = ", ".join(f"{count:,} {split}" for split, count in facts["counts"].items())
    parts = [f"{counts} examples"]
    if "languages" in facts:
        parts.append(facts["languages"])
    for name in ("classes", "series"):
        if name in facts:
            count = facts[name] if isinstance(facts[name], int) else len(facts[name])
            parts.append(f"{count:,} {name}")
    if "tokens" in facts:
        parts.append(f"{facts['tokens']['train']:,} train tokens")
    if "lookback" in facts and "horizon" in facts:
        parts.append(f"lookback {facts['lookback']}, horizon {facts['horizon']}")
    if "vocabulary" in facts:
        sizes = facts["vocabulary"] if isinstance(facts["vocabulary"], list) else [facts["vocabulary"]]
        unknown = facts.get("unknown tokens", "")
        unknown = unknown["train"] if isinstance(unknown, dict) else unknown
        text = "vocabulary " + " and ".join(f"{size:,}" for size in sizes)
        parts.append(f"{text} ({unknown} unknown)" if unknown else text)
    return "data: " + "; ".join(parts)


def model_line(training: Training) -> str:
    """Returns one line about the size of the model and the number of training steps."""
    settings, steps = training.settings, int(training.train(0).cardinality())
    most = "" if settings.patience is None and settings.seconds is None else "at most "
    limit = "" if settings.seconds is None else f"; at most {settings.seconds / 60:g} minutes"
    epochs = f"{settings.epochs:,} epoch{'s' if settings.epochs != 1 else ''} of {steps:,} steps"
    return f"model: {training.model.count_params():,} parameters; {most}{epochs}{limit}"


def time_line(training: Training) -> str | None:
    """Returns one line about the expected time of the training, or None if the time is not known yet."""
    position, settings = training.position, training.settings
    mean, left = training.pace.mean(), training.remaining()
    decided = position.planned is not None if settings.seconds is not None else training.pace.known
    if mean is None or left is None or not decided:
        return None
    most = "about" if settings.patience is None else "at most about"
    validation = "" if training.validation_seconds else ", plus validation"
    text = f"time: {duration(mean)} per step; {most} {duration(left)} left{validation}"
    if training.limit.binds(position) and position.planned and settings.seconds:
        epoch = -(-position.planned // training.steps_in_epoch)
        text += f"; --minutes {settings.seconds / 60:g} allows {position.planned:,} steps, "
        text += f"which end in epoch {epoch} of {settings.epochs}"
        whole = settings.epochs * training.steps_in_epoch * mean / 60
        if position.planned < ENOUGH * settings.epochs * training.steps_in_epoch:
            text += f"; this is short for the data, --minutes {math.ceil(whole)} allows all epochs"
    return text


def ending(training: Training) -> str:
    """Returns why the training ended before its last epoch. The text is empty if all epochs are finished."""
    position, settings = training.position, training.settings
    if position.stopped_by == "minutes" and settings.seconds is not None:
        steps = f"{position.steps:,} steps"
        if position.planned and position.planned > position.steps:
            steps = (
                f"{position.steps:,} of {position.planned:,} planned steps, because the steps became slower"
            )
        return (
            f"stopped by --minutes {settings.seconds / 60:g} in epoch {position.epoch} of {settings.epochs} "
            f"after {steps}"
        )
    if position.stopped_by == "patience":
        return f"stopped by --patience {settings.patience} after epoch {position.epoch} of {settings.epochs}"
    return ""


def duration(seconds: float) -> str:
    """Returns a time as a short text.

    >>> [duration(seconds) for seconds in (0.0042, 3.14, 42, 300, 4500)]
    ['4.2 ms', '3.1 s', '42 s', '5 min', '1.2 h']
    """
    for size, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size or (unit == "s" and seconds >= 0.1):
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}".replace(".0 ", " ")
    return f"{1000 * seconds:.1f} ms"
