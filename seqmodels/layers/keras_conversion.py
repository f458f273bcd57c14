"""To and from Keras' own recurrent layers, weight by weight.

Keras' GRU writes ``h_t = z * h_{t-1} + (1 - z) * h~_t``: its update gate ``z`` is our ``1 - u``. Since
``1 - sigmoid(a) = sigmoid(-a)``, the columns and biases of that gate change sign.
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
    """The Keras layer with the same weights, built, returning sequences and states.

    Two things differ: Keras writes the outputs of a reversed layer in the order of computation, last step
    first, and it has no weight dropout, so that this part of the training is left out.

    Args:
        recurrent: a built ``Recurrent`` over an ``RNNCell``, ``LSTMCell`` or ``GRUCell``.

    Raises:
        ValueError: a layer that is not built, or a cell that Keras does not have.

    >>> from seqmodels.cells import LSTMCell
    >>> recurrent = Recurrent(LSTMCell(3))
    >>> outputs, _ = recurrent(tf.ones((2, 4, 5)))
    >>> layer = to_keras(recurrent)
    >>> type(layer).__name__, np.allclose(layer(tf.ones((2, 4, 5)))[0], outputs, atol=1e-5)
    ('LSTM', True)
    """
    cell = recurrent.cell
    if not cell.built:
        raise ValueError(f"{recurrent.name} has no weights yet; call it once before converting")
    if not isinstance(cell, RNNCell | LSTMCell | GRUCell):
        raise ValueError(f"Keras has no {type(cell).__name__}; expected RNNCell, LSTMCell or GRUCell")
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
    """Our ``Recurrent`` with the weights of a built ``keras.layers.SimpleRNN``, ``LSTM`` or ``GRU``.

    Raises:
        ValueError: a layer of another type, not built, without bias, or with activations that our equations
            do not have.

    >>> layer = keras.layers.GRU(3, return_sequences=True)
    >>> outputs = layer(tf.ones((2, 4, 5)))
    >>> recurrent = from_keras(layer)
    >>> type(recurrent.cell).__name__, np.allclose(recurrent(tf.ones((2, 4, 5)))[0], outputs, atol=1e-5)
    ('GRUCell', True)
    """
    if not isinstance(layer, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        raise ValueError(f"{layer.name} is a {type(layer).__name__}; expected SimpleRNN, LSTM or GRU")
    if not layer.built:
        raise ValueError(f"{layer.name} has no weights yet; call it once before converting")
    if not layer.use_bias:
        raise ValueError(f"{layer.name} has no bias; our cells always have one")
    config = layer.get_config()
    options: dict[str, Any] = {"recurrent_dropout": layer.recurrent_dropout, "dtype": layer.dtype_policy}
    cell: Cell
    if isinstance(layer, keras.layers.SimpleRNN):
        cell = RNNCell(layer.units, activation=layer.activation, **options)
    elif (config["activation"], config["recurrent_activation"]) != ("tanh", "sigmoid"):
        raise ValueError(
            f"{layer.name} has activation {config['activation']} and recurrent_activation "
            f"{config['recurrent_activation']}; our gated cells have tanh and sigmoid"
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
    # The gates u and r see the sum of both biases; only the candidate's recurrent bias stands inside r.
    inputs, recurrent = bias
    inputs[: 2 * cell.units] += recurrent[: 2 * cell.units]
    return [kernel, recurrent_kernel, inputs, recurrent[2 * cell.units :]]
