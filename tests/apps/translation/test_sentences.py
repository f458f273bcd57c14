"""Tests of sentence boundaries: abbreviations, numbers, quotes, ellipses, and marks of several scripts."""

import pytest

from apps.translation.sentences import join, split

TEXTS = [
    ("en", ["Dr. Smith went home.", "He slept."]),
    ("en", ["It costs 3.50 dollars.", "That is cheap."]),
    ("en", ['She said "Go home." and left.', "He stayed."]),
    ("en", ["Wait...", "What is it?"]),
    ("en", ["I was... not sure.", "Then I was."]),
    ("en", ["He lives in the U.S. and works there.", "She does not."]),
    ("en", ["See e.g. the tables, i.e. figs. 3 and 4.", "They are clear."]),
    ("en", ["“Is it true?” she asked.", "“Yes.”"]),
    ("en", ["Visit https://example.com/a.b?c=d. now please."]),
    ("en", ["Mail john.doe@example.com.", "Thanks!"]),
    ("en", ["Really?!", "Yes!!", "No."]),
    ("en", ["J. R. R. Tolkien wrote it.", "It is long."]),
    ("en", ["1. First item.", "2. Second item."]),
    ("en", ["the cat sleeps.", "the dog sings."]),
    ("en", ["One sentence without an end"]),
    ("de", ["Am 3. Oktober ist Feiertag.", "Wir schlafen."]),
    ("de-AT", ["Das ist z. B. ein Hund.", "Er bellt."]),
    ("fr", ["M. Dupont dort.", "Mme Martin chante."]),
    ("fr", ["« Tu viens ? »", "Il ne vient pas."]),
    ("es", ["¿Qué pasa?", "¡Nada!", "El Sr. Pérez duerme."]),
    ("ar", ["كيف حالك؟", "أنا بخير."]),
    ("hi", ["यह सेब है।", "वह सोता है।"]),
    ("ur", ["یہ سیب ہے۔", "وہ سوتا ہے۔"]),
    ("source", ["The cat sleeps.", "The dog sings."]),
]  # fmt: skip
UNSPACED = [
    ("zh", ["今天天气很好。", "你好吗？", "我很好！"]),
    ("zh", ["他说：“我走了。”", "她笑了。"]),
    ("ja", ["「元気？」と聞いた。", "はい。"]),
]  # fmt: skip


@pytest.mark.parametrize(("language", "sentences"), TEXTS)
def test_sentences_of_scripts_with_spaces(language, sentences):
    assert split(" ".join(sentences), language) == sentences


@pytest.mark.parametrize(("language", "sentences"), UNSPACED)
def test_sentences_of_scripts_without_spaces(language, sentences):
    assert split("".join(sentences), language) == sentences
    assert join(sentences) == "".join(sentences)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [("", []), (" \n\t", []), ("...", ["..."]), ("Hi.\nYou.", ["Hi.", "You."]), ("a\0b", ["a\0b"])],
)
def test_texts_without_sentences_and_with_line_breaks(text, sentences):
    assert split(text, "en") == sentences


def test_no_letter_is_lost():
    text = "“No,” said Mr. A. He left... 3.5 \U0001f600 km! (See p. 4.) [1] … end"
    assert "".join("".join(split(text, "en")).split()) == "".join(text.split())


def test_joined_sentences_have_spaces_unless_their_script_has_none():
    assert join(["Il dort.", "", "Elle chante."]) == "Il dort. Elle chante."
    assert join(["猫。", "犬。"]) == "猫。犬。"
    assert join(["안녕하세요.", "네"]) == "안녕하세요. 네"
    assert join([]) == ""
