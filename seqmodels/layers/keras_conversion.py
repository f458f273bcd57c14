"""Conversion of recurrent layers from this library to Keras and from Keras to this library.

The GRU of Keras computes ``h_t = z * h_{t-1} + (1 - z) * h~_t``. Its update gate ``z`` is therefore equal to
``1 - u``, where ``u`` is the update gate of :class:`seqmodels.cells.GRUCell`. Because
``1 - sigmoid(a) = sigmoid(-a)``, the conversion negates the weights and biases of the update gate.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from seqmodels.cells import Cell
from seqmodels.cells.gru import GRUCell
from seqmodels.cells.lstm import LSTMCell
from seqmodels.cells.rnn import RNNCell
from seqmodels.layers.recurrent import Recurrent


def to_keras(recurrent: Recurrent) -> keras.layers.Layer:
    """Converts a ``Recurrent`` to a built Keras layer with the same weights.

    The Keras layer returns the outputs of all steps and the final states. It differs from ``recurrent`` in
    two ways:

    - If ``recurrent.reverse`` is True, the Keras layer returns its outputs in the order of computation. The
      output for the last time step then comes first.
    - Keras does not support weight dropout. The Keras layer therefore trains without weight dropout.

    Args:
        recurrent: a built ``Recurrent`` with an ``RNNCell``, ``LSTMCell`` or ``GRUCell``.

    Raises:
        ValueError: if the layer is not built or has another type of cell.

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
        "units": cell.units,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": recurrent.reverse,
        "dropout": recurrent.dropout,
        "recurrent_dropout": cell.recurrent_dropout,
        "dtype": recurrent.dtype_policy,
    }
    if isinstance(cell, RNNCell):
        layer = keras.layers.SimpleRNN(activation=cell.activation, **kwargs)
    elif isinstance(cell, LSTMCell):
        layer = keras.layers.LSTM(**kwargs)
    else:
        layer = keras.layers.GRU(reset_after=cell.reset_after, **kwargs)
    layer.build((None, None, cell.kernel.shape[0]))
    layer.set_weights(_keras_weights(cell))
    return layer


def from_keras(layer: keras.layers.Layer) -> Recurrent:
    """Converts a built ``keras.layers.SimpleRNN``, ``LSTM`` or ``GRU`` and its weights to a ``Recurrent``.

    Raises:
        ValueError: if the layer has another type, is not built or has no bias. Also if an LSTM or GRU has
            activations other than tanh (candidate) and sigmoid (gates).

    >>> layer = keras.layers.GRU(3, return_sequences=True)
    >>> outputs = layer(tf.ones((2, 4, 5)))
    >>> recurrent = from_keras(layer)
    >>> type(recurrent.cell).__name__, np.allclose(recurrent(tf.ones((2, 4, 5)))[0], outputs, atol=1e-5)
    ('GRUCell', True)
    """
    if not isinstance(layer, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        raise ValueError(f"{layer.name} must be a SimpleRNN, LSTM or GRU; got {type(layer).__name__}")
    if not layer.built:
        raise ValueError(f"{layer.name} is not built; call the layer once before the conversion")
    if not layer.use_bias:
        raise ValueError(f"{layer.name} must have a bias; create the Keras layer with use_bias=True")
    config = layer.get_config()
    options: dict[str, Any] = {"recurrent_dropout": layer.recurrent_dropout, "dtype": layer.dtype_policy}
    cell: Cell
    if isinstance(layer, keras.layers.SimpleRNN):
        cell = RNNCell(layer.units, activation=layer.activation, **options)
    elif (config["activation"], config["recurrent_activation"]) != ("tanh", "sigmoid"):
        raise ValueError(
            f"{layer.name} must have activation tanh and recurrent_activation sigmoid; got "
            f"{config['activation']} and {config['recurrent_activation']}"
        )
    elif isinstance(layer, keras.layers.LSTM):
        cell = LSTMCell(layer.units, **options)
    else:
        cell = GRUCell(layer.units, reset_after=layer.reset_after, **options)
    recurrent = Recurrent(cell, reverse=layer.go_backwards, dropout=layer.dropout)
    weights = layer.get_weights()
    recurrent.build((None, None, weights[0].shape[0]))
    cell.set_weights(_our_weights(cell, weights))
    return recurrent


def _negate_update(columns: np.ndarray, units: int) -> np.ndarray:
    return np.concatenate([-columns[..., :units], columns[..., units:]], axis=-1)


def _keras_weights(cell: Cell) -> list[np.ndarray]:
    if not isinstance(cell, GRUCell):
        return cell.get_weights()
    kernel, recurrent_kernel, bias = (_negate_update(w, cell.units) for w in cell.get_weights()[:3])
    if cell.reset_after:
        recurrent_bias = np.zeros_like(bias)
        recurrent_bias[2 * cell.units :] = cell.get_weights()[3]
        bias = np.stack([bias, recurrent_bias])  # (2, 3 units)
    return [kernel, recurrent_kernel, bias]


def _our_weights(cell: Cell, weights: list[np.ndarray]) -> list[np.ndarray]:
    if not isinstance(cell, GRUCell):
        return weights
    kernel, recurrent_kernel, bias = (_negate_update(w, cell.units) for w in weights)
    if not cell.reset_after:
        return [kernel, recurrent_kernel, bias]
    # For the gates u and r, Keras adds the two biases, so their sum is stored as one bias. The candidate
    # needs both biases, because Keras multiplies only the recurrent bias by r.
    inputs, recurrent = bias
    inputs[: 2 * cell.units] += recurrent[: 2 * cell.units]
    return [kernel, recurrent_kernel, inputs, recurrent[2 * cell.units :]]
