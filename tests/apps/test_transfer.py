"""A classifier that starts with the weights of a language model, or with pretrained word vectors."""

from __future__ import annotations

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from apps.language_modeling.__main__ import main as language_modeling
from apps.options import resolve
from apps.run import Run
from apps.sentiment.data import load
from apps.sentiment.options import Train
from apps.sentiment.task import TASK, build
from apps.training import task_training
from seqmodels.data.tokenizer import END, START

TRAINING = ["--ngrams=0", "--no-xla", "--buckets=1", "--batch-size=8", "--epochs=1"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory, reviews):
    """The run of a language model that has read the texts of the reviews."""
    folder = tmp_path_factory.mktemp("encoder")
    lines = [
        line.partition(",")[0].strip('"') for line in (reviews / "train.csv").read_text().splitlines()[1:]
    ]
    (folder / "texts.txt").write_text("\n".join(lines) + "\n")
    arguments = ["--units=5", "--embedding-units=6", "--layers=2", "--batch-size=2", "--steps=8", "--no-xla"]
    arguments += ["--data", str(folder / "texts.txt"), "--run", str(folder / "run"), "--epochs=1"]
    result = CliRunner().invoke(language_modeling, ["train", *arguments, "--minimum-count=1"])
    assert result.exit_code == 0, result.stderr
    return folder / "run"


def test_the_classifier_starts_with_the_states_of_the_language_model(encoder, reviews):
    options = resolve(Train, {"data": str(reviews), "encoder": str(encoder), "ngrams": 0})
    assert (options.layers, options.units, options.embedding_units) == (2, 5, 6)
    data = load(options, None)
    model, other = build(data.options, data.assets), keras.models.load_model(encoder / "model.keras")
    inputs = data.assets.tensors(tf.constant(["The plot was dull"]))
    assert inputs["tokens"][0, 0] == START
    tokens = tf.concat([[[END]], inputs["tokens"][:, 1:]], axis=1)  # a language model starts with END
    expected = other.features({"tokens": tokens}).raw
    found = model.encoder(model.embedding(inputs["tokens"]), lengths=inputs["lengths"]).outputs
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_evidence_does_not_change_the_states_at_the_start(encoder, reviews):
    options = resolve(Train, {"data": str(reviews), "encoder": str(encoder)})
    data = load(options, None)
    model = build(data.options, data.assets)
    inputs = data.assets.tensors(tf.constant(["The plot was dull"]))
    read, _ = model._read(inputs, training=False)
    words = model.embedding(inputs["tokens"])
    padded = tf.pad(words, ((0, 0), (0, 0), (0, read.shape[-1] - words.shape[-1])))
    with_evidence, without = (
        model.encoder(each, lengths=inputs["lengths"]).outputs for each in (read, padded)
    )
    np.testing.assert_allclose(with_evidence, without, atol=1e-6)


def test_layers_are_unfrozen_from_the_top(encoder, reviews, tmp_path):
    given = {"data": str(reviews), "encoder": str(encoder), "ngrams": 0, "epochs": 3, "xla": False}
    options = resolve(
        Train, {**given, "batch_size": 16, "buckets": 1, "patience": None, "run": str(tmp_path)}
    )
    data = load(options, None)
    changed = []
    training = task_training(TASK, options, replace(data, options=data.options), tmp_path)
    model = training.model
    groups = [model.head, model.encoder.directions[1][0], model.encoder.directions[0][0], model.embedding]
    before = [group.get_weights() for group in groups]

    def note(epoch, logs):
        changed.append(
            [
                not np.array_equal(new, old)
                for new, old in zip(
                    [group.get_weights()[0] for group in groups], [each[0] for each in before]
                )
            ]
        )

    training.callbacks.append(keras.callbacks.LambdaCallback(on_epoch_end=note))
    training.run()
    assert changed == [[True, False, False, False], [True, True, False, False], [True, True, True, False]]


def test_contradictions_and_wrong_folders(encoder, trained, invoke, one_line, tmp_path):
    run = ("train", "--run", tmp_path / "run")
    for arguments, says in (
        (("--encoder", encoder, "--units", 7), "--units 7 contradicts the language model"),
        (("--encoder", encoder, "--bidirectional"), "--bidirectional True contradicts"),
        (("--encoder", trained), "is a run of sentiment"),
        (("--encoder", tmp_path), "--encoder"),
        (("--unlabeled", tmp_path), "is not a file"),
        (("--unlabeled", trained / "data.json", "--units", 7), "contradicts the language model; remove"),
        (("--unlabeled", trained / "data.json", "--dry-run"), "--dry-run cannot be combined"),
        (("--unlabeled", trained / "data.json", "--preset", "best"), "does not apply to --reads evidence"),
        (("--encoder", encoder, "--lowercase"), "--lowercase True contradicts"),
        (("--embeddings", "glove:51d"), "does not exist; pass glove:50d or a file"),
    ):
        assert says in one_line(invoke(*run, *arguments), 2)


def test_the_whole_command(encoder, reviews, invoke, read_json, tmp_path):
    result = invoke("train", "--data", reviews, "--run", tmp_path / "run", "--encoder", encoder, *TRAINING)
    assert result.exit_code == 0, result.stderr
    options = read_json(tmp_path / "run" / "options.json")
    assert (options["encoder"], options["bidirectional"]) == (str(encoder), False)
    assert invoke("evaluate", "--run", tmp_path / "run").exit_code == 0


@pytest.mark.slow
def test_texts_without_labels_train_a_language_model_first(reviews, invoke, read_json, tmp_path):
    (tmp_path / "more.txt").write_text("the plot was moving\n" * 4000)
    arguments = (
        "--data",
        reviews,
        "--run",
        tmp_path / "run",
        "--unlabeled",
        tmp_path / "more.txt",
        *TRAINING,
    )
    result = invoke("train", *arguments)
    assert result.exit_code == 0, result.stderr
    assert Run(tmp_path / "run-encoder").finished
    assert read_json(tmp_path / "run" / "options.json")["encoder"] is None
    shutil.rmtree(tmp_path / "run")
    again = invoke("train", *arguments)
    assert again.exit_code == 0, again.stderr
    assert f"the language model in {tmp_path / 'run-encoder'} is used" in again.stderr
