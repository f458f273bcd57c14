"""Tests of targets, scores and thresholds of each kind of labels. scikit-learn computes the same scores."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import spearmanr
from sklearn import metrics

from apps.sentiment.kinds import kind_of, stored_kind
from apps.sentiment.multi_label_metrics import choose_thresholds, multi_label_scores
from apps.sentiment.regression_metrics import regression_scores

LABELS = {
    "single-label": ["good", "bad", "good"],
    "multi-label": ["a|b", "b", "|"],
    "regression": ["1.5", "2", "-3"],
}
CLASSES = {"single-label": ["bad", "good"], "multi-label": ["a", "b"], "regression": []}


def made(output):
    return kind_of(output, CLASSES[output], LABELS[output])


def test_targets() -> None:
    np.testing.assert_array_equal(made("single-label").targets(LABELS["single-label"]), [1, 0, 1])
    np.testing.assert_array_equal(
        made("multi-label").targets(LABELS["multi-label"]), [[1, 1], [0, 1], [0, 0]]
    )
    targets = made("regression").targets(LABELS["regression"])
    assert targets.mean() == pytest.approx(0, abs=1e-6)
    assert targets.std() == pytest.approx(1, abs=1e-6)
    back = made("regression").predictions(tf.constant(targets))
    np.testing.assert_allclose(back[:, 0], [1.5, 2, -3], rtol=1e-5)


@pytest.mark.parametrize("output", list(LABELS))
def test_a_stored_kind_makes_the_same_predictions(output) -> None:
    kind = made(output)
    if output == "multi-label":
        kind = kind.calibrated(np.array([[0.1, 0.9], [0.3, 0.4], [0.2, 0.1]]), kind.targets(LABELS[output]))
    twin = stored_kind(kind.classes, kind.facts())
    outputs = tf.random.stateless_normal((5, kind.settings["classes"]), (1, 2))
    np.testing.assert_array_equal(twin.predictions(outputs), kind.predictions(outputs))
    rows = kind.predictions(outputs).numpy()
    assert [twin.record(row) for row in rows] == [kind.record(row) for row in rows]
    served = kind.served(kind.predictions(outputs))
    assert tuple(served) == kind.served_names


def test_served_labels_are_those_of_the_record() -> None:
    kind = made("multi-label").calibrated(
        np.array([[0.9, 0.3], [0.2, 0.25], [0.1, 0.2]]), np.array([[1, 1], [0, 1], [0, 0]])
    )
    predictions = np.random.default_rng(1).uniform(size=(40, 2)).astype(np.float32) ** 2
    served = [label.decode() for label in kind.served(tf.constant(predictions))["labels"].numpy()]
    assert served == ["|".join(kind.record(row)["labels"]) for row in predictions]
    assert "" in served
    assert "a|b" in served


def test_thresholds_maximize_f1() -> None:
    random = np.random.default_rng(2)
    targets = (random.random((300, 2)) < [0.1, 0.6]).astype(int)
    probabilities = np.clip(0.3 * targets + random.uniform(0, 0.6, (300, 2)), 0, 1)
    for column, threshold in enumerate(choose_thresholds(probabilities, targets)):
        best = max(
            metrics.f1_score(targets[:, column], probabilities[:, column] >= each)
            for each in np.unique(probabilities[:, column])
        )
        own = metrics.f1_score(targets[:, column], probabilities[:, column] >= threshold)
        assert own == pytest.approx(best)


def test_a_rare_label_gets_the_common_threshold() -> None:
    targets = np.zeros((40, 2), int)
    targets[:20, 0] = 1
    targets[3, 1] = 1
    probabilities = np.where(targets, 0.4, 0.1)
    assert choose_thresholds(probabilities, targets) == pytest.approx([0.25, 0.25])


def test_multi_label_scores_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(3)
    targets = random.integers(0, 2, (50, 4))
    probabilities, thresholds = random.random((50, 4)), np.array([0.2, 0.5, 0.6, 0.9])
    chosen = probabilities >= thresholds
    scores = multi_label_scores(probabilities, targets, "abcd", thresholds)
    for name, average in (("micro_f1", "micro"), ("macro_f1", "macro")):
        assert scores[name] == pytest.approx(metrics.f1_score(targets, chosen, average=average))
    assert scores["exact_match"] == pytest.approx(metrics.accuracy_score(targets, chosen))
    assert scores["log_loss"] == pytest.approx(
        np.mean([metrics.log_loss(targets[:, each], probabilities[:, each]) for each in range(4)])
    )
    for name in ("micro_f1", "exact_match", "log_loss"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high


def test_one_label_has_scores() -> None:
    scores = multi_label_scores(np.array([[0.9], [0.2]]), np.array([[1], [0]]), ["spam"], np.array([0.5]))
    assert scores["micro_f1"] == scores["macro_f1"] == 1.0
    assert scores["per_label"]["spam"]["support"] == 1


def test_r2_does_not_depend_on_the_unit() -> None:
    true = np.random.default_rng(5).normal(size=50)
    for unit in (1e-9, 1.0, 1e9):
        scores = regression_scores(unit * (true + 0.1), unit * true)
        assert scores["r2"] == pytest.approx(1 - 0.01 / true.var())
    kind = kind_of("regression", [], ["0.00000001", "0.00000003"])
    assert kind.record(np.array([1.5e-8])) == {"value": 1.5e-8}
    assert kind.rendered({"value": 123456.78}) == "123456.8"


def test_regression_scores_agree_with_scikit_learn() -> None:
    random = np.random.default_rng(4)
    true = random.normal(5, 2, 80)
    predicted = true + random.normal(0, 1, 80)
    scores = regression_scores(predicted, true)
    assert scores["mae"] == pytest.approx(metrics.mean_absolute_error(true, predicted))
    assert scores["rmse"] == pytest.approx(metrics.root_mean_squared_error(true, predicted))
    assert scores["r2"] == pytest.approx(metrics.r2_score(true, predicted))
    assert scores["spearman"] == pytest.approx(spearmanr(true, predicted).statistic)
    for name in ("mae", "rmse", "r2"):
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high
    assert regression_scores(np.ones(3), np.arange(3.0))["spearman"] == 0
    with pytest.raises(ValueError, match="same shape"):
        regression_scores(np.ones(3), np.ones(2))
