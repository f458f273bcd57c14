"""The parallel scan equals the recurrence that is computed step by step, in values and gradients."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from seqmodels import kernels
from seqmodels.kernels.linear_recurrence import METHODS


def walked(a, b, initial, lengths):
    h, states = initial, []
    for t in range(a.shape[1]):
        new = a[:, t] * h + b[:, t]
        alive = (t < lengths)[:, None]
        h = tf.where(alive, new, h)
        states.append(tf.where(alive, new, tf.zeros_like(new)))
    return tf.stack(states, axis=1), h


def values_and_gradients(function, a, b, initial, lengths, weights):
    with tf.GradientTape() as tape:
        tape.watch([a, b, initial])
        states, last = function(a, b, initial, lengths)
        loss = tf.reduce_sum(states * weights) + tf.reduce_sum(tf.sin(last))
    return [states, last, *tape.gradient(loss, [a, b, initial])]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("time", [1, 2, 3, 8, 13])
def test_equals_stepping(time, method):
    random = np.random.default_rng(time)
    a, b, weights = (tf.constant(random.normal(size=(3, time, 4))) for _ in range(3))
    initial, lengths = tf.constant(random.normal(size=(3, 4))), tf.constant([time, time // 2, 0])
    arguments = (a, b, initial, lengths, weights)
    expected = values_and_gradients(walked, *arguments)
    got = values_and_gradients(partial(kernels.linear_recurrence, method=method), *arguments)
    for one, other in zip(expected, got, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_one_graph_supports_any_number_of_steps(method):
    """The graph has a dynamic shape, and T = 0 is included."""
    recurrence = partial(kernels.linear_recurrence, method=method)
    spec = tf.TensorSpec((None, None, 4), tf.float64)
    signature = [spec, spec, tf.TensorSpec((None, 4), tf.float64), tf.TensorSpec((None,), tf.int32), spec]
    graph = tf.function(
        lambda *arguments: values_and_gradients(recurrence, *arguments),
        input_signature=signature,
        autograph=False,
    )
    random = np.random.default_rng(0)
    for time in (1, 5, 16):
        a, b, weights = (tf.constant(random.normal(size=(3, time, 4))) for _ in range(3))
        initial, lengths = tf.constant(random.normal(size=(3, 4))), tf.constant([time, time // 2, 0])
        arguments = (a, b, initial, lengths, weights)
        for one, other in zip(values_and_gradients(walked, *arguments), graph(*arguments), strict=True):
            np.testing.assert_allclose(other, one, atol=1e-12)
    empty = tf.zeros((3, 0, 4), tf.float64)
    states, last, *_ = graph(empty, empty, initial, tf.zeros(3, tf.int32), empty)
    assert states.shape == (3, 0, 4)
    np.testing.assert_array_equal(last, initial)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="walk, rounds"):
        kernels.linear_recurrence(*(tf.ones((1, 1, 1)),) * 2, tf.ones((1, 1)), method="jump")


def test_second_derivative_raises_an_error():
    a, b, initial = (tf.ones(shape) for shape in ((1, 3, 1), (1, 3, 1), (1, 1)))
    with tf.GradientTape() as outer:
        outer.watch(a)
        with tf.GradientTape() as inner:
            inner.watch(a)
            states, _ = kernels.linear_recurrence(a, b, initial)
            loss = tf.reduce_sum(states**2)
        gradient = inner.gradient(loss, a)
    with pytest.raises(NotImplementedError, match="generic"):
        outer.gradient(gradient, a)
