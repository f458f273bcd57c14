"""A killed or interrupted training resumes with the same command, and its result is identical."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import seqmodels.models  # noqa: F401 - load_model must know the classes
from apps.progress import Report
from seqmodels.training import checkpoint

ROOT = Path(__file__).parents[2]
DROPOUTS = ["--word-dropout=0.2", "--dropout=0.2", "--recurrent-dropout=0.2", "--weight-dropout=0.1"]
OFTEN = ["--save-minutes=0", "--batch-size=4"]
LANGUAGE_MODEL = ["--units=6", "--embedding-units=5", "--layers=1", "--steps=4", "--no-xla", "--epochs=4"]
LANGUAGE_MODEL += ["--learning-rate=2", "--average=1", "--jitter=2", "--embedding-dropout=0.1"]
LANGUAGE_MODEL += ["--samples=8"]
TIMES = ("seconds", "examples_per_second", "targets_per_second")


def history(run):
    with open(run / "history.csv", newline="") as file:
        return [
            {name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)
        ]


def assert_same_run(one, other):
    assert history(one) == history(other)
    models = [keras.models.load_model(run / "model.keras") for run in (one, other)]
    for variable, twin in zip(models[0].weights, models[1].weights, strict=True):
        assert np.array_equal(variable.numpy(), twin.numpy()), variable.path
    metrics = [json.loads((run / "metrics.json").read_text()) for run in (one, other)]
    for document in metrics:
        del document["seconds"]
        for name in ("test", "verdict"):  # written by evaluate
            document.pop(name, None)
    assert metrics[0] == metrics[1]


def position(run):
    """Returns epoch and step of the last checkpoint, or (0, 0) before the first checkpoint."""
    try:
        with np.load(run / "checkpoints" / "last.npz") as stored:
            facts = json.loads(stored["facts"].tobytes())
    except FileNotFoundError:
        return 0, 0
    return facts["epoch"], facts["step"]


def start(app, data, run, *options):
    command = [
        sys.executable,
        "-m",
        f"apps.{app}",
        "train",
        "--data",
        str(data),
        "--run",
        str(run),
        *options,
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(process, condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended too early: {process.communicate()}")


def end(process):
    """Returns exit status and lines of stderr; checks that stdout is empty."""
    output, errors = process.communicate(timeout=600)
    assert output == ""
    return process.returncode, errors.splitlines()


@pytest.fixture
def big(write_reviews, tmp_path):
    """Reviews with enough steps per epoch to interrupt a training within an epoch."""
    data = write_reviews(tmp_path / "reviews")
    rows = (data / "train.csv").read_text().splitlines()
    more = [row.replace(", number", f" once more {copy}, number") for copy in range(8) for row in rows[1:]]
    (data / "train.csv").write_text("\n".join([*rows, *more]) + "\n")
    return data


def killed_and_resumed_equals_uninterrupted(app, data, folder, *options):
    """Kills a training and resumes it, and compares the run with an uninterrupted run."""
    run = folder / "killed"
    process = start(app, data, run, *options)
    try:
        wait_until(process, lambda: position(run) > (1, 0))
    finally:
        process.kill()
    assert end(process)[0] == -signal.SIGKILL
    epoch, _ = position(run)
    assert not (run / "metrics.json").exists()
    assert len(history(run)) == epoch
    carried = checkpoint.arrays(run / "checkpoints" / "last.npz", "carried")
    assert all(state.any() for state in carried)
    main = import_module(f"apps.{app}.__main__").main
    for each in (run, folder / "whole"):
        result = CliRunner().invoke(main, ["train", "--data", str(data), "--run", str(each), *options])
        assert result.exit_code == 0, result.stderr
        begins = [line.split("  ")[0] for line in result.stderr.splitlines()]
        epochs = len(history(each))
        done = epoch if each == run else 0
        assert (begins[0] == f"resuming {run}") == (each == run)
        assert [line for line in begins if line.startswith("epoch")] == [
            f"epoch {number}/{epochs}" for number in range(done + 1, epochs + 1)
        ]
    assert_same_run(folder / "whole", run)
    return carried


@pytest.mark.slow
def test_a_training_killed_within_an_epoch_resumes_bit_for_bit(big, tiny, tmp_path):
    options = [*tiny, *DROPOUTS, *OFTEN, "--epochs=3"]
    assert not killed_and_resumed_equals_uninterrupted("sentiment", big, tmp_path, *options)


@pytest.mark.slow
def test_a_language_model_killed_within_an_epoch_resumes_from_its_carried_state(corpus, tmp_path):
    options = [*LANGUAGE_MODEL, *OFTEN]
    assert killed_and_resumed_equals_uninterrupted("language_modeling", corpus, tmp_path, *options)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_to_resume_from(big, tiny, tmp_path, number):
    options = [*tiny, *OFTEN, "--epochs=3"]
    process = start("sentiment", big, tmp_path / "run", *options)
    wait_until(process, lambda: position(tmp_path / "run") > (0, 0))
    process.send_signal(number)
    status, lines = end(process)
    epoch, step = position(tmp_path / "run")
    assert status == 1
    assert (
        lines[-1] == f"error: training stopped in epoch {epoch + 1} after step {step}; "
        "run the same command again to resume from there"
    )
    assert end(start("sentiment", big, tmp_path / "run", *options))[0] == 0
    assert len(history(tmp_path / "run")) == 3


@pytest.fixture(scope="module")
def stopped(write_reviews, tiny, tmp_path_factory, invoke):
    """The data and the run of a training that Ctrl-C stopped in its second epoch."""
    folder = tmp_path_factory.mktemp("runs")
    data, run = write_reviews(folder / "reviews"), folder / "stopped"
    end_of_step = Report.on_train_batch_end

    def press(self, batch, logs=None):
        end_of_step(self, batch, logs)
        if position(run) == (1, 0) and batch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Report, "on_train_batch_end", press)
        result = invoke("train", "--data", data, "--run", run, *tiny, "--ngrams=2")
    *lines, last = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (1, "")
    assert last == (
        "error: training stopped in epoch 2 after step 3; run the same command again to resume from there"
    )
    assert [line[:9] for line in lines if line.startswith("epoch")] == ["epoch 1/2"]
    return data, run


@pytest.fixture
def interrupted(stopped, tiny, tmp_path):
    """Copies the stopped run. Yields the arguments that resume the copy, and its path. Restores the data."""
    data, run = stopped
    copy, kept = tmp_path / "interrupted", tmp_path / "kept"
    shutil.copytree(run, copy)
    shutil.copytree(data, kept)
    yield ["train", "--data", data, "--run", copy, *tiny, "--ngrams=2"], copy
    shutil.copytree(kept, data, dirs_exist_ok=True)


def test_ctrl_c_prints_one_line_and_the_same_command_resumes(interrupted, trained, invoke, one_line):
    arguments, run = interrupted
    for verb in ("evaluate", "predict", "info"):
        message = one_line(invoke(verb, "--run", run), 2)
        assert "is an unfinished run; repeat its `train` command to resume the training" in message
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    assert_same_run(trained, run)


def test_an_interrupted_run_lists_the_options_that_differ(interrupted, invoke, one_line):
    arguments, run = interrupted
    before = (run / "checkpoints" / "last.npz").read_bytes()
    message = one_line(invoke(*arguments, "--units=5", "--patience=none", "--save-minutes=1"), 1)
    assert (
        "is an interrupted run that was started with different options "
        "(--patience was 3, is None, --units was 4, is 5)" in message
    )
    assert "--overwrite" in message
    assert (run / "checkpoints" / "last.npz").read_bytes() == before
    result = invoke(*arguments, "--units=5", "--epochs=1", "--overwrite")
    assert result.exit_code == 0, result.stderr
    assert len(history(run)) == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dull", "dire", "has changed since the training of"),
        (",good", ",great", "expected a label of the training split: bad, good"),
    ],
    ids=["a text", "a label"],
)
def test_an_interrupted_run_refuses_changed_data(interrupted, invoke, one_line, old, new, message):
    arguments, _ = interrupted
    for path in arguments[2].iterdir():
        path.write_text(path.read_text().replace(old, new))
    assert message in one_line(invoke(*arguments), 1)


def test_a_run_killed_after_its_last_epoch_only_finishes(trained, reviews, tiny, tmp_path, invoke):
    run = tmp_path / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("metrics.json", "history.csv"))
    result = invoke("train", "--data", reviews, "--run", run, *tiny, "--ngrams=2")
    assert result.exit_code == 0, result.stderr
    assert not any(line.startswith("epoch") for line in result.stderr.splitlines())
    assert_same_run(trained, run)


def test_a_damaged_checkpoint_is_refused(interrupted, invoke, one_line):
    arguments, run = interrupted
    checkpoint = run / "checkpoints" / "last.npz"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    result = invoke(*arguments)
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert lines[-1].startswith(f"error: {checkpoint}: the checkpoint cannot be read")
    assert [line for line in lines[:-1] if not line.startswith(("note: ", "data: ", "model: "))] == [
        f"resuming {run}"
    ]
