"""Datasets in the format of TensorFlow Datasets (tfds), read with the loaders of the project."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from prepared_tfds import SENTIMENT, prepare

from apps.language_modeling.corpora import load_text, load_texts
from apps.sentiment.labeled_texts import load_labeled_texts, load_split
from seqmodels.errors import DataError, UsageError


@pytest.fixture
def data_dir(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return tmp_path


def rows_of(name: str, count: int, label: int | None = None) -> list[dict]:
    return [
        {"sentence": f"{name} é {index}", "label": index % 2 if label is None else label}
        for index in range(count)
    ]


def test_a_prepared_dataset_is_read_by_its_name(data_dir):
    splits = {"train": rows_of("train", 40), "validation": rows_of("valid", 6), "test": rows_of("test", 4)}
    prepare(data_dir / "our_reviews" / "1.0.0", "our_reviews", splits)
    data = load_labeled_texts("tfds:our_reviews", seed=0)
    assert data.classes == ["neg", "pos"]
    assert data.notes == []
    assert data.train.texts == [row["sentence"] for row in splits["train"]]
    assert data.train.labels == ["neg", "pos"] * 20
    assert len(data.valid) == 6
    assert load_split("tfds:our_reviews:1.0.0").texts == data.test.texts
    assert data.test.where(3) == "tfds:our_reviews[test]:4"


def test_a_test_split_without_labels_is_skipped(data_dir):
    splits = {
        "train": rows_of("train", 40),
        "validation": rows_of("valid", 6),
        "test": rows_of("test", 4, -1),
    }
    prepare(data_dir / "glue" / "sst2" / "2.0.0", "glue", splits)
    data = load_labeled_texts("tfds:glue/sst2", seed=0)
    assert data.test.texts == [row["sentence"] for row in splits["validation"]]
    assert data.notes == [
        "tfds:glue/sst2[test] is skipped because its texts have no labels",
        "the data has no test split, so the validation split is used as the test split; "
        "10% of train (4 rows, seed 0) is the validation split",
    ]
    assert load_split("tfds:glue/sst2").texts == data.test.texts


def test_one_missing_label_among_others_is_an_error(data_dir):
    prepare(data_dir / "part" / "1.0.0", "part", {"train": rows_of("a", 3) + rows_of("b", 1, -1)})
    with pytest.raises(DataError, match=r"tfds:part\[train\]:4: the label is -1"):
        load_labeled_texts("tfds:part", seed=0)


def test_imdb_reviews_as_tfds_mocks_it():
    with tfds.testing.mock_data(num_examples=60):
        data = load_labeled_texts("tfds:imdb_reviews", seed=0)
    assert data.classes == ["neg", "pos"]
    assert len(data.train) == len(data.test) == 60
    assert all(data.train.texts)


def test_imdb_reviews_as_tfds_prepares_it(data_dir):
    """The dataset has no validation split, and its split `unsupervised` is ignored."""
    features = {"text": tfds.features.Text(), "label": SENTIMENT["label"]}
    splits = {
        name: [{"text": f"{name} {row}", "label": row % 2 if labeled else -1} for row in range(20)]
        for name, labeled in (("train", True), ("test", True), ("unsupervised", False))
    }
    prepare(data_dir / "imdb_reviews" / "plain_text" / "1.0.0", "imdb_reviews", splits, features)
    data = load_labeled_texts("tfds:imdb_reviews", seed=0)
    assert {*data.train.texts, *data.valid.texts} == {row["text"] for row in splits["train"]}
    assert data.test.texts == [row["text"] for row in splits["test"]]
    assert data.notes == ["10% of train (2 rows, seed 0) is the validation split"]


def test_features_are_found_by_key_name_or_type(data_dir):
    text, label = tfds.features.Text(), SENTIMENT["label"]
    row = {"title": "wrong", "body": "right", "mood": 1}
    features = {"title": text, "body": text, "mood": label}
    keys = ("body", "mood")
    prepare(data_dir / "keyed" / "1.0.0", "keyed", {"test": [row]}, features, supervised_keys=keys)
    assert load_split("tfds:keyed").texts == ["right"]
    prepare(data_dir / "unclear" / "1.0.0", "unclear", {"test": [row]}, features)
    with pytest.raises(DataError, match="exactly one Text feature; found body, title"):
        load_split("tfds:unclear")
    features = {"text": text, "label": tfds.features.Scalar(np.int64)}
    prepare(data_dir / "number" / "1.0.0", "number", {"test": [{"text": "a", "label": 1}]}, features)
    with pytest.raises(DataError, match="exactly one ClassLabel feature; found none"):
        load_split("tfds:number")


def test_splits_with_other_names_and_corrupt_files(data_dir):
    prepare(data_dir / "other" / "1.0.0", "other", {"extra": rows_of("a", 3)})
    with pytest.raises(DataError, match="a train split with labelled texts; found the splits extra"):
        load_split("tfds:other")
    prepare(data_dir / "broken" / "1.0.0", "broken", {"test": rows_of("a", 3)})
    [records] = (data_dir / "broken" / "1.0.0").glob("*tfrecord*")
    records.write_bytes(records.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"tfds:broken\[test\] is corrupt \(") as caught:
        load_split("tfds:broken")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "error", "expected"),
    [
        (
            "imdb_reviews",
            DataError,
            "is not prepared in {dir}; run on a machine with network access: python -c",
        ),
        ("imdb_revews", UsageError, "not prepared in {dir}; did you mean imdb_reviews?"),
        ("qqxxzz", UsageError, "see tensorflow.org/datasets/catalog"),
        ("glue/sst3", UsageError, "configurations of glue: cola, sst2"),
        ("imdb_reviews:9.9.9", UsageError, "only: 1.0.0"),
        ("huggingface:imdb", UsageError, "use tfds:NAME, tfds:NAME/CONFIG"),
        ("", UsageError, "use tfds:NAME, tfds:NAME/CONFIG"),
    ],
)
def test_missing_datasets(data_dir, name, error, expected):
    with pytest.raises(error) as caught:
        load_labeled_texts(f"tfds:{name}", seed=0)
    assert expected.format(dir=data_dir) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_texts_of_a_language_model_need_no_labels(data_dir):
    features = {"text": tfds.features.Text()}
    splits = {
        "train": [{"text": f"train {row}\nnext line {row}"} for row in range(40)],
        "test": [{"text": "test é"}],
    }
    prepare(data_dir / "prose" / "1.0.0", "prose", splits, features)
    data = load_texts("tfds:prose", seed=0)
    assert data.test == ["test é"] == load_text("tfds:prose")
    expected = [line for row in splits["train"] for line in row["text"].split("\n")]
    assert sorted([*data.train, *data.valid]) == sorted(expected)
    prepare(
        data_dir / "glue" / "sst2" / "2.0.0", "glue", {"train": rows_of("a", 40), "test": rows_of("b", 2, -1)}
    )
    assert load_text("tfds:glue/sst2") == ["b é 0", "b é 1"]  # labels are ignored


def test_the_error_of_a_broken_text_names_its_split(data_dir):
    rows = [{"text": b"fine"}, {"text": b"\xff"}]
    features = {"text": tfds.features.Text()}
    prepare(data_dir / "latin" / "1.0.0", "latin", {"train": rows, "test": rows[:1]}, features)
    with pytest.raises(DataError, match=r"tfds:latin\[train\]:2: byte 0 is not UTF-8"):
        load_texts("tfds:latin", seed=0)


def test_lm1b_as_tfds_mocks_it():
    with tfds.testing.mock_data(num_examples=30):
        data = load_texts("tfds:lm1b", seed=0)
    assert len(data.train) == len(data.test) == 30
    assert all(data.train)
