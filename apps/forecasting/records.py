"""Series as the project keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from apps.forecasting.calendar import Frequency, days

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Series:
    """One series.

    Attributes:
        name: as in its file.
        times: ``(T,)`` datetime64[s] or int64.
        values: ``(T, columns)`` float64.
        known: covariates that are known of rows to come too, ``(T + rows to come, covariates)`` float64.
        static: covariates that are the same in every row, ``(covariates,)`` float64.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    known: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    static: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class SeriesData:
    """What a source holds.

    Attributes:
        name: as the user wrote it.
        kind: ``prices``, whose columns are ``PRICE_COLUMNS``, or ``values`` of one column.
        series: at least one.
        frequency: what lies between two rows.
        season: steps of a season, 1 for none.
        notes: what was filled, left out or assumed.
        sha256: of names, times and values.
        truth: for simulated data, by series the true location, scale and degrees of freedom of each row's
            target given all rows before it, ``(T, 3)``.
    """

    name: str
    kind: str
    series: list[Series]
    frequency: Frequency
    season: int
    notes: list[str] = field(default_factory=list)
    sha256: str = ""
    truth: list[np.ndarray] | None = None

    def targets(self, number: int) -> np.ndarray:
        """What is to be forecast of a series: ``(T,)``; of prices the first is not a number."""
        values = self.series[number].values
        return log_returns(values[:, PRICE_COLUMNS.index("close")]) if self.kind == "prices" else values[:, 0]

    def days(self, number: int) -> np.ndarray:
        """The times of a series as a model sees them: ``(T,)``, see :func:`days`."""
        return days(self.series[number].times)


def log_returns(close: np.ndarray) -> np.ndarray:
    """``100 ln(C_t / C_{t-1})`` in percent, ``(T,)``; the first is not a number."""
    return np.concatenate([[np.nan], 100 * np.diff(np.log(close))])
