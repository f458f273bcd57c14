"""SavedModel signatures that map raw text to translations. The graph includes the search."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from apps.translation.data import Assets
from apps.translation.inference import Decoding, translate
from seqmodels.export.signature import Signature
from seqmodels.models import Translator

SERVED = """\
A text without words has an empty translation. The signatures do not include these steps of `predict`:

- `predict` splits a text into sentences, translates each sentence, and joins the translations. A signature
  translates the text as a whole. Split a text with several sentences before the call.
- `predict` prints a note if it truncates a text. A signature truncates a text that is longer than the
  maximum length of the model, without a message.
- `predict --model keras` copies numbers, URLs, e-mail addresses and unknown words from the text. Copying
  needs the attention, which the signatures do not return."""


def signatures(model: Translator, assets: Assets) -> list[Signature]:
    """Returns the signatures ``translate`` (beam size 5) and ``translate_greedy`` (beam size 1).

    Both signatures map strings ``(n,)`` to ``translations (n,)`` and ``scores (n,)``.
    """

    def signature(name: str, how: Decoding) -> Signature:
        def function(text: tf.Tensor) -> dict[str, tf.Tensor]:
            found, scores = translate(model, assets, text, how)
            return {"translations": found[:, 0], "scores": scores[:, 0]}

        resources = [
            *(variable.value for variable in model.variables),
            assets.source_tokenizer,
            assets.target_tokenizer,
        ]
        inputs = {"text": tf.TensorSpec([None], tf.string)}
        return Signature(name, function, inputs, ("translations", "scores"), resources)

    return [signature("translate", Decoding()), signature("translate_greedy", Decoding(beam=1))]


def examples(assets: Assets) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Returns four example batches per signature, with 6, 1, 1 and 0 texts.

    The texts include an empty text, a very long text, a non-Latin text and invalid UTF-8.
    """
    words = (
        assets.source_tokenizer.join(
            tf.RaggedTensor.from_tensor(tf.range(4, min(40, len(assets.source_tokenizer)))[None])
        )
        .numpy()[0]
        .decode()
    )
    texts = [words, "", f"{words} " * 20, "\u0444\u0438\u043b\u044c\u043c \u65e0 \U0001f600", "A cat, a dog."]
    rows = [*(text.encode() for text in texts), b"not \xff\xfe UTF-8 \xc3"]
    return [
        (name, {"text": np.array(rows[first:last], "S")})
        for name in ("translate", "translate_greedy")
        for first, last in ((0, 6), (0, 1), (1, 2), (0, 0))
    ]
