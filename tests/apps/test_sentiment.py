"""Sentiment from a file to scores: the content of a run, and the output of its verbs."""

import csv
import json
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.options import resolve, restore
from apps.sentiment import bag_of_words
from apps.sentiment.data import Assets, load
from apps.sentiment.kinds import SingleLabel
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.sentiment.options import Train
from apps.sentiment.task import back_to_start, build

COLUMNS = [
    "epoch",
    "steps",
    "loss",
    "accuracy",
    "valid_loss",
    "valid_accuracy",
    "learning_rate",
    "gradient_norm",
]
COLUMNS += ["clipped", "seconds", "examples_per_second", "targets_per_second"]


def weights(run):
    return keras.models.load_model(run / "model.keras").get_weights()


def history(run):
    with open(run / "history.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def logged(run):
    """Returns {tag: {step: value}} of all events in the run's TensorBoard logs."""
    found = {}
    for path in (run / "logs").glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_a_run_stores_the_options_of_its_training(trained, reviews, read_json):
    stored = read_json(trained / "options.json")
    expected = {"data": str(reviews), "units": 4, "embedding_units": 4, "batch_size": 8, "minimum_count": 1}
    expected |= {"xla": False, "bidirectional": False, "buckets": 1, "epochs": 2, "learning_rate": 0.02}
    expected |= {"unit": "word", "dropout": 0.5, "output": "single-label"}  # chosen from the data
    assert stored == {**Train().stored(), **expected}
    assert restore(Train, stored, "") == resolve(Train, expected)


def test_a_run_stores_the_facts_of_its_data(trained, reviews, read_json):
    source = load_labeled_texts(str(reviews), seed=0)
    vocabulary = (trained / "assets" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    rows = len(Assets.load(trained / "assets").linear.table)
    assert read_json(trained / "data.json") == {
        "task": "sentiment",
        "source": str(reviews),
        "sha256": source.sha256,
        "notes": [
            "chosen for 48 training texts: --dropout 0.5",
            "14.3% of the validation tokens are unknown; use --unit wordpiece",
            f"the linear part has {rows:,} rows of weights; C 100, weight of naive Bayes 10",
        ],
        "counts": {"train": 48, "valid": 12, "test": 12},
        "classes": {"bad": 24, "good": 24},
        "vocabulary": len(vocabulary),
        "tokens of a text": {"5%": 7, "50%": 8, "95%": 9, "100%": 9},
        "texts that are cut": "0.0%",
        "unknown tokens": "0.00%",
    }
    assert (trained / "assets" / "labels.txt").read_text() == "bad\ngood\n"
    assert read_json(trained / "assets" / "lengths.json") == {"edges": [16], "length": 256, "keep": "both"}
    words = {word for text in source.train.texts for word in text.lower().replace(",", "").split()}
    assert set(vocabulary[4:]) == words


def test_history_and_tensorboard_logs_have_every_epoch(trained):
    rows, events = history(trained), logged(trained)
    assert [list(row) for row in rows] == [COLUMNS, COLUMNS]
    assert [(row["epoch"], row["steps"]) for row in rows] == [(1, 6), (2, 6)]
    for name in COLUMNS:
        assert events[f"epoch/{name}"] == {row["epoch"]: pytest.approx(row[name], rel=1e-6) for row in rows}
    for name in ("loss", "learning_rate", "gradient_norm"):
        steps = events[f"step/{name}"]
        assert list(steps) == list(range(1, 13))
        if name != "loss":  # the loss is a mean over targets, not over steps
            assert np.mean(list(steps.values())[6:]) == pytest.approx(rows[1][name], rel=1e-5)


def test_metrics_hold_the_best_epoch_and_baselines_fitted_on_train(trained, reviews, read_json):
    metrics, rows = read_json(trained / "metrics.json"), history(trained)
    best = min(rows, key=lambda row: row["valid_loss"])
    if metrics["best_epoch"]:
        assert metrics["best_epoch"] == best["epoch"]
    else:  # no epoch is better than the linear part
        assert metrics["valid"]["loss"] <= best["valid_loss"]
        best = {**best, **{f"valid_{name}": value for name, value in metrics["valid"].items()}}
    assert metrics["valid"] == {"loss": best["valid_loss"], "accuracy": best["valid_accuracy"]}
    assert metrics["epochs"] == 2
    assert metrics["parameters"] == sum(weight.size for weight in weights(trained))
    assert metrics["seconds"] == pytest.approx(sum(row["seconds"] for row in rows))
    source = load_labeled_texts(str(reviews), seed=0)
    for split in ("valid", "test"):
        assert set(metrics["baselines"][split]) == {"majority", "naive Bayes", "logistic regression"}
        assert metrics["baselines"][split]["majority"]["accuracy"] == 0.5
        kind = SingleLabel(source.classes)
        valid = source.valid.texts, kind.targets(source.valid.labels)
        for baseline in bag_of_words.fit(source.train.texts, kind.targets(source.train.labels), kind, valid):
            texts, labels = getattr(source, split).texts, getattr(source, split).labels
            guesses = np.array(source.classes)[baseline.predict(texts).argmax(axis=-1)]
            assert metrics["baselines"][split][baseline.name]["accuracy"] == np.mean(guesses == labels)
    assert (trained / "plots" / "learning_curve.png").stat().st_size > 1000


def test_evaluate_scores_the_test_split_beside_the_baselines(trained, reviews, invoke, read_json):
    result = invoke("evaluate", "--run", trained, "--json")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)  # exactly one document
    assert scores["data"] == str(reviews)
    metrics = read_json(trained / "metrics.json")
    assert scores["baselines"] == metrics["baselines"]["test"]
    assert scores["model"] == metrics["test"]
    source = load_labeled_texts(str(reviews), seed=0)
    answers = invoke("predict", "--run", trained, "--json", *source.test.texts).stdout.splitlines()
    probabilities = [json.loads(answer)["probabilities"] for answer in answers]
    truth = [row[label] for row, label in zip(probabilities, source.test.labels)]
    assert scores["model"]["log_loss"] == pytest.approx(-np.mean(np.log(truth)), abs=1e-4)
    assert scores["model"]["accuracy"] == np.mean(
        [row == max(rows.values()) for row, rows in zip(truth, probabilities)]
    )
    for name in ("confusion_matrix.png", "reliability.png"):
        assert str(trained / "plots" / name) in result.stderr
        assert (trained / "plots" / name).stat().st_size > 1000


def test_evaluate_shows_a_table_with_model_baselines_and_classes(trained, invoke, read_json):
    result = invoke("evaluate", "--run", trained)
    scores = read_json(trained / "metrics.json")["test"]
    rows = [line for line in result.stdout.splitlines() if line.startswith("│")]
    for name in ("majority", "naive Bayes", "logistic regression", "model", "bad", "good"):
        assert any(name in row for row in rows), name
    assert any("model" in row and f"{scores['accuracy']:.2%}" in row for row in rows)


def test_evaluate_ends_with_a_verdict_on_the_same_texts(trained, reviews, invoke, read_json):
    result = invoke("evaluate", "--run", trained)
    verdict = read_json(trained / "metrics.json")["verdict"]
    assert result.stdout.splitlines()[-1] == verdict["sentence"]
    metrics = read_json(trained / "metrics.json")
    best = max(each["accuracy"] for each in metrics["baselines"]["test"].values())
    assert verdict["baseline_score"] == metrics["baselines"]["test"][verdict["baseline"]]["accuracy"] == best
    assert verdict["difference"] == pytest.approx(metrics["test"]["accuracy"] - best)
    assert set(metrics["validation"]["rows"]) == {
        f"{name} ({row['features']})" if "features" in row else name
        for name, row in metrics["baselines"]["valid"].items()
    } | {"model", "model without the recurrent part", "model without the linear part"}


def test_a_run_of_an_earlier_version_is_compared_with_refitted_baselines(
    trained, invoke, read_json, tmp_path
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "baselines.npz").unlink()
    result = invoke("evaluate", "--run", run, "--json")
    assert "so the baselines are fitted again" in result.stderr
    old = json.loads(result.stdout)
    new = json.loads(invoke("evaluate", "--run", trained, "--json").stdout)
    assert old == new


def test_damaged_contributions_of_the_baselines_are_a_one_line_error(trained, invoke, one_line, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    content = (run / "baselines.npz").read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"no archive"):
        (run / "baselines.npz").write_bytes(damaged)
        message = one_line(invoke("evaluate", "--run", run), 1)
        assert "baselines.npz is damaged" in message


def test_evaluate_on_other_data_refits_the_baselines_and_keeps_the_run(trained, reviews, invoke, read_json):
    before = read_json(trained / "metrics.json")
    scores = json.loads(
        invoke("evaluate", "--run", trained, "--data", reviews / "train.csv", "--json").stdout
    )
    assert scores["data"] == str(reviews / "train.csv")
    assert scores["model"]["examples"] == scores["baselines"]["majority"]["examples"] == 48
    assert read_json(trained / "metrics.json") == before


def test_evaluate_refuses_labels_without_training_examples(trained, invoke, one_line, tmp_path):
    (tmp_path / "other.csv").write_text("text,label\na fine film,good\nso so,middling\n")
    message = one_line(invoke("evaluate", "--run", trained, "--data", tmp_path / "other.csv"), 1)
    assert (
        "other.csv:3: the label 'middling' is unknown; expected a label of the training split: bad, good"
        in message
    )


def test_evaluate_refuses_a_changed_test_split(invoke, one_line, write_reviews, tmp_path, tiny):
    data, run = write_reviews(tmp_path / "reviews"), tmp_path / "run"
    assert invoke("train", "--data", data, "--run", run, *tiny, "--epochs=1").exit_code == 0
    (data / "test.csv").write_text((data / "train.csv").read_text())
    assert f"{data} has changed since the training of {run} began" in one_line(
        invoke("evaluate", "--run", run), 1
    )


def test_info_describes_runs_side_by_side(trained, invoke, read_json):
    described = json.loads(invoke("info", "--json", "--run", trained, "--run", trained).stdout)
    assert list(described) == [str(trained)]
    described = described[str(trained)]
    metrics = read_json(trained / "metrics.json")
    assert described.items() >= read_json(trained / "options.json").items()
    assert described["parameters"] == metrics["parameters"]
    assert described["valid loss"] == metrics["valid"]["loss"]
    assert described["test accuracy, naive Bayes"] == metrics["baselines"]["test"]["naive Bayes"]["accuracy"]
    assert described["bytes of model.keras"] == (trained / "model.keras").stat().st_size
    table = invoke("info", "--run", trained)
    assert table.exit_code == 0
    assert "majority" in table.stdout
    assert table.stderr == ""


def test_training_reports_each_epoch_on_stderr_and_nothing_on_stdout(invoke, reviews, tiny, tmp_path):
    arguments = [
        "train",
        "--data",
        reviews,
        "--run",
        tmp_path / "run",
        *tiny,
        "--epochs=1",
        "--schedule=linear",
    ]
    result = invoke(*arguments, "--warmup=0.5", "--optimizer=sgd", "--precision=mixed_bfloat16")
    assert (result.exit_code, result.stdout) == (0, "")
    chosen, note, *lines = result.stderr.splitlines()
    assert chosen == "note: chosen for 48 training texts: --dropout 0.5"
    assert note == "note: 14.3% of the validation tokens are unknown; use --unit wordpiece"
    assert [line.split(": ")[0] for line in lines[:2]] == ["data", "model"]
    (epoch,) = [line for line in lines if line.startswith("epoch 1/1  ")]
    for name in ("loss", "accuracy", "valid_loss", "valid_accuracy", "learning_rate", "gradient_norm"):
        assert f" {name} " in epoch
    assert any(
        line.startswith(f"trained: {tmp_path}/run, best epoch 1 of 1, validation loss ") for line in lines
    )
    assert lines[-1].startswith("validation: The model is ")
    assert "Next: " in lines[-1]
    assert "the last epoch was the best one (--epochs), --preset best or more training data" in lines[-1]
    for name in ("majority", "naive Bayes (", "logistic regression (", "model"):
        assert any(line.startswith(name) for line in lines), name
    # The rate rises to its peak in three steps and falls to a hundredth of the peak in three steps.
    rates = [0.02 / 3, 0.04 / 3, 0.02, 0.02, (1 - 0.99 / 2) * 0.02, 0.0002]
    assert list(logged(tmp_path / "run")["step/learning_rate"].values()) == pytest.approx(rates, rel=1e-5)
    assert keras.models.load_model(tmp_path / "run" / "model.keras").dtype_policy.name == "mixed_bfloat16"


def test_the_test_split_is_never_used_in_training(invoke, trained, reviews, write_reviews, tiny, tmp_path):
    data, run = write_reviews(tmp_path / "reviews"), tmp_path / "run"
    with open(data / "test.csv", "w", encoding="utf-8") as file:
        file.write("text,label\n")
        file.writelines(f"{'poison ' * 40}{number},good\n" for number in range(30))
    assert invoke("train", "--data", data, "--run", run, *tiny, "--ngrams=2").exit_code == 0
    for one, other in zip(weights(trained), weights(run), strict=True):
        assert np.array_equal(one, other)
    for name in ("vocab.txt", "tokenizer.json", "labels.txt", "lengths.json"):
        assert (trained / "assets" / name).read_bytes() == (run / "assets" / name).read_bytes()


def test_the_length_limit_is_exact_in_training_and_encoding(reviews):
    options = Train(data=str(reviews), minimum_count=1, length=6, buckets=2)
    data = load(options, None)
    assert data.assets.edges[-1] > 6
    longest = max(int(tf.reduce_max(inputs["lengths"])) for inputs, _, _ in data.train(0))
    assert longest == max(data.assets.encode(data.source.test.texts).lengths) == 6
    assert data.facts["texts that are cut"] == "100.0%"
    (note,) = [note for note in data.facts["notes"] if "raise --length" in note]
    assert note.startswith("100% of the training texts have more than 6 tokens, and only the first and last")


def test_class_weights_are_inverse_to_class_frequency(tmp_path):
    counts = {"a": 30, "b": 10, "c": 8}
    rows = [f"{label} {number},{label}\n" for label, count in counts.items() for number in range(count)]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.csv").write_text("text,label\n" + "".join(rows))
    options = Train(data=str(tmp_path), class_weights="balanced", minimum_count=1, batch_size=20)
    data = load(options, None)
    targets, row_weights = (
        np.concatenate(parts) for parts in zip(*(batch[1:] for batch in data.train(0).as_numpy_iterator()))
    )
    expected = [48 / (3 * counts[label]) for label in data.assets.classes]
    real = row_weights > 0
    np.testing.assert_allclose(row_weights[real], np.take(expected, targets[real]), rtol=1e-6)
    assert np.bincount(targets[real]).tolist() == list(counts.values())
    assert np.mean(row_weights[real]) == pytest.approx(1)
    assert all(set(row_weights) <= {0.0, 1.0} for _, _, row_weights in data.valid().as_numpy_iterator())


@pytest.mark.slow
def test_three_integer_classes_from_one_file_with_xla(invoke, write_reviews, tiny, tmp_path):
    data = write_reviews(tmp_path / "reviews", classes=("10", "2", "good"))
    text = (data / "train.csv").read_text().replace(",good", ",-1")
    (tmp_path / "stars.csv").write_text(text)
    arguments = ["--data", tmp_path / "stars.csv", "--run", tmp_path / "run", *tiny, "--epochs=1"]
    model = ["--xla", "--bidirectional", "--buckets=2", "--length=8", "--pooling=max+mean"]
    result = invoke("train", *arguments, *model, "--class-weights=balanced", "--label-smoothing=0.1")
    assert result.exit_code == 0, result.stderr
    assert "note: 10% of all rows" in result.stderr
    assert (tmp_path / "run" / "assets" / "labels.txt").read_text() == "-1\n2\n10\n"
    scores = json.loads(invoke("evaluate", "--run", tmp_path / "run", "--json").stdout)
    assert list(scores["model"]["per_class"]) == ["-1", "2", "10"]
    assert np.shape(scores["model"]["confusion"]) == (3, 3)


def test_embeddings_set_the_vectors_of_known_words(reviews, tmp_path):
    vectors = {"great": [1.0, 2.0, 3.0], "dull": [-1.0, -2.0, -3.5], "absent": [9.0, 9.0, 9.0]}
    lines = [" ".join([word, *map(str, numbers)]) for word, numbers in vectors.items()]
    (tmp_path / "glove.txt").write_text("\n".join(lines) + "\n")
    options = Train(data=str(reviews), minimum_count=1, units=4, embeddings=str(tmp_path / "glove.txt"))
    data = load(options, None)
    model = build(data.options, data.assets)
    (table,) = model.embedding.get_weights()
    assert table.shape == (len(data.assets.tokenizer), 3)
    vocabulary = data.assets.tokenizer.vocabulary
    for word in ("great", "dull"):
        np.testing.assert_array_equal(table[vocabulary.index(word)], np.float32(vectors[word]))
    assert model.get_config()["embedding_units"] == 3


def test_damaged_assets_are_refused(trained, invoke, one_line, tmp_path):
    for name in ("options.json", "data.json", "metrics.json", "model.keras"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    assert "assets: the labels, lengths or linear part of the run cannot be read" in one_line(
        invoke("predict", "--run", tmp_path, "a"), 1
    )
    assert Assets.load(trained / "assets").classes == ["bad", "good"]


def test_the_linear_part_is_fitted_on_the_training_split_and_scored_alone(trained, invoke, read_json):
    """One word decides the class of a review. The linear part learns it; the network must not lose it."""
    assets = Assets.load(trained / "assets")
    model = keras.models.load_model(trained / "model.keras")
    np.testing.assert_array_equal(model.ngrams.table, assets.linear.table)
    np.testing.assert_array_equal(model.ngrams.bias, assets.linear.bias)
    source = load_labeled_texts(read_json(trained / "data.json")["source"], seed=0)
    alone = assets.kind.of_linear(assets.linear.outputs(assets.encode(source.test.texts)))
    log_odds = model.ngrams(**assets.tensors(tf.constant(source.test.texts)))
    np.testing.assert_allclose(alone[:, 1:], tf.sigmoid(log_odds), atol=1e-6)
    accuracy = np.mean(alone.argmax(axis=1) == assets.targets(source.test))
    assert accuracy > 0.9
    scores = json.loads(invoke("evaluate", "--run", trained, "--json").stdout)
    assert scores["variants"]["without the recurrent part"]["accuracy"] == accuracy
    assert scores["model"]["accuracy"] >= accuracy - 0.05


def test_embeddings_do_not_apply_to_evidence(tmp_path, invoke, one_line):
    vectors = tmp_path / "glove.txt"
    vectors.write_text("a 1 2\n")
    arguments = ("train", "--run", tmp_path / "run", "--embeddings", vectors, "--reads", "evidence")
    assert "does not apply to --reads evidence" in one_line(invoke(*arguments), 2)


def test_a_recurrent_part_without_a_clear_gain_is_removed(reviews):
    data = load(Train(data=str(reviews), units=2, embedding_units=2, unit="word", minimum_count=1), None)
    model = build(data.options, data.assets)
    kernel, _ = model.head.get_weights()
    noise = 20 * np.random.default_rng(0).normal(size=kernel.shape)
    model.head.set_weights([noise, np.zeros(2)])
    assert back_to_start(model, data)
    assert not any(map(np.any, model.head.get_weights()))
    # Beside a linear part that has the labels the wrong way round, every model is a clear gain.
    linear = data.assets.linear
    noise = noise / 2000
    wrong = replace(linear, table=-linear.table, bias=-linear.bias)
    model.head.set_weights([noise, np.zeros(2)])
    assert not back_to_start(model, replace(data, assets=replace(data.assets, linear=wrong)))
    assert np.any(model.head.get_weights()[0])
