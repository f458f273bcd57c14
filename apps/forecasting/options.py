"""Options of the forecasting app. This module does not import TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
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
from apps.search import ByOption
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
# Search range of ``tune`` that applies only to --architecture recurrent.
RECURRENT = partial(ByOption, "architecture", {each: [] for each in FIXED_WINDOWS})


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
        "Sizes of the training, validation and test splits, in time order: three fractions such as "
        "0.7,0.1,0.2, or three numbers of rows such as 700,100,200. With 'horizon', the test split is the "
        "last N rows of each series, where N is the value of --horizon. The validation split is the N rows "
        "before the test split. 'auto' selects 'horizon' for several series without dates, and 0.7,0.1,0.2 "
        "for all other data.",
        group="Data",
    )
    encoding: str | None = encoding_option()
    fill: str = option(
        "error",
        "Treatment of missing values and missing dates. 'error' stops with an error message. 'forward' "
        "repeats the most recent earlier value. 'zero' inserts 0.",
        group="Data",
        choices=FILLS,
    )
    frequency: str | None = option(
        None,
        "Time between two rows. 'business' means one row per day from Monday to Friday. Use 'step' if the "
        "data have row numbers instead of dates. If you choose 'rows', the app ignores the dates and uses "
        "row numbers instead. Default: inferred from the dates.",
        group="Data",
        choices=FREQUENCIES,
    )
    date: str = option(
        "",
        "Column of the dates, or comma-separated columns that form a date, such as year,month. Default: "
        "the app finds these columns by their names and contents.",
        group="Data",
    )
    date_format: str | None = option(
        None,
        "Format of ambiguous dates, such as %d/%m/%Y. Default: the only format that fits all rows.",
        group="Data",
    )
    id: str = option(
        "",
        "Column that contains the name of the series, or comma-separated columns that form the name. Set "
        "this option if one column of the file contains the values of several series. Default: 'unique_id' "
        "if the file has the columns 'unique_id', 'ds' and 'y', otherwise no column.",
        group="Data",
    )
    target: str = option(
        "",
        "Comma-separated columns to forecast. Default: 'y' if the file has the columns 'unique_id', 'ds' "
        "and 'y'. For all other files, the default is all columns of numbers.",
        group="Data",
    )
    close: str = option(
        "",
        "Column of closing prices. Default: the column 'close', or the column 'price' if the file also has "
        "the columns 'open', 'high' and 'low'.",
        group="Data",
    )
    holidays: str = option(
        "",
        "Comma-separated countries such as US or DE-BY, or one exchange such as NYSE. The holidays of a "
        "country are an input of the model. If you name an exchange, its holidays are days without rows. "
        "They are not missing dates, and the app does not forecast them. Default: no holidays.",
        group="Data",
    )
    known: str = option(
        "",
        "Comma-separated names of covariate columns whose future values are known. Add rows with the future "
        "values at the end of the series. In these rows, the target columns must be empty. Default: no "
        "columns.",
        group="Data",
    )
    static: str = option(
        "",
        "Comma-separated names of covariate columns that are constant in each series. The app must know the "
        "series of each row. Therefore set --id if the file does not have the columns 'unique_id', 'ds' and "
        "'y'. Default: no columns.",
        group="Data",
    )
    season: int | None = option(
        None,
        "Season length in rows. Default: inferred from the frequency. For series without dates, it is "
        "inferred from the values.",
        group="Data",
        minimum=1,
    )
    lookback: int | None = option(
        None,
        "Number of past rows that the model reads. Default for prices: 250. Default for other data: the "
        "maximum of 3 seasons, 2 horizons and 24 rows. For short series, the default is reduced.",
        group="Data",
        minimum=2,
    )
    horizon: int | None = option(
        None,
        "Number of rows to forecast. Default for prices: 1. Default for other data: the season length, or "
        "12 if the series have no season.",
        group="Data",
        minimum=1,
    )
    architecture: str = option(
        "recurrent",
        "Kind of model. 'recurrent' is a recurrent network. All other values are simpler models without "
        "recurrent layers, for comparison.",
        group="Model",
        choices=("recurrent", *FIXED_WINDOWS),
    )
    output: str = option(
        "student_t",
        "Kind of forecast for each row. 'point' is a single value. 'quantiles' are the nine deciles. "
        "'normal' and 'student_t' are distributions.",
        choices=FORECAST_OUTPUTS,
        model=True,
    )
    loss: str = option(
        "auto",
        "Training loss for --output point. 'auto' selects 'squared'. For all other values of --output, only "
        "'auto' is allowed: distributions are trained with the negative log-likelihood, and quantiles with "
        "the quantile loss.",
        choices=FORECAST_LOSSES,
    )
    cell: str = option(
        "gru",
        "Type of the recurrent cells.",
        choices=tuple(CELLS),
        model=True,
        search=RECURRENT(others=["gru", "lstm"]),
    )
    units: int = option(
        16,
        "Number of units of each recurrent layer. With --architecture mlp, number of units of the hidden "
        "layer.",
        minimum=1,
        model=True,
        search=ByOption("architecture", {"nlinear": [], "dlinear": []}, others=[8, 16, 32, 64]),
    )
    layers: int = option(
        1, "Number of stacked recurrent layers.", minimum=1, model=True, search=RECURRENT(others=(1, 2))
    )
    decoder: str = option(
        "direct",
        "Order of the forecasts. 'direct' forecasts all rows at once. 'autoregressive' forecasts the rows in "
        "order, and each forecast is an input for the next forecast.",
        choices=FORECAST_DECODERS,
        model=True,
    )
    segment: int | None = option(
        None,
        "Number of rows that the recurrent network reads per time step. Default for prices: 1. Default for "
        "other data: the season length if --lookback is at least 8 seasons, otherwise 1.",
        group="Advanced",
        minimum=1,
    )
    scaling: str = option(
        "instance",
        "Normalization of the values in each input window. 'none' keeps the values. 'mean' divides by the "
        "mean absolute value. 'robust' subtracts the median and divides by the interquartile range. "
        "'instance' subtracts the mean and divides by the standard deviation. 'last' subtracts the last "
        "value and divides by the standard deviation. This option does not apply to prices: their returns "
        "are always divided by their volatility.",
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
        "if the series is long enough: for the day of the year, at least two years. For daily prices, only "
        "the day of the week is added. For series without dates, the position in the season is added "
        "instead.",
        group="Model",
    )
    series_units: int = option(
        0,
        "Dimension of the learned embedding of each series. 0 disables the embedding.",
        group="Advanced",
        minimum=0,
    )
    error_unit: str = option(
        "auto",
        "Unit of the errors in the training loss. The errors of each series are divided by its unit. With "
        "'none', the unit is 1. 'deviation' is the standard deviation of the series. 'season' is the mean "
        "absolute change of the series over one season. 'auto' selects 'none' for prices and 'deviation' for "
        "all other data.",
        group="Advanced",
        choices=("auto", "none", "deviation", "season"),
    )
    windows: int | None = option(
        None,
        "Maximum number of training windows per epoch. Each epoch uses a new random sample. Default: all "
        "windows.",
        minimum=1,
    )
    dropout: float = probability(0.0, "Dropout rate between layers.", search=(0.0, 0.5))

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
                    "use --architecture recurrent or mlp"
                )


@dataclass(frozen=True, kw_only=True)
class Evaluate(EvaluateOptions):
    """Options of ``evaluate``."""

    encoding: str | None = encoding_option("UTF-8, or the --encoding of the training if a file is not UTF-8")
    backtest: int = option(
        0,
        "Number of consecutive parts of the test split. Each part is scored separately, in addition to the "
        "whole test split. 0 disables the backtest.",
        minimum=0,
    )
    refit: bool = option(
        False, "For each part of the backtest, train a new model on all rows before this part."
    )

    def check(self) -> None:
        super().check()
        check_reading(self.data, {"encoding": self.encoding})
        if self.refit and not self.backtest:
            raise UsageError("--refit needs --backtest; set --backtest to the number of parts")
        if self.refit and (self.model != "keras" or self.data is not None):
            raise UsageError(
                "--refit always uses the Keras model and the data of the run; remove --model and --data"
            )


@dataclass(frozen=True, kw_only=True)
class Predict(PredictOptions):
    """Options of ``predict``."""

    reads_stdin: ClassVar[bool] = False

    data: str | None = option(
        None,
        "Data to forecast, such as a file or a folder. You can also pass files and folders as arguments "
        "instead of --data. If you pass no data, the app forecasts the --data of the training.",
    )
    encoding: str | None = encoding_option("UTF-8, or the --encoding of the training if a file is not UTF-8")

    def check(self) -> None:
        super().check()
        # Files can be passed as arguments instead of --data. Therefore --encoding is allowed without --data.
        check_reading(self.data or "", {"encoding": self.encoding})
