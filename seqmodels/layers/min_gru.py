"""The minimal gated recurrent unit."""

from __future__ import annotations

import keras
import tensorflow as tf

from seqmodels.layers.linear import LinearCell


@keras.saving.register_keras_serializable(package="seqmodels")
class MinGRUCell(LinearCell):
    """Minimal gated recurrent unit (Feng et al. 2024, arXiv 2410.01201, section 3.1).

    .. math::
        u_t &= sigmoid(x_t W_u + b_u)                & update gate \\\\
        h~_t &= x_t W_h + b_h                        & candidate \\\\
        h_t &= (1 - u_t) * h_{t-1} + u_t * h~_t

    A GRU without its reset gate, its gates blind to ``h_{t-1}`` and its candidate without tanh. State and
    output ``h`` ``(n, units)``. Weights: ``kernel`` W ``(d, 2 units)``, ``bias`` b ``(2 units,)``, columns
    in the order u, h.

    Args:
        units: features of the state.
        **kwargs: of :class:`LinearCell`.
    """

    gates = 2

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        update, candidate = tf.split(projected, 2, axis=-1)
        u = tf.sigmoid(update)
        return 1 - u, u * candidate
