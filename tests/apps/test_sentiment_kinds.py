"""Several labels per text, and numbers: from a file to a trained run and its exported models."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

SMALL = ["--units=4", "--embedding-units=4", "--unit=word", "--no-xla", "--no-bidirectional", "--buckets=1"]
SMALL += ["--epochs=1", "--batch-size=16", "--minimum-count=1"]
WORDS = {"funny": 2.0, "sad": -2.5, "long": -0.5, "clever": 1.0}


def write(folder, output):
    """Writes texts whose words determine the labels: the words themselves, or the sum of their values."""
    random = np.random.default_rng(0)
    for split, size in (("train", 240), ("valid", 60), ("test", 60)):
        with open(folder / f"{split}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("text", "label"))
            for number in range(size):
                chosen = [word for word in WORDS if random.random() < 0.4]
                text = " ".join(["the", "film", str(number % 7), *chosen])
                value = sum(WORDS[word] for word in chosen) + random.normal(0, 0.1)
                writer.writerow(
                    (text, "|".join(chosen) or "|" if output == "multi-label" else f"{value:.4f}")
                )


@pytest.fixture(scope="module", params=["multi-label", "regression"])
def run(request, tmp_path_factory, invoke):
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "data").mkdir()
    write(folder / "data", request.param)
    result = invoke("train", "--data", folder / "data", "--run", folder / "run", *SMALL)
    assert result.exit_code == 0, result.stderr
    return request.param, folder / "run", folder / "data"


def test_the_model_learns_and_is_scored_beside_its_baselines(run, invoke, read_json):
    output, path, _ = run
    assert read_json(path / "options.json")["output"] == output
    result = invoke("evaluate", "--run", path, "--json")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)
    if output == "multi-label":
        assert scores["model"]["micro_f1"] > 0.9
        assert set(scores["baselines"]) == {"label frequencies", "naive Bayes", "logistic regression"}
        assert scores["verdict"]["score"] == "micro F1"
        thresholds = [row["threshold"] for row in scores["model"]["per_label"].values()]
        assert thresholds == pytest.approx(read_json(path / "assets" / "output.json")["thresholds"])
    else:
        assert scores["model"]["r2"] > 0.8
        assert set(scores["baselines"]) == {"median", "ridge regression"}
        assert scores["verdict"]["score"] == "mean absolute error"
    assert set(scores["variants"]) == {"without the recurrent part", "without the linear part"}
    shown = invoke("evaluate", "--run", path)
    assert shown.stdout.splitlines()[-1] == read_json(path / "metrics.json")["verdict"]["sentence"]
    assert any(path.joinpath("plots").glob("*.png"))


def test_predictions_have_the_form_of_the_labels(run, invoke, tmp_path):
    output, path, _ = run
    texts = ("the film 1 funny clever", "the film 1 sad", "unknown words only")
    result = invoke("predict", "--run", path, "--json", *texts)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    lines = invoke("predict", "--run", path, *texts).stdout.splitlines()
    if output == "multi-label":
        assert [record["labels"] for record in records[:2]] == [["clever", "funny"], ["sad"]]
        assert lines[0].startswith("clever|funny\t")
        saved = invoke("predict", "--run", path, "--to", tmp_path / "out.csv", *texts)
        assert saved.exit_code == 0, saved.stderr
        rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
        assert json.loads(rows[0]["labels"]) == ["clever", "funny"]
    else:
        assert records[0]["value"] > 2
        assert records[1]["value"] < -1.5
        assert float(lines[0].partition("\t")[0]) == pytest.approx(records[0]["value"], rel=1e-3)


def test_labels_of_another_kind_are_refused(run, invoke, one_line, tmp_path):
    output, path, _ = run
    (tmp_path / "other.csv").write_text("text,label\nthe film,weird\n")
    message = one_line(invoke("evaluate", "--run", path, "--data", tmp_path / "other.csv"), 1)
    assert "other.csv:2: the label 'weird' is " in message
    assert ("a label of the training split or several" if output == "multi-label" else "numbers") in message


@pytest.mark.slow
def test_exported_models_give_the_same_predictions(run, invoke, read_json):
    output, path, data = run
    assert invoke("export", "--run", path).exit_code == 0
    converted = invoke("convert", "--run", path, "--json", "--length", "16")
    assert converted.exit_code == 0, converted.stderr
    report = json.loads(converted.stdout)
    (references, files) = report["references"], report["files"]
    measure = "micro F1" if output == "multi-label" else "mean absolute error"
    assert files["model.tflite"][measure] == pytest.approx(list(references.values())[-1], rel=1e-4)
    texts = [row["text"] for row in csv.DictReader((data / "test.csv").read_text().splitlines())][:20]
    keras, saved, phone = (
        [
            json.loads(line)
            for line in invoke("predict", "--run", path, "--json", *more, *texts).stdout.splitlines()
        ]
        for more in ([], ["--model", "saved_model"], ["--model", "tflite"])
    )
    key = "labels" if output == "multi-label" else "value"
    for others in (saved, phone):
        for one, other in zip(keras, others, strict=True):
            assert other[key] == (one[key] if key == "labels" else pytest.approx(one[key], abs=1e-3))
    served = tf.saved_model.load(path / "export" / "saved_model").signatures["serving_default"]
    result = served(text=tf.constant(texts))
    if output == "multi-label":
        assert [label.decode() for label in result["labels"].numpy()] == [
            "|".join(each["labels"]) for each in keras
        ]
        assert (path / "export" / "tflite" / "thresholds.txt").exists()
    else:
        np.testing.assert_allclose(result["values"], [each["value"] for each in keras], atol=1e-4)
    golden = read_json(path / "export" / "tflite" / "golden.json")
    assert {"text", "ids", "probabilities" if output == "multi-label" else "values"} == set(
        golden["cases"][0]
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--output=multi-label", "--class-weights=balanced"), "does not apply to --output multi-label"),
        (("--output=regression", "--label-smoothing=0.1"), "does not apply to --output regression"),
        (("--output=numbers",), "is not one of"),
    ],
)
def test_options_that_do_not_fit_the_labels(invoke, one_line, tmp_path, arguments, says):
    assert says in one_line(invoke("train", "--run", tmp_path / "run", *arguments), 2)
