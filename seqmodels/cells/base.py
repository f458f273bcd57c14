"""The contract of every recurrent cell, cut where it matters for speed.

A recurrent network maps a sequence ``x_1 .. x_T`` to states by one function that is applied again
and again (Elman 1990; Goodfellow et al. 2016, chapter 10)::

    output_t, state_t = step(project(x_t), state_{t-1}, constants)

What does not depend on the state is separated from what does: ``project`` is one matrix product for
all steps of the sequence, ``constants`` is computed once for a sequence, and ``step`` is all that has
to happen one step after the other.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.kernels import States, affine
from seqmodels.kernels.masks import check_rate, dropout_mask


class Cell(keras.layers.Layer):
    """Base of all cells: one input kernel and one bias.

    A subclass defines :meth:`step` and declares ``blocks``, and where they differ from the defaults here
    ``state_count``, ``parallel`` and ``source``. It may define :meth:`sequence`, :meth:`gate_values` and
    :meth:`step_bound`.

    Weights, ``p = len(blocks) * units`` columns in the order of ``blocks``:

    - ``kernel`` W ``(inputs, p)``
    - ``bias`` b ``(p,)``

    Args:
        units: features of a state, h.
        kernel_initializer: for W.
        bias_initializer: for b.

    Raises:
        ValueError: units below 1.
    """

    blocks: tuple[str, ...] = ("candidate",)  # names of the blocks of `units` columns, in order
    state_count = 1  # how many (batch, units) tensors make up the state
    parallel = False  # whether all steps can be computed at once by a scan, without a recurrent matrix
    source = ""  # the papers that the equations are from

    def __init__(
        self,
        units: int,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units is {units}; a cell has at least one unit")
        self.units = units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    @property
    def state_size(self) -> list[int]:
        """Features of each state tensor, as ``keras.layers.RNN`` reads it."""
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
        """Adds the weights between W and b, in the order of Keras; a cell without any has none."""

    def initial_bias(self, shape: Any, dtype: Any = None) -> tf.Tensor:
        """Where ``b`` starts; an initializer, so that a cell may also be built inside a graph."""
        return self.bias_initializer(shape, dtype)

    def get_initial_state(self, batch_size: Any = None) -> list[tf.Tensor]:
        """Zeros, one ``(batch, units)`` tensor for each state."""
        return [tf.zeros((batch_size, size), self.compute_dtype) for size in self.state_size]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """``x W + b``: ``(n, T, d) -> (n, T, p)`` or ``(n, d) -> (n, p)``."""
        return affine(x, self._compute(self.kernel), self._compute(self.bias))

    def constants(self, batch: Any = None, memory: Any = None, training: bool = False) -> tuple:
        """What is fixed over one sequence; nothing, unless a subclass says so.

        Args:
            batch: rows of the batch, needed to draw masks.
            memory: what an attention cell attends to; plain cells have none.
            training: draw the dropout masks.
        """
        if memory is not None:
            raise ValueError(f"{type(self).__name__} attends to no memory; give it none")
        return ()

    def step(self, projected: tf.Tensor, states: States, constants: tuple) -> tuple[tf.Tensor, States]:
        """One step: ``(n, p)`` and states of ``(n, units)`` to ``(output (n, units), states)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def sequence(
        self, projected: tf.Tensor, states: States, lengths: tf.Tensor | None, constants: tuple
    ) -> tuple[tf.Tensor, States] | None:
        """All steps at once by a kernel that equals stepping; None where there is none.

        Args:
            projected: ``(n, T, p)``.
            states: tensors of ``(n, units)``.
            lengths: ``(n,)`` int32, or None when all rows are full.
            constants: what :meth:`constants` returned.

        Returns:
            outputs ``(n, T, output_size)`` and the states at each row's own last step.
        """
        return None

    def fused(self, inputs: tf.Tensor, lengths: tf.Tensor | None) -> tuple[tf.Tensor, States] | None:
        """All steps from zero states by one TensorFlow Lite operator; None where there is none.

        Args:
            inputs: ``(n, T, d)``, n and T static.
            lengths: ``(n,)`` int32, or None when all rows are full.

        Returns:
            outputs ``(n, T, output_size)`` and the states that the operator hands out, the first ones of all.
        """
        return None

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        """Returns the gates of a step by name; the first is the share of the old state that is kept.

        That share is also the factor of the path on which the gradient passes a step without going through
        a recurrent matrix. A cell without such a path has no gates: the dictionary is empty.

        Args:
            projected: ``(..., p)``, of one step or of many.
            states: before the step, tensors ``(..., units)``.
            constants: what :meth:`constants` returned.

        Returns:
            Tensors ``(..., units)`` by name.
        """
        return {}

    def step_bound(self, projected: tf.Tensor, states: States, constants: tuple) -> float | None:
        """Returns a number that the norm of the Jacobian of a step cannot exceed; None if none is known.

        Args:
            projected: ``(..., p)``, of all steps.
            states: tensors ``(..., units)`` with every state that a step begins with.
            constants: what :meth:`constants` returned.
        """
        return None

    def call(self, inputs: tf.Tensor, states: Any, training: bool = False) -> tuple[tf.Tensor, list]:
        """One step from raw inputs ``(n, d)``, as ``keras.layers.RNN`` calls it."""
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
        """The weight in the dtype of the computation, also outside of a Keras call."""
        return tf.cast(tf.convert_to_tensor(weight), self.compute_dtype)


class MatrixCell(Cell):
    """Base of the cells whose gates see the previous state through a recurrent matrix.

    Adds ``recurrent_kernel`` U ``(units, p)``, columns in the same order.

    Args:
        units: features of a state, h.
        recurrent_initializer: for U; orthogonal keeps the norm of the state (Saxe et al. 2014).
        weight_dropout: probability of dropping an entry of U, drawn once for a sequence
            (DropConnect on the hidden-to-hidden weights, Merity et al. 2018, section 2).
        recurrent_dropout: probability of dropping a feature of ``h_{t-1}``, one mask for all steps
            of a sequence (Gal and Ghahramani 2016, equation 7).
        seed: for both dropouts.
        **kwargs: of :class:`Cell`.

    Raises:
        ValueError: units below 1 or a rate outside ``[0, 1)``.
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
        """``(U after weight dropout, mask of h (n, units) or None)``; arguments as in :class:`Cell`."""
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
        """As in :class:`Cell`; raises ValueError for dropout in training, which needs a whole sequence."""
        if training and (self.weight_dropout or self.recurrent_dropout):
            raise ValueError(
                f"{type(self).__name__} has dropout that is drawn once for a whole sequence; a call of one "
                "step cannot know where a sequence begins. Train it in seqmodels.layers.Recurrent"
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
