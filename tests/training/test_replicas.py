"""Splitting a batch over devices or into parts does not change the training step."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import PLAIN, batches, squared, training, without_times

from seqmodels.training import Interrupted
from seqmodels.training.optimizers import CLIP_BY


def replicated(folder, clips=CLIP_BY, **how):
    """Returns weights and histories for each clipping method, and for a carried state.

    One clipping method also averages the weights. Every clipping method changes the gradient. The two halves
    of a batch, one per replica, have different numbers of real targets.
    """
    results = {}
    for by in clips:
        average = 0.5 if by == "global" else None
        settings = replace(PLAIN, epochs=2, clipnorm=0.5, clip_by=by, average=average, **how)
        subject = training(
            Path(folder) / by, train=lambda: batches(weights=[1, 2, 0.5, 0]), settings=settings
        )
        history = without_times(subject.run())
        results[by] = {"weights": subject.model.get_weights()[0].tolist(), "history": history}

    def summed(model, inputs, targets, weights, carried, training):
        carried = carried + inputs[:, 0]  # (batch,)
        return squared(model, inputs, targets + carried, weights, carried, training)

    calls = iter([False, False, True])
    rows = 2 // tf.distribute.get_strategy().num_replicas_in_sync
    for stop in (lambda: next(calls), lambda: False):
        subject = training(
            Path(folder) / "carried",
            objective=summed,
            train=lambda: batches(size=2),
            settings=replace(PLAIN, epochs=2, **how),
            initial_carried=lambda: tf.zeros((rows,)),
            stop=stop,
        )
        with suppress(Interrupted):
            subject.run()
    history = without_times(subject.position.history)
    results["carried"] = {"weights": subject.model.get_weights()[0].tolist(), "history": history}
    return results


def two_replicas(folder, clips):
    """Prints the results of :func:`replicated` on two CPU devices.

    It needs its own process, because TensorFlow splits devices only at its start.
    """
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        print(json.dumps(replicated(folder, clips)))


@pytest.mark.parametrize("clips", [("global",), CLIP_BY])
@pytest.mark.slow
def test_two_replicas_equal_one(tmp_path, clips):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    command = [
        sys.executable,
        "-c",
        f"import test_replicas; test_replicas.two_replicas({str(tmp_path / 'two')!r}, {clips})",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert_same(json.loads(done.stdout), replicated(tmp_path / "one", clips))


@pytest.mark.parametrize("xla", [pytest.param(False, marks=pytest.mark.slow), True])
@pytest.mark.slow
def test_two_parts_equal_one(tmp_path, xla):
    assert_same(
        replicated(tmp_path / "two", parts=2, xla=xla), replicated(tmp_path / "one", parts=1, xla=xla)
    )


def assert_same(two, one):
    assert one.keys() == two.keys()
    for name, result in one.items():
        np.testing.assert_allclose(two[name]["weights"], result["weights"], rtol=1e-5, err_msg=name)
        for row, expected in zip(two[name]["history"], result["history"], strict=True):
            assert row == pytest.approx(expected, rel=1e-5), name
        assert result["history"][0]["clipped"] == (name in CLIP_BY)


def test_indivisible_rows_are_not_split(tmp_path):
    one, two = (
        without_times(
            training(
                tmp_path / str(parts), train=partial(batches, size=3), settings=replace(PLAIN, parts=parts)
            ).run()
        )
        for parts in (1, 2)
    )
    assert one == two


def test_parts_sample_different_masks_and_advance_the_generator_once(tmp_path):
    def kept(model, inputs, targets, weights, carried, training):
        """Returns an outcome whose carried state is the features that dropout kept."""
        outcome = squared(model, inputs, targets, weights, (), training)
        return outcome._replace(carried=(model.layers[0](tf.ones((inputs.shape[0], 64)), training=training),))

    states = {}
    for parts in (1, 2):
        model = keras.Sequential(
            [keras.Input((2,)), keras.layers.Dropout(0.5, seed=3), keras.layers.Dense(1)]
        )
        subject = training(
            tmp_path / str(parts),
            model,
            kept,
            initial_carried=lambda: (tf.zeros((4, 64)),),
            settings=replace(PLAIN, parts=parts, xla=True),
        )
        _, (masks,) = subject.steps.train(next(iter(batches())), subject.carried)
        assert len(np.unique(masks, axis=0)) == 4
        (states[parts],) = (v.numpy() for v in model.variables if v.name == "seed_generator_state")
    np.testing.assert_array_equal(states[1], states[2])
    assert states[1][1] == 2  # dropout used the generator twice: for the loss and in `kept`


@pytest.mark.parametrize("parts", [1, 2])
def test_counters_of_a_model_advance_once_per_step(tmp_path, parts):
    class Counting(keras.layers.Layer):
        def build(self, shape):
            self.steps = self.add_weight(name="steps", shape=(), dtype="int32", trainable=False)
            self.shapes = self.add_weight(name="untouched", shape=(3,), trainable=False)

        def call(self, x, training=False):
            if training:
                self.steps.assign_add(1)
            return x

    model = keras.Sequential([keras.Input((2,)), Counting(), keras.layers.Dense(1)])
    subject = training(tmp_path, model, settings=replace(PLAIN, epochs=3, parts=parts, xla=True))
    subject.run()
    assert int(model.layers[0].steps.value) == 3
