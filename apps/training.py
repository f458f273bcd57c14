"""Creates the :class:`Training` object for a set of options.

This module is used by the verb ``train``, the option ``--refit``, the package ``apps.gradients`` and the
benchmarks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from apps.options import TrainOptions
from apps.run import Run
from apps.task import Data, Rates, Task
from seqmodels.errors import UsageError
from seqmodels.training import Objective, Settings, Training, optimizers

XLA_STEPS = 1_500  # with fewer steps, the compilation takes longer than it saves
PLATEAU = 0.25  # the learning rate is multiplied by this factor after an epoch without improvement


def task_training(
    task: Task, options: TrainOptions, data: Data, folder: Path, stop: Callable[[], bool] = lambda: False
) -> Training:
    """Returns the training of a task on ``data``. The training saves its checkpoints in ``folder``."""
    options = data.options or options
    return make_training(
        options,
        lambda: _built(task, options, data),
        task.objective(options, data.assets),
        data.train,
        data.valid,
        folder,
        monitor=task.monitor,
        initial_carried=task.initial_carried,
        derive=task.derive,
        stop=stop,
        score_start=bool(task.start(options)),
        rates=lambda model: task.rates(options, model),
    )


def _built(task: Task, options: TrainOptions, data: Data) -> keras.Model:
    """Builds the model. With ``--from``, the weights of the earlier run replace the initial weights."""
    model = task.build(options, data.assets)
    if options.from_:
        earlier = Run(options.from_).load_model()
        shapes = [[tuple(weight.shape) for weight in each.trainable_weights] for each in (model, earlier)]
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"--from {options.from_} has a model with other layers or layer sizes than the new model; "
                "use the same model options as in that run"
            )
        for weight, value in zip(model.trainable_weights, earlier.trainable_weights):
            weight.assign(value)
    return model


def make_training(
    options: TrainOptions,
    build: Callable[[], keras.Model],
    objective: Objective,
    train: Callable[[int], tf.data.Dataset],
    valid: Callable[[], tf.data.Dataset],
    folder: Path,
    *,
    monitor: tuple[str, bool] = ("valid_loss", False),
    initial_carried: Callable[[keras.Model, int], Any] = lambda model, rows: (),
    derive: Callable[[dict[str, float]], dict[str, float]] = lambda means: {},
    callbacks: Iterable[keras.callbacks.Callback] = (),
    stop: Callable[[], bool] = lambda: False,
    steps_in_epoch: int | None = None,
    score_start: bool = False,
    rates: Callable[[keras.Model], Rates] = lambda model: [],
) -> Training:
    """Sets the seed and the precision, builds the model and its optimizer, and returns the training.

    Args:
        options: options of the training.
        build: function without arguments that returns a built model.
        objective: objective of the training loop, see :mod:`seqmodels.training.objectives`.
        train: function that receives the number of the epoch, from 0, and returns the training dataset. The
            same epoch must always give the same dataset.
        valid: function without arguments that returns the validation dataset.
        folder: folder of the checkpoints.
        monitor: pair ``(column, maximize)``. The best epoch has the best value in this column of the
            history. If ``maximize`` is True, higher values are better.
        initial_carried: function that receives ``(model, rows)`` and returns the state at the start of an
            epoch. ``rows`` is the batch size of one replica of the model.
        derive: function that receives the mean loss and mean scores of an epoch, and returns additional
            columns of the history.
        callbacks: Keras callbacks.
        stop: function called after every step. If it returns True, training saves a checkpoint and raises
            Interrupted.
        steps_in_epoch: steps per epoch for the learning rate schedule. Default: the number of batches in
            ``train(0)``.
        rates: function that receives the model and returns weights with their own learning rates, see
            ``Task.rates``.
        score_start: if True, the initial weights are validated and compete for the best epoch as epoch 0.
    """
    keras.utils.set_random_seed(options.seed)
    keras.config.set_dtype_policy(options.precision)
    strategy = (
        tf.distribute.MirroredStrategy() if options.strategy == "mirrored" else tf.distribute.get_strategy()
    )
    rows = options.batch_size // strategy.num_replicas_in_sync
    if steps_in_epoch is None:
        steps_in_epoch = int(train(0).cardinality())
    if options.xla is None:
        options = replace(options, xla=options.epochs * steps_in_epoch >= XLA_STEPS)
    with strategy.scope():
        model = build()
        return Training(
            model,
            objective,
            _optimizer(options, steps_in_epoch, rates(model)),
            train,
            valid,
            replace(settings_of(options, monitor), score_start=score_start),
            folder,
            initial_carried=lambda: initial_carried(model, rows),
            derive=derive,
            callbacks=callbacks,
            stop=stop,
        )


def settings_of(options: TrainOptions, monitor: tuple[str, bool] = ("valid_loss", False)) -> Settings:
    """Returns the settings of the training loop for these options."""
    return Settings(
        epochs=options.epochs,
        clipnorm=options.clipnorm,
        clip_by=options.clip_by,
        monitor=monitor[0],
        maximize=monitor[1],
        patience=options.patience,
        plateau=PLATEAU if options.schedule == "plateau" else None,
        average=options.average,
        average_after=options.average_after,
        average_epochs=options.average_epochs,
        seconds=None if options.minutes is None else 60 * options.minutes,
        save_seconds=60 * options.save_minutes,
        xla=options.xla is not False,
        parts=options.parts,
    )


def _optimizer(
    options: TrainOptions,
    steps_in_epoch: int,
    rates: Rates,
) -> keras.optimizers.Optimizer:
    rate: Any = options.learning_rate
    if options.schedule != "plateau":
        steps = options.epochs * steps_in_epoch
        rate = optimizers.Schedule(rate, options.schedule, steps, int(options.warmup * steps))
    scaled = options.precision == "mixed_float16"
    groups = [
        optimizers.RateGroup(weights, factor, round(epochs * steps_in_epoch))
        for weights, factor, epochs in rates
    ]
    return optimizers.make(options.optimizer, rate, scaled, groups, weight_decay=options.weight_decay)
