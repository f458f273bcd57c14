"""Tests of the forecasting verbs: scores, plots, forecasts, exports and error messages."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from scipy import stats

from apps.forecasting import evaluation, market, seasonal
from apps.forecasting.__main__ import main
from apps.forecasting.data import Assets, Prepared, load, read
from apps.forecasting.metrics import Forecast
from apps.forecasting.options import Train
from apps.forecasting.records import PRICE_COLUMNS
from apps.forecasting.saved_model import LEVELS, cumulated, standard_quantiles
from seqmodels.models.forecasting.base import DECILES

TINY = ["--units=2", "--epochs=1", "--no-xla", "--windows=64", "--batch-size=32", "--learning-rate=0.01"]


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def prices_file(folder, name="prices.csv", days=300):
    series = market.garch(5).series[0]
    path = folder / name
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["Date", *PRICE_COLUMNS])
        for time, row in zip(series.times[:days], series.values[:days]):
            writer.writerow([str(time)[:10], *row])
    return path


def values_file(folder):
    series = seasonal.family(5).series[:3]
    path = folder / "values.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["month", *(each.name for each in series)])
        for row, time in enumerate(series[0].times[:120]):
            writer.writerow([str(time)[:7], *(each.values[row, 0] for each in series)])
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two finished runs: prices with a horizon of 2 days, and values with calendar and series embeddings."""
    folder = tmp_path_factory.mktemp("forecasting")
    found = {}
    for kind, data, options in (
        ("prices", prices_file(folder), ["--horizon=2", "--lookback=30"]),
        ("values", values_file(folder), ["--horizon=4", "--lookback=24", "--segment=4", "--series-units=2"]),
    ):
        run = folder / kind
        result = invoke("train", "--data", data, "--run", run, *TINY, *options)
        assert result.exit_code == 0, result.stderr
        found[kind] = run, data
    return found


@pytest.mark.parametrize("kind", ["prices", "values"])
def test_evaluate_shows_the_model_its_baselines_and_a_verdict(runs, kind):
    run, data = runs[kind]
    result = invoke("evaluate", "--run", run, "--json", "--backtest=2")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(result.stdout)
    model = scores["model"]
    expected = {"naive", "drift", "seasonal naive", "naive 2", "ETS"}
    if kind == "prices":
        expected = {"persistence", "constant Student-t", "EWMA volatility", "GARCH(1,1)-t", "GJR-GARCH-t"}
    assert set(scores["baselines"]) == set(model["comparison"]["tests"]) == expected
    assert model["comparison"]["verdict"].startswith("The model ")
    assert sum(part["windows"] for part in model["backtest"]) == model["windows"]
    parts = np.average(
        [p["model"] for p in model["backtest"]], weights=[p["windows"] for p in model["backtest"]]
    )
    assert parts == pytest.approx(model["comparison"]["model"])
    if kind == "values":
        assert scores["baselines"]["naive 2"]["owa"] == 1
        assert set(model["influence"]) == {"the last season", "what is before it", "calendar", "series"}
    for name in ("fan", "pit", "calibration", "influence", "backtest"):
        assert (run / "plots" / f"{name}.png").stat().st_size > 1000
    shown = invoke("evaluate", "--run", run)
    assert shown.stdout.splitlines()[-1] == scores["verdict"]["sentence"] == model["comparison"]["verdict"]
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["validation"]["rows"]) == {*expected, "model"}
    assert set(metrics["baselines"]["valid"]) == expected
    assert metrics["validation"]["verdict"]["test"] == "Diebold-Mariano"
    for name in expected:
        assert name in shown.stdout
    described = json.loads(invoke("info", "--run", run, "--json").stdout)[str(run)]
    assert described["source"] == str(data)


def test_a_forecast_is_a_table_a_csv_file_and_json(runs, tmp_path):
    run, data = runs["prices"]
    result = invoke("forecast", "--run", run, "--json", "--to", tmp_path / "a.csv")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    (series,) = record["series"]
    assert record["data"] == str(data)
    assert len(series["prices"]) == len(series["returns_percent"]) == 2
    close = series["last_close"]
    first, returns = series["prices"][0], series["returns_percent"][0]
    for level in map("{:g}".format, LEVELS):
        assert first[level] == pytest.approx(close * np.exp(returns[level] / 100), rel=1e-5)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["time"] for row in rows] == [row["time"] for row in series["prices"]]
    assert float(rows[1]["0.5"]) == series["prices"][1]["0.5"]
    table = invoke("predict", "--run", run, data)
    assert "median" in table.stdout
    assert series["prices"][0]["time"] in table.stdout
    values = json.loads(invoke("forecast", "--run", runs["values"][0], "--json").stdout)
    assert [each["series"] for each in values["series"]] == ["series 1", "series 2", "series 3"]
    assert len(values["series"][0]["values"]) == 4


def test_the_last_row_of_a_file_is_the_origin(runs, tmp_path):
    """A shorter file changes the origin, because the last row of the file is the origin."""
    run, _ = runs["prices"]
    shorter = prices_file(tmp_path, "short.csv", days=299)
    record = json.loads(invoke("forecast", "--run", run, shorter, "--json").stdout)
    (series,) = record["series"]
    assert series["last_close"] == pytest.approx(market.garch(5).series[0].values[298, 3])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["prices", pytest.param("values", marks=pytest.mark.slow)])
def test_exported_formats_return_the_forecasts_of_the_model(runs, kind):
    run, _ = runs[kind]
    result = invoke("export", "--run", run)
    assert result.exit_code == 0, result.stderr
    result = invoke("convert", "--run", run, "--json")
    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["files"]["model.tflite"]["CRPS"] == pytest.approx(report["references"]["Keras"], rel=1e-3)
    golden = json.loads((run / "export" / "tflite" / "golden.json").read_text())
    assert golden["levels"] == list(LEVELS)
    keras, saved, phone = (
        json.loads(invoke("forecast", "--run", run, "--json", "--model", kind).stdout)
        for kind in ("keras", "saved_model", "tflite")
    )
    name = "prices" if kind == "prices" else "values"
    for other in (saved, phone):
        for one, two in zip(keras["series"], other["series"], strict=True):
            for row, same in zip(one[name], two[name], strict=True):
                assert [row[f"{level:g}"] for level in LEVELS] == pytest.approx(
                    [same[f"{level:g}"] for level in LEVELS], rel=1e-4
                )


@pytest.mark.slow
def test_known_covariates_reach_from_the_file_to_the_forecast_and_the_export(tmp_path, one_line):
    """The series y is x plus small noise, so the known covariate x determines y."""
    rng = np.random.default_rng(0)
    x = rng.normal(50, 10, 130)
    times = np.datetime64("2020-01-01") + np.arange(130)
    rows = [f"{t},{v + 0.01 * rng.normal() if n < 126 else ''},{v}" for n, (t, v) in enumerate(zip(times, x))]
    data, run = tmp_path / "data.csv", tmp_path / "run"
    data.write_text("date,y,x\n" + "\n".join(rows) + "\n")
    options = [
        "--known=x",
        "--horizon=2",
        "--lookback=8",
        "--output=point",
        "--scaling=none",
        "--no-calendar",
    ]
    options += ["--architecture=mlp", "--units=8"]
    result = invoke("train", "--data", data, "--run", run, *TINY, *options)
    assert result.exit_code == 0, result.stderr
    record = json.loads(invoke("forecast", "--run", run, "--json").stdout)
    assert [row["time"] for row in record["series"][0]["values"]] == [str(time) for time in times[126:128]]
    assert (
        "known covariates"
        in json.loads(invoke("evaluate", "--run", run, "--json").stdout)["model"]["influence"]
    )
    assert invoke("export", "--run", run).exit_code == 0
    saved = json.loads(invoke("forecast", "--run", run, "--json", "--model", "saved_model").stdout)
    for one, other in zip(record["series"][0]["values"], saved["series"][0]["values"], strict=True):
        assert one["0.5"] == pytest.approx(other["0.5"], rel=1e-5)
    cut = tmp_path / "cut.csv"
    cut.write_text("date,y,x\n" + "\n".join(rows[:127]) + "\n")
    assert "cover 1 future rows, but the model needs 2" in one_line(invoke("forecast", "--run", run, cut), 1)
    (tmp_path / "no.csv").write_text("date,y\n2020-01-01,1\n2020-01-02,2\n2020-01-03,4\n")
    assert "--known x is not a column of" in one_line(
        invoke("forecast", "--run", run, tmp_path / "no.csv"), 2
    )


@pytest.mark.slow
def test_static_covariates_reach_from_the_file_to_the_forecast_and_the_export(tmp_path):
    """The static covariate is the slope of the series, so it helps if only a short past is known."""
    rng = np.random.default_rng(0)
    rows = [
        f"s{number},{step},{100 + slope * step + rng.normal()},{slope}"
        for number, slope in enumerate(rng.uniform(-1, 1, 20))
        for step in range(60)
    ]
    data, run = tmp_path / "data.csv", tmp_path / "run"
    data.write_text("unique_id,ds,y,slope\n" + "\n".join(rows) + "\n")
    options = ["--static=slope", "--horizon=4", "--lookback=8", "--output=point", "--architecture=mlp"]
    result = invoke("train", "--data", data, "--run", run, *TINY, *options, "--epochs=20", "--season=1")
    assert result.exit_code == 0, result.stderr
    scores = json.loads(invoke("evaluate", "--run", run, "--json").stdout)["model"]
    assert scores["influence"]["static covariates"] > 0
    assert invoke("export", "--run", run).exit_code == 0
    assert invoke("convert", "--run", run).exit_code == 0
    records = [
        json.loads(invoke("forecast", "--run", run, "--json", "--model", kind).stdout)["series"]
        for kind in ("keras", "saved_model", "tflite")
    ]
    for first, *others in zip(*records, strict=True):
        for other in others:
            assert [row["0.5"] for row in other["values"]] == pytest.approx(
                [row["0.5"] for row in first["values"]], rel=1e-4
            )


@pytest.mark.slow
def test_refitting_trains_on_the_rows_before_each_part(runs):
    run, _ = runs["prices"]
    result = invoke("evaluate", "--run", run, "--json", "--backtest=2", "--refit")
    assert result.exit_code == 0, result.stderr
    kept = json.loads(invoke("evaluate", "--run", run, "--json", "--backtest=2").stdout)["model"]["backtest"]
    refitted = json.loads(result.stdout)["model"]["backtest"]
    assert [part["from"] for part in refitted] == [part["from"] for part in kept]
    assert refitted[0]["baselines"] == pytest.approx(kept[0]["baselines"], rel=0.02)
    assert refitted[1]["baselines"]["GARCH(1,1)-t"] != kept[1]["baselines"]["GARCH(1,1)-t"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["train", "--data", "absent.csv"], 2, "--data absent.csv does not exist"),
        (["train", "--loss=absolute"], 2, "--loss absolute does not apply to --output"),
        (["train", "--lookback=5", "--segment=5"], 2, "--segment 5 must be less than --lookback 5"),
        (["train", "--split=1,2", "--run=new"], 2, "--split 1,2 must be 'horizon', three numbers"),
        (["train", "--lookback=3999", "--run=new"], 1, "fits into the train split"),
        (["evaluate", "--refit"], 2, "--refit needs --backtest; set --backtest"),
        (["forecast", "--to=a.txt"], 2, "--to a.txt must be a file name that ends in .csv, .jsonl"),
    ],
)
def test_an_error_is_one_line(runs, tmp_path, monkeypatch, one_line, arguments, status, message):
    monkeypatch.chdir(tmp_path)
    assert message in one_line(invoke(*arguments), status)


def test_incompatible_data_is_refused(runs, one_line, tmp_path):
    prices, values = runs["prices"][0], runs["values"][0]
    assert "contains values, but the run was trained on prices" in one_line(
        invoke("forecast", "--run", prices, runs["values"][1]), 1
    )
    (tmp_path / "other.csv").write_text("month,a\n2000-01,1\n2000-02,3\n2000-03,2\n")
    assert "the model was not trained on series 'a'" in one_line(
        invoke("forecast", "--run", values, tmp_path / "other.csv"), 1
    )
    short = prices_file(tmp_path, "few.csv", days=20)
    assert "has 20 rows, but the model needs at least 30" in one_line(
        invoke("forecast", "--run", prices, short), 1
    )
    assert "256 levels cannot distinguish" in one_line(
        invoke("convert", "--run", prices, "--quantize=int8"), 2
    )
    assert "No such option '--length'" in one_line(invoke("convert", "--run", prices, "--length=5"), 2)


def test_defaults_follow_the_data():
    prices = load(Train(), None).assets
    assert (prices.kind, prices.lookback, prices.horizon, prices.unit) == ("prices", 250, 1, "none")
    assert prices.periods == [7.0]
    values = load(Train(data="embedded:seasonal"), None).assets
    assert (values.horizon, values.season, values.unit, values.split) == (12, 12, "deviation", "0.7,0.1,0.2")
    assert values.periods == [365.2425]


def test_saved_assets_are_loaded(tmp_path):
    assets = load(Train(data="embedded:seasonal"), None).assets
    assets.save(tmp_path)
    assert Assets.load(tmp_path) == assets


def test_no_baseline_is_better_than_the_optimum():
    for variant in ("market", "seasonal"):
        options = Train(data=f"embedded:{variant}")
        assets = load(options, None).assets
        prepared = Prepared.of(read(options), assets)
        origins = prepared.origins("test")[::4]
        rivals = evaluation.rivals(prepared, origins, prepared.ends[:, 1])
        losses = {
            name: evaluation.losses("crps", compute(), prepared, origins).mean()
            for name, compute in rivals.items()
            if name != "ETS"
        }
        optimum = losses.pop(evaluation.OPTIMUM)
        # A baseline of the true form may be slightly better by chance.
        assert optimum < 1.01 * min(losses.values())
        assert optimum < 0.98 * losses.get("constant Student-t", losses.get("seasonal naive"))


def test_standard_quantiles_equal_scipy():
    freedom = np.concatenate([np.linspace(2.01, 8, 50), np.geomspace(8, 1e6, 50)])
    found = standard_quantiles(tf.constant(freedom[:, None, None]), 2.0)[:, 0]
    np.testing.assert_allclose(found, stats.t.ppf(np.array(LEVELS), freedom[:, None]), atol=2e-5)


def test_cumulated_quantiles_agree_with_a_simulation():
    rng = np.random.default_rng(0)
    location, scale, freedom = (
        np.array([0.1, -0.2, 0.3]),
        np.array([1.0, 2.0, 1.5]),
        np.array([5.0, 9.0, 7.0]),
    )
    draws = location + scale * rng.standard_t(freedom, (400_000, 3))
    expected = np.quantile(np.cumsum(draws, 1), LEVELS, axis=0).T
    found = cumulated(tf.constant(np.stack([location, scale, freedom], -1)[None]), "student_t")[0]
    np.testing.assert_allclose(found, expected, atol=0.06)


def test_exported_quantiles_interpolate_the_deciles():
    deciles = np.linspace(-4, 4, 9)[None, None]
    found = Forecast("quantiles", deciles, DECILES)
    expected = [found.quantile(level).item() for level in LEVELS]
    from apps.forecasting.saved_model import quantiles

    np.testing.assert_allclose(quantiles(tf.constant(deciles), "quantiles")[0, 0], expected)


def test_help_names_the_alias_and_every_option_of_train():
    assert "forecast" in invoke("--help").stdout
    shown = invoke("train", "--help").stdout
    for name in ("--horizon", "--lookback", "--split", "--fill", "--season", "--decoder", "--architecture"):
        assert name in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "naive", "measure"),
    [("embedded", "constant Student-t", "nll"), ("embedded:seasonal", "seasonal naive", "crps_scaled")],
)
def test_a_quick_training_scores_between_baseline_and_optimum(tmp_path, data, naive, measure):
    run = tmp_path / "run"
    assert invoke("train", "--data", data, "--run", run, "--preset=quick").exit_code == 0
    scores = json.loads(invoke("evaluate", "--run", run, "--json").stdout)
    model, rivals = scores["model"][measure], scores["baselines"]
    assert 0.995 * rivals[evaluation.OPTIMUM][measure] < model < rivals[naive][measure]


@pytest.mark.parametrize("form", ["nlinear", "dlinear"])
@pytest.mark.parametrize("covariates", ["known", "static"])
def test_linear_models_refuse_covariates(one_line, form, covariates):
    refused = invoke("train", f"--{covariates}=size", f"--architecture={form}")
    assert f"--{covariates} size does not apply to --architecture {form}" in one_line(refused, 2)


@pytest.mark.slow
def test_counts_with_holidays_are_forecast_above_zero(tmp_path):
    """One series has many zeros, one series has only zeros at the start, and one series is constant."""
    pytest.importorskip("holidays")
    rng = np.random.default_rng(0)
    days = np.datetime64("2023-01-01") + np.arange(200)
    counts = rng.poisson(0.5, 200)
    rows = [f"{day},{count},{count * (row > 180)},4" for row, (day, count) in enumerate(zip(days, counts))]
    data, run = tmp_path / "data.csv", tmp_path / "run"
    data.write_text("date,a,late,dead\n" + "\n".join(rows) + "\n")
    options = ["--horizon=3", "--lookback=14", "--holidays=US", "--output=normal"]
    result = invoke("train", "--data", data, "--run", run, *TINY, *options)
    assert result.exit_code == 0, result.stderr
    assert "note: 1 of 3 series are constant and left out: 'dead'" in result.stderr
    assert "note: 1 of 2 series are left out, because they are constant or have too few rows" in result.stderr
    assert "quantiles below 0 are set to 0" in result.stderr
    result = invoke("forecast", "--run", run, "--json")
    series = json.loads(result.stdout)["series"]
    assert [each["series"] for each in series] == ["a", "late"]
    lowest = [row["0.025"] for each in series for row in each["values"]]
    assert min(lowest) == 0
    assert invoke("evaluate", "--run", run).exit_code == 0
    assert invoke("export", "--run", run).exit_code == 0
    saved = json.loads(invoke("forecast", "--run", run, "--json", "--model", "saved_model").stdout)["series"]
    assert [row["0.025"] for each in saved for row in each["values"]] == pytest.approx(lowest, abs=1e-5)


@pytest.mark.slow
def test_tables_name_the_step_of_hourly_prices(tmp_path):
    hours = np.datetime64("2024-01-01T00") + np.arange(150)
    closes = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 150)))
    data, run = tmp_path / "data.csv", tmp_path / "run"
    data.write_text("date,close\n" + "".join(f"{hour},{close}\n" for hour, close in zip(hours, closes)))
    result = invoke("train", "--data", data, "--run", run, *TINY, "--lookback=20", "--horizon=2")
    assert result.exit_code == 0, result.stderr
    table = " ".join(invoke("forecast", "--run", run).stdout.replace("\u2503", " ").split())
    assert "per hour" in table
    assert "per day" not in table
    (series,) = json.loads(invoke("forecast", "--run", run, "--json").stdout)["series"]
    assert (series["step"], series["prices"][1]["time"]) == ("hour", "2024-01-07T07:00:00")
    scores = invoke("evaluate", "--run", run).stdout
    assert "first hour" in scores
    assert "day" not in scores
