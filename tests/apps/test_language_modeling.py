"""Language modeling on the command line: perplexity by hand, baselines, generation, exports, bad input."""

import json
import math
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from apps.language_modeling import adaptation, mixture, ngrams, task
from apps.language_modeling.__main__ import main
from apps.language_modeling.data import encode
from apps.language_modeling.defaults import choose as choose_options
from apps.language_modeling.generation import text_of, until
from apps.language_modeling.inference import of_keras
from apps.language_modeling.options import WITHOUT, Train
from apps.language_modeling.phone import token_settings
from apps.language_modeling.port.generate import Text, choose
from apps.options import resolve
from seqmodels import decoding
from seqmodels.data.tokenizer import END, Tokenizer, TokenizerSettings
from seqmodels.models import FixedWindowModel, LanguageModel

TINY = ["--units=6", "--embedding-units=5", "--layers=1", "--batch-size=4", "--steps=8", "--no-xla"]
TINY += ["--epochs=2", "--learning-rate=2"]


@pytest.fixture(scope="module")
def invoke():
    return lambda *arguments, **options: CliRunner().invoke(
        main, [str(each) for each in arguments], **options
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus, invoke):
    """A finished run. Tests may add files and must not change existing files."""
    path = tmp_path_factory.mktemp("runs") / "recurrent"
    result = invoke("train", "--data", corpus, "--run", path, *TINY)
    assert result.exit_code == 0, result.stderr
    assert "valid_perplexity" in result.stderr
    metrics = json.loads((path / "metrics.json").read_text())
    better = (
        metrics["baselines"]["valid"]["Kneser-Ney, 5-grams"]["perplexity"] < metrics["valid"]["perplexity"]
    )
    assert result.stderr.rstrip().endswith("--mix` interpolates both") == better
    return path


@pytest.fixture(scope="module")
def window(tmp_path_factory, corpus, invoke):
    path = tmp_path_factory.mktemp("runs") / "window"
    options = [option for option in TINY if option != "--layers=1"]
    result = invoke("train", "--data", corpus, "--run", path, *options, "--model=fixed-window", "--window=3")
    assert result.exit_code == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def exported(run, invoke):
    for arguments in (["export"], ["convert"]):
        result = invoke(*arguments, "--run", run, "--json")
        assert result.exit_code == 0, result.stderr
    return run


def greedy_by_hand(run, ids, count, penalty=1.0):
    """Appends ``count`` ids to the ids of a text. Each of them is the most probable allowed id."""
    model, ids = keras.models.load_model(run / "model.keras"), [END, *ids]
    for _ in range(count):
        logits = model({"tokens": np.array([ids], np.int32)}).logits.numpy()[0, -1]
        for token in set(ids[1:]):  # Keskar et al. 2019, section 4.1
            logits[token] *= penalty if logits[token] < 0 else 1 / penalty
        logits[:3] = -np.inf
        ids.append(int(logits.argmax()))
    return ids[1:]


def beam_by_hand(run, ids, count, beams):
    """Keeps the ``beams`` most probable sequences at every step and returns the best sequence."""
    model, hypotheses = keras.models.load_model(run / "model.keras"), [(0.0, [END, *ids])]
    for _ in range(count):
        longer = []
        for score, tokens in hypotheses:
            logits = model({"tokens": np.array([tokens], np.int32)}).logits.numpy()[0, -1].astype(np.float64)
            logits[:3] = -np.inf
            logits -= np.log(np.exp(logits).sum())
            longer += [(score + logits[token], [*tokens, token]) for token in range(3, len(logits))]
        hypotheses = sorted(longer, reverse=True)[:beams]
    return hypotheses[0][1][1:]


def ids_of(run, lines):
    """Converts lines to ids with the vocabulary file only."""
    vocabulary = (run / "assets" / "vocab.txt").read_text().splitlines()
    index = {token: number for number, token in enumerate(vocabulary) if number > 3}
    return [number for line in lines for number in (*(index.get(word, 2) for word in line.split()), END)]


def joined(run, ids):
    """Converts ids to text in bytes."""
    tokenizer = Tokenizer.load(run / "assets")  # must be kept in a variable while join runs
    return tokenizer.join(tf.ragged.constant([ids], dtype=tf.int32)).numpy()[0]


def losses_by_hand(run, ids):
    model = keras.models.load_model(run / "model.keras")
    logits = model({"tokens": np.array([[END, *ids[:-1]]], np.int32)}).logits.numpy()[0].astype(np.float64)
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(ids)), ids]


@pytest.mark.parametrize("fixture", ["run", "window"])
def test_perplexity_equals_one_long_pass_by_hand(fixture, request, corpus, invoke):
    path = request.getfixturevalue(fixture)
    scores = json.loads(invoke("evaluate", "--run", path, "--json").stdout)["model"]
    lines = (corpus / "test.txt").read_text().splitlines()
    ids = ids_of(path, lines)
    losses = losses_by_hand(path, ids)
    assert scores["tokens"] == scores["words"] == sum(len(line.split()) + 1 for line in lines)
    assert scores["perplexity"] == pytest.approx(math.exp(losses.sum() / len(ids)), rel=1e-5)
    first = [losses[index] for index in range(len(ids)) if index == 0 or ids[index - 1] == END]
    assert scores["by_position"][0] == {
        "position": 1,
        "tokens": 25,
        "log_loss": pytest.approx(np.mean(first), rel=1e-5),
    }
    assert sum(row["tokens"] for row in scores["by_position"]) == len(ids)


def test_baselines_are_in_the_same_table(run, window, corpus, invoke, read_json):
    result = invoke("evaluate", "--run", run, "--json", "--beside", window)
    rivals = json.loads(result.stdout)["baselines"]
    train, test = (
        ids_of(run, (corpus / f"{split}.txt").read_text().splitlines()) for split in ("train", "test")
    )
    vocabulary = len((run / "assets" / "vocab.txt").read_text().splitlines())
    by_hand = ngrams.kneser_ney(train, vocabulary, 3, END)
    assert rivals["Kneser-Ney, 3-grams"]["perplexity"] == pytest.approx(by_hand.perplexity(test))
    other = json.loads(invoke("evaluate", "--run", window, "--json").stdout)["model"]
    assert rivals[str(window)]["perplexity"] == pytest.approx(other["perplexity"])
    assert {"unigram", "Markov, first order", "Kneser-Ney, 5-grams"} < rivals.keys()
    shown = invoke("evaluate", "--run", run).stdout
    assert "Kneser-Ney, 5-grams" in shown
    verdict = read_json(run / "metrics.json")["verdict"]
    assert shown.splitlines()[-1] == verdict["sentence"]
    own = {name: row["perplexity"] for name, row in rivals.items() if name != str(window)}
    assert verdict["baseline"] == min(own, key=own.__getitem__)
    assert verdict["ratio"] == pytest.approx(verdict["model"] / min(own.values()))
    validation = read_json(run / "metrics.json")["validation"]
    assert set(validation["rows"]) == {*own, "model"}
    assert validation["rows"]["model"]["perplexity"] == pytest.approx(
        read_json(run / "metrics.json")["valid"]["perplexity"], rel=0.1
    )
    assert (run / "plots" / "loss_by_position.png").exists()
    assert (run / "plots" / "learning_curve.png").exists()
    assert read_json(run / "metrics.json")["test"]["perplexity"] == pytest.approx(
        json.loads(result.stdout)["model"]["perplexity"]
    )


def test_other_data_is_scored_with_baselines_of_the_training_text(run, tmp_path, invoke):
    (tmp_path / "other.txt").write_text("the cat likes fish\na dog sees a zebra\n")
    found = json.loads(invoke("evaluate", "--run", run, "--json", "--data", tmp_path / "other.txt").stdout)
    ids = ids_of(run, ["the cat likes fish", "a dog sees a zebra"])
    assert found["model"]["perplexity"] == pytest.approx(math.exp(losses_by_hand(run, ids).mean()), rel=1e-5)
    assert found["baselines"]["unigram"]["tokens"] == len(ids)


def test_score_returns_token_probabilities_and_marks_surprises(run, invoke):
    texts = ["the cat sees fish", "zebra"]
    result = invoke("score", "--run", run, "--json", "--surprise", "0.2", *texts)
    for text, record in zip(texts, map(json.loads, result.stdout.splitlines()), strict=True):
        losses = losses_by_hand(run, ids_of(run, [text]))
        assert [each["log_probability"] for each in record["tokens"]] == pytest.approx(-losses, abs=1e-4)
        assert [each["surprising"] for each in record["tokens"]] == (losses > math.log(5)).tolist()
        assert record["perplexity"] == pytest.approx(math.exp(losses.mean()), rel=1e-4)
    marked = invoke("predict", "--run", run, "--surprise", "1", texts[0]).stdout
    assert marked.split("\t")[2] == "*the* *cat* *sees* *fish* *<END>*\n"


@pytest.mark.slow
def test_generation_is_greedy_or_sampled_and_repeats_with_its_seed(run, invoke):
    def text(*options):
        result = invoke("generate", "--run", run, "--length", "9", *options, "the cat")
        assert result.exit_code == 0, result.stderr
        return result.stdout

    ids = greedy_by_hand(run, ids_of(run, ["the cat"])[:-1], 9)
    greedy = joined(run, ids).decode()
    assert text("--temperature", "0") == f"{greedy}\n"
    assert text("--top-k", "1") == f"{greedy}\n"
    drawn = [text("--seed", seed, "--temperature", "2") for seed in ("1", "2", "3", "1")]
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) > 1
    assert all(each.startswith("the cat") for each in drawn)
    assert text("--beams", "3") == f"{joined(run, beam_by_hand(run, ids[:2], 9, 3)).decode()}\n"
    penalized = joined(run, greedy_by_hand(run, ids[:2], 9, penalty=5.0)).decode()
    assert text("--temperature", "0", "--repetition-penalty", "5") == f"{penalized}\n" != f"{greedy}\n"
    assert text("--top-p", "0.0001") == f"{greedy}\n"
    record = json.loads(text("--temperature", "0", "--json"))
    assert record == {"prompt": "the cat", "text": greedy.removeprefix("the cat")}
    stop = greedy.removeprefix("the cat")[4:6]
    assert text("--temperature", "0", "--stop", stop) == f"the cat{greedy[7:].partition(stop)[0]}\n"


def test_prompts_come_from_stdin_and_unknown_words_are_listed(run, tmp_path, monkeypatch, capsys):
    (tmp_path / "stdin").write_text("the zebra\na cat\n")
    with open(tmp_path / "stdin") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        main(["generate", "--run", str(run), "--length", "2", "--json"], standalone_mode=False)
    shown = capsys.readouterr()
    assert shown.err == (
        "note: these parts of the prompt are read as the unknown token, because they are not in the "
        "vocabulary: zebra\n"
    )
    assert [json.loads(line)["prompt"] for line in shown.out.splitlines()] == ["the zebra", "a cat"]


@pytest.mark.parametrize("stop", ["ab", "cab", "zz", "a"])
def test_a_stop_text_is_found_across_pieces(stop):
    pieces = ["x", "ca", "", "b", "abab", "y"]
    whole = "".join(pieces)
    assert "".join(until(iter(pieces), stop)) == whole.partition(stop)[0]


def test_bytes_are_decoded_to_whole_characters():
    tokenizer = Tokenizer.train([""], TokenizerSettings(unit="byte", lowercase=False))
    ids = [4 + byte for byte in "aé🙂".encode()]
    assert list(text_of(tokenizer, ids[:1], ids[1:])) == ["", "é", "", "", "", "🙂", ""]


def test_info_has_neighbours_and_parameters(run, window, invoke, monkeypatch):
    facts = json.loads(invoke("info", "--run", run, "--json").stdout)[str(run)]
    vocabulary = len((run / "assets" / "vocab.txt").read_text().splitlines())
    assert facts["parameters, Kneser-Ney, 5-grams"] > facts["parameters, unigram"] == vocabulary
    assert facts["parameters, full table of 5-grams"] == vocabulary**5
    facts_of_window = json.loads(invoke("info", "--run", window, "--json").stdout)[str(window)]
    assert facts_of_window["parameters, full table of 4-grams"] == vocabulary**4
    model = keras.models.load_model(run / "model.keras")
    assert facts["parameters"] == model.count_params()
    names = (run / "assets" / "vocab.txt").read_text().splitlines()
    vectors = model.embedding.get_weights()[0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    likeness = (vectors @ vectors[4])[4:]
    nearest = names[4 + int(np.argsort(-likeness)[1])]  # index 0 is the word itself
    assert facts[f"nearest to {names[4]}"].startswith(f"{nearest} ")
    monkeypatch.setattr(task, "NEIGHBOURS", 50)  # more words than the vocabulary has
    (all_of_them,) = json.loads(invoke("info", "--run", run, "--json").stdout).values()
    neighbours = all_of_them[f"nearest to {names[4]}"].split(", ")
    assert sorted(each.split()[0] for each in neighbours) == sorted(names[5:])


def perplexity_of(run, kind, invoke):
    result = invoke("evaluate", "--run", run, "--json", "--model", kind)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)["model"]["perplexity"]


def test_every_exported_format_has_the_perplexity_of_the_model(exported, invoke, read_json):
    expected = perplexity_of(exported, "keras", invoke)
    for kind in ("saved_model", "tflite"):
        assert perplexity_of(exported, kind, invoke) == pytest.approx(expected, rel=1e-5)
    facts = read_json(exported / "export" / "tflite" / "report.json")["files"]["model.tflite"]
    assert facts["perplexity"] > 1
    assert "WHILE" not in facts["operators"]


@pytest.mark.slow
def test_every_quantization_has_about_the_perplexity_of_the_model(run, tmp_path, invoke, read_json):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    expected = perplexity_of(copy, "keras", invoke)
    for quantize, tolerance in (("dynamic", 0.05), ("float16", 0.001), ("int8", 0.1)):
        assert invoke("convert", "--run", copy, "--quantize", quantize).exit_code == 0
        found = perplexity_of(copy, f"tflite_{quantize}", invoke)
        assert found == pytest.approx(expected, rel=tolerance), quantize
    files = read_json(copy / "export" / "tflite" / "report.json")["files"]
    assert len(files) >= 3
    assert all(facts["perplexity"] > 1 for facts in files.values())


def test_the_saved_model_scores_and_generates_raw_text(exported, invoke):
    served = tf.saved_model.load(str(exported / "export" / "saved_model")).signatures
    texts = ["the cat sees fish", "", "a zebra"]
    found = served["score"](text=tf.constant(texts))
    for row, text in enumerate(texts):
        losses = losses_by_hand(exported, ids_of(exported, [text]))
        assert int(found["lengths"][row]) == len(losses)
        np.testing.assert_allclose(found["log_probabilities"][row, : len(losses)], -losses, atol=1e-5)
        assert float(found["perplexity"][row]) == pytest.approx(math.exp(losses.mean()), rel=1e-5)
    numbers = {"length": tf.constant(7), "top_k": tf.constant(0), "top_p": tf.constant(1.0)}
    prompts = tf.constant(["the cat", "", "a dog likes"])
    text = served["generate"](
        prompt=prompts, temperature=tf.constant(0.0), seed=tf.constant(0, tf.int64), **numbers
    )["text"]
    given = [prompt.decode() for prompt in prompts.numpy()]
    result = invoke("generate", "--run", exported, "--length=7", "--temperature=0", "--json", *given)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["text"] for record in records] == [each.decode() for each in text.numpy()]
    drawn = [
        served["generate"](
            prompt=prompts, temperature=tf.constant(1.0), seed=tf.constant(seed, tf.int64), **numbers
        )["text"].numpy()
        for seed in (1, 2, 1)
    ]
    assert np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


def test_generate_script_continues_like_the_model(exported, read_json):
    folder = exported / "export" / "tflite"
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from generate import generate\n"
        "cases = json.load(open(sys.argv[1] + '/golden.json'))['cases']\n"
        "names = ('prompt', 'temperature', 'numbers')\n"
        "answers = [[*generate('model.tflite', *map(case.get, names))] for case in cases]\n"
        "print(json.dumps(answers))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    cases = read_json(folder / "golden.json")["cases"]
    assert json.loads(done.stdout) == [case["ids"] for case in cases]
    assert {case["temperature"] for case in cases} == {0.0, 1.0}


PROMPTS = ("the cat", "the zebra ", "a dog\nsees", "the cat,(caf\u00e9) \u3005x")


def test_generate_script_prints_the_text_of_generate(exported, invoke):
    folder = exported / "export" / "tflite"
    for prompt in PROMPTS[1:3]:
        done = subprocess.run(
            [sys.executable, str(folder / "generate.py"), prompt, "0", "0", "12"],
            capture_output=True,
            text=True,
            check=True,
        )
        result = invoke("generate", "--run", exported, "--temperature=0", "--length=12", prompt)
        assert done.stdout == result.stdout


@pytest.fixture(scope="module")
def mixed(run, tmp_path_factory, invoke):
    """A copy of the run, exported with ``--mix``."""
    path = tmp_path_factory.mktemp("runs") / "mixed"
    shutil.copytree(run, path)
    result = invoke("export", "--run", path, "--mix", "--json")
    assert result.exit_code == 0, result.stderr
    assert "mixture: " in result.stderr
    exported = json.loads(result.stdout)
    folder = path / "export" / "saved_model"
    assert exported["bytes"] == sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return path


def mixture_by_hand(run, corpus, order, ids):
    """Returns the weight, and the losses of the model, of the n-grams and of their mixture on ``ids``."""
    train, valid = (
        ids_of(run, (corpus / f"{split}.txt").read_text().splitlines()) for split in ("train", "valid")
    )
    vocabulary = len((run / "assets" / "vocab.txt").read_text().splitlines())
    fitted = ngrams.kneser_ney(train, vocabulary, order, END)
    p, q = np.exp(-losses_by_hand(run, valid)), np.exp(fitted.log_probabilities(valid))
    grid = np.linspace(0, 1, 10_001)[:, None]
    weight = float(grid[np.argmax(np.log(grid * p + (1 - grid) * q).sum(1))][0])
    p, q = np.exp(-losses_by_hand(run, ids)), np.exp(fitted.log_probabilities(ids))
    return weight, -np.log(p), -np.log(q), -np.log(weight * p + (1 - weight) * q)


def test_mixture_has_the_weight_of_the_validation_split(run, corpus, invoke):
    ids = ids_of(run, (corpus / "test.txt").read_text().splitlines())
    result = invoke("evaluate", "--run", run, "--json", "--mix", "--mix-order=3", "--cache=20")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)
    name = "mixed with Kneser-Ney, 3-grams"
    assert list(scores["variants"]) == [name, "with a cache of 20", f"with a cache of 20, {name}"]
    weight, model, other, both = mixture_by_hand(run, corpus, 3, ids)
    row = scores["variants"][name]
    assert row["weight"] == pytest.approx(weight, abs=2e-4)
    assert row["perplexity"] == pytest.approx(math.exp(both.mean()), rel=1e-4)
    assert row["difference"]["model"]["log_loss"] == pytest.approx((both - model).mean(), abs=1e-4)
    rival = scores["baselines"]["Kneser-Ney, 3-grams"]
    assert rival["perplexity"] == pytest.approx(math.exp(other.mean()))
    for each in (row, rival, scores["model"]):
        low, high = each["perplexity_interval"]
        assert low < each["perplexity"] < high
    assert row["parameters"] == scores["model"]["parameters"] + rival["parameters"] + 1
    shown = invoke("evaluate", "--run", run, "--mix", "--mix-order=3", env={"COLUMNS": "200"}).stdout
    assert f"weight of the model {row['weight']:.3f}" in shown
    assert "95 % interval" in shown


@pytest.mark.slow
def test_dynamic_evaluation_is_mixed_with_its_own_weight(run, invoke):
    result = invoke("evaluate", "--run", run, "--json", "--mix", "--dynamic")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["variants"]
    name = "mixed with Kneser-Ney, 5-grams"
    assert list(rows) == [name, "with dynamic evaluation", f"with dynamic evaluation, {name}"]
    assert rows[name]["weight"] != rows[f"with dynamic evaluation, {name}"]["weight"]


@pytest.mark.slow
def test_a_mixed_saved_model_has_the_probabilities_of_the_mixture(mixed, corpus, invoke, one_line):
    ids = ids_of(mixed, (corpus / "test.txt").read_text().splitlines())
    expected = mixture_by_hand(mixed, corpus, 5, ids)[-1]
    result = invoke("evaluate", "--run", mixed, "--json", "--model=saved_model")
    assert "was exported with --mix" in result.stderr
    found = json.loads(result.stdout)["model"]["perplexity"]
    assert found == pytest.approx(math.exp(expected.mean()), rel=1e-4)
    error = one_line(invoke("evaluate", "--run", mixed, "--mix", "--model=saved_model"), 2)
    assert "is already a mixture; remove --mix" in error
    served = tf.saved_model.load(str(mixed / "export" / "saved_model")).signatures
    texts = ["the cat sees fish", "", "a zebra"]
    scored = served["score"](text=tf.constant(texts))
    for row, text in enumerate(texts):
        losses = mixture_by_hand(mixed, corpus, 5, ids_of(mixed, [text]))[-1]
        log_probabilities = scored["log_probabilities"][row, : len(losses)]
        np.testing.assert_allclose(log_probabilities, -losses, rtol=1e-3)


@pytest.mark.slow
def test_generate_mix_equals_the_mixed_saved_model(mixed, invoke):
    served = tf.saved_model.load(str(mixed / "export" / "saved_model")).signatures["generate"]
    text = served(
        prompt=tf.constant(["the cat", "a dog likes"]),
        length=tf.constant(7),
        temperature=tf.constant(0.0),
        top_k=tf.constant(0),
        top_p=tf.constant(1.0),
        seed=tf.constant(0, tf.int64),
    )["text"]
    arguments = ["--length=7", "--temperature=0", "--json", "the cat", "a dog likes"]
    result = invoke("generate", "--run", mixed, "--mix", *arguments)
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line)["text"] for line in result.stdout.splitlines()]
    assert found == [each.decode() for each in text.numpy()]


def test_mix_is_refused_in_one_line(run, invoke, one_line, monkeypatch):
    for verb in ("evaluate", "export", "generate"):
        error = one_line(invoke(verb, "--run", run, "--mix-order=3"), 2)
        assert error == "error: --mix-order 3 needs --mix; add --mix or remove --mix-order\n"
    assert "--mix" in one_line(invoke("convert", "--run", run, "--mix"), 2)
    monkeypatch.setattr(mixture, "LARGEST", 1000)
    result = invoke("export", "--run", run, "--mix")
    assert result.exit_code == 2
    (error,) = (line for line in result.stderr.splitlines() if line.startswith("error: "))
    assert "at most 0 MB are allowed; lower --mix-order, which is 5, or remove --mix" in error


@pytest.mark.parametrize("split", ["auto", "whitespace", "punctuation", "letters"])
@pytest.mark.parametrize("unit", ["word", "wordpiece", "character", "byte"])
def test_generate_script_tokenizes_like_the_library(unit, split):
    """The script and the library return the same ids for a text, and the same text for ids."""
    options = {"unit": unit, "split": split, "base": "whitespace", "lowercase": split == "letters"}
    settings = TokenizerSettings(**options, size=80, end=True)
    texts = ["the cat sees a fish , a dog likes fishes .", "It's (so) on 12.5 \u4eba\u3005 \u306f\u3001x:) !"]
    tokenizer = Tokenizer.train(texts, settings)
    port = Text(tokenizer.vocabulary, **token_settings(settings))
    strange = ("", "x" * 101, "x ## fish ### a ##a #a a##", "A\u00a0B\u200dC\tD <unk> \u0130\u03a3")
    for text in (*texts, *PROMPTS, *strange):
        (ids,) = encode(tokenizer, tf.constant([text])).to_list()
        assert port.ids(text) == ids[:-1]
        assert port.of_ids(ids) == tokenizer.join(tf.ragged.constant([ids], dtype=tf.int32)).numpy()[0]


def test_line_ends_of_a_text_are_tokens(run, invoke):
    """A scored text and a prompt may have several lines. Unknown tokens keep their spelling in the output."""
    record = json.loads(invoke("score", "--run", run, "--json", "the zebra\na cat").stdout)
    names = [each["token"] for each in record["tokens"]]
    assert names == ["the", "zebra", "<END>", "a", "cat", "<END>"]
    losses = losses_by_hand(run, ids_of(run, ["the zebra", "a cat"]))
    assert [each["log_probability"] for each in record["tokens"]] == pytest.approx(-losses, abs=1e-4)
    result = invoke("generate", "--run", run, "--temperature=0", "--length=5", "--json", "a cat\nthe dog")
    ids = greedy_by_hand(run, ids_of(run, ["a cat", "the dog"])[:-1], 5)
    text = joined(run, ids).decode()
    assert json.loads(result.stdout)["text"] == text.removeprefix("a cat\nthe dog")


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_generate_script_samples_like_the_library(temperature):
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(size=(200, 30), scale=2), 1).astype(
        np.float32
    )  # rounding makes some logits equal
    numbers = rng.random(200)
    allowed = np.where(np.arange(30) < 3, -np.inf, logits).astype(np.float32)
    drawn = decoding.draw(tf.constant(allowed), tf.constant(numbers), decoding.Sampling(temperature))
    assert [
        choose(row, temperature, number) for row, number in zip(logits, numbers)
    ] == drawn.numpy().tolist()


def small(**options):
    keras.utils.set_random_seed(1)
    model = LanguageModel(9, embedding_units=4, units=4, layers=1, **options)
    model.build()
    model.embedding.set_weights([np.random.default_rng(0).normal(size=(9, 4))])
    return model


IDS = np.random.default_rng(3).integers(3, 9, 40).astype(np.int32)


def test_cache_equals_the_formula_of_the_paper(monkeypatch):
    monkeypatch.setattr(adaptation, "BLOCK", 7)
    model, size, flatness, weight = small(), 6, 1.3, 0.4
    features = model.features({"tokens": np.append(END, IDS[:-1])[None]})
    h, plain = features.outputs.numpy()[0], np.exp(-model.losses_of(features.outputs, IDS[None]).numpy()[0])
    found = adaptation.cached_losses(model, IDS, size, flatness, weight)
    assert found[0] == pytest.approx(-math.log(plain[0]), rel=1e-5)
    for t in range(1, 40):
        votes = np.zeros(9)
        for i in range(max(t - size, 0), t):
            votes[IDS[i]] += math.exp(flatness * h[t] @ h[i])
        mixed = (1 - weight) * plain[t] + weight * votes[IDS[t]] / votes.sum()
        assert found[t] == pytest.approx(-math.log(mixed), rel=1e-4)


def test_dynamic_evaluation_with_rate_zero_equals_the_model():
    model = small()
    plain = of_keras(model)(IDS)
    np.testing.assert_allclose(adaptation.dynamic_losses(model, IDS, IDS, 0.0, 0.0), plain, rtol=1e-4)


def test_dynamic_evaluation_learns_repetition_and_restores_the_model():
    model, text, first = small(), np.tile(IDS[:10], 30), slice(adaptation.SEGMENT)
    before, plain = model.get_weights(), of_keras(model)(text)
    dynamic = adaptation.dynamic_losses(model, text, IDS, 0.02, 0.001)
    np.testing.assert_allclose(dynamic[first], plain[first], rtol=1e-4)
    assert dynamic[-100:].mean() < plain[-100:].mean() - 0.3
    for one, other in zip(model.get_weights(), before):
        assert np.array_equal(one, other)


@pytest.mark.slow
def test_split_that_drops_words_has_no_word_perplexity(tmp_path, corpus, invoke):
    result = invoke("train", "--data", corpus, "--run", tmp_path / "run", *TINY, "--split=letters")
    assert result.exit_code == 0, result.stderr
    (tmp_path / "other.txt").write_text("the cat , sees . fish\n")
    arguments = ["evaluate", "--run", tmp_path / "run", "--data", tmp_path / "other.txt"]
    scores = json.loads(invoke(*arguments, "--json").stdout)["model"]
    assert scores["tokens"] == 5
    assert not {"words", "word_perplexity"} & scores.keys()
    assert f"{scores['perplexity']:.2f}" in invoke(*arguments).stdout


@pytest.mark.slow
def test_note_if_a_split_breaks_marks_of_unknown_words(tmp_path, corpus, invoke, read_json):
    """If the split breaks ``<unk>`` into tokens, only rare words become the unknown token in training."""
    lines = [f"{line} <unk>" for line in (corpus / "train.txt").read_text().splitlines()]
    (tmp_path / "train.txt").write_text("\n".join(["a zebra", *lines]))
    facts = {}
    for split in ("whitespace", "punctuation"):
        path = tmp_path / split
        result = invoke("train", "--data", tmp_path / "train.txt", "--run", path, *TINY, f"--split={split}")
        assert result.exit_code == 0, result.stderr
        facts[split] = read_json(path / "data.json")
        assert "zebra" in (path / "assets" / "vocab.txt").read_text() or split == "punctuation"
    assert not any("<unk>" in note for note in facts["whitespace"]["notes"])
    assert any(
        "--split punctuation breaks the <unk> marks of the text" in note
        for note in facts["punctuation"]["notes"]
    )
    assert float(facts["whitespace"]["unknown tokens"]["train"].rstrip("%")) > 10


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="full", marks=pytest.mark.slow),
        pytest.param(["--cutoffs=6,10", "--no-tied"], id="adaptive", marks=pytest.mark.slow),
        pytest.param(["--samples=8"], id="sampled", marks=pytest.mark.slow),
    ],
)
def test_model_with_all_dropouts_and_xla_learns_and_is_exported(tmp_path, corpus, invoke, options):
    """All dropouts and penalties are on, with full, adaptive and sampled softmax."""
    dropouts = [f"--{name}-dropout=0.1" for name in ("embedding", "input", "output", "weight", "recurrent")]
    given = ["--xla", *dropouts, "--activation-penalty=0.1", "--temporal-penalty=0.1", *options]
    given = [option for option in (*TINY, *given) if option != "--no-xla"]
    path = tmp_path / "run"
    result = invoke("train", "--data", corpus, "--run", path, *given)
    assert result.exit_code == 0, result.stderr
    history = [line.split(",") for line in (path / "history.csv").read_text().splitlines()]
    losses = [float(row[history[0].index("valid_loss")]) for row in history[1:]]
    assert losses[1] < losses[0] < math.log(15)
    scores = json.loads(invoke("evaluate", "--run", path, "--json").stdout)["model"]
    ids = ids_of(path, (corpus / "test.txt").read_text().splitlines())
    assert scores["perplexity"] == pytest.approx(math.exp(losses_by_hand(path, ids).mean()), rel=1e-5)
    for verb, kind in (("export", "saved_model"), ("convert", "tflite")):
        assert invoke(verb, "--run", path).exit_code == 0
        assert perplexity_of(path, kind, invoke) == pytest.approx(scores["perplexity"], rel=1e-5)


@pytest.mark.parametrize("samples", [8, 15, 16])
def test_small_vocabulary_and_cutoffs_disable_samples(samples):
    settings = TokenizerSettings(unit="word", size=15, minimum_count=1, end=True)
    tokenizer = Tokenizer.train(["a b c d e f g h i j k"], settings)
    assert len(tokenizer) == 15
    options = chosen_for(1000, preset="best", samples=samples, units=4, embedding_units=4)
    assert task.build(options, tokenizer).samples == (samples if samples < 15 else 0)
    assert resolve(Train, {"preset": "best", "cutoffs": "6,10", "tied": False}).samples == 0


def test_penalty_options_reach_the_objective(corpus):
    """The activation penalty uses the outputs after dropout. The temporal penalty uses the raw outputs."""
    model = LanguageModel(9, units=4, embedding_units=4, layers=1)
    model.build()
    ids = np.arange(8, dtype=np.int32)[None] % 9
    found = {}
    for chosen in ({"activation_penalty": 2.0}, {"temporal_penalty": 2.0}):
        arguments = (ids, ids, tf.ones((1, 8)), model.get_initial_state(1), False)
        objective = task.objective(resolve(Train, chosen), None)
        found[tuple(chosen)] = float(objective(model, *arguments).penalty)
    raw = model.features({"tokens": ids}, training=False).raw.numpy()
    assert found[("activation_penalty",)] == pytest.approx(2 * np.mean(raw**2), rel=1e-5)
    assert found[("temporal_penalty",)] == pytest.approx(2 * np.mean(np.diff(raw, axis=1) ** 2), rel=1e-5)


def chosen_for(tokens, **chosen):
    """Returns the options of a training with this number of tokens."""
    return choose_options(resolve(Train, chosen), tokens)[0]


UNITS = {
    "wordpiece": ["--vocabulary=46", "--minimum-count=1"],  # too few tokens for all words
    "character": ["--jitter=3", "--average=1", "--average-after=1"],
    "byte": [],
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.slow
def test_model_of_other_units_trains_scores_and_generates(tmp_path, corpus, invoke, unit):
    """The texts have a word and a character that are not in the training text."""
    run, lines = tmp_path / "run", ["the cat sees café food", "a dog likes fishes"]
    result = invoke(
        "train", "--data", corpus, "--run", run, *TINY, "--epochs=1", f"--unit={unit}", *UNITS[unit]
    )
    assert result.exit_code == 0, result.stderr
    (tmp_path / "other.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    result = invoke("evaluate", "--run", run, "--json", "--data", tmp_path / "other.txt", "--mix")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)["model"]
    mixed = json.loads(result.stdout)["variants"]["mixed with Kneser-Ney, 5-grams"]

    tokenizer = Tokenizer.load(run / "assets")
    rows = tokenizer(lines).to_list()
    ids = [number for row in rows for number in row]
    losses = losses_by_hand(run, ids)
    characters = sum(len(line) + 1 for line in lines)
    expected = {"character": characters, "byte": characters + 1}
    assert scores["tokens"] == len(ids) == expected.get(unit, len(ids))
    assert (scores["words"], sum(number == END for number in ids)) == (11, 2)
    assert len(ids) > scores["words"]
    assert scores["perplexity"] == pytest.approx(math.exp(losses.mean()), rel=1e-5)
    assert scores["word_perplexity"] == pytest.approx(math.exp(losses.sum() / 11), rel=1e-5)
    train = tokenizer((corpus / "train.txt").read_text().splitlines()).values.numpy()
    of_ngrams = ngrams.kneser_ney(train, len(tokenizer), 5, END).log_probabilities(ids)
    both = mixed["weight"] * np.exp(-losses) + (1 - mixed["weight"]) * np.exp(of_ngrams)
    assert mixed["perplexity"] == pytest.approx(math.exp(-np.log(both).mean()), rel=1e-4)
    assert ("bits_per_character" in scores) == (unit != "wordpiece")
    if unit != "wordpiece":
        bits = losses.sum() / math.log(2) / characters
        assert scores["bits_per_character"] == pytest.approx(bits, rel=1e-5)

    records = [
        json.loads(line) for line in invoke("score", "--run", run, "--json", *lines).stdout.splitlines()
    ]
    for row, record in zip(rows, records, strict=True):
        found = [token["log_probability"] for token in record["tokens"]]
        assert found == pytest.approx(-losses_by_hand(run, row), abs=1e-4)

    result = invoke("generate", "--run", run, "--length=6", "--temperature=0", "--json", "a dog")
    (begun,) = tokenizer(["a dog"]).to_list()
    written = joined(run, greedy_by_hand(run, begun[:-1], 6)).decode("utf-8", "replace")
    assert json.loads(result.stdout) == {"prompt": "a dog", "text": written.removeprefix("a dog")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"a b c\n\x00\xff", "not UTF-8 text"),
        (b"a b\na b c\n" * 4, "but one batch needs 32 tokens (4 sequences of 8 steps)"),
        (b"word word word\n" * 50, "the vocabulary of the training text has only one token (word)"),
    ],
)
def test_bad_text_is_a_one_line_error(tmp_path, invoke, one_line, content, message):
    (tmp_path / "bad.txt").write_bytes(content)
    result = invoke("train", "--data", tmp_path / "bad.txt", "--run", tmp_path / "run", *TINY)
    assert message in one_line(result, 1)
    assert not (tmp_path / "run" / "options.json").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cutoffs=5,3", "--no-tied"], "must be increasing positive integers"),
        (["--cutoffs=a", "--no-tied"], "must be increasing positive integers"),
        (["--cutoffs=5"], "needs --no-tied"),
        (["--cutoffs=5", "--no-tied", "--unit=wordpiece"], "needs token ids sorted by frequency"),
        (["--cutoffs=500", "--no-tied", "--steps=8"], "the vocabulary has 15 entries"),
        (["--cutoffs=5", "--no-tied", "--samples=8"], "remove one of the two options"),
        (["--samples=3"], "must be 0 or at least 4"),
        (["--samples=8", "--unit=wordpiece"], "--samples needs token ids sorted by frequency"),
        (["--samples=8", "--unit=byte"], "--samples needs token ids sorted by frequency"),
        (["--cell=mingru", "--weight-dropout=0.1"], "--recurrent-dropout and --weight-dropout must be 0"),
        (
            ["--model=fixed-window", "--recurrent-dropout=0.1"],
            "--recurrent-dropout does not apply to --model fixed-window",
        ),
        (["--model=fixed-window", "--layers=3"], "--layers does not apply to --model fixed-window"),
        (["--window=3"], "--window does not apply to --model recurrent"),
        (["--average-after=3"], "--average-after needs --average"),
        (["--schedule=plateau", "--warmup=0.1"], "does not apply to --schedule plateau"),
        (
            ["--residual", "--layers=1", "--units=300", "--embedding-units=200"],
            "--units equal to --embedding-units; got 300 and 200",
        ),
        (["--jitter=8", "--steps=2"], "needs different sequence lengths near --steps 2"),
        (["--layers=1", "--layer-dropout=0.1"], "--layer-dropout needs two or more layers"),
        (["--unit=character", "--split=letters"], "--split does not apply to --unit character"),
        (["--unit=byte", "--vocabulary=100"], "--vocabulary does not apply to --unit byte"),
        (["--unit=byte", "--minimum-count=3"], "--minimum-count does not apply to --unit byte"),
        (["--data=embedded:code", "--split=letters"], "--split does not apply to --unit character"),
    ],
)
def test_invalid_options_are_a_one_line_error(tmp_path, corpus, invoke, one_line, options, message):
    result = invoke("train", "--data", corpus, "--run", tmp_path / "run", *options)
    assert message in one_line(result, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cache-weight=0.5"], "--cache-weight needs --cache; add --cache"),
        (["--dynamic-rate=0.5"], "--dynamic-rate needs --dynamic; add --dynamic"),
        (["--beside=nowhere"], "--beside nowhere is not a finished run"),
    ],
)
def test_options_of_a_disabled_method_are_a_one_line_error(run, invoke, one_line, options, message):
    assert message in one_line(invoke("evaluate", "--run", run, *options), 2)


@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize("model", [{}, {"model": "fixed-window"}, {"cell": "mingru"}, {"residual": True}])
def test_the_amount_of_text_determines_sizes_and_epochs(unit, model):
    few, many = (chosen_for(tokens, unit=unit, **model) for tokens in (50_000, 5_000_000))
    assert few.epochs > many.epochs
    assert few.batch_size <= many.batch_size
    assert few.input_dropout >= many.input_dropout
    assert (few.optimizer == "adam") or unit == "word"
    for options in (few, many):
        assert options.units == (200 if unit == "word" else 256)
        settings = options.model_settings(without=WITHOUT["model"][options.model])
        assert "auto" not in settings.values()
        assert set(options.automatic()) <= set(WITHOUT["model"][options.model])


def test_user_values_are_kept():
    options, (note,) = choose_options(resolve(Train, {"units": 7, "epochs": 2, "optimizer": "sgd"}), 50_000)
    assert (options.units, options.epochs, options.optimizer) == (7, 2, "sgd")
    assert "--units" not in note
    assert "--batch-size 10" in note
    assert choose_options(options, 50_000) == (options, [])


def test_presets_drop_options_that_do_not_apply():
    for preset in Train.presets:
        for chosen in ({"cell": "mingru"}, {"model": "fixed-window"}):
            options = chosen_for(10**6, preset=preset, **chosen)
            options.check()
            assert options.weight_dropout in (0, "auto")  # a window has no such weights
        for chosen in ({"unit": "character"}, {"unit": "byte"}, {"data": "embedded:code"}):
            options = resolve(Train, {"preset": preset, **chosen})
            options.check()
            assert options.split == "auto"
        options = chosen_for(10**6, preset=preset, layers=1)
        options.check()
        assert options.layer_dropout == 0
        assert chosen_for(10**6, preset=preset, layers=2).layer_dropout > 0
    assert resolve(Train, {"data": "embedded:code"}).unit == "character"
    assert resolve(Train, {"data": "embedded:code", "unit": "byte"}).unit == "byte"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, ("sgd", 20.0, 0.25)),
        ({"preset": "best"}, ("sgd", 30.0, 0.25)),
        ({"preset": "quick"}, ("adam", 0.003, 1.0)),
        ({"preset": "quick", "cell": "gru"}, ("adam", 0.002, 1.0)),
        ({"preset": "quick", "model": "fixed-window"}, ("adam", 0.002, 1.0)),
        ({"preset": "best", "model": "fixed-window"}, ("adam", 0.002, 1.0)),
        ({"model": "fixed-window", "optimizer": "sgd"}, ("sgd", 2.0, 0.25)),
        ({"cell": "gru"}, ("adam", 0.002, 1.0)),
        ({"preset": "best", "cell": "mingru"}, ("adam", 0.002, 1.0)),
        ({"cell": "rnn"}, ("adam", 0.0005, 1.0)),
        ({"preset": "quick", "cell": "rnn"}, ("adam", 0.0005, 1.0)),
        ({"cell": "rnn", "optimizer": "sgd", "learning_rate": 1.0}, ("sgd", 1.0, 0.25)),
        ({"cell": "rnn", "optimizer": "sgd"}, ("sgd", 2.0, 0.25)),
        ({"preset": "best", "cell": "gru", "optimizer": "sgd"}, ("sgd", 2.0, 0.25)),
        ({"preset": "quick", "cell": "gru", "optimizer": "sgd"}, ("sgd", 2.0, 0.25)),
        ({"optimizer": "rmsprop"}, ("rmsprop", 0.003, 1.0)),
        ({"optimizer": "rmsprop", "clipnorm": 5.0}, ("rmsprop", 0.003, 5.0)),
        ({"preset": "quick", "optimizer": "sgd"}, ("sgd", 20.0, 0.25)),
    ],
)
def test_cell_determines_optimizer_learning_rate_and_clipping(chosen, expected):
    options = chosen_for(10**6, **chosen)
    assert (options.optimizer, options.learning_rate, options.clipnorm) == expected


@pytest.mark.slow
def test_diverging_adaptation_is_a_one_line_error(run, invoke, one_line):
    result = invoke("evaluate", "--run", run, "--dynamic", "--dynamic-rate=100000")
    assert "--dynamic-rate 100000 makes dynamic evaluation diverge" in one_line(result, 1)


def test_infinity_is_null_in_json(run, invoke):
    result = invoke("evaluate", "--run", run, "--json", "--cache=1", "--cache-weight=1")
    assert result.exit_code == 0, result.stderr
    (scores,) = json.loads(result.stdout, parse_constant=pytest.fail)["variants"].values()
    assert scores["log_loss"] is None


def test_convert_has_no_length_option(run, invoke, one_line):
    assert "No such option" in one_line(invoke("convert", "--run", run, "--length", "5"), 2)


def test_jitter_samples_lengths_around_the_steps():
    assert resolve(Train, {"steps": 40, "jitter": 3}).lengths == [30, 40, 50]
    assert resolve(Train, {"steps": 40}).lengths == [40]
    assert len(resolve(Train, {"steps": 70, "jitter": 8}).lengths) == 8


@pytest.mark.slow
def test_fixed_window_model_has_a_tflite_file(window, invoke):
    copy = window.parent / "copy"
    shutil.copytree(window, copy)
    assert invoke("convert", "--run", copy).exit_code == 0
    assert isinstance(keras.models.load_model(copy / "model.keras"), FixedWindowModel)
    expected = perplexity_of(copy, "keras", invoke)
    assert perplexity_of(copy, "tflite", invoke) == pytest.approx(expected, rel=1e-5)
