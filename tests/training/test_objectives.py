"""Objectives compared with their formulas in NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqmodels.training.objectives import classification, cross_entropy

LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [-3.0, 4.0, 1.0], [9.0, -9.0, 9.0]], np.float32)
TARGETS = np.array([0, 2, 1, 1], np.int32)


class Fixed(keras.Model):
    """A model that returns its inputs as logits."""

    def call(self, inputs, training=False):
        return inputs


def log_softmax(logits):
    logits = logits.astype(np.float64)
    return logits - np.log(np.sum(np.exp(logits), axis=-1, keepdims=True))


def smoothed(logits, targets, amount):
    """Returns the cross-entropy if every class gets amount / classes, and the target gets the rest."""
    wanted = (1 - amount) * np.eye(logits.shape[-1])[targets] + amount / logits.shape[-1]
    return -np.sum(wanted * log_softmax(logits), axis=-1)


@pytest.mark.parametrize("amount", [0.0, 0.1, 0.9])
def test_cross_entropy_uses_the_smoothed_target(amount):
    losses = cross_entropy(LOGITS, TARGETS, amount)
    np.testing.assert_allclose(losses, smoothed(LOGITS, TARGETS, amount), rtol=1e-5)


def test_cross_entropy_keeps_the_axes_before_the_classes():
    losses = cross_entropy(tf.reshape(LOGITS, (2, 2, 3)), TARGETS.reshape(2, 2), 0.1)
    np.testing.assert_allclose(losses, smoothed(LOGITS, TARGETS, 0.1).reshape(2, 2), rtol=1e-5)


def test_cross_entropy_of_an_extreme_logit_is_finite():
    logits = np.array([[1e4, -1e4]], np.float32)
    np.testing.assert_allclose(cross_entropy(logits, np.array([1], np.int32), 0.1), [0.95 * 2e4])


@pytest.mark.parametrize("training", [True, False])
def test_classification_weights_rows_and_smooths_only_in_training(training):
    weights = np.array([1.0, 2.0, 0.5, 1.0], np.float32)
    outcome = classification(0.2)(
        Fixed(), tf.constant(LOGITS), tf.constant(TARGETS), weights, ("state",), training
    )
    losses = smoothed(LOGITS, TARGETS, 0.2 if training else 0.0)
    np.testing.assert_allclose(outcome.total, np.sum(losses * weights), rtol=1e-5)
    assert float(outcome.count) == 4.5
    # The three logits of the second row are equal, so it predicts class 0; its target is class 2.
    assert {name: float(score) for name, score in outcome.scores.items()} == {"accuracy": 1.5}
    assert outcome.carried == ("state",)
    assert outcome.penalty == 0.0


def test_rows_of_weight_zero_contribute_nothing():
    objective, weights = classification(0.1), np.array([1.0, 1.0, 0.0, 0.0], np.float32)
    padded = objective(Fixed(), tf.constant(LOGITS), tf.constant(TARGETS), weights, (), True)
    real = objective(Fixed(), tf.constant(LOGITS[:2]), tf.constant(TARGETS[:2]), weights[:2], (), True)
    assert float(padded.total) == pytest.approx(float(real.total), rel=1e-7)
    assert float(padded.count) == float(real.count) == 2
    assert float(padded.scores["accuracy"]) == float(real.scores["accuracy"]) == 1
