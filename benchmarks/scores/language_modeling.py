"""Experiments of the language modeling app."""

from __future__ import annotations

from functools import partial

from benchmarks.scores.experiment import Experiment
from benchmarks.scores.sources import CODE, PROSE, PTB, WIKI

TOKENS = ("perplexity",)
CHARACTERS = ("bits_per_character", "perplexity")

_experiment = partial(Experiment, task="language_modeling")

PRESETS = (
    _experiment(
        name="ptb",
        source=PTB,
        model="preset `default`",
        train=(),
        minutes=60,
        seeds=1,
        scores=TOKENS,
        published="two tied LSTM layers of 200 units (PyTorch's example): 110.4 after 6 epochs, 87.2 after "
        "40 epochs",
    ),
    _experiment(
        name="ptb-best",
        source=PTB,
        model="preset `best`",
        train=("--preset", "best"),
        evaluate=("--cache", "2000", "--dynamic"),
        minutes=141,
        seeds=1,
        scores=TOKENS,
        published="tied, 40 epochs (PyTorch's example): 2 x 650 76.0, 2 x 1500 72.3. Not tied (Zaremba et "
        "al. 2014): 2 x 650 82.1, 2 x 1500 78.3. AWD-LSTM (Merity et al. 2018): 57.3, with a cache 52.8",
    ),
)

CORPORA = (
    *(
        _experiment(
            name=name,
            source=source,
            model="preset `default`, characters",
            train=("--unit", "character", "--minutes", "6"),
            minutes=8,
            scores=CHARACTERS,
        )
        for name, source in (
            ("prose-characters", PROSE),
            ("code-characters", CODE),
            ("wiki-characters", WIKI),
        )
    ),
    _experiment(
        name="wiki-words",
        source=WIKI,
        model="preset `default`, words",
        train=("--minutes", "20"),
        minutes=21,
        seeds=1,
        scores=TOKENS,
    ),
)

# The numbers of units are chosen so that all models have about as many parameters as the default model. Five
# epochs take about ten minutes.
CELLS = tuple(
    _experiment(
        name=f"ptb-{name}",
        source=PTB,
        model=model,
        train=(*options, "--epochs", "5"),
        minutes=10,
        seeds=1,
        scores=TOKENS,
    )
    for name, model, options in (
        ("lstm", "LSTM 200, tied", ()),
        ("untied", "LSTM 200, not tied", ("--no-tied",)),
        ("gru", "GRU 226", ("--cell", "gru", "--units", "226")),
        ("rnn", "RNN 400, tanh", ("--cell", "rnn", "--units", "400")),
        ("mingru", "MinGRU 435", ("--cell", "mingru", "--units", "435")),
        ("minlstm", "MinLSTM 347", ("--cell", "minlstm", "--units", "347")),
        ("rglru", "RG-LRU 347", ("--cell", "rglru", "--units", "347")),
        (
            "rglru-residual",
            "RG-LRU 232, residual, embedding of 232",
            ("--cell", "rglru", "--residual", "--units", "232", "--embedding-units", "232"),
        ),
        (
            "fixed-window",
            "feed-forward, window of 5, 534 hidden units (Bengio et al. 2003)",
            ("--model", "fixed-window", "--units", "534"),
        ),
    )
)

EXPERIMENTS = (*PRESETS, *CORPORA, *CELLS)
