"""Tests of the options that follow from the data."""

from __future__ import annotations

from dataclasses import replace

from apps.options import AUTO
from apps.sentiment.defaults import choose
from apps.sentiment.labeled_texts import load_labeled_texts
from apps.sentiment.options import Train


def test_user_values_are_kept_and_the_others_are_named() -> None:
    source = load_labeled_texts("embedded", 0)
    options, (note,) = choose(Train(units=7, dropout=0.25), source)
    assert (options.units, options.dropout) == (7, 0.25)
    assert options.automatic() == ["unit"]  # needs the tokenizer
    assert f"--epochs {options.epochs} --batch-size {options.batch_size}" in note
    assert "--units" not in note
    assert choose(options, source) == (options, [])


def test_splitting_automatically_is_not_a_choice_of_the_data() -> None:
    """``--split auto`` is the name of a rule."""
    assert "split" not in Train().automatic()
    assert Train().split == AUTO


def test_more_texts_need_fewer_epochs() -> None:
    source = load_labeled_texts("embedded", 0)
    small = replace(source, train=source.train.take(range(100)))
    few, _ = choose(Train(), small)
    large = replace(source, train=source.train.take([*range(len(source.train))] * 8))
    many, _ = choose(Train(), large)
    assert few.epochs > many.epochs
    assert few.batch_size <= many.batch_size
    assert few.epochs * 100 // few.batch_size < many.epochs * len(large.train) // many.batch_size
