"""Tests that the plots of forecasts are written as PNG files."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from apps.forecasting import plots as forecast_plots
from apps.forecasting.plots import Fan, fan_chart

QUANTILES = np.sort(np.random.default_rng(0).normal(100, 5, (3, 7)), 1)
DAYS = ["2024-01-30", "2024-01-31", "2024-02-01", "2024-02-02", "2024-02-05", "2024-02-06"]
PAST, ACTUAL = [98.0, 99.0, 100.0], [101.0, 99.0, 98.0]
DRAW = {
    "fan": lambda path: fan_chart(Fan("a", DAYS, PAST, QUANTILES.tolist(), ACTUAL), "a $ b", path),
    "rows": lambda path: fan_chart(Fan("a", range(6), PAST, QUANTILES.tolist(), ACTUAL), "a", path),
    "rolling": lambda path: fan_chart(Fan("a", DAYS, PAST, QUANTILES.tolist(), ACTUAL, True), "a", path),
    "one step": lambda path: fan_chart(
        Fan("a", DAYS[:4], PAST, QUANTILES[:1].tolist(), ACTUAL[:1]), "a", path
    ),
    "pit": lambda path: forecast_plots.pit_histogram([0.25, 0.25, 0.5], path),
    "coverage": lambda path: forecast_plots.interval_coverage({"50%": 0.4, "95%": 0.9}, path),
    "backtest": lambda path: forecast_plots.backtest(
        {"naive": [1.0, 2.0], "model": [0.5, 1.0]}, ["a", "b"], "nll", path
    ),
    "influence": lambda path: forecast_plots.influence({"returns": 0.1, "volume": -0.01}, "nll", path),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_plot_is_written(name, tmp_path):
    path = DRAW[name](tmp_path / "new" / "picture.png")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
    assert [each.name for each in path.parent.iterdir()] == ["picture.png"]
