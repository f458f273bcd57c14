"""Sampling of tokens from logits."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from seqmodels.decoding.rules import at_least


@dataclass(frozen=True)
class Sampling:
    """Settings of `draw`: numbers or scalar tensors.

    Attributes:
        temperature: divisor of the logits; 0 selects the most probable token.
        top_k: number of most probable tokens to sample from; 0 keeps all tokens.
        top_p: probability mass to sample from (Holtzman et al. 2020, "The curious case of neural text
            degeneration", section 3.1). Of the top k tokens, it keeps the smallest number of most probable
            tokens with this mass, and at least one. 1 keeps all tokens.

    Raises:
        ValueError: a number outside its range.

    >>> Sampling(temperature=0.8, top_k=40)
    Sampling(temperature=0.8, top_k=40, top_p=1.0)
    """

    temperature: float | tf.Tensor = 1.0
    top_k: int | tf.Tensor = 0
    top_p: float | tf.Tensor = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.temperature, (int, float)):
            at_least("temperature", self.temperature, 0)
        if isinstance(self.top_k, int):
            at_least("top_k", self.top_k, 0)
        if isinstance(self.top_p, (int, float)) and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be greater than 0 and at most 1; got {self.top_p}")


def uniform(seed: int | tf.Tensor, time: int | tf.Tensor, rows: int | tf.Tensor) -> tf.Tensor:
    """Returns the random numbers in [0, 1) of one step, (rows,) float64, determined by the arguments.

    >>> numbers = uniform(seed=1, time=0, rows=4)
    >>> numbers.shape, bool(tf.reduce_all(numbers == uniform(seed=1, time=0, rows=4)))
    (TensorShape([4]), True)
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(time, tf.int64)])
    return tf.random.stateless_uniform((rows,), key, dtype=tf.float64, alg="philox")


def draw(logits: tf.Tensor, numbers: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """Selects a token for each number by the inverse of the cumulative distribution.

    Tokens are sorted by falling logit, and equal logits by rising id. The computation uses double precision.
    The same logits and the same number therefore give the same token on every platform. In NumPy, for one
    row::

            order = np.argsort(-logits, kind="stable")[:top_k]  # [:V] without top_k
            falling = logits[order].astype(np.float64)
            weights = np.exp((falling - falling[0]) / temperature)
            probabilities = weights / weights.sum()
            cumulative = np.cumsum(probabilities)
            left = np.sum(cumulative - probabilities < top_p)
            token = order[np.sum(cumulative[: left - 1] <= number * cumulative[left - 1])]

    Args:
        logits: (n, V); tokens with -inf are never selected.
        numbers: random numbers in [0, 1), (n,) float64.
        sampling: temperature and the candidate tokens.

    Returns:
        (n,) int32.

    >>> logits = tf.math.log([[0.5, 0.3, 0.2]])
    >>> [int(draw(logits, tf.constant([number], tf.float64), Sampling())[0]) for number in (0.1, 0.6, 0.9)]
    [0, 1, 2]
    """
    size = tf.shape(logits)[1]
    few = isinstance(sampling.top_k, int) and sampling.top_k > 0  # the other tokens need no sorting
    falling, order = tf.math.top_k(logits, tf.minimum(sampling.top_k, size) if few else size)  # (n, sorted)
    temperature = tf.cast(sampling.temperature, tf.float64)
    likeliest = tf.equal(temperature, 0.0)
    top_k = tf.where(likeliest, 1, tf.cast(sampling.top_k, tf.int32))
    allowed = tf.range(tf.shape(order)[1]) < tf.where(top_k > 0, top_k, size)  # (sorted,)
    falling = tf.cast(falling, tf.float64)
    scaled = (falling - falling[:, :1]) / tf.where(likeliest, tf.ones_like(temperature), temperature)
    weights = tf.where(allowed, tf.exp(scaled), tf.zeros_like(scaled))
    probabilities = weights / tf.reduce_sum(weights, axis=1, keepdims=True)
    cumulative = tf.cumsum(probabilities, axis=1)
    left = (cumulative - probabilities < tf.cast(sampling.top_p, tf.float64)) & allowed  # (n, sorted)
    total = tf.reduce_max(tf.where(left, cumulative, tf.zeros_like(cumulative)), axis=1)
    passed = left & (cumulative <= (numbers * total)[:, None])
    passed, left = (tf.reduce_sum(tf.cast(x, tf.int32), axis=1) for x in (passed, left))  # (n,)
    # A number just below 1 times the total may round to the total, so the index is limited to the last token.
    return tf.gather(order, tf.minimum(passed, left - 1), batch_dims=1)
