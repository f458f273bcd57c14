"""Dynamic evaluation and a cache: two methods that adapt a trained model to the text that is scored.

Both methods predict a token only from earlier tokens. Their scores are reported separately from the scores
of the unadapted model.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from apps.language_modeling.inference import reader
from seqmodels.data.running import running_text
from seqmodels.data.tokenizer import END
from seqmodels.errors import UserError
from seqmodels.models import NextToken

SEGMENT = 5  # number of tokens between two updates of the weights in dynamic evaluation
STATISTICS = 500  # number of training batches from which the mean square of the gradient is computed
COLUMNS = 100  # number of sequences in each of the STATISTICS batches
EPSILON = 1e-3  # epsilon in the formula of ``dynamic_losses``
BLOCK = 512  # number of tokens whose cache probabilities are computed together


def dynamic_losses(
    model: NextToken, ids: np.ndarray, train_ids: np.ndarray, rate: float, decay: float
) -> np.ndarray:
    """Computes losses with dynamic evaluation (Krause et al. 2018, arXiv 1709.07432, equations 5 to 7).

    The text is scored in segments of ``SEGMENT`` tokens. After each segment, the weights are updated by a
    gradient step on this segment. They also decay towards their trained values ``w_0``::

        w <- w - rate g / (RMS + epsilon) + decay (w_0 - w) RMS / mean(RMS)

    ``w`` is one weight, and ``g`` is the gradient of the mean loss of the segment. ``RMS`` is the root mean
    square of the gradients of ``w`` on segments of the training text. ``mean(RMS)`` is the mean of ``RMS``
    over all weights. If the factor ``decay RMS / mean(RMS)`` is above 1, it is set to 1. At the end, the
    trained weights of the model are restored.

    Args:
        model: a built model.
        ids: token ids of the text to score, ``(tokens,)``.
        train_ids: token ids of the training split, ``(tokens,)``.
        rate: learning rate, ``rate`` in the formula.
        decay: strength of the decay towards the trained weights, ``decay`` in the formula.

    Returns:
        the loss of each token, ``(tokens,)`` float64.

    Raises:
        UserError: a loss is not finite.
    """
    variables = model.trainable_variables
    beginning = [tf.convert_to_tensor(variable) for variable in variables]
    squares = [tf.Variable(tf.zeros_like(value)) for value in beginning]

    def gradients(tokens: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, states: Any) -> tuple:
        values = [variable.value for variable in variables]
        with tf.GradientTape() as tape:
            features = model.features({"tokens": tokens, "states": states}, training=False)
            losses = model.losses_of(features.outputs, targets)
            mean = tf.reduce_sum(losses * weights) / tf.reduce_sum(weights)
        found = tape.gradient(mean, values, unconnected_gradients="zero")
        return [tf.convert_to_tensor(gradient) for gradient in found], losses, features.states

    @tf.function(jit_compile=True, autograph=False)
    def measure(tokens: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, states: Any) -> Any:
        found, _, states = gradients(tokens, targets, weights, states)
        for square, gradient in zip(squares, found):
            square.assign_add(tf.square(gradient))
        return states

    columns = min(COLUMNS, max(len(train_ids) // SEGMENT, 1))
    windows = running_text(train_ids, END, batch_size=columns, lengths=[SEGMENT]).take(STATISTICS)
    states, count = model.get_initial_state(columns), 0
    for window in windows:
        if np.any(window[2]):
            states, count = measure(*window, states), count + 1
    roots = [tf.sqrt(square / count) for square in squares]
    mean = sum(tf.reduce_sum(root) for root in roots) / sum(tf.size(root, tf.float32) for root in roots)
    back = [tf.minimum(decay * root / mean, 1.0) for root in roots]

    @tf.function(jit_compile=True, autograph=False)
    def score_and_learn(tokens: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, states: Any) -> tuple:
        found, losses, states = gradients(tokens, targets, weights, states)
        for variable, start, gradient, root, share in zip(variables, beginning, found, roots, back):
            value = tf.convert_to_tensor(variable)
            variable.assign(value - rate * gradient / (root + EPSILON) + share * (start - value))
        return losses, states

    states, parts = model.get_initial_state(1), []
    for window in running_text(ids, END, batch_size=1, lengths=[SEGMENT]):
        losses, states = score_and_learn(*window, states)
        parts.append(losses[0].numpy())
    for variable, value in zip(variables, beginning):
        variable.assign(value)
    losses = np.concatenate(parts)[: len(ids)].astype(np.float64)
    if not np.isfinite(losses).all():
        token = int(np.argmin(np.isfinite(losses))) + 1
        raise UserError(
            f"--dynamic-rate {rate:g} makes dynamic evaluation diverge at token {token}; "
            "use a lower --dynamic-rate"
        )
    return losses


def cached_losses(model: NextToken, ids: np.ndarray, size: int, flatness: float, weight: float) -> np.ndarray:
    """Computes losses with a continuous cache (Grave et al. 2017, arXiv 1612.04426, equations 3 and 4).

    The cache stores the last outputs of the model, ``h_i``, and the tokens that followed them, ``x_{i+1}``.
    Each stored output votes for the token that followed it. The vote is larger if the stored output is
    similar to the current output ``h_t``. The model predicts the next token w with probability ``p_model``,
    and the votes predict it with probability ``p_cache``. The result p is a weighted mean of the two::

        p_cache(w) ~ sum_i [x_{i+1} = w] exp(flatness h_t . h_i),    p = (1 - weight) p_model + weight p_cache

    ``~`` means "is proportional to". ``[x_{i+1} = w]`` is 1 if the two tokens are equal, else 0.

    Args:
        model: a built model.
        ids: token ids of the text to score, ``(tokens,)``.
        size: number of stored outputs.
        flatness: weight of the similarity, theta in the paper. 0 makes all votes equal.
        weight: share of the cache in the probability, lambda in the paper. The first token is scored by the
            model alone, because the cache is empty.

    Returns:
        the loss of each token, ``(tokens,)`` float64. If ``weight`` is 1, a token without votes has an
        infinite loss.
    """
    parts = list(reader(model)(ids))
    losses = np.concatenate([part for part, _ in parts])
    outputs = np.concatenate([part for _, part in parts])  # (tokens, d)
    votes = np.zeros(len(ids))
    for start in range(0, len(ids), BLOCK):
        now = np.arange(start, min(start + BLOCK, len(ids)))
        memory = np.arange(max(start - size, 0), now[-1] + 1)
        remembered = (memory < now[:, None]) & (memory >= now[:, None] - size)  # (now, memory)
        scores = np.where(remembered, flatness * outputs[now] @ outputs[memory].T, -np.inf)
        largest = np.max(scores, axis=1, keepdims=True, initial=np.finfo(np.float32).min)
        shares = np.exp(scores - largest)
        right = ids[memory] == ids[now][:, None]
        votes[now] = np.sum(shares * right, axis=1) / np.maximum(shares.sum(axis=1), 1e-30)
    votes[1:] = (1 - weight) * np.exp(-losses[1:]) + weight * votes[1:]
    with np.errstate(divide="ignore"):
        return np.append(losses[:1], -np.log(votes[1:]))
