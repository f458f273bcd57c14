"""The model for the problems in :mod:`apps.gradients.problems`, and its training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients.options import VARIANTS, Learning
from apps.gradients.problems import ANSWERS, FEATURES, Problem
from apps.options import TrainOptions
from apps.training import make_training
from seqmodels import kernels, registry
from seqmodels.cells import LSTMCell
from seqmodels.layers import Recurrent
from seqmodels.training import Position
from seqmodels.training.objectives import Outcome

BATCH, STEPS_IN_EPOCH, VALIDATION_BATCHES = 32, 50, 8
# Two limits for the share of the variance that a model explains. A problem is solved if the share is at least
# the first limit. A model has learned nothing if the share is below the second limit.
SOLVED, NOTHING = 0.9, 0.02


class Reader(keras.Model):
    """A recurrent layer followed by a linear layer.

    The inputs are ``{"inputs": (n, T, FEATURES), "lengths": (n,)}``. The outputs ``(n, ANSWERS)`` are the
    answers at the last ``ANSWERS`` steps of each sequence.

    Args:
        variant: name of the cell, a key of ``VARIANTS``.
        units: number of units of the cell.
        truncate: number of steps over which truncated backpropagation computes gradients. Truncation needs
            an LSTM. None computes the full gradient.

    Raises:
        ValueError: ``truncate`` is set and the cell is not an LSTM.
    """

    def __init__(self, variant: str, units: int, truncate: int | None = None):
        super().__init__()
        name, changes = VARIANTS[variant]
        self.recurrent = Recurrent(registry.make(registry.CELLS, name, units=units, **changes), name=variant)
        self.head = keras.layers.Dense(1)
        self.truncate = truncate
        if truncate is not None and not isinstance(self.recurrent.cell, LSTMCell):
            raise ValueError(f"truncate needs an LSTM cell; got {variant}")

    def build(self, input_shape: Any = None) -> None:
        self.recurrent.build((None, None, FEATURES))
        self.head.build((None, self.recurrent.cell.output_size))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        read, lengths = inputs["inputs"], inputs["lengths"]
        if training and self.truncate is not None:
            cell = self.recurrent.cell
            states = self.recurrent.get_initial_state(read.shape[0])
            outputs, _ = kernels.lstm(
                cell.project(read), states, cell.constants()[0], lengths, truncate=self.truncate
            )
        else:
            outputs, _ = self.recurrent(read, lengths=lengths, training=training)
        last = tf.gather(outputs, lengths[:, None] - ANSWERS + tf.range(ANSWERS), batch_dims=1)
        return self.head(last)[..., 0]


def squared_errors(
    model: keras.Model,
    inputs: dict[str, tf.Tensor],
    targets: tf.Tensor,
    weights: tf.Tensor,
    carried: Any,
    training: bool,
) -> Outcome:
    """Returns the loss of a batch.

    The mean squared error of the answers is computed for each row. The loss is the sum of these errors.
    """
    errors = tf.reduce_mean(tf.square(model(inputs, training=training) - targets), axis=-1)  # (batch,)
    return Outcome(tf.reduce_sum(errors * weights), tf.reduce_sum(weights), {}, carried=carried)


class Learner:
    """Trains one model on several problems, each time from the same initial weights.

    The training step is compiled only once for all problems, because a compilation takes longer than most
    trainings. All sequences are therefore padded to the same length.

    Args:
        model: built model. Every training starts from the weights of this model.
        longest: longest lag of all problems, in time steps.
        options: options of the experiment; they contain the number of training steps, the learning rate and
            the seed.
        patience: number of epochs after which a training stops if the model has learned nothing. This is the
            case if ``explained`` (see :meth:`learn`) was below the limit ``NOTHING`` in every epoch. None
            disables early stopping.
        **settings: additional fields of ``TrainOptions``, such as ``clipnorm``.
    """

    def __init__(
        self,
        model: keras.Model,
        longest: int,
        options: Learning,
        patience: int | None = None,
        **settings: Any,
    ):
        self.model, self.longest, self.seed, self.patience = model, longest, options.seed, patience
        self.folder = TemporaryDirectory()
        self.norms: list[float] = []
        epochs = -(-options.steps // STEPS_IN_EPOCH)
        self.training = make_training(
            TrainOptions(
                epochs=epochs,
                learning_rate=options.learning_rate,
                patience=None,
                seed=options.seed,
                xla=options.xla,
                parts=1,
                **settings,
            ),
            lambda: model,
            squared_errors,
            lambda epoch: self._batches(STEPS_IN_EPOCH, epoch),
            lambda: self._batches(VALIDATION_BATCHES, -1),
            Path(self.folder.name),
            steps_in_epoch=STEPS_IN_EPOCH,
            callbacks=[
                keras.callbacks.LambdaCallback(
                    on_train_batch_end=lambda step, logs: self.norms.append(logs["gradient_norm"]),
                    on_epoch_end=lambda epoch, logs: self._stop_if_decided(),
                )
            ],
        )
        variables = [*model.variables, *self.training.optimizer.variables]
        self.beginning = [(variable, variable.numpy()) for variable in variables]

    def learn(self, problem: Problem, lag: int | None = None) -> list[dict[str, float]]:
        """Trains from the initial weights, and returns the history of the training.

        The training ends when the problem is solved, when all training steps are done, or earlier if nothing
        was learned (see ``patience``).

        Args:
            problem: problem to learn.
            lag: lag of the problem. Default: the longest lag.

        Returns:
            One dictionary per epoch, with the additional key ``explained``: the share of the variance of the
            validation targets that the model explains. A perfect model has 1. A model that always predicts
            the mean target has 0.

        Raises:
            Diverged: the loss or the gradient is not finite.
        """
        self.reset()
        self.problem, self.lag = problem, lag or self.longest
        self.variance = float(self._rows(BATCH * VALIDATION_BATCHES, -1)[1].var())
        return [{**row, "explained": self._explained(row)} for row in self.training.run()]

    def reset(self) -> None:
        """Restores the initial weights and optimizer state, and returns to the first training step."""
        self.norms.clear()
        for variable, value in self.beginning:
            variable.assign(value)
        self.training.position = Position()
        self.training.last.unlink(missing_ok=True)

    def _explained(self, row: Any) -> float:
        return 1 - row["valid_loss"] / self.variance

    def _stop_if_decided(self) -> None:
        explained = [self._explained(row) for row in self.training.position.history]
        late = self.patience is not None and len(explained) >= self.patience
        self.model.stop_training = explained[-1] >= SOLVED or (late and max(explained) < NOTHING)

    def _rows(self, rows: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        return self.problem(np.random.default_rng((self.seed, epoch + 1)), rows, self.lag)

    def _batches(self, count: int, epoch: int) -> tf.data.Dataset:
        rows, targets = self._rows(BATCH * count, epoch)
        inputs = {
            "inputs": np.pad(rows, ((0, 0), (0, self.longest - self.lag), (0, 0))),
            "lengths": np.full(len(rows), rows.shape[1], np.int32),
        }
        weights = np.ones(len(targets), np.float32)
        return tf.data.Dataset.from_tensor_slices((inputs, targets, weights)).batch(
            BATCH, drop_remainder=True
        )


def solved(history: list[dict[str, float]]) -> bool:
    return max(row["explained"] for row in history) >= SOLVED
