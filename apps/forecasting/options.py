"""Options of the forecasting app. This module does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.options import (
    EvaluateOptions,
    PredictOptions,
    TrainOptions,
    check_reading,
    data_option,
    encoding_option,
    option,
    probability,
)
from seqmodels.errors import UsageError
from seqmodels.registry import (
    CELLS,
    FIXED_WINDOWS,
    FORECAST_DECODERS,
    FORECAST_LOSSES,
    FORECAST_OUTPUTS,
    SCALINGS,
)

FREQUENCIES = (
    "second", "minute", "hour", "day", "business", "week", "month", "quarter", "year", "step", "rows",
)  # fmt: skip
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
        "Split into training, validation and test rows, in time order: three shares such as 0.7,0.1,0.2; "
        "three numbers of rows; or horizon. horizon uses the last --horizon rows of each series as the test "
        "split, and the --horizon rows before them as the validation split. auto uses horizon for several "
        "series without dates, and 0.7,0.1,0.2 for all other data.",
        group="Data",
    )
    encoding: str | None = encoding_option()
    fill: str = option(
        "error",
        "Treatment of missing values and missing dates: stop with an error (error), repeat the last earlier "
        "value (forward), or insert 0 (zero).",
        group="Data",
        choices=FILLS,
    )
    frequency: str | None = option(
        None,
        "Time between two rows. rows counts the rows and ignores their dates. Default: inferred from the "
        "dates.",
        group="Data",
        choices=FREQUENCIES,
    )
    date: str = option(
        "",
        "Column of the dates, or comma-separated parts of a date such as year,month. Default: found by name "
        "and content.",
        group="Data",
    )
    date_format: str | None = option(
        None,
        "Format of ambiguous dates, such as %d/%m/%Y. Default: decided by the whole column.",
        group="Data",
    )
    id: str = option(
        "",
        "Comma-separated columns that name the series, for files with several series below each other. "
        "Default: unique_id, or one series.",
        group="Data",
    )
    target: str = option(
        "", "Comma-separated columns to forecast. Default: y, or all columns of numbers.", group="Data"
    )
    close: str = option(
        "", "Column of closing prices. Default: close, or price next to open, high and low.", group="Data"
    )
    holidays: str = option(
        "",
        "Comma-separated countries such as US or DE-BY, whose holidays are known covariates, or an exchange "
        "such as NYSE, whose holidays have no rows. Default: no holidays.",
        group="Data",
    )
    known: str = option(
        "",
        "Comma-separated names of covariate columns whose future values are known. Add rows with the future "
        "values at the end of the series. In these rows, leave the series columns empty. Default: none.",
        group="Data",
    )
    static: str = option(
        "",
        "Comma-separated names of covariate columns that are constant in each series. Only long files "
        "(unique_id,ds,y) can have such columns. Default: none.",
        group="Data",
    )
    season: int | None = option(
        None,
        "Season length in rows. Default: inferred from the frequency. For series without dates: inferred "
        "from the values.",
        group="Data",
        minimum=1,
    )
    lookback: int | None = option(
        None,
        "Number of past rows that the model reads. Default: 250 for prices. For other data, the default is "
        "the largest of 24 rows, 3 seasons and 2 horizons. It is smaller for short series.",
        group="Data",
        minimum=2,
    )
    horizon: int | None = option(
        None,
        "Number of rows to forecast. Default for prices: 1. Default for other data: one season, or 12 rows "
        "if there is no season.",
        group="Data",
        minimum=1,
    )
    architecture: str = option(
        "recurrent",
        "recurrent: a recurrent network. The other values are baselines without a recurrent state, which are "
        "trained in the same way.",
        group="Model",
        choices=("recurrent", *FIXED_WINDOWS),
    )
    output: str = option(
        "student_t",
        "Form of each forecast: a single value (point), quantiles, or the parameters of a distribution "
        "(normal, student_t).",
        choices=FORECAST_OUTPUTS,
        model=True,
    )
    loss: str = option(
        "auto",
        "Loss of --output point. auto is the squared error. Other outputs do not use this option: "
        "distributions are trained with the negative log-likelihood, quantiles with the quantile loss.",
        choices=FORECAST_LOSSES,
    )
    cell: str = option("gru", "Type of the recurrent cells.", choices=tuple(CELLS), model=True)
    units: int = option(
        16, "Number of units of each recurrent layer, or of the hidden layer of mlp.", minimum=1, model=True
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
        "Number of rows that the recurrent network reads per time step. Default: 1. If the data are "
        "not prices and the input window has at least 8 seasons, the default is one season.",
        group="Advanced",
        minimum=1,
    )
    scaling: str = option(
        "instance",
        "Normalization of the values in each input window. This option does not apply to prices: their "
        "returns are always divided by their volatility.",
        group="Advanced",
        choices=SCALINGS,
        model=True,
    )
    decomposition: bool = option(
        False,
        "Split each input window into a trend and a remainder, and use both as inputs.",
        group="Advanced",
        model=True,
    )
    skip: bool = option(True, "Add a linear function of the whole input window to the forecast.", model=True)
    calendar: bool = option(
        True,
        "Add the time of day, the day of the week and the day of the year as inputs. An input is added only "
        "if the series spans two of its periods. For prices, only the day of the week is added. Series "
        "without dates use the position in the season instead.",
        group="Model",
    )
    series_units: int = option(
        0, "Dimension of the learned embedding of each series. 0 disables it.", group="Advanced", minimum=0
    )
    error_unit: str = option(
        "auto",
        "Errors are divided by this unit in the training loss: by 1 (none), by the standard deviation of the "
        "series (deviation), or by the mean absolute change of the series over one season (season). auto "
        "does not divide errors of prices, and divides other errors by the deviation.",
        group="Advanced",
        choices=("auto", "none", "deviation", "season"),
    )
    windows: int | None = option(
        None,
        "Maximum number of training windows per epoch. Each epoch samples new windows. Default: all windows.",
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
        check_reading(self.data, {"encoding": self.encoding})
        if self.close and self.target:
            raise UsageError(
                f"--close {self.close} forecasts returns and --target {self.target} forecasts values; "
                "remove one of them"
            )
        if self.frequency == "rows" and self.holidays:
            raise UsageError(f"--holidays {self.holidays} needs dates; remove --frequency rows")
        for name in ("known", "static"):
            if getattr(self, name) and self.architecture in ("nlinear", "dlinear"):
                raise UsageError(
                    f"--{name} {getattr(self, name)} does not apply to --architecture {self.architecture}; "
                    "use recurrent or mlp"
                )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    encoding: str | None = encoding_option("UTF-8, or the --encoding of the training if a file is not UTF-8")
    backtest: int = option(
        0,
        "Divide the test split into N consecutive parts, and also score each part. 0 disables the backtest.",
        minimum=0,
    )
    refit: bool = option(
        False, "For each part of the backtest, train a new model on all rows before this part."
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"encoding": self.encoding})
        if self.refit and not self.backtest:
            raise UsageError("--refit needs --backtest N; add --backtest N")
        if self.refit and (self.model != "keras" or self.data is not None):
            raise UsageError(
                "--refit trains the Keras model on the data of the run; remove --model and --data"
            )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    reads_stdin: ClassVar[bool] = False

    data: str | None = option(
        None,
        "Series to forecast, such as a file or a folder. The arguments of the command accept the same "
        "values. Default: the arguments, or the data of the run.",
    )
    encoding: str | None = encoding_option("UTF-8, or the --encoding of the training if a file is not UTF-8")

    def check(self) -> None:
        super().check()
        # The arguments of the command may be files, too.
        check_reading(self.data or "", {"encoding": self.encoding})
