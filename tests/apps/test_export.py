"""``export`` and ``convert``: the SavedModel and the TFLite file have the outputs of the Keras model."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from apps.run import Run
from apps.sentiment import inference, phone
from apps.sentiment.data import Assets
from apps.sentiment.inference import at_length, padded
from apps.sentiment.kinds import SingleLabel
from apps.sentiment.options import Convert
from apps.sentiment.phone import GOLDEN_TEXTS, LONGEST_DEFAULT
from apps.sentiment.port.tokenizer import read_vocabulary, tokenize
from apps.sentiment.saved_model import signatures
from seqmodels.data.sequences import front_tokens
from seqmodels.data.tokenizer import Tokenizer, TokenizerSettings

TEXTS = ("The plot was great, number 3", "", "The CAST was dull " * 300, "\u0444\u0438\u043b\u044c\u043c")
SETTINGS = {"start": True, "split": "auto"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, trained, invoke):
    """A copy of the trained run, exported and converted."""
    run = tmp_path_factory.mktemp("runs") / "exported"
    shutil.copytree(trained, run)
    for verb in (("export",), ("convert", "--length", "10", "--keep", "both")):
        result = invoke(*verb, "--run", run, "--json")
        assert result.exit_code == 0, result.stderr
        json.loads(result.stdout)
    return run


@pytest.fixture(scope="module")
def predictions(exported, invoke):
    """Returns a function that receives a model format and returns its predictions for TEXTS."""

    def predict(kind):
        result = invoke("predict", "--run", exported, "--model", kind, "--json", *TEXTS)
        assert result.exit_code == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    return predict


def test_saved_model_outputs_equal_the_keras_model(exported, predictions):
    expected = predictions("keras")
    served = tf.saved_model.load(str(exported / "export" / "saved_model")).signatures["serving_default"]
    answer = served(text=tf.constant(TEXTS))
    assert [label.decode() for label in answer["labels"].numpy()] == [record["label"] for record in expected]
    columns = [name.decode() for name in answer["classes"].numpy()[0]]
    assert columns == Assets.load(exported / "assets").classes
    numbers = [[record["probabilities"][name] for name in columns] for record in expected]
    np.testing.assert_allclose(answer["probabilities"], numbers, atol=1e-6)
    assert predictions("saved_model") == expected


def test_tflite_outputs_equal_the_keras_model_for_short_texts(exported, predictions):
    expected, actual = predictions("keras"), predictions("tflite")
    for one, other in list(zip(expected, actual))[:2]:
        assert other["label"] == one["label"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-5)


def test_golden_json_verifies_a_port(exported, read_json):
    """The ported tokenizer returns the ids of golden.json, and the TFLite file returns its probabilities."""
    folder = exported / "export" / "tflite"
    golden = read_json(folder / "golden.json")
    vocabulary = read_vocabulary((folder / "vocab.txt").read_text(encoding="utf-8"))
    assert golden["labels"] == (folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    assert {case["text"] for case in golden["cases"]} >= set(GOLDEN_TEXTS)
    classify = Interpreter(str(folder / "model.tflite")).get_signature_runner("classify")
    for case in golden["cases"]:
        ids = tokenize(case["text"], vocabulary, golden["length"], golden["front"], REWRITES, lowercase=True)
        assert ids == case["ids"]
        found = classify(tokens=np.array([ids], np.int32))["probabilities"]
        np.testing.assert_allclose(found, [case["probabilities"]], atol=1e-5)


def test_the_report_and_the_readme(exported, read_json):
    report = read_json(exported / "export" / "tflite" / "report.json")
    facts = report["files"]["model.tflite"]
    assert facts["bytes"] == (exported / "export" / "tflite" / "model.tflite").stat().st_size
    assert facts["accuracy"] == report["references"]["Keras, 10 tokens"]
    assert (facts["form"], facts["mediapipe"], report["length"], report["keep"]) == (
        "fused",
        False,
        10,
        "both",
    )
    readme = (exported / "export" / "tflite" / "README.md").read_text(encoding="utf-8")
    for part in (
        "`[1, 10]`",
        "front = 3)",
        "fun tokenize",
        "func tokenize",
        "MediaPipe's text classifier cannot read",
    ):
        assert part in readme


@pytest.mark.slow
def test_a_run_with_a_stored_split_keeps_it(exported, invoke, read_json, tmp_path):
    """Runs of earlier versions store the split "letters", which MediaPipe reads, but not the key "base"."""
    run = tmp_path / "run"
    shutil.copytree(exported, run)
    settings = read_json(run / "assets" / "tokenizer.json")
    assert settings.pop("base") == "letters"
    (run / "assets" / "tokenizer.json").write_text(json.dumps({**settings, "split": "letters"}))
    result = invoke("predict", "--run", run, "--json", "GREAT! plot :)")
    assert json.loads(result.stdout)["known_tokens"] == 2
    assert invoke("convert", "--run", run, "--length", "9").exit_code == 0
    report = read_json(run / "export" / "tflite" / "report.json")
    assert report["files"]["model.tflite"]["mediapipe"]
    readme = (run / "export" / "tflite" / "README.md").read_text(encoding="utf-8")
    assert "MediaPipe's text classifier can read model.tflite directly" in readme
    assert 'listOf("[^' in readme


def test_a_missing_model_format_is_a_one_line_error(exported, invoke, one_line):
    line = one_line(invoke("predict", "--run", exported, "--model", "tflite_int8", "text"), 2)
    assert "model_int8.tflite does not exist; create it with `convert --quantize int8`" in line


def test_scores_of_a_tflite_file_do_not_replace_the_scores_of_the_run(exported, invoke, read_json):
    before = read_json(exported / "metrics.json")
    result = invoke("evaluate", "--run", exported, "--model", "tflite", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["model"]["examples"] == 12
    assert read_json(exported / "metrics.json") == before


def test_probabilities_rounded_to_8_bits_are_scored(exported, invoke, monkeypatch):
    class Rounding(Interpreter):
        def get_signature_runner(self, name):
            classify = super().get_signature_runner(name)
            return lambda **inputs: {key: np.floor(p * 256) / 256 for key, p in classify(**inputs).items()}

    monkeypatch.setattr(inference, "Interpreter", Rounding)
    result = invoke("evaluate", "--run", exported, "--model", "tflite", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["model"]["examples"] == 12


@pytest.mark.slow
def test_another_length_replaces_all_tflite_files(exported, invoke, read_json, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(exported, run)
    result = invoke("convert", "--run", run, "--quantize", "dynamic", "--length", "8")
    assert result.exit_code == 0, result.stderr
    assert "removed model.tflite, which was converted with length 10, keep both" in result.stderr
    assert "8 tokens" in result.stdout
    assert "of the validation texts are truncated" in result.stdout
    report = read_json(run / "export" / "tflite" / "report.json")
    assert list(report["files"]) == ["model_dynamic.tflite"]
    assert {path.name for path in (run / "export" / "tflite").glob("*.tflite")} == {"model_dynamic.tflite"}


@pytest.mark.slow
def test_a_failed_conversion_changes_no_file(exported, invoke, one_line, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    run = tmp_path / "run"
    shutil.copytree(exported, run)
    before = {path: path.read_bytes() for path in (run / "export").rglob("*") if path.is_file()}
    monkeypatch.setattr(phone, "_golden", full)
    result = invoke("convert", "--run", run, "--length", "6")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("tflite is unchanged")
    assert {path: path.read_bytes() for path in (run / "export").rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_convert_replaces_a_damaged_report(exported, invoke, one_line, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(exported, run)
    (run / "export" / "tflite" / "report.json").write_text("{")
    line = one_line(invoke("predict", "--run", run, "--model", "tflite", "text"), 1)
    assert "create it again with `convert`" in line
    result = invoke("convert", "--run", run, "--length", "10")
    assert result.exit_code == 0, result.stderr
    assert invoke("predict", "--run", run, "--model", "tflite", "text").exit_code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--length", "100000"], "--length 100000 must be at most "),
        (["--length", "1"], "expected a number at least 2"),
    ],
)
def test_invalid_lengths_are_one_line_errors(trained, invoke, one_line, options, message):
    assert message in one_line(invoke("convert", "--run", trained, *options), 2)


def test_export_does_not_replace_other_folders(trained, invoke, one_line, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    line = one_line(invoke("export", "--run", trained, "--to", tmp_path), 2)
    assert "exists and is not a SavedModel" in line
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("keep", ["head", "tail", "both"])
def test_the_graph_truncates_texts_as_in_training(keep):
    tokenizer = Tokenizer.train(TEXTS, TokenizerSettings(**SETTINGS))
    assets = at_length(Assets(tokenizer, SingleLabel(["a", "b"]), [6], 6, "head"), 6, keep)
    expected = assets.encode(TEXTS)
    tensors = assets.tensors(tf.constant(TEXTS))
    assert tensors["lengths"].numpy().tolist() == expected.lengths.tolist()
    np.testing.assert_array_equal(tensors["tokens"], padded(expected, 6))


@pytest.mark.parametrize(
    ("unit", "keep"), [("word", "head"), ("word", "tail"), ("word", "both"), ("wordpiece", "both")]
)
@pytest.mark.parametrize("length", [2, 3, 12])
@pytest.mark.parametrize("split", ["auto", "letters", "punctuation", "whitespace"])
def test_the_ported_tokenizer_equals_the_tokenizer(keep, length, split, unit):
    texts = [
        *GOLDEN_TEXTS,
        *TEXTS,
        "It's 5 o'clock -- '' _x_ \u00bd \u2075 \u0661",
        "a\x00b\x7fc\u200bd\ufeffe\u4eba\u3005f",
        "x" * 99 + " " + "x" * 101,
    ]
    lowercase = split != "whitespace"
    settings = TokenizerSettings(start=True, split=split, lowercase=lowercase, unit=unit, size=120)
    tokenizer = Tokenizer.train(texts, settings)
    vocabulary = {token: index for index, token in enumerate(tokenizer.vocabulary)}
    assets = at_length(Assets(tokenizer, SingleLabel(["a"]), [length], length, keep), length, keep)
    expected = padded(assets.encode(texts), length).tolist()
    how = (vocabulary, length, front_tokens(length, keep, 1), in_python(tokenizer), lowercase, unit)
    assert [tokenize(text, *how) for text in texts] == expected
    readme = phone._readme("reviews.csv", assets, {"files": {}})
    for pattern, replacement in phone.rewrites(tokenizer):
        written = pattern.replace("\\", "\\\\"), replacement
        assert '"{}" to "{}"'.format(*written) in readme
        assert '("{}", "{}")'.format(*written) in readme
    assert ("lowercase" in readme.replace("lowercased()", "lowercase")) == lowercase


def in_python(tokenizer):
    """Returns the patterns and replacements of the phone tokenizers in the syntax of Python's ``re``."""
    properties = {
        **{kind: lambda c, kind=kind: unicodedata.category(c).startswith(kind) for kind in "LNMPSZ"},
        **{kind: lambda c, kind=kind: unicodedata.category(c) == kind for kind in ("Cc", "Cf")},
        "script=Han": lambda c: unicodedata.name(c, "").startswith(("CJK", "IDEOGRAPHIC ITERATION")),
    }
    some = [chr(code) for code in range(0x20000)]

    def spelled(match):
        return "".join(f"\\U{ord(c):08x}" for c in some if properties[match[1]](c))

    def code_point(match):
        return f"\\U{int(match[1], 16):08x}"

    return [
        (
            re.sub(r"\\p\{([^}]+)\}", spelled, re.sub(r"\\x\{(\w+)\}", code_point, pattern)),
            re.sub(r"\$(\d)", r"\\\1", replacement),
        )
        for pattern, replacement in phone.rewrites(tokenizer)
    ]


REWRITES = in_python(Tokenizer.train(TEXTS, TokenizerSettings(**SETTINGS)))


@pytest.mark.parametrize(
    ("settings", "mediapipe"),
    [
        ({}, True),
        ({"unit": "wordpiece"}, False),
        ({"unit": "character", "split": "whitespace"}, False),
        ({"split": "punctuation"}, False),
        ({"split": "auto"}, False),
        ({"lowercase": False}, True),
    ],
)
def test_files_that_mediapipe_can_read(settings, mediapipe):
    tokenizer = Tokenizer.train(["some words of words"], TokenizerSettings(start=True, **settings))
    assets = Assets(tokenizer, SingleLabel(["a", "b"]), [8], 8, "head")
    assert phone.mediapipe(assets, subgraphs=1) == mediapipe
    assert not phone.mediapipe(assets, subgraphs=3)
    report = {"files": {"model.tflite": {"mediapipe": mediapipe}}}
    readme = phone._readme("reviews.csv", assets, report)
    assert ("can read model.tflite directly" in readme) == mediapipe
    assert ("It does not convert texts to lower case" in readme) == (
        mediapipe and settings.get("lowercase", True)
    )
    assert ("No code is provided" in readme) == (settings.get("unit") == "character")
    assert "if there are more than 8 ids, keep the first 8" in readme


def test_defaults_come_from_the_run(trained):
    made = phone.phone(Run(trained), keras.models.load_model(Run(trained).model), Convert(run=str(trained)))
    assets = Assets.load(Run(trained).assets)
    length = min(assets.edges[-1], assets.length, LONGEST_DEFAULT)
    assert made.shape == {"length": length, "keep": assets.keep}
    (entry,) = made.entries
    rows = entry.representative["tokens"]
    assert rows.shape[1] == length
    assert (rows[:, 0] == 1).all()
    texts, windows = np.split(rows, [-phone.REPRESENTATIVE])
    assert np.ptp((texts > 0).sum(axis=1)) > 1  # the texts have different lengths
    assert (windows[:, 1:] > 1).all()  # no padding, and a start token only at the start


def test_a_model_in_16_bits_is_exported_in_32():
    from apps.exporting import _in_float32
    from seqmodels.models import Classifier

    model = Classifier(9, 2, 4, "gru", 4, dtype="mixed_bfloat16")
    model.build()
    shipped = _in_float32(model)
    assert shipped.compute_dtype == "float32"
    assert shipped.encoder.compute_dtype == "float32"
    for one, other in zip(model.get_weights(), shipped.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_signature_is_classify_of_text(trained):
    run = Run(trained)
    (classify,) = signatures(keras.models.load_model(run.model), Assets.load(run.assets))
    assert (classify.name, list(classify.inputs)) == ("classify", ["text"])
