"""Options of forecasting. This module does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.options import EvaluateOptions, PredictOptions, TrainOptions, data_option, option, probability
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
OF_RECURRENT = ("cell", "layers", "decoder", "skip")  # options that apply to the recurrent model only
FILLS = ("error", "forward", "zero")


@dataclass(frozen=True, kw_only=True)
class Train(TrainOptions):
    """Options of ``train``."""

    fixed: ClassVar[frozenset[str]] = frozenset(
        {
            *("split", "season", "lookback", "horizon", "known", "static", "architecture", "segment"),
            *("scaling", "decomposition", "calendar", "series_units", "error_unit"),
        }
    )
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
        "Training, validation and test rows in time order: three shares such as 0.7,0.1,0.2, three numbers "
        "of rows, or horizon (the last rows of each series). auto uses horizon for several series without "
        "dates, else shares.",
        group="Data",
    )
    fill: str = option(
        "error",
        "Treatment of missing values and dates: error, the last earlier value (forward), or zero.",
        group="Data",
        choices=FILLS,
    )
    frequency: str | None = option(
        None, "Time between two rows. Default: inferred from the dates.", group="Data", choices=FREQUENCIES
    )
    known: str = option(
        "",
        "Comma-separated covariate columns that are known in advance. Final rows with empty series hold "
        "their future values. Default: none.",
        group="Data",
    )
    static: str = option(
        "",
        "Comma-separated columns of a long file that are constant in each series. Default: none.",
        group="Data",
    )
    season: int | None = option(
        None, "Season length in rows. Default: inferred from the frequency.", group="Data", minimum=1
    )
    lookback: int | None = option(
        None,
        "Input window in rows. Default: 250 days for prices, else several seasons.",
        group="Data",
        minimum=2,
    )
    horizon: int | None = option(
        None,
        "Number of rows to forecast. Default: 1 day for prices, else one season.",
        group="Data",
        minimum=1,
    )
    architecture: str = option(
        "recurrent",
        "Recurrent model, or a baseline without memory that is trained by the same loop.",
        group="Model",
        choices=("recurrent", *FIXED_WINDOWS),
    )
    output: str = option(
        "student_t",
        "Output of each forecast step: a distribution, quantiles, or a point.",
        choices=FORECAST_OUTPUTS,
        model=True,
    )
    loss: str = option(
        "auto",
        "Loss of point forecasts. auto: squared error; other outputs use their likelihood or quantile loss.",
        choices=FORECAST_LOSSES,
    )
    cell: str = option("gru", "Recurrent cell.", choices=tuple(CELLS), model=True)
    units: int = option(
        16, "Units of each recurrent layer, or of the hidden layer of mlp.", minimum=1, model=True
    )
    layers: int = option(1, "Number of stacked recurrent layers.", minimum=1, model=True)
    decoder: str = option(
        "direct",
        "Forecast all steps at once (direct), or each step from the previous one (autoregressive).",
        choices=FORECAST_DECODERS,
        model=True,
    )
    segment: int | None = option(
        None,
        "Rows per recurrent step. Default: 1, or one season for long input windows.",
        group="Advanced",
        minimum=1,
    )
    scaling: str = option(
        "instance",
        "Normalization of each input window. Prices are always divided by their volatility.",
        group="Advanced",
        choices=SCALINGS,
        model=True,
    )
    decomposition: bool = option(
        False, "Split the input into trend and remainder.", group="Advanced", model=True
    )
    skip: bool = option(True, "Add a linear function of the whole input window.", model=True)
    calendar: bool = option(
        True,
        "Add the time of day, the day of the week and the day of the year as inputs. An input is added only "
        "if the series spans two of its periods. For prices, only the day of the week is added. Series "
        "without dates use the position in the season instead.",
        group="Model",
    )
    series_units: int = option(
        0, "Dimension of a learned embedding of each series. 0 disables it.", group="Advanced", minimum=0
    )
    error_unit: str = option(
        "auto",
        "Unit of the errors: the unit of the data (none), the standard deviation of the series (deviation), "
        "or its mean change over a season (season). auto: data unit of prices, else deviation.",
        group="Advanced",
        choices=("auto", "none", "deviation", "season"),
    )
    windows: int | None = option(
        None,
        "Maximum number of windows per epoch, sampled again in each epoch. Default: all windows.",
        minimum=1,
    )
    dropout: float = probability(0.0, "Dropout rate between layers.")

    def check(self) -> None:
        super().check()
        if self.loss != "auto" and self.output != "point":
            raise UsageError(
                f"--loss {self.loss} does not apply to --output {self.output}; use --output point"
            )
        if self.segment and self.lookback and self.segment >= self.lookback:
            raise UsageError(f"--segment {self.segment} must be less than --lookback {self.lookback}")
        for name in ("known", "static"):
            if getattr(self, name) and self.architecture in ("nlinear", "dlinear"):
                raise UsageError(
                    f"--{name} {getattr(self, name)} does not apply to --architecture {self.architecture}; "
                    "use recurrent or mlp"
                )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    backtest: int = option(
        0, "Evaluate N consecutive parts of the test split one by one. 0 evaluates it as a whole.", minimum=0
    )
    refit: bool = option(False, "Train again before each part of the backtest, on all earlier rows.")

    def check(self) -> None:
        super().check()
        if self.refit and not self.backtest:
            raise UsageError("--refit needs --backtest N; add it")
        if self.refit and (self.model != "keras" or self.data is not None):
            raise UsageError(
                "--refit trains the Keras model on the data of the run; remove --model and --data"
            )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    reads_stdin: ClassVar[bool] = False

    data: str | None = option(
        None, "File to forecast, like a file argument. Default: the arguments, or the data of the run."
    )
