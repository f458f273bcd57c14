"""Base class of the cells with a recurrent matrix."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.base import Cell
from seqmodels.kernels.masks import check_rate, dropout_mask


class MatrixCell(Cell):
    """Base class of the cells whose gates depend on the previous state through a recurrent matrix.

    This class adds the weight ``recurrent_kernel`` U ``(units, p)``, with columns in the order of ``blocks``.

    Args:
        units: size of the state, h.
        recurrent_initializer: initializer of U. Default: an orthogonal U. Multiplication by such a matrix
            does not change the norm of the state (Saxe et al. 2014).
        weight_dropout: probability of dropping an entry of U. The entries to drop are sampled once per
            sequence (DropConnect on the hidden-to-hidden weights, Merity et al. 2018, section 2).
        recurrent_dropout: probability of dropping a feature of ``h_{t-1}``. One mask is used for all steps of
            a sequence (Gal and Ghahramani 2016, equation 7).
        seed: seed of the masks of both dropouts.
        recurrent_regularizer: Keras regularizer of U. Its value is added to the training loss.
        recurrent_constraint: Keras constraint of U. The optimizer applies the constraint after every update.
        **kwargs: keyword arguments of :class:`Cell`.

    Raises:
        ValueError: if units is below 1.
        ValueError: if ``weight_dropout`` or ``recurrent_dropout`` is outside ``[0, 1)``.
    """

    def __init__(
        self,
        units: int,
        recurrent_initializer: Any = "orthogonal",
        weight_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        recurrent_regularizer: Any = None,
        recurrent_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(units, **kwargs)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.recurrent_regularizer = keras.regularizers.get(recurrent_regularizer)
        self.recurrent_constraint = keras.constraints.get(recurrent_constraint)
        self.weight_dropout = check_rate("weight_dropout", weight_dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        random = weight_dropout or recurrent_dropout
        self.seed_generator = keras.random.SeedGenerator(seed) if random else None

    def build_recurrent(self, columns: int) -> None:
        self.recurrent_kernel = self._weight("recurrent_kernel", (self.units, columns), kind="recurrent")

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Returns the matrix U after weight dropout, and the dropout mask of h ``(n, units)``.

        Without recurrent dropout, the result contains None instead of the mask. :meth:`Cell.constants`
        describes the arguments.
        """
        super().constants(batch, memory, training)
        recurrent_kernel = self._compute(self.recurrent_kernel)
        mask = None
        if training and self.weight_dropout:
            recurrent_kernel *= dropout_mask(
                recurrent_kernel.shape, self.weight_dropout, self.seed_generator, self.compute_dtype
            )
        if training and self.recurrent_dropout:
            mask = dropout_mask(
                (batch, self.units), self.recurrent_dropout, self.seed_generator, self.compute_dtype
            )
        return recurrent_kernel, mask

    def call(self, inputs: tf.Tensor, states: Any, training: bool = False) -> tuple[tf.Tensor, list]:
        """Computes one step, as :meth:`Cell.call` does.

        Raises:
            ValueError: if the cell has dropout and ``training`` is True. The masks are sampled once per
                sequence, so a call for a single step cannot sample them.
        """
        if training and (self.weight_dropout or self.recurrent_dropout):
            raise ValueError(
                f"{type(self).__name__} with dropout cannot be trained step by step, because the dropout "
                "masks are sampled once per sequence; train the cell in seqmodels.layers.Recurrent"
            )
        return super().call(inputs, states, training)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "weight_dropout": self.weight_dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
            "recurrent_regularizer": keras.regularizers.serialize(self.recurrent_regularizer),
            "recurrent_constraint": keras.constraints.serialize(self.recurrent_constraint),
        }
