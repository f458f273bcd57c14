"""Evaluates the model and its baselines on the same windows: scores, significance tests and backtests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from apps.baseline_units import UNITS
from apps.forecasting import baselines as baselines
from apps.forecasting import metrics as metrics
from apps.forecasting.checks import shown
from apps.forecasting.data import Prepared
from apps.forecasting.inference import Forecasts
from apps.forecasting.intervals import blocks_of
from apps.forecasting.metrics import Forecast
from apps.forecasting.windows import deviation, seasonal_change
from apps.verdict import Measure, verdict
from seqmodels.evaluation import PairedTest

# Slow baselines are skipped if the data are large. The limit of Naive 2 is a number of windows. The limit of
# ETS is a number of series.
SLOW = {
    "naive 2": 2_000,
    "ETS": 500,
}
LEAST_ROWS = 20  # minimum number of training rows of a series whose validation windows are compared
OPTIMUM = "optimum"


def rivals(prepared: Prepared, origins: np.ndarray, fitted: np.ndarray) -> dict[str, Callable[[], Forecast]]:
    """Returns a dictionary of baselines: ``{name: function}``.

    Each function computes the forecasts of its baseline.

    Args:
        prepared: the series.
        origins: two numbers per window, ``(n, 2)``: the index of the series, and the row of the origin.
        fitted: number of rows for the fit, counted from the start of each series, ``(series,)``.
    """
    source, horizon = prepared.source, prepared.assets.horizon
    targets = prepared.targets
    methods = baselines.methods(source.kind, prepared.assets.season)
    if len(origins) > SLOW["naive 2"]:
        methods.pop("naive 2", None)
    if len(source.series) > SLOW["ETS"]:
        methods.pop("ETS", None)

    def compute(method: baselines.Method) -> Callable[[], Forecast]:
        return lambda: Forecast("student_t", baselines.forecast(method, targets, fitted, origins, horizon))

    found = {name: compute(method) for name, method in methods.items()}
    truth = source.truth
    # For prices, the true distribution is known only for the first day after the origin. Therefore the
    # baseline OPTIMUM of prices is added only if the horizon is 1.
    if truth is not None and (source.kind == "values" or horizon == 1):
        ahead = np.arange(1, horizon + 1)
        found[OPTIMUM] = lambda: Forecast(
            "student_t", np.stack([truth[number][origin + ahead] for number, origin in origins])
        )
    return found


def score(forecast: Forecast, prepared: Prepared, origins: np.ndarray, fitted: np.ndarray) -> dict[str, Any]:
    """Computes all scores of the forecasts for the windows in ``origins``, as a JSON-ready dictionary."""
    y = prepared.truth(origins)
    blocks = blocks_of(_times(prepared, origins), prepared.assets.horizon)
    if prepared.source.kind == "prices":
        return metrics.market_scores(forecast, y, blocks)
    targets, season = prepared.targets, prepared.assets.season
    changes = np.array([seasonal_change(v[:end], season) for v, end in zip(targets, fitted)])
    deviations = np.array([deviation(v[:end]) for v, end in zip(targets, prepared.ends[:, 0])])
    of_window = origins[:, 0]
    return metrics.value_scores(forecast, y, changes[of_window], deviations[of_window], blocks)


def _times(prepared: Prepared, origins: np.ndarray) -> np.ndarray:
    """Returns the time of each origin, ``(n,)``."""
    return np.array([prepared.source.days(number)[origin] for number, origin in origins])


def measure_of(forecast: Forecast, prepared: Prepared) -> str:
    """Returns the name of the loss by which a forecast is compared with the baselines.

    The loss is the absolute error (``mae``) for points, the negative log-likelihood (``nll``) for
    distributions of returns, and the CRPS (``crps``) for all other forecasts.
    """
    if forecast.kind == "point":
        return "mae"
    return "nll" if forecast.kind == "student_t" and prepared.source.kind == "prices" else "crps"


def losses(measure: str, forecast: Forecast, prepared: Prepared, origins: np.ndarray) -> np.ndarray:
    """Computes the losses of n windows and H forecast steps: ``(n, H)``.

    If the series are prices, the losses are not scaled. For all other series, each loss is divided by the
    standard deviation of its series in the training rows.
    """
    y = prepared.truth(origins)
    if measure == "nll":
        return forecast.distribution.negative_log_likelihood(y)
    found = np.abs(y - forecast.median) if measure == "mae" else metrics.crps(forecast, y)
    if prepared.source.kind == "prices":
        return found
    units = [deviation(v[:end]) for v, end in zip(prepared.targets, prepared.ends[:, 0])]
    return found / np.array(units)[origins[:, 0], None]


def baseline_scores(
    prepared: Prepared, origins: np.ndarray, fitted: np.ndarray, units: bool = False
) -> dict[str, dict[str, Any]]:
    """Computes the scores of all baselines, by name.

    If Naive 2 is one of the baselines, the scores include the overall weighted average (OWA).

    Args:
        prepared: the series.
        origins: two numbers per window, ``(n, 2)``: the index of the series, and the row of the origin.
        fitted: number of rows for the fit, counted from the start of each series, ``(series,)``.
        units: If True, the scores contain the forecasts as the entry ``units``.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, compute in rivals(prepared, origins, fitted).items():
        forecast = compute()
        found[name] = score(forecast, prepared, origins, fitted) | ({UNITS: forecast} if units else {})
    with_owa(found, found)
    return found


def validation_origins(prepared: Prepared) -> np.ndarray:
    """Returns the validation windows of the series with at least ``LEAST_ROWS`` training rows, ``(n, 2)``.

    The baselines of these windows are fitted on the training rows only.
    """
    origins = prepared.origins("valid")
    return origins[prepared.ends[origins[:, 0], 0] >= LEAST_ROWS]


def with_owa(scores: dict[str, dict[str, Any]], reference: dict[str, dict[str, Any]]) -> None:
    """Adds the overall weighted average (OWA) to the scores, if ``reference`` contains the scores of Naive 2.

    Args:
        scores: scores of each model or baseline, by name.
        reference: scores of the baselines, by name.
    """
    if "naive 2" in reference:
        for row in scores.values():
            row["owa"] = metrics.overall_weighted_average(row, reference["naive 2"])


def comparisons(
    forecast: Forecast,
    prepared: Prepared,
    origins: np.ndarray,
    others: Mapping[str, Callable[[], Forecast]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Compares the model with every baseline by a Diebold-Mariano test.

    Args:
        forecast: forecasts of the model.
        prepared: the series.
        origins: two numbers per window, ``(n, 2)``: the index of the series, and the row of the origin.
        others: functions that return the forecasts of the baselines for the same windows.

    Returns:
        All comparisons, and the comparison with the best baseline, see :func:`apps.verdict.verdict`.
    """
    times = _times(prepared, origins)
    measure = measure_of(forecast, prepared)
    own = losses(measure, forecast, prepared, origins)
    tests: dict[str, dict[str, Any]] = {}
    means: dict[str, float] = {}
    for name, compute in others.items():
        other = losses(measure, compute(), prepared, origins)
        tests[name] = metrics.compare(own, other, times, prepared.assets.horizon)
        means[name] = float(other.mean())
    compared = Measure(measure.upper(), higher_is_better=False)
    best = compared.best({name: mean for name, mean in means.items() if name != OPTIMUM})
    test = PairedTest(*(tests[best][key] for key in ("difference", "interval", "p")), "Diebold-Mariano")
    found = verdict(compared, float(own.mean()), best, means[best], test)
    return {
        "measure": measure,
        "model": float(own.mean()),
        "tests": tests,
        "best_baseline": best,
        "verdict": found["sentence"],
    }, found


def backtest(
    forecasts: Forecasts,
    prepared: Prepared,
    origins: np.ndarray,
    parts: int,
    refit: Callable[[Prepared], Forecasts] | None,
) -> list[dict[str, Any]]:
    """Scores the model and its baselines on consecutive parts of the test split.

    Args:
        forecasts: forecast function of the model.
        prepared: the series.
        origins: windows of the test split.
        parts: number of parts.
        refit: function that trains a new model for a part of the test split, and returns the forecast
            function of this model. ``refit`` is called with series whose training and validation rows are
            all before the part. The baselines are then also fitted on all rows before the part. Without
            ``refit``, all parts use the same model and the same fitted baselines.
    """
    times = _times(prepared, origins)
    found = []
    for group in np.array_split(np.unique(times), parts):
        if not len(group):
            continue
        chosen = origins[(times >= group[0]) & (times <= group[-1])]
        model, fitted = forecasts, prepared.ends[:, 1]
        if refit is not None:
            fitted = np.array(
                [np.searchsorted(prepared.source.days(k), group[0], side="right") for k in range(len(fitted))]
            )
            valid = prepared.ends[:, 1] - prepared.ends[:, 0]
            ends = np.stack([fitted - valid, fitted, prepared.ends[:, 2]], 1)
            model = refit(replace(prepared, ends=ends))
        forecast = model(prepared, chosen)
        measure = measure_of(forecast, prepared)
        row = {"from": _time(prepared, chosen[0]), "to": _time(prepared, chosen[-1]), "windows": len(chosen)}
        row |= {
            "measure": measure,
            "model": float(losses(measure, forecast, prepared, chosen).mean()),
        }
        row["baselines"] = {
            name: float(losses(measure, compute(), prepared, chosen).mean())
            for name, compute in rivals(prepared, chosen, fitted).items()
        }
        found.append(row)
    return found


def _time(prepared: Prepared, window: np.ndarray) -> str:
    return shown(prepared.source.series[window[0]].times[window[1]])


def influence(
    forecasts_of: Callable[[dict[str, np.ndarray]], Forecast],
    rows: dict[str, np.ndarray],
    prepared: Prepared,
    origins: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """Computes the permutation importance of each part of the inputs (Breiman 2001, section 10).

    A part of the inputs is, for example, the volume or the last season. The importance of a part is the
    increase of the mean loss if this part is taken from another window. :func:`losses` computes the loss.

    Args:
        forecasts_of: function that receives the inputs of a model and returns its forecasts.
        rows: model inputs of the windows, by name.
        prepared: the series.
        origins: two numbers per window, ``(n, 2)``: the index of the series, and the row of the origin.
        seed: seed of the permutation.
    """
    order = np.random.default_rng(seed).permutation(len(origins))
    forecast = forecasts_of(rows)
    measure = measure_of(forecast, prepared)
    before = losses(measure, forecast, prepared, origins).mean()
    changed = (
        _changed_prices(rows, order, prepared.source.frequency.step)
        if prepared.source.kind == "prices"
        else _changed_values(rows, order, prepared.assets.season)
    )
    if prepared.assets.periods:
        changed["calendar"] = {**rows, **{name: rows[name][order] for name in ("past_time", "future_time")}}
    if prepared.assets.known:
        changed["known covariates"] = {**rows, "known": rows["known"][order]}
    if prepared.assets.static:
        changed["static covariates"] = {**rows, "static": rows["static"][order]}
    if prepared.assets.series_units:
        changed["series"] = {**rows, "series": rows["series"][order]}
    return {
        name: float(losses(measure, forecasts_of(inputs), prepared, origins).mean() - before)
        for name, inputs in changed.items()
    }


def _changed_prices(
    rows: dict[str, np.ndarray], order: np.ndarray, step: str
) -> dict[str, dict[str, np.ndarray]]:
    own, other = rows["past"], rows["past"][order]
    close, theirs = own[..., 3:4], other[..., 3:4]
    recent = 22  # number of rows; about a month of trading days
    daily = step in ("day", "trading day")
    parts = {}
    parts["returns"] = np.concatenate([own[..., :4] / close * theirs, own[..., 4:]], -1)
    gaps = own.copy()
    gaps[:, 1:, 0] = own[:, :-1, 3] * other[:, 1:, 0] / other[:, :-1, 3]
    parts["opening gaps"] = gaps
    ranges = own.copy()
    ranges[..., 1:3] = close * other[..., 1:3] / theirs
    parts["daily ranges" if daily else f"ranges of each {step}"] = ranges
    parts["volume"] = np.concatenate([own[..., :4], other[..., 4:]], -1)
    if own.shape[1] > 2 * recent:
        old = own.copy()
        factor = own[:, -recent, 3] / other[:, -recent, 3]
        old[:, :-recent, :4] = other[:, :-recent, :4] * factor[:, None, None]
        old[:, :-recent, 4] = other[:, :-recent, 4]
        parts["more than a month ago" if daily else f"more than {recent} rows ago"] = old
    return {name: {**rows, "past": part} for name, part in parts.items()}


def _changed_values(
    rows: dict[str, np.ndarray], order: np.ndarray, season: int
) -> dict[str, dict[str, np.ndarray]]:
    own = rows["past"]
    mean, spread = own.mean(1, keepdims=True), own.std(1, keepdims=True) + 1e-9
    other = mean + spread * ((own - mean) / spread)[order]
    recent = min(max(season, 1), own.shape[1] - 1)
    last, older = own.copy(), own.copy()
    last[:, -recent:], older[:, :-recent] = other[:, -recent:], other[:, :-recent]
    name = "the last season" if season > 1 else "the last row"
    return {name: {**rows, "past": last}, "what is before it": {**rows, "past": older}}
