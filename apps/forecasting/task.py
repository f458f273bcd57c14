"""The forecasting app: trains, evaluates and applies models that forecast time series.

If you read the code of this app for the first time, start with this file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from rich.console import Group
from rich.table import Table

from apps.baseline_units import units_of
from apps.console import log
from apps.forecasting import evaluation, outlook
from apps.forecasting import plots as forecast_plots
from apps.forecasting.ahead import at_ends, whole
from apps.forecasting.data import Assets, Prepared, data_of, load, prepare, read
from apps.forecasting.frames import inputs, store
from apps.forecasting.inference import LEVELS, Forecasts, as_forecast, forms, of_keras, rows_of
from apps.forecasting.losses import forecasting
from apps.forecasting.metrics import SMAPE
from apps.forecasting.options import OF_RECURRENT, Evaluate, Predict, Train
from apps.forecasting.phone import phone
from apps.forecasting.plots import Fan
from apps.forecasting.saved_model import examples, signatures
from apps.inference import open_model
from apps.options import ConvertOptions
from apps.run import Run
from apps.task import Data, Task
from apps.training import task_training
from apps.verdict import with_interval
from seqmodels.models import FixedWindowForecaster, Forecaster
from seqmodels.training.objectives import Objective

INFLUENCE_WINDOWS = 512  # maximum number of test windows for the permutation importance
HISTORY = (20, 120)  # minimum and maximum number of past rows in a fan chart
PAST_PER_STEP = 4  # number of past rows per forecast row in a fan chart
ROLLING = 30  # number of forecasts in a fan chart if the horizon is one row
SHOWN = {
    "prices": ("nll", "crps", "mae", "rmse"),
    "values": ("mase", "smape", "owa", "mse_scaled", "rmse", "mae", "crps", "wql"),
}

COMPARED = {"prices": ("nll", "crps", "mae"), "values": ("mase", "smape", "crps_scaled", "mae_scaled")}


def build(options: Train, assets: Assets) -> keras.Model:
    settings: dict[str, Any] = {
        "lookback": assets.lookback,
        "horizon": assets.horizon,
        "kind": assets.kind,
        "levels": LEVELS,
        "series": len(assets.names),
        "series_units": assets.series_units,
        "periods": assets.periods,
        "known": assets.known,
        "static": assets.static,
    }
    if options.architecture == "recurrent":
        model: keras.Model = Forecaster(**settings, segment=assets.segment, **options.model_settings())
    else:
        own = options.model_settings(without=OF_RECURRENT)
        model = FixedWindowForecaster(**settings, form=options.architecture, **own)
    model.build()
    return model


def objective(options: Train, assets: object) -> Objective:
    return forecasting(options.output, LEVELS if options.output == "quantiles" else (), options.loss)


def baselines(data: Data) -> dict[str, Any]:
    """Fits the baselines on all rows before a split, and scores them on this split."""
    prepared: Prepared = data.source
    valid = evaluation.validation_origins(prepared)
    return {
        "valid": evaluation.baseline_scores(prepared, valid, prepared.ends[:, 0], units=True)
        if len(valid)
        else {},
        "test": evaluation.baseline_scores(prepared, prepared.origins("test"), prepared.ends[:, 1]),
    }


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any] | None:
    """Compares the model with the baselines on the validation split. See :class:`apps.task.Task`.

    The comparison is skipped if every series has too few training rows for the baselines.
    """
    prepared: Prepared = data.source
    origins = evaluation.validation_origins(prepared)
    if not len(origins):
        log.print(
            f"note: every series has fewer than {evaluation.LEAST_ROWS} training rows, so the model is not "
            "compared with the baselines on the validation split"
        )
        return None
    forecast = of_keras(model)(prepared, origins)
    own = evaluation.score(forecast, prepared, origins, prepared.ends[:, 0])
    others = {name: lambda found=found: found for name, found in units_of(fitted).items()}
    names = COMPARED[prepared.source.kind]
    rows = {**fitted, "model": own}
    return {
        "rows": {name: {key: row[key] for key in names if key in row} for name, row in rows.items()},
        "verdict": evaluation.comparisons(forecast, prepared, origins, others)[1],
    }


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on the test split of ``options.data``.

    Without ``options.data``, the function uses the ``--data`` with which the model was trained.
    """
    stored, assets = run.trained_with(Train), Assets.load(run.assets)
    prepared = _prepared(run, stored, assets, options.data, options.encoding)
    origins, fitted = prepared.origins("test"), prepared.ends[:, 1]
    forecasts = open_model(run, options.model, forms(stored.output))
    forecast = forecasts(prepared, origins)
    if options.data is None:
        compared = run.read_json("metrics.json", "baselines")["baselines"]["test"]
    else:
        compared = evaluation.baseline_scores(prepared, origins, fitted)
    own = evaluation.score(forecast, prepared, origins, fitted)
    evaluation.with_owa({"model": own}, compared)
    others = evaluation.rivals(prepared, origins, fitted)
    own["comparison"], verdict = evaluation.comparisons(forecast, prepared, origins, others)
    own["fan"] = asdict(_fan(forecasts, prepared, origins))
    if options.model == "keras":
        own["influence"] = _influence(run.load_model(), prepared, origins, stored.seed)
    if options.backtest:
        refit = (lambda series: _trained(series, stored)) if options.refit else None
        own["backtest"] = evaluation.backtest(forecasts, prepared, origins, options.backtest, refit)
    return {
        "data": options.data or stored.data,
        "kind": assets.kind,
        "step": prepared.source.frequency.step,
        "model": own,
        "baselines": compared,
        "verdict": verdict,
    }


def predict(run: Run, chunks: Iterable[list[str]], options: Predict) -> Iterator[dict[str, Any]]:
    """Yields one record per file. The record contains the forecasts for this file.

    If there are no files, yields one record for the ``--data`` of the training.
    """
    stored, assets = run.trained_with(Train), Assets.load(run.assets)
    forecasts = open_model(run, options.model, forms(stored.output))
    for chunk in chunks:
        for data in chunk or [stored.data]:
            expected = None if data == stored.data else assets.frequency_of_rows
            prepared = whole(read(stored, data, expected, options.encoding), assets)
            for note in prepared.source.notes:
                log.print(f"note: {note}")
            origins = at_ends(prepared)
            yield {
                "data": data,
                "series": outlook.records(forecasts(prepared, origins), prepared, origins),
            }


def _prepared(run: Run, stored: Train, assets: Assets, data: str | None, encoding: str | None) -> Prepared:
    """Prepares the series of ``data`` for the model. Default: the ``--data`` of the training.

    Raises:
        DataError: the ``--data`` of the training has changed since the training.
    """
    if data is not None:
        source = read(stored, data, assets.frequency_of_rows, encoding)
        for note in source.notes:
            log.print(f"note: {note}")
        return prepare(source, assets)
    return prepare(run.trained_on(stored.data, lambda: read(stored)), assets)


def _trained(prepared: Prepared, options: Train) -> Forecasts:
    """Trains a model on the series of ``prepared``, like the command ``train``.

    Returns the forecast function of the model.
    """
    with TemporaryDirectory() as folder:
        training = task_training(TASK, options, data_of(prepared, options), Path(folder))
        training.run()
        return of_keras(training.model)


def _fan(forecasts: Forecasts, prepared: Prepared, origins: np.ndarray) -> Fan:
    """Returns the data of the fan chart.

    The chart shows the last series, with the forecast for its last test window. If the horizon is one row,
    the chart shows the forecasts for the last ``ROLLING`` test windows instead. For prices, the chart shows
    prices, which are computed from the forecasts of the log-returns.
    """
    number, last = origins[-1]
    horizon, prices = prepared.assets.horizon, prepared.source.kind == "prices"
    rolling = horizon == 1
    chosen = origins[origins[:, 0] == number][-ROLLING:] if rolling else origins[-1:]
    series = prepared.source.series[number]
    values = series.values[:, 3 if prices else 0]
    first, steps = int(chosen[0, 1]), len(chosen) if rolling else horizon
    start = max(first + 1 - min(max(PAST_PER_STEP * steps, HISTORY[0]), HISTORY[1]), 0)
    forecast = forecasts(prepared, chosen)
    if prices:
        quantiles = outlook.price_quantiles(forecast, values[chosen[:, 1]])
    else:
        quantiles = outlook.quantiles_of(forecast, prepared.assets.minimum)
    times = series.times[start : last + horizon + 1]
    return Fan(
        series.name,
        [str(time).removesuffix("T00:00:00") for time in times]
        if times.dtype.kind == "M"
        else times.tolist(),
        values[start : first + 1].tolist(),
        (quantiles[:, 0] if rolling else quantiles[0]).tolist(),
        values[first + 1 : last + horizon + 1].tolist(),
        rolling,
        "price" if prices else "value",
        (series.calendar or prepared.source.frequency).step,
    )


def _influence(model: keras.Model, prepared: Prepared, origins: np.ndarray, seed: int) -> dict[str, float]:
    spread = np.linspace(0, len(origins) - 1, min(len(origins), INFLUENCE_WINDOWS)).astype(int)
    chosen = origins[spread]
    rows = rows_of(prepared, chosen)
    forecast = tf.function(lambda inputs: model(inputs, training=False), autograph=False)

    def forecasts_of(inputs: dict[str, np.ndarray]) -> Any:
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        return as_forecast(forecast(tensors).numpy(), model.output_kind)

    return evaluation.influence(forecasts_of, rows, prepared, chosen, seed)


def headline(scores: dict[str, Any]) -> dict[str, float]:
    names = SHOWN["values"] if "mase" in scores else SHOWN["prices"]
    return {name: scores[name] for name in names if name in scores}


def render_scores(scores: dict[str, Any]) -> Group:
    """Formats all scores as tables: model and baselines, significance tests, backtest, and importance.

    The second line of a cell is the 95 % interval of the score.
    For prices, a further table shows the accuracy of the direction and the value at risk.
    """
    model, prices = scores["model"], scores["kind"] == "prices"
    rows = {**scores["baselines"], "model": model}
    names = [name for name in SHOWN[scores["kind"]] if any(name in row for row in rows.values())]
    tests = model["comparison"]["tests"]
    title = f"{scores['data']}: {model['windows']:,} windows"
    side = Table("", *names, "50 / 80 / 95 % coverage", "model better? p-value", title=title)
    for name, row in rows.items():
        cells = [
            with_interval(f"{row[key]:.4f}", row.get(f"{key}_interval"), ".4f") if key in row else ""
            for key in names
        ]
        cells.append(" / ".join(f"{share:.1%}" for share in row["coverage"].values()))
        test = tests.get(name)
        side.add_row(
            name, *cells, f"{'yes' if test['difference'] < 0 else 'no'}, {test['p']:.2g}" if test else ""
        )
    parts: list[Any] = [side]
    if prices:
        parts.append(_risk_table(rows, scores["step"]))
    else:
        parts.append(
            f"sMAPE: {SMAPE}; mse_scaled: MSE divided by the variance of the series in its training rows"
        )
    if "backtest" in model:
        parts.append(_backtest_table(model["backtest"]))
    if "influence" in model:
        table = Table("permutation importance", f"increase of {model['comparison']['measure']}")
        for name, rise in sorted(model["influence"].items(), key=lambda item: -item[1]):
            table.add_row(name, f"{rise:+.4f}")
        parts.append(table)
    return Group(*parts)


def _risk_table(rows: dict[str, Any], step: str) -> Table:
    first = next(iter(rows.values()))
    titles = [f"returns per {step} below VaR {level} (Kupiec p)" for level in first["value_at_risk"]]
    table = Table(f"first {step}", "direction accuracy", "95 % interval", "majority", *titles)
    for name, row in rows.items():
        low, high = row["direction"]["interval"]
        risk = [
            f"{one['exceedances']} of {one['expected']:.1f} ({one['kupiec_p']:.2g})"
            for one in row["value_at_risk"].values()
        ]
        direction = row["direction"]
        table.add_row(
            name,
            f"{direction['accuracy']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{direction['majority']:.1%}",
            *risk,
        )
    return table


def _backtest_table(parts: list[dict[str, Any]]) -> Table:
    names = list(parts[0]["baselines"])
    table = Table("from", "to", "windows", "model", *names, title=f"backtest, {parts[0]['measure']}")
    for part in parts:
        others = [f"{part['baselines'][name]:.4f}" for name in names]
        table.add_row(part["from"], part["to"], str(part["windows"]), f"{part['model']:.4f}", *others)
    return table


def plot(run: Run, scores: dict[str, Any]) -> list[Path]:
    fan, measure = Fan(**scores["fan"]), scores["comparison"]["measure"]
    kind = f"Forecasts of the next {fan.step}" if fan.rolling else "Forecast"
    title = f"{kind} of {fan.series} after {fan.times[len(fan.history) - 1]}"
    paths = [
        forecast_plots.fan_chart(fan, title, run.plots / "fan.png"),
        forecast_plots.pit_histogram(scores["pit"], run.plots / "pit.png"),
        forecast_plots.interval_coverage(scores["coverage"], run.plots / "calibration.png"),
        forecast_plots.influence(scores["influence"], measure, run.plots / "influence.png"),
    ]
    if "backtest" in scores:
        parts = scores["backtest"]
        lines = {name: [part["baselines"][name] for part in parts] for name in parts[0]["baselines"]}
        lines["model"] = [part["model"] for part in parts]
        labels = [part["from"] for part in parts]
        paths.append(forecast_plots.backtest(lines, labels, measure, run.plots / "backtest.png"))
    return paths


TASK = Task(
    name="forecasting",
    Train=Train,
    Evaluate=Evaluate,
    Predict=Predict,
    Convert=ConvertOptions,
    load=load,
    load_assets=Assets.load,
    build=build,
    objective=objective,
    monitor=("valid_loss", False),
    baselines=baselines,
    validate=validate,
    evaluate=evaluate,
    predict=predict,
    headline=headline,
    render_scores=render_scores,
    render_prediction=outlook.as_text,
    plot=plot,
    signatures=signatures,
    examples=examples,
    phone=phone,
    store=store,
    inputs=inputs,
    rows=outlook.rows,
    outputs=outlook.frame,
)
