"""A language model that is mixed with an n-gram model, in plain TensorFlow operators."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.language_modeling.ngram_tables import tables_of
from apps.language_modeling.ngrams import NONE, NGrams
from seqmodels.data.tokenizer import END
from seqmodels.models import NextToken
from seqmodels.models.language_model import Features, Predicted


class MixedModel(keras.Model):
    """Predicts the next token with the probability ``p = weight * p_model + (1 - weight) * p_ngrams``.

    The model has the methods of :class:`seqmodels.models.NextToken`. Its logits are the logarithms of p. Its
    state is the pair ``(states of the model, history)``. ``history (n, order - 1)`` int32 contains the last
    tokens of each row, oldest first. The n-grams do not use tokens before the last line end.

    Args:
        model: a built language model.
        ngrams: n-gram model of the same tokens. The token ``END`` ends its sentences.
        weight: share of the language model in the probability, from 0 to 1.
    """

    def __init__(self, model: NextToken, ngrams: NGrams, weight: float):
        super().__init__(name="mixed")
        self.network, self.weight = model, weight
        self.order, self.vocabulary = ngrams.order, ngrams.vocabulary
        tables = tables_of(ngrams)
        self.unigrams = _constant(tables.unigrams, "unigrams")
        self.keys = [_constant(level.keys, f"keys_{n}") for n, level in enumerate(tables.levels, 2)]
        self.values = [_constant(level.values, f"values_{n}") for n, level in enumerate(tables.levels, 2)]
        self.gammas = [_constant(level.gammas, f"gammas_{n}") for n, level in enumerate(tables.levels, 2)]
        self.built = True

    def get_initial_state(self, rows: Any) -> Any:
        """Returns the states at the start of a text for ``rows`` rows."""
        return self.network.get_initial_state(rows), tf.fill((rows, self.order - 1), END)

    def features(self, inputs: dict[str, Any], training: bool = False) -> Features:
        """Computes the inputs of :meth:`logits` and :meth:`losses_of`. Takes the arguments of a call.

        The entry ``outputs`` is a pair: the outputs of the language model, and the last tokens of each step,
        ``(n, T, order - 1)``.
        """
        tokens, lengths = inputs["tokens"], inputs.get("lengths")
        rows, time = tokens.shape[0] or tf.shape(tokens)[0], tokens.shape[1] or tf.shape(tokens)[1]
        states = inputs.get("states")
        before, history = self.get_initial_state(rows) if states is None else states
        found = self.network.features({**inputs, "states": before}, training=training)
        tokens = tf.concat([history, tf.cast(tokens, tf.int32)], axis=1)  # (n, order - 1 + T)
        last = tf.stack([tokens[:, 1 + k : 1 + k + time] for k in range(self.order - 1)], axis=-1)
        ends = tf.fill((rows,), time) if lengths is None else tf.cast(lengths, tf.int32)
        history = tf.gather(tokens, ends[:, None] + tf.range(self.order - 1), batch_dims=1)
        return Features((found.outputs, last), found.raw, (found.states, history))

    def logits(self, outputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Computes ``ln p`` of every token, ``(n, T, v)``, from ``outputs`` of :meth:`features`."""
        hidden, last = outputs
        shape = tf.shape(last)
        ngrams = self._distributions(tf.reshape(last, (-1, self.order - 1)))
        ngrams = tf.reshape(ngrams, (shape[0], shape[1], self.vocabulary))
        return self._mixed(tf.nn.log_softmax(self.network.logits(hidden)), ngrams)

    def losses_of(self, outputs: tuple[tf.Tensor, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        """Returns the negative log-likelihood of each target in nats, ``(n, T)``."""
        hidden, last = outputs
        ngrams = self._probabilities(tf.reshape(last, (-1, self.order - 1)), tf.reshape(targets, (-1,)))
        losses = self.network.losses_of(hidden, targets)
        return -self._mixed(-losses, tf.reshape(ngrams, tf.shape(losses)))

    def call(self, inputs: dict[str, Any], training: bool = False) -> Predicted:
        features = self.features(inputs, training=training)
        return Predicted(self.logits(features.outputs), features.states)

    def _mixed(self, log_probabilities: tf.Tensor, ngrams: tf.Tensor) -> tf.Tensor:
        """Returns ``ln p``. ``ngrams`` contains the probabilities of the n-grams."""
        if self.weight in (0.0, 1.0):
            return log_probabilities if self.weight else tf.math.log(ngrams)
        parts = [log_probabilities + math.log(self.weight), tf.math.log(ngrams) + math.log1p(-self.weight)]
        return tf.reduce_logsumexp(tf.stack(parts), axis=0)

    def _distributions(self, last: tf.Tensor) -> tf.Tensor:
        """Returns the n-gram probability of every token after ``last (m, order - 1)``: ``(m, v)``."""
        count = tf.shape(last)[0]
        found = tf.tile(tf.convert_to_tensor(self.unigrams)[None], (count, 1))
        symbols = tf.constant(self.vocabulary + 1, tf.int64)
        for n, contexts in enumerate(self._contexts(last)):
            keys, known = tf.convert_to_tensor(self.keys[n]), contexts != NONE
            start = tf.searchsorted(keys, contexts * symbols)
            after = tf.searchsorted(keys, (contexts + 1) * symbols)
            ranges = tf.ragged.range(start, tf.where(known, after, start))  # rows of the tables, (m, None)
            places = tf.stack(
                [ranges.value_rowids(), tf.gather(keys, ranges.values) % symbols], axis=1
            )  # row and token
            found *= self._gammas(n, contexts)[:, None]
            found = tf.tensor_scatter_nd_add(
                found, places, tf.gather(tf.convert_to_tensor(self.values[n]), ranges.values)
            )
        return found

    def _probabilities(self, last: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the n-gram probability of one token after each row of ``last``: ``(m,)``."""
        found = tf.gather(tf.convert_to_tensor(self.unigrams), targets)
        for n, contexts in enumerate(self._contexts(last)):
            nodes = self._find(n, contexts, tf.cast(targets, tf.int64))
            values = tf.gather(tf.convert_to_tensor(self.values[n]), tf.maximum(nodes, 0))
            found = self._gammas(n, contexts) * found + tf.where(nodes == NONE, 0.0, values)
        return found

    def _contexts(self, last: tf.Tensor) -> list[tf.Tensor]:
        """Returns the nodes of the contexts with 1, 2 and more tokens, as a list of ``(m,)`` int64.

        The node of a context that the training text does not contain is ``NONE``.
        """
        last = tf.cast(last, tf.int64)
        ends = last == END
        # Number of line ends after each token. The line end itself stands for the start token.
        later = tf.cumsum(tf.cast(ends, tf.int64), axis=1, reverse=True, exclusive=True)
        symbols = tf.where(ends, tf.constant(self.vocabulary, tf.int64), last)
        symbols = tf.where(later > 0, tf.constant(NONE, tf.int64), symbols)
        found = []
        for size in range(1, len(self.keys) + 1):
            nodes = symbols[:, -size]
            for place in range(1, size):
                nodes = self._find(place - 1, nodes, symbols[:, place - size])
            found.append(nodes)
        return found

    def _find(self, n: int, contexts: tf.Tensor, tokens: tf.Tensor) -> tf.Tensor:
        """Returns the nodes of the n-grams that consist of a context and a token, or ``NONE``: ``(m,)``."""
        keys = tf.convert_to_tensor(self.keys[n])
        wanted = tf.where(
            (contexts == NONE) | (tokens == NONE),
            tf.constant(NONE, tf.int64),
            contexts * (self.vocabulary + 1) + tokens,
        )
        places = tf.minimum(tf.searchsorted(keys, wanted), tf.size(keys) - 1)
        known = tf.gather(keys, places) == wanted
        return tf.where(known, tf.cast(places, tf.int64), tf.constant(NONE, tf.int64))

    def _gammas(self, n: int, contexts: tf.Tensor) -> tf.Tensor:
        gammas = tf.gather(tf.convert_to_tensor(self.gammas[n]), tf.maximum(contexts, 0))
        return tf.where(contexts == NONE, 1.0, gammas)


def _constant(value: np.ndarray, name: str) -> keras.Variable:
    return keras.Variable(value, dtype=value.dtype.name, trainable=False, name=name)
