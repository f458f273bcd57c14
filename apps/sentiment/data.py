"""Converts labeled texts to batches of token ids."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from apps.options import AUTO
from apps.run import write_text
from apps.sentiment.defaults import choose
from apps.sentiment.kinds import Kind, SingleLabel, kind_of, stored_kind
from apps.sentiment.labeled_table import Reading
from apps.sentiment.labeled_texts import LabeledTextData, LabeledTexts, check_labels, load_labeled_texts
from apps.sentiment.labels import number, parts, strata
from apps.sentiment.linear import Linear, fit_linear
from apps.sentiment.options import MULTI_LABEL, REGRESSION, Train, of_encoder
from apps.sentiment.text_notes import text_notes
from apps.sentiment.transfer import encoder_of, language_model, tokenizer_of
from apps.task import Data
from seqmodels.data.batching import batches, bucket_edges
from seqmodels.data.sequences import PAD, TokenSequences, truncate, truncate_ragged
from seqmodels.data.tokenizer import START, UNKNOWN, Tokenizer, TokenizerSettings
from seqmodels.errors import DataError, UsageError

UNKNOWN_WORDS = 0.1  # --unit auto chooses pieces of words above this share of unknown words
PREFIX = 1  # number of tokens that truncation always keeps at the start: the start token
LINEAR, OUTPUT = "linear.npz", "output.json"


@dataclass(frozen=True)
class Assets:
    """Tokenizer, kind of labels and text lengths of a trained model.

    If all tokens of a text are unknown, the text is read as an empty text. An empty text has only the start
    token.

    Attributes:
        tokenizer: tokenizer trained on the training split.
        kind: kind of labels, with the class names in the order of the model's outputs.
        edges: lengths to which the training batches are padded, ascending.
        length: maximum number of tokens of a text. Longer texts are truncated.
        keep: part of a truncated text that is kept: "head", "tail" or "both".
        linear: linear part of the model, fitted on the training split. None if the model has no linear part.
    """

    tokenizer: Tokenizer
    kind: Kind
    edges: list[int]
    length: int
    keep: Any
    linear: Linear | None = None

    def encode(self, texts: Sequence[str]) -> TokenSequences:
        return self.cut(self.tokenizer.encode(texts))

    def cut(self, ids: TokenSequences) -> TokenSequences:
        """Truncates the token ids of texts.

        If a truncated text contains only unknown tokens, only its start token is kept.
        """
        rows = truncate(ids, self.length, self.keep, PREFIX)
        lengths = rows.lengths
        kept = np.repeat(known_tokens(rows) > 0, lengths) | (rows.values == START)
        return TokenSequences.from_lengths(
            rows.values[kept], np.where(known_tokens(rows) > 0, lengths, PREFIX)
        )

    def tensors(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Converts strings ``(n,)`` to the inputs of the model.

        This method can be part of a TensorFlow graph. The inputs are ``tokens (n, T)`` and ``lengths (n,)``.
        T is the length of the longest text. Shorter texts are padded.
        """
        rows = truncate_ragged(self.tokenizer(texts), self.length, self.keep, PREFIX)
        tokens = rows.to_tensor(PAD)  # (n, T)
        known = tf.reduce_any(tokens > UNKNOWN, axis=1)  # the ids of known tokens are above UNKNOWN
        lengths = tf.where(known, tf.cast(rows.row_lengths(), tf.int32), PREFIX)
        tokens = tf.where(known[:, None] | (tokens == START), tokens, PAD)
        return {"tokens": tokens, "lengths": lengths}

    @property
    def serving_edges(self) -> list[int]:
        """The lengths to which new texts are padded. New texts may be longer than all training texts.

        The first lengths are the lengths of the training batches, ``edges``. Each further length is twice the
        previous length. The last length is the maximum, ``self.length``.
        """
        edges = list(self.edges)
        while edges[-1] < self.length:
            edges.append(min(2 * edges[-1], self.length))
        return edges

    @property
    def classes(self) -> list[str]:
        return self.kind.classes

    def targets(self, split: LabeledTexts) -> np.ndarray:
        """Returns the target of each row, ``(n, ...)``. Raises DataError if a label is invalid."""
        check_labels(split, self.classes, self.kind.name)
        return self.kind.targets(split.labels)

    def save(self, folder: Path) -> None:
        self.tokenizer.save(folder)
        write_text(folder / "labels.txt", "".join(f"{name}\n" for name in self.classes))
        lengths = {"edges": self.edges, "length": self.length, "keep": self.keep}
        write_text(folder / "lengths.json", json.dumps(lengths) + "\n")
        write_text(folder / OUTPUT, json.dumps(self.kind.facts()) + "\n")
        if self.linear is None:
            (folder / LINEAR).unlink(missing_ok=True)
            return
        partial = folder / f"partial_{LINEAR}"
        np.savez(partial, **vars(self.linear))
        os.replace(partial, folder / LINEAR)

    @classmethod
    def load(cls, folder: Path) -> Assets:
        """Reads the files that :meth:`save` wrote. Raises DataError if a file is missing or damaged."""
        try:
            classes = (folder / "labels.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
            kind: Kind = SingleLabel(classes)
            if (folder / OUTPUT).exists():  # runs of earlier versions do not have this file
                kind = stored_kind(classes, json.loads((folder / OUTPUT).read_text(encoding="utf-8")))
            lengths = json.loads((folder / "lengths.json").read_text(encoding="utf-8"))
            linear = None
            if (folder / LINEAR).exists():
                with np.load(folder / LINEAR) as stored:
                    linear = Linear(
                        int(stored["order"]),
                        stored["table"],
                        stored["bias"],
                        int(stored["buckets"]),
                        float(stored["scale"]),
                        tuple(stored["choice"].tolist()),
                    )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
            raise DataError(
                f"{folder}: the labels, lengths or linear part of the run cannot be read ({error}); "
                "train the run again"
            ) from error
        return cls(Tokenizer.load(folder), kind, **lengths, linear=linear)


def known_tokens(rows: TokenSequences) -> np.ndarray:
    """Returns the number of known tokens of each row: ``(n,)``. Known tokens are in the vocabulary."""
    return np.diff(np.append(0, np.cumsum(rows.values > UNKNOWN))[rows.row_splits])


def load(options: Train, assets: Assets | None) -> Data:
    """Reads the splits and converts them to batches.

    The tokenizer, the classes and the linear part are fitted on the training split alone.

    Args:
        options: options of the training.
        assets: stored assets of the resumed run, or of the earlier run in ``--from``. None if the training
            starts from scratch. With ``--from``, the tokenizer and the classes are kept, but the padded
            lengths are chosen for the new texts.
    """
    if assets is not None and options.output not in (AUTO, assets.kind.name):
        raise UsageError(
            f"--output {options.output} contradicts the run in --from, which has --output "
            f"{assets.kind.name}; remove --output"
        )
    how = reading(options)
    if assets is not None:
        how = replace(how, output=assets.kind.name)
    source = load_labeled_texts(options.data, options.seed, reading=how)
    if options.unlabeled and assets is None:
        options = replace(options, **of_encoder(language_model(options, source), "--unlabeled"))
    options, chosen = choose(options, source)
    if assets is not None:
        tokenizer, reason = assets.tokenizer, list[str]()
    else:
        tokenizer, reason = _tokenizer(options, source)
    options = options.with_chosen({"unit": tokenizer.settings.unit})
    train_ids, valid_ids = tokenizer.encode(source.train.texts), tokenizer.encode(source.valid.texts)
    if assets is None or options.from_:
        # Only the padded lengths depend on the validation split. All other assets depend
        # only on the training split.
        lengths = np.minimum(np.concatenate([train_ids.lengths, valid_ids.lengths]), options.length)
        edges = bucket_edges(lengths, options.buckets)
        kind = assets.kind if assets else kind_of(source.output, source.classes, source.train.labels)
        assets = Assets(tokenizer, kind, edges, options.length, options.keep)
    notes = [*source.notes, *chosen, *reason, *text_notes(options, source, train_ids, valid_ids, tokenizer)]
    facts = _facts(source, train_ids, assets, notes)
    train_ids, valid_ids = assets.cut(train_ids), assets.cut(valid_ids)
    train_targets, valid_targets = assets.targets(source.train), assets.targets(source.valid)
    weights = None
    if options.class_weights == "balanced":
        weights = _class_weights(train_targets, len(assets.classes))
    further: dict[str, Any] = {}
    if options.ngrams:
        linear, others = fit_linear(
            train_ids,
            source.train.texts,
            train_targets,
            strata(source.train.labels, source.output),
            assets.kind.family,
            tokenizer.vocabulary,
            options.ngrams,
            options.ngram_buckets,
            weights,
            evidence=options.reads != "words",
        )
        assets = replace(assets, linear=linear)
        penalty, share, _ = linear.choice
        notes.append(
            f"the linear part has {len(linear.table):,} rows of weights; C {penalty:g}, "
            f"weight of naive Bayes {share:g}"
        )
        further = {"of_rows": {"linear_logits": others.outputs}}
        if others.evidence is not None:
            further["of_tokens"] = {"evidence": others.evidence}
    shapes: dict[str, Any] = {"edges": assets.edges, "batch_size": options.batch_size}
    return Data(
        train=lambda epoch: batches(
            train_ids, train_targets, weights, **shapes, **further, seed=options.seed, epoch=epoch
        ),
        valid=lambda: batches(valid_ids, valid_targets, **shapes),
        assets=assets,
        facts=facts,
        source=source,
        options=options,
    )


def reading(options: Train) -> Reading:
    """Returns the training options that control the reading of files."""
    return Reading(options.text, options.label, options.encoding, options.on_bad_rows, options.output)


def _tokenizer(options: Train, source: LabeledTextData) -> tuple[Tokenizer, list[str]]:
    """Returns the tokenizer, and a note if ``--unit auto`` chooses pieces of words."""
    if folder := encoder_of(options):
        return tokenizer_of(folder), []
    if options.unit != AUTO:
        return _trained_tokenizer(options, source, options.unit), []
    words = _trained_tokenizer(options, source, "word")
    if options.embeddings:  # the vectors belong to words
        return words, []
    ids = words.encode(source.valid.texts).values
    share = float(np.mean(ids[ids != START] == UNKNOWN)) if np.any(ids != START) else 0.0
    if share <= UNKNOWN_WORDS:
        return words, []
    note = f"{share:.1%} of the validation words are unknown, so the tokens are pieces of words"
    return _trained_tokenizer(options, source, "wordpiece"), [f"{note} (--unit wordpiece)"]


def _trained_tokenizer(options: Train, source: LabeledTextData, unit: str) -> Tokenizer:
    settings: dict[str, Any] = {
        "unit": unit,
        "split": options.split if unit != "character" else "whitespace",
        "lowercase": options.lowercase,
        "size": options.vocabulary,
        "minimum_count": options.minimum_count,
        "start": True,  # MediaPipe's text classifier also puts a start token before every text.
    }
    return Tokenizer.train(source.train.texts, TokenizerSettings(**settings))


def _class_weights(targets: np.ndarray, classes: int) -> np.ndarray:
    """Returns a weight for each row, ``(n,)``. The mean weight is 1.

    The weight of a row is inversely proportional to the frequency of its class.
    """
    counts = np.bincount(targets, minlength=classes)
    return (len(targets) / (classes * counts))[targets].astype(np.float32)


def _label_facts(source: LabeledTextData) -> dict[str, Any]:
    """Returns the number of training texts per class or label, or the quantiles of the numbers."""
    if source.output == REGRESSION:
        quantiles = np.quantile([number(label) for label in source.train.labels], [0, 0.05, 0.5, 0.95, 1])
        names = ("0%", "5%", "50%", "95%", "100%")
        return {"numbers": {name: float(value) for name, value in zip(names, quantiles)}}
    labels = source.train.labels
    if source.output == MULTI_LABEL:
        labels = [part for label in labels for part in parts(label)]
    return {"classes": dict(sorted(Counter(labels).items()))}


def _facts(source: LabeledTextData, ids: TokenSequences, assets: Assets, notes: list[str]) -> dict[str, Any]:
    lengths = ids.lengths
    quantiles = {f"{q}%": int(np.percentile(lengths, q)) for q in (5, 50, 95, 100)}
    splits = {"train": source.train, "valid": source.valid, "test": source.test}
    return {
        "source": source.name,
        "sha256": source.sha256,
        "notes": notes,
        "counts": {name: len(split) for name, split in splits.items()},
        **_label_facts(source),
        "vocabulary": len(assets.tokenizer),
        "tokens of a text": quantiles,
        "texts that are cut": f"{np.mean(lengths > assets.length):.1%}",
        "unknown tokens": f"{np.mean(ids.values == UNKNOWN):.2%}",
    }
