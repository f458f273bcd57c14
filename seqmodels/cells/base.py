"""The contract of every recurrent cell, split into parts for speed.

A recurrent network maps a sequence ``x_1 .. x_T`` to states by repeated application of one function
(Elman 1990; Goodfellow et al. 2016, chapter 10)::

    output_t, state_t = step(project(x_t), state_{t-1}, constants)

``project`` does not depend on the state, so one matrix product computes it for all steps of the sequence.
``constants`` is computed once per sequence. Only ``step`` must run one time step after the other.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import States, affine
from seqmodels.kernels.masks import check_rate, dropout_mask


class Cell(keras.layers.Layer):
    """Base class of all cells: one input kernel and one bias.

    A subclass must define :meth:`step` and declare ``blocks``. A subclass may declare ``state_count``,
    ``parallel`` and ``source`` if their defaults do not fit. A subclass may also define :meth:`sequence`,
    :meth:`fused`, :meth:`gate_values` and :meth:`step_bound`.

    The weights have ``p = len(blocks) * units`` columns in the order of ``blocks``:

    - ``kernel`` W ``(inputs, p)``
    - ``bias`` b ``(p,)``

    Args:
        units: size of the state, h.
        kernel_initializer: initializer of W.
        bias_initializer: initializer of b.

    Raises:
        ValueError: if units is below 1.
    """

    blocks: tuple[str, ...] = ("candidate",)  # names of the blocks of `units` columns, in order
    state_count = 1  # number of (batch, units) tensors in the state
    parallel = False  # True if a scan can compute all steps at once, without a recurrent matrix
    source = ""  # papers that define the equations

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units must be at least 1; got {units}")
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    @property
    def state_size(self) -> list[int]:
        """Size of each state tensor, in the format of ``keras.layers.RNN``."""
        return [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        columns = len(self.blocks) * self.units
        shape = (input_shape[-1], columns)
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer)
        self.build_recurrent(columns)
        self.bias = self.add_weight(name="bias", shape=(columns,), initializer=self.initial_bias)
        self.built = True

    def build_recurrent(self, columns: int) -> None:
        """Adds the weights between W and b, in the order of Keras. The base class adds no weights."""

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """Returns the initial value of ``b``.

        This method is an initializer, so that a cell can also be built inside a graph.
        """
        return self.bias_initializer(shape, dtype)

    def get_initial_state(self, batch_size: Any = None) -> list[tf.Tensor]:
        """Returns zeros: one ``(batch, units)`` tensor per state."""
        return [tf.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Computes ``x W + b``: ``(n, T, d) -> (n, T, p)`` or ``(n, d) -> (n, p)``."""
        return affine(x, self._compute(self.kernel), self._compute(self.bias))

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Computes the values that are fixed over one sequence. The base class returns ``()``.

        Args:
            batch: number of rows in the batch, needed to sample masks.
            memory: memory of a cell with attention. Other cells accept only None.
            training: if True, sample the dropout masks.
        """
        if memory is not None:
            raise ValueError(f"memory does not apply to {type(self).__name__}; pass memory=None")
        return ()

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        """Computes one step: ``(n, p)`` and states ``(n, units)`` to ``(output (n, units), states)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        """Computes all steps by one kernel with the same result as :meth:`step`.

        Returns None if the cell does not have a kernel.

        Args:
            projected: ``(n, T, p)``.
            states: tensors ``(n, units)``.
            lengths: number of real steps per row, ``(n,)`` int32, or None if all rows are full.
            constants: the result of :meth:`constants`.

        Returns:
            outputs ``(n, T, output_size)`` and the states after the last real step of each row.
        """
        return None

    def fused(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, States] | None:
        """Computes all steps from zero states by one TensorFlow Lite operator.

        Returns None if the cell does not have an operator.

        Args:
            inputs: ``(n, T, d)``, n and T static.
            lengths: number of real steps per row, ``(n,)`` int32, or None if all rows are full.

        Returns:
            outputs ``(n, T, output_size)`` and the states that the operator returns. An operator may return
            only the first states of the cell, for example only ``h`` of an LSTM.
        """
        return None

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        """Returns the gates of a step by name. The first gate is the share of the old state that is kept.

        On one path the gradient passes a step without a recurrent matrix. On this path it is multiplied by
        the kept share. A cell without such a path does not have gates and returns an empty dictionary.

        Args:
            projected: ``(..., p)``, for one step or several steps.
            states: states before the step, tensors ``(..., units)``.
            constants: the result of :meth:`constants`.

        Returns:
            tensors ``(..., units)`` by name.
        """
        return {}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns an upper bound of the norm of a step's Jacobian, or None if no bound is known.

        Args:
            projected: ``(..., p)``, for all steps.
            states: tensors ``(..., units)`` with the states before all steps.
            constants: the result of :meth:`constants`.
        """
        return None

    def call(self, inputs: tf.Tensor, states: Any, training: bool = False) -> tuple[tf.Tensor, list]:
        """Computes one step from raw inputs ``(n, d)``. ``keras.layers.RNN`` calls this method."""
        output, states = self.step(self.project(inputs), tuple(states), self.constants())
        return output, list(states)

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        state = (input_shape[0], self.units)
        return state, [state] * self.state_count

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "units": self.units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }

    def _compute(self, weight: Any) -> tf.Tensor:
        """Returns the weight in the compute dtype, also outside of a Keras call."""
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)


class MatrixCell(Cell):
    """Base class of the cells whose gates depend on the previous state through a recurrent matrix.

    Adds ``recurrent_kernel`` U ``(units, p)``, with columns in the same order.

    Args:
        units: size of the state, h.
        recurrent_initializer: initializer of U. An orthogonal U keeps the norm of the state (Saxe et al.
            2014).
        weight_dropout: probability of dropping an entry of U, sampled once per sequence
            (DropConnect on the hidden-to-hidden weights, Merity et al. 2018, section 2).
        recurrent_dropout: probability of dropping a feature of ``h_{t-1}``, with one mask for all steps
            of a sequence (Gal and Ghahramani 2016, equation 7).
        seed: seed of both dropouts.
        **kwargs: keyword arguments of :class:`Cell`.

    Raises:
        ValueError: if units is below 1 or a rate is outside ``[0, 1)``.
    """

    def __init__(
        self,
        units: int,
        recurrent_initializer: Any = "orthogonal",
        weight_dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(units, **kwargs)
        self.recurrent_initializer = keras.initializers.get(recurrent_initializer)
        self.weight_dropout = check_rate("weight_dropout", weight_dropout)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.seed = seed
        random = weight_dropout or recurrent_dropout
        self.seed_generator = keras.random.SeedGenerator(seed) if random else None

    def build_recurrent(self, columns: int) -> None:
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, columns), initializer=self.recurrent_initializer
        )

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Returns ``(U after weight dropout, mask of h (n, units) or None)``.

        The arguments are described in :meth:`Cell.constants`.
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
        """Computes one step as :meth:`Cell.call`.

        Raises:
            ValueError: if the cell has dropout and ``training`` is True. Dropout needs a whole sequence.
        """
        if training and (self.weight_dropout or self.recurrent_dropout):
            raise ValueError(
                f"{type(self).__name__} samples its dropout masks once per sequence and cannot train on "
                "single steps; train the cell in seqmodels.layers.Recurrent"
            )
        return super().call(inputs, states, training)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "recurrent_initializer": keras.initializers.serialize(self.recurrent_initializer),
            "weight_dropout": self.weight_dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }
