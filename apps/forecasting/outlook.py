"""Converts forecasts to records with dates and quantiles, and converts records to text and DataFrames."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from apps.forecasting.checks import shown
from apps.forecasting.data import Prepared
from apps.forecasting.metrics import RISKS, Forecast
from apps.forecasting.saved_model import LEVELS, cumulated, quantiles


def quantiles_of(forecast: Forecast, minimum: float | None = None) -> np.ndarray:
    """Returns the quantiles at ``LEVELS`` for n windows and H forecast steps: ``(n, H, 7)``.

    The quantiles are computed by the same function as in an exported model.

    Args:
        forecast: the forecasts.
        minimum: lower limit of the quantiles. Default: no limit.
    """
    return quantiles(tf.constant(forecast.parameters, tf.float64), forecast.kind, minimum).numpy()


def price_quantiles(forecast: Forecast, close: np.ndarray) -> np.ndarray:
    """Returns the quantiles of the closing prices for n windows and H forecast steps: ``(n, H, 7)``.

    Args:
        forecast: forecasts of the returns.
        close: last known closing prices, ``(n,)``.
    """
    sums = cumulated(tf.constant(forecast.parameters, tf.float64), forecast.kind).numpy()
    return close[:, None, None] * np.exp(sums / 100)


def records(forecast: Forecast, prepared: Prepared, origins: np.ndarray) -> list[dict[str, Any]]:
    """Returns one JSON-ready record per origin.

    An origin is the last known row before the forecasts. A record contains the forecasts after its origin.
    """
    horizon = prepared.assets.horizon
    found = []
    steps = quantiles_of(forecast, prepared.assets.minimum)
    prices = prepared.source.kind == "prices"
    if prices:
        close = np.array([prepared.source.series[number].values[origin, 3] for number, origin in origins])
        fan = price_quantiles(forecast, close)
    for row, (number, origin) in enumerate(origins):
        series = prepared.source.series[number]
        times = prepared.source.after(number, series.times[origin], horizon)
        step = (series.calendar or prepared.source.frequency).step
        record: dict[str, Any] = {"series": series.name, "from": shown(series.times[origin]), "step": step}
        if prices:
            one = forecast.rows(row)
            record["last_close"] = float(close[row])
            record["prices"] = _by_time(times, fan[row])
            record["returns_percent"] = _by_time(times, steps[row])
            if forecast.kind == "student_t":
                _, scale, freedom = np.moveaxis(one.parameters, -1, 0)
                variance = np.where(
                    np.isinf(freedom), 1.0, freedom / (np.where(np.isinf(freedom), 3, freedom) - 2)
                )
                record["volatility_percent"] = [round(float(v), 6) for v in scale * np.sqrt(variance)]
            record["value_at_risk_percent"] = {
                f"{level:.0%}": [round(-float(v), 6) for v in one.quantile(level)] for level in RISKS
            }
        else:
            record["values"] = _by_time(times, steps[row])
        found.append(record)
    return found


def _by_time(times: np.ndarray, rows: np.ndarray) -> list[dict[str, Any]]:
    """Returns one dictionary per time. Each dictionary contains the time and one quantile per level."""
    return [
        {"time": shown(time), **{f"{level:g}": float(f"{value:.8g}") for level, value in zip(LEVELS, row)}}
        for time, row in zip(times, rows)
    ]


def as_text(record: dict[str, Any]) -> str:
    """Formats a record as one table per series, with the median and the central intervals."""
    text = io.StringIO()
    console = Console(file=text, width=100, markup=False, emoji=False, highlight=False)
    for series in record["series"]:
        prices = "prices" in series
        step = series["step"]
        title = f"{record['data']}: {series['series']} after {series['from']}"
        title += f", last close {series['last_close']:,.6g}" if prices else ""
        table = Table(
            f"per {step}",
            "median",
            "50 %",
            "80 %",
            "95 %",
            *([f"volatility % per {step}", f"VaR 1 % / 5 % per {step}"] if prices else []),
            title=title,
        )
        for step, row in enumerate(series["prices" if prices else "values"]):
            cells = [f"{row['0.5']:,.6g}"]
            for low, high in (("0.25", "0.75"), ("0.1", "0.9"), ("0.025", "0.975")):
                cells.append(f"{row[low]:,.6g} to {row[high]:,.6g}")
            if prices:
                volatility = series.get("volatility_percent")
                cells.append(f"{volatility[step]:.3f}" if volatility else "")
                cells.append(
                    " / ".join(f"{risk[step]:.2f}" for risk in series["value_at_risk_percent"].values())
                )
            table.add_row(row["time"], *cells)
        console.print(table)
    return text.getvalue().rstrip("\n")


def frame(made: list[dict[str, Any]]) -> Any:
    """Returns the forecasts as a pandas DataFrame.

    The columns are ``series``, ``time`` and one column per quantile.
    """
    import pandas

    table = pandas.DataFrame([row for record in made for row in rows(record)])
    if not table["time"].str.fullmatch(r"-?\d+").all():
        table["time"] = pandas.to_datetime(table["time"])
    return table


def rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Converts a record to table rows: one row per series and time, with one column per quantile."""
    return [
        {"series": series["series"], **row}
        for series in record["series"]
        for row in series["prices" if "prices" in series else "values"]
    ]
