"""The command line ``python -m apps.forecasting``."""

from apps.cli import application
from apps.forecasting.options import Evaluate, Predict, Train

main = application(
    "forecasting",
    "Forecast time series as probability distributions.",
    Train,
    Evaluate,
    Predict,
    alias="forecast",
)

if __name__ == "__main__":
    main(prog_name="python -m apps.forecasting")
