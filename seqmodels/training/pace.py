"""Measures the time of the training steps, per batch shape."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

ENOUGH_STEPS = 10  # the speed is known after this number of measured steps
ENOUGH_SECONDS = 10.0  # the speed is also known after two measured steps that take this time together


class Pace:
    """The measured time of the training steps.

    The first step of a batch shape in a process is not measured, because it includes the compilation.

    Args:
        measured: dictionary that this object extends. The keys are batch shapes, see :func:`shape_of`. Each
            value is a list with two numbers: the number of measured steps and their time in seconds.

    >>> pace = Pace({})
    >>> for shape, seconds in [("8x20", 30.0), ("8x20", 0.5), ("8x40", 9.0), ("8x20", 0.75)]:
    ...     pace.add(shape, seconds)
    >>> pace.steps, pace.seconds, pace.mean(), pace.mean({"8x20": 1, "8x40": 1})
    (2, 1.25, 0.625, 0.9375)
    """

    def __init__(self, measured: dict[str, list[float]]):
        self.measured = measured
        self.compiled: set[str] = set()

    def add(self, shape: str, seconds: float) -> None:
        """Adds the time of one step on a batch of this shape."""
        if shape not in self.compiled:
            self.compiled.add(shape)
            return
        entry = self.measured.setdefault(shape, [0, 0.0])
        entry[0] += 1
        entry[1] += seconds

    @property
    def steps(self) -> int:
        """Number of measured steps."""
        return int(sum(steps for steps, _ in self.measured.values()))

    @property
    def seconds(self) -> float:
        """Time of all measured steps together, in seconds."""
        return sum(seconds for _, seconds in self.measured.values())

    @property
    def known(self) -> bool:
        """True if enough steps are measured for an estimate."""
        return self.steps >= ENOUGH_STEPS or (self.steps >= 2 and self.seconds >= ENOUGH_SECONDS)

    def mean(self, counts: Mapping[str, int] | None = None) -> float | None:
        """Returns the mean time of a step in seconds, or None if no step is measured.

        Args:
            counts: number of batches per shape. The result is the mean over these batches. If no step of a
                shape is measured, its time is estimated from the number of values in the batch. Default: the
                mean over the measured steps.
        """
        if not self.steps:
            return None
        if not counts:
            return self.seconds / self.steps
        per_value = self.seconds / sum(
            steps * values_of(shape) for shape, (steps, _) in self.measured.items()
        )
        times = {shape: seconds / steps for shape, (steps, seconds) in self.measured.items()}
        total = sum(count * times.get(shape, per_value * values_of(shape)) for shape, count in counts.items())
        return total / sum(counts.values())


def shape_of(batch: Any) -> str:
    """Returns the shapes of all tensors of a batch as a string.

    >>> shape_of((tf.zeros((32, 40)), tf.zeros(32), tf.zeros(32)))
    '32x40 32 32'
    """
    return " ".join("x".join(map(str, tensor.shape)) for tensor in tf.nest.flatten(batch))


def values_of(shape: str) -> int:
    """Returns the number of values in all tensors of a batch with this shape."""
    return sum(math.prod(map(int, filter(None, tensor.split("x")))) for tensor in shape.split(" "))
