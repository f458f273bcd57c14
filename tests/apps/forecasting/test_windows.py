"""Tests of splits and windows: they are complete, in order, and independent of future values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apps.forecasting import market, seasonal, windows
from apps.forecasting.calendar import EPOCH, Fixed, Steps
from apps.forecasting.records import Series, SeriesData
from apps.forecasting.windows import Panel
from seqmodels.errors import DataError, UsageError

HOUR = Fixed(3600)


def series_of(*lengths, dated=True, starts=None):
    """Returns series of the given lengths. A value is 1000 times the number of the series, plus the row."""
    found = []
    for number, length in enumerate(lengths):
        start = EPOCH + np.timedelta64(24 * (starts[number] if starts else 0), "h")
        times = start + np.arange(length) * np.timedelta64(3600, "s") if dated else np.arange(length)
        values = (1000.0 * number + np.arange(length))[:, None]
        found.append(Series(f"s{number}", times, values))
    return SeriesData("x", "values", found, HOUR if dated else Steps(), 24)


def test_shares_of_one_series_are_shares_of_its_rows():
    assert windows.boundaries(series_of(5105), "0.7,0.1,0.2", 1).tolist() == [[3573, 4084, 5105]]


def test_splits_by_rows_and_by_horizon():
    assert windows.boundaries(series_of(100, 100), "60,20,10", 5).tolist() == [[60, 80, 90]] * 2
    assert windows.boundaries(series_of(50, 70, dated=False), "horizon", 5).tolist() == [
        [40, 45, 50],
        [60, 65, 70],
    ]


def test_series_with_dates_are_split_at_the_same_dates():
    source = series_of(1000, 500, starts=[0, 10])
    ends = windows.boundaries(source, "0.7,0.1,0.2", 1)
    for part in (0, 1):
        cuts = [series.times[min(end, len(series) - 1)] for series, end in zip(source.series, ends[:, part])]
        later = [series.times[:end].max(initial=EPOCH) for series, end in zip(source.series, ends[:, part])]
        assert max(later) < min(cuts)
    assert ends[:, 2].tolist() == [1000, 500]


@pytest.mark.parametrize("spec", ["0.7", "a,b,c", "0.5,0.5,0.5", "0.7,0.3,0", "10.5,3,2"])
def test_an_invalid_split_raises(spec):
    with pytest.raises(UsageError, match="--split"):
        windows.boundaries(series_of(100), spec, 1)


def test_a_split_without_a_window_raises():
    source = series_of(100)
    with pytest.raises(DataError, match=r"--split 90,20,10 needs 120"):
        windows.boundaries(source, "90,20,10", 1)
    ends = windows.boundaries(source, "0.7,0.1,0.2", 12)
    with pytest.raises(
        DataError,
        match=r"no window fits into the valid split; a window has 5 past rows and 12 target rows, but the "
        r"split has at most 10 rows per series",
    ):
        windows.origins(source, ends, "valid", 5, 12)


def test_a_window_belongs_to_the_split_of_all_of_its_targets():
    source = series_of(100)
    ends = windows.boundaries(source, "0.6,0.2,0.2", 5)
    lookback, horizon = 10, 5
    for part, (begin, end) in zip(windows.PARTS, ((0, 60), (60, 80), (80, 100))):
        origins = windows.origins(source, ends, part, lookback, horizon)[:, 1]
        assert origins[0] == max(begin - 1, lookback - 1)
        assert origins[-1] + horizon == end - 1
        assert (np.diff(origins) == 1).all()


def test_batches_contain_the_windows_and_padding_of_weight_zero():
    source = series_of(40, 30)
    panel = Panel.of(source, np.array([1.0, 2.0]))
    origins = np.array([[0, 9], [1, 20], [0, 30]])
    batches = panel.batches(origins[:3], 4, 2, 4)
    assert batches.options().autotune.enabled is False
    ((inputs, targets, weights),) = batches.as_numpy_iterator()
    assert weights.tolist() == [1, 1, 1, 0]
    np.testing.assert_array_equal(inputs["past"][0, :, 0], [6, 7, 8, 9])
    np.testing.assert_array_equal(targets[:3], [[10, 11], [1021, 1022], [31, 32]])
    np.testing.assert_allclose(inputs["past_time"][0], np.arange(6, 10) / 24, rtol=1e-6)
    np.testing.assert_allclose(inputs["future_time"][0], np.arange(10, 12) / 24, rtol=1e-6)
    assert inputs["series"].tolist()[:3] == [0, 1, 0]
    assert inputs["unit"].tolist()[:3] == [1, 2, 1]
    np.testing.assert_array_equal(panel.truth(origins, 2), targets[:3])


def test_the_shuffle_depends_on_seed_and_epoch():
    source = series_of(200)
    panel, ends = Panel.of(source, np.ones(1)), windows.boundaries(source, "0.7,0.1,0.2", 3)
    origins = windows.origins(source, ends, "train", 8, 3)

    def firsts(**order):
        batches = panel.batches(origins, 8, 3, 16, **order).as_numpy_iterator()
        return np.concatenate([targets[weights > 0, 0] for _, targets, weights in batches])

    first = firsts(seed=1, epoch=0)
    np.testing.assert_array_equal(first, firsts(seed=1, epoch=0))
    assert not np.array_equal(first, firsts(seed=1, epoch=1))
    np.testing.assert_array_equal(np.sort(first), firsts())
    assert len(firsts(seed=1, epoch=0, limit=20)) == 20


@pytest.mark.parametrize("source", [market.garch(0), seasonal.family(0)], ids=["prices", "values"])
def test_windows_and_units_do_not_depend_on_later_values(source):
    """If all rows of the test split change, the windows of train and valid and all units stay identical."""
    ends = windows.boundaries(source, "0.7,0.1,0.2", 3)
    changed = replace(
        source,
        series=[
            replace(series, values=np.concatenate([series.values[:end], 2.5 * series.values[end:]]))
            for series, end in zip(source.series, ends[:, 1])
        ],
    )
    for kind in ("none", "deviation", "season"):
        before, after = (windows.units(each, ends, kind) for each in (source, changed))
        np.testing.assert_array_equal(before, after)
    for part in ("train", "valid"):
        origins = windows.origins(source, ends, part, 20, 3)
        origins = origins[:: max(len(origins) // 50, 1)]
        one, other = (
            list(Panel.of(each, before).batches(origins, 20, 3, 32).as_numpy_iterator())
            for each in (source, changed)
        )
        for (inputs, targets, _), (others, their_targets, _) in zip(one, other, strict=True):
            np.testing.assert_array_equal(targets, their_targets)
            for name in inputs:
                np.testing.assert_array_equal(inputs[name], others[name])


def test_constant_training_rows_and_unknown_series_raise():
    source = series_of(100)
    source.series[0].values[:70] = 3.0
    with pytest.raises(DataError, match="series 's0' is constant in its training rows"):
        windows.units(source, windows.boundaries(source, "0.7,0.1,0.2", 1), "deviation")
    with pytest.raises(DataError, match="the model was not trained on series 's0'; expected one of a, b"):
        windows.check_names(source, ["a", "b"])
