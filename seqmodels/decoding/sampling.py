"""Sampling of tokens from logits."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from seqmodels.decoding.rules import at_least


@dataclass(frozen=True)
class Sampling:
    """Settings of `draw`. Each setting is a number or a scalar tensor.

    Attributes:
        temperature: divisor of the logits. 0 selects the most probable token.
        top_k: number k. Only the k most probable tokens can be sampled. 0 keeps all tokens.
        top_p: total probability of the tokens that can be sampled (Holtzman et al. 2020, "The curious case of
            neural text degeneration", section 3.1). From the tokens that ``top_k`` keeps, the most probable
            tokens are kept until the sum of their probabilities reaches ``top_p``. At least one token is
            kept. 1 keeps all tokens.

    Raises:
        ValueError: a number is outside its range.

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
    """Returns the random numbers of one step, (rows,) float64 in [0, 1).

    The same arguments always give the same numbers.

    >>> numbers = uniform(seed=1, time=0, rows=4)
    >>> numbers.shape, bool(tf.reduce_all(numbers == uniform(seed=1, time=0, rows=4)))
    (TensorShape([4]), True)
    """
    key = tf.stack([tf.cast(seed, tf.int64), tf.cast(time, tf.int64)])
    return tf.random.stateless_uniform((rows,), key, dtype=tf.float64, alg="philox")


def draw(logits: tf.Tensor, numbers: tf.Tensor, sampling: Sampling) -> tf.Tensor:
    """Samples one token per row from one random number per row (inverse transform sampling).

    Tokens are sorted from the largest logit to the smallest. Tokens with equal logits are sorted by rising
    id. The computation uses double precision. The same logits and the same number therefore give the same
    token on every platform. The following NumPy code computes the token of one row::

            order = np.argsort(-logits, kind="stable")[:top_k]  # [:V] without top_k
            falling = logits[order].astype(np.float64)
            weights = np.exp((falling - falling[0]) / temperature)
            probabilities = weights / weights.sum()
            cumulative = np.cumsum(probabilities)
            left = np.sum(cumulative - probabilities < top_p)
            token = order[np.sum(cumulative[: left - 1] <= number * cumulative[left - 1])]

    Args:
        logits: logits of n rows and V tokens, (n, V). Tokens with the logit -inf are never selected.
        numbers: random numbers in [0, 1), (n,) float64.
        sampling: settings of the sampling.

    Returns:
        The tokens, (n,) int32.

    >>> logits = tf.math.log([[0.5, 0.3, 0.2]])
    >>> [int(draw(logits, tf.constant([number], tf.float64), Sampling())[0]) for number in (0.1, 0.6, 0.9)]
    [0, 1, 2]
    """
    size = tf.shape(logits)[1]
    few = isinstance(sampling.top_k, int) and sampling.top_k > 0  # if True, only the top k tokens are sorted
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
    # If a number is just below 1, rounding can make ``numbers * total`` equal to ``total``. The index would
    # then be one too large. It is therefore limited to the last token that can be sampled.
    return tf.gather(order, tf.minimum(passed, left - 1), batch_dims=1)
