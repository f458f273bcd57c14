"""Gradients are equal in eager mode, in a graph and under XLA (static shapes)."""

from __future__ import annotations

import pytest
import tensorflow as tf
from inventory import PARTS, assert_same, gradients

from seqmodels import kernels

ROWS = [
    "Recurrent rnn",
    "Recurrent lstm",
    "Recurrent gru reversed",
    "Recurrent gru-reset-after",
    pytest.param("Recurrent irnn", marks=pytest.mark.slow),
    pytest.param("Encoder of two layers, one bidirectional", marks=pytest.mark.slow),
    pytest.param("Encoder residual", marks=pytest.mark.slow),
    pytest.param("Classifier", marks=pytest.mark.slow),
]


@pytest.mark.parametrize("form", ["auto", "generic", "unrolled"])
@pytest.mark.parametrize("name", ROWS)
def test_graph(name: str, form: str) -> None:
    part, sample = PARTS[name].built("float64"), PARTS[name].arguments(dtype="float64")
    expected = gradients(part, sample)
    with kernels.form(form):
        assert_same(tf.function(lambda: gradients(part, sample))(), expected, tolerance=1e-10)


@pytest.mark.parametrize("name", ROWS)
def test_xla(name: str) -> None:
    check_xla(name, "auto")


@pytest.mark.parametrize("name", ["Recurrent lstm", pytest.param("Classifier", marks=pytest.mark.slow)])
def test_xla_without_kernels(name: str) -> None:
    """XLA can differentiate a loop only with static shapes and a bound on the number of iterations."""
    check_xla(name, "generic")


def check_xla(name: str, form: str) -> None:
    part, sample = PARTS[name].built("float64"), PARTS[name].arguments(dtype="float64")
    compiled = tf.function(lambda sample: gradients(part, sample), jit_compile=True)
    with kernels.form(form):
        assert_same(compiled(sample), gradients(part, sample), tolerance=1e-10)
