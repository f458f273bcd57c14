"""The translation app: connects the functions of this package in one `Task`, from raw text to raw text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Group
from rich.table import Table

from apps import frames
from apps.inference import open_model
from apps.options import ConvertTextOptions
from apps.run import Run
from apps.task import Data, Task
from apps.translation import alignment
from apps.translation.data import Assets, load
from apps.translation.inference import Decoding, attention, forms, of_keras
from apps.translation.metrics import translation_scores
from apps.translation.options import Evaluate, Predict, Train
from apps.translation.pairs import is_grammar, load_pairs, load_test_pairs
from apps.translation.phone import phone
from apps.translation.saved_model import examples, signatures
from apps.translation.scoring import baseline_scores, by_length, grammar_alignment, probability_scores
from seqmodels.data.tokenizer import SPACE_MARK
from seqmodels.errors import UsageError
from seqmodels.evaluation import plots
from seqmodels.models import Translator
from seqmodels.training.objectives import Objective, translation


def build(options: Train, assets: Assets) -> keras.Model:
    settings = options.model_settings()
    model = Translator(len(assets.source_tokenizer), len(assets.target_tokenizer), **settings)
    model.build()
    if options.from_:
        earlier = Run(options.from_).load_model()
        shapes = [[tuple(weight.shape) for weight in each.trainable_weights] for each in (model, earlier)]
        if shapes[0] != shapes[1]:
            raise UsageError(
                f"--from {options.from_} has a model with other sizes or parts; "
                "use the model options of that run"
            )
        for weight, value in zip(model.trainable_weights, earlier.trainable_weights):
            weight.assign(value)
    return model


def objective(options: Train) -> Objective:
    return translation(options.label_smoothing)


def baselines(data: Data) -> dict[str, Any]:
    """Scores the baselines on the validation and test splits.

    The word table of the word-by-word baseline is learned from the training split.
    """
    source = data.source
    return baseline_scores(source.train, {"valid": source.valid, "test": source.test}, data.assets)


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on ``--data``, or by default on the test split of the run."""
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    source = run.trained_on(
        stored.data, lambda: load_pairs(stored.data, assets.source, assets.target, stored.seed)
    )
    if options.data is None:
        split, rivals = source.test, run.read_json("metrics.json")["baselines"]["test"]
    else:
        split = load_test_pairs(options.data, assets.source, assets.target)
        rivals = baseline_scores(source.train, {"test": split}, assets)["test"]
    how = Decoding(
        beam=options.beam,
        length_penalty=options.length_penalty,
        coverage_penalty=options.coverage_penalty,
        no_repeat=options.no_repeat,
    )
    model = run.load_model() if options.model == "keras" else None
    _require_coverage(run, model, how)
    translate = of_keras(model, assets, how) if model else open_model(run, options.model, forms(assets, how))
    (answers,) = translate([split.sources])
    texts = [answer[0].text for answer in answers]
    scores = {
        **translation_scores(texts, split.targets),
        "decoding": asdict(how),
        "by_length": by_length(split, texts),
        **(probability_scores(model, assets, split) if model else {}),
    }
    if model and options.data is None and is_grammar(stored.data) and model.cell.attention is not None:
        scores["alignment_error_rate"] = grammar_alignment(model, assets)
    languages = f"{assets.source} to {assets.target}"
    return {"data": options.data or stored.data, "languages": languages, "model": scores, "baselines": rivals}


def predict(run: Run, chunks: Iterable[list[str]], options: Predict) -> Iterator[dict[str, Any]]:
    """Yields one record per text.

    A record contains the text, its best translation and the score. Options add the other translations of the
    beam (``--best``), the links between words (``--align``) and the path of an attention plot (``--plot``).
    """
    assets = Assets.load(run.assets)
    how = Decoding(**{name: getattr(options, name) for name in Decoding.__dataclass_fields__})
    model = run.load_model() if options.model == "keras" else None
    if model and (options.align or options.plot) and model.cell.attention is None:
        raise UsageError(f"{run.path} was trained with --attention none; remove --align and --plot")
    _require_coverage(run, model, how)
    translate = of_keras(model, assets, how) if model else open_model(run, options.model, forms(assets, how))
    drawn = 0
    for texts in chunks:
        (answers,) = translate([texts])
        firsts = [answer[0].text for answer in answers]
        maps = attention(model, assets, texts, firsts) if model and (options.align or options.plot) else None
        for row, (text, answer) in enumerate(zip(texts, answers)):
            record: dict[str, Any] = {"text": text, "translation": answer[0].text, "score": answer[0].score}
            if options.best > 1:
                record["best"] = [asdict(each) for each in answer]
            if maps is not None:
                words = _word_map(assets, text, firsts[row], maps[row])
                if options.align:
                    record |= _alignment(*words)
                if options.plot and words[0].size:
                    drawn += 1
                    path = run.plots / f"attention_{drawn}.png"
                    record["plot"] = str(plots.attention_map(words[0], words[1], words[2], path))
            yield record


def _require_coverage(run: Run, model: Translator | None, how: Decoding) -> None:
    if how.coverage_penalty and model and model.cell.attention is None:
        raise UsageError(f"{run.path} was trained with --attention none; remove --coverage-penalty")


def _word_map(
    assets: Assets, source: str, target: str, weights: np.ndarray
) -> tuple[np.ndarray, list[str], list[str]]:
    """Returns the attention between words, the source words and the target words.

    The attention has the shape ``(target words, source words)``. End tokens are excluded.
    """
    rows = assets.cut(assets.encode_sources([source])), assets.encode_targets([target])
    pieces = (
        assets.source_tokenizer.decode(rows[0].values[:-1]),
        assets.target_tokenizer.decode(rows[1].values[1:-1]),
    )
    groups = [alignment.words_of(side) for side in pieces]
    between = alignment.between_words(weights[:-1, :-1], *groups)
    words = []
    for side, group in zip(pieces, groups):
        spelled = [""] * (group.max(initial=-1) + 1)
        for piece, word in zip(side, group):
            spelled[word] += piece.removeprefix("##") if spelled[word] else piece
        words.append([word.removeprefix(SPACE_MARK) for word in spelled])
    return between, words[0], words[1]


def _alignment(between: np.ndarray, source: list[str], target: list[str]) -> dict[str, Any]:
    links = sorted(alignment.links(between), key=lambda link: link[1])
    return {"source_words": source, "target_words": target, "alignment": [list(link) for link in links]}


def headline(scores: dict[str, Any]) -> dict[str, float]:
    return {name: scores[name] for name in ("bleu", "chrf")}


def render_scores(scores: dict[str, Any]) -> Group:
    """Renders a table of scores (model and baselines) and a table of BLEU by source length.

    If the alignment error rate was computed, a third table shows it.
    """
    model = scores["model"]
    how = f"beam {model['decoding']['beam']}, length penalty {model['decoding']['length_penalty']:g}"
    title = f"{scores['data']}, {scores['languages']}: {model['sentences']} sentences, {how}"
    if "perplexity" in model:
        title += f"; perplexity {model['perplexity']:.2f} over {model['perplexity_of']}"
    signatures = f"BLEU {model['bleu_signature']}\nchrF {model['chrf_signature']}"
    side = Table("", "BLEU", "chrF", "length ratio", title=title, caption=signatures)
    for name, row in {**scores["baselines"], "model": model}.items():
        side.add_row(name, f"{row['bleu']:.2f}", f"{row['chrf']:.2f}", f"{row['length_ratio']:.3f}")
    lengths = Table("source words", "sentences", "BLEU of the model")
    for group in model["by_length"]:
        lengths.add_row(group["name"], str(group["count"]), f"{group['bleu']:.2f}")
    if "alignment_error_rate" not in model:
        return Group(side, lengths)
    rates = model["alignment_error_rate"]
    aligned = Table("alignment error rate", f"{rates['sentences']} sentences")
    for name in ("attention", "ibm_model_1"):
        aligned.add_row(name.replace("_", " "), f"{rates[name]:.2%}")
    return Group(side, lengths, aligned)


def render_prediction(record: dict[str, Any]) -> str:
    """Renders one record of :func:`predict`.

    The first lines are the translation, or the best translations with their scores. The links between words
    and the path of the plot follow if the record contains them.
    """
    lines = [record["translation"]]
    if "best" in record:
        lines = [f"{each['score']:.4f}\t{each['text']}" for each in record["best"]]
    if "alignment" in record:
        source, target = record["source_words"], record["target_words"]
        lines.append("\t" + " ".join(f"{source[i]}-{target[j]}" for i, j in record["alignment"]))
    if "plot" in record:
        lines.append(f"\t{record['plot']}")
    return "\n".join(lines)


def plot(run: Run, scores: dict[str, Any]) -> list[Path]:
    position = scores["loss_by_position"]
    curves = {
        "given the reference (teacher forcing)": position["forced"],
        "given the model's own tokens": position["free"],
    }
    return [
        plots.score_by_group(
            scores["by_length"], "bleu", "source length (words)", run.plots / "bleu_by_length.png"
        ),
        plots.loss_by_position(curves, run.plots / "loss_by_position.png"),
    ]


TASK = Task(
    name="translation",
    Train=Train,
    Evaluate=Evaluate,
    Predict=Predict,
    Convert=ConvertTextOptions,
    load=load,
    load_assets=Assets.load,
    build=build,
    objective=objective,
    monitor=("valid_loss", False),
    baselines=baselines,
    evaluate=evaluate,
    predict=predict,
    headline=headline,
    render_scores=render_scores,
    render_prediction=render_prediction,
    plot=plot,
    signatures=signatures,
    examples=examples,
    phone=phone,
    store=partial(frames.write_table, columns=("source", "target")),
    inputs=partial(frames.texts, column="source"),
)
