"""Pictures of forecasts are PNG files that show what they were given."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from apps.forecasting import plots as forecast_plots

QUANTILES = np.sort(np.random.default_rng(0).normal(100, 5, (3, 7)), 1)
DRAW = {
    "fan": lambda path: forecast_plots.fan_chart(
        [98.0, 99.0, 100.0], QUANTILES, [101.0, 99.0, 98.0], "a $ b", path
    ),
    "one step": lambda path: forecast_plots.fan_chart([98.0, 99.0], QUANTILES[:1], [101.0], "one", path),
    "pit": lambda path: forecast_plots.pit_histogram([0.25, 0.25, 0.5], path),
    "coverage": lambda path: forecast_plots.interval_coverage({"50%": 0.4, "95%": 0.9}, path),
    "backtest": lambda path: forecast_plots.backtest(
        {"naive": [1.0, 2.0], "model": [0.5, 1.0]}, ["a", "b"], "nll", path
    ),
    "influence": lambda path: forecast_plots.influence({"returns": 0.1, "volume": -0.01}, "nll", path),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_picture_is_written(name, tmp_path):
    path = DRAW[name](tmp_path / "new" / "picture.png")
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10
    assert [each.name for each in path.parent.iterdir()] == ["picture.png"]
