"""Forecasting models, which map windows of a time series to forecasts in the units of the data."""

from seqmodels.models.forecasting.base import DECILES, WindowModel
from seqmodels.models.forecasting.linear import FixedWindowForecaster
from seqmodels.models.forecasting.recurrent import Forecaster

__all__ = ["DECILES", "FixedWindowForecaster", "Forecaster", "WindowModel"]
