"""The verdict sentence of all apps, the stored contributions of the baselines, and the end of a training."""

import json

import numpy as np
import pytest

from apps.baseline_units import read_units, units_of, without_units, write_units
from apps.language_modeling.metrics import block_sums, language_scores, language_verdict
from apps.options import TrainOptions
from apps.run import Run
from apps.sentiment.metrics import ACCURACY, classification_scores
from apps.sentiment.options import Train
from apps.summary import next_steps, print_summary
from apps.translation.metrics import sentence_statistics, translation_scores, translation_verdict
from apps.verdict import Measure, against_best, verdict, with_interval
from seqmodels.errors import DataError
from seqmodels.evaluation import PairedTest, mcnemar


def test_sentence_of_an_accuracy():
    test = PairedTest(0.032, [0.011, 0.053], 0.003, "McNemar")
    found = verdict(ACCURACY, 0.773, "logistic regression", 0.741, test)
    assert found["sentence"] == (
        "The model is significantly better than the best baseline, logistic regression (accuracy 77.3 % "
        "against 74.1 %, difference 3.2 points, 95 % interval 1.1 to 5.3, p = 0.003, McNemar)."
    )
    assert found["conclusion"] == "better"
    assert (found["difference"], found["interval"], found["p"]) == (0.032, [0.011, 0.053], 0.003)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("higher", "effect", "conclusion"),
    [(True, 0.1, "better"), (True, -0.1, "worse"), (False, 0.1, "worse"), (False, -0.1, "better")],
)
def test_direction_of_the_conclusion(higher, effect, conclusion):
    test = PairedTest(effect, sorted([effect / 2, effect * 2]), 0.0001, "paired bootstrap")
    found = verdict(Measure("CRPS", higher), 1.0 + effect, "ETS", 1.0, test)
    assert found["conclusion"] == conclusion
    assert f"significantly {conclusion} than the best baseline, ETS" in found["sentence"]
    assert "p < 0.001" in found["sentence"]


def test_ratio_below_one_is_better_for_a_perplexity():
    measure = Measure("perplexity", higher_is_better=False, ratio=True, digits=2)
    test = PairedTest(0.9, [0.88, 0.92], 0.01, "paired bootstrap", 1.0)
    found = verdict(measure, 90.0, "Kneser-Ney, 5-grams", 100.0, test)
    assert found["conclusion"] == "better"
    assert "perplexity 90.00 against 100.00, ratio 0.900, 95 % interval 0.880 to 0.920" in found["sentence"]
    assert "difference" not in found


def test_insignificant_difference_may_be_due_to_chance():
    found = verdict(ACCURACY, 0.5, "majority", 0.5, PairedTest(0.0, None, 1.0, "McNemar"))
    assert found["sentence"] == (
        "The model is not significantly different from the best baseline, majority (accuracy 50.0 % against "
        "50.0 %, difference 0.0 points, p = 1.00, McNemar). The difference may be due to chance."
    )


def test_an_interval_that_contains_no_difference_is_not_significant():
    assert not PairedTest(0.05, [-0.001, 0.1], 0.04, "McNemar").significant


def test_model_is_compared_with_the_best_baseline():
    random = np.random.default_rng(0)
    own, weak, strong = (random.random(500) < share for share in (0.9, 0.5, 0.7))
    found = against_best(ACCURACY, own, {"weak": weak, "strong": strong}, np.mean, mcnemar)
    assert (found["baseline"], found["conclusion"]) == ("strong", "better")
    assert found["difference"] == pytest.approx(own.mean() - strong.mean())


def test_language_verdict_is_the_ratio_of_perplexities():
    losses = np.random.default_rng(0).exponential(2, 4321)
    same = np.random.default_rng(1).permutation(losses)
    blocks = {name: block_sums(each) for name, each in (("KN", losses), ("unigram", losses + 1))}
    found = language_verdict(block_sums(losses - 0.05), blocks)
    assert (found["baseline"], found["conclusion"]) == ("KN", "better")
    assert found["ratio"] == pytest.approx(np.exp(-0.05))
    assert found["model"] == pytest.approx(language_scores(losses - 0.05)["perplexity"])
    assert language_verdict(block_sums(same), blocks)["conclusion"] == "not significantly different"


@pytest.mark.parametrize(("tokens", "blocks"), [(1, 1), (49, 1), (100, 2), (4321, 86), (70_001, 1000)])
def test_blocks_contain_every_token_once(tokens, blocks):
    losses = np.random.default_rng(0).random(tokens)
    sums = block_sums(losses)
    assert sums.shape == (blocks, 2)
    assert sums.sum(axis=0) == pytest.approx([losses.sum(), tokens])
    assert np.ptp(sums[:, 1]) <= 1


def test_intervals_of_a_language_model_are_consistent():
    losses = np.random.default_rng(0).exponential(2, 5000)
    scores = language_scores(losses, words=4000, characters=20_000)
    for name in ("log_loss", "perplexity", "word_perplexity", "bits_per_character"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high, name
    assert np.exp(scores["log_loss_interval"]) == pytest.approx(scores["perplexity_interval"])
    assert language_scores([1.0, 2.0], 1, 2)["perplexity_interval"] is None


def test_intervals_of_a_classifier_contain_its_scores():
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(4), 300)
    labels = np.where(random.random(300) < 0.6, probabilities.argmax(axis=1), random.integers(0, 3, 300))
    scores = classification_scores(probabilities, labels, "abcd")
    for name in ("accuracy", "macro_f1", "log_loss"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high, name
        assert high - low < 0.5
    assert classification_scores(probabilities[:1], labels[:1], "abcd")["macro_f1_interval"] is None


REFERENCES = [f"{name} sees {count} red birds today" for name in "abcdefgh" for count in range(2, 7)]


def test_translation_verdict_uses_bleu_for_texts_with_spaces():
    copies = [text.replace("red", "blue") for text in REFERENCES]
    bad = [" ".join(reversed(text.split())) for text in REFERENCES]
    counts = {name: sentence_statistics(each, REFERENCES) for name, each in (("copy", copies), ("bad", bad))}
    found = translation_verdict(sentence_statistics(REFERENCES, REFERENCES), counts)
    assert (found["score"], found["baseline"], found["conclusion"]) == ("BLEU", "copy", "better")
    assert found["model"] == pytest.approx(100)
    assert found["baseline_score"] == pytest.approx(translation_scores(copies, REFERENCES)["bleu"])


def test_translation_verdict_uses_chrf_for_texts_without_spaces():
    references = [text.replace(" ", "") for text in REFERENCES]
    counts = sentence_statistics(references, references)
    assert translation_verdict(counts, {"copy": counts})["score"] == "chrF"


def test_intervals_of_translations_contain_the_scores():
    copies = [text if index % 3 else text.upper() for index, text in enumerate(REFERENCES)]
    scores = translation_scores(copies, REFERENCES)
    for name in ("bleu", "chrf"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high
    assert "bleu_interval" not in translation_scores(copies, REFERENCES, intervals=False)
    assert translation_scores(["a"], ["a"])["bleu_interval"] is None


def test_contributions_of_the_baselines_are_stored(tmp_path):
    fitted = {"a, b (c)": {"bleu": 1.0, "units": np.arange(6).reshape(3, 2)}, "d": {"bleu": 2.0}}
    run = Run(tmp_path)
    assert read_units(run) is None
    write_units(run, units_of(fitted))
    ((name, found),) = read_units(run).items()
    assert name == "a, b (c)"
    np.testing.assert_array_equal(found, fitted[name]["units"])
    assert without_units(fitted) == {"a, b (c)": {"bleu": 1.0}, "d": {"bleu": 2.0}}
    run.require_no_strangers()


@pytest.mark.parametrize("keep", [0, 20, 100, -30])
def test_damaged_contributions_are_refused(tmp_path, keep):
    run = Run(tmp_path)
    write_units(run, {"a": np.arange(1000)})
    content = (tmp_path / "baselines.npz").read_bytes()
    (tmp_path / "baselines.npz").write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"baselines.npz is damaged \(.*\); train the run again") as error:
        read_units(run)
    assert "\n" not in str(error.value)


def test_next_steps_follow_from_the_conclusion():
    plain, best = Train(run="folder"), Train(run="folder", preset="best")
    assert next_steps("better", "sentiment", plain, True) == (
        "Next: `python -m apps.sentiment evaluate --run folder` scores the test split."
    )
    assert next_steps("not significantly different", "sentiment", plain, False) == (
        "Next: try --preset best or more training data."
    )
    assert next_steps("worse", "sentiment", best, False) == (
        "Next: use the baseline, or try more training data."
    )
    longer = "a longer training, because the last epoch was the best one"
    assert next_steps("worse", "sentiment", plain, True) == (
        f"Next: use the baseline, or try {longer} (--epochs), --preset best or more training data."
    )
    timed = Train(run="folder", minutes=1.0)
    assert f"{longer} (--minutes and --epochs)" in next_steps("worse", "sentiment", timed, True)
    assert "--preset" not in next_steps("worse", "count", TrainOptions(run="folder"), False)


def test_summary_shows_every_row_and_one_last_line(capsys):
    compared = {
        "rows": {"majority": {"accuracy": 0.5}, "model": {"accuracy": 0.75, "log loss": 0.4}},
        "verdict": verdict(ACCURACY, 0.75, "majority", 0.5, PairedTest(0.25, [0.1, 0.4], 0.001, "McNemar")),
        "examples": " (40 texts)",
    }
    print_summary(compared, "sentiment", Train(run="folder"), improving=False)
    title, *rows, last = capsys.readouterr().err.splitlines()
    assert title.split() == ["validation", "(40", "texts)", "accuracy", "log", "loss"]
    assert [row.split() for row in rows] == [["majority", "0.5"], ["model", "0.75", "0.4"]]
    assert last.startswith("validation: The model is significantly better than the best baseline, majority")
    assert last.endswith("scores the test split.")


def test_cell_with_an_interval():
    assert with_interval("90.0%", [0.8, 0.95], ".1%") == "90.0%\n80.0% to 95.0%"
    assert with_interval("90.0%", None, ".1%") == "90.0%"
