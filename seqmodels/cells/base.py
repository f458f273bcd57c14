"""The interface of all recurrent cells. It separates computations per sequence from computations per step.

A recurrent network maps a sequence ``x_1 .. x_T`` to states by repeated application of one function
(Elman 1990; Goodfellow et al. 2016, chapter 10)::

    output_t, state_t = step(project(x_t), state_{t-1}, constants)

``project`` does not depend on the state, so one matrix product computes the projections of all time steps.
``constants`` is computed once per sequence. Each call of ``step`` needs the previous state, so these calls
run one after the other.

A real step is a time step that is not padding. The shapes use these symbols: n rows (sequences) of a batch,
T time steps, d input features, and p projected features.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.inputs import as_numbers, check_features
from seqmodels.kernels import States, affine


class Cell(keras.layers.Layer):
    """Base class of all cells. It adds one input kernel and one bias.

    A subclass must define :meth:`step`. It may also define :meth:`sequence`, :meth:`fused`,
    :meth:`gate_values` and :meth:`step_bound`. It may replace the class attributes ``blocks``,
    ``state_count``, ``parallel`` and ``source``. ``blocks`` contains one name for each gate or candidate that
    the cell computes from its input.

    The weights have ``p = len(blocks) * units`` columns: ``units`` columns for each block, in the order of
    ``blocks``:

    - ``kernel`` W ``(d, p)``
    - ``bias`` b ``(p,)``, or None if ``use_bias`` is False

    Args:
        units: size of the state, h.
        kernel_initializer: initializer of W.
        bias_initializer: initializer of b.
        use_bias: if False, the cell does not have the bias b.
        kernel_regularizer: Keras regularizer of W. Its value is added to the training loss.
        bias_regularizer: Keras regularizer of b. Its value is added to the training loss.
        kernel_constraint: Keras constraint of W. The optimizer applies the constraint after every update.
        bias_constraint: Keras constraint of b. The optimizer applies the constraint after every update.

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
        self.input_units: int | None = None  # number of input features; None until the cell is built

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
                f"inputs of {type(self).__name__} must have a known number of features; got shape "
                f"{tuple(input_shape)}; set the number of features, for example by keras.Input((None, 8))"
            )
        self.kernel = self._weight("kernel", (self.input_units, columns))
        self.build_recurrent(columns)
        self.bias: Any = self._weight("bias", (columns,), self.initial_bias) if self.use_bias else None
        self.built = True

    def _weight(self, name: str, shape: tuple, initializer: Any = None, kind: str = "") -> keras.Variable:
        """Adds a weight to the cell.

        ``kind`` selects the initializer, the regularizer and the constraint of the weight. For example, the
        kind ``kernel`` selects ``kernel_initializer``. By default, ``kind`` is equal to ``name``. The
        argument ``initializer`` replaces the selected initializer.
        """
        kind = kind or name
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer or getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def build_recurrent(self, columns: int) -> None:
        """Adds the weights that a subclass needs besides W and b. By default, it adds no weights.

        ``build`` calls this method after it adds W and before it adds b. ``columns`` is the number of
        columns of W.
        """

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """Returns the initial value of ``b``.

        ``build`` passes this method to Keras as the initializer of ``b``. A subclass overrides this
        method to change the initial value. It cannot assign to ``b`` in ``build``, because a cell may be
        built inside a graph.
        """
        return self.bias_initializer(shape, dtype)

    def get_initial_state(self, batch_size: Any = None) -> list[tf.Tensor]:
        """Returns one tensor of zeros ``(batch_size, units)`` per state."""
        return [tf.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Computes ``x W + b``. Maps ``(n, T, d)`` to ``(n, T, p)``, or ``(n, d)`` to ``(n, p)``."""
        x = as_numbers(x, self.compute_dtype, "inputs")
        return affine(x, self._compute(self.kernel), self._compute_bias())

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """Computes the values that are equal at all steps, such as dropout masks. The base class has none.

        Args:
            batch: number of rows in the batch, needed to sample dropout masks.
            memory: sequence that a cell with attention attends to. A cell without attention accepts only
                None.
            training: if True, sample the dropout masks.

        Raises:
            ValueError: if a memory is passed to a cell without attention.
        """
        if memory is not None:
            raise ValueError(f"{type(self).__name__} has no attention; pass memory=None")
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
        raise NotImplementedError(f"{type(self).__name__} must define the method step")

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        """Computes all time steps by one fast kernel of :mod:`seqmodels.kernels`.

        The result equals the result of a loop over :meth:`step`. Returns None if no kernel fits the
        cell and its activations.

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
        """Computes all time steps by one TensorFlow Lite operator. All initial states are 0.

        Returns None if TensorFlow Lite does not have an operator for the cell and its activations.

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
        """Returns the values of all gates, as a dictionary whose keys are the names of the gates.

        The first entry of the dictionary is the kept share. This is the factor by which a step multiplies
        the old state. On this direct path between the old and the new state, backpropagation multiplies the
        gradient only by the kept share, not by a recurrent matrix. The dictionary is empty for a cell
        without gates.

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
        step. One bound holds for all steps in ``projected``.

        Args:
            projected: the result of :meth:`project` for all steps, ``(..., p)``.
            states: states before each of these steps, tensors ``(..., units)``.
            constants: the result of :meth:`constants`.
        """
        return None

    def call(self, inputs: tf.Tensor, states: Any, training: bool = False) -> tuple[tf.Tensor, list]:
        """Computes one step from raw inputs ``(n, d)``. ``keras.layers.RNN`` calls this method.

        Raises:
            ValueError: if the inputs are not numbers or have the wrong number of features.
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
        """Returns ``b`` in the compute dtype, or None if the cell does not have a bias."""
        return None if self.bias is None else self._compute(self.bias)

    def _compute(self, weight: Any) -> tf.Tensor:
        """Casts a weight to the compute dtype. Keras does this only inside a call of the layer."""
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)
