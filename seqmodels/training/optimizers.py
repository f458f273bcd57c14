"""Creation of optimizers by name, learning-rate schedules, and gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels.registry import CLIP_BY, CURVES, OPTIMIZERS


@keras.saving.register_keras_serializable(package="seqmodels")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Learning-rate schedule: a linear warm-up to ``peak``, then a constant rate or a decay.

    Let w be the number of steps of the warm-up. At step s of the warm-up, counted from 0, the learning rate
    is ``(s + 1) / w`` times the peak (Goyal et al. 2017, section 2.2). After the warm-up,
    ``p = (s - w) / (steps - 1 - w)`` rises linearly from 0 and reaches 1 at the last step. The learning rate
    is then the peak times a factor that depends on ``kind``:

    - constant: ``1``;
    - linear: ``1 - (1 - final) p``;
    - cosine: ``final + (1 - final) (1 + cos(pi p)) / 2`` (Loshchilov and Hutter 2017, equation 5);
    - exponential: ``final ** p``.

    With :meth:`make_movable` and :meth:`move_end`, the end can change during a training.

    Args:
        peak: learning rate after the warm-up.
        kind: ``constant``, ``linear``, ``cosine`` or ``exponential``.
        steps: number of steps of the whole training.
        warmup: number of steps of the warm-up, w.
        final: learning rate at the last step, divided by ``peak``. It does not apply to ``constant``.

    Raises:
        ValueError: an unknown kind, or a warm-up that is not shorter than the training.

    >>> schedule = Schedule(0.1, "linear", steps=11, warmup=1, final=0.0)
    >>> [round(float(schedule(step)), 3) for step in (0, 1, 6, 10)]
    [0.1, 0.1, 0.044, 0.0]
    """

    def __init__(self, peak: float, kind: str, steps: int, warmup: int = 0, final: float = 0.01):
        if kind not in CURVES:
            raise ValueError(f"schedule must be one of {', '.join(CURVES)}; got {kind!r}")
        if not 0 <= warmup < max(steps, 1):
            raise ValueError(
                f"warm-up must be at least 0 and less than the {steps} steps of the training; got {warmup}"
            )
        self.peak, self.kind, self.steps, self.warmup, self.final = peak, kind, steps, warmup, final
        self.extent: keras.Variable | None = None

    def make_movable(self) -> None:
        """Stores the numbers of steps in a variable. Call this method before a training step is compiled."""
        numbers = [float(self.steps), float(self.warmup)]
        self.extent = keras.Variable(
            numbers, trainable=False, name="schedule_extent", dtype="float32"
        )  # (2,)

    def move_end(self, steps: int) -> None:
        """Changes the number of steps of the training. The warm-up keeps its share of the steps.

        Raises:
            ValueError: :meth:`make_movable` was not called.

        >>> schedule = Schedule(0.1, "linear", steps=1000, warmup=100, final=0.0)
        >>> schedule.make_movable()
        >>> schedule.move_end(10)
        >>> [round(float(schedule(step)), 3) for step in (0, 1, 5, 9)]
        [0.1, 0.1, 0.05, 0.0]
        """
        if self.extent is None:
            raise ValueError("the schedule cannot change its end; call make_movable() first")
        self.extent.assign([float(steps), float(steps * self.warmup // max(self.steps, 1))])

    def __call__(self, step: Any) -> tf.Tensor:
        step = tf.cast(step, tf.float32)
        if self.extent is None:
            p = (step - self.warmup) / max(self.steps - 1 - self.warmup, 1)
            rise = tf.minimum((step + 1) / self.warmup, 1.0) if self.warmup else 1.0
        else:
            steps, warmup = tf.unstack(tf.convert_to_tensor(self.extent.value))
            p = (step - warmup) / tf.maximum(steps - 1 - warmup, 1.0)
            rise = tf.minimum((step + 1) / tf.maximum(warmup, 1.0), 1.0)
        p = tf.clip_by_value(p, 0.0, 1.0)
        decay = {
            "constant": lambda: tf.ones_like(p),
            "linear": lambda: 1 - (1 - self.final) * p,
            "cosine": lambda: self.final + (1 - self.final) * (1 + tf.cos(math.pi * p)) / 2,
            "exponential": lambda: tf.pow(self.final, p),
        }[self.kind]()
        return self.peak * rise * decay

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "kind": self.kind,
            "steps": self.steps,
            "warmup": self.warmup,
            "final": self.final,
        }


class RateGroup(NamedTuple):
    """Weights that learn more slowly than the others, or later. They have no weight decay.

    Attributes:
        variables: the weights.
        factor: factor of the learning rate (discriminative rates, Howard and Ruder 2018, section 3.2).
        start: number of steps in which the weights do not change (gradual unfreezing, section 3.3).

    >>> layer = keras.layers.Dense(2)
    >>> layer.build((None, 3))
    >>> optimizer = make("sgd", 0.1, groups=[RateGroup([layer.kernel], factor=0.5)])
    >>> before = layer.kernel.numpy()
    >>> optimizer.apply([tf.ones((3, 2)), tf.ones(2)], layer.trainable_variables)
    >>> round(float((before - layer.kernel.numpy()).max()), 4)
    0.05
    """

    variables: Sequence[keras.Variable]
    factor: float = 1.0
    start: int = 0


def make(
    name: str,
    learning_rate: Any,
    mixed_float16: bool = False,
    groups: Sequence[RateGroup] = (),
    **options: Any,
) -> keras.optimizers.Optimizer:
    """Creates a Keras optimizer.

    Args:
        name: a name in :data:`seqmodels.registry.OPTIMIZERS`.
        learning_rate: a number or a schedule.
        mixed_float16: if True, the optimizer scales the loss, so that small gradients do not become 0 in
            float16 (Micikevicius et al. 2018, section 3.2).
        groups: weights with their own learning rates. Default: all weights have the same learning rate.
        **options: further arguments of the optimizer's constructor. For the value None, the optimizer uses
            the default of the argument.

    Raises:
        ValueError: an unknown name, an option that this optimizer does not have, or an invalid value.

    >>> make("adamw", 0.001, weight_decay=0.01).weight_decay
    0.01
    """
    if name not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {name!r}")
    # keras.optimizers.get does not find Lamb by its name, so the name is looked up in the module.
    classes = {key.lower(): value for key, value in vars(keras.optimizers).items()}
    given = {key: value for key, value in options.items() if value is not None}
    try:
        optimizer = _grouped(classes[name], groups)(learning_rate=learning_rate, **given)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"optimizer {name} cannot be created with the options {', '.join(given)} ({error}); "
            "remove or correct the invalid option"
        ) from error
    if groups:  # frozen weights must not decay
        optimizer.exclude_from_weight_decay(var_list=[each for group in groups for each in group.variables])
    return keras.optimizers.LossScaleOptimizer(optimizer) if mixed_float16 else optimizer


def _grouped(
    optimizer: type[keras.optimizers.Optimizer], groups: Sequence[RateGroup]
) -> type[keras.optimizers.Optimizer]:
    """Returns a class of optimizers in which each group has its own learning rate."""
    if not groups:
        return optimizer
    group_of = {variable.path: group for group in groups for variable in group.variables}

    class Grouped(optimizer):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            own = self._trainable_variables[self._get_variable_index(variable)]
            group = group_of.get(own.path, RateGroup([]))
            rate = tf.cast(learning_rate, tf.float32) * group.factor
            if group.start:
                started = tf.convert_to_tensor(self.iterations) >= group.start
                rate = tf.where(started, rate, 0.0)
            super().update_step(gradient, variable, rate)

    return Grouped


class Clipped(NamedTuple):
    """Gradients after clipping.

    Attributes:
        gradients: dense gradients with unchanged shapes.
        norm: scalar, the norm of all gradients together before clipping.
        changed: boolean scalar; True if clipping changed a gradient.
    """

    gradients: list[tf.Tensor]
    norm: tf.Tensor
    changed: tf.Tensor


def clip(gradients: list[tf.Tensor], clipnorm: float | None, by: str = "global") -> Clipped:
    """Clips gradients (Pascanu et al. 2013, algorithm 1).

    - ``global``: if the norm of all gradients together exceeds ``clipnorm``, all gradients are multiplied by
      ``clipnorm / norm``. The direction of the gradient does not change.
    - ``variable``: if the norm of the gradient of one variable exceeds ``clipnorm``, this gradient is
      multiplied by ``clipnorm / norm``. The Keras argument ``clipnorm`` has this meaning.
    - ``value``: every entry of a gradient is limited to ``[-clipnorm, clipnorm]``.

    Args:
        gradients: dense tensors.
        clipnorm: threshold; None disables clipping.
        by: ``global``, ``variable`` or ``value``.

    Raises:
        ValueError: an unknown ``by``.

    >>> clipped = clip([tf.constant([3.0, 4.0])], clipnorm=1.0)
    >>> clipped.gradients[0].numpy(), float(clipped.norm), bool(clipped.changed)
    (array([0.6, 0.8], dtype=float32), 5.0, True)
    """
    norm = tf.linalg.global_norm(gradients)
    if clipnorm is None:
        return Clipped(gradients, norm, tf.constant(False))
    if by == "global":
        largest = norm
        gradients, _ = tf.clip_by_global_norm(gradients, clipnorm, use_norm=norm)
    elif by == "variable":
        largest = tf.reduce_max([tf.norm(gradient) for gradient in gradients])
        gradients = [tf.clip_by_norm(gradient, clipnorm) for gradient in gradients]
    elif by == "value":
        largest = tf.reduce_max([tf.norm(gradient, ord=math.inf) for gradient in gradients])
        # clip_by_value replaces an infinite entry by a finite number, which would hide an overflow. The term
        # ``norm - norm`` is 0 if the norm is finite. Otherwise, it is NaN, and all gradients become NaN.
        gradients = [
            tf.clip_by_value(gradient, -clipnorm, clipnorm) + (norm - norm) for gradient in gradients
        ]
    else:
        raise ValueError(f"clip_by must be one of {', '.join(CLIP_BY)}; got {by!r}")
    return Clipped(gradients, norm, largest > clipnorm)
