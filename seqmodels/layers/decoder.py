"""The decoder of a sequence-to-sequence model, implemented as one recurrent cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import Cell
from seqmodels.cells.inputs import as_numbers
from seqmodels.kernels import States, affine
from seqmodels.kernels.masks import check_rate, dropout_mask
from seqmodels.layers.attention import Attention, Prepared
from seqmodels.layers.cell_argument import checked_cell
from seqmodels.layers.padding import real_steps


@keras.saving.register_keras_serializable(package="seqmodels")
class AttentionDecoderCell(Cell):
    """A decoder that consists of stacked cells, an attention and a readout.

    The attention reads a memory, usually the outputs of an encoder. The readout is a dense layer. It computes
    the output ``o_t`` from the output of the topmost cell and the result of the attention. In the equations,
    ``x_t`` is the input, ``s_t`` the output of the topmost cell, and ``M`` the memory. ``c_t`` is the context
    (the result of the attention), and ``[;]`` is concatenation:

    .. math::
            s_t &= cells([x_t; f_t], s_{t-1}) \\\\
            c_t &= attention(s_t, M) \\\\
            o_t &= tanh([s_t; c_t] W + b)                    & output

    The option ``feeding`` defines ``f_t``, the additional input of the lowest cell:

    - ``none``: There is no ``f_t``, so the cells do not depend on the attention (Luong et al. 2015, section
      3.1). :meth:`sequence` can therefore run each cell over all steps. It then computes the attention of all
      steps in one batched product.
    - ``output``: ``f_t = o_{t-1}``, with ``o_0 = 0``. This is called input feeding (Luong et al. 2015,
      section 3.3).
    - ``context``: ``f_t = c_t = attention(s_{t-1}, M)``. The query is the previous output of the topmost
      cell. The context is therefore computed before the cells run (Bahdanau et al. 2015, section 3.1).

    Without an attention, the output is ``tanh(s_t W + b)``. In this case only the initial states can pass
    information from an encoder to the decoder (Sutskever et al. 2014).

    A deep output is a readout that also depends on ``x_t`` (Bahdanau et al. 2015, appendix A.2.2; Pascanu et
    al. 2014). Each output is the maximum of two values (maxout): ``o_tj = max(z_{t,2j}, z_{t,2j+1})`` with
    ``z_t = [s_t; c_t] W + x_t V + b``.

    The states of the decoder are the states of all its cells, from the lowest cell to the topmost cell. With
    feeding ``output``, ``o_{t-1}`` is the last state. With feeding ``context``, the query is the first
    state of the topmost cell. The first state of a cell must therefore be equal to the output of the cell.

    The cells and the attention have their own weights. The readout has the weights ``readout_kernel`` W
    ``(size of s_t + size of c_t, units)`` and ``readout_bias`` b ``(units,)``. With a deep output, the last
    dimension of both weights is ``2 * units``. The readout then has a third weight, ``readout_input_kernel``
    V ``(d, 2 * units)``. d is the size of ``x_t``. If ``use_bias`` is False, the readout has no bias.
    In the kernel of the lowest cell, the first d rows multiply ``x_t``, and the remaining rows multiply
    ``f_t``.

    Args:
        cells: one cell per layer, the lowest layer first.
        attention: a layer of :mod:`seqmodels.layers.attention`. None means that the decoder has no attention.
        memory_units: number of features of the memory.
        units: size of the output.
        feeding: ``none``, ``output`` or ``context``, see above.
        deep_output: if True, the readout is a deep output.
        normalize: if True, apply layer normalisation (Ba et al. 2016) to the output of each cell, and to the
            readout before its tanh or maxout.
        dropout: dropout rate for the outputs of the cells. The cell above and the readout read the output
            after dropout. The attention reads the output before dropout. One mask is used for all steps of a
            sequence.
        seed: seed of the dropout masks.
        **kwargs: keyword arguments of :class:`Cell`. The initializers, regularizers, constraints and
            ``use_bias`` apply to the readout.

    Raises:
        ValueError: if there are no cells, or a cell does not have the interface of
            :class:`seqmodels.cells.Cell`.
        ValueError: if ``feeding`` is unknown, or if it is ``context`` and the decoder has no attention.
        ValueError: if the dropout is not in ``[0, 1)``.

    >>> from seqmodels.cells import LSTMCell
    >>> from seqmodels.layers import DotAttention, Recurrent
    >>> cell = AttentionDecoderCell([LSTMCell(3)], DotAttention(), memory_units=3, units=4)
    >>> decoder = Recurrent(cell)
    >>> outputs, (h, c) = decoder(tf.ones((2, 6, 5)), memory=(tf.ones((2, 7, 3)), tf.constant([7, 4])))
    >>> outputs.shape, h.shape
    (TensorShape([2, 6, 4]), TensorShape([2, 3]))
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        attention: Attention | None,
        memory_units: int,
        units: int,
        feeding: str = "none",
        deep_output: bool = False,
        normalize: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        if not cells:
            raise ValueError("cells must contain at least one cell; got an empty sequence")
        cells = [checked_cell(cell) for cell in cells]
        if feeding not in ("none", "output", "context"):
            raise ValueError(f"feeding must be 'none', 'output' or 'context'; got {feeding!r}")
        if feeding == "context" and attention is None:
            raise ValueError(
                "feeding 'context' needs an attention; pass an attention, or use feeding 'none' or 'output'"
            )
        super().__init__(units, **{"dtype": cells[0].dtype_policy, **kwargs})
        self.cells = cells
        self.attention = attention
        self.memory_units = memory_units
        self.feeding = feeding
        self.deep_output = deep_output
        self.normalize = normalize
        self.dropout = check_rate("dropout", dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None
        names = [*(f"cell_{index}" for index in range(len(cells))), "readout"] if normalize else []
        self.norms = [
            keras.layers.LayerNormalization(dtype=self.dtype_policy, name=f"{name}_normalization")
            for name in names
        ]

    @property
    def state_size(self) -> list[int]:
        fed = [self.units] if self.feeding == "output" else []
        return [*(size for cell in self.cells for size in cell.state_size), *fed]

    def build(self, input_shape: Any) -> None:
        batch, width = input_shape
        columns = 2 * self.units if self.deep_output else self.units
        top = self.cells[-1].output_size
        context = 0
        if self.attention is not None:
            if not self.attention.built:
                self.attention.build((batch, top), (batch, None, self.memory_units))
            context = self.attention.output_size
        fed = {"none": 0, "output": self.units, "context": context}[self.feeding]
        inputs = width + fed
        for cell in self.cells:
            if not cell.built:
                cell.build((batch, inputs))
            inputs = cell.output_size
        self.input_units = width
        self.readout_kernel = self._weight("readout_kernel", (top + context, columns), kind="kernel")
        self.readout_bias = self._weight("readout_bias", (columns,), kind="bias") if self.use_bias else None
        if self.deep_output:
            self.readout_input_kernel = self._weight("readout_input_kernel", (width, columns), kind="kernel")
        for norm, size in zip(self.norms, [*(cell.output_size for cell in self.cells), columns]):
            norm.build((batch, size))
        self.built = True

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Computes the product of the inputs x ``(..., d)`` and the lowest cell's kernel, plus its bias.

        Only the first d rows of the kernel are used. A deep output also needs the product ``x V``. In this
        case, the result has ``2 * units`` additional columns at the end, which contain ``x V``.
        """
        first = self.cells[0]
        x = as_numbers(x, self.compute_dtype, "inputs")
        kernel = first._compute(first.kernel)[: self.input_units]
        projected = affine(x, kernel, first._compute_bias())
        if not self.deep_output:
            return projected
        return tf.concat([projected, affine(x, self._compute(self.readout_input_kernel), None)], axis=-1)

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Computes the values that are equal at all steps.

        Returns ``(constants of each cell, prepared memory or None, kernel of f, dropout masks)``. The
        constants of a cell are the result of :meth:`Cell.constants`. The kernel of f contains those rows of
        the lowest cell's kernel that multiply the additional input ``f_t``.

        Args:
            batch: number of rows in the batch, needed to sample dropout masks.
            memory: ``(outputs (n, S, memory_units), lengths (n,) or None)`` of an encoder, or the result of
                :meth:`Attention.prepare`.
            training: if True, sample the dropout masks.

        Raises:
            ValueError: if the decoder has an attention but no memory is passed.
        """
        if self.attention is not None and memory is None:
            raise ValueError(
                "a decoder with attention needs a memory; pass memory=(outputs, lengths), the results of an "
                "encoder"
            )
        prepared = memory
        if self.attention is not None and not isinstance(memory, Prepared):
            prepared = self.attention.prepare(*memory)
        first = self.cells[0]
        fed_kernel = first._compute(first.kernel)[self.input_units :]
        masks: list[tf.Tensor | None] = [None] * len(self.cells)
        if training and self.dropout:
            masks = [
                dropout_mask((batch, cell.output_size), self.dropout, self.seed_generator, self.compute_dtype)
                for cell in self.cells
            ]
        inner = tuple(cell.constants(batch, None, training) for cell in self.cells)
        return inner, prepared, fed_kernel, tuple(masks)

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        output, states, _ = self.attended_step(projected, states, constants)
        return output, states

    def attended_step(
        self, projected: tf.Tensor, states: States, constants: tuple
    ) -> tuple[tf.Tensor, States, tf.Tensor | None]:
        """Computes one step as :meth:`step` does, and also returns the attention weights ``(n, S)``.

        A decoder without attention returns None instead of the weights.
        """
        inner, prepared, fed_kernel, masks = constants
        x, readout_input = self._split(projected)
        context = weights = None
        if self.feeding == "output":
            x += tf.matmul(states[-1], fed_kernel)
        elif self.feeding == "context":
            top = len(states) - len(self.cells[-1].state_size)
            context, weights = self._attend(states[top], prepared)
            x += tf.matmul(context, fed_kernel)
        kept: list[tf.Tensor] = []
        for index, cell in enumerate(self.cells):
            if index:
                x = cell.project(x)
            before = states[len(kept) : len(kept) + len(cell.state_size)]
            s, after = cell.step(x, before, inner[index])
            kept += after
            x = self._between(index, s, masks[index])  # (batch, units)
        if self.attention is not None and context is None:
            context, weights = self._attend(s, prepared)
        output = self._readout(x, context, readout_input)
        fed = (output,) if self.feeding == "output" else ()
        return output, (*kept, *fed), weights

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        """Runs each cell over all steps, and then computes the attention of all steps in one product.

        Returns None if ``feeding`` is ``output`` or ``context``, because each step then depends on the
        attention or output of the previous step.
        """
        if self.feeding != "none":
            return None
        inner, prepared, _, masks = constants
        x, readout_input = self._split(projected)
        kept: list[tf.Tensor] = []
        for index, cell in enumerate(self.cells):
            if index:
                x = cell.project(x)
            before = states[len(kept) : len(kept) + len(cell.state_size)]
            s, after = cell.sequence(x, before, lengths, inner[index]) or kernels.generic(
                partial(_stepped, cell, inner[index]), x, before, lengths, cell.output_size
            )
            kept += after
            mask = masks[index]
            x = self._between(index, s, None if mask is None else mask[:, None])  # (batch, time, units)
        attention = self.attention
        context = None if attention is None else attention.attend(s, prepared)[0]
        outputs = self._readout(x, context, readout_input)
        if lengths is not None:
            outputs = tf.where(real_steps(outputs, lengths)[..., None], outputs, tf.zeros_like(outputs))
        return outputs, tuple(kept)

    def _split(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Splits ``projected`` into the columns for the lowest cell and the columns for a deep output.

        Without a deep output, returns None instead of the columns for a deep output.
        """
        if not self.deep_output:
            return projected, None
        columns = 2 * self.units
        x, readout_input = tf.split(projected, [projected.shape[-1] - columns, columns], axis=-1)
        return x, readout_input

    def _attend(self, query: tf.Tensor, prepared: Prepared) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns contexts ``(n, c)`` and weights ``(n, S)`` for one query per row, ``(n, q)``."""
        assert self.attention is not None
        context, weights = self.attention.attend(query[:, None], prepared)
        return context[:, 0], weights[:, 0]

    def _between(self, index: int, s: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
        """Applies layer normalisation and the dropout mask to ``s``, the output of cell number ``index``."""
        if self.normalize:
            s = self.norms[index](s)
        return s if mask is None else s * mask

    def _readout(self, s: tf.Tensor, context: tf.Tensor | None, x: tf.Tensor | None) -> tf.Tensor:
        """Computes the output ``o_t``.

        Args:
            s: output ``s_t`` of the topmost cell, after dropout.
            context: context ``c_t``, or None if the decoder has no attention.
            x: product ``x_t V``, or None if the decoder has no deep output.
        """
        features = s if context is None else tf.concat([s, context], axis=-1)
        bias = None if self.readout_bias is None else self._compute(self.readout_bias)
        z = affine(features, self._compute(self.readout_kernel), bias)
        if x is not None:
            z += x
        if self.normalize:
            z = self.norms[-1](z)
        if not self.deep_output:
            return tf.tanh(z)
        pairs = tf.reshape(z, tf.concat([tf.shape(z)[:-1], [self.units, 2]], axis=0))
        return tf.reduce_max(pairs, axis=-1)

    def call(  # type: ignore[override]  # a plain cell has no memory
        self,
        inputs: tf.Tensor,
        states: Any,
        memory: tf.Tensor | None = None,
        lengths: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, list]:
        """Projects inputs ``(n, d)`` and computes one step. No dropout is applied.

        ``memory`` has the shape ``(n, S, memory_units)``. ``lengths (n,)`` contains the number of real steps
        per row of the memory.
        """
        constants = self.constants(memory=None if memory is None else (memory, lengths))
        output, states = self.step(self.project(inputs), tuple(states), constants)
        return output, list(states)

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        batch = input_shape[0]
        return (batch, self.units), [(batch, size) for size in self.state_size]

    def get_config(self) -> dict:
        attention = self.attention
        return {
            **super().get_config(),
            "cells": [keras.saving.serialize_keras_object(cell) for cell in self.cells],
            "attention": None if attention is None else keras.saving.serialize_keras_object(attention),
            "memory_units": self.memory_units,
            "feeding": self.feeding,
            "deep_output": self.deep_output,
            "normalize": self.normalize,
            "dropout": self.dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> AttentionDecoderCell:
        parts = {
            "cells": [keras.saving.deserialize_keras_object(cell) for cell in config["cells"]],
            "attention": config["attention"] and keras.saving.deserialize_keras_object(config["attention"]),
        }
        return cls(**{**config, **parts})


def _stepped(cell: Cell, constants: tuple, x: tf.Tensor, states: States) -> tuple[tf.Tensor, States]:
    return cell.step(x, states, constants)
