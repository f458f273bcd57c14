"""A linear model with two weights, for training tests with hand-computed results."""

import keras
import numpy as np
import tensorflow as tf

from seqmodels.training import Settings, Training
from seqmodels.training.objectives import Outcome
from seqmodels.training.optimizers import make

PLAIN = Settings(epochs=1, clipnorm=None, xla=False)
INPUTS = np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, -2.0], [0.0, 1.0]], np.float32)
TARGETS = np.array([1.0, -2.0, 0.5, 3.0], np.float32)
START = np.array([[0.5], [-0.25]], np.float32)
TIMES = ("seconds", "examples_per_second", "targets_per_second")


def linear():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False)])
    model.set_weights([START])
    return model


def squared(model, inputs, targets, weights, carried, training):
    """Returns the squared errors, and the number of errors above one."""
    errors = tf.square(model(inputs, training=training)[:, 0] - targets)
    mistakes = tf.reduce_sum(tf.cast(errors > 1, tf.float32) * weights)
    return Outcome(
        tf.reduce_sum(errors * weights), tf.reduce_sum(weights), {"mistakes": mistakes}, carried=carried
    )


def batches(inputs=INPUTS, targets=TARGETS, weights=None, size=4):
    weights = np.ones(len(targets), np.float32) if weights is None else np.array(weights, np.float32)
    return tf.data.Dataset.from_tensor_slices((inputs, targets, weights)).batch(size)


def training(folder, model=None, objective=squared, train=batches, optimizer=None, settings=PLAIN, **options):
    """Returns a training with the same data in every epoch. By default, ``validate`` uses the same data."""
    options = {"validate": train, **options}
    optimizer = optimizer or make("sgd", 0.1)
    return Training(
        model or linear(),
        objective,
        optimizer,
        lambda epoch: train(),
        settings=settings,
        folder=folder,
        **options,
    )


def gradient(weights, inputs=INPUTS, targets=TARGETS, start=START):
    """Returns the gradient of the weighted mean of the squared errors, (2, 1)."""
    errors = inputs @ start[:, 0] - targets
    return (2 * (errors * weights) @ inputs / np.sum(weights))[:, None]


def without_times(history):
    return [{name: value for name, value in row.items() if name not in TIMES} for row in history]
