"""Tests of the columns, rows and calendars of files as people have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.forecasting.frames import store
from apps.forecasting.readers import load_series
from seqmodels.errors import DataError, UsageError

CLOSES = [100 + 3 * ((7 * k) % 11) for k in range(30)]


def write(folder, text, name="a.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def dated(index, values=None, header="date,value"):
    values = CLOSES if values is None else values
    return header + "\n" + "".join(f"{time},{value}\n" for time, value in zip(index, values))


def after(source, steps=3, number=0):
    times = source.after(number, source.series[number].times[-1], steps)
    return [str(time).removesuffix("T00:00:00") for time in times]


def test_prices_with_weekends_are_forecast_on_weekends(tmp_path):
    text = dated(pd.date_range("2021-01-01", periods=29).strftime("%Y-%m-%d"), header="Date,Close")
    source = load_series(write(tmp_path, text))
    assert (source.kind, str(source.frequency)) == ("prices", "day")
    assert after(source, 5) == ["2021-01-30", "2021-01-31", "2021-02-01", "2021-02-02", "2021-02-03"]


def test_a_note_on_hourly_prices_names_the_columns_that_are_not_used(tmp_path):
    times = pd.date_range("2021-01-01", periods=30, freq="h")
    rows = [
        f"{time.timestamp() * 1000:.0f},{time},BTC,{c},{c + 1},{c - 1},{c},1.5,9"
        for time, c in zip(times, CLOSES)
    ]
    text = "unix,date,symbol,open,high,low,close,Volume BTC,Volume USDT\n" + "\n".join(rows) + "\n"
    source = load_series(write(tmp_path, text))
    assert source.frequency.step == "hour"
    assert after(source, 2) == ["2021-01-02T06:00:00", "2021-01-02T07:00:00"]
    np.testing.assert_array_equal(source.series[0].values[:, 4], 1.5)
    assert "not used: 'unix', 'symbol', 'Volume USDT'" in source.notes[0]
    with pytest.raises(DataError, match=r"a.csv:3.*between two steps .*set by --frequency day"):
        load_series(source.name, frequency="day")


@pytest.mark.parametrize(
    ("header", "cell", "close"),
    [
        ("Date,Close/Last,Volume,Open,High,Low", "{d},P,10,P,P,P".replace("P", '"$1,{c}.50"'), 1000.5),
        (
            '"Date","Price","Open","High","Low","Vol.","Change %"',
            "{d},P,P,P,P,1.2M,0.1%".replace("P", '"2,{c}.5"'),
            2000.5,
        ),
        ("<DATE>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>", "{d},{c},{c},{c},{c},7", 0),
        ("timestamp,1. open,2. high,3. low,4. close,5. volume", "{d},{c},{c},{c},{c},7", 0),
    ],
)  # fmt: skip
def test_prices_of_several_vendors(tmp_path, header, cell, close):
    days = pd.bdate_range("2021-03-01", periods=30)[::-1]
    rows = [cell.format(d=day.strftime("%m/%d/%Y"), c=value) for day, value in zip(days, CLOSES)]
    source = load_series(write(tmp_path, header + "\n" + "\n".join(rows) + "\n"))
    assert (source.kind, str(source.frequency)) == ("prices", "business day")
    np.testing.assert_allclose(source.series[0].values[:, 3], np.array(CLOSES)[::-1] + close)
    assert any("ordered from new to old; they are reversed" in note for note in source.notes)


def test_the_close_column_can_be_chosen(tmp_path):
    text = dated(pd.bdate_range("2024-01-01", periods=30), header="Trading day,Settlement")
    source = load_series(write(tmp_path, text), date=["trading day"], close="settlement")
    assert source.kind == "prices"
    assert load_series(source.name, target=["Settlement"]).kind == "values"
    with pytest.raises(UsageError, match=r"--close Settle is not a column of .*; found 'Trading day'"):
        load_series(source.name, close="Settle")


def test_semicolons_have_decimal_commas(tmp_path):
    source = load_series(
        write(tmp_path, "date;a;b\n2024-01-01;5,5;1.200\n2024-01-02;6,25;1.300\n2024-01-03;5;1.500\n")
    )
    np.testing.assert_array_equal(source.targets(0), [5.5, 6.25, 5])
    np.testing.assert_array_equal(source.targets(1), [1200, 1300, 1500])


def test_columns_without_numbers_and_counters_are_not_series(tmp_path):
    rows = "".join(f"{k},2024-01-0{k + 1},{k * k},sunny,\n" for k in range(5))
    source = load_series(write(tmp_path, "No,date,y,weather,empty\n" + rows))
    assert [series.name for series in source.series] == ["y"]
    assert "not used: 'No', 'weather', 'empty'" in source.notes[-1]


def test_dates_in_several_columns(tmp_path):
    rows = [
        f"{day:%Y,%m,%d},{day.hour},{value}"
        for day, value in zip(pd.date_range("2024-01-31", periods=30, freq="h"), CLOSES)
    ]
    source = load_series(write(tmp_path, "year,month,day,hour,y\n" + "\n".join(rows) + "\n"))
    assert (str(source.frequency), str(source.series[0].times[24])) == ("hour", "2024-02-01T00:00:00")
    rows = [
        f"{day:%Y.%m.%d,%H:%M},{value}"
        for day, value in zip(pd.date_range("2024-01-31", periods=30, freq="5min"), CLOSES)
    ]
    source = load_series(write(tmp_path, "<DATE>,<TIME>,load\n" + "\n".join(rows) + "\n"))
    assert str(source.frequency) == "5 minutes"
    rows = [f"{2020 + k // 4},{k % 4 + 1},{k * k}" for k in range(12)]
    source = load_series(write(tmp_path, "Year,Quarter,y\n" + "\n".join(rows) + "\n"))
    assert (str(source.frequency), after(source, 1)) == ("quarter", ["2023-01-01"])
    chosen = load_series(
        write(tmp_path, "a,b,y\n" + "\n".join(f"2020,{k},{k * k}" for k in range(1, 13))), date=["a", "b"]
    )
    assert (str(chosen.frequency), after(chosen, 1)) == ("month", ["2021-01-01"])


LONG = "date,store,item,sales\n" + "".join(
    f"2024-01-{day:02d},{store},7,{store * day % 5}\n" for store in (1, 2) for day in range(1, 20)
)


def test_a_long_file_with_several_series_needs_options(tmp_path):
    path = write(tmp_path, LONG)
    with pytest.raises(
        DataError, match=r"a.csv:21, .*set --id to the column .*, such as --id store; .*--date .*--target"
    ):
        load_series(path)
    source = load_series(path, id=["store", "item"], date=["date"], target=["sales"])
    assert [series.name for series in source.series] == ["1/7", "2/7"]
    assert "names of the series: 'store', 'item', values: 'sales'" in source.notes[-1]
    with pytest.raises(UsageError, match="--id store needs --target"):
        load_series(path, id=["store"])
    both = load_series(path, id=["store"], target=["sales", "item"])
    assert [series.name for series in both.series] == ["1/sales", "2/sales"]
    assert "2 of 4 series are constant and left out: '1/item', '2/item'" in both.notes


def test_tickers_below_each_other_are_series_of_prices(tmp_path):
    days = pd.bdate_range("2024-01-01", periods=30).strftime("%Y-%m-%d")
    rows = [f"{day},{c},{name}" for name in ("A", "B") for day, c in zip(days, CLOSES)]
    path = write(tmp_path, "date,close,Name\n" + "\n".join(rows) + "\nB2,1\n".replace("B2,1\n", ""))
    with pytest.raises(DataError, match="--id Name"):
        load_series(path)
    source = load_series(path, id=["name"])
    assert (source.kind, [series.name for series in source.series]) == ("prices", ["A", "B"])
    short = write(tmp_path, "date,close,Name\n" + "\n".join([*rows, "2024-01-01,5,C"]) + "\n", "b.csv")
    source = load_series(short, id=["Name"])
    assert len(source.series) == 2
    assert any("1 of 3 series of" in note and "fewer than 3 rows" in note for note in source.notes)


def test_business_hours_are_a_calendar_or_rows(tmp_path):
    hours = pd.date_range("2021-01-01", periods=24 * 10, freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour <= 16)]
    text = dated(hours, range(1, 81))
    source = load_series(write(tmp_path, text))
    assert (source.frequency.step, source.season) == ("hour", 8)
    assert after(source, 2) == ["2021-01-11T09:00:00", "2021-01-11T10:00:00"]
    counted = load_series(source.name, frequency="rows")
    assert (after(counted, 2), counted.frequency.step) == (["80", "81"], "step")


def test_rows_take_any_order(tmp_path):
    text = "date,y\n2024-01-05,1\n2024-01-01,2\n2024-01-01,4\n2023-01-01,3\n"
    source = load_series(write(tmp_path, text), frequency="rows")
    np.testing.assert_array_equal(source.targets(0), [1, 2, 4, 3])
    falling = load_series(
        write(tmp_path, "date,y\n2024-01-05,1\n2024-01-03,2\n2024-01-01,4\n"), frequency="rows"
    )
    np.testing.assert_array_equal(falling.targets(0), [4, 2, 1])
    without = load_series(write(tmp_path, "a,b\n3,1\n1,2\n2,5\n"), frequency="rows")
    assert [series.name for series in without.series] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            dated(pd.date_range("2021-01-01", periods=30), header="date,close"),
            {"frequency": "business"},
            "between two steps",
        ),
        (
            dated(pd.date_range("2021-01-01", periods=30)),
            {"frequency": "step"},
            "--frequency step does not apply",
        ),
        (dated(range(30)), {"frequency": "day"}, "--frequency day does not apply to .* has row numbers"),
        (dated(pd.date_range("2021-01-01", periods=30)), {"frequency": "month"}, "the same step"),
    ],
)
def test_a_frequency_without_effect_is_refused(tmp_path, text, options, message):
    with pytest.raises((DataError, UsageError), match=message):
        load_series(write(tmp_path, text), **options)


def test_options_of_files_do_not_apply_to_other_sources():
    with pytest.raises(
        UsageError, match="--frequency hour does not apply to embedded, which has one row per business"
    ):
        load_series("embedded", frequency="hour")
    with pytest.raises(UsageError, match="--close c applies only to files"):
        load_series("embedded", close="c")
    assert load_series("embedded:seasonal", frequency="month").frequency.step == "month"


def test_offsets_across_a_clock_change_are_one_regular_series(tmp_path):
    march = ["03-28 00:00+01:00", "03-28 01:00+01:00", "03-28 03:00+02:00", "03-28 04:00+02:00"]
    october = ["10-31 01:00+02:00", "10-31 02:00+02:00", "10-31 02:00+01:00", "10-31 03:00+01:00"]
    for times in (march, october):
        source = load_series(write(tmp_path, dated([f"2021-{time}" for time in times], [1, 2, 3, 1])))
        assert (len(source.series[0]), str(source.frequency)) == (4, "hour")
        assert "converted to UTC" in source.notes[0]


@pytest.mark.parametrize("tickers", [1, 2])
def test_three_header_rows_of_yfinance(tmp_path, tickers):
    names = ["AAPL", "MSFT"][:tickers]
    rows = [
        f"{day:%Y-%m-%d}," + ",".join([str(c)] * 5 * tickers)
        for day, c in zip(pd.bdate_range("2024-01-01", periods=30), CLOSES)
    ]
    prices = ["Close", "High", "Low", "Open", "Volume"]
    header = [
        "Price," + ",".join(p for p in prices for _ in names),
        "Ticker," + ",".join(n for _ in prices for n in names),
    ]
    text = "\n".join([*header, "Date" + "," * 5 * tickers, *rows]) + "\n"
    source = load_series(write(tmp_path, text))
    assert (source.kind, [series.name for series in source.series]) == ("prices", names)
    np.testing.assert_array_equal(source.series[-1].values[:, 3], CLOSES)
    assert "three header rows" in source.notes[0]
    index = pd.MultiIndex.from_product([prices, names], names=["Price", "Ticker"])
    frame = pd.DataFrame(
        np.ones((30, 5 * tickers)) * np.array(CLOSES)[:, None],
        pd.bdate_range("2024-01-01", periods=30),
        index,
    )
    again = load_series(str(store(frame, tmp_path)))
    np.testing.assert_array_equal(again.series[0].values, source.series[0].values)


def test_a_constant_series_among_others_is_left_out(tmp_path):
    text = dated(pd.date_range("2024-01-01", periods=30), [f"{c},5" for c in CLOSES], "date,a,z")
    source = load_series(write(tmp_path, text))
    assert [series.name for series in source.series] == ["a"]
    assert "1 of 2 series are constant and left out: 'z'" in source.notes


def test_empty_cells_at_the_edges_of_one_series_of_several_are_not_its_rows(tmp_path):
    cells = [
        f"{c},{c if k > 20 else ''},{c if k < 10 else ''},{c if k < 2 else ''}" for k, c in enumerate(CLOSES)
    ]
    path = write(tmp_path, dated(pd.date_range("2024-01-01", periods=30), cells, "date,a,late,early,short"))
    source = load_series(path)
    assert {series.name: len(series) for series in source.series} == {"a": 30, "late": 9, "early": 10}
    assert str(source.series[1].times[0]).startswith("2024-01-22")
    assert f"2 of 4 series of {path} start later or end earlier than the table" in "\n".join(source.notes)
    assert f"1 of 4 series of {path} have fewer than 3 values and are left out: 'short'" in source.notes
    assert len(load_series(path, fill="zero").series[1]) == 30
    inside = write(
        tmp_path, dated(pd.date_range("2024-01-01", periods=4), ["1,1", "2,", "4,4", "1,1"], "date,a,b")
    )
    with pytest.raises(DataError, match=r"a\.csv:3, column 'b': the value is missing; .*set --fill"):
        load_series(inside)


def test_the_encoding_of_the_training_does_not_apply_to_utf8(tmp_path):
    text = dated(pd.date_range("2024-01-01", periods=30), header="Datum,Größe")
    (tmp_path / "latin.csv").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match="read it with --encoding latin-1"):
        load_series(str(tmp_path / "latin.csv"))
    assert load_series(str(tmp_path / "latin.csv"), encoding="latin-1").series[0].name == "Größe"
    path = write(tmp_path, text)
    source = load_series(path, encoding="latin-1", prefer_utf8=True, target=["Größe"])
    assert len(source.series[0]) == 30


def test_splits_and_early_ends_are_named(tmp_path):
    closes = [400 + k % 5 for k in range(15)] + [101 + k % 3 for k in range(15)]
    days = pd.bdate_range("2024-01-01", periods=30)
    write(tmp_path, dated(days.strftime("%Y-%m-%d"), closes, "date,close"), "a.csv")
    write(tmp_path, dated(days[:20].strftime("%Y-%m-%d"), CLOSES[:20], "date,close"), "b.csv")
    notes = "\n".join(load_series(str(tmp_path)).notes)
    assert "series 'a' may have splits: 2024-01-22 from 404 to 101 (4:1)" in notes
    assert "1 of 2 series end before the last date 2024-02-09: b (2024-01-26)" in notes


def test_a_folder_may_mix_markets_with_days_but_not_with_hours(tmp_path):
    write(
        tmp_path,
        dated(pd.bdate_range("2024-01-01", periods=30).strftime("%Y-%m-%d"), header="date,close"),
        "a.csv",
    )
    write(
        tmp_path,
        dated(pd.date_range("2024-01-01", periods=30).strftime("%Y-%m-%d"), header="date,close"),
        "b.csv",
    )
    source = load_series(str(tmp_path))
    assert after(source, 1, 1) == ["2024-01-31"]
    assert after(source, 1, 0) == ["2024-02-12"]
    write(tmp_path, dated(pd.date_range("2024-01-01", periods=30, freq="h"), header="date,close"), "c.csv")
    with pytest.raises(
        DataError, match=r"c.csv has one row per hour, but .*a.csv has one row per business day"
    ):
        load_series(str(tmp_path))


def test_holidays_are_covariates_or_trading_days(tmp_path):
    pytest.importorskip("holidays")
    days = pd.bdate_range("2024-06-03", "2024-07-03").strftime("%Y-%m-%d")
    path = write(tmp_path, dated(days, range(5, 5 + len(days))))
    known = load_series(path, holidays="US")
    assert known.series[0].known[:, 0].tolist() == [float(day == "2024-06-19") for day in days]
    prices = dated([day for day in days if day != "2024-06-19"], CLOSES, "date,close")
    trading = load_series(write(tmp_path, prices), holidays="NYSE")
    assert after(trading, 2) == ["2024-07-05", "2024-07-08"]
    monthly = write(tmp_path, dated(pd.date_range("2024-01-01", periods=12, freq="MS"), CLOSES))
    assert (
        load_series(monthly, holidays="US").series[0].known[0, 0] == 2
    )  # New Year's Day and Martin Luther King Day
    with pytest.raises(UsageError, match=r"--holidays NYSE names an exchange, .* one row per month"):
        load_series(monthly, holidays="NYSE")
    with pytest.raises(UsageError, match="--holidays XX is neither a country nor a stock exchange"):
        load_series(path, holidays="XX")
    with pytest.raises(UsageError, match="--holidays US needs dates"):
        load_series(write(tmp_path, dated(range(30))), holidays="US")


def test_a_file_without_dates_names_the_options(tmp_path):
    path = write(tmp_path, "text,label\ngood,1\nbad,0\nfine,1\n")
    with pytest.raises(DataError, match=r"has no column of dates; found 'text', 'label'; .*--date COLUMN"):
        load_series(path)


def test_parquet_files_keep_their_types(tmp_path):
    frame = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=30, freq="h", tz="UTC"), "y": CLOSES})
    frame.to_parquet(tmp_path / "a.parquet")
    source = load_series(str(tmp_path / "a.parquet"))
    assert (str(source.frequency), source.targets(0).tolist()) == ("hour", CLOSES)


@pytest.mark.parametrize("rows", [10, 40])
def test_other_data_keep_the_calendar_of_the_training(tmp_path, rows):
    hours = pd.date_range("2021-01-04", periods=24 * 30, freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour <= 16) & (hours.day_of_week < 5)]
    trained = load_series(write(tmp_path, dated(hours, range(1, 1 + len(hours)))))
    other = write(tmp_path, dated(hours[:rows], range(1, 1 + rows)), "b.csv")
    assert load_series(other, expected=trained.frequency).frequency == trained.frequency
