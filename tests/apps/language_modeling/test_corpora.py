"""Tests of the values of ``--data`` in language modeling: readers, missing splits and error messages."""

import gzip
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.language_modeling import prose
from apps.language_modeling.corpora import Reading, _cut, load_text, load_texts
from seqmodels.errors import DataError, UsageError


def lines_of(name, count):
    return [f"{name} line {number}" for number in range(count)]


def write(path, lines, end="\n"):
    content = "".join(f"{line}{end}" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def splits(data):
    return {"train": data.train, "valid": data.valid, "test": data.test}


def test_folder_with_three_splits_is_not_cut(tmp_path):
    expected = {name: lines_of(name, 5) for name in ("train", "valid", "test")}
    expected["train"][2:3] = ["", "  indented and café \u2028 no line end"]
    write(tmp_path / "ptb.train.txt", expected["train"])
    write(tmp_path / "Dev.txt.gz", expected["valid"], "\r\n")
    write(tmp_path / "test.txt", expected["test"])
    (tmp_path / "readme.txt").write_text("not a split")
    data = load_texts(str(tmp_path), seed=0)
    assert splits(data) == expected
    assert (data.name, data.notes) == (str(tmp_path), [])
    assert load_text(str(tmp_path)) == expected["test"]
    assert load_text(str(tmp_path), "train") == expected["train"]


def test_without_a_test_split_valid_is_the_test(tmp_path):
    train, valid = lines_of("train", 100), lines_of("valid", 10)
    write(tmp_path / "train.txt", train)
    write(tmp_path / "valid.txt", valid)
    data = load_texts(str(tmp_path), seed=3)
    assert data.test == valid == load_text(str(tmp_path))
    begin = train.index(data.valid[0])
    assert 9 <= len(data.valid) <= 11
    assert data.valid == train[begin : begin + len(data.valid)]
    assert data.train == train[:begin] + train[begin + len(data.valid) :]
    assert data.notes == [
        "the data has no test split, so the validation split is used as the test split",
        f"10% of train ({len(data.valid)} lines in one piece, seed 3) is the validation split",
    ]


@pytest.mark.parametrize("name", ["all.txt", "all.txt.gz", "folder/train.txt"])
def test_one_text_is_cut_in_three(tmp_path, name):
    lines = lines_of("any", 200)
    (tmp_path / "folder").mkdir()
    path = write(tmp_path / name, lines)
    path = path.removesuffix("/train.txt")
    one, two = load_texts(path, seed=0), load_texts(path, seed=1)
    for data in (one, two):
        assert data.test == lines[-len(data.test) :]
        assert [*data.train, *data.valid, *data.test] != lines  # validation is from the middle
        assert sorted([*data.train, *data.valid, *data.test]) == sorted(lines)
        assert 17 <= len(data.valid) <= 19 <= len(data.test) <= 21
        assert data.notes[0] == f"the last 10% of the text is the test split ({len(data.test)} lines)"
    assert one.valid != two.valid
    assert one.test == two.test
    assert one.sha256 == two.sha256
    assert splits(load_texts(path, seed=0)) == splits(one)


@given(
    lengths=st.lists(st.integers(1, 50), min_size=2, max_size=30),
    fraction=st.floats(0.01, 0.5),
    place=st.floats(0, 1),
)
def test_cut_is_one_piece_of_about_the_right_size(lengths, fraction, place):
    lines = [chr(97 + number) * length for number, length in enumerate(lengths)]
    rest, piece = _cut("data", lines, fraction, place)
    begin = lines.index(piece[0])
    assert piece
    assert rest == lines[:begin] + lines[begin + len(piece) :]
    size = sum(len(line) + 1 for line in piece)
    assert abs(size - fraction * (sum(lengths) + len(lines))) <= max(lengths) + 1
    if place == 1:
        assert rest + piece == lines


def test_sha256_changes_with_the_content_and_the_splits(tmp_path):
    def digest(files):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        for name, lines in files.items():
            write(folder / name, lines)
        return load_texts(str(folder), seed=0).sha256

    train, valid = lines_of("train", 30), lines_of("valid", 9)
    same = [digest({"train.txt": train, name: valid}) for name in ("valid.txt", "dev.txt.gz")]
    assert same[0] == same[1]
    assert digest({"train.txt": train, "test.txt": valid}) != same[0]
    assert digest({"train.txt": train + valid[:1], "valid.txt": valid[1:]}) != same[0]
    assert digest({"train.txt": [*train[:-1], f"{train[-1]}.", ""], "valid.txt": valid}) != same[0]


def test_a_text_without_enough_lines_is_cut_at_white_space(tmp_path):
    """text8 is such a file: one line of 100 million characters."""
    words = [f"w{number}" for number in range(1000)]
    write(tmp_path / "text.txt", [" ".join(words)])
    found = load_texts(str(tmp_path / "text.txt"), seed=3)
    assert found.test == [" ".join(words[-len(found.test[0].split()) :])]
    assert len(found.test[0]) == pytest.approx(490, abs=10)
    assert len(found.valid[0]) == pytest.approx(440, abs=10)
    before, after = (line.split() for line in found.train)
    assert [*before, *found.valid[0].split(), *after, *found.test[0].split()] == words


def test_embedded():
    text, code = load_texts("embedded", seed=0), load_texts("embedded:code", seed=5)
    assert splits(text) == prose.prose() == splits(load_texts("embedded:prose", seed=1))
    assert splits(code) == prose.code()
    assert text.notes == code.notes == [prose.version()]
    assert load_text("embedded") == text.test
    assert text.sha256 != code.sha256


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train.txt": ""}, "train.txt is empty; expected text"),
        ({"train.txt": "\n \n"}, "train.txt is empty"),
        ({"train.txt": b"fine\nna\xefve\n"}, "train.txt:2: byte 7 is 0xef, not UTF-8 text"),
        ({"train.txt": b"a\n\n\x7fELF\0\0"}, "train.txt:3: byte 7 is 0x00"),
        ({"train.txt.gz": b"no gzip"}, "train.txt.gz is a truncated or corrupt gzip file"),
        ({"train.txt": "one line alone"}, "is too short (1 lines): a validation or test split needs 10%"),
        ({"train.txt": "one\ntwo"}, "lines): a validation or test split needs"),
        ({"valid.txt": "a", "test.txt": "b"}, "has no train split, only valid, test; add a train split"),
        ({"train.txt": "a", "train.txt.gz": "b"}, "more than one split 'train': train.txt and train.txt.gz"),
        ({"book.txt": "a"}, "has no data files; expected train.txt, valid.txt and test.txt"),
        ({}, "has no data files"),
    ],
)
def test_broken_folders_raise(tmp_path, files, expected):
    for name, content in files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError) as caught:
        load_texts(str(tmp_path), seed=0)
    assert str(tmp_path) in str(caught.value)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("missing.txt", "no such file or folder: 'missing.txt'"),
        (f"{__file__}/train.txt", "no such file or folder"),
        ("", "no such file or folder: ''"),
        (__file__, "unsupported extension"),
        ("embedded:reviews", "unknown embedded data 'embedded:reviews'"),
    ],
)
def test_unknown_sources_raise(data, expected):
    for load in (lambda: load_texts(data, seed=0), lambda: load_text(data)):
        with pytest.raises(UsageError) as caught:
            load()
        assert expected in str(caught.value)
        assert "expected" in str(caught.value)


def test_missing_split_raises(tmp_path):
    write(tmp_path / "train.txt", lines_of("a", 9))
    with pytest.raises(DataError, match="has no test split, only train; add the split or pass a single file"):
        load_text(str(tmp_path))
    assert load_text(str(tmp_path / "train.txt")) == lines_of("a", 9)


@pytest.mark.parametrize("fraction", [0, -0.1, 0.6, float("nan")])
def test_invalid_fractions_raise(fraction):
    with pytest.raises(UsageError, match="valid_fraction"):
        load_texts("embedded", seed=0, valid_fraction=fraction)


def test_path_without_permission_raises(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(DataError, match=r"a\.txt cannot be read: Permission denied"):
        load_texts(str(tmp_path / "a.txt"), seed=0)


def test_text_is_read_without_tensorflow():
    program = (
        "import sys; from apps.language_modeling.corpora import load_texts; "
        "load_texts('embedded', 0); print('tensorflow' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True, text=True).stdout == "False\n"


@pytest.mark.parametrize("packed", ["", ".gz", ".bz2", ".xz", ".zip"])
def test_encodings_and_compressed_files(tmp_path, packed):
    import bz2
    import gzip
    import io
    import lzma
    import zipfile

    content = "".join(f"un film très naïf {n}\n" for n in range(60)).encode("latin-1")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train.txt", content)
    pack = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
        ".zip": lambda _: archive.getvalue(),
    }
    path = tmp_path / f"train.txt{packed}"
    path.write_bytes(pack[packed](content) if packed else content)
    for data in (str(path), str(tmp_path)):
        with pytest.raises(DataError, match="--encoding latin-1"):
            load_texts(data, 0)
        assert load_texts(data, 0, reading=Reading("latin-1")).train[0].startswith("un film très")
    stored = Reading("latin-1").of_other_data(None, None)
    assert load_text(str(path), reading=stored)[0] == "un film très naïf 0"
    path = tmp_path / "other.txt"
    path.write_text("un film très naïf\n", encoding="utf-8")
    assert load_text(str(path), reading=stored) == ["un film très naïf"]


def test_tables_have_one_text_per_row(tmp_path):
    rows = "".join(f'{k};"line {k}";x\n' for k in range(40))
    path = tmp_path / "reviews.csv"
    path.write_text("Id;Comment;label\n" + rows, encoding="utf-8")
    with pytest.raises(DataError, match="choose the column with --text COLUMN"):
        load_texts(str(path), 0)
    texts = load_texts(str(path), 0, reading=Reading(text="comment"))
    assert sorted(texts.train + texts.valid + texts.test) == sorted(f"line {k}" for k in range(40))
    assert any("the text is the column 'Comment'" in note for note in texts.notes)
    (tmp_path / "other.jsonl").write_text('{"text": "a\\nb"}\n', encoding="utf-8")
    stored = Reading(text="comment").of_other_data(None, None)
    assert load_text(str(tmp_path / "other.jsonl"), reading=stored) == ["a", "b"]
    (tmp_path / "a.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"--text comment applies to tables, but .*a\.txt is a text file"):
        load_text(str(tmp_path / "a.txt"), reading=Reading(text="comment"))
