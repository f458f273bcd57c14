"""Experiments of the forecasting app."""

from __future__ import annotations

import shlex
from functools import partial

from benchmarks.scores.experiment import Experiment
from benchmarks.scores.sources import ETT, M4, SEASONAL, STOCKS

ETT_OPTIONS = (
    "--split 8640,2880,2880 --lookback 336 --segment 24 --output point --scaling last --units 128 "
    "--dropout 0.3 --batch-size 256 --windows 20000 --epochs 4 --schedule cosine --learning-rate 0.001 "
    "--patience none"
)
M4_OPTIONS = (
    "--lookback 336 --segment 24 --output point --loss absolute --error-unit season --season 24 --units 64 "
    "--batch-size 256 --windows 20000 --epochs 30 --schedule cosine --learning-rate 0.003 --patience none "
    "--horizon 48"
)
# Test MSE of DLinear for each horizon (Zeng et al. 2023)
DLINEAR = {96: 0.375, 192: 0.405, 336: 0.439, 720: 0.472}

_experiment = partial(Experiment, task="forecasting")

SIMULATED = (
    _experiment(
        name="forecasting-seasonal",
        source=SEASONAL,
        model="preset `default`",
        train=(),
        minutes=2,
        scores=("mase", "smape", "crps"),
    ),
)

PRICES = tuple(
    _experiment(
        name=f"{name}-{horizon}",
        source=source,
        model=f"preset `default`, {horizon} day{'s' * (horizon > 1)} ahead",
        train=("--horizon", str(horizon)),
        minutes=1,
        scores=("nll", "crps"),
    )
    for horizon in (1, 5)
    for name, source in STOCKS.items()
)

SEASONS = (
    _experiment(
        name="m4-hourly",
        source=M4,
        model="GRU of 64 units, one model for all series, 48 hours ahead",
        train=tuple(shlex.split(M4_OPTIONS)),
        minutes=3,
        scores=("owa", "smape", "mase"),
        published="ES-RNN, the winner of the M4 competition: OWA 0.440, sMAPE 9.328, MASE 0.893",
    ),
    *(
        _experiment(
            name=f"etth1-{horizon}",
            source=ETT,
            model=f"GRU of 128 units, {horizon} hours ahead",
            train=(*shlex.split(ETT_OPTIONS), "--horizon", str(horizon)),
            minutes=9,
            scores=("mse_scaled", "mae_scaled"),
            published=f"DLinear: MSE {DLINEAR[horizon]}",
        )
        for horizon in DLINEAR
    ),
)

EXPERIMENTS = (*SIMULATED, *PRICES, *SEASONS)
