"""A forecaster with a recurrent encoder and a recurrent decoder."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import registry
from seqmodels.cells import Cell
from seqmodels.layers import Dropout, Encoder, Recurrent
from seqmodels.models.config import keeps_arguments
from seqmodels.models.forecasting.base import WindowModel
from seqmodels.registry import FORECAST_DECODERS


@keras.saving.register_keras_serializable(package="seqmodels")
class Forecaster(WindowModel):
    """A forecaster with a recurrent encoder for the past and a recurrent decoder for the future.

    The past and the future are split into segments of ``segment`` time steps. For segments of more than one
    step, a linear layer with ReLU embeds each past segment. The encoder is a stack of cells that reads the
    segments of the past. The decoder is one cell of the same kind, which forecasts one future segment per
    decoder step. The initial state of the decoder is the final state of the topmost encoder layer. The
    decoder reads a learned vector for the position of the future segment, and the known features of this
    segment (Lin et al. 2023, SegRNN, sections 4.2 and 4.3). The argument ``decoder`` has two values:

    - ``direct``: the decoder step of every future segment starts from the initial state of the decoder. All
      future segments are therefore computed in parallel.
    - ``autoregressive``: the future segments are computed in order. The forecast of a segment is an
      additional input of the decoder step for the next segment.

    Training fits the marginal distribution of every time step. The distribution is not conditioned on the
    true values of previous time steps.

    With ``skip``, the model adds ``A w + b`` to the parameters of the forecast, where A and b are trainable
    and w is the whole scaled window. For prices, w contains the features that :func:`.scaling.of_prices`
    describes.

    Args:
        cell: a name in ``registry.CELLS``.
        units: size of each recurrent state.
        layers: number of recurrent layers of the encoder.
        segment: number of time steps in a segment.
        decoder: a name in ``FORECAST_DECODERS``.
        skip: if True, the model adds ``A w + b``.
        dropout: probability of dropping a feature. This dropout applies to the segments that the encoder
            reads, between recurrent layers, and before the output layer.
        **kwargs: arguments of :class:`WindowModel`.

    Raises:
        ValueError: if ``cell`` or ``decoder`` is unknown.
        ValueError: if ``segment`` is below 1 or above ``lookback - 1``.
        ValueError: if :class:`WindowModel` rejects an argument.

    >>> model = Forecaster(lookback=8, horizon=3, units=4, segment=2, output="quantiles")
    >>> window = {"past": tf.ones((2, 8, 1)), "past_time": tf.zeros((2, 8)), "future_time": tf.zeros((2, 3))}
    >>> model({**window, "series": tf.zeros(2, tf.int32)}).shape
    TensorShape([2, 3, 9])
    """

    @keeps_arguments
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
        if decoder not in FORECAST_DECODERS:
            raise ValueError(f"decoder must be one of {', '.join(FORECAST_DECODERS)}; got {decoder!r}")
        if not 1 <= segment < lookback:
            raise ValueError(f"segment must be at least 1 and below the lookback {lookback}; got {segment}")
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
        states = encoded.states[-1][0]  # topmost layer, forward direction
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
        """Returns the additional input of the first decoder step, ``(n, segment * p)``.

        Each later decoder step reads the forecast of the previous segment. The first decoder step reads the
        last segment of the past instead, in the form of a forecast. The scaled past values are the location
        parameters, and all other parameters are zero. For prices, all parameters are zero.
        """
        if self.kind == "prices":
            return tf.zeros((rows, self.segment * self.parameters_of_step), whole.dtype)
        values = whole[:, : self.lookback]
        if self.decomposition:
            values += whole[:, self.lookback :]
        middle = tf.one_hot(self.middle, self.parameters_of_step, dtype=whole.dtype)
        last = values[:, -self.segment :, None] * middle  # (batch, segment, parameters)
        return tf.reshape(last, (rows, self.segment * self.parameters_of_step))


class FeedbackCell(Cell):
    """A cell whose output is a forecast. The forecast is also a part of the input of the next step.

    Args:
        cell: inner recurrent cell.
        head: linear layer that maps the output of ``cell`` to the forecast.
        outputs: size of the forecast.
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
        return x  # the projection needs the previous forecast, so step computes it

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        return self.cell.constants(batch, memory, training)

    def step(self, projected: tf.Tensor, states: tuple, constants: tuple) -> tuple[tf.Tensor, tuple]:
        seen = tf.concat([projected, states[-1]], -1)
        hidden, inner = self.cell.step(self.cell.project(seen), states[:-1], constants)
        output = self.head(hidden)
        return output, (*inner, output)
