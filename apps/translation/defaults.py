"""Chooses the options of a training from the number of training pairs.

The table in ``docs/translation.md`` gives the reasons. This module does not import TensorFlow.
"""

from __future__ import annotations

from typing import Any

from apps.options import AUTO
from apps.translation.options import Train

READ_PAIRS = 520_000  # number of pairs, counted once per epoch, that suits most trainings
FEWEST_EPOCHS, MOST_EPOCHS = 4, 120
# Options for data with at most this number of pairs. With few pairs, networks and batches are small, and
# the dropout rate is high.
SIZES: dict[float, dict[str, Any]] = {
    2_000: {
        "batch_size": 600,
        "learning_rate": 0.004,
        "vocabulary": 2000,
        "shapes": 3,
        "embedding_units": 128,
        "units": 96,
        "decoder_units": 192,
        "dropout": 0.5,
    },
    6_000: {
        "batch_size": 900,
        "learning_rate": 0.004,
        "vocabulary": 3000,
        "shapes": 4,
        "embedding_units": 128,
        "units": 128,
        "decoder_units": 256,
        "dropout": 0.4,
    },
    float("inf"): {
        "batch_size": 1200,
        "learning_rate": 0.0015,
        "vocabulary": 5000,
        "shapes": 8,
        "embedding_units": 192,
        "units": 192,
        "decoder_units": 320,
        "dropout": 0.3,
    },
}


def choose(options: Train, pairs: int) -> tuple[Train, list[str]]:
    """Replaces every option with the value ``auto``.

    Args:
        options: options of the training.
        pairs: number of training pairs.

    Returns:
        The options, and a note that names the chosen values. The list of notes is empty if no option is
        ``auto``.

    Raises:
        UsageError: a chosen value cannot be combined with an option of the user.
    """
    sizes = dict(next(sizes for most, sizes in SIZES.items() if pairs <= most))
    if options.attention == "dot":  # the decoder must have the size of the encoder output
        directions = 2 if options.bidirectional else 1
        if options.decoder_units != AUTO:
            sizes["units"] = options.decoder_units // directions
        units = sizes["units"] if options.units == AUTO else options.units
        sizes["decoder_units"] = units * directions
    epochs = min(max(round(READ_PAIRS / max(pairs, 1)), FEWEST_EPOCHS), MOST_EPOCHS)
    chosen = options.with_chosen({**sizes, "epochs": epochs})
    chosen.check()
    return chosen, options.chosen_note(chosen, f"{pairs:,} training pairs")
