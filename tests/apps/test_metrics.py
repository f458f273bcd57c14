"""Scores, compared with examples computed by hand, scikit-learn and the formulas of the papers."""

import json
import math

import numpy as np
import pytest
import sacrebleu
from sklearn.metrics import log_loss

from apps.language_modeling.metrics import language_scores
from apps.sentiment.metrics import SMALLEST_PROBABILITY, classification_scores
from apps.translation.metrics import translation_scores

pytestmark = pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")

CLASSES = ("bad", "fine", "good")
# Predictions 0, 0, 1, 1 for labels 0, 0, 1, 0; the class "good" neither occurs nor is predicted.
PROBABILITIES = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0]])
LABELS = np.array([0, 0, 1, 0])


def of_top_class(confidence, correct):
    """Returns the scores of a two-class model that always predicts class 0 with these confidences."""
    confidence = np.asarray(confidence, float)
    labels = np.where(correct, 0, 1)
    return classification_scores(np.stack([confidence, 1 - confidence], 1), labels, ("a", "b"))


def test_scores_by_hand_with_an_absent_class():
    scores = classification_scores(PROBABILITIES, LABELS, CLASSES)
    assert scores["examples"] == 4
    assert scores["accuracy"] == 0.75
    assert scores["confusion"] == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert scores["per_class"] == {
        "bad": {"precision": 1.0, "recall": pytest.approx(2 / 3), "f1": pytest.approx(0.8), "support": 3},
        "fine": {"precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3), "support": 1},
        "good": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0},
    }
    assert scores["macro_precision"] == pytest.approx((1 + 1 / 2) / 3)
    assert scores["macro_recall"] == pytest.approx((2 / 3 + 1) / 3)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 3)
    assert scores["log_loss"] == pytest.approx(-(math.log(0.8 * 0.6 * 0.7 * 0.1)) / 4)


def test_a_class_that_occurs_but_is_never_predicted_scores_zero():
    scores = classification_scores(PROBABILITIES, np.array([0, 0, 1, 2]), CLASSES)
    assert scores["per_class"]["good"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}
    assert scores["confusion"][2] == [0, 1, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_loss_equals_scikit_learn(dtype):
    generator = np.random.default_rng(1)
    probabilities = generator.dirichlet(np.ones(5), size=200).astype(dtype)
    labels = generator.integers(0, 5, 200)
    scores = classification_scores(probabilities, labels, "abcde")
    assert scores["log_loss"] == pytest.approx(log_loss(labels, probabilities, labels=range(5)), rel=1e-6)


def test_a_confident_mistake_costs_the_same_in_every_dtype():
    certain = np.array([[1.0, 0.0], [1.0, 0.0]])
    for dtype in (np.float16, np.float32, np.float64):
        scores = classification_scores(certain.astype(dtype), [0, 1], ("a", "b"))
        assert scores["log_loss"] == pytest.approx(-math.log(SMALLEST_PROBABILITY) / 2)


def test_calibration_error_by_hand():
    # Two examples in (8/15, 9/15], one correct; two in (12/15, 13/15], both correct.
    scores = of_top_class([0.55, 0.59, 0.81, 0.85], [True, False, True, True])
    first, second = scores["calibration"]
    assert first == pytest.approx(
        {"lower": 8 / 15, "upper": 9 / 15, "confidence": 0.57, "accuracy": 0.5, "count": 2}
    )
    assert second == pytest.approx(
        {"lower": 12 / 15, "upper": 13 / 15, "confidence": 0.83, "accuracy": 1.0, "count": 2}
    )
    assert scores["calibration_error"] == pytest.approx((2 * 0.07 + 2 * 0.17) / 4)


def test_calibration_error_is_zero_if_confidence_equals_accuracy():
    confidence = [0.75] * 4 + [0.9] * 10 + [1.0] * 3
    correct = [True] * 3 + [False] + [True] * 9 + [False] + [True] * 3
    assert of_top_class(confidence, correct)["calibration_error"] == pytest.approx(0, abs=1e-12)


def test_bins_contain_their_upper_edge_and_not_their_lower():
    edge = np.linspace(0, 1, 16)[9]
    bins = of_top_class([edge, np.nextafter(edge, 1), 1.0], [True, True, True])["calibration"]
    assert [entry["upper"] for entry in bins] == pytest.approx([9 / 15, 10 / 15, 1])
    assert [entry["count"] for entry in bins] == [1, 1, 1]


@pytest.mark.parametrize(("correct", "count"), [(8, 10), (0, 5), (5, 5), (431, 872)])
def test_accuracy_interval_is_the_wilson_interval(correct, count):
    z, share = 1.959963984540054, correct / count
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scores = of_top_class([0.9] * count, np.arange(count) < correct)
    assert scores["accuracy_interval"] == pytest.approx([center - half, center + half], abs=1e-12)


def test_accuracy_interval_of_a_textbook_example():
    assert of_top_class([0.9] * 10, np.arange(10) < 8)["accuracy_interval"] == pytest.approx(
        [0.4902, 0.9433], abs=5e-5
    )


@pytest.mark.parametrize(("classes", "label"), [(2, 0), (2, 1), (7, 3)])
def test_one_example_is_enough(classes, label):
    probabilities = np.full((1, classes), 1 / classes)
    names = [f"class {index}" for index in range(classes)]
    scores = classification_scores(probabilities, [label], names)
    assert scores["accuracy"] == float(label == 0)
    assert np.sum(scores["confusion"]) == 1
    assert scores["log_loss"] == pytest.approx(math.log(classes))


def test_scores_are_strict_json():
    scores = classification_scores(PROBABILITIES.astype(np.float32), LABELS, CLASSES)
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@pytest.mark.parametrize(
    ("probabilities", "labels", "classes", "message"),
    [
        (PROBABILITIES, LABELS[:3], CLASSES, r"got the shapes \(4, 3\) and \(3,\)"),
        (PROBABILITIES, LABELS, CLASSES[:2], "2 class names"),
        (PROBABILITIES[:, 0], LABELS, CLASSES, r"expected probabilities of shape \(n, classes\)"),
        (PROBABILITIES, LABELS[:, None], CLASSES, r"shapes \(4, 3\) and \(4, 1\)"),
        (np.zeros((0, 3)), np.zeros(0, int), CLASSES, "at least one example"),
        (PROBABILITIES, LABELS, ("a", "b", "a"), "two or more different names"),
        (np.ones((4, 1)), LABELS * 0, ("a",), "two or more different names"),
        (PROBABILITIES, LABELS + 2, CLASSES, "integers from 0 to 2, .* from 2 to 3"),
        (PROBABILITIES, LABELS - 1, CLASSES, "from -1 to 0"),
        (PROBABILITIES, LABELS.astype(float), CLASSES, "got float64"),
        (PROBABILITIES, LABELS == 0, CLASSES, "got bool"),
        (PROBABILITIES * [[1], [1], [1.002], [1]], LABELS, CLASSES, "sum 1.002 .* in row 2"),
        (PROBABILITIES * [[1], [np.nan], [1], [1]], LABELS, CLASSES, "sum nan .* in row 1"),
        ([[1.5, -0.5]], [0], ("a", "b"), "minimum -0.5"),
    ],
)
def test_invalid_input_is_a_one_line_error(probabilities, labels, classes, message):
    with pytest.raises(ValueError, match=message) as error:
        classification_scores(probabilities, labels, classes)
    assert "\n" not in str(error.value)


def test_sums_with_half_precision_rounding_are_accepted():
    scores = classification_scores(PROBABILITIES * 1.0009, LABELS, CLASSES)
    assert scores["accuracy"] == 0.75
    assert [entry["upper"] for entry in scores["calibration"]][-1] <= 1


def test_language_scores_by_hand():
    """Tokens with the probabilities 1/2, 1/4 and 1/8 cost 6 bits. The text has 2 words and 12 characters."""
    scores = language_scores(-np.log([1 / 2, 1 / 4, 1 / 8]), words=2, characters=12)
    assert (scores["tokens"], scores["words"]) == (3, 2)
    assert scores["perplexity"] == pytest.approx(4)
    assert scores["word_perplexity"] == pytest.approx(8)
    assert scores["bits_per_character"] == pytest.approx(0.5)
    assert scores["log_loss"] == pytest.approx(math.log(4))
    assert "bits_per_character" not in language_scores([1.0], words=1)


@pytest.mark.parametrize("arguments", [([], 1, 1), ([1.0], 0, 1), ([1.0], 1, 0)])
def test_language_scores_of_no_text_are_refused(arguments):
    with pytest.raises(ValueError, match="the text to score is empty"):
        language_scores(*arguments)


def test_translation_scores_equal_sacrebleu():
    references = ["The cat sat on the mat.", "A dog!"]
    perfect = translation_scores(references, references)
    assert (perfect["bleu"], perfect["chrf"], perfect["length_ratio"]) == (pytest.approx(100), 100, 1)
    assert "tok:13a" in perfect["bleu_signature"]
    assert "case:mixed" in perfect["bleu_signature"]
    assert "nc:6" in perfect["chrf_signature"]
    hypotheses = ["the cat sat on a mat.", "A dog!"]
    expected = sacrebleu.corpus_bleu(hypotheses, [references])
    assert translation_scores(hypotheses, references)["bleu"] == pytest.approx(expected.score)
    with pytest.raises(ValueError, match="got 1 translations for 2 references"):
        translation_scores(["one"], references)
