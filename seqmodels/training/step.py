"""Computes one step of training or evaluation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels.training.objectives import Objective, Outcome
from seqmodels.training.optimizers import clip
from seqmodels.training.settings import Settings


class Part(NamedTuple):
    """The results of a step for one part of a batch.

    Attributes:
        sums: dictionary that contains the sums of losses and scores, the number of targets, and the number of
            examples.
        gradients: gradients of the mean loss of the part, one per trainable variable. Empty in evaluation.
        carried: state of the model after the batch, for the rows of this part.
        updates: new values of non-trainable variables, such as the states of random generators. The keys are
            the indices of the variables in ``model.non_trainable_variables``.
    """

    sums: dict[str, tf.Tensor]
    gradients: list[tf.Tensor]
    carried: Any
    updates: dict[str, tf.Tensor]


class Steps:
    """The compiled functions that compute the steps of one training.

    ``train(batch, carried)`` computes a training step. ``evaluate(batch, carried)`` computes an evaluation
    step. ``carried`` is the state of the model after the previous batch. Both functions return a dictionary
    of sums, and the state of the model for the next batch.

    A training step splits the batch into parts, and computes the gradient of each part. With several
    replicas, each replica computes one part. A target that is not padding is called a real target. If a part
    contains 60 % of the real targets, for example, its gradient gets the weight 0.6. The weighted gradients
    are summed over parts and replicas, clipped and applied.

    Args:
        model: a built Keras model.
        objective: see :mod:`seqmodels.training.objectives`.
        optimizer: a Keras optimizer, built for the model.
        settings: settings of the training. Only the settings of clipping, XLA and parts are used.
    """

    def __init__(
        self,
        model: keras.Model,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer,
        settings: Settings,
    ):
        self.model, self.objective, self.optimizer, self.settings = model, objective, optimizer, settings
        self.strategy = tf.distribute.get_strategy()
        single = self.strategy.num_replicas_in_sync == 1
        parted = single and not tf.config.list_physical_devices("GPU")
        self.parts = (settings.parts or min(2, available_cores())) if parted else 1

        def compiled(function: Callable[..., Any], whole: bool = False) -> Callable[..., Any]:
            # Several replicas: a step contains a sum over the replicas. XLA cannot compile this sum, and a
            # nested tf.function must not contain it. The whole step is therefore one tf.function without XLA.
            # One replica, several parts: each part is an XLA program. The parts run in parallel.
            # One replica, one part: the whole step is one XLA program.
            xla = settings.xla and single and (self.parts == 1 or not whole)
            return tf.function(function, jit_compile=xla, autograph=False) if single or whole else function

        self.part_step, self.part_evaluation = compiled(self._part_step), compiled(self._part_evaluation)
        self.update = compiled(self._update)
        self.train = compiled(self._step, whole=True)
        self.evaluate = compiled(self._evaluate, whole=True)

    def distribute(self, dataset: tf.data.Dataset) -> Iterable:
        """Returns the batches of a dataset, distributed over the replicas."""
        if self.strategy.num_replicas_in_sync == 1:
            return dataset
        return self.strategy.experimental_distribute_dataset(dataset)

    def _step(self, batch: Any, carried: Any) -> tuple[dict[str, tf.Tensor], Any]:
        facts, carried = self.strategy.run(self._replica_step, args=(*batch, carried))
        return {name: self.local(value) for name, value in facts.items()}, carried

    def _replica_step(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> tuple[dict, Any]:
        generators = self._random_states()
        # Each part adds its own shift to the seeds of all layers. The shifts are large, because two layers
        # may have close seeds, such as 1 and 2. With a shift of 1, seed 1 in the second part would be equal
        # to seed 2 in the first part.
        shifts = [tf.constant([index * 0x9E3779B9 % 2**32, 0], tf.uint32) for index in range(self.parts)]
        parts = [
            self.part_step(
                *part, [tf.cast(tf.cast(g.value, tf.uint32) + shift, g.value.dtype) for g in generators]
            )
            for part, shift in zip(self._parted(inputs, targets, weights, carried), shifts)
        ]
        # Every part has updated its own copy of the non-trainable variables, such as counters. All parts
        # together are one step, so only the values of the first part are assigned.
        for index, value in parts[0].updates.items():
            self.model.non_trainable_variables[int(index)].assign(value)
        facts = self.update([part.sums for part in parts], [part.gradients for part in parts])
        return facts, _joined([part.carried for part in parts])

    def _part_step(self, inputs: Any, targets: Any, weights: Any, carried: Any, seeds: list) -> Part:
        variables, generators = self.model.trainable_variables, self._random_states()
        values = [tf.convert_to_tensor(variable.value) for variable in variables]
        scale = self._loss_scale()
        # Inside StatelessScope, the model reads the tensors in ``values`` and ``seeds`` instead of its
        # variables. The gradient is computed with respect to ``values``.
        state = list(zip([*variables, *generators], [*values, *seeds]))
        with keras.StatelessScope(state) as scope, tf.GradientTape() as tape:
            tape.watch(values)
            outcome = self.objective(self.model, inputs, targets, weights, carried, True)
            mean = outcome.total / tf.maximum(outcome.count, 1e-9) + tf.cast(outcome.penalty, tf.float32)
            for variable, value in zip(variables, values):
                if variable.regularizer is not None:
                    mean += tf.cast(variable.regularizer(value), tf.float32)
            scaled = mean * scale
        gradients = tape.gradient(scaled, values, unconnected_gradients="zero")
        # A sparse gradient of an embedding may contain the same row several times. The norm is correct only
        # after these rows are summed. The conversion to a dense gradient sums them.
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        examples = tf.reduce_sum(tf.cast(weights > 0, tf.float32))
        updates = {
            str(index): value
            for index, variable in enumerate(self.model.non_trainable_variables)
            if (value := scope.get_current_value(variable)) is not None  # None if the variable did not change
        }
        return Part({**_sums(outcome), "examples": examples}, gradients, outcome.carried, updates)

    def _update(self, sums: list[dict], gradients: list[list]) -> dict[str, tf.Tensor]:
        """Combines the gradients of all parts, clips the result and applies it.

        The method returns the values that are logged.
        """
        replicas, scale = self.strategy.num_replicas_in_sync, self._loss_scale()
        facts = {name: self._sum(value) for name, value in _added(sums).items()}
        count = tf.maximum(facts["count"], 1e-9)
        shares = [part["count"] / count for part in sums]
        means = [self._sum(tf.add_n([g * share for g, share in zip(of, shares)])) for of in zip(*gradients)]
        clipping = self.settings.clipnorm, self.settings.clip_by
        clipped, norm, changed = clip([mean / scale for mean in means], *clipping)
        rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        # Keras' optimizer sums the gradients over the replicas again, so they are divided by ``replicas``.
        # Under mixed_float16, it also divides them by the loss scale, so they are multiplied by ``scale``.
        self.optimizer.apply([g * (scale / replicas) for g in clipped], self.model.trainable_variables)
        return {**facts, "rate": rate, "norm": norm, "clipped": tf.cast(changed, tf.float32)}

    def _evaluate(self, batch: Any, carried: Any) -> tuple[dict[str, tf.Tensor], Any]:
        facts, carried = self.strategy.run(self._replica_evaluate, args=(*batch, carried))
        return {name: self.local(value) for name, value in facts.items()}, carried

    def _replica_evaluate(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> tuple[dict, Any]:
        parts = [self.part_evaluation(*part) for part in self._parted(inputs, targets, weights, carried)]
        facts = {name: self._sum(value) for name, value in _added([part.sums for part in parts]).items()}
        return facts, _joined([part.carried for part in parts])

    def _part_evaluation(self, inputs: Any, targets: Any, weights: Any, carried: Any) -> Part:
        outcome = self.objective(self.model, inputs, targets, weights, carried, False)
        return Part(_sums(outcome), [], outcome.carried, {})

    def _parted(self, *batch: Any) -> list:
        """Splits the rows of a batch into equal parts. If this is not possible, the batch is one part."""
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

    def local(self, value: Any) -> tf.Tensor:
        """Returns the value on the first replica of this machine."""
        return self.strategy.experimental_local_results(value)[0]

    def _loss_scale(self) -> tf.Tensor:
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            return tf.convert_to_tensor(self.optimizer.dynamic_scale)
        return tf.constant(1.0)


def available_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sums(outcome: Outcome) -> dict[str, tf.Tensor]:
    return {"total": outcome.total, "count": outcome.count, **outcome.scores}


def _added(sums: list[dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    return {name: tf.add_n([part[name] for part in sums]) for name in sums[0]}


def _joined(carried: list) -> Any:
    """Concatenates the carried states of all parts along the rows."""
    return tf.nest.map_structure(lambda *rows: tf.concat(rows, axis=0), *carried)
