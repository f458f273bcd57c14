"""Transfer learning: a classifier that starts with the embedding and the layers of a language model.

The method is ULMFiT (Howard and Ruder 2018). The weights of the language model are unfrozen one layer at a
time, from the top to the bottom, and lower layers learn more slowly.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from apps.api import load_run, train_task
from apps.console import log
from apps.run import Run
from apps.sentiment.labeled_table import text_column
from apps.sentiment.labeled_texts import LabeledTextData
from apps.sentiment.options import Train, encoder_folder
from apps.task import Rates
from seqmodels.data.files import read_text
from seqmodels.data.tables import read_table, table_name
from seqmodels.data.tokenizer import END, START, Tokenizer
from seqmodels.errors import UsageError
from seqmodels.models import Classifier

DECAY = 2.6  # the learning rate of a layer, divided by that of the layer below (Howard and Ruder 2018)


def tokenizer_of(run: str) -> Tokenizer:
    """Returns the tokenizer of a language model, with a start token and without an end token."""
    tokenizer = Tokenizer.load(Run(run).assets)
    return Tokenizer(tokenizer.vocabulary, replace(tokenizer.settings, start=True, end=False))


def copy_weights(model: Classifier, run: str) -> None:
    """Copies the embedding and the recurrent layers of a language model to the classifier.

    The evidence of the linear part is an additional input of the lowest layer. Its weights start at zero, so
    the layer computes the same as in the language model.

    Raises:
        UsageError: the language model has other layer sizes than the classifier.
    """
    language_model = load_run(run).model
    embedding = language_model.embedding.get_weights()[0].copy()
    embedding[START] = embedding[END]  # the language model reads the end token before each text
    pairs = zip(model.encoder.directions, language_model.encoder.directions)
    layers = [(own[0], other[0]) for own, other in pairs]
    same = len(model.encoder.directions) == len(language_model.encoder.directions)
    if embedding.shape != model.embedding.get_weights()[0].shape or not same:
        raise UsageError(f"--encoder {run} has other layer sizes; remove the options that change them")
    model.embedding.set_weights([embedding])
    for own, other in layers:
        weights = []
        for target, value in zip(own.get_weights(), other.get_weights(), strict=True):
            if target.shape != value.shape:  # the kernel of the lowest layer also reads the evidence
                padded = np.zeros_like(target)
                padded[: len(value)] = value
                value = padded
            weights.append(value)
        own.set_weights(weights)


def encoder_of(options: Train) -> str:
    """Returns the run of the language model from which a training starts, or an empty text.

    With ``--from``, the weights come from the earlier run.
    """
    if options.from_:
        return ""
    return options.encoder or (encoder_folder(options.run) if options.unlabeled else "")


def rates(options: Train, model: keras.Model) -> Rates:
    """Returns the pretrained weights, and when and how fast they learn. See :class:`apps.task.Task`."""
    epochs = options.frozen_epochs
    if encoder_of(options):
        layers = [layer[0].trainable_variables for layer in model.encoder.directions]
        groups = [model.embedding.trainable_variables, *layers][::-1]  # from the top to the bottom
        return [(group, DECAY ** -(depth + 1), epochs * (depth + 1)) for depth, group in enumerate(groups)]
    if options.embeddings and not options.from_:
        return [(model.embedding.trainable_variables, 1.0, epochs)]
    return []


def language_model(options: Train, source: LabeledTextData) -> str:
    """Trains a language model on the texts of ``--unlabeled`` and of the training split.

    The language model is a run of its own, next to the run of the classifier. If it was trained on the same
    texts, it is used again.

    Returns:
        The folder of the run of the language model.
    """
    folder = encoder_folder(options.run)
    texts = [*_texts(options), *source.train.texts]
    run, content = Run(folder), "".join(f"{text}\n" for text in texts)
    if run.has_data and run.task != "language_modeling":
        raise UsageError(
            f"{folder} is a run of {run.task}; choose another folder for the classifier with --run"
        )
    stored = run.path / "data" / "data.txt"
    same = stored.exists() and stored.read_text(encoding="utf-8") == content
    if run.finished and same and not options.overwrite:
        log.print(f"note: the language model in {folder} is used; --overwrite trains it again")
        return folder
    again = run.started and (options.overwrite or not same)
    log.print(f"training a language model on {len(texts):,} texts in {folder}")
    train_task("language_modeling", texts, folder, {"seed": options.seed, "overwrite": again})
    log.print("training the classifier")
    return folder


def _texts(options: Train) -> list[str]:
    """Returns the texts in ``--unlabeled``: a column of a table, or the lines of a text file."""
    path = Path(str(options.unlabeled))
    notes: list[str] = []
    if table_name(path):
        from apps.sentiment.data import reading

        table = read_table(path, encoding=options.encoding, prefer_utf8=True)
        notes = table.notes
        texts = table.texts(text_column(table, replace(reading(options), stored=frozenset({"text"}))))
    else:
        texts = read_text(path, options.encoding, prefer_utf8=True, notes=notes).splitlines()
    for note in notes:
        log.print(f"note: {note}")
    return [text for text in texts if text.strip()]
