"""Experiment ``order``: tests four requirements of a sequence model on generated reviews.

Each test is difficult for one type of model. All models are trained on the same reviews. A training review
consists of one decisive sentence, at most one neutral sentence before it, and at most two neutral sentences
after it. Only the decisive sentence determines the label. The test reviews combine words in ways that never
occur in training. The four tests are:

- order: the reviews have the same form as in training. A bag of words cannot distinguish "dull, but moving"
  from "moving, but dull".
- length: neutral sentences are added on both sides until the text is longer than every training text.
- distance: the decisive sentence comes first, then six neutral sentences. A classifier that uses the last
  state of a recurrent network must keep the information in the state until the end. A classifier that uses
  the maximum over time takes the information directly from the decisive sentence.
- sharing: three neutral sentences come first, then the decisive sentence. Texts of this length occur in
  training, but never with the decisive sentence at this position. Only a model that uses the same weights at
  all positions can classify such a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.gradients.findings import Findings
from apps.gradients.options import Order
from apps.gradients.window_classifier import WindowClassifier
from apps.options import TrainOptions
from apps.sentiment import bag_of_words
from apps.sentiment.kinds import SingleLabel
from apps.sentiment.reviews import ANYWHERE, NEUTRAL, Review, reviews
from apps.training import make_training
from seqmodels.data.batching import batches
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.tokenizer import Tokenizer, TokenizerSettings
from seqmodels.evaluation import plots
from seqmodels.models import Classifier
from seqmodels.training.objectives import classification

CLASSES = ["negative", "positive"]
NEUTRALS = (*ANYWHERE, *(sentence for sentences in NEUTRAL.values() for sentence in sentences))
# Each review has one sentence that decides the label. TRAINING and DEMANDS limit the number of neutral
# sentences in a review. The first pair (minimum, maximum) is for the sentences before the decisive sentence.
# The second pair is for the sentences after it.
TRAINING = ((0, 1), (0, 2))
DEMANDS = {
    "order": TRAINING,
    "length": ((1, 2), (1, 2)),  # then sentences are added until the text is longer than all training texts
    "distance": ((0, 0), (6, 6)),
    "sharing": ((3, 3), (0, 0)),
}
POOLINGS = {"last state": "last", "maximum over time": "max"}
BATCH = 64


def run(options: Order, say: Callable[[str], None]) -> Findings:
    splits = reviews(options.seed)
    random = Random(options.seed)
    train = _texts(splits["train"][: options.reviews], TRAINING, random)
    valid = _texts(splits["valid"][: options.tests], TRAINING, random)
    tests = {
        name: _texts(splits["test"][: options.tests], places, random) for name, places in DEMANDS.items()
    }
    longest = max(len(text.split()) for text, _ in train)
    tests["length"] = [(_longer(text, longest, random), label) for text, label in tests["length"]]

    say("fitting the bag-of-words baselines")
    texts, labels = zip(*train)
    accuracies: dict[str, list[float]] = {}
    kind = SingleLabel(CLASSES)
    for baseline in bag_of_words.fit(texts, kind.targets(labels), kind)[1:]:
        accuracies[f"bag: {baseline.name}"] = [
            _accuracy(baseline.predict([text for text, _ in test]), test) for test in tests.values()
        ]
    tokenizer = Tokenizer.train(texts, TokenizerSettings())
    parameters = {}
    for name, make in _networks(len(tokenizer), int(tokenizer.encode(texts).lengths.max()), options).items():
        say(f"training {name}")
        keras.utils.set_random_seed(options.seed)
        model = make()
        model.build()
        parameters[name] = model.count_params()
        learn(model, tokenizer, train, valid, options)
        accuracies[name] = [_accuracy(_logits(model, tokenizer, test), test) for test in tests.values()]
    rows = [
        {"model": name, "parameters": parameters.get(name), **dict(zip(DEMANDS, row))}
        for name, row in accuracies.items()
    ]
    return Findings(
        _found(rows),
        rows,
        lambda path: plots.bars(
            list(DEMANDS), accuracies, path, "Four requirements of a sequence model", "accuracy", chance=0.5
        ),
        {"texts": {name: {"count": len(test), "example": test[0][0]} for name, test in tests.items()}},
    )


def _networks(vocabulary: int, longest: int, options: Order) -> dict[str, Callable[[], keras.Model]]:
    units = options.units
    return {
        f"window: last {options.window} words": lambda: WindowClassifier(
            vocabulary, 2, options.window, True, units, units
        ),
        f"window: first {longest} words": lambda: WindowClassifier(
            vocabulary, 2, longest, False, units, units
        ),
        **{
            f"LSTM: {name}": partial(
                Classifier, vocabulary, 2, units, "lstm", units, bidirectional=False, pooling=pooling
            )
            for name, pooling in POOLINGS.items()
        },
    }


def learn(
    model: keras.Model,
    tokenizer: Tokenizer,
    train: Sequence[tuple[str, str]],
    valid: Sequence[tuple[str, str]],
    options: Order,
) -> None:
    """Trains the model with Adam. The weights of the epoch with the lowest validation loss are kept."""
    encoded = {name: _encode(tokenizer, each) for name, each in (("train", train), ("valid", valid))}
    edges = [max(int(ids.lengths.max()) for ids, _ in encoded.values())]
    shapes: dict[str, Any] = {"edges": edges, "batch_size": BATCH}
    with TemporaryDirectory() as folder:
        make_training(
            TrainOptions(
                epochs=options.epochs,
                learning_rate=0.004,
                patience=None,
                seed=options.seed,
                xla=options.xla,
                parts=1,
            ),
            lambda: model,
            classification(),
            lambda epoch: batches(*encoded["train"], **shapes, seed=options.seed, epoch=epoch),
            lambda: batches(*encoded["valid"], **shapes),
            Path(folder),
        ).run()


def decisive(review: Review) -> str:
    """Returns the review without its neutral sentences."""
    text = review.text
    for sentence in NEUTRALS:
        text = text.replace(sentence, " ")
    return " ".join(text.split())


def _texts(
    rows: Sequence[Review], places: tuple[tuple[int, int], tuple[int, int]], random: Random
) -> list[tuple[str, str]]:
    """Replaces the neutral sentences of each review, and returns a pair (text, label) per review.

    Args:
        rows: reviews. Each review has one decisive sentence, which is kept.
        places: two pairs (minimum, maximum). The first pair limits the number of neutral sentences before the
            decisive sentence. The second pair limits the number of neutral sentences after it.
        random: random number generator, which chooses the neutral sentences and their number.
    """
    result = []
    for review in rows:
        before, after = (random.randint(*each) for each in places)
        neutral = random.sample(NEUTRALS, before + after)
        sentences = [*neutral[:before], decisive(review), *neutral[before:]]
        result.append((" ".join(sentences), review.label))
    return result


def _longer(text: str, words: int, random: Random) -> str:
    """Adds neutral sentences on both sides until the text has more than ``words`` words."""
    while len(text.split()) <= words:
        text = f"{random.choice(NEUTRALS)} {text} {random.choice(NEUTRALS)}"
    return text


def _encode(tokenizer: Tokenizer, rows: Sequence[tuple[str, str]]) -> tuple[TokenSequences, np.ndarray]:
    texts, labels = zip(*rows)
    return tokenizer.encode(texts), np.array([CLASSES.index(label) for label in labels], np.int32)


def _logits(model: keras.Model, tokenizer: Tokenizer, rows: Sequence[tuple[str, str]]) -> np.ndarray:
    ids, _ = _encode(tokenizer, rows)
    function = tf.function(model, autograph=False)
    tokens = tf.ragged.constant([list(ids.rows(np.array([i])).values) for i in range(len(ids))], tf.int32)
    return function({"tokens": tokens.to_tensor(), "lengths": tf.constant(ids.lengths, tf.int32)}).numpy()


def _accuracy(scores: np.ndarray, rows: Sequence[tuple[str, str]]) -> float:
    return float(np.mean([CLASSES[index] == label for index, (_, label) in zip(scores.argmax(-1), rows)]))


def _found(rows: list[dict[str, Any]]) -> str:
    def scores(demand: str) -> str:
        return ", ".join(f"{row['model']} {row[demand]:.0%}" for row in rows)

    return "accuracy by test: " + "; ".join(f"{demand}: {scores(demand)}" for demand in DEMANDS)
