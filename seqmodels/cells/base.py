"""The interface of all recurrent cells. It separates computations per sequence from computations per step.

A recurrent network maps a sequence ``x_1 .. x_T`` to states by repeated application of one function
(Elman 1990; Goodfellow et al. 2016, chapter 10)::

    output_t, state_t = step(project(x_t), state_{t-1}, constants)

``project`` does not depend on the state, so one matrix product computes the projections of all time steps.
``constants`` is computed once per sequence. Only ``step`` must run one time step after the other.

A real step is a time step that is not padding. The shapes use these symbols: n rows (sequences) of a batch,
T time steps, d input features, and p projected features.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import States, affine
from seqmodels.kernels.masks import check_rate, dropout_mask


class Cell(keras.layers.Layer):
    """Base class of all cells. It adds one input kernel and one bias.

    A subclass must define :meth:`step` and declare ``blocks``. A subclass may declare ``state_count``,
    ``parallel`` and ``source`` if their defaults do not fit. A subclass may also define :meth:`sequence`,
    :meth:`fused`, :meth:`gate_values` and :meth:`step_bound`.

    The weights have ``p = len(blocks) * units`` columns: ``units`` columns for each block, in the order of
    ``blocks``:

    - ``kernel`` W ``(d, p)``
    - ``bias`` b ``(p,)``

    Args:
        units: size of the state, h.
        kernel_initializer: initializer of W.
        bias_initializer: initializer of b.

    Raises:
        ValueError: if units is below 1.
    """

    blocks: tuple[str, ...] = ("candidate",)  # names of the column blocks; each block has `units` columns
    state_count = 1  # number of (batch, units) tensors in the state
    parallel = False  # True if the cell has no recurrent matrix, so a scan can compute all steps at once
    source = ""  # citation of the papers that define the equations

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
        """Adds further weights of the cell, after W and before b. The base class adds no weights."""

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """Returns the initial value of ``b``.

        ``build`` passes this method to Keras as the initializer of ``b``. A cell can therefore also be built
        inside a graph.
        """
        return self.bias_initializer(shape, dtype)

    def get_initial_state(self, batch_size: Any = None) -> list[tf.Tensor]:
        """Returns one tensor of zeros ``(batch_size, units)`` per state."""
        return [tf.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Computes ``x W + b``. Maps ``(n, T, d)`` to ``(n, T, p)``, or ``(n, d)`` to ``(n, p)``."""
        return affine(x, self._compute(self.kernel), self._compute(self.bias))

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Computes the values that are equal at all steps of a sequence. The base class returns ``()``.

        Args:
            batch: number of rows in the batch, needed to sample dropout masks.
            memory: sequence that a cell with attention attends to. A cell without attention accepts only
                None.
            training: if True, sample the dropout masks.

        Raises:
            ValueError: if a memory is passed to a cell without attention.
        """
        if memory is not None:
            raise ValueError(f"memory does not apply to {type(self).__name__}; pass memory=None")
        return ()

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        """Computes one time step.

        Args:
            projected: the result of :meth:`project` for this step, ``(n, p)``.
            states: states before this step, tensors ``(n, units)``.
            constants: the result of :meth:`constants`.

        Returns:
            output ``(n, units)`` and the states after this step, tensors ``(n, units)``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        """Computes all time steps by one fast kernel of :mod:`seqmodels.kernels`.

        The result equals the result of a loop over :meth:`step`. Returns None if the cell does not have a
        kernel.

        Args:
            projected: the result of :meth:`project` for all steps, ``(n, T, p)``.
            states: states before the first step, tensors ``(n, units)``.
            lengths: number of real steps per row, ``(n,)`` int32, or None if no row has padding.
            constants: the result of :meth:`constants`.

        Returns:
            outputs ``(n, T, output_size)`` and the states after the last real step of each row.
        """
        return None

    def fused(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, States] | None:
        """Computes all time steps from zero states by one TensorFlow Lite operator.

        Returns None if TensorFlow Lite does not have an operator for the cell.

        Args:
            inputs: ``(n, T, d)``; n and T must be static.
            lengths: number of real steps per row, ``(n,)`` int32, or None if no row has padding.

        Returns:
            outputs ``(n, T, output_size)`` and the final states that the operator returns. An operator may
            return only some of the cell's states. For example, the operator of an LSTM returns ``h`` but not
            ``c``.
        """
        return None

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        """Returns a dictionary from the name of each gate to the values of the gate.

        The first entry of the dictionary is the kept share: the factor by which a step multiplies the old
        state. The gradient that flows back through this multiplication is multiplied by the kept share, and
        not by a recurrent matrix. The dictionary is empty for a cell without gates.

        Args:
            projected: the result of :meth:`project` for one or more steps, ``(..., p)``.
            states: states before each of these steps, tensors ``(..., units)``.
            constants: the result of :meth:`constants`.

        Returns:
            dictionary whose values are tensors ``(..., units)``.
        """
        return {}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns an upper bound of the spectral norm of a step's Jacobian, or None if no bound is known.

        The Jacobian contains the derivatives of the states after a step with respect to the states before the
        step. The bound holds for all steps that are passed.

        Args:
            projected: the result of :meth:`project` for all steps, ``(..., p)``.
            states: states before each of these steps, tensors ``(..., units)``.
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
        """Casts a weight to the compute dtype. Keras does this only inside a call of the layer."""
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)


class MatrixCell(Cell):
    """Base class of the cells whose gates depend on the previous state through a recurrent matrix.

    This class adds the weight ``recurrent_kernel`` U ``(units, p)``, with columns in the order of ``blocks``.

    Args:
        units: size of the state, h.
        recurrent_initializer: initializer of U. Multiplication by an orthogonal U does not change the norm of
            the state (Saxe et al. 2014).
        weight_dropout: probability of dropping an entry of U. The entries to drop are sampled once per
            sequence (DropConnect on the hidden-to-hidden weights, Merity et al. 2018, section 2).
        recurrent_dropout: probability of dropping a feature of ``h_{t-1}``. One mask is used for all steps of
            a sequence (Gal and Ghahramani 2016, equation 7).
        seed: seed of the masks of both dropouts.
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
        """Returns the matrix U after weight dropout, and the dropout mask of h ``(n, units)``.

        Without recurrent dropout, None replaces the mask. :meth:`Cell.constants` describes the arguments.
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
