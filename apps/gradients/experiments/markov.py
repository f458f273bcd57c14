r"""Experiment ``markov``: compares the size and perplexity of language models at several context lengths.

The context is the k words from which a model predicts the next word. V is the vocabulary size.

- A Markov chain is a table of ``V^(k+1)`` probabilities, one per sequence of k + 1 words. Almost none of
  these sequences ever occur in a text.
- An n-gram model stores only the observed sequences. For other sequences, it uses shorter contexts.
- A network with a fixed window of k words has one matrix per position. Each matrix has ``d h`` numbers: d is
  the size of an embedding, and h is the number of hidden units. All matrices together have ``k d h`` numbers.
- A recurrent network uses one set of weights for all steps, so its size does not depend on k.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import Markov
from apps.language_modeling import ngrams
from apps.language_modeling.prose import prose, version
from apps.options import TrainOptions
from apps.training import make_training
from seqmodels.data.running import running_text
from seqmodels.data.tokenizer import END, Tokenizer, TokenizerSettings
from seqmodels.evaluation import plots
from seqmodels.models import FixedWindowModel, LanguageModel, NextToken
from seqmodels.training.objectives import Outcome, next_token

ROWS, STEPS = 16, 32  # number of sequences in a batch, and time steps of each sequence
DROPOUTS: dict[str, Any] = {"input_dropout": 0.2, "output_dropout": 0.4}  # dropout rates of all networks
CONTEXTS, LONGER = (1, 2, 4), (8, 32)  # context lengths in words; LONGER is for the recurrent network only
BLOCK = 2048  # number of contexts in an evaluation batch
MODELS = ("table", "n-grams", "window", "recurrent")


def run(options: Markov, say: Callable[[str], None]) -> Findings:
    lines = prose()
    tokenizer = Tokenizer.train(
        lines["train"], TokenizerSettings(split="punctuation", size=options.vocabulary, end=True)
    )
    texts = {name: tokenizer.encode(each).values for name, each in lines.items()}
    size, units, rows = len(tokenizer), options.units, []
    for context in CONTEXTS:
        say(f"counting n-grams with a context of {context}")
        model = ngrams.kneser_ney(texts["train"], size, context + 1, end=END)
        perplexity = model.perplexity(texts["test"])
        rows.append(_row("n-grams", context, sum(model.stored), perplexity))
        rows.append(_row("table", context, float(size) ** (context + 1), None))
        say(f"training a network with a window of {context}")
        make = partial(FixedWindowModel, size, context, units, units, **DROPOUTS)
        window = _trained(make, texts, options.window_learning_rate, options)
        perplexity = _perplexity(window, texts["test"], context)
        rows.append(_row("window", context, window.count_params(), perplexity))
    say("training the recurrent network")
    make = partial(LanguageModel, size, units, "lstm", units, layers=1, **DROPOUTS)
    recurrent = _trained(make, texts, options.learning_rate, options)
    for context in (*CONTEXTS, *LONGER):
        perplexity = _perplexity(recurrent, texts["test"], context)
        rows.append(_row("recurrent", context, recurrent.count_params(), perplexity))
    panels = [
        _panel(rows, "parameters", "model size", "xy"),
        _panel(rows, "perplexity", "test text", "x"),
    ]
    facts = {"tokens": {name: len(ids) for name, ids in texts.items()}, "vocabulary": size, "note": version()}
    return Findings(
        _found(rows),
        rows,
        lambda path: plots.curves(panels, path, "Model size and perplexity by context"),
        {"text": facts},
    )


def _trained(
    make: Callable[[], NextToken], texts: dict[str, np.ndarray], rate: float, options: Markov
) -> NextToken:
    """Trains the model with Adam. The weights of the epoch with the lowest validation loss are kept."""
    keras.utils.set_random_seed(options.seed)
    model = make()
    model.build()

    def batches(name: str) -> tf.data.Dataset:
        return running_text(texts[name], END, batch_size=ROWS, lengths=[STEPS])

    with TemporaryDirectory() as folder:
        make_training(
            TrainOptions(
                epochs=options.epochs,
                learning_rate=rate,
                patience=2,
                seed=options.seed,
                xla=options.xla,
                parts=1,
            ),
            lambda: model,
            _from_nothing,
            lambda epoch: batches("train"),
            lambda: batches("valid"),
            Path(folder),
        ).run()
    return model


def _from_nothing(
    model: Any, inputs: Any, targets: tf.Tensor, weights: tf.Tensor, carried: Any, training: bool
) -> Outcome:
    """Computes the loss on sequences of ``STEPS`` words. Every sequence starts from the initial state.

    The network therefore learns to predict from contexts of 1 to ``STEPS`` words.
    """
    outcome = next_token()(model, inputs, targets, weights, None, training)
    return outcome._replace(carried=carried)


def _perplexity(model: NextToken, ids: np.ndarray, context: int) -> float:
    """Returns the perplexity of a model that predicts each token from only the last ``context`` tokens."""

    @tf.function(autograph=False)
    def losses(tokens: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        last = model.features({"tokens": tokens}).outputs[:, -1:]
        return tf.reduce_sum(model.losses_of(last, targets))

    before = np.concatenate([np.full(context, END, np.int32), ids[:-1]])
    windows = np.lib.stride_tricks.sliding_window_view(before, context)  # (tokens, context)
    total = 0.0
    for start in range(0, len(ids), BLOCK):
        part = slice(start, start + BLOCK)
        total += float(losses(tf.constant(windows[part]), tf.constant(ids[part, None])))
    return float(np.exp(total / len(ids)))


def _row(model: str, context: int, parameters: float, perplexity: float | None) -> dict[str, Any]:
    return {"model": model, "context": context, "parameters": parameters, "perplexity": perplexity}


def _panel(rows: list[dict[str, Any]], quantity: str, title: str, log: str) -> plots.Panel:
    curves = []
    for name in MODELS:
        known = [row for row in rows if row["model"] == name and row[quantity] is not None]
        if known:
            contexts = [row["context"] for row in known]
            curves.append(plots.Curve(name, contexts, [row[quantity] for row in known], "o-"))
    return plots.Panel(title, "context (words)", quantity, curves, log)


def _found(rows: list[dict[str, Any]]) -> str:
    def of(name: str) -> list[dict[str, Any]]:
        return [row for row in rows if row["model"] == name]

    table, grams, window, recurrent = map(of, MODELS)
    ends = [
        f"{name} from {first['parameters']:,} to {last['parameters']:,} parameters, perplexity "
        f"{first['perplexity']:.0f} to {last['perplexity']:.0f}"
        for name, (first, *_, last) in (("stored n-grams", grams), ("windows", window))
    ]
    last = recurrent[-1]
    return (
        f"from {table[0]['context']} to {table[-1]['context']} words of context: full table from "
        f"{table[0]['parameters']:.1e} to {table[-1]['parameters']:.1e} entries, {', '.join(ends)}; "
        f"recurrent network with {last['parameters']:,} parameters at any context, perplexity "
        f"{recurrent[0]['perplexity']:.0f} with 1 word and {last['perplexity']:.0f} with {last['context']}"
    )
