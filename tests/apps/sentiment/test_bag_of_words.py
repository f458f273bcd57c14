"""Bag-of-words baselines: probabilities by hand, and learning of countable features."""

import numpy as np
import pytest

from apps.sentiment import bag_of_words
from apps.sentiment.kinds import SingleLabel
from seqmodels.errors import DataError

CLASSES = ("bad", "fair", "good")
TEXTS = ["a dull film", "dull and long", "it is a film", "a lovely film", "lovely and short", "a lovely book"]
LABELS = ["bad", "bad", "fair", "good", "good", "good"]


def fit(texts, labels, classes, valid=None):
    kind = SingleLabel(classes)
    valid = None if valid is None else (valid[0], kind.targets(valid[1]))
    return bag_of_words.fit(texts, kind.targets(labels), kind, valid)


@pytest.fixture(scope="module")
def baselines():
    return {baseline.name: baseline for baseline in fit(TEXTS, LABELS, CLASSES)}


def test_names_in_order_of_strength(baselines):
    assert list(baselines) == ["majority", "naive Bayes", "logistic regression"]


@pytest.mark.parametrize("name", ["majority", "naive Bayes", "logistic regression"])
def test_probabilities_are_distributions(baselines, name):
    probabilities = baselines[name].predict(["a dull book", "", "never seen words", "LOVELY!"])
    assert probabilities.shape == (4, 3)
    assert probabilities.dtype == np.float64
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


def test_majority_gives_the_class_frequencies(baselines):
    np.testing.assert_array_equal(baselines["majority"].predict(["x", "y"]), [[2 / 6, 1 / 6, 3 / 6]] * 2)


@pytest.mark.parametrize("name", ["naive Bayes", "logistic regression"])
def test_learns_words_of_each_class(baselines, name):
    predicted = baselines[name].predict(["Dull.", "it is", "so LOVELY"]).argmax(axis=1)
    assert [CLASSES[each] for each in predicted] == ["bad", "fair", "good"]


@pytest.mark.parametrize("name", ["naive Bayes", "logistic regression"])
@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("is good, not bad", "is bad, not good"),
        ("did n't", "did a n't"),
        ("well!", "well?"),
        ("don't", "don t"),
    ],
)
def test_uses_bigrams_short_words_and_marks(name, positive, negative):
    fitted = fit([positive, negative], ["good", "bad"], ("bad", "good"))
    (model,) = (baseline for baseline in fitted if baseline.name == name)
    np.testing.assert_array_equal(model.predict([positive, negative]).argmax(axis=1), [1, 0])


def test_naive_bayes_by_hand():
    texts, labels = ["good good film", "bad film", "bad"], ["good", "bad", "bad"]
    _, bayes, _ = fit(texts, labels, ("bad", "good"))
    # The vocabulary has six 1- and 2-grams. The texts of each class contain four n-grams, so both
    # denominators are 4 + 6. The n-grams "good", "film" and "good film" each occur in one good text. Of these
    # n-grams, only "film" occurs in a bad text.
    good = 1 / 3 * (2 / 10) ** 3
    bad = 2 / 3 * (1 / 10) * (2 / 10) * (1 / 10)
    np.testing.assert_allclose(
        bayes.predict(["good film"]), [[bad / (bad + good), good / (bad + good)]], rtol=1e-12
    )


@pytest.mark.parametrize("name", ["naive Bayes", "logistic regression"])
def test_predicted_texts_do_not_change_the_model(baselines, name):
    probabilities = baselines[name].predict
    alone = probabilities(["a dull book"])
    np.testing.assert_array_equal(probabilities(["a dull book", "dull dull brilliant"])[:1], alone)
    np.testing.assert_array_equal(probabilities(["brilliant brilliant"]), probabilities([""]))
    np.testing.assert_array_equal(probabilities(["a dull brilliant book"]).shape, (1, 3))
    np.testing.assert_array_equal(probabilities(["a dull book"]), alone)


@pytest.mark.parametrize("present", [("bad", "good"), ("bad", "fair")])
def test_an_absent_class_has_probability_zero(present):
    classes = ("absent", *CLASSES)
    for baseline in fit(["dull", "lovely", "dull book"], [*present, present[0]], classes):
        probabilities = baseline.predict(["dull", "lovely"])
        np.testing.assert_allclose(probabilities[:, [classes.index(each) for each in present]].sum(axis=1), 1)
        assert probabilities[0, 1] > 0.5


def test_one_class_is_refused():
    with pytest.raises(DataError, match="all 2 training texts have the same label"):
        fit(["a", "b"], ["good", "good"], CLASSES)


def test_texts_without_words_are_refused():
    with pytest.raises(DataError, match="none of the 2 training texts has a word"):
        fit(["", " \n"], ["good", "bad"], CLASSES)


VALID = (["a dull film", "a lovely film"], ["bad", "good"])


def test_without_validation_texts_the_features_are_words(baselines):
    assert [each.features for each in baselines.values()] == ["", bag_of_words.WORDS, bag_of_words.WORDS]


def test_texts_of_marks_only_are_classified_by_characters():
    fitted = fit(["+++", "---"], ["good", "bad"], ("bad", "good"))
    assert {each.features for each in fitted[1:]} == {bag_of_words.CHARACTERS}
    for baseline in fitted[1:]:
        np.testing.assert_array_equal(baseline.predict(["++", "--"]).argmax(axis=1), [1, 0])


def test_validation_chooses_characters_if_the_words_are_new():
    """The end of a word decides the class. Every word occurs once, so the words themselves are useless."""
    random = np.random.default_rng(0)
    ends = {"bad": "zzq", "good": "xxk"}
    labels = [("bad", "good")[index % 2] for index in range(120)]
    texts = ["".join(random.choice(list("abcdefgh"), 6)) + ends[label] for label in labels]
    assert len(set(texts)) == len(texts)
    fitted = fit(texts[:60], labels[:60], ("bad", "good"), (texts[60:], labels[60:]))
    for baseline in fitted[1:]:
        assert baseline.features == bag_of_words.CHARACTERS
        assert np.mean(np.array(["bad", "good"])[baseline.predict(texts).argmax(axis=1)] == labels) == 1


def test_validation_chooses_words_if_only_their_order_within_the_text_counts():
    random = np.random.default_rng(0)
    nouns = ["abcd", "bcda", "cdab", "dabc", "badc", "dcba"]
    texts = [f"{random.choice(nouns)} {random.choice(nouns)} {random.choice(nouns)}" for _ in range(400)]
    labels = ["good" if "abcd" in text.split() else "bad" for text in texts]
    fitted = fit(texts[:200], labels[:200], ("bad", "good"), (texts[200:], labels[200:]))
    bayes, regression = fitted[1:]
    assert regression.features == bag_of_words.WORDS
    assert bayes.name == "naive Bayes"


def test_a_sample_decides_in_a_large_training_split(monkeypatch, capsys):
    monkeypatch.setattr(bag_of_words, "SAMPLE", sum(map(len, TEXTS)) - 1)
    names = [each.name for each in fit(TEXTS, LABELS, CLASSES, VALID)]
    assert names == ["majority", "naive Bayes", "logistic regression"]
    assert "5 of 6 training texts decided between words and characters" in capsys.readouterr().err
