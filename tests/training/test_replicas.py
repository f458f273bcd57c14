"""However a batch is divided, over devices or in parts, its step is the same: summed, then clipped."""

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


def replicated(folder, **how):
    """Weights and histories with each way to clip, averaged weights with one of them, and with carried state;
    clipping bites.

    The halves of a batch, which the replicas get, differ in the number of real targets.
    """
    results = {}
    for by in CLIP_BY:
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


def two_replicas(folder):
    """The same on two CPU devices, in a process of its own: TensorFlow divides devices only at its start."""
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    assert strategy.num_replicas_in_sync == 2
    with strategy.scope():
        print(json.dumps(replicated(folder)))


def test_two_replicas_take_the_steps_of_one(tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
    }
    command = [
        sys.executable,
        "-c",
        f"import test_replicas; test_replicas.two_replicas({str(tmp_path / 'two')!r})",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert_same(json.loads(done.stdout), replicated(tmp_path / "one"))


@pytest.mark.parametrize("xla", [False, True])
def test_two_parts_take_the_steps_of_one(tmp_path, xla):
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


def test_rows_that_the_parts_do_not_divide_are_one_part(tmp_path):
    one, two = (
        without_times(
            training(
                tmp_path / str(parts), train=partial(batches, size=3), settings=replace(PLAIN, parts=parts)
            ).run()
        )
        for parts in (1, 2)
    )
    assert one == two


def test_parts_draw_different_masks_and_leave_the_generator_where_one_part_does(tmp_path):
    def kept(model, inputs, targets, weights, carried, training):
        """Carries on the features that the dropout kept."""
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
    assert states[1][1] == 2  # it drew twice


@pytest.mark.parametrize("parts", [1, 2])
def test_what_a_model_counts_in_training_is_kept_and_counts_a_step_once(tmp_path, parts):
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
