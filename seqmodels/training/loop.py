"""The training loop of the project.

A ``tf.distribute`` strategy may split a batch over several replicas of the model. On a CPU, the loop splits a
batch into parts that are computed in parallel. A target that is not padding is called a real target. If a
part contains 60 % of the real targets of the batch, for example, its gradient gets the weight 0.6. The
weighted gradients are summed, clipped and applied.

The state that a recurrent model passes from one batch to the next is called the carried state.

Every value that a step depends on is stored in the checkpoint: weights, optimizer, random state, carried
state, epoch, step, the number of steps that a time limit allows, and the best value so far. A killed training
resumes with identical results.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from seqmodels.training import checkpoint
from seqmodels.training.averaging import Averages
from seqmodels.training.objectives import Objective
from seqmodels.training.pace import Pace, shape_of
from seqmodels.training.settings import Diverged, Interrupted, Position, Settings
from seqmodels.training.step import Steps
from seqmodels.training.time_limit import TimeLimit
from seqmodels.xla import set_xla_flags


class Training:
    """Trains a built model. See :meth:`run`.

    Args:
        model: a built Keras model, created in the scope of the current ``tf.distribute`` strategy.
        objective: function that computes the loss and the scores of a batch, see
            :mod:`seqmodels.training.objectives`.
        optimizer: a Keras optimizer that no other training uses.
        train: function that receives the index of an epoch, from 0, and returns the ``tf.data.Dataset`` of
            this epoch. The elements of the dataset are batches ``(inputs, targets, weights)``. The function
            must always return the same batches for the same epoch.
        validate: function without arguments that returns the validation dataset. The elements of this
            dataset have the same structure as the elements of the training dataset.
        settings: settings of the training.
        folder: folder of the checkpoints ``last.npz`` and ``best.npz``.
        initial_carried: function without arguments that returns the carried state at the start of an epoch.
            The carried state is the state that a recurrent model passes from one batch to the next. With
            several replicas, the function returns the state for the rows of one replica. Default: the model
            has no carried state.
        derive: function that computes additional columns of the history. It receives the mean loss and the
            mean scores of an epoch as a dictionary, and returns the additional columns as a dictionary.
        callbacks: Keras callbacks. ``on_train_batch_begin`` receives ``compiling``: True if the step is the
            first step of its batch shape. ``on_train_batch_end`` receives the loss, learning rate and
            gradient norm of the step. ``on_test_begin`` receives the number of validation batches as
            ``steps``. ``on_epoch_end`` receives the row of the history. A callback that sets
            ``model.stop_training`` to True ends the training after the current step or epoch.
        stop: function called after every step. If it returns True, training saves a checkpoint and raises
            :class:`Interrupted`.
        clock: function that returns the time in seconds.

    >>> from seqmodels.training import classification
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    >>> data = tf.data.Dataset.from_tensors((tf.ones((4, 2)), tf.zeros(4, tf.int32), tf.ones(4)))
    >>> settings, optimizer = Settings(epochs=2, xla=False), keras.optimizers.SGD(0.1)
    >>> batches = {"train": lambda epoch: data, "validate": lambda: data}
    >>> training = Training(model, classification(), optimizer, **batches, settings=settings, folder=folder)
    >>> [row["epoch"] for row in training.run()]
    [1, 2]
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer,
        train: Callable[[int], tf.data.Dataset],
        validate: Callable[[], tf.data.Dataset],
        settings: Settings,
        folder: Path,
        initial_carried: Callable[[], Any] = tuple,
        derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {},
        callbacks: Iterable[keras.callbacks.Callback] = (),
        stop: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ):
        set_xla_flags()
        self.model, self.objective, self.optimizer, self.settings = model, objective, optimizer, settings
        self.train, self.validate, self.initial_carried, self.stop = train, validate, initial_carried, stop
        self.derive, self.clock = derive, clock
        self.last, self.best = folder / "last.npz", folder / "best.npz"
        self.callbacks = list(callbacks)
        self.strategy = tf.distribute.get_strategy()
        with self.strategy.scope():
            # If LossScaleOptimizer builds its inner optimizer, Keras does not track all new variables. The
            # checkpoint would then not contain one of Nadam's variables. The inner optimizer is therefore
            # built before LossScaleOptimizer.
            getattr(optimizer, "inner_optimizer", optimizer).build(model.trainable_variables)
            optimizer.build(model.trainable_variables)
            self.averages = Averages(model, settings, folder)
            self.limit = TimeLimit(settings, optimizer)
            self.steps = Steps(model, objective, optimizer, settings)
        begins = settings.average is not None and not settings.average_after
        self.position = Position(averaged=0 if begins else None)
        self.pace = Pace(self.position.measured)
        self.cut = False  # True if the last epoch ended before its last step
        self.steps_in_epoch, self.validation_seconds = 0, 0.0
        self.carried = self._initial_carried()

    def run(self) -> list[dict[str, float]]:
        """Runs the training to its end, then loads the weights of the best epoch into the model.

        If the folder contains a checkpoint, the training resumes from the last checkpoint.

        Returns:
            The history, with one dictionary per epoch. Losses and scores are means over all targets that are
            not padding. The learning rate and the gradient norm are means over steps. The gradient norm is
            measured before clipping. ``clipped`` is the fraction of steps in which clipping changed the
            gradient.

        Raises:
            Diverged: a loss, gradient or monitored value is not finite. The message contains the epoch. If a
                loss or a gradient is not finite, the message also contains the step.
            Interrupted: the function ``stop`` returned True.
            DataError: the checkpoint is damaged or belongs to another model.
        """
        if self.last.exists():
            self.position = Position(**checkpoint.load(self.last, self._variables()))
            tensors = zip(tf.nest.flatten(self.carried, True), checkpoint.arrays(self.last, "carried"))
            stored = [tf.cast(array, tensor.dtype) for tensor, array in tensors]
            self.carried = tf.nest.pack_sequence_as(self.carried, stored, True)
        position = self.position
        self.pace = Pace(position.measured)
        if not position.finished:
            self._start_limit()
        self.listeners = keras.callbacks.CallbackList(self.callbacks, model=self.model)
        self.model.stop_training = False  # callbacks may set it to True
        self.listeners.on_train_begin()
        if self.settings.score_start and not position.history and position.start is None:
            self._score_start()
        while not position.finished:
            self._epoch()
            row = position.history[-1]
            patience = self.settings.patience
            exhausted = patience is not None and position.epoch - position.best_epoch >= patience
            time_is_up = self.limit.reached(position, self.pace)
            self.listeners.on_epoch_end(position.epoch - 1, row)
            reasons = {"minutes": time_is_up, "patience": exhausted, "callback": self.model.stop_training}
            whole = position.epoch >= self.settings.epochs and not self.cut
            position.stopped_by = next((name for name, holds in reasons.items() if holds and not whole), "")
            position.finished = any(reasons.values()) or position.epoch >= self.settings.epochs
            self._save()
        checkpoint.load(self.best, {"model": self.model.variables})
        self.listeners.on_train_end()
        return position.history

    def _score_start(self) -> None:
        position = self.position
        scores = self.evaluate(self.validate())
        position.start = {f"valid_{name}": value for name, value in scores.items()}
        position.best = position.start[self.settings.monitor]
        checkpoint.save(self.best, {"model": self.model.variables}, {"epoch": 0})

    def _epoch(self) -> None:
        position, settings = self.position, self.settings
        if position.step == 0:
            position.sums = {}
            self.carried = self._initial_carried()
        dataset = self.train(position.epoch)
        self.cut, self.steps_in_epoch = False, int(dataset.cardinality())
        self.listeners.on_epoch_begin(position.epoch, {"steps": self.steps_in_epoch, "step": position.step})
        start = saved = self.clock()
        for batch in self.steps.distribute(dataset.skip(position.step)):
            if self.limit.reached(position, self.pace):
                self.cut = True
                break
            shape = self._shape(batch)
            self.listeners.on_train_batch_begin(position.step, {"compiling": shape not in self.pace.compiled})
            facts, self.carried = self.steps.train(batch, self.carried)
            values = {name: float(value) for name, value in facts.items()}
            self._check(values)
            position.step += 1
            self.averages.after_step(position)
            now = self.clock()
            values["seconds"], start = now - start, now
            for name, value in values.items():
                position.sums[name] = position.sums.get(name, 0.0) + value
            self.pace.add(shape, values["seconds"])
            self.limit.after_step(position, self.pace)
            loss = values["total"] / max(values["count"], 1e-9)
            logs = {"loss": loss, "learning_rate": values["rate"], "gradient_norm": values["norm"]}
            self.listeners.on_train_batch_end(position.step - 1, logs)
            stop = self.stop()
            if stop or now - saved >= settings.save_seconds:
                self._save()
                saved = now
            if stop:
                place = f"epoch {position.epoch + 1} after step {position.step}"
                raise Interrupted(
                    f"training stopped in {place}; run the same command again to resume from there"
                )
            if self.model.stop_training:
                self.cut = position.step != self.steps_in_epoch
                break
        self._finish_epoch()

    def remaining(self) -> float | None:
        """Returns the expected time in seconds until the training ends, or None if it is not known yet.

        The estimate assumes that ``patience`` does not end the training.
        """
        position, mean = self.position, self.pace.mean()
        if mean is None or self.steps_in_epoch < 1:
            return None
        steps = self.settings.epochs * self.steps_in_epoch
        steps = steps if position.planned is None else min(steps, position.planned)
        left = max(steps - position.steps, 0)
        return left * mean + -(-left // self.steps_in_epoch) * self.validation_seconds

    def _finish_epoch(self) -> None:
        position, settings = self.position, self.settings
        sums, steps = position.sums, position.step
        scores = set(sums) - {"total", "count", "rate", "norm", "clipped", "seconds", "examples"}
        means = {"loss": sums["total"] / sums["count"]}
        means |= {name: sums[name] / sums["count"] for name in sorted(scores)}
        row = {"epoch": position.epoch + 1, "steps": steps, **means, **self.derive(means)}
        self.averages.before_validation(position)
        start = self.clock()
        with self.averages.in_place(position):
            valid = self._evaluate(self.validate(), self.listeners)
        self.validation_seconds = self.clock() - start
        row |= {f"valid_{name}": value for name, value in valid.items()}
        row |= {
            "learning_rate": sums["rate"] / steps,
            "gradient_norm": sums["norm"] / steps,
            "clipped": sums["clipped"] / steps,
            "seconds": sums["seconds"],
            "examples_per_second": sums["examples"] / max(sums["seconds"], 1e-9),
            "targets_per_second": sums["count"] / max(sums["seconds"], 1e-9),
        }
        if settings.monitor not in row:
            raise ValueError(
                f"monitor must be a column of the history ({', '.join(row)}); got {settings.monitor!r}"
            )
        value = row[settings.monitor]
        if not math.isfinite(value):
            raise Diverged(
                f"training diverged in epoch {position.epoch + 1}: {settings.monitor} is {value:g}; "
                "lower the learning rate"
            )
        position.history.append(row)
        position.epoch, position.step, position.sums = position.epoch + 1, 0, {}
        if position.best is None or self._better(value, position.best):
            position.best, position.best_epoch = value, position.epoch
            with self.averages.in_place(position):
                checkpoint.save(self.best, {"model": self.model.variables}, {"epoch": position.epoch})
        elif settings.plateau is not None:
            self.optimizer.learning_rate = settings.plateau * float(self.optimizer.learning_rate)
        self.averages.after_validation(position, self._better)

    def _better(self, value: float, than: float) -> bool:
        return value > than if self.settings.maximize else value < than

    def evaluate(self, dataset: tf.data.Dataset) -> dict[str, float]:
        """Returns the mean loss and the mean scores over a dataset, computed without dropout."""
        return self._evaluate(dataset, keras.callbacks.CallbackList(model=self.model))

    def _evaluate(
        self, dataset: tf.data.Dataset, listeners: keras.callbacks.CallbackList
    ) -> dict[str, float]:
        sums: dict[str, float] = {}
        carried = self._initial_carried()
        listeners.on_test_begin({"steps": int(dataset.cardinality())})
        for index, batch in enumerate(self.steps.distribute(dataset)):
            listeners.on_test_batch_begin(index)
            facts, carried = self.steps.evaluate(batch, carried)
            for name, value in facts.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            listeners.on_test_batch_end(index)
        listeners.on_test_end()
        if not sums.get("count"):
            raise ValueError(
                "the evaluation dataset has no rows with a positive weight; pass at least one such row"
            )
        means = {name: value / sums["count"] for name, value in sums.items() if name != "count"}
        means = {"loss": means.pop("total"), **means}
        return {**means, **self.derive(means)}

    def _start_limit(self) -> None:
        if self.settings.seconds is None:
            return
        dataset = self.train(0)
        shapes = map(self._shape, self.steps.distribute(dataset))
        self.limit.start(self.position, self.pace, int(dataset.cardinality()), shapes)

    def _shape(self, batch: Any) -> str:
        """Returns the shapes of a batch. With several replicas, these are the shapes of the first replica."""
        return shape_of(tf.nest.map_structure(self.steps.local, batch))

    def _initial_carried(self) -> Any:
        if self.strategy.num_replicas_in_sync == 1:
            return self.initial_carried()
        return self.strategy.experimental_distribute_values_from_function(lambda _: self.initial_carried())

    def _check(self, values: dict[str, float]) -> None:
        # Under mixed_float16, the scaled gradient may overflow. The optimizer then skips the step, so the
        # overflow is not an error.
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if not math.isfinite(values["total"]) or not (scaled or math.isfinite(values["norm"])):
            raise Diverged(
                f"training diverged in epoch {self.position.epoch + 1}, step {self.position.step + 1}: "
                f"the loss is {values['total']:g} and the gradient norm is {values['norm']:g}; "
                "lower the learning rate or clip the gradient (--clipnorm)"
            )
        if not math.isfinite(values["norm"]):
            values["norm"] = 0.0

    def _variables(self) -> dict[str, list]:
        variables = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        return {**variables, "average": self.averages.variables} if self.averages.variables else variables

    def _save(self) -> None:
        carried = {"carried": tf.nest.flatten(self.carried, True)}  # one tensor per replica
        checkpoint.save(self.last, {**self._variables(), **carried}, asdict(self.position))
