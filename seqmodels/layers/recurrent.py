"""The layer that runs a recurrent cell over all time steps of a sequence."""

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
    """Runs a cell over all time steps of a sequence, with explicit initial and final states.

    ``recurrent(inputs (n, T, d), lengths (n,) or None, states or None, memory or None)`` returns
    ``(outputs (n, T, output_size), states)``:

    - Each sequence of the batch is called a row. ``lengths`` contains the number of real steps per row. All
      steps after the real steps are padding. None means that no row has padding, unless a mask is passed.
    - The argument ``states`` contains the initial states. Default: zeros.
    - ``memory`` is the sequence that a cell with attention attends to. Other cells accept only None.
    - The outputs are zero at padding.
    - The returned states are the states after the last real step of each row. For a row of length 0, they are
      the initial states.

    The layer does not keep states between calls. To continue a sequence, pass the returned states to the next
    call.

    The inputs can be integers or booleans, which the layer converts to floats. The padding can contain any
    values, also NaN. ``lengths`` can be a tensor, an array or a list.

    A Keras mask ``(n, T)`` can replace ``lengths``. An example is the mask of an ``Embedding`` layer with
    ``mask_zero=True``. The padding must be at the end of each row. All other masks raise an error. Lengths
    below 0 or above T also raise an error. Code that XLA has compiled cannot raise an error. In compiled
    code, the layer returns NaN for a row with an invalid length or an invalid mask.

    If ``return_sequences`` or ``return_state`` is set, the layer returns its results in the same structure as
    a recurrent layer of Keras. The layer can then be used in ``keras.Sequential``. The results differ from
    Keras in two ways. The outputs at padding are zero. If ``reverse`` is True, output t still belongs to
    input t.

    Args:
        cell: a cell with the interface of :class:`seqmodels.cells.Cell`.
        reverse: if True, run each row from its last real step to its first step. Output t still belongs to
            input t.
        dropout: probability of dropping an input feature. One mask is used for all steps of a sequence. This
            method is called "locked" or "variational" dropout (Gal and Ghahramani 2016).
        seed: seed of the dropout mask.
        return_sequences: if True, return the outputs of all steps. If False, return one output per row,
            ``(n, output_size)``. This is the output of the last real step, or of the first step if
            ``reverse`` is True. For a row of length 0, the output is zero.
        return_state: if True, return ``(output, *states)``. If False, return only the output. If neither
            ``return_state`` nor ``return_sequences`` is set, the layer returns ``(outputs, states)``. If only
            one of them is set, the other is False.
        **kwargs: keyword arguments of ``keras.layers.Layer``. Default dtype: the dtype of the cell.

    Raises:
        ValueError: if the cell does not have the interface of :class:`seqmodels.cells.Cell`, or the dropout
            is not in ``[0, 1)``.
        ValueError: in a call, if the inputs do not have three axes or have the wrong number of features.
        ValueError: in a call, if ``states`` has the wrong number of states, or if the lengths or the mask are
            invalid.

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
        """Converts a list of lengths to a tensor, and then calls the layer.

        Keras accepts only tensors as positional arguments.
        """
        return super().__call__(*lengths_as_tensor(args), **lengths_as_tensor(kwargs))

    def build(self, input_shape: Any) -> None:
        self._check_inputs(input_shape)
        if not self.cell.built:
            self.cell.build((input_shape[0], input_shape[2]))
        self.built = True

    def get_initial_state(self, batch_size: Any) -> States:
        """Returns one tensor of zeros ``(batch_size, units)`` per state of the cell."""
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
        # Keras does not pass the mask in every call, but it stores the mask as an attribute of the inputs.
        mask = getattr(inputs, "_keras_mask", None) if mask is None else mask
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
        """Computes outputs and states. The caller must have checked the lengths and the mask.

        Args:
            inputs: ``(n, T, d)``, the result of ``without_padding``.
            lengths: number of real steps per row, ``(n,)`` int32, or None if no row has padding.
            valid: booleans ``(n,)`` that are True for valid rows. The results of all other rows are NaN. None
                means that all rows are valid.
            states: initial states. Default: zeros.
            memory: sequence that a cell with attention attends to.
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
        """Raises ValueError if the inputs do not have three axes or have the wrong number of features."""
        check_rank("Recurrent", shape)
        expected = getattr(self.cell, "input_units", None) if self.cell.built else None
        check_features(f"Recurrent layer {self.name!r}", shape, expected)

    def _initial(self, states: Any, batch: Any, valid: tf.Tensor | None) -> States:
        """Returns the initial states. The initial states of a row that is not valid are NaN."""
        if states is None:
            states = self.get_initial_state(batch)
        elif tf.is_tensor(states):
            states = (states,)
        if len(states) != len(self.cell.state_size):
            raise ValueError(
                f"{type(self.cell).__name__} needs {len(self.cell.state_size)} states; got {len(states)}; "
                "pass one tensor per state"
            )
        states = tuple(as_numbers(state, self.compute_dtype, "states") for state in states)
        if valid is None:
            return states
        nan = tf.constant(float("nan"), self.compute_dtype)
        return tuple(tf.where(valid[:, None], state, nan) for state in states)

    def _last(self, outputs: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
        """Returns the output of the step that was computed last, ``(n, output_size)``.

        The output is zero for a row without real steps.
        """
        # The code below reads step 0 even if the sequence is empty. If the number of steps is 0 or unknown,
        # one step of padding is therefore added.
        if not outputs.shape[1]:
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
        """Returns the results of :meth:`_run`. The backward pass computes the loop again to save memory.

        ``tf.recompute_grad`` computes gradients only for the arguments of the function ``run``. The weights
        are therefore arguments, too. The caller may select an implementation of the loop in a
        ``with kernels.form(...)`` block. The backward pass may run after the end of this block. Therefore,
        ``run`` selects the same implementation again.
        """
        form, variables = kernels.current_form(), self.cell.trainable_variables
        weights = [tf.convert_to_tensor(variable.value) for variable in variables]
        parts = tf.nest.flatten(constants)
        given = [x for x in parts if x is not None]  # without dropout, None replaces the mask

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
        """Returns the masks of the results of the layer.

        The outputs of all steps have the same mask as the inputs. The output of a single step has no mask.
        States have no masks.
        """
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
    """Reverses the order of the real steps of each row. The padding stays at the end of the row."""
    if lengths is None:
        return tf.reverse(x, axis=[1])
    if kernels.current_form() == "auto":
        return tf.reverse_sequence(x, lengths, seq_axis=1)
    # TensorFlow Lite has no 8-bit REVERSE_SEQUENCE operator, but it has an 8-bit GATHER operator.
    steps = tf.range(tf.shape(x)[1])
    sources = tf.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (batch, time)
    return tf.gather(x, sources, batch_dims=1)
