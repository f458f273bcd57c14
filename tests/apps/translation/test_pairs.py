"""Pairs of texts from files, tables and data sets, and the error messages of broken pairs."""

import gzip

import pytest
import tensorflow_datasets as tfds
from prepared_tfds import prepare

from apps.translation.pair_table import Reading
from apps.translation.pairs import load_pairs, load_test_pairs
from seqmodels.errors import DataError, UsageError


def write(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return str(folder)


def numbered(language, count, first=0):
    return "".join(f"{language} {index}\n" for index in range(first, first + count))


def test_a_folder_with_a_file_for_each_split_and_language(tmp_path):
    data = write(
        tmp_path / "d",
        train_en=numbered("cat", 20),
        train_fr=numbered("chat", 20),
        valid_en=numbered("cat", 3, 20),
        valid_fr=numbered("chat", 3, 20),
        test_fr="un\u2028deux\r\n",
        test_en="\ufeffone two\n",
        README_md="other files do not matter",
    )
    found = load_pairs(data)
    assert (found.source, found.target) == ("en", "fr")
    assert found.notes == ["the model translates from en to fr; use --source and --target to change this"]
    assert (found.train.sources[7], found.train.targets[7]) == ("cat 7", "chat 7")
    assert (found.test.sources, found.test.targets) == (["one two"], ["un\u2028deux"])
    assert found.train.where(7) == f"{data}/train.en:8 and {data}/train.fr:8"
    back = load_pairs(data, source="fr")
    assert (back.target, back.valid.sources[0], back.notes) == ("en", "chat 20", [])
    assert load_test_pairs(data, "fr", "en").sources == ["un\u2028deux"]
    assert load_pairs(data).sha256 == found.sha256 != back.sha256


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.tsv", "en\tfr\tid\n" + "".join(f"cat {i}\tchat {i}\t{i}\n" for i in range(20))),
        ("pairs.csv", "fr,en\n" + "".join(f"chat {i},cat {i}\n" for i in range(20))),
        ("pairs.jsonl", "".join(f'{{"en": "cat {i}", "fr": "chat {i}", "n": {i}}}\n' for i in range(20))),
    ],
)
def test_one_table_is_cut_into_splits(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    found = load_pairs(str(path), "en", "fr", seed=1)
    assert (len(found.train), len(found.valid), len(found.test)) == (16, 2, 2)
    pairs = [
        pair for split in (found.train, found.valid, found.test) for pair in zip(split.sources, split.targets)
    ]
    assert sorted(pairs) == sorted((f"cat {i}", f"chat {i}") for i in range(20))
    assert load_pairs(str(path), "en", "fr", seed=1).test == found.test
    assert load_pairs(str(path), "en", "fr", seed=2).test != found.test
    assert any("10% of all pairs (2 pairs, seed 1) are the test split" in note for note in found.notes)


def test_tab_separated_columns_and_equal_sources_stay_together(tmp_path):
    path = tmp_path / "fra.txt.gz"
    lines = [f"Go {i // 4}.\tVa {i} !\tCC-BY" for i in range(40)]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    found = load_pairs(str(path))
    assert (found.source, found.target) == ("source", "target")
    parts = [set(split.sources) for split in (found.train, found.valid, found.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10
    assert load_pairs(str(path), source="target").train.sources[0].startswith("Va ")


def test_valid_becomes_the_missing_test_split(tmp_path):
    train = {"train_en": numbered("cat", 20), "train_fr": numbered("chat", 20)}
    valid = {"valid_en": numbered("cat", 3, 18), "valid_fr": numbered("chat", 3, 18)}
    found = load_pairs(write(tmp_path / "d", **train, **valid))
    assert (len(found.train), len(found.valid), len(found.test)) == (18, 2, 3)
    assert "the data has no test split, so the validation split is used as the test split" in found.notes
    assert any("of 3 test pairs are also in train or valid" in note for note in found.notes)


def test_translation_data_set_of_tfds(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    rows = {
        name: [{"en": f"{name} {i}", "de": f"{name} \u00e9 {i}"} for i in range(4)]
        for name in ("train", "validation", "test")
    }
    features = tfds.features.Translation(languages=("en", "de"))
    prepare(tmp_path / "our_pairs" / "1.0.0", "our_pairs", rows, features)
    found = load_pairs("tfds:our_pairs", source="de")
    assert (found.source, found.target) == ("de", "en")
    assert (found.train.sources[2], found.train.targets[2]) == ("train \u00e9 2", "train 2")
    assert len(found.valid) == len(found.test) == 4
    assert found.test.where(0) == "tfds:our_pairs[test]:1"


BOTH = {"train_en": "a\nb\n", "train_fr": "c\nd\n"}


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (
            {"train_en": "a\nb\n", "train_fr": "c\n"},
            DataError,
            r"train\.en has 2 lines, but .*train\.fr has 1 lines; line N",
        ),
        (
            {"train_en": "a\nb\n", "train_fr": "c\n \n"},
            DataError,
            r"train\.fr:2: the target is empty; fill it in",
        ),
        ({"train_en": "a\n\n", "train_fr": "c\nd\n"}, DataError, r"train\.en:2: the source is empty"),
        (
            {**BOTH, "test_fr": "e\n"},
            DataError,
            r"the en file for .*test\.fr is missing; add the en file or remove",
        ),
        ({"train_en": "a\n"}, UsageError, "must have texts in two languages; found en"),
        (
            {**BOTH, "train_de": "e\nf\n"},
            UsageError,
            "has the languages de, en, fr; choose two with --source and --target",
        ),
        ({"valid_en": "a\n", "valid_fr": "b\n"}, DataError, "has no train split, only valid; add a train"),
        ({"notes_txt": "a"}, DataError, r"has no data files; expected train\.en and train\.de"),
        (
            BOTH,
            DataError,
            r"train\.en has \d pairs; these are too few for a train split and a \w+ split; add",
        ),
    ],
)
def test_folders_without_pairs_raise(tmp_path, files, error, message):
    with pytest.raises(error, match=message):
        load_pairs(write(tmp_path / "d", **files))


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        (
            "a.txt",
            "one\tun\ntwo deux\n",
            DataError,
            r"a\.txt:2: the line has no tab; expected a text, a tab and its",
        ),
        ("a.txt", "one\tun\ntwo\t\n", DataError, r"a\.txt:2: the target is empty"),
        ("a.tsv", "en\tfr\n", DataError, r"a\.tsv has no rows below its header; expected at least"),
        ("a.tsv", "\n", DataError, "is empty"),
        ("a.jsonl", "{\n", DataError, r"a\.jsonl:1: the line is not valid JSON"),
        ("a.jsonl", '["a", "b"]\n', DataError, r"a\.jsonl:1: the line has the type list; expected one"),
        (
            "a.tsv",
            "A cat.\tEine Katze.\nA dog.\tEin Hund.\n",
            DataError,
            r"a\.tsv:1: the column names are missing; the first row looks like data",
        ),
        ("a.doc", "one", UsageError, r"a\.doc has an unsupported extension; expected a table \(\.csv"),
    ],
)
def test_files_without_pairs_raise(tmp_path, name, content, error, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(error, match=message):
        load_pairs(str(tmp_path / name))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.tsv",), "no such file or folder"),
        (("embedded:poems",), "unknown embedded data"),
        (("embedded", "de"), "--source de is not a language of embedded; expected one of en, fr"),
        (("embedded", "en", "en"), "--target en is also the source"),
    ],
)
def test_missing_sources_and_languages_raise(arguments, message):
    with pytest.raises(UsageError, match=message):
        load_pairs(*arguments)


def test_a_quote_in_tsv_is_a_character(tmp_path):
    rows = [f'"The cat {i} eats.\tLe chat "{i}" mange."' for i in range(30)]
    data = write(tmp_path / "d", train_tsv="en\tfr\n" + "\n".join(rows))
    found = load_pairs(f"{data}/train.tsv")
    assert len(found.train) + len(found.valid) + len(found.test) == 30
    assert found.train.sources[0].startswith('"The cat')


@pytest.mark.parametrize(
    ("names", "languages"),
    [
        (("News.en-fr.en", "News.en-fr.fr"), ("en", "fr")),
        (("src-train.txt", "tgt-train.txt"), ("src", "tgt")),
        (("tgt-train.txt.gz", "src-train.txt.gz"), ("tgt", "src")),
        (("train.en-de.de", "train.en-de.en"), ("de", "en")),
        (("train.src", "train.tgt"), ("src", "tgt")),
        (("corpus.en", "corpus.pt-br"), ("en", "pt-br")),
        (("train_en.txt", "train_fr.txt"), ("en", "fr")),
    ],
)
def test_names_of_parallel_files(tmp_path, names, languages):
    texts = {languages[0]: numbered("cat", 30), languages[1]: numbered("chat", 30)}
    for name, language in zip(names, languages):
        content = texts[language].encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (tmp_path / "README").write_text("OPUS")
    (tmp_path / "LICENSE.md").write_text("free")
    found = load_pairs(str(tmp_path))
    expected = {("tgt", "src"): ("src", "tgt")}.get(languages, languages)
    assert (found.source, found.target) == expected
    assert len(found.train) + len(found.valid) + len(found.test) == 30
    assert found.train.sources[0].split()[0] == ("cat" if expected == languages else "chat")


def test_named_splits_of_opennmt(tmp_path):
    for split, count in (("train", 30), ("val", 4), ("test", 3)):
        (tmp_path / f"src-{split}.txt").write_text(numbered("cat", count))
        (tmp_path / f"tgt-{split}.txt").write_text(numbered("chat", count))
    found = load_pairs(str(tmp_path))
    assert (len(found.train), len(found.valid), len(found.test)) == (30, 4, 3)
    (tmp_path / "src.train.txt").write_text("x\n")
    with pytest.raises(
        DataError, match=r"has both src-train\.txt and src\.train\.txt; keep one|has both src\.train"
    ):
        load_pairs(str(tmp_path))


def test_pairs_that_are_empty_on_both_sides_are_left_out(tmp_path):
    data = write(
        tmp_path / "d", train_en=numbered("cat", 20) + "\n \n", train_fr=numbered("chat", 20) + "\n\n"
    )
    found = load_pairs(data)
    assert len(found.train) + len(found.valid) + len(found.test) == 20
    assert any(note.startswith("2 pairs of ") and "empty on both sides" in note for note in found.notes)


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("id,en,fr", ("en", "fr")),
        ("source,target,note", ("source", "target")),
        ("SRC,n,Tgt", ("SRC", "Tgt")),
        ("text_de,text_en", ("text_de", "text_en")),
        ("English,French", ("English", "French")),
        ("url,zh-CN,pt_BR", ("zh-CN", "pt_BR")),
    ],
)
def test_columns_that_name_languages(tmp_path, header, languages):
    names = header.split(",")
    path = tmp_path / "a.csv"
    rows = [",".join(str(i) if name in ("id", "n") else f"{name} {i}" for name in names) for i in range(20)]
    path.write_text("\n".join((header, *rows)))
    found = load_pairs(str(path))
    assert (found.source, found.target) == languages
    assert any(f"the source is the column {languages[0]!r}" in note for note in found.notes) == (
        header != "source,target"
    )
    back = load_pairs(str(path), source=languages[1])
    assert (back.source, back.target) == languages[::-1]


def test_columns_by_option(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,answer,n\n" + "".join(f"why {i},so {i},{i}\n" for i in range(20)))
    with pytest.raises(DataError, match="choose the columns with --source-column and --target-column"):
        load_pairs(str(path))
    found = load_pairs(str(path), "en", reading=Reading("Question", "answer"))
    assert (found.source, found.target) == ("en", "answer")
    assert found.train.sources[0].startswith("why")
    with pytest.raises(UsageError, match="--target-column reply is not a column of"):
        load_pairs(str(path), reading=Reading("question", "reply"))
    with pytest.raises(UsageError, match=r"the column 'answer' of .* cannot be both source and target"):
        load_pairs(str(path), reading=Reading("answer", "answer"))
    lines = tmp_path / "a.txt"
    lines.write_text("a\tb\n")
    with pytest.raises(UsageError, match="--source-column en applies only to tables"):
        load_pairs(str(lines), reading=Reading("en"))


@pytest.mark.parametrize("header", ["text,label", "Date,Close", "review,sentiment"])
def test_tables_of_other_tasks(tmp_path, header):
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n" + "".join(f"row {i},good\n" for i in range(20)))
    with pytest.raises(DataError, match="must have names of languages, such as en and de; found "):
        load_pairs(str(path))


def test_nested_records_of_translations(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        "".join(f'{{"id": "{i}", "translation": {{"en": "cat {i}", "fr": "chat {i}"}}}}\n' for i in range(20))
    )
    found = load_pairs(str(path))
    assert (found.source, found.target) == ("en", "fr")
    assert found.train.targets[0].startswith("chat")


def test_bad_pairs_are_counted_or_skipped(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("en\tfr\n" + "".join(f"cat {i}\tchat {i}\n" for i in range(20)) + "a\t\n\tb\nc\n")
    with pytest.raises(DataError) as caught:
        load_pairs(str(path))
    assert str(caught.value).startswith(f"{path}:22: the target is empty")
    assert "; 3 bad rows in" in str(caught.value)
    found = load_pairs(str(path), reading=Reading(on_bad_rows="skip"))
    assert len(found.train) + len(found.valid) + len(found.test) == 20
    assert any(note.startswith(f"3 of 23 rows of {path} are skipped") for note in found.notes)


def test_options_of_the_training_apply_to_other_files_that_they_fit(tmp_path):
    stored = Reading(encoding="latin-1", stored=frozenset({"languages", "encoding"}))
    path = tmp_path / "a.csv"
    for header, flip in (("fr,en", True), ("source,target", False)):
        rows = "".join("été,summer\n" if flip else "summer,été\n" for _ in range(3))
        for encoding in ("latin-1", "utf-8"):
            path.write_bytes(f"{header}\n{rows}".encode(encoding))
            assert load_test_pairs(str(path), "en", "fr", stored).targets == ["été"] * 3
    path.write_text("de,es\na,b\n")
    with pytest.raises(DataError, match="choose the columns with --source-column"):
        load_test_pairs(str(path), "en", "fr", stored)


def test_encoding_of_lines(tmp_path):
    for name, text in (("train.en", "summer"), ("train.fr", "été")):
        (tmp_path / name).write_bytes("".join(f"{text} {i}\n" for i in range(20)).encode("cp1252"))
    with pytest.raises(
        DataError, match=r"train\.fr:1: byte 0 is 0xe9, not UTF-8 text; .* --encoding latin-1"
    ):
        load_pairs(str(tmp_path))
    assert load_pairs(str(tmp_path), reading=Reading(encoding="cp1252")).train.targets[0].startswith("été")


def test_several_test_sets_next_to_exact_names_are_left_out(tmp_path):
    for name, count in (("train", 30), ("val", 4), ("test_2016", 3), ("test_2017", 3)):
        (tmp_path / f"{name}.en").write_text(numbered("cat", count))
        (tmp_path / f"{name}.de").write_text(numbered("Katze", count))
    found = load_pairs(str(tmp_path))
    assert (len(found.train), len(found.test)) == (27, 4)
    assert any("test_2016.de and test_2017.de of " in note for note in found.notes)
    for language in ("en", "de"):
        (tmp_path / f"test_2017.{language}").unlink()
    assert len(load_pairs(str(tmp_path)).test) == 3
