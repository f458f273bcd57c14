"""Tests of weights with their own learning rates."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqmodels.training import RateGroup, make


def trained(groups, name="adam", steps=6):
    """Returns the weights of a dense layer after each step. The layer learns from a constant gradient."""
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    layer.set_weights([np.zeros((3, 2)), np.zeros(2)])
    optimizer = make(name, 0.1, groups=groups(layer))
    optimizer.build(layer.trainable_variables)
    found = []
    for _ in range(steps):
        optimizer.apply([tf.ones((3, 2)), tf.ones(2)], layer.trainable_variables)
        found.append([weight.copy() for weight in layer.get_weights()])
    return found


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_factor_scales_the_steps(name):
    plain = trained(lambda layer: [], name)
    slow = trained(lambda layer: [RateGroup([layer.kernel], factor=0.25)], name)
    np.testing.assert_allclose(slow[-1][0], 0.25 * plain[-1][0], rtol=1e-5)
    np.testing.assert_allclose(slow[-1][1], plain[-1][1], rtol=1e-6)


def test_frozen_weights_start_to_move_at_their_step():
    steps = trained(lambda layer: [RateGroup([layer.kernel], start=3)])
    for kernel, bias in steps[:3]:
        np.testing.assert_array_equal(kernel, 0)
        assert (bias < 0).all()
    assert (steps[3][0] < 0).all()


def test_frozen_weights_do_not_decay():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    optimizer = make("adamw", 0.1, groups=[RateGroup([layer.kernel], start=3)], weight_decay=0.5)
    optimizer.build(layer.trainable_variables)
    before = layer.kernel.numpy()
    optimizer.apply([tf.zeros((3, 2)), tf.zeros(2)], layer.trainable_variables)
    np.testing.assert_array_equal(layer.kernel.numpy(), before)


def test_the_first_step_of_the_loop_compiles_with_groups():
    layer = keras.layers.Dense(1)
    layer.build((None, 1))
    optimizer = make("adam", 0.1, groups=[RateGroup([layer.kernel], 0.5, 1)])
    optimizer.build(layer.trainable_variables)

    @tf.function(jit_compile=True)
    def step():
        optimizer.apply([tf.ones((1, 1)), tf.ones(1)], layer.trainable_variables)

    before = layer.get_weights()[0]
    step()
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    step()
    assert layer.get_weights()[0] < before
