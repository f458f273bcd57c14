"""Objectives: functions that compute the losses and scores of a model on one batch.

An objective is a function with the arguments ``(model, inputs, targets, weights, carried, training)`` that
returns an :class:`Outcome`. The argument ``carried`` is the state of a recurrent model after the previous
batch. A target that is not padding is called a real target.

The training loop may split a batch into parts. It sums ``total`` over all parts, and it sums ``count`` over
all parts. The loss is the sum of ``total`` divided by the sum of ``count``. The loss is therefore the mean
over real targets. It does not depend on padding or on the number of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Outcome(NamedTuple):
    """The result of an objective for one batch.

    Attributes:
        total: scalar, the weighted sum of the losses over real targets.
        count: scalar, the sum of the weights of the real targets. If all weights are 1, this sum is the
            number of real targets.
        scores: weighted sums of scores over real targets, ``{name: sum}``. The loop divides the sums by
            ``count``.
        penalty: scalar that is added to the mean loss for regularization. The penalties of the weight
            regularizers are not included, because the training step adds them.
        carried: state of the model after the batch, from which the next batch continues. It is ``()`` if the
            rows of batches are independent.
    """

    total: tf.Tensor
    count: tf.Tensor
    scores: Mapping[str, tf.Tensor]
    penalty: Any = 0.0
    carried: Any = ()


Objective = Callable[[keras.Model, Any, tf.Tensor, tf.Tensor, Any, bool], Outcome]


def cross_entropy(logits: tf.Tensor, targets: tf.Tensor, label_smoothing: float = 0.0) -> tf.Tensor:
    """Returns the negative log-likelihood of each target. The unit is nats.

    The result has the same shape as ``targets``. In the shapes below, ``...`` stands for any number of axes.

    Args:
        logits: unnormalized log-probabilities, ``(..., classes)``.
        targets: class ids, ``(...)`` int.
        label_smoothing: number s from 0 to 1. The loss is computed for a target distribution in which each
            class gets the probability ``s / classes``. The target class additionally gets ``1 - s`` (Szegedy
            et al. 2016, section 7).
    """
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    if not label_smoothing:
        return losses
    uniform = tf.reduce_logsumexp(logits, axis=-1) - tf.reduce_mean(logits, axis=-1)
    return (1 - label_smoothing) * losses + label_smoothing * uniform


def classification(label_smoothing: float = 0.0) -> Objective:
    """Returns the objective of a classifier: the weighted cross-entropy and accuracy of independent rows.

    Targets and weights of n rows have the shape ``(n,)``. Validation does not use label smoothing. The
    validation loss is therefore the log loss.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    >>> outcome = classification()(model, tf.ones((4, 2)), tf.zeros(4, tf.int32), tf.ones(4), (), False)
    >>> round(float(outcome.total / outcome.count), 4), float(outcome.scores["accuracy"])
    (1.0986, 4.0)
    """

    def objective(
        model: keras.Model, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        logits = model(inputs, training=training)  # (batch, classes)
        losses = cross_entropy(logits, targets, label_smoothing if training else 0.0)
        correct = tf.cast(tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets, weights.dtype)
        return Outcome(
            total=tf.reduce_sum(losses * weights),
            count=tf.reduce_sum(weights),
            scores={"accuracy": tf.reduce_sum(correct * weights)},
            carried=carried,
        )

    return objective


def independent_labels(label_smoothing: float = 0.0) -> Objective:
    """Returns the objective of a classifier with several labels per row: the mean binary cross-entropy.

    Targets of n rows with k labels are ``(n, k)`` float: 1 if the row has the label, else 0. Weights are
    ``(n,)``. Label smoothing s moves each target to ``(1 - s) * target + s / 2``. Validation does not use it.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, kernel_initializer="zeros")])
    >>> outcome = independent_labels()(model, tf.ones((4, 2)), tf.zeros((4, 3)), tf.ones(4), (), False)
    >>> round(float(outcome.total / outcome.count), 4)
    0.6931
    """

    def objective(
        model: keras.Model, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        logits = model(inputs, training=training)  # (batch, labels)
        smoothing = label_smoothing if training else 0.0
        smoothed = (1 - smoothing) * tf.cast(targets, logits.dtype) + smoothing / 2
        losses = tf.nn.sigmoid_cross_entropy_with_logits(smoothed, logits)
        right = tf.cast((logits > 0) == (targets > 0), weights.dtype)
        return Outcome(
            total=tf.reduce_sum(tf.reduce_mean(losses, axis=-1) * weights),
            count=tf.reduce_sum(weights),
            scores={"accuracy": tf.reduce_sum(tf.reduce_mean(right, axis=-1) * weights)},
            carried=carried,
        )

    return objective


def squared_error() -> Objective:
    """Returns the objective of a regression: the mean squared error of independent rows.

    Targets of n rows are ``(n, k)``, and weights are ``(n,)``.

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    >>> outcome = squared_error()(model, tf.ones((4, 2)), 2 * tf.ones((4, 1)), tf.ones(4), (), False)
    >>> float(outcome.total / outcome.count)
    4.0
    """

    def objective(
        model: keras.Model, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        outputs = model(inputs, training=training)  # (batch, outputs)
        losses = tf.reduce_mean(tf.square(outputs - tf.cast(targets, outputs.dtype)), axis=-1)
        return Outcome(
            total=tf.reduce_sum(losses * weights),
            count=tf.reduce_sum(weights),
            scores={},
            carried=carried,
        )

    return objective


def translation(label_smoothing: float = 0.0) -> Objective:
    """Returns the objective of a translator: the cross-entropy of the target tokens under teacher forcing.

    A batch has n sentence pairs, and its targets are padded to T tokens. The inputs contain
    ``target_lengths (n,)``. The targets ``(n, T)`` include the end token. The weight of a row in ``weights
    (n,)`` applies to all tokens of the row. Validation does not use label smoothing. The validation loss is
    therefore the logarithm of the perplexity. Validation also computes the accuracy of the tokens.

    >>> model = lambda inputs, training: tf.zeros((1, 3, 10))
    >>> inputs, targets = {"target_lengths": tf.constant([2])}, tf.constant([[4, 3, 0]])
    >>> outcome = translation()(model, inputs, targets, tf.ones(1), (), True)
    >>> round(float(outcome.total / outcome.count), 4), float(outcome.count)
    (2.3026, 2.0)
    """

    def objective(
        model: keras.Model, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        logits = model(inputs, training=training)  # (batch, time, vocabulary)
        real = tf.sequence_mask(inputs["target_lengths"], tf.shape(targets)[1], weights.dtype)
        token_weights = real * weights[:, None]  # (batch, time)
        losses = cross_entropy(logits, targets, label_smoothing if training else 0.0)
        scores = {}
        if not training:
            correct = tf.argmax(logits, axis=-1, output_type=targets.dtype) == targets
            scores["accuracy"] = tf.reduce_sum(tf.cast(correct, weights.dtype) * token_weights)
        return Outcome(
            total=tf.reduce_sum(losses * token_weights),
            count=tf.reduce_sum(token_weights),
            scores=scores,
            carried=carried,
        )

    return objective


def next_token(activation: float = 0.0, temporal: float = 0.0) -> Objective:
    """Returns the objective of a language model: the cross-entropy of the next token at every step.

    The model must be a class of :mod:`seqmodels.models.language_model`. Inputs, targets and weights of n rows
    with T time steps have the shape ``(n, T)``. ``Outcome.carried`` contains the states of the model.

    Args:
        activation: weight of the penalty AR (activation regularization) in training (Merity et al. 2018,
            section 4.6). AR is the mean square of the inputs of the output layer, after dropout.
        temporal: weight of the penalty TAR (temporal activation regularization) in training (Merity et al.
            2018, section 4.6). TAR is the mean of ``(h_{t+1} - h_t)^2``. ``h_t`` is the input of the output
            layer at time step t, before dropout.

    >>> from seqmodels.models import LanguageModel
    >>> model = LanguageModel(vocabulary=20, embedding_units=8, units=8)
    >>> tokens, carried = tf.ones((2, 5), tf.int32), model.get_initial_state(2)
    >>> outcome = next_token(temporal=1.0)(model, tokens, tokens, tf.ones((2, 5)), carried, True)
    >>> float(outcome.count), len(outcome.carried)
    (10.0, 2)
    """

    def objective(
        model: Any, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
    ) -> Outcome:
        features = model.features({"tokens": inputs, "states": carried}, training=training)
        penalty = 0.0
        if activation:
            penalty += activation * tf.reduce_mean(tf.square(features.outputs))
        if temporal:
            change = features.raw[:, 1:] - features.raw[:, :-1]
            penalty += temporal * tf.reduce_mean(tf.square(change))
        losses = model.losses_of(features.outputs, targets, training=training)  # (batch, time)
        return Outcome(
            total=tf.reduce_sum(losses * weights),
            count=tf.reduce_sum(weights),
            scores={},
            penalty=penalty,
            carried=features.states,
        )

    return objective
