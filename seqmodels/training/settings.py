"""Settings and progress of a training, and the errors that end a training early."""

from __future__ import annotations

from dataclasses import dataclass, field

from seqmodels.errors import UserError


class Diverged(UserError):
    """Raised if the loss, the gradient or the monitored value is not finite."""


class Interrupted(UserError):
    """Raised if a training is stopped before its end. The finished steps are saved in a checkpoint."""


@dataclass(frozen=True)
class Settings:
    """Settings of a training.

    Attributes:
        epochs: maximum number of passes over the training data.
        clipnorm: threshold of gradient clipping. None disables clipping.
        clip_by: ``global``, ``variable`` or ``value``, see :func:`seqmodels.training.optimizers.clip`.
        monitor: column of the history that determines the best epoch.
        maximize: if True, larger values of ``monitor`` are better.
        patience: training stops after this number of consecutive epochs without a new best value of
            ``monitor``. None disables this rule.
        plateau: factor for the learning rate. After each epoch without a new best value of ``monitor``, the
            learning rate is multiplied by this factor. None disables this rule. With ``plateau``, the
            learning rate of the optimizer must be a number, not a schedule.
        average: decay rate d. The weights are averaged over training steps. None disables the average. At
            the n-th step after the start of averaging, ``max(1 - d, 1 / n) * (weights - average)`` is added
            to the average. With d = 1, the result is the mean over these steps (Polyak and Juditsky 1992).
            With d < 1, the result is an exponential moving average. Validation uses the average instead of
            the weights. The saved best weights and the weights of the final model are also the average. If
            ``seconds`` ends the training before the epochs, averaging starts in the second half of the steps.
        average_after: number of epochs N. Averaging over steps starts when the current epoch is worse than at
            least one earlier epoch (NT-ASGD, Merity et al. 2018, algorithm 1). The N epochs directly before
            the current epoch are ignored in this comparison. With 0, averaging starts at the first step.
        average_epochs: number of most recent epochs whose final weights are averaged. The average is computed
            after each epoch (Junczys-Dowmunt et al. 2016, section 2, on averaged checkpoints). None disables
            this average. If ``seconds`` ends the training before the epochs, only epochs that end in the
            second half of the steps are averaged. Do not combine ``average_epochs`` with ``average``.
        seconds: limit of the training time in seconds. None disables the limit. The time of the first steps
            determines the number of steps that the limit allows. After these steps and a final validation,
            the training ends. A :class:`~seqmodels.training.Schedule` and its warm-up end at the same step.
            Only the time of training steps counts, without the compilation. The time of validation and the
            time during an interruption do not count. If the steps become slower, the training ends after 1.2
            times the limit.
        score_start: if True, the initial weights are validated before the first epoch, and compete for the
            best epoch as epoch 0. This is for models that start from a useful state.
        save_seconds: seconds between two checkpoints within an epoch. A checkpoint is also saved after every
            epoch.
        xla: if True, XLA compiles the steps. With several replicas, XLA is not used.
        parts: number of parts into which each batch is split on a CPU. The parts are computed in parallel. A
            batch is split only if its number of rows is divisible by ``parts``. XLA runs the time steps of a
            recurrent layer on one core, but several parts can run on several cores. Each part samples its own
            random numbers, for example for dropout. None selects 2 parts if this process may use at least two
            cores, else 1 part.

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
    score_start: bool = False
    save_seconds: float = 300.0
    xla: bool = True
    parts: int | None = None


@dataclass
class Position:
    """The progress of a training. A checkpoint contains this object and the values of all variables.

    Attributes:
        epoch: index of the current epoch, from 0.
        step: number of finished steps of the current epoch.
        sums: sum of each logged value, such as the loss, over the finished steps of the current epoch. The
            keys are the names of the values.
        history: one row per finished epoch.
        best: best monitored value so far.
        best_epoch: number of the epoch with the best value, counted from 1. 0 stands for the initial weights,
            see ``Settings.score_start``.
        start: validation columns of the initial weights, or None if they were not validated.
        averaged: number of steps in the average of the weights. With ``average_epochs``, number of epochs in
            this average. None before averaging starts.
        finished: True if the training is finished.
        measured: measured steps and their time per batch shape, see :class:`seqmodels.training.pace.Pace`.
        planned: number of steps that the time limit allows. None without a limit, or before the time of the
            steps is known.
        average_from: number of steps before averaging starts because of the time limit.
        stopped_by: ``minutes``, ``patience`` or ``callback`` if the training ended before its last epoch.
            Otherwise, an empty string.
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    best: float | None = None
    best_epoch: int = 0
    start: dict[str, float] | None = None
    averaged: int | None = None
    finished: bool = False
    measured: dict[str, list[float]] = field(default_factory=dict)
    planned: int | None = None
    average_from: int = 0
    stopped_by: str = ""

    @property
    def steps(self) -> int:
        """Number of finished steps of all epochs."""
        return int(sum(row["steps"] for row in self.history)) + self.step
