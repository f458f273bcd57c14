"""Settings of a training, its position, and the errors that end it early."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqmodels.errors import UserError


class Diverged(UserError):
    """Raised if the loss, the gradient or the monitored value is not finite."""


class Interrupted(UserError):
    """Raised if a training is stopped before its end; the finished steps are saved."""


@dataclass(frozen=True)
class Settings:
    """Settings of a training.

    Attributes:
        epochs: maximum number of passes over the training data.
        clipnorm: threshold of gradient clipping; None disables it.
        clip_by: ``global``, ``variable`` or ``value``, see :func:`seqmodels.training.optimizers.clip`.
        monitor: column of the history that determines the best epoch.
        maximize: if True, larger values of ``monitor`` are better.
        patience: number of epochs without improvement after which training stops; None disables it.
        plateau: factor of the learning rate after each epoch that is not the best so far; None disables it.
            With ``plateau``, the learning rate of the optimizer must be a number, not a schedule.
        average: decay of an average of the weights; None disables it. The average is validated, saved as the
            best weights, and left in the model. In its n-th step, the average moves by
            ``max(1 - average, 1 / n)`` of the way to the weights. 1 gives the mean over all steps of the
            average (Polyak and Juditsky 1992); less than 1 gives an exponential average.
        average_after: number of epochs N. Averaging starts once validation is worse than its best value more
            than N epochs ago (NT-ASGD, Merity et al. 2018, algorithm 1). 0 starts at the first step.
        average_epochs: number of last epochs whose final weights are averaged, instead of ``average``
            (Junczys-Dowmunt et al. 2016, section 2, on averaged checkpoints). None disables it.
        seconds: training time in seconds, after which the current epoch ends at once and is the last; None
            disables it. Validation and the time between an interruption and its resumption do not count.
        save_seconds: seconds between two checkpoints within an epoch. A checkpoint is also saved after every
            epoch.
        xla: if True, XLA compiles the steps, except with several replicas.
        parts: number of parts of a batch that a CPU computes in parallel, as replicas do. A batch whose
            number of rows is not divisible by ``parts`` is not split. XLA runs the loop of a recurrent layer
            on one core, so two parts use two cores. Random numbers differ between the parts. None selects 2
            if this process may use two cores, else 1.

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
    """The progress of a training; with the variables, it contains everything that resuming needs.

    Attributes:
        epoch: index of the current epoch, from 0.
        step: number of finished steps of the current epoch.
        sums: sums over the finished steps of the current epoch.
        history: one row per finished epoch.
        best: best monitored value so far.
        best_epoch: number of the epoch (from 1) with the best value.
        averaged: number of steps in the average of the weights; None before averaging starts.
        finished: True if the training is finished.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    averaged: int | None = None
    finished: bool = False
