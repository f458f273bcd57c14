"""Notes before training: each situation has a note with a remedy, and ordinary texts have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.language_modeling.data import load as load_language
from apps.language_modeling.options import Train as LanguageOptions
from apps.sentiment.data import load
from apps.sentiment.options import Train
from apps.translation.data import load as load_pairs
from apps.translation.options import Train as TranslationOptions

ALPHABETS = {
    "Han": "\u6211\u559c\u6b22\u8fd9\u90e8\u7535\u5f71\u5f88\u597d\u770b\u7684\u4e0d\u662f\u4eba\u5929",
    "Kana": "\u304b\u306a\u304d\u3066\u306b\u3092\u306f\u30ab\u30bf\u30ca\u30c8\u30fc\u30b3\u30d2\u30ec",
    "Thai": "\u0e01\u0e02\u0e04\u0e07\u0e08\u0e0a\u0e14\u0e15\u0e17\u0e19\u0e1a\u0e1b\u0e2d\u0e44\u0e32",
    "Tibetan": "".join(map(chr, range(0xF40, 0xF50))),
}


def sentences(count, seed, letters=None, longest=12):
    """Returns different texts: English words, or words of 14 letters of an alphabet without spaces."""
    rng = np.random.default_rng(seed)
    if letters:
        return ["".join(rng.choice(list(letters), size=rng.integers(14, 20))) for _ in range(count)]
    return [
        " ".join(f"w{word}" for word in rng.integers(0, 80, rng.integers(3, longest))) for _ in range(count)
    ]


def write(folder, rows):
    folder.mkdir(exist_ok=True)
    lines = [f"{text},{label}" for text, label in rows]
    path = folder / "texts.csv"
    path.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    return str(path)


def notes(path, **options):
    found = load(Train(data=path, ngrams=0, **{"unit": "word", **options}), None).facts["notes"]
    usual = ("is the test split", "chosen for ")
    return [note for note in found if not any(part in note for part in usual)]


def labeled(texts):
    return [(text, "ab"[index % 2]) for index, text in enumerate(texts)]


def test_ordinary_texts_have_no_note(tmp_path):
    assert notes(write(tmp_path, labeled(sentences(300, 0)))) == []


def test_unknown_tokens_and_a_small_vocabulary(tmp_path):
    rare = [f"{text} x{index} y{index}" for index, text in enumerate(sentences(300, 0, longest=6))]
    (note,) = notes(write(tmp_path, labeled(rare)), minimum_count=2)
    assert "of the train tokens and " in note
    assert "of the validation tokens are unknown; lower --minimum-count, or use --unit wordpiece" in note
    (note,) = notes(write(tmp_path, labeled(rare)), vocabulary=60, minimum_count=2)
    assert "unknown; raise --vocabulary, or lower --minimum-count, or use --unit wordpiece" in note
    few = [text.replace("w", " ") for text in sentences(300, 0)]
    few = ["".join(letter for letter in text if letter != "7") for text in few]
    assert any(
        "the vocabulary has only" in note for note in notes(write(tmp_path, labeled(few)), vocabulary=40)
    )


@pytest.mark.parametrize(("text", "expected"), [("w{0} w{1} w{2}", "3 tokens"), ("w{0}", "1 token;")])
def test_texts_of_one_length(tmp_path, text, expected):
    rng = np.random.default_rng(0)
    texts = [text.format(*rng.integers(0, 60, 3)) + " " * index for index in range(200)]
    found = notes(write(tmp_path, labeled(texts)), minimum_count=1)
    assert any(note.startswith("all 16") and f"training texts have {expected}" in note for note in found)


@pytest.mark.parametrize("script", ALPHABETS)
def test_a_script_that_the_split_does_not_cut(tmp_path, script):
    path = write(tmp_path, labeled(sentences(100, 1, ALPHABETS[script])))
    found = notes(path, split="letters", minimum_count=1)
    remedy = "use --unit wordpiece" if script == "Tibetan" else "use --split auto or --unit wordpiece"
    assert any(
        note == f"--split letters does not cut {script} (100% of the characters) into words; {remedy}"
        for note in found
    )
    cut = [note for note in notes(path, split="auto", minimum_count=1) if "does not cut" in note]
    assert len(cut) == (script == "Tibetan")


def test_words_of_a_segmented_text_are_cut(tmp_path):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list(ALPHABETS["Han"]), size=rng.integers(1, 4))) for _ in range(90)]
    texts = [" ".join(rng.choice(words, size=rng.integers(4, 12))) for _ in range(200)]
    found = notes(write(tmp_path, labeled(texts)), split="whitespace", minimum_count=1)
    assert not any("does not cut" in note for note in found)


def test_contradicting_labels_and_repeated_texts(tmp_path):
    texts = sentences(200, 0)
    rows = [*labeled(texts), (texts[0].upper(), "b"), (texts[1], "a")]
    (note,) = notes(write(tmp_path, rows))
    assert note.startswith("2 texts have more than one label, such as 'a' in ")
    assert "texts.csv:2 and 'b' in " in note
    (note,) = notes(write(tmp_path, rows), lowercase=False)
    assert note.startswith("1 text has more than one label")
    folder = tmp_path / "folder"
    path = write(folder, labeled(texts))
    (folder / "train.csv").write_text(Path(path).read_text())
    (folder / "test.csv").write_text("\n".join(Path(path).read_text().splitlines()[:21]))
    Path(path).unlink()
    assert any(
        "20 of 20 test texts are also in train or valid; remove them from test" in note
        for note in notes(str(folder))
    )


def test_notes_of_a_language_model(tmp_path):
    lines = sentences(400, 0)
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (tmp_path / "test.txt").write_text("\n".join(lines[:30]))

    def found(**options):
        settings = {"batch_size": 2, "steps": 5, "unit": "word", "minimum_count": 1, **options}
        notes = load_language(LanguageOptions(data=str(tmp_path), **settings), None).facts["notes"]
        return [note for note in notes if not note.startswith("chosen for ")]

    assert any("of 30 test lines are also in train or valid" in note for note in found())
    (tmp_path / "test.txt").write_text("\n".join(sentences(30, 5)))
    assert [note for note in found() if "split" not in note] == []
    (tmp_path / "train.txt").write_text("\n".join(sentences(400, 0, ALPHABETS["Thai"])))
    whole, cut = found(split="whitespace"), found()
    assert any("--split whitespace does not cut Thai" in note for note in whole)
    assert any("use --split auto or --unit wordpiece or --unit character" in note for note in whole)
    assert not any("does not cut" in note for note in cut)
    assert any("the vocabulary has only 15 tokens" in note for note in cut)


def test_notes_of_translation(tmp_path):
    english, kana = sentences(200, 0), sentences(200, 1, ALPHABETS["Kana"])
    (tmp_path / "train.en").write_text("\n".join(english))
    (tmp_path / "train.ja").write_text("\n".join(kana), encoding="utf-8")
    options = {"data": str(tmp_path), "source": "en", "target": "ja", "batch_size": 200, "vocabulary": 400}
    found = load_pairs(TranslationOptions(**options, unit="word"), None).facts["notes"]
    assert any("--unit word does not cut Kana (100% of the characters)" in note for note in found)
    assert any("of the ja train tokens" in note and "use --unit wordpiece" in note for note in found)
    pieces = load_pairs(TranslationOptions(**options), None).facts["notes"]
    assert not any("does not cut" in note or "unknown" in note for note in pieces)
