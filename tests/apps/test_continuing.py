"""Tests of ``train --from RUN``, which continues a finished run in a new run."""

import json
from importlib import import_module

import numpy as np
import pytest
from click.testing import CliRunner

from apps.forecasting import market
from apps.run import Run

LANGUAGE_MODEL = ["--units=6", "--embedding-units=5", "--layers=1", "--steps=4", "--batch-size=4", "--no-xla"]
LANGUAGE_MODEL += ["--epochs=1", "--learning-rate=0.1", "--samples=8"]
FORECASTING = ["--epochs=1", "--units=4", "--lookback=8", "--horizon=2", "--windows=64", "--no-xla"]
STILL = ["--epochs=1", "--learning-rate=1e-9", "--average=none"]


def invoke(app, *arguments):
    main = import_module(f"apps.{app}.__main__").main
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def prices(path, days=300):
    (series,) = market.garch(5).series
    rows = [f"{str(t)[:10]},{row[3]:.4f}" for t, row in zip(series.times[:days], series.values)]
    path.write_text("date,close\n" + "\n".join(rows) + "\n")
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory, corpus, reviews, tiny):
    folder = tmp_path_factory.mktemp("runs")
    given = {
        "sentiment": ["--data", reviews, *tiny],
        "language_modeling": ["--data", corpus, *LANGUAGE_MODEL],
        "forecasting": ["--data", prices(folder / "prices.csv"), *FORECASTING],
    }
    for app, options in given.items():
        result = invoke(app, "train", "--run", folder / app, *options)
        assert result.exit_code == 0, result.stderr
    return folder


@pytest.mark.parametrize(
    "app", ["sentiment", "language_modeling", pytest.param("forecasting", marks=pytest.mark.slow)]
)
def test_a_training_starts_from_the_weights_of_a_run(app, runs, tmp_path, read_json):
    earlier, run = runs / app, tmp_path / "run"
    result = invoke(app, "train", "--from", earlier, "--run", run, *STILL)
    assert result.exit_code == 0, result.stderr
    models = [Run(each).load_model() for each in (run, earlier)]
    for one, other in zip(models[0].trainable_weights, models[1].trainable_weights, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-5)
    losses = [read_json(each / "metrics.json")["valid"]["loss"] for each in (run, earlier)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    for path in (earlier / "assets").rglob("*.*"):
        assert (run / "assets" / path.relative_to(earlier / "assets")).read_bytes() == path.read_bytes()
    stored, before = read_json(run / "options.json"), read_json(earlier / "options.json")
    changed = {name for name in stored if stored[name] != before[name]}
    assert {"from_", "learning_rate"} <= changed <= {"from_", "epochs", "learning_rate", "average"}


def test_new_data_keeps_the_vocabulary_and_the_classes(runs, tmp_path, write_reviews):
    run, data = tmp_path / "run", write_reviews(tmp_path / "more")
    long = "unheard words " * 60
    for split in ("train", "valid", "test"):
        path = data / f"{split}.csv"
        path.write_text(path.read_text() + f"{long},good\n{long} too,bad\n")
    arguments = ["train", "--from", runs / "sentiment", "--data", data, "--epochs=1"]
    result = invoke("sentiment", *arguments, "--run", run)
    assert result.exit_code == 0, result.stderr
    assert (run / "assets/vocab.txt").read_bytes() == (runs / "sentiment/assets/vocab.txt").read_bytes()
    (data / "train.csv").write_text((data / "train.csv").read_text() + "fine,unknown\n")
    result = invoke("sentiment", *arguments, "--run", tmp_path / "other")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "unknown" in result.stderr


@pytest.mark.parametrize(
    ("app", "arguments", "message"),
    [
        (
            "sentiment",
            ["--from", "{runs}/sentiment", "--units", "5"],
            "has a model with other layers or layer sizes",
        ),
        (
            "sentiment",
            ["--from", "{runs}/sentiment", "--vocabulary", "50"],
            "--vocabulary 50 contradicts the run",
        ),
        ("sentiment", ["--from", "{runs}/sentiment", "--preset", "quick"], "--preset cannot be combined"),
        (
            "sentiment",
            ["--from", "{runs}/forecasting"],
            "is a run of forecasting; pass the folder of a trained run of sentiment",
        ),
        (
            "forecasting",
            ["--from", "{runs}/forecasting", "--lookback", "9"],
            "--lookback 9 contradicts the run",
        ),
        ("language_modeling", ["--from", "{runs}"], "does not contain a trained language modeling run"),
    ],
)
def test_options_that_contradict_the_run_are_usage_errors(app, arguments, message, runs, tmp_path):
    given = [argument.format(runs=runs) for argument in arguments]
    result = invoke(app, "train", *given, "--run", tmp_path / "run")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1), result.stderr
    assert message in result.stderr


def test_training_a_finished_run_prints_the_command_that_continues_it(runs, tmp_path, reviews, tiny):
    run = runs / "sentiment"
    arguments = ["train", "--data", reviews, "--run", run, *tiny]
    result = invoke("sentiment", *arguments, "--epochs=5")
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    command = f"python -m apps.sentiment train --from {run} --run {run}-more --epochs 3"
    assert f"to train it further, use `{command}`" in result.stderr
    other = invoke("sentiment", *arguments, "--data", tmp_path)
    assert f"--run {run}-more --data {tmp_path}`" in other.stderr
    again = invoke("sentiment", *arguments)
    assert f"use `python -m apps.sentiment train --from {run} --run {run}-more`" in again.stderr
    done = invoke("sentiment", *command.split()[3:])
    assert done.exit_code == 0, done.stderr
    assert len((run.with_name("sentiment-more") / "history.csv").read_text().splitlines()) == 4
    assert f"--run {run}-more-2 " in invoke("sentiment", *arguments, "--epochs=5").stderr


@pytest.mark.slow
def test_from_python(runs, tmp_path):
    from apps import sentiment

    run = sentiment.train(from_=str(runs / "sentiment"), run=tmp_path / "run", epochs=1)
    assert run.options["data"] == json.loads((runs / "sentiment/options.json").read_text())["data"]
