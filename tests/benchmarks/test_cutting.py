"""Cut data sets are reproducible samples, and stay valid data sets."""

import gzip

import pandas
import pytest

from benchmarks.scores.cutting import cut, sample
from benchmarks.scores.experiment import Source
from seqmodels.errors import DataError

TEXTS = Source("toy", "toy", "", ("toy/train.csv.gz", "toy/valid.csv", "toy/test.csv"), "labeled")
WITHOUT_TEST = Source("toy", "toy", "", ("toy/train.csv.gz", "toy/valid.csv"), "labeled")
PAIRS = Source("toy", "toy", "", ("toy/train.de", "toy/train.en", "toy/test.de", "toy/test.en"), "pairs")


@pytest.fixture
def folder(tmp_path):
    toy = tmp_path / "toy"
    toy.mkdir()
    with gzip.open(toy / "train.csv.gz", "wt", encoding="utf-8") as file:
        file.write("text,label\n" + "".join(f'"one, text {n}",{n // 5}\n' for n in range(100)))
    for split in ("valid", "test"):
        rows = "".join(f"{split} {n},{n % 20}\n" for n in range(40))
        (toy / f"{split}.csv").write_text("text,label\n" + rows, encoding="utf-8")
    for language in ("de", "en"):
        (toy / f"train.{language}").write_text("".join(f"{language} {n}\n" for n in range(50)), "utf-8")
        (toy / f"test.{language}").write_text(f"{language} test\n", "utf-8")
    return tmp_path


def test_samples_are_nested_and_depend_on_the_seed():
    assert sample(100, 100, 3) == list(range(100))
    assert set(sample(100, 10, 3)) < set(sample(100, 30, 3))
    assert sample(100, 10, 3) == sorted(sample(100, 10, 3))
    assert sample(100, 10, 3) != sample(100, 10, 4)
    for size in (0, 101):
        with pytest.raises(ValueError, match="size must be from 1 to 100"):
            sample(100, size, 0)


def test_every_row_is_equally_likely():
    counts = [sum(row in sample(20, 5, seed) for seed in range(400)) for row in range(20)]
    assert min(counts) > 60  # the mean is 100 and the standard deviation is 9
    assert max(counts) < 140


def test_labels_outside_of_the_cut_are_left_out_and_counted(folder):
    target = folder / "work" / "toy-12-0"
    notes = cut(TEXTS, folder, 12, 0, target)
    train, test = (pandas.read_csv(target / f"{split}.csv", dtype=str) for split in ("train", "test"))
    assert sorted(path.name for path in target.iterdir()) == ["test.csv", "train.csv"]
    assert len(train) == 12
    assert set(train["text"]) <= {f"one, text {n}" for n in range(100)}
    assert set(test["label"]) == set(train["label"])
    assert all(test["text"].str.startswith("test"))
    assert notes == [
        f"12 of the training texts, {train['label'].nunique()} classes",
        f"{40 - len(test)} test texts are left out, because their labels are not in the cut",
    ]


def test_without_a_test_split_the_validation_split_is_the_test_split(folder):
    cut(WITHOUT_TEST, folder, 90, 1, folder / "toy-90-1")
    test = pandas.read_csv(folder / "toy-90-1" / "test.csv")
    assert all(test["text"].str.startswith("valid"))


def test_pairs_stay_pairs(folder):
    target = folder / "toy-7-2"
    cut(PAIRS, folder, 7, 2, target)
    german, english = ((target / f"train.{each}").read_text().splitlines() for each in ("de", "en"))
    assert len(german) == 7
    assert [line.replace("de", "en") for line in german] == english
    assert (target / "test.en").read_text() == "en test\n"
    before = (target / "train.de").read_bytes()
    cut(PAIRS, folder, 7, 2, target)
    assert (target / "train.de").read_bytes() == before


def test_a_cut_needs_enough_rows(folder):
    with pytest.raises(DataError, match=r"train.csv.gz has 100 rows; a cut to 101 rows needs more rows"):
        cut(TEXTS, folder, 101, 0, folder / "toy-101-0")
