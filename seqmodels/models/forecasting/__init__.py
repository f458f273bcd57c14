"""Models of time series: windows in the units of the user to forecasts in the same."""

from seqmodels.models.forecasting.base import DECILES, WindowModel
from seqmodels.models.forecasting.linear import FixedWindowForecaster
from seqmodels.models.forecasting.recurrent import Forecaster

__all__ = ["DECILES", "FixedWindowForecaster", "Forecaster", "WindowModel"]
