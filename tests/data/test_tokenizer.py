"""Tokenizer: splitting, vocabularies, pieces of words, and a graph that needs only TensorFlow."""

import json
import os
import subprocess
import sys

import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tokenizers
from hypothesis import HealthCheck, example, given, settings

from seqmodels.data.tokenizer import (
    END,
    LONGEST_WORD,
    PAD,
    SPECIAL_TOKENS,
    START,
    UNKNOWN,
    Tokenizer,
    TokenizerSettings,
)
from seqmodels.errors import DataError, UsageError

TEXTS = [
    "The unbelievable film isn't believable; the believers believed it!",
    "Untrue, unkind, unfilmed: films and filming, true and kind.",
    "Неправда и правда, правдивый фильм",
    "这部电影很好 🙂 👍🏽",
    "cafe\u0301 naïve Ångström ΟΔΟΣ",
]


def words(texts, **options):
    ragged = Tokenizer([*SPECIAL_TOKENS, "a"], TokenizerSettings(**options)).split(tf.constant(texts))
    return [[word.decode() for word in row] for row in ragged.to_list()]


@pytest.fixture(scope="module")
def pieces():
    return Tokenizer.train(TEXTS * 3, TokenizerSettings(unit="wordpiece", split="punctuation", size=160))


@pytest.fixture(scope="module")
def library(pieces):
    """Reference: WordPiece of the ``tokenizers`` library with the same vocabulary."""
    vocabulary = {token: index for index, token in enumerate(pieces.vocabulary)}
    return tokenizers.models.WordPiece(
        vocab=vocabulary,
        unk_token=SPECIAL_TOKENS[UNKNOWN],
        continuing_subword_prefix="##",
        max_input_chars_per_word=LONGEST_WORD,
    )


@pytest.mark.parametrize(
    ("split", "text", "expected"),
    [
        ("letters", "It's 3.5 stars -- très bon, 我 喜欢!", "it's|3|5|stars|très|bon|我|喜欢"),
        ("letters", "cafe\u0301_bar", "cafe\u0301|bar"),
        ("punctuation", "It's $3.5—ok", "it|'|s|$|3|.|5|—|ok"),
        ("punctuation", "我喜欢 it", "我|喜|欢|it"),
        ("punctuation", "\ufeffgood👍\ufe0f👎", "good|👍|👎"),
        ("auto", "It's 3.5 stars -- tr\u00e8s bon; don\u2019t (go)", "it's|3|5|stars|tr\u00e8s|bon|don't|go"),
        ("auto", "\u6211\u559c\u6b22it, \u3005\U00020000", "\u6211|\u559c|\u6b22|it|\u3005|\U00020000"),
        (
            "auto",
            "\u304b\u306a\u3001\u30ab\u30ca\u30fc \uff76\uff9e",
            "\u304b|\u306a|\u30ab|\u30ca|\u30fc|\uff76|\uff9e",
        ),
        ("auto", "\u0e44\u0e17\u0e22\u0e35\u0e48 100\u0e3f", "\u0e44|\u0e17|\u0e22|\u0e35|\u0e48|100"),
        (
            "auto",
            "\u0ea5\u0eb2\u0ea7 \u1781\u17d2\u1798 \u1019\u103c\u1014",
            "\u0ea5|\u0eb2|\u0ea7|\u1781|\u17d2|\u1798|\u1019|\u103c|\u1014",
        ),
        ("auto", "OK!!! why?\uff1f", "ok|!|!|!|why|?|\uff1f"),
        (
            "auto",
            "hi\U0001f44d\U0001f3fd\u2764\ufe0f \U0001f1eb\U0001f1f7\U0001f1e9\U0001f1ea",
            "hi|\U0001f44d|\U0001f3fd|\u2764|\U0001f1eb\U0001f1f7|\U0001f1e9\U0001f1ea",
        ),
        ("auto", "\U0001f468\u200d\U0001f469", "\U0001f468|\U0001f469"),
        ("auto", "good:))) :) :) :-( XD <3, ^_^ o_O :P. T_T", "good|:)|:)|:)|:-(|xd|<3|^_^|o_o|:p|t_t"),
        ("auto", "http://a.b/c 10:30 (f(x)) I <30 see:(it) 0.0", "http|a|b|c|10|30|f|x|i|30|see|it|0|0"),
        ("whitespace", "the <unk>\tN.V. \u00a0isn't\u3000x\n", "the|<unk>|n.v.|isn't|x"),
    ],
)
def test_splits(split, text, expected):
    assert words([text], split=split) == [expected.split("|")]


def test_auto_on_white_space_drops_nothing():
    text = "the <unk> N.V., isn't good! (:))) \u6211\u559c\uff0cok \u2764"
    assert words([text], split="auto", base="whitespace", lowercase=False) == [
        ["the", "<unk>", "N.V.,", "isn't", "good", "!", "(", ":)", "))", "我", "喜", "，", "ok", "❤"]
    ]


def test_join_puts_no_space_between_cut_characters():
    settings = TokenizerSettings(split="auto", base="whitespace", end=True)
    text = "\u6211\u559c\u6b22\u5b83\uff0c\u597d\uff01 a cat \u0e44\u0e17\u0e22"
    tokenizer = Tokenizer.train([text], settings)
    joined = tokenizer.join(tokenizer([text])).numpy()[0].decode()
    assert joined == text + "\n"


def test_lower_case_in_every_script():
    assert words(["ÀÉ ЖЯ ΣΑ İ"]) == [["àé", "жя", "σα", "i\u0307"]]
    assert words(["ÀÉ ЖЯ ΣΑ İ"], lowercase=False) == [["ÀÉ", "ЖЯ", "ΣΑ", "İ"]]


@pytest.mark.parametrize("split", ["auto", "letters", "punctuation", "whitespace"])
def test_broken_bytes_and_control_characters_separate_words(split):
    assert words([b"ab\xff\xc3(cd \xed\xa0\x80", b"one\x00two\x07three\x85", b"", b"\xff"], split=split) == [
        ["ab", "(cd"]
        if split == "whitespace"
        else ["ab", "(", "cd"]
        if split == "punctuation"
        else ["ab", "cd"],
        ["one", "two", "three"],
        [],
        [],
    ]


def test_words_are_ranked_by_frequency_then_alphabetically():
    texts = ["b a c", "c b", "a d e"]
    assert Tokenizer.train(texts, TokenizerSettings()).vocabulary == (
        *SPECIAL_TOKENS,
        "a",
        "b",
        "c",
        "d",
        "e",
    )
    assert Tokenizer.train(iter(texts), TokenizerSettings(size=6)).vocabulary == (*SPECIAL_TOKENS, "a", "b")
    frequent = Tokenizer.train(texts, TokenizerSettings(minimum_count=2))
    assert frequent.vocabulary == (*SPECIAL_TOKENS, "a", "b", "c")
    assert len(frequent) == 7


def test_ids_of_words():
    tokenizer = Tokenizer.train(["a b", "a"], TokenizerSettings(start=True, end=True))
    ids = tokenizer(tf.constant(["b a b", "", "A x"]))
    assert ids.dtype == tf.int32
    assert ids.to_list() == [[START, 5, 4, 5, END], [START, END], [START, 4, UNKNOWN, END]]
    assert tokenizer.decode(ids[2].numpy()) == ["<START>", "a", "<UNKNOWN>", "<END>"]


def test_a_word_that_starts_like_a_continuing_piece_is_unknown():
    """If such a word were known, join would append it to the previous word and lose the ## of a heading."""
    settings = TokenizerSettings(unit="wordpiece", split="whitespace", lowercase=False, size=60)
    tokenizer = Tokenizer.train(["x ## Title ### y a#b"] * 9, settings)
    ids = tokenizer(["x ## Title ### y a#b"])
    assert tokenizer.join(ids).numpy()[0] == b"x <unk> Title <unk> y a#b"
    assert tokenizer.spell("x ## y") == ["x", "##", "y"]


@pytest.mark.parametrize("unit", ["word", "wordpiece"])
def test_text_cannot_forge_special_tokens(unit):
    options = TokenizerSettings(unit=unit, split="whitespace", lowercase=False, size=60)
    tokenizer = Tokenizer.train(["a <unk> <unk> <PAD> <END> b"], options)
    assert tokenizer.vocabulary.count("<PAD>") == 1
    assert "<unk>" not in tokenizer.vocabulary
    assert tokenizer(["<unk> a"]).to_list() == [[UNKNOWN, tokenizer.vocabulary.index("a")]]
    assert not {PAD, START, END} & set(tokenizer(["<PAD> <START> <END>"]).values.numpy())


@pytest.mark.parametrize("unit", ["word", "wordpiece"])
def test_empty_and_very_long_texts(unit):
    tokenizer = Tokenizer.train(TEXTS, TokenizerSettings(unit=unit, size=120, start=True))
    assert tokenizer(tf.constant([], tf.string)).shape[0] == 0
    assert tokenizer(["", " ", "!?"]).to_list() == [[START]] * 3
    long = tokenizer([" ".join(TEXTS) * 2000, "film" * 100_000])
    assert long.row_lengths()[0] > 50_000
    assert long[1].numpy().tolist() == [START, UNKNOWN]
    assert len(tokenizer.encode([])) == 0


def test_encode_is_equal_to_one_call_on_all_texts(pieces):
    texts = [f"{text} {'un' * (index % 7)}" for index, text in enumerate(TEXTS * 500)]  # more than one chunk
    sequences = pieces.encode(texts)
    expected = pieces(texts)
    assert sequences.values.dtype == np.int32
    np.testing.assert_array_equal(sequences.values, expected.values)
    np.testing.assert_array_equal(sequences.row_splits, expected.row_splits)
    assert len(pieces.encode(["lone surrogate \ud800"])) == 1


def test_pieces_spell_the_training_texts_within_the_vocabulary_size(pieces):
    assert pieces.vocabulary[:4] == SPECIAL_TOKENS
    assert len(set(pieces.vocabulary)) == len(pieces) <= 160
    assert {"the", "##e"} <= set(pieces.vocabulary)
    assert UNKNOWN not in pieces(TEXTS).values.numpy()


def test_pieces_replace_rare_characters():
    alphabet = "".join(map(chr, range(0x4E00, 0x4E00 + 500)))
    tokenizer = Tokenizer.train([alphabet, "word words " * 9], TokenizerSettings(unit="wordpiece", size=80))
    assert len(tokenizer) <= 80
    assert tokenizer(["words"]).row_lengths().numpy() <= 2
    separate = " ".join(alphabet)
    assert len(Tokenizer.train([separate], TokenizerSettings(unit="wordpiece", size=80))) == 80


def test_pieces_of_the_same_texts_are_the_same(pieces):
    for _ in range(3):  # every training uses new hash tables
        assert Tokenizer.train(TEXTS * 3, pieces.settings).vocabulary == pieces.vocabulary


SCRIPTS = st.one_of(
    st.sampled_from(
        ["un", "believ", "film", "kind", "true", "правд", "фильм", "影", "🙂", "👍🏽", "e\u0301", "##", "x"]
    ),
    st.characters(categories=["L", "M", "N", "P", "S"]),
)


@example(["film" * 26, "film" * 25, "un" + "x" * 99, "##the", "<PAD", "🙂film", "unfilm影", "影电"])
@given(st.lists(st.lists(SCRIPTS, min_size=1, max_size=12).map("".join), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.slow
def test_pieces_equal_the_pieces_of_the_library(pieces, library, texts):
    """The only exceptions are words that start with ##, like a continuing piece."""
    expected = [
        [UNKNOWN] if text.startswith("##") else [token.id for token in library.tokenize(text)]
        for text in texts
    ]
    assert pieces._pieces(tf.constant(texts)).to_list() == expected


def test_saves_and_loads(pieces, tmp_path):
    pieces.save(tmp_path / "assets")
    lines = (tmp_path / "assets" / "vocab.txt").read_bytes().decode().split("\n")
    assert lines == [*pieces.vocabulary, ""]
    assert sorted(os.listdir(tmp_path / "assets")) == ["tokenizer.json", "vocab.txt"]
    loaded = Tokenizer.load(tmp_path / "assets")
    assert (loaded.vocabulary, loaded.settings) == (pieces.vocabulary, pieces.settings)
    assert loaded(TEXTS).to_list() == pieces(TEXTS).to_list()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"vocab.txt:1: the token must be <PAD>; got ''"),
        (b"<PAD>\n<START>\n<UNK>\n<END>\na\n", r"vocab.txt:3: the token must be <UNKNOWN>; got '<UNK>'"),
        (b"<PAD>\n<START>\n<UNKNOWN>\n<END>\n", r"vocab.txt ends after 4 lines"),
        (b"<PAD>\n<START>\n<UNKNOWN>\n<END>\na\nb\na\n", r"vocab.txt:7: the token 'a' is already on line 5"),
        (b"<PAD>\n<START>\n<UNKNOWN>\n<END>\na\n\nb\n", r"vocab.txt:6: the line is empty"),
        (b"<PAD>\n<START>\n<UNKNOWN>\n<END>\na\xff\n", r"vocab.txt:5: byte 31"),
    ],
)
def test_damaged_vocabularies_are_errors(tmp_path, content, message):
    Tokenizer.train(["a"], TokenizerSettings()).save(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{\n'unit'", r"tokenizer.json:2: the file is not valid JSON"),
        ('{"units": "word"}', r"tokenizer.json does not contain valid tokenizer settings .*units"),
        ('{"unit": "syllable"}', r"tokenizer.json .*unit must be one of word, wordpiece, .*got 'syllable'"),
        ('{"size": "big"}', r"tokenizer.json does not contain valid tokenizer settings"),
        ("[]", r"tokenizer.json does not contain valid tokenizer settings"),
    ],
)
def test_damaged_settings_are_errors(tmp_path, content, message):
    Tokenizer.train(["a"], TokenizerSettings()).save(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(DataError, match=message):
        Tokenizer.load(tmp_path)


def test_invalid_settings_and_texts_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"vocab.txt cannot be read"):
        Tokenizer.load(tmp_path)
    for unit in ("word", "wordpiece"):
        with pytest.raises(DataError, match="contain no word"):
            Tokenizer.train(["...", ""], TokenizerSettings(unit=unit))
    with pytest.raises(DataError, match="contain no word that occurs at least 2 times"):
        Tokenizer.train(["a b"], TokenizerSettings(minimum_count=2))
    with pytest.raises(UsageError, match="size must be at least 5; got 4"):
        TokenizerSettings(size=4)
    with pytest.raises(
        UsageError,
        match="split must be one of auto, letters, punctuation, reversible, whitespace; got 'commas'",
    ):
        TokenizerSettings(split="commas")


class Server(tf.Module):
    """A module as an application exports it: a tokenizer with a signature for raw text."""

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def encode(self, texts):
        return {"tokens": self.tokenizer(texts).to_tensor(PAD)}


CLIENT = """
import json, sys
sys.modules["seqmodels"] = None  # importing it would now fail
import tensorflow as tf
batches, *folders = json.load(sys.stdin)
for folder in folders:
    encode = tf.saved_model.load(folder).signatures["serving_default"]
    print(json.dumps([encode(tf.constant(texts, tf.string))["tokens"].numpy().tolist() for texts in batches]))
"""


@pytest.mark.slow
def test_a_saved_graph_needs_only_tensorflow_in_any_locale(pieces, tmp_path):
    """The fresh process cannot import the project. In its locale, the lower case of I is a dotless i."""
    tokenizers = {"pieces": pieces, "words": Tokenizer.train(TEXTS, TokenizerSettings(end=True))}
    batches = [TEXTS, ["I BELIEVE İT IS A FILM\x00I"], []]
    folders = [str(tmp_path / name) for name in tokenizers]
    for tokenizer, folder in zip(tokenizers.values(), folders):
        server = Server(tokenizer)
        tf.saved_model.save(server, folder, signatures=server.encode)
    run = subprocess.run(
        [sys.executable, "-I", "-c", CLIENT],
        input=json.dumps([batches, *folders]),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8"},
    )
    for tokenizer, served in zip(tokenizers.values(), map(json.loads, run.stdout.splitlines()), strict=True):
        expected = [tokenizer(tf.constant(texts, tf.string)).to_tensor().numpy() for texts in batches]
        assert served == [ids.tolist() for ids in expected]


LINES = ["to be , or", "", "not <unk> to   be", "naïve 🙂\ttab"]


def trained(**options):
    return Tokenizer.train(LINES, TokenizerSettings(end=True, **options))


def test_characters_include_spaces():
    tokenizer = trained(unit="character")
    assert tokenizer.decode(tokenizer(["be 🙂 ☃\t!"]).to_list()[0]) == [
        *("b", "e", " ", "🙂", " ", "<UNKNOWN>", " ", "<UNKNOWN>", "<END>")
    ]
    assert tokenizer.vocabulary[4] == " "  # the most frequent one


def test_bytes_do_not_depend_on_the_texts():
    tokenizer = trained(unit="byte", lowercase=False, size=5, minimum_count=100)
    assert len(tokenizer) == 4 + 256
    raw = bytes(range(256))
    (ids,) = tokenizer(tf.constant([raw])).to_list()
    assert ids == [*range(4, 260), END]
    assert tokenizer.vocabulary[4 + ord("A")] == "<0x41>"
    assert tokenizer.join(tf.ragged.constant([ids], dtype=tf.int32)).numpy() == [raw + b"\n"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"split": "whitespace"}, ["to be , or\n", "\n", "not <unk> to be\n", "naïve 🙂 tab\n"]),
        ({"unit": "wordpiece", "split": "whitespace"}, ["to be , or\n", "\n", "not <unk> to be\n", None]),
        ({"unit": "character"}, [*(line.replace("\t", " ") + "\n" for line in LINES)]),
        ({"unit": "byte"}, [line + "\n" for line in LINES]),
    ],
)
def test_join_restores_the_text(tmp_path, options, expected):
    tokenizer = trained(lowercase=False, **options)
    for one in (tokenizer, (tokenizer.save(tmp_path), Tokenizer.load(tmp_path))[1]):
        texts = [text.decode() for text in one.join(one(LINES)).numpy()]
        assert [text for text, wanted in zip(texts, expected) if wanted] == [w for w in expected if w]


def test_join_continues_after_line_ends_and_drops_padding():
    tokenizer = trained(split="whitespace")
    ids = {token: index for index, token in enumerate(tokenizer.vocabulary)}
    row = [START, ids["to"], ids["be"], END, END, ids["or"], PAD, UNKNOWN, ids["not"]]
    assert tokenizer.join(tf.ragged.constant([row, []], dtype=tf.int32)).numpy().tolist() == [
        b"to be\n\nor <unk> not",
        b"",
    ]


MARK = "\u2581"


def test_the_reversible_split_marks_white_space_and_separates_punctuation():
    texts = [" L'été,  \t(c'est)  3.5!", "", "a\u2581b \U0001f600\U0001f600"]
    found = words(texts, split="reversible", lowercase=False)
    assert found == [
        [f"{MARK}L", "'", "été", ",", f"{MARK}(", "c", "'", "est", ")", f"{MARK}3", ".", "5", "!"],
        [],
        [f"{MARK}a", f"{MARK}b", f"{MARK}\U0001f600", "\U0001f600"],
    ]


@pytest.fixture(scope="module")
def reversible():
    settings = TokenizerSettings(unit="wordpiece", split="reversible", lowercase=False, size=300)
    alphabet = "".join(map(chr, (*range(33, 127), 0xE9, 0x4E2D)))
    return Tokenizer.train([*TEXTS, *f"{alphabet} {' '.join(alphabet)}".split(), alphabet * 2], settings)


def back(tokenizer, texts):
    rows = tokenizer.encode(texts)
    ragged = tf.RaggedTensor.from_row_splits(rows.values, rows.row_splits)
    return [text.decode() for text in tokenizer.join(ragged).numpy()], rows.values


CHARACTERS = st.sampled_from("ab#\u00e9 .,'(\u4e2d\t\u2581Z9")


@given(st.lists(st.text(CHARACTERS, max_size=20), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_join_inverts_the_reversible_split(reversible, texts):
    found, ids = back(reversible, texts)
    if not np.any(ids == UNKNOWN):
        assert found == [" ".join(text.replace("\u2581", " ").split()) for text in texts]


def test_join_restores_real_text(reversible):
    found, _ = back(reversible, ['The film isn\'t 3.5 (of 10): "great"!', "naïve  ##x # #y"])
    assert found[0] == 'The film isn\'t 3.5 (of 10): "great"!'
