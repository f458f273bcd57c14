"""Translation from files to scores and TFLite files, on a small part of the grammar's language."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from apps.run import Run
from apps.translation.__main__ import main
from apps.translation.data import Assets, load
from apps.translation.inference import Decoding, attention, of_keras, search
from apps.translation.options import Train
from apps.translation.pairs import Pairs, load_pairs
from apps.translation.phone import GOLDEN_TEXTS
from apps.translation.port.translate import Translator as PhoneTranslator
from apps.translation.scoring import _spelled, by_length, probability_scores
from seqmodels.data.sequences import PAD
from seqmodels.data.tokenizer import END, START, Tokenizer, TokenizerSettings
from seqmodels.errors import UsageError

PLACES = (("garden", "jardin"), ("park", "parc"), ("wood", "bois"))
PEOPLE = (("cat", "chat"), ("dog", "chien"), ("boy", "garçon"), ("bird", "oiseau"))
VERBS = (("sleeps", "dort"), ("sings", "chante"), ("works", "travaille"))
TINY = ["--units=8", "--decoder-units=16", "--embedding-units=8", "--batch-size=100", "--epochs=2"]
TINY += ["--vocabulary=150", "--minimum-count=1", "--shapes=1", "--no-xla", "--dropout=0", "--length=25"]


def make_pairs(folder):
    """Writes ``train``, ``valid`` and ``test`` in English and French. All sentences differ."""
    folder.mkdir()
    rows = [
        (f"The {a} {v}, in the {p}.", f"Le {b} {w}, dans l'{q}.")
        for p, q in PLACES
        for a, b in PEOPLE
        for v, w in VERBS
    ]
    for split, part in (("train", rows[:26]), ("valid", rows[26:31]), ("test", rows[31:])):
        for side, language in enumerate(("en", "fr")):
            text = "".join(f"{row[side]}\n" for row in part)
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
    return folder


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def ran(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return make_pairs(tmp_path_factory.mktemp("data") / "pairs")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pairs):
    """A trained run, converted."""
    run = tmp_path_factory.mktemp("runs") / "translation"
    ran("train", "--data", pairs, "--run", run, *TINY)
    ran("convert", "--run", run, "--length", 24, "--quantize", "none")
    return run


def records(run, *arguments):
    return [
        json.loads(line) for line in ran("predict", "--run", run, "--json", *arguments).stdout.splitlines()
    ]


def test_run_stores_its_data_and_its_baselines(trained, read_json):
    facts, metrics = read_json(trained / "data.json"), read_json(trained / "metrics.json")
    assert facts["counts"] == {"train": 26, "valid": 5, "test": 5}
    assert facts["languages"] == "en to fr"
    change = "use --source and --target to change this"
    assert facts["notes"] == [
        f"the model translates from en to fr; {change}",
        "chosen for 26 training pairs: --learning-rate 0.004",
        "all 26 en training texts have 8 tokens; check that --data has whole texts of different lengths",
        "all 26 fr training texts have 9 tokens; check that --data has whole texts of different lengths",
    ]
    assets = Assets.load(trained / "assets")
    assert assets.joint
    assert facts["vocabulary"] == [len(assets.source_tokenizer)] * 2
    rivals = metrics["baselines"]["test"]
    assert list(rivals) == ["copy of the source", "word by word (IBM model 1)"]
    assert rivals["word by word (IBM model 1)"]["bleu"] > rivals["copy of the source"]["bleu"]


def test_batches_contain_the_encoded_texts(pairs):
    options = Train(data=str(pairs), source="fr", vocabulary=150, minimum_count=1, batch_size=64, shapes=2)
    data = load(options, None)
    assert (data.assets.source, data.assets.target) == ("fr", "en")
    texts = set()
    for inputs, targets, weights in data.train(0):
        for row, weight in enumerate(weights.numpy()):
            length = int(inputs["target_lengths"][row])
            assert (weight, length > 0) in ((1.0, True), (0.0, False))
            if weight:
                given, wanted = inputs["target"][row].numpy(), targets[row].numpy()
                assert (given[0], wanted[length - 1]) == (START, END)
                np.testing.assert_array_equal(given[1:length], wanted[: length - 1])
                assert not np.any(wanted[length:])
                source = inputs["source"][row, : int(inputs["source_lengths"][row]) - 1]
                found = [
                    tokenizer.join(tf.RaggedTensor.from_tensor(ids[None])).numpy()[0].decode()
                    for tokenizer, ids in (
                        (data.assets.source_tokenizer, source),
                        (data.assets.target_tokenizer, tf.constant(wanted[: length - 1])),
                    )
                ]
                texts.add(tuple(found))
    assert texts == set(zip(data.source.train.sources, data.source.train.targets))


def test_graph_encodes_like_training_and_truncation_keeps_the_end(trained):
    assets = Assets.load(trained / "assets")
    texts = ["The cat sleeps, in the park.", "", "The dog sings. " * 100]
    rows = assets.cut(assets.encode_sources(texts))
    tensors = assets.tensors(tf.constant(texts))
    assert tensors["lengths"].numpy().tolist() == rows.lengths.tolist()
    assert rows.lengths.max() == assets.length
    for row, (start, end) in enumerate(zip(rows.row_splits, rows.row_splits[1:])):
        np.testing.assert_array_equal(tensors["source"][row, : end - start], rows.values[start:end])
        assert rows.values[end - 1] == END
        assert not np.any(tensors["source"][row, end - start :] != PAD)


def test_evaluate_shows_model_baselines_and_signatures(trained, read_json):
    result = ran("evaluate", "--run", trained, "--beam", 2)
    for part in ("BLEU", "chrF", "copy of the source", "word by word", "tok:13a", "perplexity"):
        assert part in result.stdout
    metrics = read_json(trained / "metrics.json")
    scores, verdict = metrics["test"], metrics["verdict"]
    assert result.stdout.splitlines()[-1] == verdict["sentence"]
    assert (verdict["score"], verdict["test"]) == ("BLEU", "paired bootstrap")
    assert verdict["model"] == pytest.approx(scores["bleu"])
    assert verdict["baseline_score"] == max(row["bleu"] for row in metrics["baselines"]["test"].values())
    low, high = scores["chrf_interval"]
    assert low <= scores["chrf"] <= high
    assert set(metrics["validation"]["rows"]) == {*metrics["baselines"]["test"], "model"}
    assert metrics["validation"]["examples"] == " (5 sentences, greedy search)"
    assert scores["sentences"] == 5
    assert sum(group["count"] for group in scores["by_length"]) == 5
    position = scores["loss_by_position"]
    assert len(position["forced"]) == len(position["free"])
    first = [position[name][0]["log_loss"] for name in ("forced", "free")]
    assert first[0] == pytest.approx(first[1])  # at the first position, both receive the start token
    for name in ("bleu_by_length", "loss_by_position", "learning_curve"):
        assert (trained / "plots" / f"{name}.png").exists()


def test_perplexity_equals_the_validation_loss(trained, pairs):
    rows = (trained / "history.csv").read_text().splitlines()
    history = [dict(zip(rows[0].split(","), map(float, row.split(",")))) for row in rows[1:]]
    best = min(row["valid_loss"] for row in history)
    run = Run(trained)
    valid = load_pairs(str(pairs)).valid
    scores = probability_scores(run.load_model(), Assets.load(run.assets), valid)
    assert scores["perplexity"] == pytest.approx(np.exp(best), rel=1e-4)


def test_predict_streams_translations_alignments_and_plots(trained):
    phone = ("--run", trained, "--model", "tflite", "--beam", 1)
    plain = ran("predict", *phone, "The cat sleeps.", "").stdout.splitlines()
    assert len(plain) == 2
    assert ran("translate", *phone, "The cat sleeps.", "").stdout.splitlines() == plain
    record, empty = records(trained, "--align", "--plot", "--best", 2, "The cat sleeps.", "")
    assert empty["source_words"] == []
    assert record["source_words"] == ["The", "cat", "sleeps", "."]
    assert "".join(record["target_words"]) == record["translation"].replace(" ", "")
    assert [target for _, target in record["alignment"]] == list(range(len(record["target_words"])))
    assert record["best"][0]["text"] == record["translation"]
    assert record["best"][0]["score"] >= record["best"][1]["score"]
    assert record["plot"].endswith("attention_1.png")


def test_limits_of_a_translation(trained):
    run = Run(trained)
    assets, model = Assets.load(run.assets), run.load_model()
    text = tf.constant(["The cat sleeps."])
    _, short, _ = search(model, assets, text, Decoding(beam=1, maximum=3))
    _, long, _ = search(model, assets, text, Decoding(beam=2, best=2, minimum=12, maximum=12))
    _, longer, _ = search(model, assets, text, Decoding(beam=1, minimum=70))
    assert short.numpy().max() <= 3
    assert long.numpy().tolist() == [[12, 12]]
    assert longer.numpy().min() >= 70


@pytest.mark.parametrize("maximum", [1, pytest.param(40, marks=pytest.mark.slow)])
def test_greedy_score_is_the_mean_log_probability(trained, maximum):
    run = Run(trained)
    assets, model = Assets.load(run.assets), run.load_model()
    (answers,) = of_keras(model, assets, Decoding(beam=1, maximum=maximum))([["The cat sleeps."]])
    inputs = assets.tensors(tf.constant(["The cat sleeps."]))
    memory, states = model.encode(inputs["source"], inputs["lengths"])
    token, total, count = START, 0.0, 0
    while token != END and count < maximum:
        logits, states, _ = model.step(tf.constant([token]), states, memory)
        found = logits.numpy()[0].astype(np.float64)
        token = END + int(found[END:].argmax())
        total += found[token] - np.log(np.exp(found).sum())
        count += 1
    assert answers[0][0].score == pytest.approx(total / count, rel=1e-4)


def test_unknown_tokens_are_whole_words_in_an_alignment():
    settings = TokenizerSettings(unit="word", split="reversible", minimum_count=2)
    tokenizer = Tokenizer.train(["the dog sleeps. the dog sleeps."], settings)
    assert _spelled(tokenizer, "the cat sleeps.", 9) == ["the", "cat", "sleeps", "."]
    assert _spelled(tokenizer, "the cat sleeps.", 2) == ["the", "cat"]


TEXTS = ["The cat sleeps, in the park.", "A bird", "", "\u0444 \U0001f600"]


def translations(run, *arguments):
    return [record["translation"] for record in records(run, *arguments, *TEXTS)]


def test_tflite_file_translates_like_the_model(trained):
    keras = translations(trained, "--beam", 1, "--no-copy-unknown")
    assert translations(trained, "--model", "tflite", "--beam", 1) == keras


@pytest.mark.slow
def test_saved_model_translates_like_the_model(trained):
    ran("export", "--run", trained)
    keras = translations(trained, "--beam", 1, "--no-copy-unknown")
    assert translations(trained, "--model", "saved_model", "--beam", 1) == keras
    beam = translations(trained, "--no-copy-unknown")
    assert translations(trained, "--model", "saved_model") == beam
    loaded = tf.saved_model.load(str(trained / "export" / "saved_model"))
    found = loaded.signatures["serving_default"](text=tf.constant(TEXTS))
    assert [text.decode() for text in found["translations"].numpy()] == beam
    result = invoke("predict", "--run", trained, "--model", "saved_model", "--beam", 3, "text")
    assert result.exit_code == 2
    assert "--model saved_model supports only --beam 5 and --beam 1" in result.stderr


def test_predict_translates_sentence_by_sentence(trained):
    first, second = "The cat sleeps.", "The dog sings, in the wood."
    texts = [f"{first} {second}", first, second, "", " \u3000"]
    both, one, other, *empty = records(trained, "--align", *texts)
    assert both["translation"] == f"{one['translation']} {other['translation']}".strip()
    assert both["score"] == pytest.approx((one["score"] + other["score"]) / 2, rel=1e-4)
    assert (both["sentences"], one["sentences"]) == (2, 1)
    assert both["source_words"] == one["source_words"] + other["source_words"]
    assert len(both["alignment"]) == len(both["target_words"])
    for record in empty:
        assert (record["translation"], record["score"], record["sentences"]) == ("", 0.0, 0)
    whole = records(trained, "--no-split-sentences", *texts)[0]
    assert whole["sentences"] == 1
    for record in records(trained, "--best", 3, *texts)[:3]:
        scores = [each["score"] for each in record["best"]]
        assert scores == sorted(scores, reverse=True)
        assert len({each["text"] for each in record["best"]}) == len(scores) <= 3
        assert record["best"][0]["text"] == record["translation"]


def test_notes_count_truncated_texts_and_unknown_words(trained):
    texts = ["The cat sleeps. The dog sings.", "The \u0444 sleeps at 4711.", "cat " * 40, "The bird sings."]
    result = ran("predict", "--run", trained, "--json", *texts)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["truncated"] for record in found] == [False, False, True, False]
    assert (found[1]["unknown"], found[1]["copied"]) == (["\u0444"], ["\u0444", "4711"])
    for word in ("\u0444", "4711"):
        assert word in found[1]["translation"]
    notes = [line.removeprefix("note: ") for line in result.stderr.splitlines()]
    assert notes[0].startswith("1 of 4 texts have several sentences and are translated sentence by sentence")
    assert notes[1].startswith("1 of 4 texts have a sentence with more than 25 tokens")
    assert notes[2].startswith(
        "1 of 4 texts have words that are not in the vocabulary, such as '\u0444'; these words are copied"
    )
    result = ran("predict", "--run", trained, "--model", "tflite", "--beam", 1, "--json", *texts)
    assert "--model tflite does not copy them from the source" in result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert (found[1]["unknown"], found[1]["copied"]) == (["\u0444", "4711"], [])
    assert found[2]["truncated"]
    plain = ran("predict", "--run", trained, "--no-copy-unknown", texts[1])
    assert "these words are read as the unknown token" in plain.stderr
    assert "\u0444" not in plain.stdout


def test_the_golden_file_is_enough_to_test_a_port(trained, read_json):
    folder = trained / "export" / "tflite"
    golden = read_json(folder / "golden.json")
    assert {case["text"] for case in golden["cases"]} >= set(GOLDEN_TEXTS)
    port = PhoneTranslator(folder / "model.tflite")
    for case in golden["cases"]:
        assert port.ids(case["text"]) == case["ids"]
        assert port(case["text"]) == case["translation"]
    report = read_json(folder / "report.json")
    assert report["files"]["model.tflite"]["BLEU"] == report["references"]["Keras, greedy, 24 tokens"]
    assert set(report["files"]["model.tflite"]["milliseconds"]) == {"encode", "step"}
    assert (folder / "translate.py").exists()


@pytest.mark.slow
def test_tflite_file_without_attention_has_no_memory(tmp_path, pairs):
    run = tmp_path / "run"
    ran("train", "--data", pairs, "--run", run, *TINY, "--epochs=1", "--attention=none", "--cell=gru")
    ran("convert", "--run", run, "--length", 16)
    texts = ["The cat sleeps, in the park."]
    assert (
        records(run, "--model", "tflite", "--beam", 1, *texts)[0]["translation"]
        == records(run, "--beam", 1, *texts)[0]["translation"]
    )
    result = invoke("predict", "--run", run, "--align", "text")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "trained with --attention none" in result.stderr


@pytest.mark.slow
def test_batches_of_texts_are_independent_of_each_other(trained):
    run = Run(trained)
    assets, model = Assets.load(run.assets), run.load_model()
    texts = ["The cat sleeps.", "", "The dog sings, in the wood. The bird works."]
    translate = of_keras(model, assets, Decoding(beam=3, coverage_penalty=0.2, no_repeat=2))
    (together,) = translate([texts])
    apart = [answer for text in texts for (answer,) in [next(translate([[text]]))]]
    assert [each[0].text for each in together] == [each[0].text for each in apart]
    weights = attention(model, assets, texts, texts)
    assert [each.shape for each in weights] == [
        (len(ids), len(ids)) for ids in (assets.encode_sources([text]).values for text in texts)
    ]
    for each in weights:
        np.testing.assert_allclose(each.sum(axis=1), 1, atol=1e-5)


@pytest.mark.slow
def test_training_continues_from_a_run(trained, pairs, tmp_path, read_json):
    run = tmp_path / "run"
    ran("train", "--from", trained, "--run", run, "--epochs", 1, "--learning-rate", 1e-9, "--average", "none")
    stored, before = read_json(run / "options.json"), read_json(trained / "options.json")
    changed = {name for name in stored if stored[name] != before[name]}
    assert changed == {"from_", "epochs", "learning_rate", "average", "source", "target"}
    assert (stored["source"], stored["target"]) == (
        "en",
        "fr",
    )  # the direction of the earlier run, not the default of the data
    losses = [read_json(each / "metrics.json")["valid"]["loss"] for each in (run, trained)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (run / "assets" / "source" / "vocab.txt").read_text() == (
        trained / "assets" / "source" / "vocab.txt"
    ).read_text()
    for arguments, message in (
        (["--from", trained, "--units", 4], "has a model with other layers or layer sizes"),
        (["--from", tmp_path], "does not contain a trained translation run"),
        (["--from", trained, "--preset", "quick"], "--preset cannot be combined with --from"),
        (["--from", trained, "--unit", "word"], "--unit word contradicts the run in --from"),
        (["--from", trained, "--run", f"{trained}/", "--overwrite"], "and --run are the same directory"),
    ):
        result = invoke("train", "--run", tmp_path / "other", *arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert message in result.stderr


def test_groups_by_length_contain_every_sentence():
    sources = ["a " * count for count in (1, 5, 6, 31, 40)]
    groups = by_length(Pairs(sources, sources, ("file",), [1, 2, 3, 4, 5]), sources)
    assert [(group["name"], group["count"]) for group in groups] == [
        ("1 to 5", 2),
        ("6 to 10", 1),
        ("from 31", 2),
    ]


def test_note_lists_dropped_overlong_pairs(pairs, tmp_path):
    folder = tmp_path / "pairs"
    shutil.copytree(pairs, folder)
    for language in ("en", "fr"):
        with open(folder / f"train.{language}", "a", encoding="utf-8") as file:
            file.write("word " * 30 + "\n")
    options = Train(data=str(folder), vocabulary=150, minimum_count=1, length=25)
    (note,) = [note for note in load(options, None).facts["notes"] if "are dropped" in note]
    assert note.startswith("1 pairs that contain a text of more than 25 tokens are dropped: ")
    assert "train.en:27 and " in note
    assert "train.fr:27" in note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"joint": False}, "--tie all needs one vocabulary"),
        (
            {"attention": "none", "feeding": "context"},
            "--feeding context needs attention; got --attention none",
        ),
        (
            {"attention": "dot", "units": 192, "decoder_units": 100},
            "--decoder-units must equal the size of the encoder output; got 100, but the size is 384",
        ),
        ({"attention": "multi-head", "decoder_units": 510}, "--decoder-units 510 must be a multiple of 4"),
        ({"cell": "mingru", "recurrent_dropout": 0.1}, "--cell mingru has no recurrent weights"),
    ],
)
def test_invalid_training_options_raise(options, message):
    with pytest.raises(UsageError, match=message):
        Train(**options).check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--best", 3, "--beam", 2], "--best 3 must be at most --beam 2; raise --beam"),
        (["--minimum", 5, "--maximum", 4], "--minimum 5 must be at most --maximum 4"),
        (["--beam", 1, "--length-penalty", 0.5], "--length-penalty does not apply to --beam 1"),
        (["--align", "--model", "tflite"], "--align and --plot need the Keras model"),
        (
            ["--model", "tflite_int8", "--beam", 1],
            "model_int8.tflite does not exist; create it with `convert --quantize int8`",
        ),
    ],
)
def test_invalid_prediction_options_are_a_one_line_error(trained, arguments, message):
    result = invoke("predict", "--run", trained, *arguments, "text")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert message in result.stderr
