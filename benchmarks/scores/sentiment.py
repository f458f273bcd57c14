"""Experiments of the sentiment app."""

from __future__ import annotations

from functools import partial

from benchmarks.scores.experiment import Experiment, Source
from benchmarks.scores.sources import CLINC, IMDB, REVIEWS, SST2, WAIMAI

ACCURACY = ("accuracy", "log_loss")
UNEVEN = ("accuracy", "macro_f1", "log_loss")  # for classes of different frequencies
SIZES = (100, 300, 1_000, 3_000, 10_000)
FOR_TEN_MINUTES = (
    *("--minutes", "10", "--epochs", "1000", "--patience", "none"),
    *("--schedule", "constant"),
)

_experiment = partial(Experiment, task="sentiment")

PRESETS = (
    _experiment(
        name="sentiment-quick",
        source=REVIEWS,
        model="preset `quick`: bidirectional LSTM",
        train=("--preset", "quick"),
        minutes=1,
        scores=ACCURACY,
    ),
    _experiment(
        name="sst2",
        source=SST2,
        model="preset `default`",
        train=(),
        minutes=5,
        scores=ACCURACY,
        files=("dynamic",),
        published="multinomial naive Bayes 80.3; averaged word vectors of MediaPipe Model Maker 81.0; BiLSTM "
        "of the GLUE paper about 85.9",
    ),
    _experiment(
        name="imdb",
        source=IMDB,
        model="preset `default`",
        train=(),
        minutes=10,
        seeds=3,
        scores=ACCURACY,
        files=("dynamic",),
        published="Keras' example 87.8",
    ),
    _experiment(
        name="imdb-best",
        source=IMDB,
        model="preset `best`",
        train=("--preset", "best"),
        minutes=16,
        seeds=3,
        scores=ACCURACY,
        files=("dynamic",),
        convert=("--length", "800"),
        published="NB-SVM 91.2; BiLSTM with pooling over one-hot words 91.9, best model of the same paper "
        "94.1 (Johnson and Zhang 2016)",
    ),
    *(
        _experiment(
            name=source.name + ending,
            source=source,
            model=f"preset `{preset}`",
            train=("--preset", preset) if ending else (),
            minutes=5,
            scores=UNEVEN,
        )
        for source in (CLINC, WAIMAI)
        for preset, ending in (("default", ""), ("best", "-best"))
    ),
)


def _cut(source: Source, size: int) -> Experiment:
    return _experiment(
        name=f"{source.name}-{size}",
        source=source,
        model="preset `default`",
        train=(),
        cut=size,
        minutes=3,
        scores=ACCURACY if source in (SST2, IMDB) else UNEVEN,
    )


CUTS = tuple(_cut(source, size) for source in (SST2, IMDB, CLINC, WAIMAI) for size in SIZES)

CELLS = tuple(
    _experiment(
        name=f"imdb-{name}",
        source=IMDB,
        model=model,
        train=(*FOR_TEN_MINUTES, *options),
        minutes=11,
        seeds=1,
        scores=ACCURACY,
    )
    for name, model, options in (
        ("lstm", "LSTM in both directions, maximum over time steps", ()),
        ("forward", "LSTM in the forward direction only", ("--no-bidirectional",)),
        ("gru", "GRU", ("--cell", "gru")),
        ("rnn", "RNN", ("--cell", "rnn")),
        ("mean", "LSTM, mean over time steps", ("--pooling", "mean")),
        ("last", "LSTM, final states", ("--pooling", "last")),
        ("attention", "LSTM, attention over time steps", ("--pooling", "attention")),
    )
)

EXPERIMENTS = (*PRESETS, *CUTS, *CELLS)
