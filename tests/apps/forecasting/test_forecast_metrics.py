"""Tests of the scores against numerical integration, other libraries and published tables."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from sklearn.metrics import mean_pinball_loss

from apps.forecasting import intervals
from apps.forecasting import metrics as metrics
from apps.forecasting.metrics import Forecast


def student_t(location, scale, freedom, shape=(1, 1)):
    return Forecast("student_t", np.broadcast_to(np.array([location, scale, freedom], float), (*shape, 3)))


@settings(deadline=None, max_examples=30)
@given(
    st.floats(-3, 3), st.floats(0.1, 5), st.one_of(st.floats(1.5, 60), st.just(np.inf)), st.floats(-10, 10)
)
def test_crps_equals_its_integral(location, scale, freedom, y):
    """Compares with ``integral (F(x) - [x >= y])^2 dx`` (Matheson, Winkler 1976)."""
    standard = stats.t(freedom, location, scale)
    below, _ = integrate.quad(lambda x: standard.cdf(x) ** 2, -np.inf, y, limit=200)
    above, _ = integrate.quad(lambda x: standard.sf(x) ** 2, y, np.inf, limit=200)
    found = metrics.crps(student_t(location, scale, freedom), np.array([[y]]))
    assert found.item() == pytest.approx(below + above, rel=1e-4, abs=1e-5)


def test_crps_of_many_quantiles_approximates_the_distribution():
    levels = tuple((np.arange(999) + 0.5) / 999)
    y = np.linspace(-3, 3, 7)[:, None]
    quantiles = np.broadcast_to(stats.norm.ppf(levels), (7, 1, 999))
    normal = metrics.crps(student_t(0, 1, np.inf, (7, 1)), y)
    np.testing.assert_allclose(metrics.crps(Forecast("quantiles", quantiles, levels), y), normal, rtol=3e-3)


def test_crps_of_a_point_is_its_absolute_error():
    assert metrics.crps(Forecast("point", np.array([[[2.0]]])), np.array([[5.0]])).item() == 3


def test_likelihood_equals_scipy_and_quantiles_invert_the_cdf():
    forecast, y = student_t(0.3, 2.0, 4.5), np.array([[1.7]])
    assert metrics.negative_log_likelihood(forecast, y).item() == pytest.approx(
        -stats.t.logpdf(1.7, 4.5, 0.3, 2.0)
    )
    assert forecast.quantile(0.1).item() == pytest.approx(stats.t.ppf(0.1, 4.5, 0.3, 2.0))
    for level in (0.05, 0.5, 0.9):
        assert forecast.distribution.cdf(forecast.quantile(level)).item() == pytest.approx(level)


def test_quantile_loss_equals_scikit_learn():
    rng = np.random.default_rng(0)
    y, quantile = rng.normal(size=(2, 50))
    for level in (0.1, 0.5, 0.95):
        expected = mean_pinball_loss(y, quantile, alpha=level)
        assert metrics.quantile_loss(y, quantile, level).mean() == pytest.approx(expected)


def test_weighted_quantile_loss_of_the_median_is_the_weighted_absolute_error():
    y = np.array([[1.0, -2.0], [3.0, 4.0]])
    forecast = Forecast("point", np.zeros((2, 2, 1)))
    assert metrics.weighted_quantile_loss(forecast, y, (0.5,)) == pytest.approx(1.0)


def test_quantiles_between_levels_are_interpolated_linearly():
    forecast = Forecast("quantiles", np.array([[[0.0, 1.0, 4.0]]]), (0.1, 0.5, 0.9))
    assert forecast.median.item() == 1
    assert forecast.quantile(0.3).item() == pytest.approx(0.5)
    assert forecast.quantile(0.7).item() == pytest.approx(2.5)
    assert forecast.quantile(0.99).item() == 4


def test_a_true_forecast_is_calibrated():
    rng = np.random.default_rng(1)
    y = rng.standard_t(5, (20_000, 1))
    forecast = student_t(0, 1, 5, (20_000, 1))
    for promised, found in metrics.coverage(forecast, y).items():
        assert found == pytest.approx(float(promised.rstrip("%")) / 100, abs=0.015)
    np.testing.assert_allclose(metrics.pit(forecast, y), 1 / metrics.PIT_BINS, atol=0.01)
    levels = tuple((np.arange(99) + 1) / 100)
    quantiles = np.broadcast_to(stats.t.ppf(levels, 5), (20_000, 1, 99))
    found = metrics.pit(Forecast("quantiles", quantiles, levels), y)
    assert sum(found) == pytest.approx(1)
    np.testing.assert_allclose(found, 1 / metrics.PIT_BINS, atol=0.01)


def test_kupiec_agrees_with_the_table_of_the_paper():
    """Table 3 of Kupiec 1995: with 255 days at 1 %, fewer than 7 exceedances are not rejected at 5 %."""
    accepted = [count for count in range(20) if metrics.kupiec(count, 255, 0.01) > 0.05]
    assert max(accepted) == 6
    assert metrics.kupiec(5, 500, 0.01) == pytest.approx(1)


@pytest.mark.parametrize("lags", [0, 3, 10])
def test_diebold_mariano_equals_a_regression_with_newey_west_errors(lags):
    rng = np.random.default_rng(2)
    differences = np.convolve(rng.normal(0.1, 1, 400), [0.5, 0.3, 0.2])
    fit = sm.OLS(differences, np.ones(len(differences))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    statistic, test = metrics.diebold_mariano(differences, lags)
    assert statistic == pytest.approx(fit.tvalues[0])
    assert test.p == pytest.approx(fit.pvalues[0])
    assert test.interval == pytest.approx(fit.conf_int()[0])
    assert test.effect == pytest.approx(differences.mean())


def test_equal_losses_are_not_significantly_different():
    statistic, test = metrics.diebold_mariano(np.zeros(50), 2)
    assert (statistic, test.effect, test.p) == (0.0, 0.0, 1.0)
    assert not test.significant


def test_losses_of_one_origin_count_once():
    rng = np.random.default_rng(3)
    loss, times = rng.normal(size=(40, 2)), np.arange(40)
    once = metrics.compare(loss, np.zeros_like(loss), times, 1)
    twice = metrics.compare(np.repeat(loss, 2, 0), np.zeros((80, 2)), np.repeat(times, 2), 1)
    assert once.pop("interval") == pytest.approx(twice.pop("interval"))
    assert once == pytest.approx(twice)
    assert once["difference"] == pytest.approx(loss.mean())


def test_the_mean_difference_includes_every_window_once():
    """The number of windows differs from one origin time to another."""
    rng = np.random.default_rng(3)
    times = np.sort(rng.integers(0, 60, 300))
    loss, other = rng.normal(size=(300, 2)), rng.normal(size=(300, 2))
    compared = metrics.compare(loss, other, times, 2)
    assert compared["difference"] == pytest.approx(loss.mean() - other.mean())
    assert compared["interval"][0] < compared["difference"] < compared["interval"][1]


def test_smape_and_mase_by_hand():
    assert metrics.smape(np.array([100.0]), np.array([50.0])).item() == pytest.approx(200 / 3)
    assert metrics.smape(np.array([0.0]), np.array([0.0])).item() == 0
    y = np.array([[4.0, 6.0]])
    scores = metrics.value_scores(
        Forecast("point", np.array([[[5.0], [5.0]]])), y, np.array([2.0]), np.array([4.0])
    )
    assert scores["mase"] == 0.5
    assert scores["mse_scaled"] == 1 / 16
    assert scores["rmse"] == scores["mae"] == 1


def test_owa_of_the_reference_is_one():
    naive2 = {"smape": 18.383, "mase": 2.395}
    assert metrics.overall_weighted_average(naive2, naive2) == 1
    winner = {"smape": 9.328, "mase": 0.893}  # published scores of ES-RNN on M4 Hourly
    assert metrics.overall_weighted_average(winner, naive2) == pytest.approx(0.440, abs=5e-4)


def test_direction_counts_signs_and_drops_targets_of_zero():
    forecast = Forecast("point", np.array([[[1.0]], [[-1.0]], [[1.0]], [[1.0]]]))
    found = metrics.direction(forecast, np.array([[2.0], [-3.0], [-1.0], [0.0]]))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["majority"] == pytest.approx(2 / 3)
    assert found["interval"][0] < 2 / 3 < found["interval"][1]


def test_market_scores_count_exceedances():
    y = np.full((100, 1), -10.0)
    y[:97] = 1.0
    scores = metrics.market_scores(student_t(0, 1, 5, (100, 1)), y)
    assert scores["value_at_risk"]["1%"]["exceedances"] == 3
    assert scores["value_at_risk"]["5%"]["expected"] == 5


@pytest.mark.parametrize("kind", ["student_t", "quantiles"])
def test_intervals_contain_the_scores(kind):
    rng = np.random.default_rng(0)
    y = rng.normal(5, 1, (200, 3))
    levels = (0.1, 0.5, 0.9) if kind == "quantiles" else ()
    parameters = np.broadcast_to([3.7, 5.1, 6.3] if levels else [5.1, 1.0, 8.0], (200, 3, 3))
    forecast = Forecast(kind, parameters, levels)
    changes = np.where(np.arange(200) % 2, 1.5, 0.0)
    blocks = intervals.blocks_of(np.arange(200), 3)
    scores = metrics.value_scores(forecast, y, changes, np.full(200, 2.0), blocks)
    names = [name.removesuffix("_interval") for name in scores if name.endswith("_interval")]
    assert {"mase", "smape", "mae", "rmse", "mse_scaled", "mae_scaled", "crps", "crps_scaled", "wql"} <= {
        *names
    }
    for name in names:
        low, high = scores[f"{name}_interval"]
        assert low < scores[name] < high, name
        assert high - low < 0.5 * scores[name], name
    returns = metrics.market_scores(forecast, y, blocks)
    for name in ("crps", "mae", "rmse"):
        assert returns[f"{name}_interval"][0] < returns[name] < returns[f"{name}_interval"][1]
    assert "mae_interval" not in metrics.value_scores(forecast, y, changes, np.full(200, 2.0))


def test_blocks_contain_consecutive_origins():
    times = np.repeat(np.arange(40) * 7, 2)
    blocks = intervals.blocks_of(times, 5)
    assert np.bincount(blocks).tolist() == [10] * 8
    assert (blocks[::2] == blocks[1::2]).all()
    assert intervals.blocks_of(times[:20], 5).tolist() == list(range(20))


def test_interval_of_dependent_losses_is_wider():
    rng = np.random.default_rng(0)
    losses = np.convolve(rng.normal(size=2009), np.ones(10) / 10, "valid") + 3
    alone = intervals.score_intervals({"mae": losses}, np.arange(2000), {})["mae_interval"]
    together = intervals.score_intervals({"mae": losses}, intervals.blocks_of(np.arange(2000), 40), {})
    assert np.diff(together["mae_interval"]) > 2 * np.diff(alone)
