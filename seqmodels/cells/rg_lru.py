"""The real-gated linear recurrent unit (RG-LRU)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from seqmodels.cells.linear import LinearCell
from seqmodels.kernels import States

C = 8.0  # constant c of De et al. 2024, equation 3


@keras.saving.register_keras_serializable(package="seqmodels")
class RGLRUCell(LinearCell):
    """Real-gated linear recurrent unit (De et al. 2024, arXiv 2402.19427, section 2.4, equations 1 to 4).

    .. math::
            r_t &= sigmoid(x_t W_r + b_r)                 & recurrence gate \\\\
            i_t &= sigmoid(x_t W_i + b_i)                 & input gate \\\\
            v_t &= x_t W_v + b_v                          & value \\\\
            a_t &= a^{8 r_t}, \\quad a = sigmoid(A)        & decay \\\\
            h_t &= a_t * h_{t-1} + sqrt(1 - a_t^2) * (i_t * v_t)

    The paper uses ``x_t`` instead of ``v_t``. The projection to ``v_t`` allows inputs and states of different
    sizes. The state and the output are ``h`` ``(n, units)``.

    The weights are ``kernel`` W ``(d, 3 units)`` and ``bias`` b ``(3 units,)``, with columns in the order
    r, i, v. A third weight is ``decay`` A ``(units,)``. If ``r_t`` is 1, the factor ``a_t`` is ``a^8``.
    The initial values of ``a^8`` are random and uniformly distributed in [0.9, 0.999]. With such a factor the
    state decays over about 10 to 1,000 time steps.

    Args:
        units: size of the state.
        **kwargs: keyword arguments of :class:`LinearCell`.

    >>> cell = RGLRUCell(3)
    >>> output, (h,) = cell(tf.zeros((2, 5)), cell.get_initial_state(batch_size=2))
    >>> output.shape, cell.decay.shape
    (TensorShape([2, 3]), TensorShape([3]))
    """

    blocks = ("recurrence gate", "input gate", "value")
    source = "De et al. 2024, arXiv 2402.19427, section 2.4"

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.decay = self.add_weight(name="decay", shape=(self.units,), initializer=_slow_decays)

    def coefficients(self, projected: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        r, i, value = tf.split(projected, 3, axis=-1)
        log_a = C * tf.sigmoid(r) * tf.math.log_sigmoid(self._compute(self.decay))  # (..., units)
        # 1 - a^2 is computed by expm1, because a direct subtraction loses precision if a is close to 1. The
        # square root has no derivative at 0, so tf.maximum replaces 0 by a tiny positive number. 4 / max is
        # about the smallest normal number of the dtype.
        rest = tf.maximum(-tf.math.expm1(2 * log_a), 4 / log_a.dtype.max)
        return tf.exp(log_a), tf.sqrt(rest) * tf.sigmoid(i) * value

    def gate_values(self, projected: tf.Tensor, states: States, constants: tuple) -> dict[str, tf.Tensor]:
        r, i, _ = tf.split(tf.sigmoid(projected), 3, axis=-1)
        return {"decay": self.coefficients(projected)[0], "recurrence gate": r, "input gate": i}


def _slow_decays(shape: Any, dtype: Any = None) -> tf.Tensor:
    """Samples ``A`` such that ``sigmoid(A) ** 8`` is uniformly distributed in [0.9, 0.999]."""
    a = keras.random.uniform(shape, 0.9, 0.999, dtype=dtype) ** (1 / C)
    return tf.math.log(a) - tf.math.log1p(-a)
