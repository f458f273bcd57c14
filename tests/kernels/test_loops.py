"""Tests of both loops with a simple step function: a running sum with known results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from seqmodels.kernels import generic, unrolled

LOOPS = pytest.mark.parametrize("loop", [generic, unrolled])


def add(x: tf.Tensor, states: Any) -> Any:
    """Adds x to the total and 1 to the count. The outputs are 10 times the new total, and the old count."""
    total, count = states
    total = total + x
    return tf.concat([10.0 * total, count], axis=-1), (total, count + 1.0)


def zeros(rows: int) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.zeros((rows, 1)), tf.zeros((rows, 1))


@LOOPS
def test_full_rows(loop: Any) -> None:
    outputs, (total, count) = loop(add, tf.constant([[[1.0], [2.0], [4.0]]]), zeros(1), None, 2)
    np.testing.assert_array_equal(outputs, [[[10, 0], [30, 1], [70, 2]]])
    np.testing.assert_array_equal([total, count], [[[7]], [[3]]])


@LOOPS
def test_rows_stop_at_their_own_length(loop: Any) -> None:
    projected = tf.constant([[[1.0], [2.0], [4.0]]] * 3)
    outputs, (total, count) = loop(
        add, projected, (tf.fill((3, 1), 5.0), zeros(3)[1]), tf.constant([3, 1, 0]), 2
    )
    np.testing.assert_array_equal(
        outputs, [[[60, 0], [80, 1], [120, 2]], [[60, 0], [0, 0], [0, 0]], [[0, 0]] * 3]
    )
    np.testing.assert_array_equal(total[:, 0], [12, 6, 5])
    np.testing.assert_array_equal(count[:, 0], [3, 1, 0])


@LOOPS
def test_padding_does_not_affect_outputs_or_states(loop: Any) -> None:
    projected = tf.constant([[[1.0], [np.nan], [np.inf]]])
    outputs, (total, _) = loop(add, projected, zeros(1), tf.constant([1]), 2)
    np.testing.assert_array_equal(outputs, [[[10, 0], [0, 0], [0, 0]]])
    np.testing.assert_array_equal(total, [[1]])


@LOOPS
def test_empty_sequences_return_the_initial_state(loop: Any) -> None:
    """The number of steps may be static or dynamic, also in a graph with a dynamic batch size."""
    states = (tf.fill((2, 1), 5.0), zeros(2)[1])
    outputs, (total, _) = loop(add, tf.zeros((2, 0, 1)), states, None, 2)
    assert outputs.shape == (2, 0, 2)
    np.testing.assert_array_equal(total, states[0])
    for shape in [(None, 0, 1)] + ([(None, None, 1)] if loop is generic else []):
        graph = tf.function(
            lambda x, states: loop(add, x, states, None, 2),
            input_signature=[tf.TensorSpec(shape), (tf.TensorSpec((None, 1)), tf.TensorSpec((None, 1)))],
        )
        outputs, (total, _) = graph(tf.zeros((2, 0, 1)), states)
        assert outputs.shape == (2, 0, 2)
        np.testing.assert_array_equal(total, states[0])


def test_unrolled_needs_a_static_number_of_steps() -> None:
    graph = tf.function(
        lambda x: unrolled(add, x, zeros(1), None, 2)[0], input_signature=[tf.TensorSpec((1, None, 1))]
    )
    with pytest.raises(ValueError, match="unrolled form needs a static number of steps"):
        graph(tf.zeros((1, 3, 1)))


@LOOPS
def test_differentiable_twice(loop: Any) -> None:
    """T multiplications give ``x^T``. The second derivative is ``T (T - 1) x^(T - 2)``."""
    x, steps = tf.constant([[1.5]]), 4

    @tf.function
    def second() -> tf.Tensor:
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                rows = tf.repeat(x[:, None], steps, axis=1)
                _, (power,) = loop(lambda x, states: (x, (states[0] * x,)), rows, (tf.ones((1, 1)),), None, 1)
            gradient = inner.gradient(power, x)
        return outer.gradient(gradient, x)

    np.testing.assert_allclose(second(), [[steps * (steps - 1) * 1.5 ** (steps - 2)]], rtol=1e-6)
