"""An encoder: stacked recurrent layers that run in one direction or in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from seqmodels.cells import Cell
from seqmodels.cells.inputs import as_numbers, check_features, check_rank
from seqmodels.layers.cell_argument import checked_cell
from seqmodels.layers.padding import checked_lengths, lengths_as_tensor, without_padding
from seqmodels.layers.recurrent import Recurrent


class Encoded(NamedTuple):
    """The results of an encoder.

    Attributes:
        outputs: outputs of the topmost layer, ``(n, T, output_size)``. If the layer is bidirectional, the
            features of the forward direction come first.
        states: final states. ``states[layer][direction]`` is the tuple of a cell's states, each
            ``(n, units)``. Direction 0 is forward, direction 1 is backward.
        lengths: number of real steps (steps that are not padding) per row, ``(n,)`` int32. The encoder
            computes this number from its argument ``lengths`` or ``mask``. Without both arguments, the number
            is T for all rows.
    """

    outputs: tf.Tensor
    states: tuple
    lengths: tf.Tensor


@keras.saving.register_keras_serializable(package="seqmodels")
class Encoder(keras.layers.Layer):
    """Stacked recurrent layers (Graves et al. 2013), each optionally bidirectional (Schuster, Paliwal 1997).

    The output of each layer is the input of the next layer. A bidirectional layer also has a backward cell
    with its own weights. The backward cell reads each sequence in reverse order. It starts at the last real
    step, which is the last step that is not padding. The layer concatenates the outputs of both cells. The
    encoder does not contain an embedding. Its inputs can therefore be embedding vectors, time series or any
    other features.

    The rules of :class:`Recurrent` for inputs, padding, lengths and masks also apply to an encoder.

    Args:
        cells: one cell per layer. The backward cell of a bidirectional layer has the same config as the
            forward cell.
        bidirectional: if True, run the layer in both directions. Pass one value for all layers, or a sequence
            with one value per layer.
        residual: if True, add the input of each layer to its output. In all layers above the lowest layer,
            the input and the output must have the same size. In the lowest layer, the sizes may differ. In
            this case, the input is not added.
        dropout: probability of dropping an input feature of a layer. One mask is used for all steps of a
            sequence. Pass one value for all layers, or a sequence with one value per layer.
        seed: seed of the dropout masks.
        **kwargs: keyword arguments of ``keras.layers.Layer``. Default dtype: the dtype of the first cell.

    Raises:
        ValueError: if ``cells`` is empty or is not a list of cells.
        ValueError: if ``bidirectional`` or ``dropout`` is a sequence whose length is not the number of cells.
        ValueError: if ``residual`` is True, and the input and the output of a layer above the lowest layer
            have different sizes.
        ValueError: in a call, for the same reasons as in a call of :class:`Recurrent`.

    >>> from seqmodels.cells import GRUCell
    >>> encoder = Encoder([GRUCell(3), GRUCell(3)], bidirectional=True)
    >>> encoded = encoder(tf.ones((2, 4, 5)), lengths=tf.constant([4, 2]))
    >>> encoded.outputs.shape, len(encoded.states), encoded.lengths.numpy()
    (TensorShape([2, 4, 6]), 2, array([4, 2], dtype=int32))
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        bidirectional: bool | Sequence[bool] = False,
        residual: bool = False,
        dropout: float | Sequence[float] = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        if isinstance(cells, keras.Layer | str):
            kind = repr(cells) if isinstance(cells, str) else type(cells).__name__
            raise ValueError(
                f"cells must be a list of cells; got {kind}; use Encoder([cell]) with a cell of "
                "seqmodels.cells"
            )
        cells = [checked_cell(cell) for cell in cells]
        if not cells:
            raise ValueError("cells must contain at least one cell; got an empty sequence")
        super().__init__(**{"dtype": cells[0].dtype_policy, **kwargs})
        both = [bidirectional] * len(cells) if isinstance(bidirectional, bool) else list(bidirectional)
        rates = [dropout] * len(cells) if isinstance(dropout, int | float) else list(dropout)
        for name, values in (("bidirectional", both), ("dropout", rates)):
            if len(values) != len(cells):
                raise ValueError(
                    f"{name} must have one value per cell; got {len(values)} values for {len(cells)} cells"
                )
        self.bidirectional = both
        self.residual = residual
        self.dropout = rates
        self.seed = seed
        self.supports_masking = True
        self.directions: list[list[Recurrent]] = []  # for each layer: [forward] or [forward, backward]
        for index, (cell, two, rate) in enumerate(zip(cells, both, rates)):
            layer = [
                Recurrent(
                    one,
                    reverse=bool(backward),
                    dropout=rate,
                    seed=None if seed is None else seed + 2 * index + backward,
                    name=f"{'backward' if backward else 'forward'}_{index}",
                    dtype=self.dtype_policy,
                )
                for backward, one in enumerate([cell, _twin(cell)] if two else [cell])
            ]
            self.directions.append(layer)

    @property
    def output_size(self) -> int:
        """Number of output features per time step."""
        return sum(recurrent.cell.output_size for recurrent in self.directions[-1])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Converts a list of lengths to a tensor, and then calls the layer.

        Keras accepts only tensors as positional arguments.
        """
        return super().__call__(*lengths_as_tensor(args), **lengths_as_tensor(kwargs))

    def build(self, input_shape: Any) -> None:
        check_rank("Encoder", input_shape)
        batch, time, width = input_shape
        for index, layer in enumerate(self.directions):
            for recurrent in layer:
                recurrent.build((batch, time, width))
            layer_width = sum(recurrent.cell.output_size for recurrent in layer)
            if self.residual and index > 0 and layer_width != width:
                raise ValueError(
                    f"residual needs an input and an output of the same size; got input size {width} and "
                    f"output size {layer_width} in layer {index}; use the same number of units and the same "
                    "value of bidirectional in all layers"
                )
            width = layer_width
        self.built = True

    def get_initial_state(self, batch_size: Any) -> tuple:
        """Returns initial states of zeros, nested in the same way as ``Encoded.states``."""
        return tuple(
            tuple(recurrent.get_initial_state(batch_size) for recurrent in layer) for layer in self.directions
        )

    def call(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor | None = None,
        states: Any = None,
        training: bool = False,
        mask: tf.Tensor | None = None,
    ) -> Encoded:
        """Encodes inputs.

        Args:
            inputs: ``(n, T, d)``.
            lengths: number of real steps per row, ``(n,)``. None means that no row has padding, unless a mask
                is passed.
            states: initial states, nested in the same way as ``Encoded.states``. Default: zeros.
            training: if True, apply dropout.
            mask: Keras mask ``(n, T)`` that is True at real steps. It can replace ``lengths``.
        """
        # Keras does not pass the mask in every call, but it stores the mask as an attribute of the inputs.
        mask = getattr(inputs, "_keras_mask", None) if mask is None else mask
        inputs = as_numbers(inputs, self.compute_dtype, "inputs")
        check_rank("Encoder", inputs.shape)
        first = self.directions[0][0].cell
        check_features(f"Encoder {self.name!r}", inputs.shape, getattr(first, "input_units", None))
        lengths, valid = checked_lengths(lengths, mask, inputs)
        # The outputs at padding must be zero. With ``residual``, the inputs are added to the outputs. The
        # inputs at padding must therefore also be zero.
        inputs = without_padding(inputs, lengths, training or self.residual)
        final = []
        for index, layer in enumerate(self.directions):
            initial = [None] * len(layer) if states is None else states[index]
            runs = [
                recurrent.run_checked(inputs, lengths, valid, state, training=training)
                for recurrent, state in zip(layer, initial)
            ]
            outputs = tf.concat([output for output, _ in runs], axis=-1)  # (batch, time, output_size)
            if self.residual and outputs.shape[-1] == inputs.shape[-1]:
                outputs += inputs
            final.append(tuple(state for _, state in runs))
            inputs = outputs
        if lengths is None:
            lengths = tf.fill(tf.shape(inputs)[:1], tf.shape(inputs)[1])
        return Encoded(inputs, tuple(final), lengths)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask of the outputs. States and lengths do not have a mask."""
        if isinstance(previous_mask, list | tuple):
            previous_mask = previous_mask[0]
        sizes = [recurrent.cell.state_size for layer in self.directions for recurrent in layer]
        return [previous_mask, *(None for size in sizes for _ in size), None]

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "cells": [keras.saving.serialize_keras_object(layer[0].cell) for layer in self.directions],
            "bidirectional": self.bidirectional,
            "residual": self.residual,
            "dropout": self.dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> Encoder:
        cells = [keras.saving.deserialize_keras_object(cell) for cell in config["cells"]]
        return cls(**{**config, "cells": cells})


def _twin(cell: Cell) -> Cell:
    """Returns a new cell with the same options, but with its own weights and another dropout seed."""
    config = cell.get_config()
    config["name"] = f"{config['name']}_backward"
    if config.get("seed") is not None:
        config["seed"] += 1
    # Some activation functions cannot be stored in a config. The new cell therefore gets the functions of
    # ``cell``.
    functions = ("activation", "recurrent_activation")
    config.update({name: getattr(cell, name) for name in functions if name in config})
    return type(cell).from_config(config)
