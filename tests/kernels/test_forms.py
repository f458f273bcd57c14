"""The form of a loop is one scoped setting that is read when a graph is traced."""

from __future__ import annotations

import pytest
import tensorflow as tf

from seqmodels import kernels
from seqmodels.cells import GRUCell
from seqmodels.layers import Recurrent


def test_the_innermost_block_wins_and_ends_with_its_block() -> None:
    assert kernels.current_form() == "auto"
    with kernels.form("unrolled"):
        with kernels.form("generic"):
            assert kernels.current_form() == "generic"
        assert kernels.current_form() == "unrolled"
    assert kernels.current_form() == "auto"


def test_an_exception_ends_the_block() -> None:
    with pytest.raises(RuntimeError), kernels.form("unrolled"):
        raise RuntimeError
    assert kernels.current_form() == "auto"


def test_unknown_form() -> None:
    with (
        pytest.raises(ValueError, match="form is 'fast'; expected one of auto, generic"),
        kernels.form("fast"),
    ):
        pass


@pytest.mark.parametrize(("name", "loops"), [("generic", 1), ("unrolled", 0)])
def test_it_is_read_at_trace_time(name: str, loops: int) -> None:
    """The graph keeps the form in which it was traced, also when it is called outside of the block."""
    layer = Recurrent(GRUCell(2))
    layer.build((1, 3, 2))
    function = tf.function(lambda x: layer(x)[0])
    with kernels.form(name):
        concrete = function.get_concrete_function(tf.TensorSpec((1, 3, 2)))
    operators = [operator.type for operator in concrete.graph.get_operations()]
    assert sum(operator in ("While", "StatelessWhile") for operator in operators) == loops
    assert function(tf.ones((1, 3, 2))).shape == (1, 3, 2)
    assert function.experimental_get_tracing_count() == 1
