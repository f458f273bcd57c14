"""Synthetic problems with a lag: the answers at the end depend on inputs up to ``lag`` steps earlier.

Each problem is a function ``(random, rows, lag) -> (inputs, targets)``. Both arrays are float32. The inputs
are ``(rows, lag + ANSWERS, FEATURES)``, the targets are ``(rows, ANSWERS)``. The three features are a value,
a mark, and a flag that requests an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ANSWERS, FEATURES = 3, 3
VALUE, MARK, ANSWER = range(FEATURES)

Problem = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def adding(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Adding: the sum, minus 1, of two marked numbers (Hochreiter and Schmidhuber 1997, 5.4).

    Of ``lag`` numbers, one marked number is in the first quarter and one is in the last half. The variance of
    the target is 1/6.
    """
    inputs = _empty(rows, lag)
    inputs[:, :lag, VALUE] = random.uniform(size=(rows, lag))
    places = [random.integers(0, max(lag // 4, 1), rows), random.integers(lag // 2, lag, rows)]
    total = np.full(rows, -1.0)
    for place in places:
        inputs[np.arange(rows), place, MARK] = 1
        total += inputs[np.arange(rows), place, VALUE]
    return inputs, np.repeat(total[:, None], ANSWERS, axis=1).astype(np.float32)


def copying(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Copying: three signs (-1 or 1), zeros, then each sign as the answer ``lag`` steps after its input."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, ANSWERS)).astype(np.float32)
    inputs[:, :ANSWERS, VALUE] = signs
    inputs[:, :ANSWERS, MARK] = 1
    return inputs, signs


def parity(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Parity: the product of ``lag`` signs, one per step (Bengio et al. 1994).

    The product is -1 if an odd number of signs is negative. Without one of the signs, all other signs
    together carry no information about the answer.
    """
    inputs = _empty(rows, lag)
    inputs[:, :lag, VALUE] = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, MARK] = 1
    product = inputs[:, :lag, VALUE].prod(axis=1, keepdims=True)
    return inputs, np.repeat(product, ANSWERS, axis=1)


def xor(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """XOR: the product of two signs that are ``lag - 1`` steps apart, with zeros between the signs.

    One sign alone carries no information about the answer, nor does a weighted sum of both signs.
    """
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, 2))
    inputs[:, [0, lag - 1], VALUE] = signs
    inputs[:, [0, lag - 1], MARK] = 1
    return inputs, np.repeat(signs.prod(axis=1)[:, None], ANSWERS, axis=1).astype(np.float32)


def recall(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall: the marked first sign, which is the answer at the end; all later signs are noise."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, VALUE] = signs
    inputs[:, 0, MARK] = 1
    return inputs, np.repeat(signs[:, :1], ANSWERS, axis=1).astype(np.float32)


def _empty(rows: int, lag: int) -> np.ndarray:
    inputs = np.zeros((rows, lag + ANSWERS, FEATURES), np.float32)
    inputs[:, lag:, ANSWER] = 1
    return inputs
