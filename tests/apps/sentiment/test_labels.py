"""Tests of the kinds of labels: how labels are read, and how the kind is recognised."""

from __future__ import annotations

import json

import numpy as np
import pytest

from apps.sentiment.labeled_table import Reading
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.sentiment.labels import label_text, recognise, strata
from seqmodels.errors import DataError


@pytest.mark.parametrize(
    "cell",
    [["a", "b", ""], ["a", None, "b"], ["a", "b"], '["a", "b"]', "['a', 'b']", "a|b", " a | b ", "a|b|a"],
)
def test_every_form_of_several_labels_is_read_alike(cell) -> None:
    assert label_text(cell) == "a|b"


def test_a_separator_in_a_single_label_is_kept() -> None:
    assert label_text("a | b", several=False) == "a | b"


@pytest.mark.parametrize("cell", ["[a]", "[", "[1", "['a', {}]", "plain", "[[1]]"])
def test_other_brackets_stay_a_label(cell) -> None:
    assert label_text(cell) == cell


def test_a_list_with_a_separator_in_a_label_is_refused() -> None:
    with pytest.raises(ValueError, match="separates labels"):
        label_text(["a|b", "c"])


NUMBERS = [f"{index / 7:.3f}" for index in range(50)]


@pytest.mark.parametrize(
    ("labels", "expected", "says"),
    [
        (["bad", "good"] * 50, "single-label", ""),
        (["1", "2", "3", "4", "5"] * 9, "single-label", ""),
        (["0.5", "1.0", "1.5"] * 30, "single-label", ""),
        ([str(index) for index in range(150)] * 3, "single-label", "--output regression"),
        (NUMBERS, "regression", "--output single-label"),
        ([*NUMBERS, "nan"], "single-label", "'nan' is not"),
        ([label.replace(".", ",") for label in NUMBERS], "single-label", "--output regression"),
        (["a|b", "a", "b"], "multi-label", "--output single-label"),
    ],
)
def test_the_kind_is_recognised(labels, expected, says) -> None:
    kind, notes = recognise(labels)
    assert kind == expected
    assert says in "".join(notes)
    assert bool(notes) == bool(says)


def test_strata() -> None:
    assert strata(["x", "y"], "single-label") == ["x", "y"]
    assert strata(["a|b", "a", "a|c", "|"], "multi-label") == ["b", "a", "c", ""]
    tenths = strata([str(index) for index in range(100)], "regression")
    assert sorted(map(int, set(tenths))) == list(range(10))
    assert all(tenths.count(each) == 10 for each in set(tenths))


def test_a_file_with_lists_is_read_as_several_labels(tmp_path) -> None:
    rows = [{"text": f"text {index}", "label": ["a", "b"][: index % 3]} for index in range(60)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = load_labeled_texts(str(tmp_path / "lists.jsonl"), seed=0)
    assert (data.output, data.classes) == ("multi-label", ["a", "b"])
    assert sorted({*data.train.labels}) == ["a", "a|b", "|"]
    single = load_labeled_texts(str(tmp_path / "lists.jsonl"), 0, reading=Reading(output="single-label"))
    assert single.classes == ["a", "a|b", "|"]
    assert single.sha256 == data.sha256


def test_lists_of_one_label_are_read_alike_by_training_and_evaluation(tmp_path) -> None:
    rows = [{"text": f"text {index}", "label": [["joy", "fear"][index % 2]]} for index in range(40)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    auto, single = (
        load_labeled_texts(str(tmp_path / "lists.jsonl"), 0, reading=Reading(output=output))
        for output in ("auto", "single-label")
    )
    assert auto.output == "single-label"
    assert auto.classes == single.classes == ["fear", "joy"]
    assert auto.sha256 == single.sha256


def test_bad_lists_are_bad_rows(tmp_path) -> None:
    rows = [{"text": f"text {index}", "label": ["a", "b"][: 1 + index % 2]} for index in range(40)]
    rows[3]["label"] = ["x|y"]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(
        DataError, match=r"lists\.jsonl:4: the label is invalid: a label in the list contains"
    ):
        load_labeled_texts(str(tmp_path / "lists.jsonl"), 0)
    data = load_labeled_texts(str(tmp_path / "lists.jsonl"), 0, reading=Reading(on_bad_rows="skip"))
    assert sum(len(split) for split in (data.train, data.valid, data.test)) == 39


@pytest.mark.parametrize(
    ("labels", "output", "says"),
    [
        (["1", "1.0"], "regression", "only the number 1"),
        (["a", "a|a"], "multi-label", "all texts of .* have the same labels"),
        (["|", "|"], "multi-label", "has no labels"),
        (["a", "a"], "single-label", "only the label 'a'"),
    ],
)
def test_equal_labels_are_refused_before_the_training(tmp_path, labels, output, says) -> None:
    rows = [f"text {index},{labels[index % 2]}" for index in range(40)]
    (tmp_path / "all.csv").write_text("text,label\n" + "\n".join(rows))
    with pytest.raises(DataError, match=says):
        load_labeled_texts(str(tmp_path / "all.csv"), 0, reading=Reading(output=output))


def test_our_own_split_keeps_every_label_in_train(tmp_path) -> None:
    random = np.random.default_rng(0)
    shares = 1 / np.arange(1, 401)
    for seed in range(3):
        rows = []
        for index in range(500):
            chosen = random.choice(400, random.integers(2, 6), replace=False, p=shares / shares.sum())
            rows.append(f"text {index},{'|'.join(f't{each}' for each in chosen)}")
        (tmp_path / f"{seed}.csv").write_text("text,label\n" + "\n".join(rows))
        data = load_labeled_texts(str(tmp_path / f"{seed}.csv"), seed)
        assert {part for label in data.train.labels for part in label.split("|")} == set(data.classes)
        assert min(len(data.valid), len(data.test)) > 20


def test_numbers_are_checked(tmp_path) -> None:
    path = tmp_path / "numbers.csv"
    lines = [f"text {index},{index / 3:.2f}" for index in range(60)]
    path.write_text("text,label\n" + "\n".join([*lines, "so so,many"]))
    with pytest.raises(
        DataError, match=r"numbers\.csv:62: the label 'many' is not a finite number; expected"
    ):
        load_labeled_texts(str(path), 0, reading=Reading(output="regression"))


@pytest.mark.parametrize("output", ["multi-label", "regression"])
def test_a_split_does_not_depend_on_the_order_of_the_rows(tmp_path, output) -> None:
    labels = [
        ("a|b", "b", "c|a")[index % 3] if output == "multi-label" else str(index / 8) for index in range(90)
    ]
    rows = [f"text {index},{label}" for index, label in enumerate(labels)]
    found = []
    for name, ordered in (("rows", rows), ("sorted", sorted(rows, key=lambda row: row.split(",")[1]))):
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "\n".join(ordered))
        data = load_labeled_texts(str(tmp_path / f"{name}.csv"), 0, reading=Reading(output=output))
        found.append([sorted(split.texts) for split in (data.train, data.valid, data.test)])
    assert found[0] == found[1]
