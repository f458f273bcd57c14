"""The base class of all forecasters, and a linear layer that forecasters can contain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqmodels.models.config import keeps_arguments
from seqmodels.models.forecasting import scaling as scaling_rules
from seqmodels.registry import FORECAST_OUTPUTS, SCALINGS

RIDGE = 0.01  # L2 penalty of the linear layer for prices, which overfits without the penalty
DECILES = tuple(round(0.1 * number, 1) for number in range(1, 10))


class WindowModel(keras.Model):
    """Base class of all forecasters, which map a window of a series to forecasts in the units of the data.

    ``model({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H), "series": (n,) int32})``
    returns forecasts ``(n, H, p)`` for n windows. :func:`.scaling.forecast` describes the p numbers of one
    step.

    - ``past``: the L rows of the window.
    - ``past_time`` and ``future_time``: the times of the L past rows and of the H rows to forecast.
    - ``series``: the index of the series that a window belongs to.
    - ``known``: known covariates ``(n, L + H, covariates)``, if the model has any.
    - ``static``: static covariates ``(n, covariates)``, if the model has any.

    Other entries of the dictionary are ignored.

    Args:
        lookback: number of past rows, L.
        horizon: number of rows to forecast, H.
        kind: ``values`` for one column, or ``prices`` for the five columns open, high, low, close and volume.
            For prices, the forecast is the distribution of the log-return of the close in percent.
        output: a name in ``FORECAST_OUTPUTS``.
        levels: levels of the quantiles, an odd number of values in rising order. The quantile of the middle
            level is used as the point forecast.
        scaling: a name in ``SCALINGS``. It does not apply to prices, which are scaled by their volatility.
        decomposition: if True, values are split into their moving average and the remainder.
        series: number of series.
        series_units: size of the learned vector of each series. 0 disables the vectors.
        periods: periods of the calendar features, in the unit of ``past_time``.
        known: one pair (mean, standard deviation) per known covariate. A covariate is known if its future
            values are known. The model standardizes each covariate with its pair.
        static: one pair (mean, standard deviation) per static covariate. A covariate is static if it is
            constant within a series. The model standardizes each covariate with its pair.

    Raises:
        ValueError: ``kind``, ``output`` or ``scaling`` is unknown; ``levels`` has an even length or is not in
            rising order; ``lookback`` is below 2; or ``horizon`` is below 1.
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
        # Keras would convert the inputs to the compute dtype, which may have only 16 bits. Prices and dates
        # would then lose digits. This conversion is therefore disabled.
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
                "levels must be in rising order, and their number must be odd, because the quantile of the "
                f"middle level is the point forecast; got {list(levels)}"
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
        # In the project's measurements, past prices did not help to predict the location parameter of the
        # returns, for any stock. The location is therefore the volatility times one learned number per
        # forecast step.
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
        """Number of features that are known for a future step: calendar features and known covariates."""
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
        """Creates a linear layer that maps the whole window to the parameters of every forecast step."""
        moved = None if self.kind == "prices" else self.middle
        return Skip(self.horizon, self.parameters_of_step, moved, dtype=self.dtype_policy)

    def build_parts(self) -> None:
        """Builds the layers that a subclass adds."""
        raise NotImplementedError(f"{type(self).__name__} must define the method build_parts")

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        past = tf.cast(inputs["past"], self.wide)
        if self.kind == "prices":
            window = scaling_rules.of_prices(past)
        else:
            window = scaling_rules.of_values(past, self.scaling, self.decomposition)
        steps, future = window.steps, self._future(inputs)  # future (batch, L + H, future_features)
        skipped = self.lookback - steps.shape[1]  # 1 for prices, because the first row has no return
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
        """Computes the unconstrained parameters of the forecasts, ``(n, H, p)``.

        n is the number of windows, H is the number of future steps, and p is the number of parameters.

        Args:
            steps: features of each past step, ``(n, T, step_features)``. T is the lookback, or the lookback
                minus 1 for prices.
            whole: features of the whole window, ``(n, whole_features)``.
            future: known features of each future step, ``(n, H, future_features)``.
            fixed: features that do not change within a window, ``(n, fixed_features)``.
            training: if True, dropout is active.
        """
        raise NotImplementedError(f"{type(self).__name__} must define the method raw")

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
    """A linear layer that maps the whole window ``(n, s)`` to the parameters of every step, ``(n, H, p)``.

    In a model with ``kind="values"``, the weights of the layer affect only the location parameter. For the
    output ``quantiles``, this parameter is the middle quantile. A change of the middle quantile shifts all
    quantiles equally. The spread of the forecast depends on the bias of the layer and on the rest of the
    model. In a model with ``kind="prices"``, the weights affect every parameter, and an L2 penalty keeps the
    weights small.

    Args:
        horizon: number of forecast steps, H.
        parameters: number of parameters per step, p.
        moved: index of the parameter that the weights affect. None means all parameters, each with its own
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
