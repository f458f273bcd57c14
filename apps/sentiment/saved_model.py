"""The signature of the SavedModel, which converts raw texts to labels and probabilities."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from apps.sentiment.data import Assets
from seqmodels.export.signature import Signature


def signatures(model: keras.Model, assets: Assets) -> list[Signature]:
    """Returns the signature ``classify``.

    The input is ``text``, a batch of ``n`` strings. The outputs are ``labels (n,)``,
    ``probabilities (n, classes)``, and ``classes (n, classes)``. Each row of ``classes`` contains the class
    names in the order of the probabilities. If texts can have several labels, they are joined by ``|`` in
    ``labels``. A model of numbers has only the output ``values (n,)``.
    """

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        predictions = assets.kind.predictions(model(assets.tensors(text), training=False))
        return assets.kind.served(predictions)

    resources = [*(variable.value for variable in model.variables), assets.tokenizer]
    spec = tf.TensorSpec([None], tf.string)
    return [Signature("classify", classify, {"text": spec}, assets.kind.served_names, resources)]


def examples(assets: Assets) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns inputs for the verification of the SavedModel, in batches of several sizes.

    Some texts are empty, very long, not in the Latin script, or not valid UTF-8.
    """
    words = " ".join(assets.tokenizer.vocabulary[-50:])
    texts = [
        "The plot was boring, but the acting was great.",
        "",
        f"{words} " * 200,
        "\u0444\u0438\u043b\u044c\u043c \u65e0\u804a\u7684\u7535\u5f71 \U0001f600",
        words,
    ]
    rows = [*(text.encode() for text in texts), b"not \xff\xfe UTF-8 \xc3"]
    return [
        ("classify", {"text": np.array(rows[first:last], "S")})
        for first, last in ((0, 6), (0, 1), (1, 2), (2, 5), (0, 0))
    ]
