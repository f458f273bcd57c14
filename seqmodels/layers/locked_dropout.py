"""Dropout with one mask for all steps of a sequence."""

from __future__ import annotations

from typing import Any

import keras

from seqmodels.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="seqmodels")
class LockedDropout(Dropout):
    """Drops features of a sequence ``(n, T, d)``, the same ones at every step (Gal and Ghahramani 2016,
    section 4.1; "variational" or "locked" dropout in Merity et al. 2018, section 4.1).

    Args:
        rate: probability of dropping a feature.
        seed: for the draw.

    Raises:
        ValueError: a rate outside ``[0, 1)``.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def get_config(self) -> dict:
        return {name: value for name, value in super().get_config().items() if name != "noise_shape"}
