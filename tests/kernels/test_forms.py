"""Tests of ``kernels.form``, which sets the form of a loop inside a ``with`` block."""

from __future__ import annotations

import pytest
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import GRUCell
from seqmodels.layers import Recurrent


def test_the_innermost_block_sets_the_form() -> None:
    assert kernels.current_form() == "auto"
    with kernels.form("unrolled"):
        with kernels.form("generic"):
            assert kernels.current_form() == "generic"
        assert kernels.current_form() == "unrolled"
    assert kernels.current_form() == "auto"


def test_an_exception_restores_the_form() -> None:
    with pytest.raises(RuntimeError), kernels.form("unrolled"):
        raise RuntimeError
    assert kernels.current_form() == "auto"


def test_unknown_form() -> None:
    with (
        pytest.raises(ValueError, match=r"form must be one of auto, generic, .*; got 'fast'"),
        kernels.form("fast"),
    ):
        pass


@pytest.mark.parametrize(("name", "loops"), [("generic", 1), ("unrolled", 0)])
def test_the_form_is_read_at_trace_time(name: str, loops: int) -> None:
    """The graph keeps the form in which it was traced, even if it is called outside of the block."""
    layer = Recurrent(GRUCell(2))
    layer.build((1, 3, 2))
    function = tf.function(lambda x: layer(x)[0])
    with kernels.form(name):
        concrete = function.get_concrete_function(tf.TensorSpec((1, 3, 2)))
    operators = [operator.type for operator in concrete.graph.get_operations()]
    assert sum(operator in ("While", "StatelessWhile") for operator in operators) == loops
    assert function(tf.ones((1, 3, 2))).shape == (1, 3, 2)
    assert function.experimental_get_tracing_count() == 1
