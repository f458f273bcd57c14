"""Chooses the options of a training from the number and the length of the training texts.

The table in ``docs/sentiment.md`` gives the reasons. This module does not import TensorFlow.
"""

from __future__ import annotations

from apps.options import AUTO
from apps.sentiment.labeled_texts import LabeledTextData
from apps.sentiment.options import Train

FEW_TEXTS = 5_000  # below this number, batches are small and the dropout rate is high
FEW_CHARACTERS = 1_500_000  # below this number, a word that occurs only once is worth a place
STEPS = 4_000  # number of training steps that suits most data
FEWEST_EPOCHS, MOST_EPOCHS = 4, 12


def choose(options: Train, source: LabeledTextData) -> tuple[Train, list[str]]:
    """Replaces every option with the value ``auto``.

    Args:
        options: options of the training.
        source: the texts. Only the training split is used.

    Returns:
        The options, and a note that names the chosen values. The list of notes is empty if no
        option is ``auto``.

    Raises:
        UsageError: a chosen value cannot be combined with an option of the user.
    """
    count = len(source.train)
    characters = sum(map(len, source.train.texts))
    few = count < FEW_TEXTS
    batch_size = 32 if few else 64
    if options.batch_size != AUTO:
        batch_size = options.batch_size
    steps = max(1, count // batch_size)
    chosen = options.with_chosen(
        {
            "output": source.output,
            "batch_size": batch_size,
            "epochs": min(max(STEPS // steps, FEWEST_EPOCHS), MOST_EPOCHS),
            "minimum_count": 1 if characters < FEW_CHARACTERS else 2,
            "units": 32 if few and len(source.classes) < 10 else 64,
            "dropout": 0.5 if few else 0.3,
            "buckets": 2 if few else 6,
        }
    )
    chosen.check()
    return chosen, options.chosen_note(chosen, f"{count:,} training texts", without=["output"])
