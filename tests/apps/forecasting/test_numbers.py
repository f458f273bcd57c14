"""Tests of numbers as people write them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.forecasting.numbers import Writing, is_number, parse_numbers
from seqmodels.errors import DataError


def parsed(*cells, writing=None):
    return parse_numbers(pd.Series(list(cells)), lambda row: f"a.csv:{row + 2}", "x", writing).tolist()


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2.5", "1e3", " 7 "], [1, 2.5, 1000, 7]),
        (["$1,234.50", "-$5", "$-5", "US$7"], [1234.5, -5, -5, 7]),
        (["€ 5", "5 €", "USD 7", "£8"], [5, 5, 7, 8]),
        (["1,000.00", "990.39"], [1000, 990.39]),
        (["1.000,00", "990,39"], [1000, 990.39]),
        (["5,5", "6,1"], [5.5, 6.1]),
        (["1,234", "2,345"], [1234, 2345]),
        (["0,123", "1,234"], [0.123, 1.234]),
        (["1.234.567"], [1234567]),
        (["12,34,567", "1,00,000"], [1234567, 100000]),
        (["1 234,5", "2 000"], [1234.5, 2000]),
        (["1'234.5"], [1234.5]),
        (["0.12%", "-0.3%"], [0.12, -0.3]),
        (["1.23M", "2B", "4k"], [1.23e6, 2e9, 4e3]),
        (["(2.5)", "(3)"], [-2.5, -3]),
        (["−5", "5-"], [-5, -5]),
    ],
)
def test_numbers_are_read_in_every_common_form(cells, expected):
    assert parsed(*cells) == pytest.approx(expected)


def test_missing_cells_are_nan():
    assert np.isnan(parsed("", "n/a", "-", "?", "NaN", "$1")[:5]).all()


def test_a_file_with_decimal_commas_reads_points_as_thousands():
    writing = Writing(decimal_comma=True, known=True)
    assert parsed("1.234", "5.678", writing=writing) == [1234, 5678]
    assert parsed("1.5", "2.25", writing=writing) == [1.5, 2.25]
    assert parsed("1,234", "2,345", writing=writing) == [1.234, 2.345]


def test_notes_list_the_signs_and_suffixes_of_a_column():
    writing = Writing()
    parsed("$1,234.50", "2K", writing=writing)
    assert writing.notes == [
        "commas are thousands separators in the column 'x'",
        "currency signs are removed in the column 'x'",
        "the suffixes K, M, B and T multiply the numbers in the column 'x'",
    ]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["ten", "1"], "a.csv:2: 'ten' is not a number"),
        (["1", "inf"], "a.csv:3: 'inf' is not finite"),
        (["(5)", "(6"], "a.csv:3: '\\(6' is not a number"),
        (["1,234.5", "1.234,5"], "a.csv:3: '1.234,5' is not a number; in other cells of this file, a point"),
        (["1,5", "2.5"], "a.csv:3: '2.5' is not a number; in other cells of this file, a comma"),
    ],
)
def test_errors_name_the_row(cells, message):
    with pytest.raises(DataError, match=message):
        parsed(*cells)


def test_a_column_of_texts_is_not_a_number():
    assert not is_number(pd.Series(["BTC/USDT", "BTC/USDT"]))
    assert not is_number(pd.Series(["", None]))
    assert is_number(pd.Series(["1", "x"]))
    assert is_number(pd.Series([1.5, None]))
    assert parse_numbers(pd.Series([1, None], dtype="Int64"), str, "x")[0] == 1
