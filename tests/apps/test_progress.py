"""The lines and bars that report a training, with a clock that only the tests move."""

import csv
import io
import itertools
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from rich.console import Console

import apps.training
import seqmodels.training
from apps.announcement import data_line, duration, ending, model_line, time_line
from apps.progress import Report
from seqmodels.training import Pace, Position, Settings

ROW = {"loss": 0.5, "valid_loss": 0.25, "seconds": 4.0, "examples_per_second": 10.0}


class Training:
    """The part of a training that the report reads: 3 epochs of 4 steps of 2 seconds."""

    def __init__(self, seconds=None, patience=None, epochs=3):
        self.settings = Settings(epochs=epochs, seconds=seconds, patience=patience)
        self.position, self.pace = Position(), Pace({})
        self.validation_seconds, self.steps_in_epoch = 0.0, 4
        self.limit = SimpleNamespace(binds=lambda position: position.planned is not None)
        self.model = SimpleNamespace(count_params=lambda: 41_234)
        self.left = None

    def train(self, epoch):
        return SimpleNamespace(cardinality=lambda: 4)

    def remaining(self):
        return self.left


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def shown():
    """Returns a function that creates a report, its clock and a function that returns its new lines."""
    reports = []

    def make(training, terminal=False):
        clock, file = Clock(), io.StringIO()
        report = Report(training, Console(file=file, force_terminal=terminal, width=100), clock)
        reports.append(report)

        def lines():
            text = file.getvalue()
            file.seek(0)
            file.truncate()
            return text.splitlines()

        return report, clock, lines

    yield make
    for report in reports:
        report.close()


def test_without_a_terminal_a_line_appears_after_30_seconds(shown):
    training = Training()
    report, clock, lines = shown(training)
    report.on_train_begin()
    report.on_epoch_begin(0, {"steps": 4.0, "step": 0.0})
    report.on_train_batch_begin(0, {"compiling": True})
    clock.now = 29.0
    report.tick()
    assert lines() == []
    clock.now = 30.0  # the compilation takes longer
    report.tick()
    assert lines() == ["compiling: epoch 1 of 3, step 1 of 4"]
    report.tick()
    assert lines() == []
    training.pace.compiled.add("4x2")
    training.left = 600.0
    clock.now = 61.0
    report.on_train_batch_end(0, {"loss": 0.6931})
    assert lines() == ["training: epoch 1 of 3, step 1 of 4, loss 0.6931, about 10 min left"]
    report.on_test_begin({"steps": 7.0})
    clock.now = 95.0
    report.on_test_batch_end(2)
    assert lines() == ["validation: epoch 1 of 3, batch 3 of 7"]
    report.on_epoch_end(0, ROW)
    assert lines() == ["epoch 1/3  loss 0.5  valid_loss 0.25  (4.0 s, 10 examples/s)"]
    clock.now = 120.0  # the line of the epoch also counts
    report.tick()
    assert lines() == []


def test_an_unknown_number_of_steps_is_a_question_mark(shown):
    report, clock, lines = shown(Training())
    report.on_epoch_begin(0, {"steps": -2, "step": 0})
    clock.now = 40.0
    report.on_train_batch_end(5, {"loss": 1.0})
    assert lines() == ["training: epoch 1 of 3, step 6 of ?, loss 1.0000"]


def test_the_thread_prints_while_a_step_is_compiled(shown, monkeypatch):
    """The thread is the only caller of ``tick`` here. No test waits for it longer than needed."""
    report, clock, lines = shown(Training())
    report.on_epoch_begin(0, {"steps": 4.0, "step": 0.0})
    waits = iter([False, True])  # the thread wakes up once, and then the report closes
    monkeypatch.setattr(report.closing, "wait", lambda seconds: next(waits))
    clock.now = 31.0
    report._watch()
    assert lines() == ["compiling: epoch 1 of 3, step 1 of 4"]


def test_a_terminal_shows_bars_and_no_progress_lines(shown):
    training = Training()
    report, clock, lines = shown(training, terminal=True)
    report.on_train_begin()
    assert report.thread is None
    report.on_epoch_begin(0, {"steps": 4, "step": 1})
    (task,) = report.bar.tasks
    assert (task.description, task.total, task.completed, task.fields["shown"]) == (
        "epoch 1/3",
        4,
        1,
        "compiling",
    )
    clock.now = 100.0
    report.on_train_batch_end(1, {"loss": 0.5})
    assert (task.completed, task.fields["shown"]) == (2, "loss 0.5000")
    report.on_train_batch_begin(2, {"compiling": True})
    assert task.fields["shown"] == "compiling"
    report.on_test_begin({"steps": -1})
    report.on_test_batch_end(0)
    check = report.bar.tasks[1]
    assert (check.description, check.total, check.completed) == ("validation 1/3", None, 1)
    report.on_epoch_end(0, ROW)
    assert report.bar is None
    text = "\n".join(lines())
    assert "epoch 1/3  loss 0.5" in text
    assert "nan" not in text
    assert "training: " not in text


def test_the_expected_time_is_printed_once_when_the_speed_is_known(shown):
    training = Training(epochs=10)
    report, _, lines = shown(training)
    report.on_epoch_begin(0, {"steps": 40, "step": 0})
    for step in range(14):
        training.pace.add("4x2", 0.5)
        training.left = 195.0 - step / 2
        report.on_train_batch_end(step, {"loss": 1.0})
        assert lines() == (
            ["time: 0.5 s per step; about 3.2 min left, plus validation"] if step == 10 else []
        )


def test_with_a_limit_the_time_is_printed_when_the_plan_is_made():
    training = Training(seconds=30.0, epochs=40)
    for _ in range(12):
        training.pace.add("4x2", 2.0)
    training.left, training.validation_seconds = 6.0, 1.0
    assert time_line(training) is None
    training.position.planned = 15
    expected = "time: 2 s per step; about 6 s left; --minutes 0.5 allows 15 steps, which end in epoch 4 of 40"
    short = "; this is short for the data, --minutes 6 allows all epochs"
    assert time_line(training) == expected + short
    training.position.planned = 90
    assert time_line(training) == expected.replace("15 steps", "90 steps").replace("epoch 4 ", "epoch 23 ")


def test_the_last_line_names_the_limit():
    training = Training(seconds=300.0, epochs=40)
    assert ending(training) == ""
    rows = [{"steps": 400}, {"steps": 400}, {"steps": 12}]
    training.position = Position(epoch=3, history=rows, planned=812, stopped_by="minutes")
    assert ending(training) == "stopped by --minutes 5 in epoch 3 of 40 after 812 steps"
    training.position.planned = 1000
    assert ending(training) == (
        "stopped by --minutes 5 in epoch 3 of 40 after 812 of 1,000 planned steps, because the steps became "
        "slower"
    )
    training.settings = replace(training.settings, patience=2)
    training.position.stopped_by = "patience"
    assert ending(training) == "stopped by --patience 2 after epoch 3 of 40"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "model: 41,234 parameters; 3 epochs of 4 steps"),
        ({"patience": 2}, "model: 41,234 parameters; at most 3 epochs of 4 steps"),
        ({"seconds": 90.0}, "model: 41,234 parameters; at most 3 epochs of 4 steps; at most 1.5 minutes"),
        ({"epochs": 1}, "model: 41,234 parameters; 1 epoch of 4 steps"),
    ],
)
def test_the_model_line(settings, expected):
    assert model_line(Training(**settings)) == expected


COUNTS = {"train": 54_000, "valid": 60, "test": 872}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, ""),
        (
            {"classes": {"bad": 1, "good": 2}, "vocabulary": 1234, "unknown tokens": "3.10%"},
            "; 2 classes; vocabulary 1,234 (3.10% unknown)",
        ),
        (
            {"languages": "de to en", "vocabulary": [8000, 9000], "unknown tokens": "0.00%"},
            "; de to en; vocabulary 8,000 and 9,000 (0.00% unknown)",
        ),
        (
            {
                "tokens": {"train": 929_589},
                "vocabulary": 50,
                "unknown tokens": {"train": "1%", "valid": "2%"},
            },
            "; 929,589 train tokens; vocabulary 50 (1% unknown)",
        ),
        ({"series": 3, "lookback": 96, "horizon": 24}, "; 3 series; lookback 96, horizon 24"),
    ],
)
def test_the_data_line_uses_the_facts_of_the_task(facts, expected):
    assert (
        data_line({"counts": COUNTS, **facts}) == f"data: 54,000 train, 60 valid, 872 test examples{expected}"
    )


def test_a_training_with_a_limit_announces_its_steps_and_ends_its_schedule(
    invoke, reviews, tiny, tmp_path, monkeypatch
):
    """Every call of the clock takes one second, and the loop calls the clock once per step."""
    clock = map(float, itertools.count())
    monkeypatch.setattr(
        apps.training, "Training", partial(seqmodels.training.Training, clock=lambda: next(clock))
    )
    options = [*tiny, "--epochs=40", "--minutes=0.5", "--patience=none", "--schedule=linear", "--warmup=0.2"]
    run = tmp_path / "run"
    result = invoke("train", "--data", reviews, "--run", run, *options)
    assert result.exit_code == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if not line.startswith("note: ")]
    assert lines[0].startswith("data: 48 train, 12 valid, 12 test examples; 2 classes; vocabulary ")
    assert lines[1].endswith(" parameters; at most 40 epochs of 6 steps; at most 0.5 minutes")
    (time,) = [line for line in lines if line.startswith("time: ")]
    assert time.startswith("time: 1 s per step; about ")
    assert "; --minutes 0.5 allows 30 steps, which end in epoch 5 of 40; this is short for the data" in time
    (trained,) = [line for line in lines if line.startswith(f"trained: {run}, best epoch ")]
    assert trained.endswith("; stopped by --minutes 0.5 in epoch 5 of 40 after 30 steps")
    with open(run / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["steps"] for row in rows] == ["6"] * 5
    # The last 6 of the 24 steps after the warm-up, whose rates fall from 0.02 to 0.0002
    expected = sum(0.02 * (1 - 0.99 * step / 23) for step in range(18, 24)) / 6
    assert float(rows[-1]["learning_rate"]) == pytest.approx(expected, rel=1e-4)


def test_durations():
    assert [duration(seconds) for seconds in (59.6, 600, 36_000)] == ["60 s", "10 min", "10 h"]
