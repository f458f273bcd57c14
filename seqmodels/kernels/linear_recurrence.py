r"""Linear recurrences, whose steps can be computed in parallel.

.. math:: h_t = a_t * h_{t-1} + b_t

Two steps can be combined into one step of the same form:
:math:`h_t = (a_t a_{t-1}) h_{t-2} + (a_t b_{t-1} + b_t)`. The combination of steps is associative. A parallel
scan can therefore compute all T states in about ``2 log2 T`` rounds instead of T steps. At first, each
round halves the number of steps, until one step is left. Then each round doubles the number of computed
states (Blelloch 1990, "Prefix sums and their applications"; Martin and Cundy 2018, arXiv 1709.04057).

The backward pass is a recurrence of the same form that runs from the last step to the first. ``G_t`` is the
gradient of the loss with respect to the output ``h_t`` alone. ``l_t`` also includes the effect of ``h_t`` on
all later states:

.. math:: l_t = G_t + a_{t+1} * l_{t+1}, \quad da_t = l_t * h_{t-1}, \quad db_t = l_t, \quad dh_0 = a_1 * l_1

One step rarely uses all arithmetic units of a GPU. On a GPU, the parallel scan is therefore faster. On a CPU
with few cores, one step already uses all cores. On such a CPU, a loop over the steps is faster than the
parallel scan, because the loop reads and writes every number only once.
"""

from __future__ import annotations

import tensorflow as tf

from seqmodels.kernels.scan import Tensors, once_differentiable, scan, shifted, time_major

METHODS = ("walk", "rounds")


def linear_recurrence(
    a: tf.Tensor,
    b: tf.Tensor,
    initial: tf.Tensor,
    lengths: tf.Tensor | None = None,
    method: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes all states of ``h_t = a_t * h_{t-1} + b_t``.

    Args:
        a: factors for n rows, T steps and h features, ``(n, T, h)``.
        b: summands ``(n, T, h)``.
        initial: state before the first step, ``(n, h)``.
        lengths: number of real steps (steps that are not padding) of each row, ``(n,)`` int32. None means
            that no row has padding.
        method: ``walk`` runs a loop over the steps, and ``rounds`` runs a parallel scan. Default: ``rounds``
            if a GPU is available, else ``walk``.

    Returns:
        The states ``(n, T, h)``, which are zero in the padding, and the state ``(n, h)`` after the
        last real step of each row.

    Raises:
        ValueError: ``method`` is not in ``METHODS``.

    >>> a, b = tf.fill((1, 3, 1), 0.5), tf.ones((1, 3, 1))
    >>> states, last = linear_recurrence(a, b, initial=tf.zeros((1, 1)))
    >>> states[0, :, 0].numpy(), last.numpy()
    (array([1.  , 1.5 , 1.75], dtype=float32), array([[1.75]], dtype=float32))
    """
    if method is None:
        method = "rounds" if tf.config.list_physical_devices("GPU") else "walk"
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}")
    if lengths is None:
        states = _recurrence(a, b, initial, method)
        last = tf.concat([initial[:, None], states], axis=1)[:, -1]  # also correct if T is 0
        return states, last
    real = tf.sequence_mask(lengths, tf.shape(a)[1])[..., None]  # (batch, time, 1)
    # In the padding, the factor is 1 and the summand is 0. The last real state is therefore copied to
    # the end of the sequence.
    a, b = tf.where(real, a, tf.ones_like(a)), tf.where(real, b, tf.zeros_like(b))
    states = _recurrence(a, b, initial, method)
    last = tf.concat([initial[:, None], states], axis=1)[:, -1]
    return tf.where(real, states, tf.zeros_like(states)), last


def _recurrence(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, method: str) -> tf.Tensor:
    all_states = _walk if method == "walk" else _rounds

    @tf.custom_gradient
    def run(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor) -> tuple:
        coefficients = time_major(a)  # (time, batch, units)
        states = all_states(coefficients, time_major(b), initial)

        def gradient(upstream: tf.Tensor) -> tuple:
            following = tf.concat([coefficients[1:], tf.zeros_like(coefficients[:1])], axis=0)
            adjoint = all_states(following, time_major(upstream), tf.zeros_like(initial), reverse=True)
            # The gradient of the initial state has the shape (batch, units). If there are no time steps, the
            # gradient is zero.
            d_initial = tf.reduce_sum(coefficients[:1] * adjoint[:1], axis=0)
            return time_major(adjoint * shifted(initial, states)), time_major(adjoint), d_initial

        return time_major(states), once_differentiable(gradient, "linear recurrence")

    return run(a, b, initial)


def _walk(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    """Computes the states ``(T, n, h)`` in a loop over the steps. The states overwrite b.

    If ``reverse`` is True, the loop runs from the last step to the first.
    """

    def step(t: tf.Tensor, inputs: Tensors, states: Tensors) -> tuple[Tensors, Tensors]:
        (b, a), (h,) = inputs, states
        h = a * h + b  # (batch, units)
        return (h,), (h,)

    (states,), _ = scan(step, (b, a), (initial,), (b.shape[-1],), reverse=reverse, replace=True)
    return states


def _rounds(a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    """Computes the same states as :func:`_walk`, but by a parallel scan."""
    if reverse:
        return tf.reverse(_rounds(tf.reverse(a, axis=[0]), tf.reverse(b, axis=[0]), initial), axis=[0])
    if a.shape[0] == 0:
        return b
    b = tf.concat([b[:1] + a[:1] * initial, b[1:]], axis=0)
    return _by_halves(a, b) if a.shape[0] is not None else _by_doubling(a, b)


def _by_halves(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Computes all states by a parallel scan.

    The initial state is zero, and the number of steps is static.

    The steps are numbered from 0. The function combines steps 0 and 1 into one step, then steps 2 and 3, and
    so on. It calls itself for the combined steps and receives the states at odd t. It then computes the state
    at each even t from the state at t - 1.
    """
    time = a.shape[0]
    if time == 1:
        return b
    even = time // 2 * 2
    first_a, second_a = a[0:even:2], a[1:even:2]
    first_b, second_b = b[0:even:2], b[1:even:2]
    odd = _by_halves(second_a * first_a, second_a * first_b + second_b)  # states at t = 1, 3, 5 ...
    before = tf.concat([tf.zeros_like(odd[:1]), odd[: even // 2 - 1]], axis=0)
    pairs = tf.stack([first_a * before + first_b, odd], axis=1)  # (time / 2, 2, batch, units)
    states = tf.reshape(pairs, tf.concat([[even], tf.shape(b)[1:]], axis=0))
    states.set_shape((even, *b.shape[1:]))
    return states if even == time else tf.concat([states, a[-1:] * states[-1:] + b[-1:]], axis=0)


def _by_doubling(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Computes all states by a parallel scan (Hillis and Steele 1986).

    The initial state is zero. The number of steps may be unknown until run time. Round k combines each step t
    with step t - 2^k. The first round has k = 0.
    """
    time = tf.shape(a)[0]

    def late(x: tf.Tensor, offset: tf.Tensor, fill: float) -> tf.Tensor:
        return tf.concat([tf.fill(tf.shape(x[:offset]), tf.cast(fill, x.dtype)), x[: time - offset]], axis=0)

    def body(offset: tf.Tensor, a: tf.Tensor, b: tf.Tensor) -> tuple:
        return offset * 2, a * late(a, offset, 1.0), a * late(b, offset, 0.0) + b

    shapes = (tf.TensorShape(()), a.shape, b.shape)
    _, _, states = tf.while_loop(lambda offset, *_: offset < time, body, (1, a, b), shape_invariants=shapes)
    return states
