"""Synthetic problems in which the answers depend on inputs up to ``lag`` time steps earlier.

Each problem is a function that receives a random number generator, ``rows`` (the number of sequences),
and ``lag``. The function returns two float32 arrays, ``inputs (rows, lag + ANSWERS, FEATURES)`` and
``targets (rows, ANSWERS)``. The targets are the correct answers at the last ``ANSWERS`` time steps. Each time
step has three input features:

- a value
- a mark: 1 if the value is needed for the answer, else 0
- a flag: 1 at the last ``ANSWERS`` steps, at which the model must answer, else 0
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

ANSWERS, FEATURES = 3, 3
VALUE, MARK, ANSWER = range(FEATURES)

Problem = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]


def adding(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Adding problem: the answer is the sum of two marked numbers, minus 1.

    The inputs contain ``lag`` random numbers from 0 to 1. One marked number is in the first quarter of these
    numbers, and the other marked number is in the second half. The variance of the answer is 1/6. See
    Hochreiter and Schmidhuber 1997, section 5.4.
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
    """Copying problem: the three answers are the signs (-1 or 1) at the first three time steps.

    All later values are 0. The model must repeat each sign exactly ``lag`` steps later.
    """
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, ANSWERS)).astype(np.float32)
    inputs[:, :ANSWERS, VALUE] = signs
    inputs[:, :ANSWERS, MARK] = 1
    return inputs, signs


def parity(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Parity problem: the answer is the product of ``lag`` signs (Bengio et al. 1994).

    Each sign is -1 or 1. The product is -1 if the number of negative signs is odd. All signs are
    needed: if one sign is unknown, the remaining signs carry no information about the answer.
    """
    inputs = _empty(rows, lag)
    inputs[:, :lag, VALUE] = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, MARK] = 1
    product = inputs[:, :lag, VALUE].prod(axis=1, keepdims=True)
    return inputs, np.repeat(product, ANSWERS, axis=1)


def xor(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """XOR problem: the answer is the product of two signs (-1 or 1) that are ``lag - 1`` steps apart.

    The values between the two signs are 0. One sign alone carries no information about the answer, and no
    weighted sum of both signs is correlated with the answer.
    """
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, 2))
    inputs[:, [0, lag - 1], VALUE] = signs
    inputs[:, [0, lag - 1], MARK] = 1
    return inputs, np.repeat(signs.prod(axis=1)[:, None], ANSWERS, axis=1).astype(np.float32)


def recall(random: np.random.Generator, rows: int, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """Recall problem: the answer is the sign (-1 or 1) at the first step. All later signs are noise."""
    inputs = _empty(rows, lag)
    signs = random.choice([-1.0, 1.0], (rows, lag))
    inputs[:, :lag, VALUE] = signs
    inputs[:, 0, MARK] = 1
    return inputs, np.repeat(signs[:, :1], ANSWERS, axis=1).astype(np.float32)


def _empty(rows: int, lag: int) -> np.ndarray:
    inputs = np.zeros((rows, lag + ANSWERS, FEATURES), np.float32)
    inputs[:, lag:, ANSWER] = 1
    return inputs
