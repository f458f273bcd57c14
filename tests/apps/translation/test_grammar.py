"""The grammar of English and French: spelling, agreement, word order and links."""

import re

import pytest

from apps.translation import grammar


@pytest.fixture(scope="module")
def sentences():
    return [sentence for split in grammar.sentences().values() for sentence in split]


def test_sizes_and_unique_english_sentences(sentences):
    splits = grammar.sentences()
    assert {name: len(rows) for name, rows in splits.items()} == grammar.SIZES
    assert grammar.SIZES["train"] >= 50_000
    assert len({sentence.english for sentence in sentences}) == len(sentences)


def test_every_french_word_is_linked_and_most_english_ones(sentences):
    for sentence in sentences[:2000]:
        assert {french for _, french in sentence.links} == set(range(len(sentence.french)))
        assert {english for english, _ in sentence.links} == set(range(len(sentence.english)))


# Errors of French spelling: elision, contraction, articles and adjectives before vowels.
WRONG = (
    r"\b(le|la|je|ne|de|que|ce|beau|nouveau) [aeiouéèêâîôûh]",
    r"\bma [aeiouéèêâîôûh]",
    r"\bde les? \w",
    r"\b(l|d|n|j|qu)'[^aeiouéèêâîôûhOAEH]",
    r"\b(un|le|mon|ce|cet) (fille|femme|reine|maison|voiture|pomme)\b",
    r"\b(une|la|cette) (chat|chien|livre|jardin|chapeau)\b",
    r"\b(nous|je) \w+ent\b",
    r"  |' | \.",
)


@pytest.mark.parametrize("pattern", WRONG)
def test_french_spelling(sentences, pattern):
    found = [sentence.texts[1] for sentence in sentences if re.search(pattern, sentence.texts[1])]
    assert not found


def test_word_order_agreement_and_negation(sentences):
    """Checks the French translation of pairs that are chosen by their English text."""
    by_english = {sentence.texts[0]: sentence.texts[1] for sentence in sentences}
    patterns = {
        r"^The black cat\b": r"^Le chat noir\b",
        r"^She did not see him\b": r"^Elle ne l'a pas vu\b",
        r"^(He|Paul) never \w+ her yesterday\.$": r" ne l'a jamais \w+e hier\.$",
        r"^My friend\b": r"^Mon ami\b",
        r"doctor's house": r"maison (du|de mon) médecin",
    }
    for english, french in patterns.items():
        matching = [other for text, other in by_english.items() if re.search(english, text)]
        assert matching, english
        assert all(re.search(french, other) for other in matching), (english, matching[:3])
    links = {"chat": "cat", "noir": "black"}
    for sentence in sentences:
        if sentence.english[:3] == ("the", "black", "cat"):
            named = {sentence.french[f]: sentence.english[e] for e, f in sentence.links}
            assert links.items() <= named.items()


def test_same_seed_generates_the_same_sentences():
    first, again = (grammar._Writer(grammar.Random(5)) for _ in range(2))
    assert [first.sentence() for _ in range(20)] == [again.sentence() for _ in range(20)]
