"""Tests of calendars: inferred from rows, counted and continued."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from apps.forecasting.calendar import Fixed, Months, Steps
from apps.forecasting.frequencies import restored
from apps.forecasting.observed import Observed, fits, infer, infer_frequency
from apps.forecasting.week import Sessions, Weekdays, Weeks


def times(index):
    return pd.DatetimeIndex(index).as_unit("s").to_numpy()


def workdays(count, open_days, start="2024-01-01"):
    index = pd.date_range(start, periods=3 * count)
    return times(index[[day in open_days for day in index.day_of_week]][:count])


HOURS = pd.date_range("2024-01-01", periods=24 * 60, freq="h")
OPEN = HOURS[(HOURS.hour >= 9) & (HOURS.hour <= 16)]
FOREX = HOURS[
    (
        (HOURS.day_of_week < 4)
        | ((HOURS.day_of_week == 4) & (HOURS.hour < 22))
        | ((HOURS.day_of_week == 6) & (HOURS.hour >= 22))
    )
]
MINUTES = pd.date_range("2024-01-01 09:30", periods=390, freq="min")


@pytest.mark.parametrize(
    ("index", "prices", "shown", "season"),
    [
        (pd.date_range("2024-01-01", periods=90, freq="D"), True, "day", 7),
        (pd.date_range("2024-01-01", periods=90, freq="B"), True, "business day", 5),
        (pd.date_range("2024-01-01", periods=90, freq="B"), False, "business day", 5),
        (pd.date_range("2024-01-01", periods=90, freq="h"), True, "hour", 24),
        (pd.date_range("2024-01-01", periods=90, freq="15min"), False, "15 minutes", 96),
        (pd.date_range("2024-01-01", periods=60, freq="W-FRI"), True, "week", 52),
        (pd.date_range("2024-01-01", periods=40, freq="MS"), True, "month", 12),
        (pd.date_range("2024-01-01", periods=40, freq="ME"), False, "month", 12),
        (pd.date_range("2024-01-01", periods=40, freq="QE"), False, "quarter", 4),
        (pd.date_range("2024-01-01", periods=40, freq="YS"), False, "year", 1),
        (OPEN, False, "hour, Monday to Sunday 09:00 to 16:00", 8),
        (OPEN[OPEN.day_of_week < 5], True, "hour, Monday to Friday 09:00 to 16:00", 8),
        (FOREX, True, "hour, Sunday to Friday 00:00 to 23:00", 24),
    ],
)
def test_a_calendar_is_inferred_and_continues_its_own_rows(index, prices, shown, season):
    found = infer_frequency(times(index[:-10]), prices)
    assert (str(found), found.season) == (shown, season)
    np.testing.assert_array_equal(found.after(times(index)[-11], 10), times(index)[-10:])
    positions, between = found.positions(times(index))
    np.testing.assert_array_equal(positions, np.arange(len(index)))
    assert not between.any()
    assert restored(json.loads(json.dumps(found.stored()))) == found


@pytest.mark.parametrize(
    ("open_days", "shown"),
    [
        ((0, 1, 2, 3, 4, 5), "day, Monday to Saturday"),
        ((0, 1, 2, 3, 6), "day, Sunday to Thursday"),
        ((0, 2, 4), "day, Monday, Wednesday, Friday"),
    ],
)
def test_any_days_of_the_week_are_a_calendar(open_days, shown):
    rows = workdays(60, open_days)
    for prices in (False, True):
        if prices and open_days == (0, 2, 4):
            continue
        found = infer_frequency(rows[:-6], prices)
        assert str(found) == shown
        np.testing.assert_array_equal(found.after(rows[-7], 6), rows[-6:])


def test_prices_may_miss_holidays():
    rows = times(pd.date_range("2024-01-01", periods=300, freq="B"))
    kept = np.delete(rows, np.arange(7, 300, 29))
    assert infer_frequency(kept, prices=True) == Weekdays()
    # The market traded on Saturdays only in the first years.
    old = np.concatenate([workdays(600, range(6), "1950-01-02"), workdays(400, range(5), "1953-01-05")])
    assert infer_frequency(old, prices=True) == Weekdays()


def test_sessions_follow_the_local_time():
    """New York opens at 14:30 UTC in winter, and at 13:30 UTC in summer."""
    local = pd.DatetimeIndex(
        [
            day + hour
            for day in pd.date_range("2024-02-20", periods=20, freq="B")
            for hour in pd.to_timedelta([f"{9 + k}:30:00" for k in range(7)])
        ]
    )
    utc = times(local.tz_localize("America/New_York").tz_convert("UTC").tz_localize(None))
    found = infer(Observed(utc, times(local), "America/New_York", prices=True))
    assert isinstance(found, Sessions)
    assert str(found) == "hour, Monday to Friday 09:30 to 15:30"
    before = np.datetime64("2024-03-08T20:30:00")  # the clocks change on 2024-03-10
    np.testing.assert_array_equal(
        found.after(before, 2), np.array(["2024-03-11T13:30", "2024-03-11T14:30"], "M8[s]")
    )


def test_days_of_23_hours_are_days():
    local = pd.date_range("2024-03-20 08:00", periods=20, freq="D")
    utc = times(local.tz_localize("Europe/Berlin").tz_convert("UTC").tz_localize(None))
    found = infer(Observed(utc, times(local)))
    assert (str(found), found.season) == ("day", 7)
    assert not found.positions(utc, times(local))[1].any()


def test_weeks_with_holidays_are_dated_by_the_usual_day():
    rows = times(pd.date_range("2024-01-05", periods=60, freq="W-FRI")).copy()
    rows[[12, 30, -1]] -= np.timedelta64(1, "D")
    found = infer_frequency(rows, prices=True)
    assert found == Weeks(4)
    assert str(found.after(rows[-1], 1)[0])[:10] == "2025-02-28"


def test_years_of_52_weeks():
    weeks = times(pd.date_range("2014-12-29", periods=160, freq="7D"))
    rows = weeks[(pd.DatetimeIndex(weeks).isocalendar()["week"] != 53).to_numpy()]
    found = infer_frequency(rows)
    assert found == Weeks(0, fifty_two=True)
    np.testing.assert_array_equal(found.positions(rows)[0], np.arange(len(rows)))
    assert infer_frequency(weeks) == Fixed(7 * 86_400)


@pytest.mark.parametrize(
    ("freq", "anchor"), [("ME", "end"), ("BME", "last workday"), ("BMS", "first workday"), ("MS", "day")]
)
def test_months_keep_their_day(freq, anchor):
    rows = times(pd.date_range("2023-01-01", periods=36, freq=freq))
    found = infer_frequency(rows[:-8])
    assert found.anchor == anchor
    np.testing.assert_array_equal(found.after(rows[-9], 8), rows[-8:])


def test_the_day_30_is_the_end_of_february():
    found = infer_frequency(np.array(["2023-12-30", "2024-01-30", "2024-02-29", "2024-03-30"], "M8[s]"))
    assert found == Months(1, "day", 30)
    assert [str(t)[:10] for t in found.after(np.datetime64("2025-01-30T00:00:00"), 2)] == [
        "2025-02-28",
        "2025-03-30",
    ]


def test_steps_below_a_second():
    rows = np.datetime64("2022-09-29T14:00:00", "us") + 200_000 * np.arange(20)
    found = infer_frequency(rows)
    assert (str(found), found.step) == ("0.2 seconds", "0.2 seconds")
    np.testing.assert_array_equal(found.after(rows[9], 10), rows[10:])


def test_irregular_prices_follow_no_calendar():
    rng = np.random.default_rng(0)
    ticks = np.datetime64("2024-01-01T09:00:00", "s") + np.cumsum(rng.integers(1, 900, 200))
    assert infer(Observed(ticks, ticks, prices=True)) is None


def test_one_day_without_rows_does_not_change_the_frequency():
    index = pd.date_range("2024-01-01", periods=24 * 20, freq="h")
    kept = index[(index.day_of_year != 9)]
    assert infer_frequency(times(kept)) == Fixed(3600)


def test_only_rows_on_the_calendar_fit():
    rows = times(pd.date_range("2024-01-05", periods=5, freq="D"))  # Friday to Tuesday
    assert fits(Fixed(86_400), Observed(rows, rows))
    assert not fits(Weekdays(), Observed(rows, rows))
    assert not fits(Fixed(3600), Observed(rows, rows))
    assert not fits(Steps(), Observed(rows, rows))


def test_exchanges_have_no_rows_on_holidays():
    pytest.importorskip("holidays")
    found = Weekdays(exchange="NYSE")
    after = found.after(np.datetime64("2024-07-03T00:00:00"), 2)
    assert [str(time)[:10] for time in after] == ["2024-07-05", "2024-07-08"]
    rows = np.array(["2024-07-03", "2024-07-05"], "M8[s]")
    assert found.positions(rows)[0].tolist() == [0, 1]
    assert (found.step, str(found)) == ("trading day", "trading day of NYSE")
    slots = tuple(86_400 * day + 3600 * hour for day in range(5) for hour in (10, 11))
    bars = Sessions(slots, 3600, exchange="NYSE")
    after = bars.after(np.datetime64("2024-07-03T10:00:00"), 3)
    assert [str(time)[:13] for time in after] == ["2024-07-03T11", "2024-07-05T10", "2024-07-05T11"]
    assert bars.positions(after)[0].tolist() == [0, 1, 2]
