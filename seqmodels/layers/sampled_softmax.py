"""A softmax that compares a token with a sample of the others, for training alone."""

from __future__ import annotations

import tensorflow as tf

from seqmodels.kernels import projection
from seqmodels.layers.dropout import uniform


def sampled_softmax_losses(
    inputs: tf.Tensor, table: tf.Tensor, bias: tf.Tensor, targets: tf.Tensor, samples: int, seed: tf.Tensor
) -> tf.Tensor:
    """Negative log-likelihood of each target by an unbiased estimate of the softmax's denominator (Bengio and
    Senecal 2003; Jean et al. 2015, section 3).

    ::

        -log p = log(sum_{f in F} e^l_f + w sum_{r in R} e^l_r + e^l_t) - l_t,    l = x E^T + b
        w = (|O| - [t in O]) / (|R| - [t in R])

    without t in the sums. F are the most frequent tokens, which stand in every sum; of the others O, R are as
    many as F, drawn uniformly without repetition once for a call, each of which stands for w tokens. Ids
    should go from frequent to rare, as those of words and characters in :class:`Tokenizer` do. The logarithm
    of an unbiased estimate is on average a little less than that of the denominator, and so is the loss.

    Args:
        inputs: x, ``(n, T, d)``.
        table: E, ``(v, d)``.
        bias: b, ``(v,)``.
        targets: ``(n, T)`` ids.
        samples: tokens of F and R together, from 4 to ``v``.
        seed: of the draw, as :func:`uniform` takes it.

    Returns:
        ``(n, T)``, nats.
    """
    vocabulary, frequent = table.shape[0], samples // 2
    drawn, others = samples - frequent, vocabulary - frequent
    _, places = tf.math.top_k(uniform((others,), seed), drawn, sorted=False)
    ids = frequent + tf.cast(places, targets.dtype)  # R
    rows = tf.concat([table[:frequent], tf.gather(table, ids)], axis=0)  # (samples, features)
    row_bias = tf.concat([bias[:frequent], tf.gather(bias, ids)], axis=0)
    logits = projection(inputs, tf.transpose(rows), row_bias)  # (batch, time, samples)
    own = tf.reduce_sum(inputs * tf.gather(table, targets), axis=-1) + tf.gather(bias, targets)

    is_own = tf.concat([tf.range(frequent, dtype=targets.dtype), ids], axis=0) == targets[..., None]
    hits = tf.reduce_sum(tf.cast(is_own[..., frequent:], logits.dtype), axis=-1)  # the target is in R: 0 or 1
    rare = tf.cast(targets >= frequent, logits.dtype)
    stands_for = tf.math.log((others - rare) / (drawn - hits))[..., None]  # log w
    logits = tf.concat([logits[..., :frequent], logits[..., frequent:] + stands_for], axis=-1)
    logits = tf.where(is_own, tf.constant(logits.dtype.min, logits.dtype), logits)
    return tf.reduce_logsumexp(tf.concat([logits, own[..., None]], axis=-1), axis=-1) - own
