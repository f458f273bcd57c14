"""The signatures of the SavedModel.

``score`` and ``generate`` receive raw text. ``step`` reads a single token. Other programs can call
``step`` in a loop.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.language_modeling.data import encode
from apps.language_modeling.generation import FORBIDDEN, begin, step
from apps.language_modeling.mixed_model import MixedModel
from seqmodels import decoding
from seqmodels.data.sequences import PAD
from seqmodels.data.tokenizer import END, SPECIAL_TOKENS, Tokenizer
from seqmodels.export.signature import Signature
from seqmodels.models import NextToken

SERVED = (
    f"At the start of a text, the token of `step` is {END}, the end of a line. The state is then filled with "
    f"0, or with {END} if its dtype is int32. A model that was exported with --mix also has the input "
    "`history`: the tokens before the token in `tokens`, oldest first. At the start of a text, `history` may "
    "have any values. The logits of this model are logarithms of probabilities."
)


def signatures(model: NextToken | MixedModel, tokenizer: Tokenizer) -> list[Signature]:
    return [_score(model, tokenizer), _generate(model, tokenizer), step_signature(model)]


def _score(model: NextToken | MixedModel, tokenizer: Tokenizer) -> Signature:
    """Builds the signature ``score``, which computes the log-probability of every token in n texts.

    A line end is also a token. The input is ``text (n,)``. The outputs are ``tokens (n, T)``,
    ``log_probabilities (n, T)``, ``lengths (n,)`` and ``perplexity (n,)``. ``lengths`` contains the number of
    tokens of each text, and T is the largest of these numbers.
    """

    def score(text: tf.Tensor) -> dict[str, tf.Tensor]:
        ragged = encode(tokenizer, text)
        lengths = tf.cast(ragged.row_lengths(), tf.int32)
        targets = ragged.to_tensor(PAD)  # (batch, time)
        tokens = tf.concat([tf.fill([tf.size(text), 1], END), targets[:, :-1]], axis=1)
        features = model.features({"tokens": tokens, "lengths": lengths}, training=False)
        real = tf.sequence_mask(lengths, tf.shape(targets)[1])
        losses = model.losses_of(features.outputs, targets)
        losses = tf.where(real, losses, tf.zeros_like(losses))
        names = tf.gather(tf.constant(tokenizer.vocabulary), targets)
        return {
            "tokens": tf.where(real, names, tf.fill(tf.shape(names), "")),
            "log_probabilities": -losses,
            "lengths": lengths,
            "perplexity": tf.exp(tf.reduce_sum(losses, axis=1) / tf.cast(lengths, losses.dtype)),
        }

    spec = tf.TensorSpec([None], tf.string)
    outputs = ("tokens", "log_probabilities", "lengths", "perplexity")
    return Signature("score", score, {"text": spec}, outputs, [*_variables(model), tokenizer])


def _generate(model: NextToken | MixedModel, tokenizer: Tokenizer) -> Signature:
    """Builds the signature ``generate``, which continues n prompts.

    The input ``prompt (n,)`` contains the prompts, and ``length`` is the number of new tokens. The output is
    ``text (n,)``, the continuations without the prompts. With a ``temperature`` of 0, the most probable token
    is always chosen. With a ``top_k`` of 0 and a ``top_p`` of 1, tokens are sampled from the whole
    vocabulary. Equal inputs with an equal ``seed`` return equal texts.
    """

    def generate(
        prompt: tf.Tensor,
        length: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        seed: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        ragged = encode(tokenizer, prompt)[:, :-1]  # drop END, so that the model continues the last line
        prompts = tf.concat([tf.fill([tf.size(prompt), 1], END), ragged], axis=1)
        start, states = begin(model, prompts)
        decoded = decoding.sample(
            lambda tokens, states: step(model, tokens, states),
            start,
            states,
            decoding.Rules(length, forbidden=FORBIDDEN),
            decoding.Sampling(temperature, top_k, top_p),
            seed,
        )
        new = tf.RaggedTensor.from_tensor(decoded.tokens, decoded.lengths)
        before, whole = tokenizer.join(ragged), tokenizer.join(tf.concat([ragged, new], axis=1))
        return {"text": tf.strings.substr(whole, tf.strings.length(before), tf.strings.length(whole))}

    inputs = {
        "prompt": tf.TensorSpec([None], tf.string),
        "length": tf.TensorSpec([], tf.int32),
        "temperature": tf.TensorSpec([], tf.float32),
        "top_k": tf.TensorSpec([], tf.int32),
        "top_p": tf.TensorSpec([], tf.float32),
        "seed": tf.TensorSpec([], tf.int64),
    }
    resources = [*_variables(model), tokenizer]
    return Signature("generate", generate, inputs, ("text",), resources)


def step_signature(model: NextToken | MixedModel, rows: int | None = None) -> Signature:
    """Builds the signature ``step``, which reads one token of each text and predicts the next token.

    The input ``tokens (n,)`` contains the last token of each text. The input ``state (n, size)`` contains all
    states of the model, concatenated. The output ``state (n, size)`` contains the new states. The output
    ``logits (n, v)`` contains the logits of the next token, for a vocabulary of v tokens.

    At the start of a text, the token is the id ``END``, and the state is filled with 0. A fixed-window model
    needs a state that is filled with the id ``END``.

    A :class:`MixedModel` also has the input and output ``history (n, order - 1)`` int32: the tokens before
    ``tokens``, oldest first. At the start of a text, it may have any values. Its logits are the logarithms of
    the probabilities.

    Args:
        model: a language model.
        rows: number of texts, n. None allows any number.
    """
    example = (model.network if isinstance(model, MixedModel) else model).get_initial_state(1)
    parts = tf.nest.flatten(example)
    sizes = [part.shape[-1] for part in parts]

    def step_packed(tokens: tf.Tensor, state: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, states = step(model, tokens, unpacked(state))
        return {"logits": logits, "state": packed(states)}

    def step_mixed(tokens: tf.Tensor, state: tf.Tensor, history: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, (states, history) = step(model, tokens, (unpacked(state), history))
        return {"logits": logits, "state": packed(states), "history": history}

    def unpacked(state: tf.Tensor) -> Any:
        return tf.nest.pack_sequence_as(example, tf.split(state, sizes, axis=1))

    def packed(states: Any) -> tf.Tensor:
        return tf.concat(tf.nest.flatten(states), axis=1)

    inputs = {
        "tokens": tf.TensorSpec([rows], tf.int32),
        "state": tf.TensorSpec([rows, sum(sizes)], parts[0].dtype),
    }
    if not isinstance(model, MixedModel):
        return Signature("step", step_packed, inputs, ("logits", "state"), _variables(model))
    inputs["history"] = tf.TensorSpec([rows, model.order - 1], tf.int32)
    return Signature("step", step_mixed, inputs, ("logits", "state", "history"), _variables(model))


def examples(tokenizer: Tokenizer) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns inputs for the verification of ``score`` and ``generate``, in batches of several sizes.

    One text is empty. The other texts contain known words, many lines, unknown words, or invalid UTF-8.
    ``generate`` is called once with greedy decoding and once with sampling.
    """
    most = [*range(len(SPECIAL_TOKENS), len(tokenizer))][:3]
    known = tokenizer.join(tf.ragged.constant([most], dtype=tf.int32)).numpy()[0]
    rows = [known, b"", (known + b"\n") * 100, "\u65e0\u804a \U0001f600".encode(), b"\xff\xfe \xc3"]
    scored = [{"text": np.array(part, "S")} for part in (rows, rows[:1], rows[1:2])]
    generated = [
        {
            "prompt": np.array(rows[:count], "S"),
            "length": np.array(12, np.int32),
            "temperature": np.array(temperature, np.float32),
            "top_k": np.array(0, np.int32),
            "top_p": np.array(0.9, np.float32),
            "seed": np.array(7, np.int64),
        }
        for count, temperature in ((2, 0.0), (4, 1.0))
    ]
    return [("score", each) for each in scored] + [("generate", each) for each in generated]


def _variables(model: keras.Model) -> list[Any]:
    return [variable.value for variable in model.variables]
