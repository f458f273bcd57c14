"""What can be set for forecasting. Loads no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.options import EvaluateOptions, PredictOptions, TrainOptions, data_option, option
from seqmodels.errors import UsageError
from seqmodels.registry import (
    CELLS,
    FIXED_WINDOWS,
    FORECAST_DECODERS,
    FORECAST_LOSSES,
    FORECAST_OUTPUTS,
    SCALINGS,
)

FREQUENCIES = ("minute", "hour", "day", "business", "week", "month", "quarter", "year", "step")
OF_RECURRENT = ("cell", "layers", "decoder", "skip")  # what the models without memory do not have
FILLS = ("error", "forward", "zero")


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "quick": {"epochs": 4, "units": 8, "windows": 4096},
        "default": {"epochs": 12, "schedule": "cosine"},
        "best": {"units": 64, "epochs": 30, "dropout": 0.2, "schedule": "cosine", "patience": None},
    }

    data: str = data_option(
        "market", "regimes", "seasonal", others="a file, a folder of price files, or yahoo:TICKER"
    )
    split: str = option(
        "auto",
        "Train, valid and test: three shares as 0.7,0.1,0.2, three numbers of rows, or horizon (the last "
        "rows of each series); auto: shares, or horizon for several series without dates.",
    )
    fill: str = option(
        "error", "What stands for a missing value or date; never from the future.", choices=FILLS
    )
    frequency: str | None = option(
        None, "What lies between two rows; inferred if not given.", choices=FREQUENCIES
    )
    known: str = option(
        "",
        "Columns that are no series but known in advance, joined by commas; rows at the end in which the "
        "series are empty give their future.",
    )
    static: str = option(
        "",
        "Columns of a long file that are the same in all rows of a series, joined by commas.",
    )
    season: int | None = option(None, "Rows of a season; none to infer it.", minimum=1)
    lookback: int | None = option(
        None,
        "Rows of the past that the model sees; none for 250 days of prices, or several seasons.",
        minimum=2,
    )
    horizon: int | None = option(
        None, "Rows to forecast; none for 1 day of prices, or one season.", minimum=1
    )
    architecture: str = option(
        "recurrent",
        "The model, or a rival without memory trained by the same loop.",
        choices=("recurrent", *FIXED_WINDOWS),
    )
    output: str = option(
        "student_t",
        "What is forecast at every step.",
        choices=FORECAST_OUTPUTS,
        model=True,
    )
    loss: str = option(
        "auto",
        "Error of a point forecast; auto: squared, of other outputs their likelihood or quantile loss.",
        choices=FORECAST_LOSSES,
    )
    cell: str = option("gru", "Recurrent cell.", choices=tuple(CELLS), model=True)
    units: int = option(
        16, "Features of a recurrent state, or of the hidden layer of mlp.", minimum=1, model=True
    )
    layers: int = option(1, "Recurrent layers on top of each other.", minimum=1, model=True)
    decoder: str = option(
        "direct",
        "All steps of the future at once, or each from the one before.",
        choices=FORECAST_DECODERS,
        model=True,
    )
    segment: int | None = option(
        None, "Rows that are read and forecast at once; none for 1, or a season of a long past.", minimum=1
    )
    scaling: str = option(
        "instance",
        "What a window of values is divided by; prices have their own volatility.",
        choices=SCALINGS,
        model=True,
    )
    decomposition: bool = option(False, "Show the model trend and remainder beside each other.", model=True)
    skip: bool = option(True, "Add a linear function of the whole window.", model=True)
    calendar: bool = option(True, "Show the model the phase of day, week and year, of prices of the week.")
    series_units: int = option(0, "Width of a learned vector of each series; 0 for none.", minimum=0)
    error_unit: str = option(
        "auto",
        "What errors count in: 1, the deviation of the series, its change over a season; auto: 1 for prices, "
        "else the deviation.",
        choices=("auto", "none", "deviation", "season"),
    )
    windows: int | None = option(None, "Windows of an epoch, at most, drawn anew each time.", minimum=1)
    dropout: float = option(
        0.0, "Probability of dropping a feature between layers.", minimum=0, maximum=0.99, model=True
    )

    def check(self) -> None:
        super().check()
        if self.loss != "auto" and self.output != "point":
            raise UsageError(f"--loss {self.loss}: is for --output point; --output {self.output} has its own")
        if self.segment and self.lookback and self.segment >= self.lookback:
            raise UsageError(f"--segment {self.segment}: is not shorter than --lookback {self.lookback}")
        for name in ("known", "static"):
            if getattr(self, name) and self.architecture in ("nlinear", "dlinear"):
                raise UsageError(
                    f"--{name} {getattr(self, name)}: --architecture {self.architecture} reads no "
                    "covariates; expected recurrent or mlp"
                )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    backtest: int = option(
        0, "Score that many consecutive parts of the test one by one; 0 for the test as a whole.", minimum=0
    )
    refit: bool = option(False, "Train anew before each part of the backtest, on all rows before it.")

    def check(self) -> None:
        super().check()
        if self.refit and not self.backtest:
            raise UsageError("--refit: is for a backtest; give --backtest N too")
        if self.refit and (self.model != "keras" or self.data is not None):
            raise UsageError(
                "--refit: trains the run's own model on its own data; leave --model and --data out"
            )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    reads_stdin: ClassVar[bool] = False

    to: str | None = option(None, "File for the forecast, .csv or .json.")

    def check(self) -> None:
        if self.to is not None and not self.to.endswith((".csv", ".json")):
            raise UsageError(f"--to {self.to}: expected a name that ends in .csv or .json")
