"""How to train, where a training stands, and the ways in which it ends early."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqmodels.errors import UserError


class Diverged(UserError):
    """The loss or the gradient is not finite any more."""


class Interrupted(UserError):
    """The training was asked to stop before its end; what was done is saved."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the training data, at most.
        clipnorm: threshold of the gradient clipping; None for no clipping.
        clip_by: ``global``, ``variable`` or ``value``, see :func:`seqmodels.training.optimizers.clip`.
        monitor: the column of the history that decides which epoch is the best.
        maximize: whether more of it is better.
        patience: epochs without a better value after which the training stops; None for never.
        plateau: factor of the learning rate after an epoch that was not the best so far; None for no such
            rule. The optimizer's learning rate must be a number then, not a schedule.
        average: keep an average of the weights, which is what is validated, saved as the best, and left in
            the model. After n steps of it the average moves by ``max(1 - average, 1 / n)`` of the way to the
            weights: 1 is the mean of all these steps (Polyak and Juditsky 1992), less forgets exponentially.
            None for no average.
        average_after: begin to average after the first epoch that is worse than the best one of those before
            the last so many (NT-ASGD, Merity et al. 2018, algorithm 1); 0: from the first step.
        average_epochs: in place of that average, the mean of the weights at the ends of the last so many
            epochs (Junczys-Dowmunt et al. 2016, section 2, on averaged checkpoints). None for no average.
        seconds: of training after which the running epoch is the last and ends at once; None for no limit.
            Validation and the time between an interruption and its resumption do not count.
        save_seconds: time between two checkpoints inside an epoch; one is saved after every epoch anyway.
        xla: compile the steps by XLA, unless there are several replicas.
        parts: parts of the rows of a batch that are computed side by side on a CPU, as replicas are; a
            number of rows that they do not divide is not parted. XLA runs the loop of a recurrent layer on
            one core: two parts keep two cores busy. What is drawn at random differs from part to part. None
            for 2 where this process may use two cores, else 1.

    >>> settings = Settings(epochs=20, patience=3, average=0.999)
    >>> settings.clipnorm, settings.monitor
    (1.0, 'valid_loss')
    """

    epochs: int
    clipnorm: float | None = 1.0
    clip_by: str = "global"
    monitor: str = "valid_loss"
    maximize: bool = False
    patience: int | None = None
    plateau: float | None = None
    average: float | None = None
    average_after: int = 0
    average_epochs: int | None = None
    seconds: float | None = None
    save_seconds: float = 300.0
    xla: bool = True
    parts: int | None = None


@dataclass
class Position:
    """Where a training stands; with the variables it is all that resuming needs.

    Attributes:
        epoch: the running epoch, from 0.
        step: steps of it that are done.
        sums: what the running epoch has added up so far.
        history: one row for each finished epoch.
        best: the best monitored value so far, and ``best_epoch`` the epoch (from 1) that it came from.
        averaged: steps that are in the average of the weights; None before it begins.
        finished: nothing is left to do.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    averaged: int | None = None
    finished: bool = False
