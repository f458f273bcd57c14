"""Data classes: ``Series`` is one time series, ``SeriesData`` contains all series of a source."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from apps.forecasting.calendar import Frequency, days

PRICE_COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True)
class Series:
    """One time series of T rows.

    Attributes:
        name: name of the series.
        times: dates, ``(T,)`` datetime64[s]. For series without dates, row numbers, ``(T,)`` int64.
        values: for prices, the columns ``PRICE_COLUMNS``. For other series, one column. The shape is
            ``(T, columns)``, the type float64.
        known: covariates whose future values are known, ``(T + future rows, covariates)`` float64.
        static: covariates that are constant in the series, ``(covariates,)`` float64.
        calendar: calendar of this series. None means ``SeriesData.frequency``.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    known: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    static: np.ndarray = field(default_factory=lambda: np.zeros(0))
    calendar: Frequency | None = None

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class SeriesData:
    """All series of one source, such as a file or a folder.

    Attributes:
        name: name of the source, as the user wrote it.
        kind: ``prices`` with the columns ``PRICE_COLUMNS``, or ``values`` with one column.
        series: the series, at least one.
        frequency: calendar of the rows. A series of prices may have its own calendar instead.
        season: season length in rows. 1 means no season.
        notes: messages for the user about filled values and assumptions.
        sha256: SHA-256 digest of names, times, values and covariates of all series.
        countries: countries whose holidays are known covariates. The last columns of ``known`` contain the
            holidays, one column per country.
        truth: for simulated data, the true distribution of each target, given all rows before it. One array
            ``(T, 3)`` per series contains location, scale and degrees of freedom of Student-t distributions.
            Default: None, because the distribution of real data is unknown.
    """

    name: str
    kind: str
    series: list[Series]
    frequency: Frequency
    season: int
    notes: list[str] = field(default_factory=list)
    sha256: str = ""
    countries: tuple[str, ...] = ()
    truth: list[np.ndarray] | None = None

    def targets(self, number: int) -> np.ndarray:
        """Returns the target values ``(T,)`` of the series with the index ``number``.

        The targets of prices are log-returns in percent. The first log-return is NaN.
        """
        values = self.series[number].values
        return log_returns(values[:, PRICE_COLUMNS.index("close")]) if self.kind == "prices" else values[:, 0]

    def after(self, number: int, last: np.datetime64 | int, steps: int) -> np.ndarray:
        """Returns the next times of a series after ``last``: ``(steps,)``."""
        return (self.series[number].calendar or self.frequency).after(last, steps)

    def days(self, number: int) -> np.ndarray:
        """Returns the times of the series with the index ``number``.

        The times are days since 2000-01-01, or row numbers for series without dates: ``(T,)``.
        """
        return days(self.series[number].times)


def log_returns(close: np.ndarray) -> np.ndarray:
    """Returns the log-returns ``100 ln(C_t / C_{t-1})`` in percent: ``(T,)``. The first value is NaN."""
    return np.concatenate([[np.nan], 100 * np.diff(np.log(close))])
