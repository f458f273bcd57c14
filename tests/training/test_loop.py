"""The training loop on models that are small enough to compute by hand."""

import csv
import math
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import INPUTS, PLAIN, START, TARGETS, batches, gradient, squared, training, without_times

from seqmodels.errors import DataError
from seqmodels.models import Classifier
from seqmodels.training import Diverged, Interrupted
from seqmodels.training.objectives import Outcome, classification
from seqmodels.training.optimizers import make

COLUMNS = [
    "epoch",
    "steps",
    "loss",
    "mistakes",
    "valid_loss",
    "valid_mistakes",
    "learning_rate",
    "gradient_norm",
]
COLUMNS += ["clipped", "seconds", "examples_per_second", "targets_per_second"]


def pushed(model, inputs, targets, weights, carried, training):
    """At learning rate 1, a step adds 1 to the only weight. The validation loss is lowest at weight 2."""
    weight = model.trainable_variables[0].value[0, 0]
    total = -weight if training else tf.square(weight - 2)
    return Outcome(total, tf.constant(1.0), {"near": 1 / (1 + tf.abs(weight - 2))}, carried=carried)


def scripted(folder, settings, **options):
    model = keras.Sequential(
        [keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")]
    )
    one = partial(batches, np.ones((1, 1), np.float32), np.ones(1, np.float32))
    return training(folder, model, pushed, one, make("sgd", 1.0), settings, **options)


@pytest.mark.parametrize("xla", [False, True])
def test_one_step_is_gradient_descent_worked_by_hand(tmp_path, xla):
    weights = [1.0, 2.0, 0.5, 1.0]
    subject = training(tmp_path, train=lambda: batches(weights=weights), settings=replace(PLAIN, xla=xla))
    (row,) = subject.run()
    by_hand = gradient(weights)
    np.testing.assert_allclose(subject.model.get_weights()[0], START - 0.1 * by_hand, rtol=1e-5)
    errors = INPUTS @ START[:, 0] - TARGETS
    assert row["loss"] == pytest.approx(np.sum(errors**2 * weights) / 4.5, rel=1e-5)
    assert row["mistakes"] == pytest.approx(np.sum((errors**2 > 1) * weights) / 4.5)
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(by_hand), rel=1e-5)


def test_rows_of_weight_zero_change_nothing(tmp_path):
    inputs = np.concatenate([INPUTS, np.full((3, 2), 1e3, np.float32)])
    targets = np.concatenate([TARGETS, np.full(3, -1e3, np.float32)])
    padded = training(tmp_path / "a", train=lambda: batches(inputs, targets, [1] * 4 + [0] * 3, size=7))
    plain = training(tmp_path / "b")
    rows = [without_times(subject.run())[0] for subject in (padded, plain)]
    np.testing.assert_allclose(padded.model.get_weights()[0], plain.model.get_weights()[0], rtol=1e-6)
    assert rows[0] == pytest.approx(rows[1], rel=1e-6)


def test_history_columns_and_means_weighted_by_targets(tmp_path):
    subject = training(
        tmp_path, train=lambda: batches(size=3), optimizer=make("sgd", 0.0), settings=replace(PLAIN, epochs=2)
    )
    history = subject.run()
    assert [list(row) for row in history] == [COLUMNS, COLUMNS]
    losses = (INPUTS @ START[:, 0] - TARGETS) ** 2
    for number, row in enumerate(history, 1):
        assert (row["epoch"], row["steps"], row["clipped"]) == (number, 2, 0)
        assert row["loss"] == row["valid_loss"] == pytest.approx(np.mean(losses), rel=1e-6)
        assert row["examples_per_second"] == pytest.approx(4 / row["seconds"])


def test_padding_rows_are_not_counted_as_examples(tmp_path):
    (row,) = training(tmp_path, train=lambda: batches(weights=[0.5, 2.0, 0.0, 0.0])).run()
    assert row["examples_per_second"] == pytest.approx(2 / row["seconds"])
    assert row["targets_per_second"] == pytest.approx(2.5 / row["seconds"])  # weighted


def test_gradient_norm_of_an_embedding_sums_repeated_rows(tmp_path):
    ids = np.array([[0, 2, 0], [0, 1, 2]], np.int32)
    strength = np.array([2.0, 3.0], np.float32)  # the gradient of each embedding vector that the row uses

    def total(model, inputs, targets, weights, carried, training):
        sums = tf.reduce_sum(model(inputs) * targets[:, None, None])
        return Outcome(sums, tf.reduce_sum(weights), {}, carried=carried)

    model = keras.Sequential([keras.Input((3,), dtype="int32"), keras.layers.Embedding(4, 2)])
    before = model.get_weights()[0]
    subject = training(
        tmp_path, model, total, lambda: batches(ids, strength), settings=replace(PLAIN, clipnorm=1.0)
    )
    (row,) = subject.run()
    by_hand = np.zeros((4, 2))
    np.add.at(by_hand, ids, strength[:, None, None] / len(ids))
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(by_hand), rel=1e-6)
    assert row["clipped"] == 1
    step = 0.1 * by_hand / np.linalg.norm(by_hand)
    np.testing.assert_allclose(subject.model.get_weights()[0], before - step, rtol=1e-5, atol=1e-7)


def test_a_penalty_is_added_to_the_mean(tmp_path):
    def decayed(model, *arguments):
        return squared(model, *arguments)._replace(
            penalty=0.5 * tf.reduce_sum(tf.square(model.trainable_variables[0]))
        )

    subject = training(tmp_path, objective=decayed)
    subject.run()
    np.testing.assert_allclose(
        subject.model.get_weights()[0], START - 0.1 * (gradient(np.ones(4)) + START), rtol=1e-5
    )


def test_training_stops_by_patience_and_leaves_the_best_weights(tmp_path):
    subject = scripted(tmp_path, replace(PLAIN, epochs=50, patience=3))
    history = subject.run()
    assert [row["valid_loss"] for row in history] == [1, 0, 1, 4, 9]
    assert (subject.position.best, subject.position.best_epoch, subject.position.finished) == (0, 2, True)
    assert float(subject.model.get_weights()[0][0, 0]) == 2


def test_time_limit_ends_the_epoch_at_once(tmp_path):
    two = {"train": lambda: batches(size=2)}
    subject = training(tmp_path / "a", settings=replace(PLAIN, epochs=9, seconds=0.0), **two)
    (row,) = subject.run()
    assert (row["steps"], subject.position.finished) == (1, True)
    assert math.isfinite(row["valid_loss"])
    rows = training(tmp_path / "b", settings=replace(PLAIN, epochs=2, seconds=1e6), **two).run()
    assert [row["steps"] for row in rows] == [2, 2]


def test_without_patience_every_epoch_runs_and_maximize_keeps_the_largest(tmp_path):
    settings = replace(PLAIN, epochs=4, monitor="valid_near", maximize=True)
    subject = scripted(tmp_path, settings)
    assert [row["valid_near"] for row in subject.run()] == [1 / 2, 1, 1 / 2, pytest.approx(1 / 3)]
    assert float(subject.model.get_weights()[0][0, 0]) == 2


def test_unknown_monitor_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"column of the history \(epoch, .*valid_loss.*; got 'valid_f1'"):
        training(tmp_path, settings=replace(PLAIN, monitor="valid_f1")).run()


def test_validation_without_a_real_row_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the evaluation dataset has no rows with a positive weight"):
        training(tmp_path, validate=lambda: batches(weights=[0] * 4)).run()


def test_divergence_names_epoch_and_step(tmp_path):
    broken = INPUTS.copy()
    broken[3] = np.nan
    subject = training(tmp_path, settings=replace(PLAIN, epochs=3))
    subject.train = lambda epoch: batches(broken if epoch else INPUTS, size=2)
    with pytest.raises(
        Diverged,
        match="epoch 2, step 2: the loss is nan and the gradient norm is nan; lower the learning rate",
    ):
        subject.run()


def test_validation_that_is_not_finite_raises_diverged(tmp_path):
    broken = np.full_like(INPUTS, 1e30)
    with pytest.raises(Diverged, match="training diverged in epoch 1: valid_loss is inf"):
        training(tmp_path, validate=lambda: batches(broken)).run()


class Recorder(keras.callbacks.Callback):
    """Records every call; stops the training at the call ``stop_at``."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.calls, self.logs, self.stop_at = [], [], stop_at

    def __getattribute__(self, name):
        if not name.startswith("on_"):
            return super().__getattribute__(name)

        def record(*numbers, logs=None):
            if numbers and not isinstance(numbers[-1], int):  # CallbackList passes some logs by position
                *numbers, logs = numbers
            self.calls.append((name.removeprefix("on_"), *numbers))
            self.logs.append(logs)
            if self.calls[-1] == self.stop_at:
                self.model.stop_training = True

        return record


def test_keras_callbacks_are_called(tmp_path):
    recorder = Recorder()
    optimizer = make("sgd", keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.25]))
    subject = training(tmp_path, train=lambda: batches(size=2), optimizer=optimizer, callbacks=[recorder])
    subject.run()
    steps = [
        ("train_batch_begin", 0),
        ("train_batch_end", 0),
        ("train_batch_begin", 1),
        ("train_batch_end", 1),
    ]
    validation = [
        ("test_begin",),
        *((f"test_batch_{when}", step) for step in (0, 1) for when in ("begin", "end")),
    ]
    assert recorder.calls == [
        ("train_begin",),
        ("epoch_begin", 0),
        *steps,
        *validation,
        ("test_end",),
        ("epoch_end", 0),
        ("train_end",),
    ]
    first = gradient(np.ones(2), INPUTS[:2], TARGETS[:2])
    assert recorder.logs[3] == {
        "loss": pytest.approx(np.mean((INPUTS[:2] @ START[:, 0] - TARGETS[:2]) ** 2), rel=1e-6),
        "learning_rate": 0.5,
        "gradient_norm": pytest.approx(np.linalg.norm(first), rel=1e-6),
    }
    assert [recorder.logs[index] for index in (2, 4)] == [{"compiling": True}, {"compiling": False}]
    assert recorder.logs[5]["learning_rate"] == 0.25
    assert recorder.logs[6] == {"steps": 2}
    assert recorder.logs[12] == subject.position.history[0]


@pytest.mark.parametrize(("stop_at", "steps"), [(("epoch_end", 1), [2, 2]), (("train_batch_end", 0), [1])])
def test_a_callback_can_stop_the_training(tmp_path, stop_at, steps):
    subject = training(
        tmp_path,
        train=lambda: batches(size=2),
        callbacks=[Recorder(stop_at)],
        settings=replace(PLAIN, epochs=9),
    )
    assert [row["steps"] for row in subject.run()] == steps
    assert subject.position.finished


def test_keras_early_stopping_and_csv_logger_work_unchanged(tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("valid_loss", mode="min", patience=1),
        keras.callbacks.CSVLogger(str(tmp_path / "log.csv")),
    ]
    history = scripted(tmp_path, replace(PLAIN, epochs=9), callbacks=callbacks).run()
    assert [row["valid_loss"] for row in history] == [1, 0, 1]
    with open(tmp_path / "log.csv") as file:
        assert [float(row["valid_loss"]) for row in csv.DictReader(file)] == [1, 0, 1]


def counting(model, inputs, targets, weights, carried, training):
    """Reports the carried state and increments it by one."""
    (state,) = carried
    outcome = squared(model, inputs, targets, weights, (), training)
    seen = tf.cast(state[0], tf.float32)
    return outcome._replace(scores={"seen": seen * outcome.count, "last": seen}, carried=(state + 1,))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_carried_state_continues_between_batches_and_restarts_per_epoch(tmp_path, dtype):
    def subject(**options):
        return training(
            tmp_path,
            objective=counting,
            train=partial(batches, size=1),
            initial_carried=lambda: (tf.constant([10.0], dtype),),
            settings=replace(PLAIN, epochs=2),
            **options,
        )

    calls = iter([False] * 6 + [True])
    with pytest.raises(Interrupted):
        subject(stop=lambda: next(calls)).run()
    history = subject().run()
    assert [(row["seen"], row["valid_seen"]) for row in history] == [(11.5, 11.5)] * 2


def tokens(rows=12, steps=5):
    random = np.random.default_rng(0)
    inputs = {
        "tokens": random.integers(4, 20, (rows, steps), np.int32),
        "lengths": np.arange(rows, dtype=np.int32) % (steps + 1),
    }
    return inputs, random.integers(0, 2, rows, np.int32)


def classifier(dtype="float32", **options):
    keras.utils.set_random_seed(1)
    model = Classifier(20, 2, embedding_units=3, units=3, cell="rnn", dtype=dtype, **options)
    model.build()
    return model


def classify(folder, model, optimizer="adam", scaled=False, size=4, **options):
    return training(
        folder,
        model,
        classification(),
        lambda: batches(*tokens(), size=size),
        make(optimizer, 0.01, scaled),
        **options,
    )


def test_resumed_training_gives_bitwise_identical_results(tmp_path):
    dropouts = {"word_dropout": 0.2, "dropout": 0.2, "recurrent_dropout": 0.2, "weight_dropout": 0.2}
    options = {"bidirectional": False, **dropouts}

    def data(epoch):
        return batches(*tokens(), size=4).shuffle(3, seed=epoch)

    def subject(folder, **others):
        one = classify(folder, classifier(**options), settings=replace(PLAIN, epochs=3), **others)
        one.train = data
        return one

    whole = subject(tmp_path / "whole")
    expected = whole.run()
    calls = iter([False] * 4 + [True])  # in the middle of the second epoch
    with pytest.raises(
        Interrupted, match="training stopped in epoch 2 after step 2; run the same command again"
    ):
        subject(tmp_path / "parts", stop=lambda: next(calls)).run()
    resumed = subject(tmp_path / "parts")
    history = resumed.run()
    assert without_times(history) == without_times(expected)
    for one, other in zip(whole.model.variables, resumed.model.variables):
        assert np.array_equal(one.numpy(), other.numpy()), one.path
    again = subject(tmp_path / "parts")
    again.train = None  # a finished training only restores its best weights
    assert again.run() == history
    assert np.array_equal(again.model.get_weights()[0], resumed.model.get_weights()[0])


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    training(tmp_path).run()
    with pytest.raises(DataError, match="another model"):
        scripted(tmp_path, PLAIN).run()


@pytest.mark.parametrize(("seconds", "written"), [(0.0, [1, 2]), (1e9, [])])
def test_checkpoints_are_written_every_save_seconds(tmp_path, seconds, written):
    seen = []
    subject = training(tmp_path, train=lambda: batches(size=2), settings=replace(PLAIN, save_seconds=seconds))
    save = subject._save
    subject._save = lambda: (seen.append(subject.position.step), save())
    subject.run()
    assert seen == [*written, 0]  # and one at the end of the epoch


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains(tmp_path, dtype):
    model = classifier(dtype, bidirectional=False)
    before = model.get_weights()
    (row,) = classify(tmp_path, model, scaled=dtype == "mixed_float16").run()
    assert row["loss"] == pytest.approx(math.log(2), abs=0.4)
    assert row["gradient_norm"] < 10  # the norm is computed without the scale of the loss
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())
    assert any(np.any(one != other) for one, other in zip(before, model.get_weights()))


@pytest.mark.parametrize("by", ["global", "variable", "value"])
def test_float16_overflow_skips_the_step_and_halves_the_scale(tmp_path, by):
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, dtype=policy)])
    model.set_weights([START])
    optimizer = make("sgd", 0.1, mixed_float16=True)

    def in_float32(model, *arguments):
        return squared(lambda x, training: tf.cast(model(x), tf.float32), *arguments)

    settings = replace(PLAIN, clipnorm=1.0, clip_by=by)
    subject = training(tmp_path, model, in_float32, optimizer=optimizer, settings=settings)
    optimizer.dynamic_scale.assign(2.0**60)
    (row,) = subject.run()
    assert float(optimizer.dynamic_scale) == 2.0**59
    assert int(optimizer.iterations) == 0
    assert np.array_equal(model.get_weights()[0], START)
    assert math.isfinite(row["gradient_norm"])


@pytest.mark.slow
def test_xla_gives_the_same_results(tmp_path):
    rows = {}
    for xla in (False, True):
        subject = classify(
            tmp_path / str(xla), classifier(), size=6, settings=replace(PLAIN, clipnorm=1.0, xla=xla)
        )
        rows[xla] = without_times(subject.run())[0]
    assert rows[True] == pytest.approx(rows[False], abs=1e-5)


def test_the_model_also_works_with_compile_and_fit():
    inputs, labels = tokens()
    model = classifier(bidirectional=False)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], weighted_metrics=[])
    history = model.fit(batches(inputs, labels, size=6), epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]
    assert set(history) == {"loss", "accuracy"}


def moved(start, steps):
    """Returns the weight of :func:`scripted` after each of ``steps`` steps, and its running mean."""
    weights = start + np.arange(1, steps + 1, dtype=np.float64)
    return weights, np.cumsum(weights) / np.arange(1, steps + 1)


def test_plateau_lowers_the_learning_rate_without_improvement(tmp_path):
    subject = scripted(tmp_path, replace(PLAIN, epochs=5, plateau=0.25))
    history = subject.run()
    # Weights 1, 2, 3, 3.25 and 3.3125; validation is their squared distance from 2.
    assert [row["learning_rate"] for row in history] == [1, 1, 1, 0.25, 0.0625]
    assert [row["valid_loss"] for row in history] == [1, 0, 1, 1.25**2, 1.3125**2]


def test_averaged_weights_are_validated_and_saved_but_not_trained(tmp_path):
    subject = scripted(tmp_path, replace(PLAIN, epochs=5, average=1.0))
    history = subject.run()
    weights, means = moved(0, 5)
    np.testing.assert_allclose(
        [-row["loss"] for row in history], weights - 1
    )  # each loss is computed before its step
    np.testing.assert_allclose([row["valid_loss"] for row in history], (means - 2) ** 2, rtol=1e-6)
    assert subject.position.best_epoch == 3
    assert float(subject.model.get_weights()[0][0, 0]) == pytest.approx(2)


def test_exponential_average_starts_as_a_mean(tmp_path):
    history = scripted(tmp_path, replace(PLAIN, epochs=5, average=0.5)).run()
    average, expected = 0.0, []
    for step, weight in enumerate(moved(0, 5)[0], 1):
        average += max(0.5, 1 / step) * (weight - average)
        expected.append((average - 2) ** 2)
    np.testing.assert_allclose([row["valid_loss"] for row in history], expected, rtol=1e-6)


def test_averaging_starts_after_average_after_epochs_without_improvement(tmp_path):
    """The losses are 1, 0, 1, 4. Each loss is compared with the best loss that is at least two epochs old.

    Only the fourth loss is worse. Averaging starts at the next step (Merity et al. 2018, algorithm 1).
    """
    history = scripted(tmp_path, replace(PLAIN, epochs=6, average=1.0, average_after=1)).run()
    assert [row["valid_loss"] for row in history] == [1, 0, 1, 4, (5 - 2) ** 2, ((5 + 6) / 2 - 2) ** 2]


def test_resumed_averaging_gives_identical_results(tmp_path):
    settings = replace(PLAIN, epochs=6, average=0.9, average_after=1)
    expected = scripted(tmp_path / "whole", settings).run()
    calls = iter([False] * 5 + [True])
    with pytest.raises(Interrupted):
        scripted(tmp_path / "parts", settings, stop=lambda: next(calls)).run()
    resumed = scripted(tmp_path / "parts", settings)
    assert without_times(resumed.run()) == without_times(expected)


def test_averages_over_epochs_continue_after_an_interruption(tmp_path):
    settings = replace(PLAIN, epochs=5, average_epochs=3)
    expected = scripted(tmp_path / "whole", settings).run()
    weights, _ = moved(0, 5)
    means = [np.mean(weights[max(0, end - 3) : end]) for end in range(1, 6)]
    np.testing.assert_allclose([row["valid_loss"] for row in expected], (np.array(means) - 2) ** 2, rtol=1e-6)
    calls = iter([False] * 3 + [True])
    with pytest.raises(Interrupted):
        scripted(tmp_path / "parts", settings, stop=lambda: next(calls)).run()
    resumed = scripted(tmp_path / "parts", settings)
    assert without_times(resumed.run()) == without_times(expected)
    best = means[int(np.argmin([(mean - 2) ** 2 for mean in means]))]
    assert float(resumed.model.get_weights()[0][0, 0]) == pytest.approx(best)


def test_derive_adds_columns_from_the_means(tmp_path):
    subject = training(tmp_path, derive=lambda means: {"root": means["loss"] ** 0.5})
    (row,) = subject.run()
    assert row["root"] == row["loss"] ** 0.5
    assert row["valid_root"] == row["valid_loss"] ** 0.5


@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
def test_regularizers_and_constraints_of_weights_are_applied(tmp_path, xla):
    """The gradient of the regularizer is added once, although the batch has two parts."""
    options = {"kernel_regularizer": keras.regularizers.L2(0.3), "kernel_constraint": "non_neg"}
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, use_bias=False, **options)])
    model.set_weights([START])
    subject = training(tmp_path, model=model, settings=replace(PLAIN, xla=xla, parts=2))
    subject.run()
    moved = START - 0.1 * (gradient(np.ones(4)) + 0.6 * START)
    np.testing.assert_allclose(model.get_weights()[0], np.maximum(moved, 0), rtol=1e-5)
