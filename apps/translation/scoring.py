"""Computes the scores of a translation model and of its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from apps.baseline_units import UNITS
from apps.translation import alignment, grammar, word_table
from apps.translation.data import Assets
from apps.translation.inference import attention
from apps.translation.metrics import scores_of, sentence_statistics, translation_scores
from apps.translation.pairs import Pairs
from seqmodels.data.batching import pair_batches
from seqmodels.data.sequences import truncate
from seqmodels.data.tokenizer import CONTINUATION, SPACE_MARK, Tokenizer
from seqmodels.models import Translator
from seqmodels.training.objectives import cross_entropy

# BLEU is computed for groups of sentences with similar lengths. Each number is the maximum length of the
# source sentences in one group, in words. One more group contains all longer sentences.
LENGTHS = (5, 10, 15, 20, 30)
FEWEST = 20  # a mean loss is reported only for positions with at least this number of target tokens
ALIGNED = 500  # number of test sentences whose alignment is scored
# IBM model 1 learns its table from the first training texts, with at most this number of word pairs in total.
# A source text with m words and its translation with n words have m * n word pairs. With the maximum number
# of word pairs, IBM model 1 needs 2 GB of memory.
MOST_MEETINGS = 20_000_000


def probability_scores(model: Translator, assets: Assets, pairs: Pairs) -> dict[str, Any]:
    """Computes the perplexity, the next-token accuracy, and the loss at each position of the target.

    ``loss_by_position`` contains two lists. For the list ``forced``, the decoder receives the tokens of the
    reference (teacher forcing). For the list ``free``, it receives its own most probable tokens. Each entry
    has three values. ``position`` starts at 1. ``tokens`` is the number of reference tokens at this position.
    ``log_loss`` is the mean negative log-likelihood of these tokens in nats. Texts that do not fit
    into the largest batch shape are truncated.
    """
    shapes = assets.shapes
    sources = truncate(assets.cut(assets.encode_sources(pairs.sources)), shapes.sources[-1])
    targets = truncate(assets.encode_targets(pairs.targets), shapes.targets[-1] + 1)
    time = shapes.targets[-1]

    @tf.function(autograph=False, reduce_retracing=True)
    def losses(inputs: dict[str, tf.Tensor], wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        logits = model(inputs, training=False)
        right = tf.argmax(logits, axis=-1, output_type=wanted.dtype) == wanted
        return cross_entropy(logits, wanted), cross_entropy(model.free_running(inputs), wanted), right

    sums = np.zeros((4, time))  # loss (teacher forcing), loss (free running), correct, all tokens
    for inputs, wanted, weights in pair_batches(sources, targets, shapes):
        mask = tf.sequence_mask(inputs["target_lengths"], tf.shape(wanted)[1]).numpy()
        real = mask * weights.numpy()[:, None]  # (batch, time)
        for row, values in zip(sums, losses(inputs, wanted)):
            row[: real.shape[1]] += (values.numpy() * real).sum(axis=0)
        sums[3, : real.shape[1]] += real.sum(axis=0)
    forced, free, right, count = sums
    told = np.flatnonzero(count >= min(FEWEST, count[0]))
    by_position = {
        name: [
            {
                "position": int(place) + 1,
                "tokens": int(count[place]),
                "log_loss": values[place] / count[place],
            }
            for place in told
        ]
        for name, values in (("forced", forced), ("free", free))
    }
    return {
        "perplexity": float(np.exp(forced.sum() / count.sum())),
        "perplexity_of": "tokens of the run's vocabulary, end tokens included",
        "token_accuracy": float(right.sum() / count.sum()),
        "loss_by_position": by_position,
    }


def grammar_alignment(model: Translator, assets: Assets) -> dict[str, Any]:
    """Computes two alignment error rates on the first test sentences of the grammar.

    The grammar contains the true links between words. For the error rate ``attention``, each target word is
    linked to the source word with the largest attention weight. For the error rate ``ibm_model_1``, each
    target word is linked to the most probable source word of IBM model 1. IBM model 1 is learned from the
    training sentences of the grammar. The two error rates are from 0 to 1.
    """
    splits, forward = grammar.sentences(), assets.source == grammar.LANGUAGES[0]

    def sides(sentence: grammar.Sentence) -> tuple[list[str], list[str]]:
        english, french = ([word.lower() for word in words] for words in (sentence.english, sentence.french))
        return (english, french) if forward else (french, english)

    sentences = splits["test"][:ALIGNED]
    known = [{(e, f) if forward else (f, e) for e, f in sentence.links} for sentence in sentences]
    texts = [sentence.texts if forward else sentence.texts[::-1] for sentence in sentences]
    weights = attention(model, assets, [source for source, _ in texts], [target for _, target in texts])
    found, learned = [], []
    pairs = [sides(sentence) for sentence in splits["train"]]
    table = word_table.fit([source for source, _ in pairs], [target for _, target in pairs])
    for sentence, text, each in zip(sentences, texts, weights):
        source, target = sides(sentence)
        groups = [
            alignment.owners(_spelled(tokenizer, side, count), words)
            for tokenizer, side, count, words in (
                (assets.source_tokenizer, text[0], each.shape[1] - 1, source),
                (assets.target_tokenizer, text[1], each.shape[0] - 1, target),
            )
        ]
        found.append(alignment.links(alignment.between_words(each[:-1, :-1], *groups)))
        links = table.align(source, target)
        learned.append({(link, position) for position, link in enumerate(links) if link is not None})
    return {
        "sentences": len(sentences),
        "attention": alignment.error_rate(found, known),
        "ibm_model_1": alignment.error_rate(learned, known),
    }


def _spelled(tokenizer: Tokenizer, text: str, count: int) -> list[str]:
    """Returns the first ``count`` tokens of a text.

    The prefixes ``CONTINUATION`` and ``SPACE_MARK`` are removed from the tokens. If a word of
    the text is unknown, its token is the word itself.
    """
    names = tokenizer.spell(text)[:count]
    return [name.removeprefix(CONTINUATION).removeprefix(SPACE_MARK) for name in names]


def by_length(pairs: Pairs, translations: Sequence[str]) -> list[dict[str, Any]]:
    """Groups the sentences by source length in words, and computes BLEU per group."""
    words = np.array([len(text.split()) for text in pairs.sources])
    group = np.searchsorted(LENGTHS, words)
    found = []
    for index in np.unique(group):
        rows = np.flatnonzero(group == index).tolist()
        low = LENGTHS[index - 1] + 1 if index else 1
        name = f"{low} to {LENGTHS[index]}" if index < len(LENGTHS) else f"from {low}"
        scores = translation_scores(
            [translations[row] for row in rows], [pairs.targets[row] for row in rows], intervals=False
        )
        found.append({"name": name, "count": len(rows), "bleu": scores["bleu"]})
    return found


def baseline_scores(train: Pairs, splits: dict[str, Pairs], assets: Assets) -> dict[str, dict[str, Any]]:
    """Scores the baselines on each split.

    The first baseline copies the source text. The second baseline replaces each word by its most probable
    translation in the table of IBM model 1. The table is learned from ``train``. The scores contain the
    counts of each sentence as the entry ``units``.
    """
    sources, targets = _words(train.sources, assets), _words(train.targets, assets)
    meetings = np.cumsum([len(one) * len(other) for one, other in zip(sources, targets)])
    few = max(int(np.searchsorted(meetings, MOST_MEETINGS)), 1)
    table = word_table.fit(sources[:few], targets[:few])
    scores: dict[str, dict[str, Any]] = {name: {} for name in splits}
    for name, split in splits.items():
        written = [_written(table.translate(words)) for words in _words(split.sources, assets)]
        systems = {"copy of the source": split.sources, "word by word (IBM model 1)": written}
        for system, texts in systems.items():
            statistics = sentence_statistics(texts, split.targets)
            scores[name][system] = {**scores_of(statistics), UNITS: statistics}
    return scores


def _words(texts: Sequence[str], assets: Assets) -> list[list[str]]:
    """Splits texts into words and punctuation marks.

    ``SPACE_MARK`` at the start of a word replaces the white space before the word.
    """
    rows = assets.source_tokenizer.split(tf.constant([text.encode() for text in texts]))
    words, ends = [word.decode() for word in rows.values.numpy()], rows.row_splits.numpy()
    return [words[start:end] for start, end in pairwise(ends)]


def _written(words: Sequence[str]) -> str:
    return "".join(words).replace(SPACE_MARK, " ").strip()
