"""The layer that runs a cell over a sequence."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import Cell
from seqmodels.cells.inputs import as_numbers, check_features, check_rank
from seqmodels.kernels import States
from seqmodels.kernels.masks import check_rate, dropout_mask
from seqmodels.layers.cell_argument import checked_cell
from seqmodels.layers.padding import checked_lengths, lengths_as_tensor, without_padding


@keras.saving.register_keras_serializable(package="seqmodels")
class Recurrent(keras.layers.Layer):
    """Runs a cell over time, with explicit initial and final states.

    ``recurrent(inputs (n, T, d), lengths (n,) or None, states or None, memory or None)`` returns
    ``(outputs (n, T, output_size), states)``. The first ``lengths`` steps of a row are real, the rest is
    padding. The returned states are the states after the last real step of each row. Outputs past the end are
    zero. A row of length 0 returns its initial state. The layer keeps no state between calls; pass the
    returned states to the next call to continue a sequence.

    Inputs may be integers or booleans, which become floats. The padding may hold any value, NaN included.
    Lengths may also be an array or a list. A mask of Keras ``(n, T)``, for example of an ``Embedding`` with
    ``mask_zero=True``, becomes lengths if the padding is at the end of each row. Lengths out of range and
    other masks raise an error. XLA cannot raise errors; there, such a row returns NaN.

    With ``return_sequences`` or ``return_state``, the layer returns the same as a recurrent layer of Keras
    and fits into ``keras.Sequential``. Reversed outputs stay aligned with the inputs.

    Args:
        cell: a layer that follows the contract of :mod:`seqmodels.cells.base`.
        reverse: if True, run each row from its last real step to its first step. Outputs stay aligned with
            the inputs.
        dropout: probability of dropping an input feature, with one mask for all steps of a sequence
            (Gal and Ghahramani 2016; "locked" or "variational" dropout).
        seed: seed of the dropout.
        return_sequences: if True, return the outputs of all steps; if False, only the output ``(n,
            output_size)`` of the last step that is computed, which is zero for a row of length 0.
        return_state: if True, return ``(output, *states)``; if False, return only the output. If both
            options have their default None, return ``(outputs, states)``. Otherwise None counts as False.
        **kwargs: keyword arguments of ``keras.layers.Layer``. Default dtype: the dtype of the cell.

    Raises:
        ValueError: if the cell does not follow the contract, or the dropout is not in ``[0, 1)``. In a call:
            if the inputs are not of rank 3 or have another number of features. Also if the number of states
            is wrong, or the lengths or the mask are invalid.

    >>> from seqmodels.cells import LSTMCell
    >>> recurrent = Recurrent(LSTMCell(3))
    >>> outputs, (h, c) = recurrent(tf.ones((2, 4, 5)), lengths=tf.constant([4, 2]))
    >>> outputs.shape, h.shape
    (TensorShape([2, 4, 3]), TensorShape([2, 3]))
    >>> bool(tf.reduce_all(outputs[1, 2:] == 0)), bool(tf.reduce_all(outputs[1, 1] == h[1]))
    (True, True)
    >>> model = keras.Sequential([Recurrent(LSTMCell(3), return_sequences=False), keras.layers.Dense(1)])
    >>> model(tf.ones((2, 4, 5))).shape
    TensorShape([2, 1])
    """

    def __init__(
        self,
        cell: Cell,
        reverse: bool = False,
        dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool | None = None,
        return_state: bool | None = None,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": checked_cell(cell).dtype_policy, **kwargs})
        self.cell = cell
        self.reverse = reverse
        self.dropout = check_rate("dropout", dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.supports_masking = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the layer. The lengths may be a list, which Keras does not accept by position."""
        return super().__call__(*lengths_as_tensor(args), **lengths_as_tensor(kwargs))

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        if not self.cell.built:
            self.cell.build((input_shape[0], input_shape[2]))
        self.built = True

    def get_initial_state(self, batch_size: Any) -> States:
        """Returns zeros: one ``(batch, units)`` tensor per state of the cell."""
        return tuple(self.cell.get_initial_state(batch_size))

    def call(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor | None = None,
        states: Any = None,
        memory: Any = None,
        training: bool = False,
        mask: tf.Tensor | None = None,
    ) -> Any:
        mask = getattr(inputs, "_keras_mask", None) if mask is None else mask  # Keras passes it only at times
        inputs = as_numbers(inputs, self.compute_dtype, "inputs")
        self._check_inputs(inputs.shape)
        lengths, valid = checked_lengths(lengths, mask, inputs)
        inputs = without_padding(inputs, lengths, training)
        outputs, states = self.run_checked(inputs, lengths, valid, states, memory, training)
        if self.return_sequences is None and self.return_state is None:
            return outputs, states
        output = outputs if self.return_sequences else self._last(outputs, lengths)
        return (output, *states) if self.return_state else output

    def run_checked(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor | None,
        valid: tf.Tensor | None,
        states: Any = None,
        memory: Any = None,
        training: bool = False,
    ) -> tuple[tf.Tensor, States]:
        """Computes outputs and states from checked inputs, whose padding is zero.

        Args:
            inputs: ``(n, T, d)``.
            lengths: number of real steps per row, ``(n,)`` int32, or None if all rows are full.
            valid: mask ``(n,)`` of the rows to compute; the other rows are NaN. Default: all rows.
            states: initial states. Default: zeros.
            memory: memory of a cell with attention.
            training: if True, apply the dropouts.
        """
        batch = inputs.shape[0] or tf.shape(inputs)[0]
        fused = kernels.current_form() == "fused" and states is None and not training and valid is None
        states = self._initial(states, batch, valid)
        if training and self.dropout:
            mask_shape = (batch, 1, inputs.shape[2])
            inputs = inputs * dropout_mask(mask_shape, self.dropout, self.seed_generator, self.compute_dtype)
        if self.reverse:
            inputs = _reversed(inputs, lengths)
        result = self.cell.fused(inputs, lengths) if fused else None
        if result is None:
            constants = self.cell.constants(batch, memory, training)
            run = self._run if kernels.keeps() or not training else self._run_twice
            result = run(inputs, lengths, states, constants)
        outputs, states = result
        return (_reversed(outputs, lengths) if self.reverse else outputs), states

    def _check_inputs(self, shape: Any) -> None:
        """Raises ValueError if the shape does not fit the layer or its weights."""
        check_rank("Recurrent", shape)
        expected = getattr(self.cell, "input_units", None) if self.cell.built else None
        check_features(f"Recurrent layer {self.name!r}", shape, expected)

    def _initial(self, states: Any, batch: Any, valid: tf.Tensor | None) -> States:
        """Returns the initial states; NaN for rows that are not valid."""
        if states is None:
            states = self.get_initial_state(batch)
        elif tf.is_tensor(states):
            states = (states,)
        if len(states) != len(self.cell.state_size):
            raise ValueError(
                f"{type(self.cell).__name__} needs {len(self.cell.state_size)} states; got {len(states)}"
            )
        states = tuple(as_numbers(state, self.compute_dtype, "states") for state in states)
        if valid is None:
            return states
        nan = tf.constant(float("nan"), self.compute_dtype)
        return tuple(tf.where(valid[:, None], state, nan) for state in states)

    def _last(self, outputs: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the output ``(n, output_size)`` of the last step that was computed; zero without steps."""
        if not outputs.shape[1]:  # the number of steps is 0 or not known; one step of padding is added
            outputs = tf.pad(outputs, ((0, 0), (0, 1), (0, 0)))
            time = tf.shape(outputs)[1] - 1
        else:
            time = outputs.shape[1]
        if self.reverse:
            return outputs[:, 0]
        if lengths is None:
            return outputs[:, tf.maximum(time - 1, 0)]
        return tf.gather(outputs, tf.maximum(lengths - 1, 0), batch_dims=1)

    def _run(
        self,
        inputs: tf.Tensor,
        lengths: tf.Tensor | None,
        states: States,
        constants: tuple,
    ) -> tuple[tf.Tensor, States]:
        projected = self.cell.project(inputs)  # (batch, time, projected)
        form = kernels.current_form()
        if form == "auto":
            result = self.cell.sequence(projected, states, lengths, constants)
            if result is not None:
                return result
        loop = kernels.unrolled if form == "unrolled" else kernels.generic
        return loop(
            lambda x, states: self.cell.step(x, states, constants),
            projected,
            states,
            lengths,
            self.cell.output_size,
        )

    def _run_twice(
        self, inputs: tf.Tensor, lengths: tf.Tensor | None, states: States, constants: tuple
    ) -> tuple[tf.Tensor, States]:
        """Computes the same as :meth:`_run`, but the backward pass runs the loop again.

        Gradients reach only the arguments of the inner function, so the weights are arguments, too. The
        second run may start after the scopes of the first run have ended, so the current form is stored.
        """
        form, variables = kernels.current_form(), self.cell.trainable_variables
        weights = [tf.convert_to_tensor(variable.value) for variable in variables]
        parts = tf.nest.flatten(constants)
        given = [x for x in parts if x is not None]  # without dropout there is no mask

        def run(inputs: tf.Tensor, *tensors: tf.Tensor) -> tuple:
            rest = iter(tensors)
            initial = tuple(next(rest) for _ in states)
            filled = [None if x is None else next(rest) for x in parts]
            with keras.StatelessScope(list(zip(variables, rest))), kernels.form(form):
                structured = tf.nest.pack_sequence_as(constants, filled)
                outputs, final = self._run(inputs, lengths, initial, structured)
            return outputs, *final

        outputs, *final = tf.recompute_grad(run)(inputs, *states, *given, *weights)
        return outputs, tuple(final)

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple:
        self._check_inputs(input_shape)
        batch, time, _ = input_shape
        outputs, states = (batch, time, self.cell.output_size), [(batch, n) for n in self.cell.state_size]
        if self.return_sequences is None and self.return_state is None:
            return outputs, tuple(states)
        output = outputs if self.return_sequences else (batch, self.cell.output_size)
        return (output, *states) if self.return_state else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """Returns the mask for the outputs of all steps. States and single outputs have no mask."""
        if isinstance(previous_mask, list | tuple):
            previous_mask = previous_mask[0]
        no_states = [None] * len(self.cell.state_size)
        if self.return_sequences is None and self.return_state is None:
            return previous_mask, tuple(no_states)
        mask = previous_mask if self.return_sequences else None
        return [mask, *no_states] if self.return_state else mask

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "reverse": self.reverse,
            "dropout": self.dropout,
            "seed": self.seed,
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
        }

    @classmethod
    def from_config(cls, config: dict) -> Recurrent:
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})


def _reversed(x: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Reverses the first ``lengths`` steps of each row. The padding stays at the end."""
    if lengths is None:
        return tf.reverse(x, axis=[1])
    if kernels.current_form() == "auto":
        return tf.reverse_sequence(x, lengths, seq_axis=1)
    # TensorFlow Lite has no 8-bit REVERSE_SEQUENCE, but it has an 8-bit GATHER.
    steps = tf.range(tf.shape(x)[1])
    sources = tf.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (batch, time)
    return tf.gather(x, sources, batch_dims=1)
