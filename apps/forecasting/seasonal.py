"""A family of monthly series: level, trend, a season of their own, and noise of known size.

Each is ``y_t = (level + trend t) (1 + season_{t mod 12}) + sigma_t e_t`` with ``sigma_t`` in proportion to
the level and standard normal ``e_t``: the noiseless part is the best possible point forecast, and the normal
distribution around it the best possible of all.
"""

from __future__ import annotations

import numpy as np

from apps.forecasting.calendar import EPOCH, Frequency
from apps.forecasting.records import Series, SeriesData

SERIES, MONTHS, SEASON = 40, 240, 12
NOISE = 0.04  # of the level


def family(seed: int) -> SeriesData:
    """``SERIES`` series of ``MONTHS`` months; ``truth`` is the noiseless part with its noise."""
    random = np.random.default_rng([seed, 3])
    month = np.arange(MONTHS)
    times = Frequency("month").after(EPOCH - np.timedelta64(31, "D"), MONTHS)
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
    notes = ["simulated: the optimum is the distribution that the values were drawn from"]
    return SeriesData("embedded:seasonal", "values", series, Frequency("month"), SEASON, notes, truth=truth)
