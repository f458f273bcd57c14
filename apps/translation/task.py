"""The translation app: one `Task` that trains, evaluates and applies translation models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Group
from rich.table import Table

from apps import frames
from apps.baseline_units import read_units, units_of, without_units
from apps.console import log
from apps.inference import open_model
from apps.options import ConvertTextOptions
from apps.run import Run
from apps.task import Data, Task
from apps.translation.data import Assets, load, reading
from apps.translation.inference import Decoding, check_format, forms, of_keras
from apps.translation.metrics import (
    MEASURES,
    scores_of,
    sentence_statistics,
    translation_verdict,
)
from apps.translation.options import READING, Evaluate, Predict, Train
from apps.translation.pair_table import Pairs, Reading
from apps.translation.pairs import is_grammar, load_pairs, load_test_pairs
from apps.translation.phone import phone
from apps.translation.prediction import predict
from apps.translation.saved_model import SERVED, examples, signatures
from apps.translation.scoring import baseline_scores, by_length, grammar_alignment, probability_scores
from apps.verdict import with_interval
from seqmodels.data.tables import Table as DataTable
from seqmodels.data.tables import find_column, has_column
from seqmodels.errors import UsageError
from seqmodels.evaluation import plots
from seqmodels.models import Translator
from seqmodels.training.objectives import Objective, translation

VALIDATED = 500  # number of validation sentences that are translated at the end of the training


def build(options: Train, assets: Assets) -> keras.Model:
    settings = options.model_settings()
    model = Translator(len(assets.source_tokenizer), len(assets.target_tokenizer), **settings)
    model.build()
    return model


def objective(options: Train, assets: object) -> Objective:
    return translation(options.label_smoothing)


def baselines(data: Data) -> dict[str, Any]:
    """Scores the baselines on the validation and test splits.

    One baseline translates word by word. Its word table is learned from the training split.
    """
    source = data.source
    return baseline_scores(source.train, {"valid": source.valid, "test": source.test}, data.assets)


def validate(model: keras.Model, data: Data, fitted: dict[str, Any]) -> dict[str, Any]:
    """Compares the model with the baselines on validation sentences. See :class:`apps.task.Task`.

    The model translates at most ``VALIDATED`` sentences by greedy search, because beam search takes longer.
    """
    split = data.source.valid
    count = min(len(split.sources), VALIDATED)
    chosen = np.linspace(0, len(split.sources) - 1, count).astype(int)
    (answers,) = of_keras(model, data.assets, Decoding(beam=1))([[split.sources[row] for row in chosen]])
    texts = [answer[0].text for answer in answers]
    own = sentence_statistics(texts, [split.targets[row] for row in chosen])
    others = {name: units[chosen] for name, units in units_of(fitted).items()}
    rows = {name: headline(scores_of(each, False)) for name, each in {**others, "model": own}.items()}
    return {
        "rows": {
            name: {MEASURES[key].name: value for key, value in row.items()} for name, row in rows.items()
        },
        "verdict": translation_verdict(own, others),
        "examples": f" ({count} sentences, greedy search)",
    }


def evaluate(run: Run, options: Evaluate) -> dict[str, Any]:
    """Scores the model and its baselines on ``--data``. Default data: the test split of the run."""
    stored = run.trained_with(Train)
    assets = Assets.load(run.assets)
    files = reading(stored)
    source = run.trained_on(
        stored.data,
        lambda: load_pairs(stored.data, assets.source, assets.target, stored.seed, reading=files),
    )
    split = source.test if options.data is None else _other_pairs(options, assets, files)
    units = read_units(run) if options.data is None else None
    if units is not None:
        rivals = run.read_json("metrics.json", "baselines")["baselines"]["test"]
    else:
        fitted = baseline_scores(source.train, {"test": split}, assets)["test"]
        rivals, units = without_units(fitted), units_of(fitted)
    how = Decoding(
        beam=options.beam,
        length_penalty=options.length_penalty,
        coverage_penalty=options.coverage_penalty,
        no_repeat=options.no_repeat,
    )
    check_format(options.model, how)
    model = run.load_model() if options.model == "keras" else None
    _require_coverage(run, model, how)
    translate = of_keras(model, assets, how) if model else open_model(run, options.model, forms(assets, how))
    (answers,) = translate([split.sources])
    texts = [answer[0].text for answer in answers]
    statistics = sentence_statistics(texts, split.targets)
    scores = {
        **scores_of(statistics),
        "decoding": asdict(how),
        "by_length": by_length(split, texts),
        **(probability_scores(model, assets, split) if model else {}),
    }
    if model and options.data is None and is_grammar(stored.data) and model.cell.attention is not None:
        scores["alignment_error_rate"] = grammar_alignment(model, assets)
    languages = f"{assets.source} to {assets.target}"
    return {
        "data": options.data or stored.data,
        "languages": languages,
        "model": scores,
        "baselines": rivals,
        "verdict": translation_verdict(statistics, units),
    }


def _other_pairs(options: Evaluate, assets: Assets, stored: Reading) -> Pairs:
    """Reads the pairs of ``evaluate --data``.

    ``READING`` lists options for reading files. If the user does not set one of these options, its value
    from the training is used.
    """
    given = {name: getattr(options, name) for name in READING}
    chosen = {name: value for name, value in given.items() if value is not None}
    files = replace(stored, **chosen, stored=frozenset({*given, "languages"}) - frozenset(chosen))
    notes: list[str] = []
    split = load_test_pairs(str(options.data), assets.source, assets.target, files, notes)
    for note in notes:
        log.print(f"note: {note}")
    return split


def _input_column(table: DataTable, options: Mapping[str, Any]) -> str:
    """Returns the name of the column with the texts to translate.

    This is the source column of the training, if the table has it. Otherwise, it is the column ``source``,
    ``src`` or ``text``.
    """
    for name in (options.get("source_column"), options.get("source")):
        if name and has_column(table, name):
            return find_column(table, name, (), "--source-column")
    return find_column(table, None, ("source", "src", "text"), "")


def _input_line(line: str, options: Mapping[str, Any]) -> str:
    """Returns the source text of a line of a file.

    A line with exactly one tab contains two texts. The source text is the first text. If
    ``options["source"]`` is ``"target"``, it is the second text. Any other line is returned unchanged.
    """
    sides = line.split("\t")
    return sides[options.get("source") == "target"] if len(sides) == 2 else line


def _require_coverage(run: Run, model: Translator | None, how: Decoding) -> None:
    if how.coverage_penalty and model and model.cell.attention is None:
        raise UsageError(
            f"--coverage-penalty needs attention, but {run.path} was trained with --attention none; remove "
            "--coverage-penalty"
        )


def headline(scores: dict[str, Any]) -> dict[str, float]:
    return {name: scores[name] for name in ("bleu", "chrf")}


def render_scores(scores: dict[str, Any]) -> Group:
    """Returns a table with the scores of the model and the baselines, and a table of BLEU by source length.

    The second line of a cell is the 95 % interval of the score.
    If the alignment error rate was computed, a third table contains it.
    """
    model = scores["model"]
    how = f"beam {model['decoding']['beam']}, length penalty {model['decoding']['length_penalty']:g}"
    title = f"{scores['data']}, {scores['languages']}: {model['sentences']} sentences, {how}"
    if "perplexity" in model:
        title += f"; perplexity {model['perplexity']:.2f} over {model['perplexity_of']}"
    signatures = f"BLEU {model['bleu_signature']}\nchrF {model['chrf_signature']}"
    side = Table("", "BLEU", "chrF", "length ratio", title=title, caption=signatures)
    for name, row in {**scores["baselines"], "model": model}.items():
        cells = [
            with_interval(f"{row[key]:.2f}", row.get(f"{key}_interval"), ".1f") for key in ("bleu", "chrf")
        ]
        side.add_row(name, *cells, f"{row['length_ratio']:.3f}")
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
    """Converts one record of :func:`predict` to text.

    The text starts with the translation, or with several translations and their scores (``--best``). If the
    record contains links between words or the path of a plot, they follow on further lines.
    """
    lines = [record["translation"]]
    if "best" in record:
        lines = [f"{each['score']:.4f}\t{each['text']}" for each in record["best"]]
    if "alignment" in record:
        source, target = record["source_words"], record["target_words"]
        lines.append("\t" + " ".join(f"{source[i]}-{target[j]}" for i, j in record["alignment"]))
    if record.get("plot"):
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
    validate=validate,
    evaluate=evaluate,
    predict=predict,
    headline=headline,
    render_scores=render_scores,
    render_prediction=render_prediction,
    plot=plot,
    signatures=signatures,
    examples=examples,
    served=SERVED,
    phone=phone,
    store=partial(frames.write_table, columns=("source", "target")),
    inputs=partial(frames.texts, column="source"),
    input_column=_input_column,
    input_line=_input_line,
)
