"""Forecasters without a recurrent state, which are used as baselines."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.layers import Dropout
from seqmodels.models.config import keeps_arguments
from seqmodels.models.forecasting.base import WindowModel
from seqmodels.registry import FIXED_WINDOWS


@keras.saving.register_keras_serializable(package="seqmodels")
class FixedWindowForecaster(WindowModel):
    """A forecaster without a recurrent state: a baseline for recurrent forecasters.

    The argument ``form`` selects one of three models:

    - ``nlinear``: one linear layer, whose input is the window minus the last value of the window (Zeng et al.
      2023, section 4).
    - ``dlinear``: one linear layer for the moving average of the window, and one linear layer for the
      remainder (Zeng et al. 2023, section 4).
    - ``mlp``: a hidden layer with ReLU that reads the whole window and the known features of the future. The
      output of the hidden layer is added to the output of a linear layer that reads the window.

    Args:
        form: a name in ``FIXED_WINDOWS``.
        units: size of the hidden layer of ``mlp``.
        dropout: probability of dropping a feature of the hidden layer.
        **kwargs: arguments of :class:`WindowModel`. ``nlinear`` and ``dlinear`` set ``scaling``,
            ``decomposition`` and ``series_units`` themselves. These two models ignore the calendar and the
            covariates.

    Raises:
        ValueError: if ``form`` is unknown, or if :class:`WindowModel` rejects an argument.

    >>> model = FixedWindowForecaster(lookback=8, horizon=3, form="nlinear", output="quantiles")
    >>> window = {"past": tf.ones((2, 8, 1)), "past_time": tf.zeros((2, 8)), "future_time": tf.zeros((2, 3))}
    >>> model({**window, "series": tf.zeros(2, tf.int32)}).shape
    TensorShape([2, 3, 9])
    """

    @keeps_arguments
    def __init__(
        self,
        lookback: int,
        horizon: int,
        form: str = "nlinear",
        units: int = 64,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        if form not in FIXED_WINDOWS:
            raise ValueError(f"form must be one of {', '.join(FIXED_WINDOWS)}; got {form!r}")
        if form != "mlp":
            scaling = "last" if form == "nlinear" else "instance"
            kwargs |= {"scaling": scaling, "decomposition": form == "dlinear", "series_units": 0}
        super().__init__(lookback, horizon, **kwargs)
        dtype = self.dtype_policy
        self.linear = self.make_skip()
        self.hidden = keras.layers.Dense(units, "relu", dtype=dtype, name="hidden") if form == "mlp" else None
        self.dropout = Dropout(dropout, dtype=dtype)
        self.head = (
            keras.layers.Dense(horizon * self.parameters_of_step, dtype=dtype, name="head")
            if form == "mlp"
            else None
        )

    def build_parts(self) -> None:
        self.linear.build((None, self.whole_features))
        if self.hidden is not None and self.head is not None:
            steps = self.lookback - (self.kind == "prices")
            seen = steps * self.step_features + self.whole_features * (self.kind == "prices")
            self.hidden.build((None, seen + self.horizon * self.future_features + self.fixed_features))
            self.head.build((None, self.hidden.units))

    def raw(
        self, steps: tf.Tensor, whole: tf.Tensor, future: tf.Tensor, fixed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        raw = self.linear(whole)
        if self.hidden is None or self.head is None:
            return raw
        rows = steps.shape[0] or tf.shape(steps)[0]
        flat = [tf.reshape(x, (rows, x.shape[1] * x.shape[2])) for x in (steps, future)]
        seen = tf.concat([*flat, fixed, *([whole] if self.kind == "prices" else [])], -1)
        hidden = self.dropout(self.hidden(seen), training=training)
        return raw + tf.reshape(self.head(hidden), tf.shape(raw))
