"""The table of all experiments, and the tables of the pages."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.scores import forecasting, language_modeling, sentiment, translation
from benchmarks.scores.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for task in (sentiment, language_modeling, translation, forecasting)
    for experiment in task.EXPERIMENTS
}


@dataclass(frozen=True)
class Table:
    """A table of the pages.

    Attributes:
        layout: name of a layout of :mod:`benchmarks.scores.layouts`.
        experiments: experiments of the rows. All of them have the same scores, except in the layouts
            "overview" and "sizes".
    """

    layout: str
    experiments: tuple[Experiment, ...]


def _named(*names: str) -> tuple[Experiment, ...]:
    return tuple(EXPERIMENTS[name] for name in names)


_LABELED = tuple(each for each in sentiment.PRESETS if each.scores == sentiment.ACCURACY)
_UNEVEN = tuple(each for each in sentiment.PRESETS if each.scores == sentiment.UNEVEN)
_SIZES = tuple(
    experiment
    for name in ("sst2", "imdb", "clinc150", "waimai")
    for experiment in (*(each for each in sentiment.CUTS if each.source.name == name), EXPERIMENTS[name])
)

# The name of a table stands in its marker: <!-- scores: NAME -->
TABLES: dict[str, Table] = {
    "overview": Table(
        "overview",
        _named("sentiment-quick", "sst2", "imdb-best", "ptb", "multi30k-de-en", "sp500-1"),
    ),
    "reviews": Table("models", _named("sentiment-quick")),
    "classification": Table("scores", _LABELED),
    "classification-uneven": Table("scores", _UNEVEN),
    "classification-baselines": Table("models", _LABELED),
    "classification-files": Table("files", tuple(each for each in _LABELED if each.files)),
    "classification-sizes": Table("sizes", _SIZES),
    "classification-cells": Table("ablations", sentiment.CELLS),
    "ptb": Table("scores", language_modeling.PRESETS),
    "ptb-baselines": Table("models", language_modeling.PRESETS),
    "ptb-cells": Table("ablations", language_modeling.CELLS),
    "characters": Table("scores", language_modeling.CORPORA[:3]),
    "words": Table("scores", language_modeling.CORPORA[3:]),
    "translation": Table("scores", translation.PRESETS),
    "translation-sizes": Table("sizes", translation.CUTS),
    "translation-ablations": Table("ablations", translation.ABLATIONS),
    "seasonal": Table("models", forecasting.SIMULATED),
    "prices": Table("scores", forecasting.PRICES),
    "prices-baselines": Table("models", forecasting.PRICES),
    "m4": Table("scores", forecasting.SEASONS[:1]),
    "etth1": Table("scores", forecasting.SEASONS[1:]),
}
