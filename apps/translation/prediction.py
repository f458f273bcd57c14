"""The command ``predict``: translates texts, and counts truncated texts and unknown words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from apps.console import log
from apps.inference import open_model
from apps.run import Run
from apps.translation import alignment, copying, sentences
from apps.translation.copying import Source
from apps.translation.data import Assets
from apps.translation.inference import (
    BATCH,
    NEVER,
    Decoding,
    Translation,
    check_format,
    forms,
    padded,
    search,
)
from apps.translation.options import Predict
from seqmodels.data.sequences import TokenSequences
from seqmodels.data.tokenizer import END, SPACE_MARK, START, UNKNOWN
from seqmodels.errors import UsageError
from seqmodels.evaluation import plots
from seqmodels.models import Translator

NAMED = 5  # maximum number of words that a note lists


@dataclass(frozen=True)
class Sentence:
    """A source sentence and its translations.

    Attributes:
        source: the source sentence.
        best: translations of the sentence. The best translation comes first.
        words: words of the best translation.
        weights: attention between the words of the best translation and of the source. The shape is
            ``(words, source words)``. None if the attention was not computed.
        copied: words of the source that were copied into the best translation.
    """

    source: Source
    best: list[Translation]
    words: list[str] = field(default_factory=list)
    weights: np.ndarray | None = None
    copied: list[str] = field(default_factory=list)


TranslateSentences = Callable[[list[str]], list[Sentence]]


def predict(run: Run, chunks: Iterable[list[str]], options: Predict) -> Iterator[dict[str, Any]]:
    """Yields one record per text.

    A record contains the text, its best translation and the score. It also contains the number of sentences,
    the unknown words, the copied words, and a bool that is True if the text was truncated. Three options add
    values: ``--best`` adds further translations, ``--align`` adds the links between words, and ``--plot``
    adds the path of an attention plot.

    A text with several sentences is translated sentence by sentence. A text without words has an empty
    translation. After the last record, notes are printed. The notes count the texts that were split or
    truncated, and the texts with unknown words.
    """
    assets = Assets.load(run.assets)
    translate, assets, copies = _opened(run, assets, options)
    counts: Counter[str] = Counter()
    words: Counter[str] = Counter()
    drawn = 0
    for texts in chunks:
        for text, found in zip(texts, _of_texts(assets, texts, translate, options.split_sentences)):
            record = _record(text, found, options)
            if options.plot:
                record["plot"] = None  # an empty translation has no plot
            if options.plot and record["translation"]:
                drawn += 1
                path = run.plots / f"attention_{drawn}.png"
                record["plot"] = str(plots.attention_map(*_word_map(found), path))
            counts["texts"] += 1
            counts["split"] += record["sentences"] > 1
            counts["sentences"] += record["sentences"] * (record["sentences"] > 1)
            counts["truncated"] += record["truncated"]
            counts["unknown"] += bool(record["unknown"])
            counts["not copied"] += not copies and any(each.source.copied for each in found)
            words.update(record["unknown"][:NAMED] if len(words) < NAMED else ())
            yield record
    for note in _notes(assets, options, counts, list(words)[:NAMED], copies):
        log.print(f"note: {note}")


def _opened(run: Run, assets: Assets, options: Predict) -> tuple[TranslateSentences, Assets, bool]:
    """Opens the model in the format ``options.model``.

    Returns:
        Three values: a function, the assets, and a bool. The function translates sentences. For a TFLite
        file, ``length`` in the assets is the maximum source length of the file. The bool is True if the
        function copies words from the source.
    """
    how = Decoding(**{name: getattr(options, name) for name in Decoding.__dataclass_fields__})
    check_format(options.model, how)
    if options.model == "keras":
        model = run.load_model()
        attends = model.cell.attention is not None
        if not attends and (options.align or options.plot):
            raise UsageError(
                f"--align and --plot need attention, but {run.path} was trained with --attention none; "
                "remove --align and --plot"
            )
        if not attends and how.coverage_penalty:
            raise UsageError(
                f"--coverage-penalty needs attention, but {run.path} was trained with --attention none; "
                "remove --coverage-penalty"
            )
        copies = attends and options.copy_unknown
        return of_keras(model, assets, how, copies, align=options.align or options.plot), assets, copies
    translate = open_model(run, options.model, forms(assets, how))
    if options.model.startswith("tflite"):
        settings = run.read_json(
            "export/tflite/settings.json", "length", mend="create it again with `convert`"
        )
        assets = replace(assets, length=settings["length"])

    def of_other(texts: list[str]) -> list[Sentence]:
        (answers,) = translate([texts])
        # SavedModel and TFLite do not return the attention. Without attention, no word can be copied. The
        # attribute `Source.copied` still lists the words to copy. A note counts the texts with such words.
        sources = copying.read(assets, texts, mask=False)
        spans = copying.read(assets, texts, mask=True) if options.copy_unknown else sources
        marked = [replace(one, copied=other.copied) for one, other in zip(sources, spans)]
        return [Sentence(source, answer) for source, answer in zip(marked, answers)]

    return of_other, assets, False


def of_keras(
    model: Translator, assets: Assets, how: Decoding, copies: bool, align: bool
) -> TranslateSentences:
    """Returns a function that translates sentences with the Keras model.

    Args:
        model: the Keras model.
        assets: assets of the run, which contain the tokenizers.
        how: settings of the search.
        copies: If True, numbers, URLs, e-mail addresses and unknown words are copied from the source.
        align: If True, the attention is computed for every sentence. If False, it is computed only for
            sentences that may contain words to copy.
    """
    forbidden = tuple(token for token in NEVER if token != UNKNOWN or not copies)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None], tf.string)])
    def run(texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        return search(model, assets, texts, how, forbidden)

    @tf.function(autograph=False, reduce_retracing=True)
    def attention(inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        return model.alignments(inputs)

    def translations(texts: list[str]) -> list[Sentence]:
        sources = copying.read(assets, texts, mask=copies)
        order = np.argsort([len(text) for text in texts], kind="stable")
        answers: list[list[tuple[list[int], float]]] = [[] for _ in texts]
        for start in range(0, len(texts), BATCH):
            rows = order[start : start + BATCH]
            batch = tf.constant([sources[row].masked.encode("utf-8", "surrogatepass") for row in rows])
            tokens, lengths, scores = (tensor.numpy() for tensor in run(batch))
            for row, *beams in zip(rows, tokens, lengths, scores):
                answers[row] = [
                    (ids[:length].tolist(), float(score))
                    for ids, length, score in zip(*beams)
                    if np.isfinite(score)
                ]
        weights = _weights(
            attention, assets, sources, answers, lambda source, ids: align or _copies(source, ids)
        )
        return [
            _sentence(assets, source, answer, each, copies)
            for source, answer, each in zip(sources, answers, weights)
        ]

    def _copies(source: Source, ids: list[int]) -> bool:
        return copies and bool(source.copied or source.numbers or UNKNOWN in ids)

    return translations


Answers = Sequence[Sequence[tuple[list[int], float]]]


def _weights(
    attention: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    assets: Assets,
    sources: Sequence[Source],
    answers: Answers,
    wanted: Callable[[Source, list[int]], bool],
) -> list[list[np.ndarray | None]]:
    """Computes the attention of the translations for which ``wanted`` returns True.

    Returns:
        One list per source sentence, with one entry per translation. The entry is the attention ``(tokens,
        source tokens)``, without the end tokens. It is None for translations that are not ``wanted``.
    """
    found: list[list[np.ndarray | None]] = [[None] * len(answer) for answer in answers]
    places = [
        (row, best)
        for row, (source, answer) in enumerate(zip(sources, answers))
        for best, (ids, _) in enumerate(answer)
        if wanted(source, ids)
    ]
    rows = assets.cut(assets.encode_sources([source.masked for source in sources])) if places else None
    for start in range(0, len(places), BATCH):
        part = places[start : start + BATCH]
        assert rows is not None
        one = rows.rows(np.array([row for row, _ in part]))
        targets = [[START, *answers[row][best][0], END] for row, best in part]
        other = TokenSequences.from_lengths(np.concatenate(targets), np.array([len(ids) for ids in targets]))
        inputs = {
            "source": padded(one, -(-int(one.lengths.max()) // 16) * 16),
            "source_lengths": one.lengths.astype(np.int32),
            "target": padded(other, -(-int(other.lengths.max()) // 16) * 16),
            "target_lengths": other.lengths.astype(np.int32) - 1,
        }
        weights = attention({name: tf.constant(value) for name, value in inputs.items()}).numpy()
        for (row, best), each, s, t in zip(part, weights, one.lengths, inputs["target_lengths"]):
            found[row][best] = each[: t - 1, : s - 1]
    return found


def _sentence(
    assets: Assets,
    source: Source,
    answer: Sequence[tuple[list[int], float]],
    weights: Sequence[np.ndarray | None],
    copies: bool,
) -> Sentence:
    best: list[Translation] = []
    first = Sentence(source, best)
    for number, ((ids, score), tokens) in enumerate(zip(answer, weights)):
        words, unknown, groups = copying.pieces_of(assets.target_tokenizer, ids)
        between, copied = None, list[str]()
        if tokens is not None:
            between = alignment.between_words(tokens, source.groups, groups)
            if copies:
                words, between, copied = copying.copy(source, words, unknown, between)
        text = copying.text_of(words)
        # After words are copied from the source, two translations can be equal. Only the first one is kept.
        if text not in [each.text for each in best]:
            best.append(Translation(text, score))
        if not number:
            first = Sentence(source, best, words, between, copied)
    return first


def _of_texts(
    assets: Assets, texts: list[str], translate: TranslateSentences, split: bool
) -> Iterator[list[Sentence]]:
    """Yields the translated sentences of each text. A text without words has no sentences."""
    has_words = assets.source_tokenizer(
        tf.constant([text.encode("utf-8", "surrogatepass") for text in texts], tf.string)
    ).row_lengths()
    parts = [
        (sentences.split(text, assets.source) if split else [text]) if count else []
        for text, count in zip(texts, has_words.numpy())
    ]
    flat = [sentence for part in parts for sentence in part]
    found = iter(translate(flat) if flat else [])
    for part in parts:
        yield [next(found) for _ in part]


def _record(text: str, found: list[Sentence], options: Predict) -> dict[str, Any]:
    best = _joined([each.best for each in found], options.best)
    record: dict[str, Any] = {
        "text": text,
        "translation": best[0].text,
        "score": best[0].score,
        "sentences": len(found),
        "truncated": any(each.source.truncated for each in found),
        "unknown": [word for each in found for word in each.source.unknown_words],
        "copied": [word for each in found for word in each.copied],
    }
    if options.best > 1:
        record["best"] = [asdict(each) for each in best]
    if options.align:
        between, source, target = _word_map(found)
        links = sorted(alignment.links(between), key=lambda link: link[1])
        record |= {
            "source_words": source,
            "target_words": target,
            "alignment": [list(link) for link in links],
        }
    return record


def _joined(parts: list[list[Translation]], best: int) -> list[Translation]:
    """Joins the translations of the sentences of a text.

    Args:
        parts: for each sentence, a list of translations.
        best: maximum number of translations to return.

    Returns:
        Translations of the text. The score of a translation is the mean of the scores of its sentences.
    """
    if not parts:
        return [Translation("", 0.0)]
    totals: list[tuple[list[str], float | None]] = [([], 0.0)]
    for part in parts:
        totals = [
            ([*texts, each.text], None if total is None or each.score is None else total + each.score)
            for texts, total in totals
            for each in part
        ]
        totals = sorted(totals, key=lambda one: -(one[1] or 0.0))[:best]
    return [
        Translation(sentences.join(texts), None if total is None else total / len(parts))
        for texts, total in totals
    ]


def _word_map(found: list[Sentence]) -> tuple[np.ndarray, list[str], list[str]]:
    """Returns three values: the attention between the words of a text, the source words and the target words.

    The attention has the shape ``(target words, source words)``. The attention between words of different
    sentences is 0.
    """
    source = [word.removeprefix(SPACE_MARK) for each in found for word in each.source.words]
    target = [word.removeprefix(SPACE_MARK) for each in found for word in each.words]
    between = np.zeros((len(target), len(source)))
    row = column = 0
    for each in found:
        assert each.weights is not None
        height, width = len(each.words), len(each.source.words)
        between[row : row + height, column : column + width] = each.weights
        row, column = row + height, column + width
    return between, source, target


def _notes(
    assets: Assets, options: Predict, counts: Counter[str], words: list[str], copies: bool
) -> Iterator[str]:
    """Yields the notes after the last text.

    Each note counts texts: texts that were split, truncated texts, texts with unknown words, or texts with
    words that could not be copied. A count of 0 gives no note.
    """
    texts = counts["texts"]
    if counts["split"]:
        yield (
            f"{counts['split']} of {texts} texts have several sentences and are translated sentence by "
            f"sentence ({counts['sentences']} sentences); use --no-split-sentences to translate each text "
            "as a whole"
        )
    if counts["truncated"]:
        what = "have a sentence with" if options.split_sentences else "have"
        yield (
            f"{counts['truncated']} of {texts} texts {what} more than {assets.length} tokens, the maximum "
            "length of the model; these texts are truncated and marked in the output of --json"
        )
    if counts["unknown"]:
        fate = "copied from the source" if copies else "read as the unknown token"
        listed = ", ".join(map(repr, words))
        yield (
            f"{counts['unknown']} of {texts} texts have words that are not in the vocabulary, such as "
            f"{listed}; these words are {fate} and listed in the output of --json"
        )
    if options.copy_unknown and counts["not copied"]:
        why = f"--model {options.model}" if options.model != "keras" else "a model without attention"
        yield (
            f"{counts['not copied']} of {texts} texts have numbers, addresses or unknown words; "
            f"{why} does not copy them from the source"
        )
