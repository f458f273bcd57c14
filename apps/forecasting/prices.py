"""Completes and checks the columns of prices: open, high, low, close and volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from apps.forecasting.records import PRICE_COLUMNS, Series
from seqmodels.errors import DataError

SPLIT_RETURN = 0.4  # a larger relative price change may be a stock split
# A price ratio is a possible split if it differs from a value in SPLIT_RATIOS by at most this fraction.
SPLIT_TOLERANCE = 0.04
SPLIT_RATIOS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 50, 100)
SHOWN = 3  # maximum number of splits that a note lists


def complete(known: dict[str, np.ndarray]) -> np.ndarray:
    """Returns the price columns ``(rows, 5)``. Missing columns are derived from the closing prices."""
    close = known["close"]
    known = dict(known)
    known.setdefault("volume", np.zeros_like(close))
    known.setdefault("open", np.concatenate([close[:1], close[:-1]]))
    known.setdefault("high", np.maximum(known["open"], close))
    known.setdefault("low", np.minimum(known["open"], close))
    return np.stack([known[column] for column in PRICE_COLUMNS], 1)


def checked_prices(series: Series, places: Sequence[str]) -> Series:
    """Checks the prices, and corrects ``high`` and ``low``. Returns the corrected series.

    If open or close is above ``high``, ``high`` is raised. If open or close is below ``low``, ``low`` is
    lowered.

    Raises:
        DataError: a price is missing, zero or negative, or a volume is missing or negative.
    """
    prices, volume = series.values[:, :4], series.values[:, 4:]
    bad = ~(prices > 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{places[row]}: {PRICE_COLUMNS[column]} must be above 0; got {prices[row, column]:g}; fix or "
            "remove the row"
        )
    if not (volume >= 0).all():
        row = int((~(volume[:, 0] >= 0)).argmax())
        raise DataError(f"{places[row]}: volume must be 0 or more; got {volume[row, 0]:g}; fix the row")
    high, low = prices.max(1), prices.min(1)
    return replace(series, values=np.stack([prices[:, 0], high, low, prices[:, 3], volume[:, 0]], 1))


def split_notes(series: Series) -> list[str]:
    """Returns a note about price changes of more than 40 % that may be stock splits, such as 4:1.

    >>> times = np.datetime64("2024-01-01", "s") + np.arange(3).astype("timedelta64[D]")
    >>> split_notes(Series("x", times, np.array([[1.0], [400], [100]]) @ np.ones((1, 5))))[0][:63]
    "series 'x' may have splits: 2024-01-03 from 400 to 100 (4:1). A"
    """
    close = series.values[:, PRICE_COLUMNS.index("close")]
    found = []
    for row in np.flatnonzero(np.abs(close[1:] / close[:-1] - 1) > SPLIT_RETURN) + 1:
        before, after = close[row - 1], close[row]
        ratio = max(before, after) / min(before, after)
        whole = SPLIT_RATIOS[int(np.abs(ratio / np.array(SPLIT_RATIOS) - 1).argmin())]
        if abs(ratio / whole - 1) > SPLIT_TOLERANCE:
            continue
        shown = f"{whole}:1" if before > after else f"1:{whole}"
        time = str(series.times[row]).removesuffix("T00:00:00")
        found.append(f"{time} from {before:.6g} to {after:.6g} ({shown})")
    if not found:
        return []
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return [
        f"series {series.name!r} may have splits: {', '.join(found[:SHOWN])}{more}. A split is not a "
        "return; use adjusted prices, or name the column of adjusted prices with --close"
    ]
