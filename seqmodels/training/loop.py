"""The one training loop of the project.

For every step: gradients of each part of a batch on each replica, weighted by their shares of the real
targets, summed over parts and replicas, clipped, applied. All that a step depends on (weights, optimizer,
random state, carried state, epoch, step, best value so far) is explicit and stored, so that a training that
was killed goes on as if nothing had happened.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels.errors import UserError
from seqmodels.training import checkpoint
from seqmodels.training.objectives import Objective, Outcome
from seqmodels.training.optimizers import clip


class Diverged(UserError):
    """The loss or the gradient is no longer a finite number."""


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


class Part(NamedTuple):
    """What a part of a batch contributes to a step.

    Attributes:
        sums: of losses, targets, scores and examples, by name.
        gradients: of its own mean loss, one for each trainable variable; none in evaluation.
        carried: the state of its rows.
        updates: what it made of the model's other variables, such as the states of random generators, by
            their place among those that are not trainable.
    """

    sums: dict[str, tf.Tensor]
    gradients: list[tf.Tensor]
    carried: Any
    updates: dict[str, tf.Tensor]


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


class Training:
    """Trains a built model. See :meth:`run`.

    Args:
        model: a built Keras model, made in the scope of the current ``tf.distribute`` strategy.
        objective: see :mod:`seqmodels.training.objectives`.
        optimizer: a Keras optimizer of its own for this training.
        train: ``epoch -> tf.data.Dataset`` of ``(inputs, targets, weights)``, deterministic in the epoch.
        validate: ``() -> tf.data.Dataset`` of the same elements.
        settings: how to train.
        folder: where ``last.npz`` and ``best.npz`` are kept.
        initial_carried: ``() -> state`` at the start of an epoch, for models that carry a state from batch to
            batch; with several replicas that of the rows of one.
        derive: ``means -> further columns`` of the history, from the mean loss and scores of an epoch.
        callbacks: Keras callbacks; ``on_train_batch_end`` sees the step's loss, learning rate and gradient
            norm, ``on_epoch_end`` the row of the history. One that sets ``model.stop_training`` ends the
            training after the step or epoch.
        stop: asked after every step; True saves and raises :class:`Interrupted`.
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
    ):
        self.model, self.objective, self.optimizer, self.settings = model, objective, optimizer, settings
        self.train, self.validate, self.initial_carried, self.stop = train, validate, initial_carried, stop
        self.derive = derive
        self.last, self.best = folder / "last.npz", folder / "best.npz"
        self.callbacks = list(callbacks)
        self.strategy = tf.distribute.get_strategy()
        with self.strategy.scope():
            # Built by its wrapper alone, Nadam would not list all of its variables.
            getattr(optimizer, "inner_optimizer", optimizer).build(model.trainable_variables)
            optimizer.build(model.trainable_variables)
            keeps = settings.average is not None or settings.average_epochs is not None
            averaged = model.trainable_variables if keeps else []
            self.averages = [keras.Variable(variable, trainable=False) for variable in averaged]
        single = self.strategy.num_replicas_in_sync == 1
        parted = single and not tf.config.list_physical_devices("GPU")
        self.parts = (settings.parts or min(2, _cores())) if parted else 1

        def compiled(function: Callable[..., Any], whole: bool = False) -> Callable[..., Any]:
            # XLA does not compile the sum over replicas, and no function inside of another may hold it.
            # Several parts are programs of their own, which TensorFlow starts at once; one is compiled
            # with the rest of the step.
            xla = settings.xla and single and (self.parts == 1 or not whole)
            return tf.function(function, jit_compile=xla, autograph=False) if single or whole else function

        self.part_step, self.part_evaluation = compiled(self._part_step), compiled(self._part_evaluation)
        self.update = compiled(self._update)
        self.train_step = compiled(self._step, whole=True)
        self.evaluation_step = compiled(self._evaluate, whole=True)
        self.move_averages = tf.function(self._move_averages, autograph=False)
        begins = settings.average is not None and not settings.average_after
        self.position = Position(averaged=0 if begins else None)
        self.carried = self._initial_carried()

    def run(self) -> list[dict[str, float]]:
        """Trains to the end, from the last checkpoint if there is one; leaves the best weights in the model.

        Returns:
            The history, one row for each epoch: losses and scores are means over real targets, the learning
            rate and the gradient norm before clipping means over steps, ``clipped`` the share of the steps
            whose gradient the clipping changed.

        Raises:
            Diverged: a loss, gradient or monitored value that is not finite; names epoch and step.
            Interrupted: ``stop`` said so.
            DataError: the checkpoint is damaged or of another model.
        """
        if self.last.exists():
            self.position = Position(**checkpoint.load(self.last, self._variables()))
            tensors = zip(tf.nest.flatten(self.carried, True), checkpoint.arrays(self.last, "carried"))
            stored = [tf.cast(array, tensor.dtype) for tensor, array in tensors]
            self.carried = tf.nest.pack_sequence_as(self.carried, stored, True)
        self.listeners = keras.callbacks.CallbackList(self.callbacks, model=self.model)
        self.model.stop_training = False  # callbacks may set it
        self.listeners.on_train_begin()
        position = self.position
        while not position.finished:
            self._epoch()
            row = position.history[-1]
            patience = self.settings.patience
            exhausted = patience is not None and position.epoch - position.best_epoch >= patience
            exhausted = exhausted or self._time_is_up()
            self.listeners.on_epoch_end(position.epoch - 1, row)
            position.finished = (
                exhausted or position.epoch >= self.settings.epochs or self.model.stop_training
            )
            self._save()
        checkpoint.load(self.best, {"model": self.model.variables})
        self.listeners.on_train_end()
        return position.history

    def _epoch(self) -> None:
        position, settings = self.position, self.settings
        if position.step == 0:
            position.sums = {}
            self.carried = self._initial_carried()
        dataset = self.train(position.epoch)
        self.listeners.on_epoch_begin(
            position.epoch, {"steps": int(dataset.cardinality()), "step": position.step}
        )
        start = saved = time.monotonic()
        for batch in self._distribute(dataset.skip(position.step)):
            self.listeners.on_train_batch_begin(position.step)
            facts, self.carried = self.train_step(batch, self.carried)
            if settings.average is not None and position.averaged is not None:
                position.averaged += 1
                share = max(1 - settings.average, 1 / position.averaged)
                self.move_averages(tf.constant(share))
            values = {name: float(value) for name, value in facts.items()}
            self._check(values)
            now = time.monotonic()
            values["seconds"], start = now - start, now
            for name, value in values.items():
                position.sums[name] = position.sums.get(name, 0.0) + value
            position.step += 1
            loss = values["total"] / max(values["count"], 1e-9)
            logs = {"loss": loss, "learning_rate": values["rate"], "gradient_norm": values["norm"]}
            self.listeners.on_train_batch_end(position.step - 1, logs)
            stop = self.stop()
            if stop or now - saved >= settings.save_seconds:
                self._save()
                saved = now
            if stop:
                place = f"epoch {position.epoch + 1} after step {position.step}"
                raise Interrupted(f"stopped in {place}; the same command resumes there")
            if self.model.stop_training or self._time_is_up():
                break
        self._finish_epoch()

    def _time_is_up(self) -> bool:
        limit, position = self.settings.seconds, self.position
        spent = sum(row["seconds"] for row in position.history) + position.sums.get("seconds", 0.0)
        return limit is not None and spent >= limit

    def _finish_epoch(self) -> None:
        position, settings = self.position, self.settings
        sums, steps = position.sums, position.step
        scores = set(sums) - {"total", "count", "rate", "norm", "clipped", "seconds", "examples"}
        means = {"loss": sums["total"] / sums["count"]}
        means |= {name: sums[name] / sums["count"] for name in sorted(scores)}
        row = {"epoch": position.epoch + 1, "steps": steps, **means, **self.derive(means)}
        if settings.average_epochs is not None:
            self._average_epochs(settings.average_epochs)
        with self._averaged_weights():
            row |= {f"valid_{name}": value for name, value in self.evaluate(self.validate()).items()}
        row |= {
            "learning_rate": sums["rate"] / steps,
            "gradient_norm": sums["norm"] / steps,
            "clipped": sums["clipped"] / steps,
            "seconds": sums["seconds"],
            "examples_per_second": sums["examples"] / max(sums["seconds"], 1e-9),
            "targets_per_second": sums["count"] / max(sums["seconds"], 1e-9),
        }
        if settings.monitor not in row:
            raise ValueError(f"monitor is {settings.monitor!r}; the history has {', '.join(row)}")
        value = row[settings.monitor]
        if not math.isfinite(value):
            raise Diverged(
                f"epoch {position.epoch + 1}: {settings.monitor} is {value:g}; lower the learning rate"
            )
        position.history.append(row)
        position.epoch, position.step, position.sums = position.epoch + 1, 0, {}
        if position.best is None or self._better(value, position.best):
            position.best, position.best_epoch = value, position.epoch
            with self._averaged_weights():
                checkpoint.save(self.best, {"model": self.model.variables}, {"epoch": position.epoch})
        elif settings.plateau is not None:
            self.optimizer.learning_rate = settings.plateau * float(self.optimizer.learning_rate)
        if settings.average is not None and position.averaged is None and self._worse_than_long_ago():
            position.averaged = 0

    def _better(self, value: float, than: float) -> bool:
        return value > than if self.settings.maximize else value < than

    def _worse_than_long_ago(self) -> bool:
        *before, value = [row[self.settings.monitor] for row in self.position.history]
        return any(self._better(old, value) for old in before[: -self.settings.average_after])

    @contextmanager
    def _averaged_weights(self) -> Iterator[None]:
        """The averages in the place of the weights, once there are any."""
        if not self.position.averaged:
            yield
            return
        self._swap_averages()
        try:
            yield
        finally:
            self._swap_averages()

    def _average_epochs(self, count: int) -> None:
        """Keeps the weights of this epoch in the place of those of ``count`` epochs ago, and averages all."""
        position = self.position
        files = [self.last.with_name(f"epoch_{index}.npz") for index in range(count)]
        checkpoint.save(files[position.epoch % count], {"model": self.model.trainable_variables}, {})
        position.averaged = min(count, position.epoch + 1)
        kept = [checkpoint.arrays(file, "model") for file in files[: position.averaged]]
        for average, *values in zip(self.averages, *kept):
            average.assign(sum(values) / len(values))

    def _swap_averages(self) -> None:
        for variable, average in zip(self.model.trainable_variables, self.averages):
            weight, mean = variable.numpy(), average.numpy()
            variable.assign(mean)
            average.assign(weight)

    def _move_averages(self, share: tf.Tensor) -> None:
        def move(average: Any, weight: tf.Tensor, share: tf.Tensor) -> None:
            average.assign_add(tf.cast(share, weight.dtype) * (weight - average))

        for variable, average in zip(self.model.trainable_variables, self.averages):
            self.strategy.extended.update(average.value, move, args=(variable.value, share), group=False)

    def evaluate(self, dataset: tf.data.Dataset) -> dict[str, float]:
        """Mean loss and scores over a data set, without dropout."""
        sums: dict[str, float] = {}
        carried = self._initial_carried()
        for batch in self._distribute(dataset):
            facts, carried = self.evaluation_step(batch, carried)
            for name, value in facts.items():
                sums[name] = sums.get(name, 0.0) + float(value)
        if not sums.get("count"):
            raise ValueError("there is nothing to evaluate: the data set has no row of positive weight")
        means = {name: value / sums["count"] for name, value in sums.items() if name != "count"}
        means = {"loss": means.pop("total"), **means}
        return {**means, **self.derive(means)}

    def _step(self, batch: Any, carried: Any) -> tuple[dict[str, tf.Tensor], Any]:
        facts, carried = self.strategy.run(self._replica_step, args=(*batch, carried))
        return {name: self._local(value) for name, value in facts.items()}, carried

    def _replica_step(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> tuple[dict, Any]:
        generators = self._random_states()
        # Far apart in the generators' space, so that no part draws what another one draws later.
        shifts = [tf.constant([index * 0x9E3779B9 % 2**32, 0], tf.uint32) for index in range(self.parts)]
        parts = [
            self.part_step(
                *part, [tf.cast(tf.cast(g.value, tf.uint32) + shift, g.value.dtype) for g in generators]
            )
            for part, shift in zip(self._parted(inputs, targets, weights, carried), shifts)
        ]
        # All parts are one step, which the first one counts.
        for index, value in parts[0].updates.items():
            self.model.non_trainable_variables[int(index)].assign(value)
        facts = self.update([part.sums for part in parts], [part.gradients for part in parts])
        return facts, _joined([part.carried for part in parts])

    def _part_step(self, inputs: Any, targets: Any, weights: Any, carried: Any, seeds: list) -> Part:
        variables, generators = self.model.trainable_variables, self._random_states()
        values = [tf.convert_to_tensor(variable.value) for variable in variables]
        scale = self._loss_scale()
        # Keras' regularizers look for the weights, too, in the scope.
        state = list(zip([*variables, *generators], [*values, *seeds]))
        with keras.StatelessScope(state) as scope, tf.GradientTape() as tape:
            tape.watch(values)
            outcome = self.objective(self.model, inputs, targets, weights, carried, True)
            mean = outcome.total / tf.maximum(outcome.count, 1e-9) + tf.cast(outcome.penalty, tf.float32)
            scaled = mean * scale
        gradients = tape.gradient(scaled, values, unconnected_gradients="zero")
        # Dense: the norm of an embedding's gradient is that of its summed rows, not of the rows one by one.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        examples = tf.reduce_sum(tf.cast(weights > 0, tf.float32))
        updates = {
            str(index): value
            for index, variable in enumerate(self.model.non_trainable_variables)
            if (value := scope.get_current_value(variable)) is not None  # untouched otherwise
        }
        return Part({**_sums(outcome), "examples": examples}, gradients, outcome.carried, updates)

    def _update(self, sums: list[dict], gradients: list[list]) -> dict[str, tf.Tensor]:
        """Applies the clipped gradient of the mean loss of all parts; what the step reports."""
        replicas, scale = self.strategy.num_replicas_in_sync, self._loss_scale()
        facts = {name: self._sum(value) for name, value in _added(sums).items()}
        count = tf.maximum(facts["count"], 1e-9)
        shares = [part["count"] / count for part in sums]
        means = [self._sum(tf.add_n([g * share for g, share in zip(of, shares)])) for of in zip(*gradients)]
        clipping = self.settings.clipnorm, self.settings.clip_by
        clipped, norm, changed = clip([mean / scale for mean in means], *clipping)
        rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        # Keras' optimizer sums over the replicas once more and, under mixed_float16, divides by the scale.
        self.optimizer.apply([g * (scale / replicas) for g in clipped], self.model.trainable_variables)
        return {**facts, "rate": rate, "norm": norm, "clipped": tf.cast(changed, tf.float32)}

    def _evaluate(self, batch: Any, carried: Any) -> tuple[dict[str, tf.Tensor], Any]:
        facts, carried = self.strategy.run(self._replica_evaluate, args=(*batch, carried))
        return {name: self._local(value) for name, value in facts.items()}, carried

    def _replica_evaluate(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> tuple[dict, Any]:
        parts = [self.part_evaluation(*part) for part in self._parted(inputs, targets, weights, carried)]
        facts = {name: self._sum(value) for name, value in _added([part.sums for part in parts]).items()}
        return facts, _joined([part.carried for part in parts])

    def _part_evaluation(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> Part:
        outcome = self.objective(self.model, inputs, targets, weights, carried, False)
        return Part(_sums(outcome), [], outcome.carried, {})

    def _parted(self, *batch: Any) -> list:
        """The batch, or each part of its rows."""
        tensors = tf.nest.flatten(batch)
        rows = {x.shape[0] for x in tensors}
        if len(rows) > 1 or rows == {None} or rows.pop() % self.parts:
            return [batch]
        parts = zip(*(tf.split(x, self.parts) for x in tensors))
        return [tf.nest.pack_sequence_as(batch, list(part)) for part in parts]

    def _random_states(self) -> list[keras.Variable]:
        return [variable for variable in self.model.variables if variable.name == "seed_generator_state"]

    def _sum(self, value: tf.Tensor) -> tf.Tensor:
        if self.strategy.num_replicas_in_sync == 1:
            return value
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)

    def _local(self, value: Any) -> tf.Tensor:
        return self.strategy.experimental_local_results(value)[0]

    def _distribute(self, dataset: tf.data.Dataset) -> Iterable:
        if self.strategy.num_replicas_in_sync == 1:
            return dataset
        return self.strategy.experimental_distribute_dataset(dataset)

    def _initial_carried(self) -> Any:
        if self.strategy.num_replicas_in_sync == 1:
            return self.initial_carried()
        return self.strategy.experimental_distribute_values_from_function(lambda _: self.initial_carried())

    def _loss_scale(self) -> tf.Tensor:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return tf.convert_to_tensor(self.optimizer.dynamic_scale)
        return tf.constant(1.0)

    def _check(self, values: dict[str, float]) -> None:
        # Under mixed_float16 an overflow of the scaled gradient is expected: the optimizer skips that step.
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if not math.isfinite(values["total"]) or not (scaled or math.isfinite(values["norm"])):
            raise Diverged(
                f"epoch {self.position.epoch + 1}, step {self.position.step + 1}: loss {values['total']:g}, "
                f"gradient norm {values['norm']:g}; lower the learning rate or clip the gradient (--clipnorm)"
            )
        if not math.isfinite(values["norm"]):
            values["norm"] = 0.0

    def _variables(self) -> dict[str, list]:
        variables = {"model": self.model.variables, "optimizer": self.optimizer.variables}
        return {**variables, "average": self.averages} if self.averages else variables

    def _save(self) -> None:
        carried = {"carried": tf.nest.flatten(self.carried, True)}  # True: a tensor of each replica
        checkpoint.save(self.last, {**self._variables(), **carried}, asdict(self.position))


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sums(outcome: Outcome) -> dict[str, tf.Tensor]:
    return {"total": outcome.total, "count": outcome.count, **outcome.scores}


def _added(sums: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    return {name: tf.add_n([part[name] for part in sums]) for name in sums[0]}


def _joined(carried: list) -> Any:
    """The rows of all parts."""
    return tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *carried)
