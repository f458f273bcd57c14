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

from seqmodels.cells.inputs import as_numbers, check_features
from seqmodels.kernels import States, affine


class Cell(keras.layers.Layer):
    """Base class of all cells: one input kernel and one bias.

    A subclass must define :meth:`step` and declare ``blocks``. A subclass may declare ``state_count``,
    ``parallel`` and ``source`` if their defaults do not fit. A subclass may also define :meth:`sequence`,
    :meth:`fused`, :meth:`gate_values` and :meth:`step_bound`.

    The weights have ``p = len(blocks) * units`` columns in the order of ``blocks``:

    - ``kernel`` W ``(inputs, p)``
    - ``bias`` b ``(p,)``, or None without a bias

    Args:
        units: size of the state, h.
        kernel_initializer: initializer of W.
        bias_initializer: initializer of b.
        use_bias: if False, the cell has no bias b.
        kernel_regularizer: Keras regularizer of W. The training loss includes its value.
        bias_regularizer: Keras regularizer of b.
        kernel_constraint: Keras constraint of W. The optimizer applies it after every update.
        bias_constraint: Keras constraint of b.

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
        use_bias: bool = True,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units must be at least 1; got {units}")
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.use_bias = use_bias
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.input_units: int | None = None  # features of one input step, known after build

    @property
    def state_size(self) -> list[int]:
        """Size of each state tensor, in the format of ``keras.layers.RNN``."""
        return [self.units] * self.state_count

    @property
    def output_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        columns = len(self.blocks) * self.units
        self.input_units = input_shape[-1]
        if self.input_units is None:
            raise ValueError(
                f"the number of features of the inputs of {type(self).__name__} must be known; got inputs of "
                f"shape {tuple(input_shape)}; set it, for example by keras.Input((None, features))"
            )
        self.kernel = self._weight("kernel", (self.input_units, columns))
        self.build_recurrent(columns)
        self.bias: Any = self._weight("bias", (columns,), self.initial_bias) if self.use_bias else None
        self.built = True

    def _weight(self, name: str, shape: tuple, initializer: Any = None, kind: str = "") -> keras.Variable:
        """Adds a weight with the initializer, regularizer and constraint of ``kind``, by default ``name``."""
        kind = kind or name
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer or getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

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
        x = as_numbers(x, self.compute_dtype, "inputs")
        return affine(x, self._compute(self.kernel), self._compute_bias())

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
        """Computes one step from raw inputs ``(n, d)``. ``keras.layers.RNN`` calls this method.

        Raises:
            ValueError: if the inputs are not numbers, or do not have the features of the weights.
        """
        check_features(type(self).__name__, inputs.shape, self.input_units)
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
            "use_bias": self.use_bias,
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }

    def _compute_bias(self) -> tf.Tensor | None:
        """Returns ``b`` in the compute dtype, or None without a bias."""
        return None if self.bias is None else self._compute(self.bias)

    def _compute(self, weight: Any) -> tf.Tensor:
        """Returns the weight in the compute dtype, also outside of a Keras call."""
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)
