"""The base class of all forecasters, and their linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqmodels.models.config import keeps_arguments
from seqmodels.models.forecasting import scaling as scaling_rules
from seqmodels.registry import FORECAST_OUTPUTS, SCALINGS

RIDGE = 0.01  # L2 penalty of the weights from averages of prices to a forecast, which overfit otherwise
DECILES = tuple(round(0.1 * number, 1) for number in range(1, 10))


class WindowModel(keras.Model):
    """Base class of all forecasters: from a window to forecasts in the units of the data.

    ``model({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H), "series": (n,) int32})``
    returns ``(n, H, p)``; :func:`.scaling.forecast` defines the p numbers. Models with ``known`` covariates
    also need ``"known": (n, L + H, covariates)``. Models with ``static`` covariates also need
    ``"static": (n, covariates)``. Other entries are ignored.

    Args:
        lookback: number of past rows, L.
        horizon: number of rows to forecast, H.
        kind: ``values`` for one column, or ``prices`` for open, high, low, close and volume. The forecast of
            prices is the log-return in percent.
        output: a name in ``FORECAST_OUTPUTS``.
        levels: levels of the quantiles, an odd number in rising order. The middle one is the forecast line.
        scaling: a name in ``SCALINGS``; prices have their own scaling.
        decomposition: if True, values are split into their moving average and the remainder.
        series: number of series.
        series_units: size of the learned vector of each series; 0 disables the vectors.
        periods: periods of the calendar features, in the unit of the times.
        known: mean and standard deviation of each covariate whose future is known. The graph standardizes
            the covariate with them.
        static: mean and standard deviation of each covariate that is constant within a series.

    Raises:
        ValueError: an unknown kind, output or scaling, levels that are not an odd number in rising order, a
            lookback below 2, or a horizon below 1.
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
        # Prices and dates lose digits in 16 bits, so windows always use float32 or wider.
        self.autocast = False
        for name, value, expected in (
            ("kind", kind, ("values", "prices")),
            ("output", output, FORECAST_OUTPUTS),
            ("scaling", scaling, SCALINGS),
        ):
            if value not in expected:
                raise ValueError(f"{name} must be one of {', '.join(expected)}; got {value!r}")
        if output == "quantiles" and (len(levels) % 2 == 0 or list(levels) != sorted(set(levels))):
            raise ValueError(
                "levels must be an odd number of rising values, so that the middle one is the forecast line; "
                f"got {list(levels)}"
            )
        if horizon < 1 or lookback < 2:
            raise ValueError(
                "lookback must be at least 2 and horizon at least 1; "
                f"got lookback {lookback} and horizon {horizon}"
            )
        self.known, self.static = [list(pair) for pair in known], [list(pair) for pair in static]
        self.lookback, self.horizon, self.kind, self.output_kind = lookback, horizon, kind, output
        self.levels, self.scaling, self.decomposition = tuple(levels), scaling, decomposition
        self.periods = tuple(periods)
        self.series_units = series_units
        self.parameters_of_step = scaling_rules.width(output, levels)
        self.middle = len(levels) // 2 if output == "quantiles" else 0  # index of the location parameter
        self.wide = keras.backend.result_type(self.compute_dtype, "float32")
        # For every stock in the project's measurements, no function of the past improved the location of
        # returns. The location of their distribution is therefore a learned share of the volatility.
        self.has_drift = kind == "prices" and output in ("normal", "student_t")
        self.embedding = (
            keras.layers.Embedding(series, series_units, dtype=self.dtype_policy, name="series")
            if series_units
            else None
        )

    @property
    def step_features(self) -> int:
        """Number of features of a past step."""
        own = 5 if self.kind == "prices" else 2 if self.decomposition else 1
        return own + self.future_features

    @property
    def future_features(self) -> int:
        """Number of known features of a future step: calendar and known covariates."""
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
        """Creates a linear layer from the whole window to every step."""
        moved = None if self.kind == "prices" else self.middle
        return Skip(self.horizon, self.parameters_of_step, moved, dtype=self.dtype_policy)

    def build_parts(self) -> None:
        """Builds the layers that a subclass adds."""
        raise NotImplementedError(f"{type(self).__name__} does not define build_parts")

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        past = tf.cast(inputs["past"], self.wide)
        if self.kind == "prices":
            window = scaling_rules.of_prices(past)
        else:
            window = scaling_rules.of_values(past, self.scaling, self.decomposition)
        steps, future = window.steps, self._future(inputs)  # future (batch, L + H, future_features)
        skipped = self.lookback - steps.shape[1]  # a return needs the previous price
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
        """Computes the unconstrained parameters of the forecast, ``(n, H, p)``.

        Args:
            steps: ``(n, T, step_features)``.
            whole: ``(n, whole_features)``.
            future: ``(n, H, future_features)``.
            fixed: ``(n, fixed_features)``, constant over a window.
            training: if True, dropout is active.
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

    For values, the layer shifts the location, or all quantiles equally. The spread depends on a bias and on
    the rest of the model. For prices, the layer changes every parameter, and an L2 penalty keeps its weights
    small.

    Args:
        horizon: number of steps, H.
        parameters: number of parameters of a step, p.
        moved: index of the parameter that the layer changes. None changes all parameters, each with its own
            weights.
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
