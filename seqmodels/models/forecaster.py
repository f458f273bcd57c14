"""Windows of series to forecasts: recurrent, and the fixed-window models that it must beat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from seqmodels import registry
from seqmodels.layers import Cell, Dropout, Encoder, Recurrent
from seqmodels.models import windows

DECODERS = ("direct", "autoregressive")
FORMS = ("nlinear", "dlinear", "mlp")
RIDGE = 0.01  # times the squared weights between averages of prices and a forecast, which they would overfit
DECILES = tuple(round(0.1 * number, 1) for number in range(1, 10))


class WindowModel(keras.Model):
    """Base of all forecasters: from a window in the user's units to forecasts in the same.

    ``model({"past": (n, L, columns), "past_time": (n, L), "future_time": (n, H), "series": (n,) int32})``
    returns ``(n, H, p)`` as :func:`seqmodels.models.windows.forecast` says. With ``known`` covariates also
    ``"known": (n, L + H, covariates)``, with ``static`` ones ``"static": (n, covariates)``; further entries
    are ignored.

    Args:
        lookback: rows of the past, L.
        horizon: rows to be forecast, H.
        kind: ``values`` of one column, or ``prices`` (open, high, low, close, volume), of which the
            log-return in percent is forecast.
        output: of ``windows.OUTPUTS``.
        levels: of the quantiles, rising, an odd number.
        scaling: of ``windows.SCALINGS``; prices have their own.
        decomposition: hand on the moving average and what is left of it beside each other.
        series: how many series there are, and ``series_units`` the width of the vector of each; 0 for none.
        periods: of the calendar, in the unit of the times.
        known: mean and deviation of each covariate whose future is known; in the graph it is shifted and
            scaled by them.
        static: the same of each covariate of a series that does not change.

    Raises:
        ValueError: an unknown kind, output or scaling, an even number of levels, or a horizon below 1.
    """

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
            ("output", output, windows.OUTPUTS),
            ("scaling", scaling, windows.SCALINGS),
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
        self.config = {
            "lookback": lookback,
            "horizon": horizon,
            "kind": kind,
            "output": output,
            "levels": tuple(levels),
            "scaling": scaling,
            "decomposition": decomposition,
            "series": series,
            "series_units": series_units,
            "periods": tuple(periods),
            "known": self.known,
            "static": self.static,
        }
        self.lookback, self.horizon, self.kind, self.output_kind = lookback, horizon, kind, output
        self.levels, self.scaling, self.decomposition = tuple(levels), scaling, decomposition
        self.periods = tuple(periods)
        self.series_units = series_units
        self.parameters_of_step = windows.width(output, levels)
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
            return 3 * len(windows.SPANS) + 6
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
            window = windows.of_prices(past)
        else:
            window = windows.of_values(past, self.scaling, self.decomposition)
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
        return windows.forecast(tf.cast(raw, self.wide), window, self.output_kind, self.levels)

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
        waves = windows.calendar(times, self.periods)
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


@keras.saving.register_keras_serializable(package="seqmodels")
class Forecaster(WindowModel):
    """A recurrent encoder over the past, and one recurrent step for each part of the future.

    The past is cut into segments of ``segment`` steps, each embedded by a linear layer with ReLU, and a stack
    of cells reads them; the last state of the last layer starts the decoder, a cell of the same kind whose
    inputs are a learned vector of the position and what is known of the segment to come (Lin et al. 2023,
    SegRNN, sections 4.2 and 4.3). ``direct``: each segment of the future is one step from that state, all at
    once. ``autoregressive``: one after the other, each seeing the forecast of the one before it. A forecast
    of the distribution at every step is trained as such: it is marginal, not given the true values before it.

    A linear ``skip`` adds ``A w + b`` of the whole scaled window w; of prices, a linear function of their
    averages.

    Args:
        cell: a name of ``registry.CELLS``.
        units: features of each recurrent state.
        layers: recurrent layers of the encoder.
        segment: steps that are read and forecast at once.
        decoder: of ``DECODERS``.
        skip: whether there is the linear part.
        dropout: probability of dropping a feature of an embedded segment, between layers and before the
            output.
        **kwargs: of :class:`WindowModel`.

    Raises:
        ValueError: as in :class:`WindowModel`, an unknown cell or decoder, or segments longer than the past.
    """

    def __init__(
        self,
        lookback: int,
        horizon: int,
        cell: str = "gru",
        units: int = 32,
        layers: int = 1,
        segment: int = 1,
        decoder: str = "direct",
        skip: bool = True,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(lookback, horizon, **kwargs)
        if decoder not in DECODERS:
            raise ValueError(f"decoder is {decoder!r}; expected one of {', '.join(DECODERS)}")
        if not 1 <= segment < lookback:
            raise ValueError(f"segment is {segment}; expected at least 1 and less than lookback, {lookback}")
        self.config |= {
            "cell": cell,
            "units": units,
            "layers": layers,
            "segment": segment,
            "decoder": decoder,
            "skip": skip,
            "dropout": dropout,
        }
        self.units, self.segment = units, segment
        self.segments = -(-horizon // segment)
        dtype = self.dtype_policy
        cells = [
            registry.make(registry.CELLS, cell, units=units, dtype=dtype, name=f"cell_{index}")
            for index in range(layers)
        ]
        self.segment_embedding = (
            keras.layers.Dense(units, "relu", dtype=dtype, name="segment") if segment > 1 else None
        )
        self.encoder = Encoder(cells, dropout=dropout, dtype=dtype, name="encoder")
        self.output_dropout = Dropout(dropout, dtype=dtype)
        outputs = segment * self.parameters_of_step
        self.head = keras.layers.Dense(
            outputs, kernel_initializer=keras.initializers.VarianceScaling(0.1), dtype=dtype, name="head"
        )
        inner = registry.make(registry.CELLS, cell, units=units, dtype=dtype, name="decoder_cell")
        feeds = decoder == "autoregressive"
        self.decoder_cell = FeedbackCell(inner, self.head, outputs, dtype=dtype) if feeds else inner
        self.decoder = Recurrent(self.decoder_cell, name="decoder") if feeds else None
        self.skip = self.make_skip() if skip else None

    def build_parts(self) -> None:
        width = self.step_features
        if self.segment_embedding is not None:
            self.segment_embedding.build((None, None, self.segment * width))
            width = self.units
        self.encoder.build((None, None, width + self.fixed_features))
        self.position = self.add_weight(
            name="position",
            shape=(self.segments, self.units),
            initializer=keras.initializers.RandomNormal(stddev=0.1),
        )
        known = self.units + self.segment * self.future_features + self.fixed_features
        if self.decoder is not None:
            self.decoder.build((None, None, known))
        else:
            self.decoder_cell.build((None, known))
        if not self.head.built:
            self.head.build((None, self.units))
        if self.skip is not None:
            self.skip.build((None, self.whole_features))

    def raw(
        self, steps: tf.Tensor, whole: tf.Tensor, future: tf.Tensor, fixed: tf.Tensor, training: bool
    ) -> tf.Tensor:
        rows = steps.shape[0] or tf.shape(steps)[0]
        if self.segment_embedding is not None:
            count = steps.shape[1] // self.segment
            used = steps[:, steps.shape[1] - count * self.segment :]
            steps = self.segment_embedding(tf.reshape(used, (rows, count, self.segment * used.shape[2])))
        if self.fixed_features:
            beside = tf.repeat(fixed[:, None], steps.shape[1], 1)
            steps = tf.concat([steps, beside], -1)
        encoded = self.encoder(steps, training=training)
        states = encoded.states[-1][0]  # the last layer's, forward
        inputs = self._decoder_inputs(future, fixed, rows)  # (batch, segments, known)
        if self.decoder is not None:
            first = self._last_segment(whole, rows)
            raw, _ = self.decoder(inputs, states=(*states, first), training=training)
        else:
            cell, count = self.decoder_cell, self.segments
            flat = tf.reshape(inputs, (-1, inputs.shape[2]))  # (batch * segments, known)
            states = tuple(tf.repeat(state, count, 0) for state in states)
            output, _ = cell.step(cell.project(flat), states, cell.constants(rows * count, training=training))
            raw = self.head(self.output_dropout(output, training=training))
        raw = tf.reshape(raw, (rows, self.segments * self.segment, self.parameters_of_step))[
            :, : self.horizon
        ]
        return raw if self.skip is None else raw + self.skip(whole)

    def _decoder_inputs(self, future: tf.Tensor, fixed: tf.Tensor, rows: Any) -> tf.Tensor:
        position = tf.cast(tf.convert_to_tensor(self.position), future.dtype)
        parts = [tf.repeat(position[None], rows, 0)]
        if self.future_features:
            spare = self.segments * self.segment - self.horizon
            future = tf.pad(future, ((0, 0), (0, spare), (0, 0)))
            parts.append(tf.reshape(future, (rows, self.segments, self.segment * self.future_features)))
        if self.fixed_features:
            parts.append(tf.repeat(fixed[:, None], self.segments, 1))
        return tf.concat(parts, -1)

    def _last_segment(self, whole: tf.Tensor, rows: Any) -> tf.Tensor:
        """What the first step of the future sees as the forecast before it, the last values: ``(n, w p)``."""
        if self.kind == "prices":
            return tf.zeros((rows, self.segment * self.parameters_of_step), whole.dtype)
        values = whole[:, : self.lookback]
        if self.decomposition:
            values += whole[:, self.lookback :]
        middle = tf.one_hot(self.middle, self.parameters_of_step, dtype=whole.dtype)
        last = values[:, -self.segment :, None] * middle  # (batch, segment, parameters)
        return tf.reshape(last, (rows, self.segment * self.parameters_of_step))


@keras.saving.register_keras_serializable(package="seqmodels")
class FixedWindowForecaster(WindowModel):
    """The models without memory that a recurrent one must beat.

    - ``nlinear``: one linear layer over the window minus its last value (Zeng et al. 2023, section 4).
    - ``dlinear``: one for the moving average and one for what is left (same section).
    - ``mlp``: a hidden layer with ReLU over the whole window and the calendar of the future, and a linear one
      beside it.

    Args:
        form: of ``FORMS``.
        units: width of the hidden layer.
        dropout: probability of dropping one of its features.
        **kwargs: of :class:`WindowModel`; the linear forms decide ``scaling`` and ``decomposition``
            themselves, and see neither calendar nor covariates.

    Raises:
        ValueError: as in :class:`WindowModel`, or an unknown form.
    """

    def __init__(
        self,
        lookback: int,
        horizon: int,
        form: str = "nlinear",
        units: int = 64,
        dropout: float = 0.0,
        **kwargs: Any,
    ):
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; expected one of {', '.join(FORMS)}")
        if form != "mlp":
            scaling = "last" if form == "nlinear" else "instance"
            kwargs |= {"scaling": scaling, "decomposition": form == "dlinear", "series_units": 0}
        super().__init__(lookback, horizon, **kwargs)
        self.config |= {"form": form, "units": units, "dropout": dropout}
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


class FeedbackCell(Cell):
    """A cell whose output is a forecast, which is part of its next input.

    Args:
        cell: the cell that remembers.
        head: linear layer from its output to the forecast.
        outputs: width of the forecast.
    """

    def __init__(self, cell: Cell, head: keras.layers.Dense, outputs: int, **kwargs: Any):
        super().__init__(cell.units, name="feedback", **kwargs)
        self.cell, self.head, self.outputs = cell, head, outputs

    @property
    def state_size(self) -> list[int]:
        return [*self.cell.state_size, self.outputs]

    @property
    def output_size(self) -> int:
        return self.outputs

    def build(self, input_shape: Any) -> None:
        self.cell.build((input_shape[0], input_shape[-1] + self.outputs))
        self.head.build((input_shape[0], self.cell.output_size))
        self.built = True

    def project(self, x: tf.Tensor) -> tf.Tensor:
        return x  # the forecast before is still to come

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        return self.cell.constants(batch, memory, training)

    def step(self, projected: tf.Tensor, states: tuple, constants: tuple) -> tuple[tf.Tensor, tuple]:
        seen = tf.concat([projected, states[-1]], -1)
        hidden, inner = self.cell.step(self.cell.project(seen), states[:-1], constants)
        output = self.head(hidden)
        return output, (*inner, output)
