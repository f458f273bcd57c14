"""A time limit becomes a number of steps; schedule, warm-up and averages follow this number."""

import json
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
from test_loop import moved, scripted
from tiny import INPUTS, PLAIN, TARGETS, batches, training, without_times

from seqmodels.registry import CURVES
from seqmodels.training import Interrupted, Schedule
from seqmodels.training.optimizers import make


class Clock(keras.callbacks.Callback):
    """A clock that only moves during steps and validation. It also records the learning rates."""

    def __init__(self, seconds=1.0, compiling=100.0, slow_after=10**9):
        super().__init__()
        self.now, self.seconds, self.compiling, self.slow_after = 0.0, seconds, compiling, slow_after
        self.rates = []

    def __call__(self):
        return self.now

    def on_train_batch_begin(self, batch, logs=None):
        slower = 10 if len(self.rates) >= self.slow_after else 1
        self.now += self.compiling if logs["compiling"] else self.seconds * slower

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(logs["learning_rate"])

    def on_test_end(self, logs=None):
        self.now += 1000.0


def limited(folder, clock, settings, train=None, optimizer=None, **options):
    """Returns a training with 4 steps per epoch."""
    options = {"callbacks": [clock], "clock": clock, **options}
    train = train or partial(batches, size=1)
    return training(folder, train=train, settings=settings, optimizer=optimizer, **options)


def scheduled(kind="cosine", steps=4000, warmup=400):
    return make("sgd", Schedule(0.1, kind, steps, warmup))


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("kind", CURVES)
def test_the_schedule_ends_at_the_planned_step(tmp_path, kind, xla):
    clock = Clock()
    settings = replace(PLAIN, epochs=1000, seconds=90.0, xla=xla)
    subject = limited(tmp_path, clock, settings, optimizer=scheduled(kind))
    history = subject.run()
    assert sum(row["steps"] for row in history) == subject.position.planned == 90
    assert (len(history), history[-1]["steps"], subject.position.stopped_by) == (23, 2, "minutes")
    assert clock.rates[-1] == pytest.approx(0.1 if kind == "constant" else 0.001)
    expected = Schedule(0.1, kind, 90, 9)
    # The plan is made after the tenth measured step. The provisional plan before it is already exact.
    np.testing.assert_allclose(clock.rates[2:], [float(expected(step)) for step in range(2, 90)], rtol=1e-5)


def test_compilation_and_validation_do_not_count(tmp_path):
    """Two batch shapes: 4 rows take 1 second, the 3 rows at the end of an epoch also take 1 second."""
    inputs, targets = np.tile(INPUTS, (3, 1))[:11], np.tile(TARGETS, 3)[:11]
    clock = Clock(compiling=1e6)
    settings = replace(PLAIN, epochs=1000, seconds=50.0)
    subject = limited(tmp_path, clock, settings, train=lambda: batches(inputs, targets, size=4))
    subject.run()
    assert subject.position.steps == subject.position.planned == 50


def test_the_plan_uses_the_share_of_each_batch_shape(tmp_path):
    """One of 4 batches has 1 row and takes 5 seconds; the others take 1 second. The mean is 2 seconds."""
    inputs, targets = np.tile(INPUTS, (4, 1))[:13], np.tile(TARGETS, 4)[:13]

    class Uneven(Clock):
        def on_train_batch_begin(self, batch, logs=None):
            self.now += 5.0 if batch == 3 else 1.0

    settings = replace(PLAIN, epochs=1000, seconds=400.0)
    subject = limited(tmp_path, Uneven(), settings, train=lambda: batches(inputs, targets, size=4))
    subject.run()
    assert subject.position.planned == pytest.approx(200, abs=3)


def test_a_limit_after_the_last_epoch_changes_nothing(tmp_path):
    rows = []
    for number, seconds in enumerate([None, 1e6, 13.0]):
        settings = replace(PLAIN, epochs=3, average=1.0, seconds=seconds)
        subject = limited(tmp_path / str(number), Clock(), settings, optimizer=scheduled("linear", 12, 3))
        rows.append(without_times(subject.run()))
        assert subject.position.stopped_by == ""
    assert rows[0] == rows[1] == rows[2]


def test_the_provisional_warm_up_does_not_wait_for_the_plan(tmp_path):
    clock = Clock()
    limited(tmp_path, clock, replace(PLAIN, epochs=1000, seconds=90.0), optimizer=scheduled()).run()
    assert clock.rates[:3] == pytest.approx([0.1 / 400, 0.1 * 2 / 400, 0.1 * 3 / 9])


def test_training_stops_at_the_latest_after_the_limit_with_a_tolerance(tmp_path):
    clock = Clock(slow_after=30)
    subject = limited(tmp_path, clock, replace(PLAIN, epochs=1000, seconds=100.0))
    subject.run()
    # 30 steps of one second, then steps of ten seconds until more than 120 seconds have passed. The first
    # step is not measured and counts as long as the mean of the other steps.
    assert (subject.position.planned, subject.position.steps) == (100, 39)
    assert subject.position.stopped_by == "minutes"


@pytest.mark.parametrize("average", [1.0, 0.9])
def test_the_average_starts_in_the_second_half_of_the_planned_steps(tmp_path, average):
    """The learning rate is 1, and every step adds 1 to the weight. One epoch is one step."""
    clock = Clock(seconds=1.0, compiling=1.0)
    settings = replace(PLAIN, epochs=100, seconds=20.0, average=average)
    subject = scripted(tmp_path, settings, callbacks=[clock], clock=clock)
    history = subject.run()
    assert subject.position.average_from == 10
    weights, _ = moved(0, 20)
    expected = 0.0
    for number, weight in enumerate(weights[10:], 1):
        expected += max(1 - average, 1 / number) * (weight - expected)
    assert history[-1]["valid_loss"] == pytest.approx((expected - 2) ** 2)
    assert subject.position.averaged == 10


def test_an_average_after_epochs_without_improvement_waits_for_them(tmp_path):
    clock = Clock(compiling=1.0)
    settings = replace(PLAIN, epochs=100, seconds=30.0, average=1.0, average_after=1)
    subject = scripted(tmp_path, settings, callbacks=[clock], clock=clock)
    history = subject.run()
    assert [row["valid_loss"] for row in history[:6]] == [1, 0, 1, 4, (5 - 2) ** 2, ((5 + 6) / 2 - 2) ** 2]
    assert (subject.position.average_from, subject.position.averaged) == (0, 26)


def test_an_average_of_epochs_uses_only_the_second_half(tmp_path):
    clock = Clock(compiling=1.0)
    settings = replace(PLAIN, epochs=100, seconds=20.0, average_epochs=15)
    subject = scripted(tmp_path, settings, callbacks=[clock], clock=clock)
    history = subject.run()
    assert history[-1]["valid_loss"] == pytest.approx((np.mean(range(11, 21)) - 2) ** 2)
    assert (subject.position.planned, subject.position.averaged) == (20, 10)


@pytest.mark.parametrize("calls", [3, 11, 40, 60])
def test_a_resumed_training_with_a_limit_is_identical(tmp_path, calls):
    settings = replace(PLAIN, epochs=1000, seconds=90.0, average=1.0)

    def subject(folder, **options):
        return limited(tmp_path / folder, Clock(), settings, optimizer=scheduled(), **options)

    whole = subject("whole")
    expected = whole.run()
    stops = iter([False] * calls + [True])
    with pytest.raises(Interrupted):
        subject("parts", stop=lambda: next(stops)).run()
    resumed = subject("parts")
    assert without_times(resumed.run()) == without_times(expected)
    assert resumed.position.planned == whole.position.planned == 90
    assert np.array_equal(resumed.model.get_weights()[0], whole.model.get_weights()[0])


def test_a_training_killed_after_its_planned_step_does_no_further_step(tmp_path):
    settings = replace(PLAIN, epochs=1000, seconds=90.0, save_seconds=0.0)
    subject = limited(tmp_path, Clock(), settings)
    subject._finish_epoch = lambda: (_ for _ in ()).throw(KeyboardInterrupt) if subject.cut else finish()
    finish = type(subject)._finish_epoch.__get__(subject)
    with pytest.raises(KeyboardInterrupt):
        subject.run()
    resumed = limited(tmp_path, Clock(), settings)
    assert sum(row["steps"] for row in resumed.run()) == 90
    assert resumed.position.stopped_by == "minutes"


def test_a_checkpoint_without_the_new_fields_still_loads(tmp_path):
    settings = replace(PLAIN, epochs=1000, seconds=90.0, average=1.0)
    stops = iter([False] * 20 + [True])
    with pytest.raises(Interrupted):
        limited(tmp_path, Clock(), settings, stop=lambda: next(stops)).run()
    with np.load(tmp_path / "last.npz") as stored:
        arrays = dict(stored)
    facts = json.loads(arrays["facts"].tobytes())
    for name in ("measured", "planned", "average_from", "stopped_by"):
        del facts[name]
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(tmp_path / "last.npz", **arrays)
    subject = limited(tmp_path, Clock(), settings)
    subject.run()
    assert subject.position.steps == subject.position.planned == 90


def test_a_plan_is_not_lost_if_the_epochs_end_first(tmp_path):
    """The time of the steps is known only after the last epoch."""
    subject = limited(tmp_path, Clock(), replace(PLAIN, epochs=1, seconds=1e6))
    assert [row["steps"] for row in subject.run()] == [4]
    assert (subject.position.planned, subject.position.stopped_by) == (None, "")


def test_the_remaining_time_counts_steps_and_validations(tmp_path):
    clock, seen = Clock(seconds=2.0), []
    subject = limited(tmp_path, clock, replace(PLAIN, epochs=3))
    recorder = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda step, logs: seen.append(subject.remaining())
    )
    subject.callbacks.append(recorder)
    subject.run()
    assert seen[:4] == [None, 20.0, 18.0, 16.0]
    assert seen[4:] == [
        14.0 + 2000,
        12.0 + 2000,
        10.0 + 2000,
        8.0 + 1000,
        *[6.0 + 1000, 4.0 + 1000, 2.0 + 1000, 0.0],
    ]
