"""The layer that runs a recurrent cell over all time steps of a sequence."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import Cell
from seqmodels.kernels import States
from seqmodels.kernels.masks import check_rate, dropout_mask


@keras.saving.register_keras_serializable(package="seqmodels")
class Recurrent(keras.layers.Layer):
    """Runs a cell over all time steps of a sequence, with explicit initial and final states.

    ``recurrent(inputs (n, T, d), lengths (n,) or None, states or None, memory or None)`` returns
    ``(outputs (n, T, output_size), states)``:

    - ``lengths`` contains the number of real steps per row. All steps after the real steps are padding. None
      means that no row has padding.
    - The argument ``states`` contains the initial states. Default: zeros.
    - ``memory`` is the sequence that a cell with attention attends to. Other cells accept only None.
    - The outputs are zero at padding.
    - The returned states are the states after the last real step of each row. For a row of length 0, they are
      the initial states.

    The layer does not keep states between calls. To continue a sequence, pass the returned states to the next
    call.

    Args:
        cell: a cell with the interface of :class:`seqmodels.cells.Cell`.
        reverse: if True, run each row from its last real step to its first step. Output t still belongs to
            input t.
        dropout: probability of dropping an input feature. One mask is used for all steps of a sequence. This
            method is called "locked" or "variational" dropout (Gal and Ghahramani 2016).
        seed: seed of the dropout mask.
        **kwargs: keyword arguments of ``keras.layers.Layer``. Default dtype: the dtype of the cell.

    Raises:
        ValueError: if the dropout is not in ``[0, 1)``, the inputs are not of rank 3, or ``states`` has
            the wrong number of states.

    >>> from seqmodels.cells import LSTMCell
    >>> recurrent = Recurrent(LSTMCell(3))
    >>> outputs, (h, c) = recurrent(tf.ones((2, 4, 5)), lengths=tf.constant([4, 2]))
    >>> outputs.shape, h.shape
    (TensorShape([2, 4, 3]), TensorShape([2, 3]))
    >>> bool(tf.reduce_all(outputs[1, 2:] == 0)), bool(tf.reduce_all(outputs[1, 1] == h[1]))
    (True, True)
    """

    def __init__(
        self, cell: Cell, reverse: bool = False, dropout: float = 0.0, seed: int | None = None, **kwargs: Any
    ):
        super().__init__(**{"dtype": cell.dtype_policy, **kwargs})
        self.cell = cell
        self.reverse = reverse
        self.dropout = check_rate("dropout", dropout)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed) if dropout else None

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                f"inputs of Recurrent must have shape (batch, time, features); got {tuple(input_shape)}"
            )
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
    ) -> tuple[tf.Tensor, States]:
        batch = inputs.shape[0] or tf.shape(inputs)[0]
        fused = kernels.current_form() == "fused" and states is None and not training
        states = self.get_initial_state(batch) if states is None else tuple(states)
        if len(states) != len(self.cell.state_size):
            raise ValueError(
                f"{type(self.cell).__name__} needs {len(self.cell.state_size)} states; got {len(states)}"
            )
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
        are therefore arguments, too. The backward pass may run outside the ``with kernels.form(...)`` block
        of the caller. The current form is therefore stored here.
        """
        form, variables = kernels.current_form(), self.cell.trainable_variables
        weights = [tf.convert_to_tensor(variable.value) for variable in variables]
        parts = tf.nest.flatten(constants)
        given = [x for x in parts if x is not None]  # None replaces the mask if there is no dropout

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
        batch, time, _ = input_shape
        return (batch, time, self.cell.output_size), tuple((batch, size) for size in self.cell.state_size)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "cell": keras.saving.serialize_keras_object(self.cell),
            "reverse": self.reverse,
            "dropout": self.dropout,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict) -> Recurrent:
        cell = keras.saving.deserialize_keras_object(config["cell"])
        return cls(**{**config, "cell": cell})


def real_steps(x: tf.Tensor, lengths: tf.Tensor | None) -> tf.Tensor:
    """Returns a mask ``(n, T)`` for ``x (n, T, ...)`` that is True at real steps and False at padding."""
    batch, time = tf.unstack(tf.shape(x)[:2])
    return tf.ones((batch, time), tf.bool) if lengths is None else tf.sequence_mask(lengths, time)


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
