"""Problems that are made of a lag: what is read first decides what must be answered last.

Each is a function ``(random, rows, lag) -> (inputs, targets)`` in float32, of shapes ``(rows, lag + ANSWERS,
FEATURES)`` and ``(rows, ANSWERS)``. The features are a value, a mark, and a sign that it is time to answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ANSWERS, FEATURES = 3, 3
VALUE, MARK, ANSWER = range(FEATURES)

Problem = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def adding(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum, less 1, of the two marked ones of ``lag`` numbers (Hochreiter and Schmidhuber 1997, 5.4).

    One mark is in the first quarter, one in the last half; the variance of the target is 1/6.
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
    """Three signs, then nothing, then the same three signs, each ``lag`` steps after it was read."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, ANSWERS)).astype(np.float32)
    inputs[:, :ANSWERS, VALUE] = signs
    inputs[:, :ANSWERS, MARK] = 1
    return inputs, signs


def parity(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The product of ``lag`` signs, one at every step: whether an odd number of them is negative (Bengio
    et al. 1994). All but one of them together say nothing about the answer."""
    inputs = _empty(rows, lag)
    inputs[:, :lag, VALUE] = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, MARK] = 1
    product = inputs[:, :lag, VALUE].prod(axis=1, keepdims=True)
    return inputs, np.repeat(product, ANSWERS, axis=1)


def xor(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """The product of two signs that are ``lag - 1`` steps apart, with nothing between: neither alone says
    anything about the answer, and no weighted sum of both does."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, 2))
    inputs[:, [0, lag - 1], VALUE] = signs
    inputs[:, [0, lag - 1], MARK] = 1
    return inputs, np.repeat(signs.prod(axis=1)[:, None], ANSWERS, axis=1).astype(np.float32)


def recall(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """One marked sign at the beginning among noise of the same size, to be answered at the end."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, VALUE] = signs
    inputs[:, 0, MARK] = 1
    return inputs, np.repeat(signs[:, :1], ANSWERS, axis=1).astype(np.float32)


def _empty(rows: int, lag: int) -> np.ndarray:
    inputs = np.zeros((rows, lag + ANSWERS, FEATURES), np.float32)
    inputs[:, lag:, ANSWER] = 1
    return inputs
