"""Averages the weights of a model over training steps, or over the most recent epochs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from seqmodels.training import checkpoint
from seqmodels.training.settings import Position, Settings


class Averages:
    """Keeps an average of the trainable weights of a model.

    Args:
        model: a built Keras model. Create this object in the ``tf.distribute`` scope of the model.
        settings: settings of the training. Only ``average``, ``average_after``, ``average_epochs`` and
            ``monitor`` are used.
        folder: folder for the weights of recent epochs. It is used only if ``average_epochs`` is set.

    Attributes:
        variables: averages of the trainable weights, in the order of the weights. Empty if averaging is
            disabled.
    """

    def __init__(self, model: keras.Model, settings: Settings, folder: Path):
        self.model, self.settings, self.folder = model, settings, folder
        self.strategy = tf.distribute.get_strategy()
        keeps = settings.average is not None or settings.average_epochs is not None
        averaged = model.trainable_variables if keeps else []
        self.variables = [keras.Variable(variable, trainable=False) for variable in averaged]
        self._move = tf.function(self._move_all, autograph=False)

    def after_step(self, position: Position) -> None:
        """Updates the average with the current weights, if averaging over steps has started.

        If a time limit ends the training before the epochs, averaging starts after ``average_from`` steps.
        """
        if self.settings.average is None:
            return
        if position.averaged is None:
            if not 0 < position.average_from < position.steps:
                return
            position.averaged = 0
        position.averaged += 1
        share = max(1 - self.settings.average, 1 / position.averaged)
        self._move(tf.constant(share))

    def before_validation(self, position: Position) -> None:
        """Computes the mean of the weights of the most recent epochs, if ``average_epochs`` is set.

        The weights of an epoch are the weights after its last step. Epochs that end within the first
        ``average_from`` steps are not used, except for the current epoch.
        """
        count = self.settings.average_epochs
        if count is None:
            return
        files = [self.folder / f"epoch_{index}.npz" for index in range(count)]
        checkpoint.save(files[position.epoch % count], {"model": self.model.trainable_variables}, {})
        ends = accumulate(int(row["steps"]) for row in position.history)
        late = sum(end > position.average_from for end in ends)
        position.averaged = min(count, late + 1)
        recent = sorted((position.epoch - back) % count for back in range(position.averaged))
        kept = [checkpoint.arrays(files[index], "model") for index in recent]
        for average, *values in zip(self.variables, *kept):
            average.assign(sum(values) / len(values))

    def after_validation(self, position: Position, better: Callable[[float, float], bool]) -> None:
        """Starts averaging over steps if an earlier epoch was better than the current epoch.

        The comparison ignores the N epochs directly before the current epoch. N is ``average_after``.
        """
        if self.settings.average is None or position.averaged is not None or not self.settings.average_after:
            return
        *before, value = [row[self.settings.monitor] for row in position.history]
        if any(better(old, value) for old in before[: -self.settings.average_after]):
            position.averaged = 0

    @contextmanager
    def in_place(self, position: Position) -> Iterator[None]:
        """Context manager: inside the ``with`` block, the weights of the model are the averages.

        After the block, the trained weights are restored. Before averaging starts, the block changes nothing.
        """
        if not position.averaged:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for variable, average in zip(self.model.trainable_variables, self.variables):
            weight, mean = variable.numpy(), average.numpy()
            variable.assign(mean)
            average.assign(weight)

    def _move_all(self, share: tf.Tensor) -> None:
        def move(average: Any, weight: tf.Tensor, share: tf.Tensor) -> None:
            average.assign_add(tf.cast(share, weight.dtype) * (weight - average))

        for variable, average in zip(self.model.trainable_variables, self.variables):
            self.strategy.extended.update(average.value, move, args=(variable.value, share), group=False)
