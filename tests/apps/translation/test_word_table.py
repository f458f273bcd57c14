"""IBM model 1, compared with the equations of the paper and with the known alignments of the grammar."""

from __future__ import annotations

from collections import defaultdict

import pytest

from apps.translation import grammar, word_table

SOURCES = [["the", "house"], ["the", "book"], ["a", "book"], ["the", "the", "house"]]
TARGETS = [["la", "maison"], ["le", "livre"], ["un", "livre"], ["la", "maison", "la"]]


def by_hand(iterations: int) -> dict[tuple[str, str], float]:
    """Computes the equations of Brown et al. 1993, section 4.1, one pair and one word at a time."""
    t: dict[tuple[str, str], float] = defaultdict(lambda: 1.0)
    for _ in range(iterations):
        counts: dict[tuple[str, str], float] = defaultdict(float)
        for source, target in zip(SOURCES, TARGETS):
            candidates = ["NULL", *source]
            for f in target:
                total = sum(t[e, f] for e in candidates)
                for e in candidates:
                    counts[e, f] += t[e, f] / total
        totals: dict[str, float] = defaultdict(float)
        for (e, _), count in counts.items():
            totals[e] += count
        t = defaultdict(float, {(e, f): count / totals[e] for (e, f), count in counts.items()})
    return t


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_equals_the_papers_equations(iterations: int) -> None:
    model = word_table.fit(SOURCES, TARGETS, iterations)
    numbers = {"NULL": word_table.NULL, **model.sources}
    expected = by_hand(iterations)
    assert len(model.table) == len(expected)
    for (e, f), probability in expected.items():
        assert model.table[numbers[e], model.targets[f]] == pytest.approx(probability)


def test_translates_word_by_word_and_keeps_unknown_words() -> None:
    model = word_table.fit(SOURCES, TARGETS)
    assert model.translate(["house", "Zanzibar", "book"]) == ["maison", "Zanzibar", "livre"]
    assert model.align(["a", "house"], ["maison", "unseen"]) == [1, None]


@pytest.mark.slow
def test_finds_most_of_the_alignments_of_the_grammar() -> None:
    pairs = grammar.sentences()["train"][:4000]
    model = word_table.fit([pair.english for pair in pairs], [pair.french for pair in pairs])
    right = total = 0
    for pair in pairs[:300]:
        for french, english in enumerate(model.align(pair.english, pair.french)):
            right += (english, french) in pair.links
            total += 1
    assert right / total > 0.7


def test_pairs_without_words_raise() -> None:
    with pytest.raises(ValueError, match="at least one pair must have a source word"):
        word_table.fit([[], ["a"]], [["b"], []])
