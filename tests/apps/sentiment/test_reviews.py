"""The embedded reviews: held-out combinations, the meaning of the labels, and well-formed texts."""

import re
from collections.abc import Callable

import pytest

from apps.sentiment import bag_of_words
from apps.sentiment.kinds import SingleLabel
from apps.sentiment.reviews import ADJECTIVES, CONSTRUCTIONS, EXTREMES, NOUNS, SIZES, reviews, splits

POLARITY = {
    word: sign
    for columns in (*ADJECTIVES.values(), EXTREMES, NOUNS)
    for words, sign in zip(columns, (1, -1))
    for word in words.split()
}


@pytest.fixture(scope="module")
def rows():
    return reviews(0)


@pytest.fixture(scope="module")
def every_row(rows):
    return [review for split in rows.values() for review in split]


def words(text):
    return set(re.findall(r"[\w']+", text.lower()))


def test_sizes_balance_and_distinct_texts(rows, every_row):
    assert {split: len(rows[split]) for split in rows} == SIZES
    for split in rows.values():
        assert [review.label for review in split].count("positive") == len(split) / 2
    assert len({review.text for review in every_row}) == len(every_row) >= 20_000


@pytest.mark.parametrize("seed", [0, 1])
def test_only_combinations_are_new_in_valid_and_test(seed):
    rows = reviews(seed)
    combinations = {split: {review.combination for review in rows[split]} for split in rows}
    assert not combinations["train"] & (combinations["valid"] | combinations["test"])
    assert not combinations["valid"] & combinations["test"]
    vocabulary = {split: set().union(*(words(review.text) for review in rows[split])) for split in rows}
    assert vocabulary["valid"] | vocabulary["test"] <= vocabulary["train"]
    for split in rows.values():
        assert {review.construction for review in split} == set(CONSTRUCTIONS)


def test_a_combination_has_the_construction_and_words_of_the_text(every_row):
    for review in every_row:
        construction, *rest = review.combination
        assert construction == review.construction
        assert set(rest) <= words(review.text)


@pytest.mark.slow
def test_splits_depend_on_the_seed_only(rows):
    again = splits(0)
    assert again == {split: [(each.text, each.label) for each in rows[split]] for split in rows}
    assert splits(1)["train"] != again["train"]


def test_texts_are_well_formed(every_row):
    for review in every_row:
        text = re.sub("Friday|March", "then", review.text)
        assert re.fullmatch(r"[A-Z][A-Za-z',;. ]*[a-z]\.", text)
        misplaced = r" [ ,;.]|[,;.](?! |$)|[,;.] ?[,;.]|\. [a-z]|[a-z,;] [A-HJ-Z]|\bi\b"
        assert not re.search(misplaced, text), text
        assert 4 <= len(text.split()) <= 60


def test_no_construction_predicts_the_label(rows):
    for name in CONSTRUCTIONS:
        labels = [review.label for review in rows["train"] if review.construction == name]
        assert 0.45 < labels.count("positive") / len(labels) < 0.55


# Maps the pattern of a decisive sentence to a function. The function computes the polarity of the sentence
# from the polarities of its words (1 or -1). CLAIM matches a statement with one such word.
CLAIM = r"(?:the \w+|it) (?:was|had) (\w+)"
NEGATED = r"(?:the \w+|it) was (?:not|never|anything but|by no means) (\w+)"
READINGS: dict[str, Callable[..., int]] = {
    rf"{CLAIM}\.(?! Still)": lambda word: word,
    rf"{NEGATED}\.(?! Still)": lambda word: -word,
    r"the \w+ was without (\w+)\.(?! Still)": lambda word: -word,
    r"the \w+ was not without (\w+)\.(?! Still)": lambda word: word,
    rf"not that it matters to you, but {CLAIM}\.": lambda word: word,
    rf"nobody can deny that {CLAIM}\.": lambda word: word,
    rf"(?:I would not say|it is not true|nobody could say) that {CLAIM}\.": lambda word: -word,
    rf"(?:I would not say|it is not true|nobody could say) that {NEGATED}\.": lambda word: word,
    rf"\w+ \w+, who was wrong, said that {CLAIM}\.": lambda word: -word,
    rf"\w+ \w+ said that {CLAIM}, and that is true\.": lambda word: word,
    rf"{CLAIM}, but {CLAIM}\.": lambda first, second: second,
    rf"{NEGATED}, but {NEGATED}\.": lambda first, second: -second,
    rf"{CLAIM}\. Still, {CLAIM}\.": lambda first, second: second,
    rf"although {CLAIM}, {CLAIM}\.": lambda first, second: second,
    rf"{CLAIM}, although {CLAIM}\.": lambda first, second: first,
    r"the \w+ was slightly (\w+), and the \w+ was extremely (\w+)\.": lambda first, second: second,
    r"the \w+ was extremely (\w+), and the \w+ was slightly (\w+)\.": lambda first, second: first,
    rf"I had read that {CLAIM}; the truth is that {CLAIM}\.": lambda first, second: second,
    rf"{CLAIM}, although \w+ \w+ had told me that {CLAIM}\.": lambda first, second: first,
    rf"at first {CLAIM}, but later {CLAIM}\.": lambda first, second: second,
    rf"in the end {CLAIM}, after a time when {CLAIM}\.": lambda first, second: first,
}


@pytest.mark.parametrize("sentence", READINGS)
def test_the_label_is_the_meaning_of_the_sentence(every_row, sentence):
    pattern = re.compile(rf"(?:^|\. )(?i:{sentence})")
    understood = []
    for review in every_row:
        match = pattern.search(review.text)
        if match and POLARITY.keys() >= set(match.groups()):
            meaning = READINGS[sentence](*(POLARITY[word] for word in match.groups()))
            understood.append((meaning > 0) == (review.label == "positive"))
    assert understood
    assert all(understood)


def test_bags_of_words_do_not_learn_the_labels():
    """Baselines without word order stay below 70 %, although every label follows from its text."""
    classes = ("negative", "positive")
    data = splits(0)
    texts, labels = (list(column) for column in zip(*data["train"]))
    kind = SingleLabel(classes)
    _, bayes, regression = bag_of_words.fit(texts, kind.targets(labels), kind)
    texts, labels = (list(column) for column in zip(*data["test"]))
    for baseline in (bayes, regression):
        predicted = [classes[each] for each in baseline.predict(texts).argmax(axis=1)]
        accuracy = sum(map(str.__eq__, predicted, labels)) / len(labels)
        assert 0.5 < accuracy < 0.7
