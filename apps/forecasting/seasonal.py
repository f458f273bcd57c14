"""Simulated monthly series with known noise. Each series has its own level, trend and seasonal pattern.

Each series is ``y_t = (level + trend t) (1 + season_{t mod 12}) + sigma_t e_t``. Here ``e_t`` is standard
normal, and ``sigma_t`` is proportional to ``level + trend t``. The best point forecast is the series without
the noise term. The best forecast distribution is the normal distribution around this point forecast.
"""

from __future__ import annotations

import numpy as np

from apps.forecasting.calendar import EPOCH, Months
from apps.forecasting.records import Series, SeriesData

SERIES, MONTHS, SEASON = 40, 240, 12
NOISE = 0.04  # standard deviation of the noise, divided by level + trend t


def family(seed: int) -> SeriesData:
    """Simulates the series. ``SERIES`` is their number, and ``MONTHS`` is the number of rows of each series.

    The attribute ``truth`` of the result contains the normal distributions around the series without noise.
    """
    random = np.random.default_rng([seed, 3])
    month = np.arange(MONTHS)
    times = Months().after(EPOCH - np.timedelta64(31, "D"), MONTHS)
    series, truth = [], []
    for number in range(SERIES):
        level = np.exp(random.uniform(np.log(10), np.log(1000)))
        growth = level * (1 + random.uniform(-0.001, 0.004) * month)
        shape = sum(
            random.normal(0, 0.12 / order) * np.cos(2 * np.pi * (order * month / SEASON + random.random()))
            for order in (1, 2, 3)
        )
        expected, noise = growth * (1 + shape), NOISE * growth
        values = expected + noise * random.standard_normal(MONTHS)
        series.append(Series(f"series {number + 1}", times, values[:, None]))
        truth.append(np.stack([expected, noise, np.full(MONTHS, np.inf)], 1))
    notes = ["the data are simulated; the baseline 'optimum' uses the true parameters"]
    return SeriesData("embedded:seasonal", "values", series, Months(), SEASON, notes, truth=truth)
