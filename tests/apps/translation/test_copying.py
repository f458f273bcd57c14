"""Tests of copying: the words of a text that are copied, and their positions in the translation."""

import numpy as np
import pytest

from apps.translation.copying import PLACEHOLDER, SPANS, Source, copy, read, text_of
from apps.translation.data import Assets
from seqmodels.data.batching import PairShapes
from seqmodels.data.tokenizer import Tokenizer, TokenizerSettings


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("See https://example.com/a.b?c=d, or www.a.org/x.", ["https://example.com/a.b?c=d", "www.a.org/x"]),
        ("(http://example.com)", ["http://example.com"]),
        ("\u8bf7\u770bhttps://example.com\u7f51\u7ad9", ["https://example.com"]),
        ("Mail john.doe+a@mail.example.co.uk.", ["john.doe+a@mail.example.co.uk"]),
        ("on example.com today", ["example.com"]),
        ("1,234.50 and -5, 12:30 or 3/4", ["1,234.50", "-5", "12:30", "3/4"]),
        ("in 1990.", ["1990"]),
        ("\u0661\u0662\u0663", ["\u0661\u0662\u0663"]),
        ("3rd A320 H2O e.g. so. end", []),
        ("10-5", ["10-5"]),
    ],
)  # fmt: skip
def test_spans_are_numbers_urls_and_addresses(text, spans):
    assert [match.group() for match in SPANS.finditer(text)] == spans


@pytest.fixture(scope="module")
def assets():
    texts = ["The cat sees 5 dogs.", "A bird sleeps in the garden (really), now."] * 3
    settings = TokenizerSettings(unit="wordpiece", split="reversible", lowercase=False, size=200)
    tokenizer = Tokenizer.train(texts, settings)
    return Assets(tokenizer, tokenizer, "en", "fr", PairShapes((8,), (8,), (1,)), 20)


def test_unknown_words_and_spans_are_masked(assets):
    text = "The cat sees 47 dogs, \u044f in (https://x.com/a) 5."
    (source,) = read(assets, [text], mask=True)
    assert source.masked == f"The cat sees {PLACEHOLDER} dogs, \u044f in ({PLACEHOLDER}) 5."
    assert text_of(source.words) == text
    assert [source.words[index].strip("\u2581") for index in source.copied] == [
        "47",
        "\u044f",
        "https://x.com/a",
    ]
    assert source.unknown_words == ["\u044f"]
    assert [source.words[index] for index in source.numbers] == ["\u25815"]
    assert not source.truncated
    (plain,) = read(assets, [text], mask=False)
    assert plain.masked == text
    assert read(assets, [], mask=True) == []


def test_a_word_that_is_split_into_single_letters_is_unknown(assets):
    (source,) = read(assets, ["The ndgtb sleeps."], mask=True)
    assert source.unknown_words == ["ndgtb"]
    assert text_of(source.words) == "The ndgtb sleeps."


def test_a_long_text_is_truncated(assets):
    (source,) = read(assets, ["The cat sees 77 dogs. " * 9], mask=True)
    assert source.truncated
    assert len(source.groups) == assets.length - 1
    assert max(source.copied) < len(source.words)


def source_of(words, copied=(), numbers=()):
    words = [f"\u2581{word}" if word[0].isalnum() else word for word in words]
    return Source("", words, np.arange(len(words)), list(copied), list(numbers), [], False)


def copied(source, target, links, unknown=()):
    """Copies words. The attention links each word of the target to one word of the source."""
    words = [f"\u2581{word}" if word[0].isalnum() else word for word in target]
    weights = 0.1 + 0.8 * np.eye(len(source.words))[links]
    made, attention, texts = copy(source, words, [word in unknown for word in target], weights)
    assert attention.shape == (len(made), len(source.words))
    return text_of(made), texts


def test_the_word_with_the_highest_attention_is_replaced():
    source = source_of(["The", "Zyx", "sleeps", "."], copied=[1])
    assert copied(source, ["Le", "chat", "dort", "."], [0, 1, 2, 3]) == ("Le Zyx dort.", ["Zyx"])


def test_an_omitted_word_is_inserted():
    source = source_of(["The", "Zyx", "sleeps", "."], copied=[1])
    text, _ = copied(source, ["Il", "dort", "."], [0, 2, 3])
    assert sorted(text.split()) == sorted(["Il", "Zyx", "dort."])
    assert copied(source, [], []) == ("Zyx", ["Zyx"])


def test_a_number_in_the_translation_is_kept():
    source = source_of(["5", "dogs", "and", "7", "cats"], numbers=[0, 3])
    assert copied(source, ["5", "chiens", "et", "9", "chats"], [0, 1, 2, 3, 4])[0] == "5 chiens et 7 chats"
    assert copied(source, ["7", "chats", "et", "5", "chiens"], [3, 4, 2, 0, 1]) == ("7 chats et 5 chiens", [])


def test_punctuation_is_not_replaced_by_a_word():
    source = source_of(["Zyx", "."], copied=[0])
    assert copied(source, ["dort", "."], [1, 0])[0].endswith(".")


def test_unknown_tokens_become_words_of_the_source():
    source = source_of(["The", "cat", "sleeps"])
    assert copied(source, ["Le", "<UNKNOWN>", "dort"], [0, 1, 2], {"<UNKNOWN>"})[0] == "Le cat dort"
