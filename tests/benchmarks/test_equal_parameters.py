"""Tests that the compared models have equal numbers of parameters and the options in their names."""

from dataclasses import replace

import pytest

from apps.language_modeling.__main__ import main
from apps.language_modeling.options import Train
from apps.options import resolve
from benchmarks.compare import distinct
from benchmarks.language_modeling import COMPARED, arguments, equal_units, parameters, sized


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("changes", COMPARED, ids=lambda changes: " ".join(map(str, changes.values())))
def test_cells_have_as_many_parameters_as_the_default_model(changes, tied):
    vocabulary, options = 500, Train(tied=tied)
    row = replace(options, **sized(changes, equal_units(options, changes, vocabulary)))
    row.check()
    assert parameters(row, vocabulary) == pytest.approx(parameters(options, vocabulary), rel=0.02)


def test_parameters_of_the_default_model():
    """Embedding and output share one matrix; an LSTM of h units on d inputs has 4 h (d + h + 1) weights."""
    units, vocabulary = 200, 10_002
    expected = vocabulary * units + vocabulary + 2 * 4 * units * (2 * units + 1)
    assert parameters(Train(), vocabulary) == expected


@pytest.mark.parametrize("changes", [{}, {"tied": False}, *COMPARED], ids=str)
def test_a_row_is_trained_with_its_named_options(changes):
    changes = {**changes, "epochs": 5, "units": 7}
    train = main.commands["train"]
    context = train.make_context("train", arguments(changes).split())
    given = {name: context.params[name] for name in changes}
    assert given == changes
    resolve(Train, given).check()


def test_repeated_columns_are_dropped():
    figures = {
        "minutes": "1",
        "examples/s": "20",
        "targets/s": "20",
        "valid": "1.5",
        "words": "1.5",
        "x": "2",
    }
    assert distinct(figures) == ["minutes", "examples/s", "valid", "x"]
