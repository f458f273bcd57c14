"""Tests of dates, Unix times and time zones as people write them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.forecasting.dates import parse_dates
from seqmodels.errors import DataError, UsageError


def parsed(*cells, name="date", date_format=None):
    return parse_dates(pd.Series(list(cells)), lambda row: f"a.csv:{row + 2}", name, date_format)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-01-31", "2024-02-01 13:00"], ["2024-01-31T00:00", "2024-02-01T13:00"]),
        (["2020-01-01T00", "2020-01-01T01"], ["2020-01-01T00:00", "2020-01-01T01:00"]),
        (["2021.07.13 09:30", "2021/7/14 9:30"], ["2021-07-13T09:30", "2021-07-14T09:30"]),
        (["01/31/2024", "02/01/2024"], ["2024-01-31", "2024-02-01"]),
        (["31/01/2024", "01/02/2024"], ["2024-01-31", "2024-02-01"]),
        (["01.02.2024", "02.03.2024"], ["2024-02-01", "2024-03-02"]),
        (["1/2/24", "3/13/24"], ["2024-01-02", "2024-03-13"]),
        (["01/01/2020", "01/01/2021"], ["2020-01-01", "2021-01-01"]),
        (["01/31/2024 1:30 PM", "02/01/2024 12:05 AM"], ["2024-01-31T13:30", "2024-02-01T00:05"]),
        (["Jul 13, 2021", "July 4, 2021"], ["2021-07-13", "2021-07-04"]),
        (["13 Jul 2021", "13-Jul-21", "13Jul2021"], ["2021-07-13"] * 3),
        (["Wednesday, January 31, 2024"], ["2024-01-31"]),
        (["Jan 2022", "Jan-22", "2022 Jan"], ["2022-01-01"] * 3),
        (["202201", "202212"], ["2022-01-01", "2022-12-01"]),
        (["2022M01", "2022M02"], ["2022-01-01", "2022-02-01"]),
        (["01/2022", "02/2022"], ["2022-01-01", "2022-02-01"]),
        (
            ["1990Q1", "1990-Q2", "Q3 1990", "4Q1990"],
            ["1990-01-01", "1990-04-01", "1990-07-01", "1990-10-01"],
        ),
        (["2020H1", "2020H2"], ["2020-01-01", "2020-07-01"]),
        (["2015-W01", "2015-W53", "2016W02"], ["2014-12-29", "2015-12-28", "2016-01-11"]),
        (["2020-060"], ["2020-02-29"]),
        (["20210713", "20210714"], ["2021-07-13", "2021-07-14"]),
        (["202107130930", "202107131030"], ["2021-07-13T09:30", "2021-07-13T10:30"]),
        (["20210713 093000"], ["2021-07-13T09:30"]),
        (["1950", "1951"], ["1950-01-01", "1951-01-01"]),
        (["13/07/2021 24:00"], ["2021-07-14"]),
        (["1609459200", "1609462800"], ["2021-01-01T00:00", "2021-01-01T01:00"]),
        (["1609459200000"], ["2021-01-01"]),
        (["1609459200000000"], ["2021-01-01"]),
        (["1609459200000000000"], ["2021-01-01"]),
        ([1609459200, 1609462800], ["2021-01-01T00:00", "2021-01-01T01:00"]),
        ([1609459200.0], ["2021-01-01"]),
    ],
)
def test_dates_are_read_in_every_common_form(cells, expected):
    found = parsed(*cells).times
    assert found.dtype == np.dtype("datetime64[s]")
    np.testing.assert_array_equal(found, np.array(expected, "datetime64[s]"))


def test_the_order_of_day_and_month_follows_the_column_or_is_an_error():
    np.testing.assert_array_equal(
        parsed("01/02/2024", "01/13/2024").times.astype("datetime64[D]"),
        np.array(["2024-01-02", "2024-01-13"], "datetime64[D]"),
    )
    with pytest.raises(
        DataError,
        match=r"a.csv:2: '01/02/2024' may be 2024-02-01 or 2024-01-02, .*--date-format %d/%m/%Y or "
        r"--date-format %m/%d/%Y",
    ):
        parsed("01/02/2024", "03/04/2024")
    chosen = parsed("01/02/2024", "03/04/2024 09:00", date_format="%d/%m/%Y").times
    np.testing.assert_array_equal(chosen, np.array(["2024-02-01", "2024-04-03T09:00"], "datetime64[s]"))
    with pytest.raises(DataError, match=r"a.csv:3: '12/31/2020' is not a date"):
        parsed("31/12/2020", "12/31/2020")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["2024-01-01", "soon"], "a.csv:3: 'soon' is not a date"),
        (["2024-01-01", ""], "a.csv:3: the date is missing"),
        (["2024-02-30"], "a.csv:2: '2024-02-30' is not a date"),
        (["20240230", "20240229"], "a.csv:2: '20240230' is not a date"),
        (["2021-07-13 25:00"], "is not a date"),
        (["2016-W53"], "is not a date"),
        (["2024-01-01", "2924-01-02"], "a.csv:3: '2924-01-02' has the implausible year 2924"),
        (["1609459200", "1609459260", "16094592000"], "a.csv:4: '16094592000' .* implausible year 2480"),
        (["2021-07-13T09:30:00+01:00", "2021-07-13T10:30:00"], "a.csv:3: .* has no UTC offset"),
        (["2021-03-28 02:30 Mars/Base"], "the time zone 'Mars/Base' is unknown"),
        (["2021-03-28 02:30 Europe/Berlin"], "local times that do not exist in Europe/Berlin"),
        (["0.5", "0.7", "1.9"], "neither dates nor equally spaced"),
    ],
)
def test_errors_name_the_row(cells, message):
    with pytest.raises(DataError, match=message) as error:
        parsed(*cells)
    assert "\n" not in str(error.value)


def test_an_invalid_date_format_is_a_usage_error():
    with pytest.raises(UsageError, match="--date-format %Q is not a format of strptime"):
        parsed("03/04/2024", date_format="%Q")
    with pytest.raises(UsageError, match="--date-format %Y does not match the dates"):
        parsed("03/04/2024", date_format="%Y")


def test_offsets_are_converted_to_utc():
    found = parsed("2021-10-31 02:00+02:00", "2021-10-31 02:00+01:00", "2021-10-31 03:00+01:00")
    np.testing.assert_array_equal(np.diff(found.times), np.timedelta64(1, "h"))
    assert found.offsets.tolist() == [7200, 3600, 3600]
    assert "UTC" in found.notes[0]
    assert parsed("2021-03-28T00:00:00Z").offsets is None


def test_names_of_time_zones_follow_daylight_saving_time():
    hours = ["01:00", "02:00", "02:00", "03:00"]
    found = parsed(*(f"2021-10-31 {hour} Europe/Berlin" for hour in hours))
    np.testing.assert_array_equal(np.diff(found.times), np.timedelta64(1, "h"))
    assert found.zone == "Europe/Berlin"
    falling = parsed(*(f"2021-10-31 {hour} Europe/Berlin" for hour in hours[::-1]))
    np.testing.assert_array_equal(falling.times, found.times[::-1])
    assert parsed("2021-07-13 09:30 EST").times[0] == np.datetime64("2021-07-13T14:30")


def test_midnights_in_local_time_keep_their_date():
    found = parsed("2024-01-02 00:00:00-05:00", "2024-07-05 00:00:00-04:00").times
    np.testing.assert_array_equal(found, np.array(["2024-01-02", "2024-07-05"], "datetime64[s]"))


def test_fractions_of_a_second_are_kept():
    found = parsed("2022-09-29 14:00:00", "2022-09-29 14:00:00.200000").times
    assert found[1] - found[0] == np.timedelta64(200, "ms")
    assert parsed("1609459200.25").times[0] == np.datetime64("2021-01-01T00:00:00.25")


def test_numbers_that_are_not_dates_are_row_numbers():
    np.testing.assert_array_equal(parsed("1", "2", "5").times, [1, 2, 5])
    np.testing.assert_array_equal(parsed("0.0", "0.2", "0.4").times, [0, 1, 2])
    np.testing.assert_array_equal(parsed("200001", "200013", "200014").times, [200001, 200013, 200014])


def test_typed_columns_are_read_as_stored():
    times = pd.date_range("2024-01-01 09:00", periods=3, freq="h", tz="Europe/Berlin")
    found = parse_dates(pd.Series(times), str)
    assert (found.zone, found.times[0]) == ("Europe/Berlin", np.datetime64("2024-01-01T08:00"))
    periods = pd.Series(pd.period_range("2024-01", periods=3, freq="M"))
    assert parse_dates(periods, str).times[2] == np.datetime64("2024-03-01")
    with pytest.raises(DataError, match="the date is missing"):
        parse_dates(pd.Series([pd.Timestamp("2024-01-01"), pd.NaT]), str)
