"""The base of all forecasters: windows in the units of the user to forecasts in the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqmodels.models.config import keeps_arguments
from seqmodels.models.forecasting import scaling as scaling_rules
from seqmodels.registry import FORECAST_OUTPUTS, SCALINGS

RIDGE = 0.01  # times the squared weights between averages of prices and a forecast, which they would overfit
DECILES = tuple(round(0.1 * number, 1) for number in range(1, 10))


class WindowModel(keras.Model):
    """Base of all forecasters: from a window in the user's units to forecasts in the same.

    ``model({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H), "series": (n,) int32})``
    returns ``(n, H, p)`` as :func:`.scaling.forecast` says. With ``known`` covariates also
    ``"known": (n, L + H, covariates)``, with ``static`` ones ``"static": (n, covariates)``; further entries
    are ignored.

    Args:
        lookback: rows of the past, L.
        horizon: rows to be forecast, H.
        kind: ``values`` of one column, or ``prices`` (open, high, low, close, volume), of which the
            log-return in percent is forecast.
        output: of ``FORECAST_OUTPUTS``.
        levels: of the quantiles, rising, an odd number.
        scaling: of ``SCALINGS``; prices have their own.
        decomposition: hand on the moving average and what is left of it beside each other.
        series: how many series there are, and ``series_units`` the width of the vector of each; 0 for none.
        periods: of the calendar, in the unit of the times.
        known: mean and deviation of each covariate whose future is known; in the graph it is shifted and
            scaled by them.
        static: the same of each covariate of a series that does not change.

    Raises:
        ValueError: an unknown kind, output or scaling, an even number of levels, or a horizon below 1.
    """

    @keeps_arguments
    def __init__(
        self,
        lookback: int,
        horizon: int,
        kind: str = "values",
        output: str = "student_t",
        levels: Sequence[float] = DECILES,
        scaling: str = "instance",
        decomposition: bool = False,
        series: int = 1,
        series_units: int = 0,
        periods: Sequence[float] = (),
        known: Sequence[Sequence[float]] = (),
        static: Sequence[Sequence[float]] = (),
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        # Prices and dates lose their digits in 16 bits: windows are made in float32, whatever computes after.
        self.autocast = False
        for name, value, expected in (
            ("kind", kind, ("values", "prices")),
            ("output", output, FORECAST_OUTPUTS),
            ("scaling", scaling, SCALINGS),
        ):
            if value not in expected:
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(expected)}")
        if output == "quantiles" and (len(levels) % 2 == 0 or list(levels) != sorted(set(levels))):
            raise ValueError(
                f"levels are {list(levels)}; expected an odd number, rising: the middle one is a line"
            )
        if horizon < 1 or lookback < 2:
            raise ValueError(f"lookback is {lookback} and horizon {horizon}; expected at least 2 and 1")
        self.known, self.static = [list(pair) for pair in known], [list(pair) for pair in static]
        self.lookback, self.horizon, self.kind, self.output_kind = lookback, horizon, kind, output
        self.levels, self.scaling, self.decomposition = tuple(levels), scaling, decomposition
        self.periods = tuple(periods)
        self.series_units = series_units
        self.parameters_of_step = scaling_rules.width(output, levels)
        self.middle = len(levels) // 2 if output == "quantiles" else 0  # the parameter that a shift moves
        self.wide = keras.backend.result_type(self.compute_dtype, "float32")
        # Of returns no function of the past forecast the location better than none, on any of the stocks that
        # the project is measured on; the location of their distributions is a share of the volatility.
        self.has_drift = kind == "prices" and output in ("normal", "student_t")
        self.embedding = (
            keras.layers.Embedding(series, series_units, dtype=self.dtype_policy, name="series")
            if series_units
            else None
        )

    @property
    def step_features(self) -> int:
        """Features of a step of the past."""
        own = 5 if self.kind == "prices" else 2 if self.decomposition else 1
        return own + self.future_features

    @property
    def future_features(self) -> int:
        """What is known of a step to come: the calendar and the known covariates."""
        return 2 * len(self.periods) + len(self.known)

    @property
    def whole_features(self) -> int:
        if self.kind == "prices":
            return 3 * len(scaling_rules.SPANS) + 6
        return (2 if self.decomposition else 1) * self.lookback

    def build(self, input_shape: Any = None) -> None:
        if self.embedding is not None:
            self.embedding.build((None,))
        if self.has_drift:
            self.drift = self.add_weight(name="drift", shape=(self.horizon, 1), initializer="zeros")
        self.build_parts()
        self.built = True

    def make_skip(self) -> Skip:
        """A linear layer from the whole window to every step."""
        moved = None if self.kind == "prices" else self.middle
        return Skip(self.horizon, self.parameters_of_step, moved, dtype=self.dtype_policy)

    def build_parts(self) -> None:
        """Builds what a subclass adds."""
        raise NotImplementedError(f"{type(self).__name__} does not define build_parts")

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        past = tf.cast(inputs["past"], self.wide)
        if self.kind == "prices":
            window = scaling_rules.of_prices(past)
        else:
            window = scaling_rules.of_values(past, self.scaling, self.decomposition)
        steps, future = window.steps, self._future(inputs)  # future (batch, L + H, future_features)
        skipped = self.lookback - steps.shape[1]  # a return needs the price before it
        steps = tf.concat([steps, future[:, skipped : self.lookback]], -1)
        narrow = self.compute_dtype
        fixed = self._fixed(inputs, narrow)
        steps, whole = tf.cast(steps, narrow), tf.cast(window.whole, narrow)
        raw = self.raw(steps, whole, tf.cast(future[:, self.lookback :], narrow), fixed, training)
        if self.has_drift:
            drift = tf.cast(tf.convert_to_tensor(self.drift), raw.dtype)  # (horizon, 1)
            raw = tf.concat([tf.zeros_like(raw[..., :1]) + drift, raw[..., 1:]], -1)
        return scaling_rules.forecast(tf.cast(raw, self.wide), window, self.output_kind, self.levels)

    def raw(
        self, steps: tf.Tensor, whole: tf.Tensor, future: tf.Tensor, fixed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        """Unbounded numbers ``(n, H, p)``.

        Args:
            steps: ``(n, T, step_features)``.
            whole: ``(n, whole_features)``.
            future: ``(n, H, future_features)``.
            fixed: ``(n, fixed_features)``: what does not change over a window.
            training: with dropout.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define raw")

    @property
    def fixed_features(self) -> int:
        return self.series_units + len(self.static)

    def _future(self, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        times = tf.concat([tf.cast(inputs[name], self.wide) for name in ("past_time", "future_time")], 1)
        waves = scaling_rules.calendar(times, self.periods)
        if not self.known:
            return waves
        return tf.concat([waves, self._standard(inputs["known"], self.known)], -1)

    def _standard(self, covariates: tf.Tensor, standards: list[list[float]]) -> tf.Tensor:
        mean, deviation = tf.unstack(tf.constant(standards, self.wide), axis=1)
        return (tf.cast(covariates, self.wide) - mean) / deviation

    def _fixed(self, inputs: dict[str, tf.Tensor], dtype: str) -> tf.Tensor:
        parts = [tf.zeros((tf.shape(inputs["series"])[0], 0), dtype)]
        if self.embedding is not None:
            parts.append(tf.cast(self.embedding(inputs["series"]), dtype))
        if self.static:
            parts.append(tf.cast(self._standard(inputs["static"], self.static), dtype))
        return tf.concat(parts, -1)

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}


class Skip(keras.layers.Layer):
    """A linear layer from the whole window to every step: ``(n, s)`` to ``(n, H, p)``.

    Of values it moves the location, or all quantiles alike, and leaves the spread to a bias and to the rest
    of the model. Of prices it moves every parameter, by weights kept small.

    Args:
        horizon: H.
        parameters: p.
        moved: the parameter that is moved, or None for all, each by weights of its own.
    """

    def __init__(self, horizon: int, parameters: int, moved: int | None, **kwargs: Any):
        super().__init__(**{"name": "skip", **kwargs})
        self.horizon, self.parameters, self.moved = horizon, parameters, moved

    def build(self, input_shape: Any) -> None:
        columns = self.horizon * (self.parameters if self.moved is None else 1)
        regularizer = keras.regularizers.L2(RIDGE) if self.moved is None else None
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], columns), initializer="zeros", regularizer=regularizer
        )
        self.bias = self.add_weight(name="bias", shape=(self.horizon, self.parameters), initializer="zeros")
        self.built = True

    def call(self, whole: tf.Tensor) -> tf.Tensor:
        kernel, bias = (tf.cast(tf.convert_to_tensor(w), whole.dtype) for w in (self.kernel, self.bias))
        product = tf.matmul(whole, kernel)
        if self.moved is None:
            return tf.reshape(product, (-1, self.horizon, self.parameters)) + bias
        return product[..., None] * tf.one_hot(self.moved, self.parameters, dtype=whole.dtype) + bias
