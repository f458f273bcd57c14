"""Converts a time limit to a number of training steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import keras

from seqmodels.training.optimizers import Schedule
from seqmodels.training.pace import Pace
from seqmodels.training.settings import Position, Settings

LEAST = 0.02  # the speed is measured for at least this fraction of the limit
LEAST_SECONDS = 20.0  # upper bound of the time that LEAST requires
MOST = 0.1  # a plan is made after this fraction of the limit, even if some batch shapes are not measured
BATCHES = 2000  # the shapes of at most this number of batches are counted
TOLERANCE = 1.2  # training stops at the latest after the limit times this factor


class TimeLimit:
    """Plans the number of training steps that fit into the time limit of a training.

    The plan is made once, when the time of the first steps is known. It is stored in ``position.planned``, so
    a resumed training keeps it. The schedule of the learning rate and its warm-up then end at the planned
    step. The average of the weights starts in the second half of the planned steps. Until the plan is made,
    the schedule follows a provisional estimate.

    If the epochs end before the limit, the limit changes nothing.

    Args:
        settings: settings of the training.
        optimizer: optimizer of the training. Its learning rate follows the limit if it is a
            :class:`~seqmodels.training.Schedule`. Create this object in the scope of the model.
    """

    def __init__(self, settings: Settings, optimizer: keras.optimizers.Optimizer):
        self.settings, self.seconds = settings, settings.seconds
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        self.schedule = next((each for each in vars(inner).values() if isinstance(each, Schedule)), None)
        self.total: float | None = None
        self.counts: dict[str, int] = {}
        if self.seconds is not None and self.schedule is not None:
            self.schedule.make_movable()

    def start(self, position: Position, pace: Pace, steps_in_epoch: int, shapes: Iterator[str]) -> None:
        """Prepares a new or a resumed training.

        Args:
            position: progress of the training.
            pace: measured time of the training steps.
            steps_in_epoch: number of steps of an epoch. A negative number means that it is not known.
            shapes: shapes of the batches of an epoch.
        """
        if self.seconds is None:
            return
        self.total = self.settings.epochs * steps_in_epoch if steps_in_epoch > 0 else math.inf
        if position.planned is None:
            self.counts = Counter(islice(shapes, BATCHES))
        self._move_schedule(position, pace)

    def after_step(self, position: Position, pace: Pace) -> None:
        """Makes the plan, if the time of enough steps is known."""
        if self.seconds is None or position.planned is not None:
            return
        allowed = self._allowed(position, pace)
        known = self._measured(pace) or self._spent(position, pace) >= self.seconds
        if known and allowed is not None:
            position.planned = allowed
            if self.binds(position) and not self.settings.average_after:
                position.average_from = allowed // 2
                if self.settings.average is not None:
                    position.averaged = None  # the average starts again after ``average_from`` steps
        self._move_schedule(position, pace)

    def binds(self, position: Position) -> bool:
        """Returns True if the planned steps end before the epochs."""
        return position.planned is not None and self.total is not None and position.planned < self.total

    def reached(self, position: Position, pace: Pace) -> bool:
        """Returns True if the limit ends the training now."""
        if self.seconds is None:
            return False
        planned = position.planned is not None and position.steps >= position.planned
        return planned or self._spent(position, pace) > TOLERANCE * self.seconds

    def _measured(self, pace: Pace) -> bool:
        assert self.seconds is not None
        if pace.seconds >= MOST * self.seconds:
            return pace.steps > 0
        least = min(LEAST * self.seconds, LEAST_SECONDS)
        return pace.known and pace.seconds >= least and self.counts.keys() <= pace.measured.keys()

    def _spent(self, position: Position, pace: Pace) -> float:
        """Returns the time of all finished steps in seconds, without the time of the compilation.

        A step that was not measured counts as long as the mean of the measured steps.
        """
        return pace.seconds + (position.steps - pace.steps) * (pace.mean() or 0.0)

    def _allowed(self, position: Position, pace: Pace) -> int | None:
        mean = pace.mean(self.counts)
        assert self.seconds is not None
        if not mean:
            return position.steps if self._spent(position, pace) >= self.seconds else None
        left = max(self.seconds - self._spent(position, pace), 0.0)
        return position.steps + round(left / mean)

    def _move_schedule(self, position: Position, pace: Pace) -> None:
        if self.schedule is None:
            return
        allowed = self._allowed(position, pace) if position.planned is None else position.planned
        own = self.schedule.steps
        self.schedule.move_end(own if allowed is None else min(max(allowed, 1), own))
