"""Tests of the values of ``--data``, of missing splits that are cut from other splits, and of errors."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from apps.sentiment.labeled_table import LabeledTexts, Reading
from apps.sentiment.labeled_texts import check_labels, load_labeled_texts, load_split
from seqmodels.errors import DataError, UsageError

Rows = list[tuple[str, str]]


def rows_of(name: str, count: int, labels: tuple[str, ...] = ("bad", "good")) -> Rows:
    return [(f"{name} text {index}", labels[index % len(labels)]) for index in range(count)]


def write(path: Path, rows: Rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["text,label", *(f'"{text}",{label}' for text, label in rows)]
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_class_folders(folder: Path, rows: Rows) -> None:
    for number, (text, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.txt").write_text(text, encoding="utf-8")


def pairs(split: LabeledTexts) -> Rows:
    return list(zip(split.texts, split.labels))


def test_a_folder_with_three_splits_is_not_cut(tmp_path):
    rows = {name: rows_of(name, 6) for name in ("train", "valid", "test")}
    write(tmp_path / "train.csv", rows["train"])
    write(tmp_path / "Dev.csv.gz", rows["valid"])
    lines = [json.dumps({"text": text, "label": label}) for text, label in rows["test"]]
    (tmp_path / "test.jsonl").write_text("\n".join(lines))
    data = load_labeled_texts(str(tmp_path), seed=0)
    assert {name: pairs(getattr(data, name)) for name in rows} == rows
    assert (data.classes, data.notes, data.name) == (["bad", "good"], [], str(tmp_path))
    assert data.valid.where(0) == f"{tmp_path}/Dev.csv.gz:2"


def test_without_a_test_split_valid_is_the_test(tmp_path):
    write(tmp_path / "train.csv", rows_of("train", 100))
    write(tmp_path / "validation.csv", rows_of("valid", 10))
    data = load_labeled_texts(str(tmp_path), seed=3)
    assert pairs(data.test) == rows_of("valid", 10)
    assert sorted(pairs(data.train) + pairs(data.valid)) == sorted(rows_of("train", 100))
    assert data.notes == [
        "the data has no test split, so the validation split is used as the test split; "
        "10% of train (10 rows, seed 3) is the validation split",
    ]
    assert pairs(load_split(str(tmp_path))) == rows_of("valid", 10)


def test_a_missing_valid_split_is_cut_from_train(tmp_path):
    write(tmp_path / "train.csv", rows_of("train", 100))
    write(tmp_path / "test.csv", rows_of("test", 10))
    data = load_labeled_texts(str(tmp_path), seed=0, valid_fraction=0.2)
    assert Counter(data.valid.labels) == {"bad": 10, "good": 10}
    assert pairs(data.test) == rows_of("test", 10)
    assert data.notes == ["20% of train (20 rows, seed 0) is the validation split"]


@pytest.mark.parametrize("name", ["all.csv", "folder/train.csv"])
def test_a_source_in_one_piece_is_cut_in_three(tmp_path, name):
    rows = rows_of("any", 200, ("a", "a", "a", "b"))
    path = write(tmp_path / name, rows)
    data = load_labeled_texts(str(path if name == "all.csv" else path.parent), seed=0)
    splits = (data.train, data.valid, data.test)
    assert [Counter(split.labels) for split in splits] == [
        {"a": 120, "b": 40},
        {"a": 15, "b": 5},
        {"a": 15, "b": 5},
    ]
    assert sorted(pair for split in splits for pair in pairs(split)) == sorted(rows)
    assert "is the test split; 10% of" in data.notes[0]
    for split in splits:
        assert [path.read_text().splitlines()[line - 1] for line in split.lines] == [
            f'"{text}",{label}' for text, label in pairs(split)
        ]


def test_a_cut_depends_on_the_seed_and_not_on_the_order_of_rows(tmp_path):
    rows = rows_of("any", 100)
    forward = write(tmp_path / "forward.csv", rows)
    backward = write(tmp_path / "backward.csv", rows[::-1])

    def cut(path, seed, valid_fraction=0.1):
        data = load_labeled_texts(str(path), seed, valid_fraction)
        return [sorted(split.texts) for split in (data.valid, data.test)]

    assert cut(forward, 0) == cut(backward, 0)
    assert cut(forward, 0) != cut(forward, 1)
    assert cut(forward, 0)[1] == cut(forward, 0, valid_fraction=0.3)[1]


def test_a_cut_is_the_same_in_every_process(tmp_path):
    path = write(tmp_path / "all.csv", rows_of("any", 50))
    code = (
        f"from apps.sentiment.labeled_texts import *; print(load_labeled_texts({str(path)!r}, 0).valid.texts)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert printed == {f"{load_labeled_texts(str(path), 0).valid.texts}\n"}


def test_equal_texts_stay_in_one_split(tmp_path):
    rows = rows_of("any", 40) * 5
    path = write(tmp_path / "all.csv", rows)
    for seed in range(10):
        data = load_labeled_texts(str(path), seed)
        train, valid, test = ({*split.texts} for split in (data.train, data.valid, data.test))
        assert not train & valid
        assert not train & test
        assert not valid & test
        assert len(data.train) + len(data.valid) + len(data.test) == len(rows)


def test_a_rare_class_stays_in_train(tmp_path):
    path = write(tmp_path / "all.csv", [*rows_of("any", 20), ("only one", "rare")])
    data = load_labeled_texts(str(path), seed=0)
    assert data.classes == ["bad", "good", "rare"]
    assert "only one" in data.train.texts


def test_test_texts_that_are_also_in_train_are_counted(tmp_path):
    write(tmp_path / "train.csv", rows_of("train", 30))
    write(tmp_path / "valid.csv", rows_of("valid", 4))
    write(tmp_path / "test.csv", rows_of("train", 3) + rows_of("valid", 1) + rows_of("test", 6))
    assert load_labeled_texts(str(tmp_path), seed=0).notes == [
        "4 of 10 test texts are also in train or valid; "
        "remove them from test, because their scores are too good"
    ]


def test_sha256_depends_on_the_content_only(tmp_path):
    def digest(name, rows, seed=0):
        return load_labeled_texts(str(write(tmp_path / name, rows)), seed).sha256

    rows = rows_of("any", 30)
    assert digest("a.csv", rows) == digest("b.csv.gz", rows, seed=1)
    assert digest("a.csv", rows) != digest("c.csv", [(rows[0][0], "good"), *rows[1:]])
    assert digest("a.csv", rows) != digest("d.csv", rows[::-1])


def test_whole_numbers_are_sorted_by_value(tmp_path):
    path = write(tmp_path / "all.csv", rows_of("any", 60, ("10", "2", "0", "-1")))
    assert load_labeled_texts(str(path), seed=0).classes == ["-1", "0", "2", "10"]
    path = write(tmp_path / "all.csv", rows_of("any", 60, ("10", "2", "x")))
    assert load_labeled_texts(str(path), seed=0).classes == ["10", "2", "x"]


def test_embedded_reviews():
    data = load_labeled_texts("embedded", seed=0)
    assert data.classes == ["negative", "positive"]
    assert data.notes == []
    assert load_split("embedded:reviews").texts == data.test.texts
    assert data.test.where(1) == "embedded[test]:2"


def test_a_folder_per_class_is_one_piece(tmp_path):
    rows = rows_of("any", 40)
    write_class_folders(tmp_path, rows)
    data = load_labeled_texts(str(tmp_path), seed=0)
    assert sorted(pairs(data.train) + pairs(data.valid) + pairs(data.test)) == sorted(rows)
    for split in (data.train, data.test):
        assert Path(split.where(2)).read_text() == split.texts[2]
    assert sorted(pairs(load_split(str(tmp_path)))) == sorted(rows)


def test_class_folders_in_split_folders_skip_unlabelled_texts(tmp_path):
    write_class_folders(tmp_path / "train", [*rows_of("train", 20), ("unknown", "unsup")])
    write_class_folders(tmp_path / "test", rows_of("test", 4))
    (tmp_path / "train" / "urls_pos.txt").write_text("not a text of a class")
    data = load_labeled_texts(str(tmp_path), seed=0)
    assert (data.classes, len(data.train), len(data.valid), len(data.test)) == (["bad", "good"], 18, 2, 4)
    assert data.notes[0] == f"{tmp_path}/train/unsup is skipped because its texts have no labels"


def test_one_split_is_read_without_the_others(tmp_path):
    (tmp_path / "train.csv").write_text("broken")
    write(tmp_path / "test.csv", rows_of("test", 4, ("good",)))
    assert pairs(load_split(str(tmp_path))) == rows_of("test", 4, ("good",))
    assert pairs(load_split(str(tmp_path / "test.csv"))) == rows_of("test", 4, ("good",))
    with pytest.raises(DataError, match="has no valid split, only train, test"):
        load_split(str(tmp_path), "valid")


def test_labels_that_do_not_occur_in_train(tmp_path):
    write(tmp_path / "train.csv", rows_of("train", 20))
    write(tmp_path / "test.csv", [("fine", "good"), ("so\nso", "neutral"), ("meh", "mixed")])
    with pytest.raises(
        DataError,
        match=r"test\.csv:3: the label 'neutral' is unknown; .*test\.csv:5: the label 'mixed' .*: bad, good$",
    ):
        load_labeled_texts(str(tmp_path), seed=0)
    test = load_split(str(tmp_path))
    check_labels(test, ["good", "mixed", "neutral"], "single-label")
    with pytest.raises(DataError, match=r"test\.csv:5: the label 'mixed' is unknown"):
        check_labels(test, ["good", "neutral"], "single-label")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train.csv": "text,label\n"}, "train.csv has no rows"),
        ({"train.csv": "text,label\na,x\n\n\" \",y\n"}, "train.csv:4: the text is empty"),
        ({"train.csv": "text,label\na,\n"}, "train.csv:2: the label is empty"),
        ({"train.csv": "text,label\na,x\nb,x\nc,x\n"}, "has only the label 'x' in train"),
        ({"train.csv": "text,label\na,x\nb,y\n"}, "too few rows (2) to create the split 'test'"),
        ({"test.csv": "text,label\na,x\n", "valid.csv": ""}, "has no train split, only valid, test"),
        ({"train.csv": "", "train.tsv.gz": ""}, "more than one split 'train': train.csv and train.tsv.gz"),
        ({"dev.csv": "", "val/x/1.txt": ""}, "more than one split 'valid': val and dev.csv"),
        ({"notes.md": ""}, "has no data files; expected folders or tables"),
        ({"train/x/1.txt": "a", "train/y/readme": ""}, "y has no .txt file"),
        ({"x/1.txt": "a", "y/2.txt": " \n"}, "y/2.txt: the text is empty"),
        ({"x/1.txt": "a", "y/2.txt": b"\xe9"}, "y/2.txt:1: byte 0 is 0xe9"),
    ],
)  # fmt: skip
def test_bad_folders(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError) as caught:
        load_labeled_texts(str(tmp_path), seed=0)
    assert str(tmp_path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("missing.csv", "'missing.csv' does not exist"),
        (f"{__file__}/train.csv", "does not exist"),
        ("", "'' does not exist"),
        (__file__, "unsupported extension"),
        ("embedded:prose", "embedded:prose is not an embedded data set"),
    ],
)
def test_usage_errors(data, expected):
    for load in (lambda: load_labeled_texts(data, seed=0), lambda: load_split(data)):
        with pytest.raises(UsageError) as caught:
            load()
        assert expected in str(caught.value)
        assert "expected" in str(caught.value)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.6, float("nan")])
def test_invalid_fractions(fraction):
    with pytest.raises(UsageError, match="valid_fraction"):
        load_labeled_texts("embedded", seed=0, valid_fraction=fraction)


def test_a_path_without_permission(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(DataError, match=r"a\.csv cannot be read: Permission denied"):
        load_split(str(tmp_path / "a.csv"))


def test_files_are_read_without_tensorflow(tmp_path):
    path = write(tmp_path / "all.csv", rows_of("any", 50))
    code = (
        "import sys; from apps.sentiment.labeled_texts import load_labeled_texts; "
        f"load_labeled_texts({str(path)!r}, 0); print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("line_break", ["\n", "\r", "\u2028"])
def test_a_label_with_a_line_break_is_refused(line_break, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f'text,label\nfine,good\npoor,"b{line_break}ad"\n', encoding="utf-8", newline="")
    with pytest.raises(DataError, match=r"a\.csv:3: the label .* has a line break"):
        load_labeled_texts(str(path), seed=0)


def test_the_checksum_depends_on_the_split_of_each_row(tmp_path):
    rows = [f"text {n},{'good' if n % 2 else 'bad'}\n" for n in range(12)]
    sums = set()
    for cut in (6, 8):
        for name, part in (("train", rows[:4]), ("valid", rows[4:cut]), ("test", rows[cut:])):
            (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(part))
        sums.add(load_labeled_texts(str(tmp_path), seed=0).sha256)
    assert len(sums) == 2


def many(header: str, row: str, count: int = 60) -> str:
    """Returns a table of ``count`` rows. In each row, ``{n}`` and ``{label}`` are replaced by values."""
    rows = (row.format(n=n, label=("neg", "pos")[n % 2]) for n in range(count))
    return "\n".join((header, *rows)) + "\n"


def read(path: Path, content: str | bytes, **options: object):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_labeled_texts(str(path), seed=0, reading=Reading(**options))


@pytest.mark.parametrize(
    ("name", "header", "row"),
    [
        ("a.csv", ",text,label", "{n},dull {n},{label}"),
        ("a.csv", "Text,LABEL", "dull {n},{label}"),
        ("a.csv", "text, label", "dull {n}, {label}"),
        ("a.csv", "text;label", "dull {n}, really;{label}"),
        ("a.tsv", "text\tlabel", 'dull" {n}\t{label}'),
        ("a.csv", "id,review,sentiment", "{n},dull {n},{label}"),
        ("a.csv", "class,message,,,", "{label},dull {n},,,"),
        ("a.jsonl", "", '{{"sentence": "dull {n}", "category": "{label}", "extra": {n}}}'),
    ],
)
def test_known_columns_are_found(tmp_path, name, header, row):
    data = read(tmp_path / name, many(header, row))
    assert data.classes == ["neg", "pos"]
    assert len(data.train) + len(data.valid) + len(data.test) == 60
    assert all(text.startswith("dull") for text in data.train.texts)


def test_a_note_names_the_columns(tmp_path):
    data = read(tmp_path / "a.csv", many("id,review,sentiment", "{n},dull {n},{label}"))
    assert data.notes[0] == (
        f"{tmp_path}/a.csv: the text is the column 'review' and the label is the column 'sentiment'; "
        "1 column is not used: 'id'"
    )


def test_columns_by_option(tmp_path):
    content = many("title,body,topic,label", "short {n},dull {n},{label},{n}")
    data = read(tmp_path / "a.csv", content, text="Body", label="topic")
    assert data.classes == ["neg", "pos"]
    assert data.train.texts[0].startswith("dull")
    for options, match in (
        ({"text": "words"}, "--text words is not a column of .*; found 'title', 'body', 'topic', 'label'"),
        ({"text": "body", "label": "body"}, "the column 'body' of"),
    ):
        with pytest.raises(UsageError, match=match):
            read(tmp_path / "a.csv", content, **options)
    write_class_folders(tmp_path / "d", rows_of("train", 20))
    with pytest.raises(UsageError, match="--text body applies to tables"):
        load_labeled_texts(str(tmp_path / "d"), 0, reading=Reading(text="body"))


@pytest.mark.parametrize(
    ("header", "row", "match"),
    [
        (
            "review,comment,label",
            "a {n},b {n},{label}",
            "could be 'text': 'review' and 'comment'; choose the column with",
        ),
        ("text,score,stars", "a {n},{n},{n}", "'label': 'score' and 'stars'; choose the column with --label"),
        ("en,fr", "a {n},b {n}", "has no column 'text'; found 'en', 'fr'; choose the column with --text"),
        ("Date,Close", "2024-01-0{n},{n}", "has no column 'text'; found 'Date', 'Close'"),
        ("content,target", "{n}.5,{n}", "contains values such as '0.5' instead of texts"),
        ("dull film,neg", "dull {n},{label}", r"a\.csv:1: the column names are missing"),
    ],
)
def test_columns_that_are_not_clear(tmp_path, header, row, match):
    with pytest.raises(DataError, match=match):
        read(tmp_path / "a.csv", many(header, row))


def test_encodings(tmp_path):
    content = many("text,label", "naïve £{n},{label}").encode("latin-1")
    with pytest.raises(DataError, match="read it with --encoding latin-1"):
        read(tmp_path / "a.csv", content)
    data = read(tmp_path / "a.csv", content, encoding="latin-1")
    assert data.train.texts[0].startswith("naïve £")
    for n in range(20):
        folder = tmp_path / "d" / ("neg", "pos")[n % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n}.txt").write_bytes(f"naïve {n}".encode("utf-16"))
    data = load_labeled_texts(str(tmp_path / "d"), 0, reading=Reading(encoding="utf-16"))
    assert data.train.texts[0].startswith("naïve")


def test_bad_rows_are_counted_or_skipped(tmp_path):
    good = many("text,label", "dull {n},{label}")
    bad = 'one,two,three\n" ",x\na,\n,y\n"b","z\nz"\nc\n"d"e,x\n'
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv", good + bad)
    found = str(caught.value)
    assert found.startswith(f"{tmp_path}/a.csv:62: the row has 3 fields")
    assert "a.csv:63: the text is empty" in found
    assert "a.csv:64: the label is empty" in found
    assert "a.csv:66: the label 'z\\nz' has a line break" in found
    assert "and 2 more; 7 bad rows in" in found
    assert "a.csv:69" not in found
    data = read(tmp_path / "a.csv", good + bad, on_bad_rows="skip")
    assert len(data.train) + len(data.valid) + len(data.test) == 60
    assert data.notes[0].startswith(f"7 of 67 rows of {tmp_path}/a.csv are skipped: ")
    with pytest.raises(DataError, match=r"all 2 rows of .* are bad"):
        read(tmp_path / "a.csv", "text,label\n,x\na,\n", on_bad_rows="skip")


def test_html_breaks_become_line_breaks(tmp_path):
    data = read(tmp_path / "a.csv", many("text,label", "dull {n}<br /><BR>end,{label}"))
    assert data.train.texts[0].endswith("\n\nend")
    assert (
        data.notes[0] == f"60 of 60 texts of {tmp_path}/a.csv have HTML breaks, which are read as line breaks"
    )


def test_options_of_the_training_apply_to_other_files_that_they_fit(tmp_path):
    stored = Reading("body", "topic", "latin-1", stored=frozenset({"text", "label", "encoding"}))
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    one.write_bytes(many("text,body,topic", "x,naïve {n},{label}").encode("latin-1"))
    two.write_bytes(many("text,label", "naïve {n},{label}").encode())
    for path in (one, two):
        split = load_split(str(path), reading=stored)
        assert split.texts[0] == "naïve 0"
        assert set(split.labels) == {"neg", "pos"}
