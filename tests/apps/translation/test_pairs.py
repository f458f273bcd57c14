"""Pairs of texts from files, tables and data sets, and the error messages of broken pairs."""

import gzip

import pytest
import tensorflow_datasets as tfds
from prepared_tfds import prepare

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
    assert any("10% of all (2 pairs, seed 1) is the test split" in note for note in found.notes)


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
    assert "there is no test split, so the validation split is used as the test split" in found.notes
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
            r"train\.en has 2 lines and .*train\.fr has 1; expected the",
        ),
        (
            {"train_en": "a\nb\n", "train_fr": "c\n \n"},
            DataError,
            r"train\.fr:2: the target is empty; fill it in",
        ),
        ({"train_en": "a\n\n", "train_fr": "c\nd\n"}, DataError, r"train\.en:2: the source is empty"),
        ({**BOTH, "test_fr": "e\n"}, DataError, r"test\.fr has no matching en file; add that file or remove"),
        ({"train_en": "a\n"}, UsageError, "has en; expected two languages to translate between"),
        ({**BOTH, "train_de": "e\nf\n"}, UsageError, "has de, en, fr; choose two with --source and --target"),
        ({"valid_en": "a\n", "valid_fr": "b\n"}, DataError, "has no train split, only valid; add train"),
        ({"notes_txt": "a"}, DataError, r"has no data files; expected train\.en and train\.de"),
        (BOTH, DataError, r"train\.en has \d pairs, too few to cut a \w+ split; add"),
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
        (("embedded", "de"), "--source de is not in embedded; expected one of en, fr"),
        (("embedded", "en", "en"), "--target en is also the source"),
    ],
)
def test_missing_sources_and_languages_raise(arguments, message):
    with pytest.raises(UsageError, match=message):
        load_pairs(*arguments)
