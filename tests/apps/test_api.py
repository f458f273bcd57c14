"""The Python API: train from a DataFrame or lists, open a run, predict, evaluate, export, convert."""

from __future__ import annotations

import numpy as np
import pandas
import pytest

from apps import TrainedRun, forecasting, language_modeling, load_run, sentiment, translation
from seqmodels.errors import DataError, UsageError, UserError

TINY = {"units": 4, "epochs": 1, "xla": False, "parts": 1}
TEXTS = {"units": 4, "embedding_units": 4, "buckets": 1, "minimum_count": 1, "epochs": 1, "xla": False}
PAIRS = {**TINY, "embedding_units": 4, "decoder_units": 4, "minimum_count": 1, "shapes": 1, "batch_size": 40}


def reviews() -> pandas.DataFrame:
    words = {"good": ("great", "moving", "funny"), "bad": ("dull", "weak", "awful")}
    rows = [
        (f'a "{word}" film, no {n}', label) for n in range(12) for label in words for word in words[label]
    ]
    return pandas.DataFrame(rows, columns=["text", "label"])


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TrainedRun:
    return sentiment.train(reviews(), tmp_path_factory.mktemp("runs") / "frame", **TEXTS)


def test_run_trained_on_a_dataframe_equals_the_command_line(run, invoke, read_json):
    assert run.task == "sentiment"
    assert len(run.history) == 1
    assert run.options["units"] == 4
    result = invoke("evaluate", "--run", run.path, "--json")
    assert result.exit_code == 0, result.stderr
    scores = run.evaluate()
    assert scores["model"] == read_json(run.path / "metrics.json")["test"]
    table = scores.to_frame()
    variants = {f"model {name}" for name in scores["variants"]}
    assert {"model", *scores["baselines"], *variants} == set(table.index)
    assert table.loc["model", "accuracy"] == scores["model"]["accuracy"]


def test_predict_accepts_text_list_dataframe_and_file(run, tmp_path):
    texts = ["a great film", "a dull film"]
    records = run.predict(texts)
    assert [record["text"] for record in records] == texts
    frame = records.to_frame()
    assert frame["probabilities.good"].tolist() == [each["probabilities"]["good"] for each in records]
    assert run.predict(texts[0]) == records[:1]
    assert run.predict(pandas.DataFrame({"text": texts})) == records
    (tmp_path / "lines.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    assert run.predict(tmp_path / "lines.txt") == records
    pandas.DataFrame({"n": [1, 2], "text": texts}).to_csv(tmp_path / "table.csv", index=False)
    assert run.predict(tmp_path / "table.csv") == records


def test_evaluate_accepts_a_dataframe(run):
    scores = run.evaluate(reviews()[:9])
    assert scores["model"]["examples"] == 9


@pytest.mark.slow
def test_export_and_convert_return_reports(run):
    exported = run.export()
    assert exported["largest_difference"] < 1e-5
    assert "classify" in exported["signatures"]
    report = run.convert(quantize="dynamic", length=8)
    assert report["length"] == 8
    assert list(report["files"]) == ["model_dynamic.tflite"]
    on_phone = run.predict(["a great film"], model="tflite_dynamic")
    assert set(on_phone[0]["probabilities"]) == {"good", "bad"}


def test_the_model_is_a_keras_model(run):
    tokens = {"tokens": np.ones((2, 5), np.int32), "lengths": np.array([5, 2], np.int32)}
    assert run.model(tokens).shape == (2, 2)
    assert load_run(run.path).model.count_params() == run.model.count_params()


def test_the_manifest_lists_every_file_with_its_digest(run, read_json):
    import hashlib

    manifest = read_json(run.path / "run.json")
    assert manifest["task"] == "sentiment"
    assert {"model.keras", "options.json", "data/data.csv", "assets/vocab.txt"} <= manifest[
        "files"
    ].keys() | {"assets/vocab.txt"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((run.path / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.slow
def test_training_accepts_lists(tmp_path):
    frame = reviews()
    rows = list(zip(frame["text"], frame["label"]))
    one = sentiment.train(rows, tmp_path / "rows", **TEXTS)
    two = sentiment.train((list(frame["text"]), list(frame["label"])), tmp_path / "columns", **TEXTS)
    assert one.history["loss"].tolist() == two.history["loss"].tolist()


@pytest.mark.slow
def test_overwriting_replaces_the_stored_data(tmp_path):
    sentiment.train(reviews(), tmp_path / "run", **TEXTS)
    with pytest.raises(UserError, match="is a finished run"):
        sentiment.train(reviews(), tmp_path / "run", **TEXTS)
    again = sentiment.train(reviews()[:40], tmp_path / "run", overwrite=True, **TEXTS)
    assert len((again.path / "data" / "data.csv").read_text(encoding="utf-8").splitlines()) == 41


def test_errors_are_exceptions_of_one_line(run, tmp_path):
    for options, match in (
        ({"epoch": 3}, r"epoch is not an option; did you mean epochs"),
        ({"epochs": 0}, r"epochs must be at least 1; got 0"),
        ({"epochs": "3"}, r"epochs must be int; got '3'"),
        ({"cell": "lstn"}, r"cell must be one of rnn.*; got 'lstn'"),
        ({"dropout": 2.0}, r"dropout must be at least 0 and at most 0\.99; got 2\.0"),
    ):
        with pytest.raises(UsageError, match=match):
            sentiment.train(reviews(), tmp_path / "never", **options)
    assert not (tmp_path / "never").exists()
    with pytest.raises(UsageError, match="no run found at"):
        load_run(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"data\.csv has no column 'label'; found 'text'"):
        sentiment.train(reviews().drop(columns="label"), tmp_path / "none", **TEXTS)
    with pytest.raises(UsageError, match=r"texts must be a str, .*; got int"):
        run.predict(3)


def test_forecasting_returns_a_dataframe_of_dates_and_quantiles(tmp_path):
    dates = pandas.date_range("2020-01-01", periods=120, freq="D")
    values = 10 + np.sin(2 * np.pi * np.arange(120) / 7) + 0.1 * np.random.default_rng(0).normal(size=120)
    frame = pandas.DataFrame({"sales": values}, index=dates)
    run = forecasting.train(frame, tmp_path / "run", horizon=5, lookback=14, **TINY)
    forecast = run.predict(frame)
    assert forecast["time"].tolist() == list(pandas.date_range("2020-04-30", periods=5, freq="D"))
    assert (forecast["0.025"] < forecast["0.5"]).all()
    assert (forecast["0.5"] < forecast["0.975"]).all()
    pandas.testing.assert_frame_equal(run.predict(), forecast)
    assert run.evaluate().to_frame().loc["model", "mae"] > 0


@pytest.mark.slow
def test_translation_and_language_modeling_train_on_lists(tmp_path):
    numbers = {"one": "un", "two": "deux", "three": "trois", "four": "quatre"}
    pairs = [(f"{a} {b}", f"{numbers[a]} {numbers[b]}") for a in numbers for b in numbers] * 3
    run = translation.train(pairs, tmp_path / "pairs", **PAIRS)
    assert isinstance(run.predict("one two", beam=1)[0]["translation"], str)
    lines = ["the cat sees a dog", "a dog likes the cat"] * 40
    text = language_modeling.train(
        lines, tmp_path / "lines", layers=1, embedding_units=4, batch_size=4, steps=5, **TINY
    )
    assert text.predict(["the cat"])[0]["perplexity"] > 1


@pytest.mark.slow
def test_refit_trains_as_train_does(tmp_path):
    """A plateau schedule and averaged weights also apply to the trainings of a backtest."""
    rng = np.random.default_rng(0)
    values = 10 + np.sin(2 * np.pi * np.arange(160) / 7) + 0.1 * rng.normal(size=160)
    options = {**TINY, "epochs": 2, "horizon": 3, "lookback": 14, "schedule": "plateau", "average": 1.0}
    run = forecasting.train(values.tolist(), tmp_path / "run", **options)
    scores = run.evaluate(backtest=2, refit=True)
    assert len(scores["model"]["backtest"]) == 2
