"""Rows of a comparison at equal parameters have equal parameters."""

from dataclasses import replace

import pytest

from apps.language_modeling.options import Train
from benchmarks.language_modeling import COMPARED, equal_units, parameters, sized


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("changes", COMPARED, ids=lambda changes: " ".join(map(str, changes.values())))
def test_cells_have_the_parameters_of_the_default_one(changes, tied):
    vocabulary, options = 500, Train(tied=tied)
    row = replace(options, **sized(changes, equal_units(options, changes, vocabulary)))
    row.check()
    assert parameters(row, vocabulary) == pytest.approx(parameters(options, vocabulary), rel=0.02)


def test_the_default_model_has_the_parameters_of_its_matrices():
    """Embedding and output share one matrix; an LSTM of h units on d inputs has 4 h (d + h + 1)."""
    units, vocabulary = 200, 10_002
    expected = vocabulary * units + vocabulary + 2 * 4 * units * (2 * units + 1)
    assert parameters(Train(), vocabulary) == expected
