"""Chooses the options of a training from the unit and the number of the training tokens.

The table in ``docs/language_modeling.md`` gives the reasons. This module does not import TensorFlow.
"""

from __future__ import annotations

from typing import Any

from apps.language_modeling.options import OF_CHARACTERS, WITHOUT, Train
from apps.options import AUTO
from seqmodels.registry import PARALLEL_CELLS

FEW_TOKENS = 400_000  # below this number, a network of words is small, and its dropout rates are high
READ_CHARACTERS, READ_TOKENS = 10_000_000, 36_000_000  # number of tokens that suits most trainings
FEWEST_EPOCHS, MOST_EPOCHS = 8, 40
ADAM_RATES = {"lstm": 0.003, "rnn": 0.0005}  # learning rates of Adam; 0.002 for other models
SGD_RATE = {"lstm": 20.0}  # learning rates of SGD; 2 for other models

CHARACTERS: dict[str, Any] = {
    "batch_size": 32,
    "steps": 64,
    "embedding_units": 64,
    "units": 256,
    "layers": 1,
    "embedding_dropout": 0.0,
    "input_dropout": 0.1,
    "layer_dropout": 0.0,
    "output_dropout": 0.25,
    "weight_dropout": 0.0,
}
FEW_WORDS: dict[str, Any] = {
    "batch_size": 10,
    "steps": 35,
    "embedding_units": 200,
    "units": 200,
    "layers": 1,
    "embedding_dropout": 0.15,
    "input_dropout": 0.6,
    "layer_dropout": 0.3,
    "output_dropout": 0.6,
    "weight_dropout": 0.5,
}
MANY_WORDS: dict[str, Any] = {
    "batch_size": 20,
    "steps": 35,
    "embedding_units": 200,
    "units": 200,
    "layers": 2,
    "embedding_dropout": 0.0,
    "input_dropout": 0.3,
    "layer_dropout": 0.2,
    "output_dropout": 0.3,
    "weight_dropout": 0.1,
}


def choose(options: Train, tokens: int) -> tuple[Train, list[str]]:
    """Replaces every option with the value ``auto``.

    Args:
        options: options of the training.
        tokens: number of training tokens.

    Returns:
        The options, and a note that names the chosen values. The list of notes is empty if no option is
        ``auto``.

    Raises:
        UsageError: a chosen value cannot be combined with an option of the user.
    """
    few, characters = tokens < FEW_TOKENS, options.unit in OF_CHARACTERS
    sizes = dict(CHARACTERS if characters else FEW_WORDS if few else MANY_WORDS)
    if options.residual:  # both sizes must be equal
        if options.embedding_units != AUTO:
            sizes["units"] = options.embedding_units
        sizes["embedding_units"] = sizes["units"] if options.units == AUTO else options.units
    if options.cell in PARALLEL_CELLS:
        sizes["weight_dropout"] = 0.0
    if (sizes["layers"] if options.layers == AUTO else options.layers) == 1:
        sizes["layer_dropout"] = 0.0
    for name in WITHOUT["model"][options.model]:  # these options do not apply and keep their defaults
        sizes.pop(name, None)
    kind = "fixed-window" if options.model == "fixed-window" else options.cell
    by_sgd = kind == "lstm" and not (characters or few)
    optimizer = ("sgd" if by_sgd else "adam") if options.optimizer == AUTO else options.optimizer
    rate = SGD_RATE.get(kind, 2.0) if optimizer == "sgd" else ADAM_RATES.get(kind, 0.002)
    read = READ_CHARACTERS if characters else READ_TOKENS
    chosen = options.with_chosen(
        {
            **sizes,
            "epochs": min(max(read // max(tokens, 1), FEWEST_EPOCHS), MOST_EPOCHS),
            "optimizer": optimizer,
            "learning_rate": rate,
            "clipnorm": 0.25 if optimizer == "sgd" else 1.0,
        }
    )
    chosen.check()
    return chosen, options.chosen_note(chosen, f"{tokens:,} training tokens")
