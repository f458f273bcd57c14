"""Converts pairs of texts to batches of token ids, and token ids back to text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from apps.run import write_text
from apps.task import Data
from apps.text_notes import length_note, script_note, unknown_note, vocabulary_note
from apps.translation.defaults import choose
from apps.translation.options import Train
from apps.translation.pair_table import Pairs, Reading
from apps.translation.pairs import ParallelData, load_pairs
from seqmodels.data.batching import PairShapes, pair_batches
from seqmodels.data.sequences import PAD, TokenSequences, truncate
from seqmodels.data.tokenizer import END, START, UNKNOWN, Tokenizer, TokenizerSettings
from seqmodels.errors import DataError

NAMED = 3  # maximum number of overlong pairs that a note lists


@dataclass(frozen=True)
class Assets:
    """The tokenizers, languages, batch shapes and maximum text length of a run.

    Converts texts to token ids, and token ids to texts.

    Attributes:
        source_tokenizer, target_tokenizer: tokenizers trained on the training split. Both are the same
            object if the vocabulary is joint.
        source, target: names of the source language and the target language.
        shapes: shapes of the training batches.
        length: maximum number of tokens of a text, end token included.
    """

    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    source: str
    target: str
    shapes: PairShapes
    length: int

    @property
    def joint(self) -> bool:
        return self.source_tokenizer is self.target_tokenizer

    def encode_sources(self, texts: Sequence[str]) -> TokenSequences:
        """Encodes each text as its token ids followed by ``END``, without truncation."""
        return _framed(self.source_tokenizer.encode(texts))

    def encode_targets(self, texts: Sequence[str]) -> TokenSequences:
        """Encodes each text as ``START``, its token ids, and ``END``, without truncation."""
        return _framed(self.target_tokenizer.encode(texts), start=True)

    def cut(self, sources: TokenSequences) -> TokenSequences:
        """Truncates sources to ``length`` tokens. A truncated source still ends with ``END``."""
        ends = truncate(sources, self.length)
        values = ends.values.copy()
        values[ends.row_splits[1:][ends.lengths > 0] - 1] = END
        return TokenSequences(values, ends.row_splits)

    def tensors(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Converts strings ``(n,)`` to the inputs of the encoder. Can run in a TensorFlow graph.

        The input ``source`` contains the token ids, ``(n, S)``. ``S`` is the length of the longest text, and
        shorter texts are padded. The input ``lengths`` contains the lengths of the texts, ``(n,)``.
        """
        words = self.source_tokenizer(texts)[:, : self.length - 1]
        rows = tf.concat([words, tf.fill([tf.size(texts), 1], END)], axis=1)
        return {"source": rows.to_tensor(PAD), "lengths": tf.cast(rows.row_lengths(), tf.int32)}

    def texts(self, tokens: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Converts token ids ``(n, T)`` to strings ``(n,)``. Can run in a TensorFlow graph.

        In row ``i``, only the first ``lengths[i]`` tokens are used.
        """
        return self.target_tokenizer.join(tf.RaggedTensor.from_tensor(tokens, lengths=lengths))

    def save(self, folder: Path) -> None:
        self.source_tokenizer.save(folder / "source")
        self.target_tokenizer.save(folder / "target")
        facts = {"source": self.source, "target": self.target, "joint": self.joint, "length": self.length}
        write_text(folder / "pairs.json", json.dumps({**facts, "shapes": asdict(self.shapes)}) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Assets:
        """Reads the files that :meth:`save` wrote. Raises DataError if a file is missing or damaged."""
        try:
            facts = json.loads((folder / "pairs.json").read_text(encoding="utf-8"))
            shapes = PairShapes(**{name: tuple(values) for name, values in facts["shapes"].items()})
            source = Tokenizer.load(folder / "source")
            target = source if facts["joint"] else Tokenizer.load(folder / "target")
            return cls(source, target, facts["source"], facts["target"], shapes, facts["length"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder}: the assets cannot be read ({error}); train the run again") from error


def load(options: Train, assets: Assets | None) -> Data:
    """Reads the splits and converts them to batches. Only the training split determines the vocabulary.

    Args:
        options: options of the training.
        assets: stored assets if a run is resumed or continued, or None if the run is new. A continued run
            keeps the vocabulary. Its batch shapes are chosen again for the new pairs.
    """
    source = load_pairs(options.data, options.source, options.target, options.seed, reading=reading(options))
    options, chosen = choose(options, len(source.train.sources))
    tokenizers = (
        (assets.source_tokenizer, assets.target_tokenizer) if assets else _tokenizers(options, source)
    )
    notes = [*source.notes, *chosen]
    encoded = {}
    for name, split in (("train", source.train), ("valid", source.valid)):
        sides = (
            _framed(tokenizers[0].encode(split.sources)),
            _framed(tokenizers[1].encode(split.targets), start=True),
        )
        encoded[name] = _within(options.length, split, *sides, notes)
    (sources, targets), (valid_sources, valid_targets) = encoded["train"], encoded["valid"]
    if assets is None or options.from_:
        # The batch shapes are chosen from the lengths of the training and validation texts. All other assets
        # are independent of the validation split.
        lengths = [
            np.concatenate([one.lengths, other.lengths])
            for one, other in ((sources, valid_sources), (targets, valid_targets))
        ]
        shapes = PairShapes.choose(lengths[0], lengths[1] - 1, options.batch_size, options.shapes)
        assets = Assets(*tokenizers, source.source, source.target, shapes, options.length)
    notes += _notes(source, assets, encoded)
    shapes = assets.shapes
    return Data(
        train=lambda epoch: pair_batches(sources, targets, shapes, seed=options.seed, epoch=epoch),
        valid=lambda: pair_batches(valid_sources, valid_targets, shapes),
        assets=assets,
        facts=_facts(source, sources, targets, assets, notes),
        source=source,
        options=options,
    )


def reading(options: Train) -> Reading:
    """Returns the options that control how files are read."""
    return Reading(options.source_column, options.target_column, options.encoding, options.on_bad_rows)


def _tokenizers(options: Train, source: ParallelData) -> tuple[Tokenizer, Tokenizer]:
    settings = TokenizerSettings(
        unit=options.unit,  # type: ignore[arg-type]
        split="reversible",
        lowercase=options.lowercase,
        size=options.vocabulary,
        minimum_count=options.minimum_count,
    )
    if options.joint:
        joint = Tokenizer.train([*source.train.sources, *source.train.targets], settings)
        return joint, joint
    return Tokenizer.train(source.train.sources, settings), Tokenizer.train(source.train.targets, settings)


def _framed(rows: TokenSequences, start: bool = False) -> TokenSequences:
    """Appends ``END`` to every token sequence. If ``start`` is True, also prepends ``START``."""
    values, lengths = np.insert(rows.values, rows.row_splits[1:], END), rows.lengths + 1
    if start:
        values, lengths = np.insert(values, np.cumsum(lengths) - lengths, START), lengths + 1
    return TokenSequences.from_lengths(values, lengths)


def _within(
    length: int, split: Pairs, sources: TokenSequences, targets: TokenSequences, notes: list[str]
) -> tuple[TokenSequences, TokenSequences]:
    """Returns the sources and targets of the pairs in which both texts have at most ``length`` tokens.

    If pairs are dropped, a note with their number and some of their locations is appended to ``notes``.
    """
    fits = (sources.lengths <= length) & (targets.lengths - 1 <= length)
    if not fits.any():
        raise DataError(
            f"{' and '.join(split.files)}: every pair has a text of more than {length} tokens; raise --length"
        )
    if fits.all():
        return sources, targets
    out = np.flatnonzero(~fits)
    named = "; ".join(split.where(row) for row in out[:NAMED]) + (" ..." if len(out) > NAMED else "")
    notes.append(f"{len(out)} pairs that contain a text of more than {length} tokens are dropped: {named}")
    rows = np.flatnonzero(fits)
    return sources.rows(rows), targets.rows(rows)


def _notes(
    source: ParallelData, assets: Assets, encoded: dict[str, tuple[TokenSequences, TokenSequences]]
) -> list[str]:
    """Returns notes about both languages.

    The notes are about writing systems, unknown tokens, vocabulary sizes and text lengths.
    """
    notes = []
    for side, (language, tokenizer, texts) in enumerate(
        (
            (assets.source, assets.source_tokenizer, source.train.sources),
            (assets.target, assets.target_tokenizer, source.train.targets),
        )
    ):
        notes += script_note(tokenizer, texts, f"--unit {tokenizer.settings.unit}", ["--unit wordpiece"])
        splits = {"train": encoded["train"][side].values, "validation": encoded["valid"][side].values}
        notes += unknown_note(tokenizer, {f"{language} {name}": ids for name, ids in splits.items()})
        if side == 0 or not assets.joint:
            notes += vocabulary_note(tokenizer, "" if assets.joint else language)
        notes += length_note(encoded["train"][side], 1 + side, f"{language} training texts")
    return notes


def _facts(
    source: ParallelData,
    sources: TokenSequences,
    targets: TokenSequences,
    assets: Assets,
    notes: Sequence[str],
) -> dict[str, Any]:
    splits = {"train": source.train, "valid": source.valid, "test": source.test}

    def quantiles(rows: TokenSequences) -> dict[str, int]:
        return {f"{q}%": int(np.percentile(rows.lengths, q)) for q in (5, 50, 95, 100)}

    return {
        "source": source.name,
        "sha256": source.sha256,
        "notes": list(notes),
        "languages": f"{source.source} to {source.target}",
        "counts": {name: len(split) for name, split in splits.items()},
        "vocabulary": [len(assets.source_tokenizer), len(assets.target_tokenizer)],
        "tokens of a source": quantiles(sources),
        "tokens of a target": quantiles(targets),
        "unknown tokens": f"{np.mean(np.append(sources.values, targets.values) == UNKNOWN):.2%}",
    }
