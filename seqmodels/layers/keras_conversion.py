"""Converts recurrent layers of this library to Keras layers, and Keras layers to layers of this library.

The GRU of Keras computes ``h_t = z * h_{t-1} + (1 - z) * h~_t``. Its update gate ``z`` is therefore equal to
``1 - u``, where ``u`` is the update gate of :class:`seqmodels.cells.GRUCell`. Because
``1 - sigmoid(a) = sigmoid(-a)``, the conversion negates the weights and biases of the update gate.
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

from seqmodels.cells import Cell
from seqmodels.cells.gru import GRUCell
from seqmodels.cells.lstm import LSTMCell
from seqmodels.cells.rnn import RNNCell
from seqmodels.layers.encoder import Encoder
from seqmodels.layers.recurrent import Recurrent

# Options with the same name and the same meaning in Keras and in this library.
SHARED = (
    "use_bias",
    *(
        f"{weight}_{role}"
        for weight in ("kernel", "recurrent", "bias")
        for role in ("initializer", "regularizer", "constraint")
    ),
)


def to_keras(recurrent: Recurrent) -> keras.layers.Layer:
    """Converts a ``Recurrent`` to a built Keras layer with the same weights and options.

    The Keras layer returns the outputs of all steps and the final states. It differs from ``recurrent`` in
    two ways:

    - If ``recurrent.reverse`` is True, the Keras layer returns its outputs in the order of computation. The
      output for the last time step then comes first.
    - Keras does not support weight dropout. The Keras layer therefore trains without weight dropout.

    Args:
        recurrent: a built ``Recurrent`` with an ``RNNCell``, ``LSTMCell`` or ``GRUCell``.

    Raises:
        ValueError: if the layer is not built, or its cell is not an ``RNNCell``, ``LSTMCell`` or ``GRUCell``.
        ValueError: if a regularizer or a constraint of a GRU depends on the sign of the weights.

    >>> from seqmodels.cells import LSTMCell
    >>> recurrent = Recurrent(LSTMCell(3))
    >>> outputs, _ = recurrent(tf.ones((2, 4, 5)))
    >>> layer = to_keras(recurrent)
    >>> type(layer).__name__, np.allclose(layer(tf.ones((2, 4, 5)))[0], outputs, atol=1e-5)
    ('LSTM', True)
    """
    cell = recurrent.cell
    if not cell.built:
        raise ValueError(f"{recurrent.name} is not built; call the layer once before the conversion")
    if not isinstance(cell, RNNCell | LSTMCell | GRUCell):
        raise ValueError(f"the cell must be an RNNCell, LSTMCell or GRUCell; got {type(cell).__name__}")
    kwargs = {
        **_shared(cell),
        "units": cell.units,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": recurrent.reverse,
        "dropout": recurrent.dropout,
        "recurrent_dropout": cell.recurrent_dropout,
        "dtype": recurrent.dtype_policy,
    }
    if isinstance(cell, RNNCell):
        layer = keras.layers.SimpleRNN(**kwargs)
    elif isinstance(cell, LSTMCell):
        layer = keras.layers.LSTM(unit_forget_bias=bool(cell.forget_bias), **kwargs)
    else:
        _check_signs(recurrent.name, cell)
        layer = keras.layers.GRU(reset_after=cell.reset_after, **kwargs)
    layer.build((None, None, cell.kernel.shape[0]))
    layer.set_weights(_keras_weights(cell))
    return layer


def from_keras(layer: keras.layers.Layer) -> Recurrent | Encoder:
    """Converts a built Keras layer to a layer of this library.

    The Keras layer can be a ``SimpleRNN``, ``LSTM`` or ``GRU``, or a ``Bidirectional`` that wraps one of
    these layers.

    The new layer has the weights of the Keras layer. It also has the same activations, initializers,
    regularizers, constraints, dropout rates and ``use_bias``. The options ``return_sequences``,
    ``return_state``, ``stateful`` and ``unroll`` are not converted. The new layer always returns its outputs
    and its states. The initial states are an argument of each call.

    In a GRU with ``reset_after``, Keras stores two biases per gate. This library stores only their sum. After
    the conversion, a regularizer or a constraint for the bias applies to this sum. If the Keras layer has
    such a regularizer or constraint, this function shows a warning.

    Returns:
        a ``Recurrent``. For a ``Bidirectional``, an ``Encoder`` with one bidirectional layer.

    Raises:
        ValueError: if the layer is not built or has another type.
        ValueError: if a ``Bidirectional`` does not concatenate the outputs of its two layers, or if these two
            layers have different types or options.
        ValueError: if a regularizer or a constraint of a GRU depends on the sign of the weights.

    >>> layer = keras.layers.GRU(3, return_sequences=True)
    >>> outputs = layer(tf.ones((2, 4, 5)))
    >>> recurrent = from_keras(layer)
    >>> type(recurrent.cell).__name__, np.allclose(recurrent(tf.ones((2, 4, 5)))[0], outputs, atol=1e-5)
    ('GRUCell', True)
    >>> layer = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))
    >>> outputs = layer(tf.ones((2, 4, 5)))
    >>> np.allclose(from_keras(layer)(tf.ones((2, 4, 5))).outputs, outputs, atol=1e-5)
    True
    """
    if isinstance(layer, keras.layers.Bidirectional):
        return _from_bidirectional(layer)
    cell = _cell_of(layer)
    recurrent = Recurrent(cell, reverse=layer.go_backwards, dropout=layer.dropout)
    weights = layer.get_weights()
    recurrent.build((None, None, weights[0].shape[0]))
    cell.set_weights(_our_weights(cell, weights))
    return recurrent


def _from_bidirectional(both: keras.layers.Bidirectional) -> Encoder:
    forward, backward = both.forward_layer, both.backward_layer
    cell = _cell_of(forward)
    _cell_of(backward)
    if both.merge_mode != "concat":
        raise ValueError(
            f"{both.name} must have merge_mode 'concat'; got {both.merge_mode!r}; convert forward_layer and "
            "backward_layer separately and merge their outputs"
        )
    ignored = {"name", "go_backwards", "seed"}
    one, other = (
        {key: value for key, value in layer.get_config().items() if key not in ignored and "init" not in key}
        for layer in (forward, backward)
    )
    if type(forward) is not type(backward) or one != other or forward.go_backwards:
        raise ValueError(
            f"forward_layer and backward_layer of {both.name} must have the same type and options, and "
            "go_backwards of forward_layer must be False; convert the two layers separately"
        )
    encoder = Encoder([cell], bidirectional=True, dropout=forward.dropout)
    encoder.build((None, None, forward.cell.kernel.shape[0]))
    for recurrent, layer in zip(encoder.directions[0], (forward, backward)):
        recurrent.cell.set_weights(_our_weights(recurrent.cell, layer.get_weights()))
    return encoder


def _cell_of(layer: keras.layers.Layer) -> Cell:
    """Returns a cell with the options of a Keras layer. The weights are not copied."""
    if not isinstance(layer, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        raise ValueError(
            f"{layer.name} must be a SimpleRNN, LSTM or GRU, or a Bidirectional of these layers; got "
            f"{type(layer).__name__}"
        )
    if not layer.built:
        raise ValueError(f"{layer.name} is not built; call the layer once before the conversion")
    options = {
        **_shared(layer),
        "units": layer.units,
        "recurrent_dropout": layer.recurrent_dropout,
        "dtype": layer.dtype_policy,
    }
    if isinstance(layer, keras.layers.SimpleRNN):
        return RNNCell(**options)
    if isinstance(layer, keras.layers.LSTM):
        return LSTMCell(forget_bias=float(layer.unit_forget_bias), **options)
    cell = GRUCell(reset_after=layer.reset_after, **options)
    _check_signs(layer.name, cell)
    if layer.reset_after and layer.use_bias and (layer.bias_regularizer or layer.bias_constraint):
        warnings.warn(
            f"{layer.name} has two biases per gate, but GRUCell stores only their sum; after the conversion, "
            "the regularizer and the constraint of the bias apply to the sum",
            stacklevel=3,
        )
    return cell


def _shared(source: Any) -> dict[str, Any]:
    """Returns the options that Keras and this library share, read from a cell or a Keras layer."""
    config = source.get_config()
    options = {name: config[name] for name in SHARED}
    # The config cannot store every activation function, so the function objects are copied.
    options["activation"] = source.activation
    if "recurrent_activation" in config:
        options["recurrent_activation"] = source.recurrent_activation
    return options


def _check_signs(name: str, cell: GRUCell) -> None:
    """Raises ValueError if a regularizer or a constraint of a GRU depends on the sign of the weights.

    The conversion negates the weights of the update gate. The check applies every regularizer and every
    constraint to random weights, once with and once without this negation. The regularizer must return the
    same penalty. The constraint must return the same weights except for the negation.
    """
    rng = np.random.default_rng(0)
    for weight in ("kernel", "recurrent", "bias"):
        shape = (3 * cell.units,) if weight == "bias" else (cell.units, 3 * cell.units)
        values = rng.normal(size=shape).astype(np.float32)
        turned = _negate_update(values, cell.units)
        regularizer, constraint = (
            getattr(cell, f"{weight}_regularizer"),
            getattr(cell, f"{weight}_constraint"),
        )
        if regularizer and not np.allclose(regularizer(values), regularizer(turned), rtol=1e-4):
            wrong = regularizer
        elif constraint and not np.allclose(
            _negate_update(constraint(values), cell.units), constraint(turned), atol=1e-5
        ):
            wrong = constraint
        else:
            continue
        raise ValueError(
            f"{name} cannot be converted; the option {type(wrong).__name__} of its {weight} weights depends "
            "on the sign of the weights, but the conversion negates the weights of the update gate; create "
            "the GRU without this option"
        )


def _negate_update(columns: Any, units: int) -> np.ndarray:
    columns = np.asarray(columns)
    return np.concatenate([-columns[..., :units], columns[..., units:]], axis=-1)


def _keras_weights(cell: Cell) -> list[np.ndarray]:
    if not isinstance(cell, GRUCell):
        return cell.get_weights()
    weights = [_negate_update(weight, cell.units) for weight in cell.get_weights()[:3]]
    if cell.reset_after and cell.use_bias:
        recurrent_bias = np.zeros_like(weights[2])
        recurrent_bias[2 * cell.units :] = cell.get_weights()[3]
        weights[2] = np.stack([weights[2], recurrent_bias])  # (2, 3 units)
    return weights


def _our_weights(cell: Cell, weights: list[np.ndarray]) -> list[np.ndarray]:
    if not isinstance(cell, GRUCell):
        return weights
    weights = [_negate_update(weight, cell.units) for weight in weights]
    if not (cell.reset_after and cell.use_bias):
        return weights
    # Keras stores an input bias and a recurrent bias. In the update gate and the reset gate, it adds both, so
    # our cell stores only their sum. The candidate state needs both biases, because Keras multiplies only the
    # recurrent bias by the reset gate.
    kernel, recurrent_kernel, (inputs, recurrent) = weights
    inputs[: 2 * cell.units] += recurrent[: 2 * cell.units]
    return [kernel, recurrent_kernel, inputs, recurrent[2 * cell.units :]]
