"""Tests of the readers: file formats, inferred frequencies and seasons, and error messages."""

from __future__ import annotations

import gzip
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.forecasting.calendar import Fixed, Months, days
from apps.forecasting.readers import load_series
from apps.forecasting.records import PRICE_COLUMNS, log_returns
from apps.forecasting.week import Weekdays
from seqmodels.errors import DataError, UsageError

PRICES = """Date,Open,High,Low,Close,Volume
2024-01-02,10,11,9,10.5,100
2024-01-03,10.5,12,10,11,0
2024-01-05,11,11.5,10,10.2,300
2024-01-08,10.2,10.4,10,10.1,50
"""


def write(folder, text, name="a.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def daily(values, start="2024-01-01", step="D"):
    times = np.datetime64(start, step) + np.arange(len(values))
    return "date,y\n" + "".join(f"{time},{value}\n" for time, value in zip(times, values))


def test_a_close_column_means_prices_and_targets_are_log_returns(tmp_path):
    source = load_series(write(tmp_path, PRICES))
    assert (source.kind, str(source.frequency), source.season) == ("prices", "business day", 5)
    (series,) = source.series
    assert series.name == "a"
    np.testing.assert_array_equal(series.values[:, PRICE_COLUMNS.index("close")], [10.5, 11, 10.2, 10.1])
    expected = 100 * np.log(np.array([11, 10.2, 10.1]) / [10.5, 11, 10.2])
    assert np.isnan(source.targets(0)[0])
    np.testing.assert_allclose(source.targets(0)[1:], expected)


def test_missing_prices_are_derived_from_the_closes(tmp_path):
    source = load_series(write(tmp_path, "day,close\n2024-01-01,10\n2024-01-02,12\n2024-01-03,11\n"))
    np.testing.assert_array_equal(source.series[0].values[1:, :4], [[10, 12, 10, 12], [12, 12, 11, 11]])
    assert "open, high, low, volume" in source.notes[0]


def test_adjusted_prices_have_no_jump_at_a_split(tmp_path):
    rows = ["2024-01-01,20,22,18,20,10,5", "2024-01-02,20,22,18,20,10,5", "2024-01-03,10,12,8,11,11,9"]
    text = "date,open,high,low,close,adjclose,volume\n" + "\n".join(rows) + "\n"
    source = load_series(write(tmp_path, text))
    np.testing.assert_allclose(source.series[0].values[:, 3], [10, 10, 11])
    np.testing.assert_allclose(source.series[0].values[0, :3], [10, 11, 9])
    np.testing.assert_allclose(source.series[0].values[:, 4], [5, 5, 9])


def test_a_folder_has_one_stock_per_file(tmp_path):
    write(tmp_path, PRICES, "one.csv")
    write(tmp_path, PRICES.replace("10.1,50", "10.3,50"), "two.csv")
    assert [series.name for series in load_series(str(tmp_path)).series] == ["one", "two"]


def test_wide_files_have_one_series_per_column_and_long_files_one_per_name(tmp_path):
    wide = load_series(write(tmp_path, "month,a,b\n2024-01,1,5\n2024-02,2,7\n2024-03,4,6\n"))
    assert (wide.kind, str(wide.frequency), wide.season) == ("values", "month", 12)
    assert [series.name for series in wide.series] == ["a", "b"]
    np.testing.assert_array_equal(wide.targets(1), [5, 7, 6])
    packed = tmp_path / "long.csv.gz"
    rows = "".join(f"{name},{step},{step * step}\n" for name in ("x", "y") for step in (1, 2, 3, 4))
    packed.write_bytes(gzip.compress(f"unique_id,ds,y\n{rows}".encode()))
    long = load_series(str(packed))
    assert [(series.name, len(series)) for series in long.series] == [("x", 4), ("y", 4)]
    assert str(long.frequency) == "step"
    np.testing.assert_array_equal(long.series[0].times, [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("step", "frequency", "season"),
    [("h", "hour", 24), ("D", "day", 7), ("W", "week", 52), ("M", "month", 12), ("Y", "year", 1)],
)
def test_frequency_and_season_are_inferred(tmp_path, step, frequency, season):
    source = load_series(write(tmp_path, daily(range(1, 20), "2020", step)))
    assert (str(source.frequency), source.season) == (frequency, season)
    assert load_series(source.name, season=3).season == 3


def test_days_without_weekends_are_business_days(tmp_path):
    dates = np.busday_offset("2024-01-01", np.arange(12))
    text = "date,y\n" + "".join(f"{date},{number**2}\n" for number, date in enumerate(dates))
    assert str(load_series(write(tmp_path, text)).frequency) == "business day"


def test_the_season_of_series_without_dates_is_inferred(tmp_path):
    values = [round(float(np.sin(2 * np.pi * step / 24)), 6) + 0.01 * (step % 7) for step in range(200)]
    text = "unique_id,ds,y\n" + "".join(f"a,{step},{value}\n" for step, value in enumerate(values))
    assert load_series(write(tmp_path, text)).season == 24


@settings(deadline=None)
@given(
    st.sampled_from([Fixed(3600), Months(), Months(3), Weekdays()]),
    st.integers(0, 12).map(lambda month: 28 * month),
)
def test_future_times_continue_the_past_times(frequency, day):
    start = np.datetime64("2000-01-01", "s") + np.timedelta64(day, "D")
    whole = frequency.after(start, 8)
    np.testing.assert_array_equal(frequency.after(whole[2], 5), whole[3:])
    assert (np.diff(whole) > np.timedelta64(0)).all()


def test_month_ends_stay_month_ends(tmp_path):
    text = "date,y\n2024-01-31,1\n2024-02-29,2\n2024-03-31,4\n"
    assert load_series(write(tmp_path, text)).frequency == Months(1, "end")
    after = Months(1, "end").after(np.datetime64("2024-01-31T00:00:00"), 3)
    assert after.astype("datetime64[D]").astype(str).tolist() == ["2024-02-29", "2024-03-31", "2024-04-30"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PRICES.replace("2024-01-05", "2024-01-02"),
            r"a.csv:4, column 'Date': 2024-01-02 is earlier than 2024-01-03 in the row above",
        ),
        (PRICES.replace("2024-01-05", "2024-01-03"), r"a.csv:4, column 'Date': 2024-01-03 occurs twice"),
        (PRICES.replace("10.2,300", "-1,300"), r"a.csv:4: (low|close) must be above 0; got -1"),
        (PRICES.replace("10.2,300", "0,300"), r"a.csv:4: (low|close) must be above 0; got 0"),
        (
            PRICES.replace("10.2,300", "nan,300"),
            r"a.csv:4, column 'Close': the value is missing; add it, or set --fill",
        ),
        (PRICES.replace("10.2,300", "ten,300"), r"a.csv:4, column 'Close': 'ten' is not a number"),
        (PRICES.replace("10.2,300", "10.2,-3"), r"a.csv:4: volume must be 0 or more; got -3"),
        (PRICES.replace("10.2,300", "inf,300"), r"a.csv:4, column 'Close': 'inf' is not finite"),
        (PRICES.replace("2024-01-05", "soon"), r"a.csv:4, column 'Date': 'soon' is not a date"),
        (PRICES.replace("10.2,300", "10.2"), r"a.csv:4: the row has 5 fields; expected 6"),
        (
            "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03,4\n2024-01-06,3\n",
            r"a.csv:5.*2 rows are missing before this row",
        ),
        (
            "date,y\n2024-01-01,1\n2024-01-02,2\n2024-01-03,4\n2024-01-03 12:00,3\n",
            r"a.csv:5.*this row and the previous row lie in the same step .*\(one row per day\)",
        ),
        ("date,y\n2024-01-01,1\n2024-01-02,\n2024-01-03,4\n", r"a.csv:3, column 'y': the value is missing"),
        ("date,y\n2024-01-01,3\n2024-01-02,3\n2024-01-03,3\n", r"a.csv: series 'y' is constant"),
        ("date,y\n2024-01-01,3\n", r"a.csv has 1 rows"),
        (
            "date,y,Y\n2024-01-01,3,1\n2024-01-02,3,2\n2024-01-03,3,2\n",
            r"a.csv:1: two columns have the same name",
        ),
        (
            "date\n2024-01-01\n2024-01-02\n2024-01-03\n",
            r"a.csv:1: the table has no column of numbers next to 'date'",
        ),
        ("", r"a.csv is empty"),
        (
            "unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,2\na,2024-01-03,5\nb,2024-01,1\nb,2024-02,2\nb,2024-03,1\n",
            r"a.csv:5.*'b' has one row per month, but earlier series have one row per day",
        ),
    ],
)
def test_errors_name_file_row_and_column(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        load_series(write(tmp_path, text))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("absent.csv", "absent.csv does not exist"),
        ("embedded:x", "embedded:x is not an embedded data set"),
        ("yahoo:", "has no ticker"),
    ],
)
def test_an_invalid_source_is_a_usage_error(data, message):
    with pytest.raises(UsageError, match=message):
        load_series(data)


def test_filling_uses_no_future_values(tmp_path):
    text = "date,y\n2024-01-01,\n2024-01-02,2\n2024-01-03,nan\n2024-01-06,3\n2024-01-07,4\n"
    forward = load_series(write(tmp_path, text), fill="forward", frequency="day")
    np.testing.assert_array_equal(forward.targets(0), [2, 2, 2, 2, 3, 4])
    assert str(forward.series[0].times[0])[:10] == "2024-01-02"
    zero = load_series(write(tmp_path, text), fill="zero", frequency="day")
    np.testing.assert_array_equal(zero.targets(0), [0, 2, 0, 0, 0, 3, 4])
    assert "filled" in zero.notes[0]


def test_known_columns_are_covariates_with_future_rows(tmp_path):
    text = "date,y,Holiday\n2024-01-01,1,0\n2024-01-02,2,1\n2024-01-03,4,0\n2024-01-04,,1\n2024-01-05,,0\n"
    source = load_series(write(tmp_path, text), known=["holiday"])
    (series,) = source.series
    np.testing.assert_array_equal(series.values[:, 0], [1, 2, 4])
    np.testing.assert_array_equal(series.known[:, 0], [0, 1, 0, 1, 0])
    with pytest.raises(DataError, match=r"a.csv:4, column 'Holiday': the value is missing"):
        load_series(write(tmp_path, text.replace("4,0", "4,")), known=["holiday"])
    with pytest.raises(DataError, match=r"a.csv:3, column 'y': the value is missing"):
        load_series(write(tmp_path, text.replace(",2,1", ",,1")), known=["holiday"])
    with pytest.raises(UsageError, match=r"--known rain is not a column of .*; found 'date', 'y', 'Holiday'"):
        load_series(write(tmp_path, text), known=["rain"])
    with pytest.raises(UsageError, match=r"--known volume does not apply to .*; remove --known"):
        load_series(write(tmp_path, PRICES), known=["volume"])


def test_static_columns_are_one_row_per_series(tmp_path):
    rows = [
        f"{name},2024-01-0{day},{day * day},{size}"
        for name, size in (("a", 7), ("b", 9))
        for day in (1, 2, 3)
    ]
    text = "unique_id,ds,y,Size\n" + "\n".join(rows) + "\n"
    source = load_series(write(tmp_path, text), static=["Size"])
    assert [series.static.tolist() for series in source.series] == [[7.0], [9.0]]
    assert source.sha256 != load_series(write(tmp_path, text.replace(",9", ",8")), static=["Size"]).sha256
    with pytest.raises(
        DataError,
        match=r"a.csv:6, column 'Size': the value is 8, but the first row of series 'b' has the value 9",
    ):
        load_series(write(tmp_path, text.replace("02,4,9", "02,4,8")), static=["Size"])
    with pytest.raises(
        DataError, match=r"a.csv:3, column 'Size': the value is missing, but the first row of series 'a'"
    ):
        load_series(write(tmp_path, text.replace("02,4,7", "02,4,")), static=["Size"])
    with pytest.raises(UsageError, match=r"--static rain is not a column of"):
        load_series(write(tmp_path, text), static=["rain"])
    wide = "date,y,size\n2024-01-01,1,0\n2024-01-02,2,0\n2024-01-03,4,0\n"
    for content in (wide, PRICES.replace("Volume", "Size")):
        with pytest.raises(UsageError, match=r"--static size does not apply to .* unique_id, ds, y"):
            load_series(write(tmp_path, content), static=["size"])


def test_the_checksum_depends_on_the_content(tmp_path):
    one, same = load_series(write(tmp_path, PRICES)), load_series(write(tmp_path, PRICES))
    other = load_series(write(tmp_path, PRICES.replace("10.1,50", "10.15,50")))
    assert one.sha256 == same.sha256 != other.sha256


def test_yahoo_prices_are_read_with_yfinance(monkeypatch):
    import pandas

    table = pandas.DataFrame(
        {name.capitalize(): [10.0, 11.0, 10.5, 12.0] for name in PRICE_COLUMNS},
        index=pandas.date_range("2024-01-02", periods=4, tz="America/New_York"),
    )
    asked = []

    def ticker(name):
        asked.append(name)
        return SimpleNamespace(history=lambda **options: table if name == "AAA" else table[:0])

    monkeypatch.setitem(sys.modules, "yfinance", SimpleNamespace(Ticker=ticker))
    source = load_series("yahoo:AAA")
    assert (source.kind, asked, source.series[0].name) == ("prices", ["AAA"], "AAA")
    assert str(source.series[0].times[0])[:10] == "2024-01-02"
    with pytest.raises(DataError, match="no prices of BBB"):
        load_series("yahoo:BBB")
    monkeypatch.setitem(sys.modules, "yfinance", None)
    with pytest.raises(UsageError, match=r"requirements-yahoo\.txt"):
        load_series("yahoo:AAA")


def test_log_returns_add_up_and_days_count_from_2000():
    close = np.array([2.0, 3.0, 4.0])
    assert log_returns(close)[1:].sum() == pytest.approx(100 * np.log(2))
    np.testing.assert_array_equal(days(np.array(["2000-01-02T12:00:00"], "datetime64[s]")), [1.5])
