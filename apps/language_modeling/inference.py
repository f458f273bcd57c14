"""The negative log-likelihood of running text, token by token."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from seqmodels.data.text import running_text
from seqmodels.data.tokenizer import END
from seqmodels.models import NextToken

STEPS = 256  # tokens at once; the state is carried on


def token_losses(model: NextToken, ids: np.ndarray) -> np.ndarray:
    """Of each token after all before it, the text read in one pass: ``(tokens,)`` float64."""

    @tf.function(jit_compile=True, autograph=False)
    def read(tokens: tf.Tensor, targets: tf.Tensor, states: Any) -> tuple[tf.Tensor, Any]:
        features = model.features({"tokens": tokens, "states": states}, training=False)
        return model.losses_of(features.outputs, targets)[0], features.states

    states, losses = model.get_initial_state(1), []
    for tokens, targets, _ in running_text(ids, END, batch_size=1, lengths=[STEPS]):
        some, states = read(tokens, targets, states)
        losses.append(some.numpy())
    return np.concatenate(losses)[: len(ids)].astype(np.float64)
