"""The form of the loop over time: one scoped setting, read when a graph is traced.

Layers and models do not have options for export or speed. To use a form other than the default, wrap the
call::

    with kernels.form("unrolled"):
        function = tf.function(model).get_concrete_function(...)

- ``auto`` (the default): the fastest form that is exact for the cell and the machine.
- ``generic``: a ``tf.while_loop`` over ``cell.step``. The loop supports every cell and can be differentiated
  any number of times.
- ``unrolled``: a graph with one copy of the step per time step. The number of steps must be static.
- ``fused``: a loop that TensorFlow Lite's converter replaces by one operator. The cell must have a fused
  operator and start from zero states; otherwise ``generic`` is used. The batch size and the number of steps
  must be static. The loop returns only the states that the operator returns: ``h`` of an LSTM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FORMS = ("auto", "generic", "unrolled", "fused")

_form: ContextVar[str] = ContextVar("form", default="auto")


@contextmanager
def form(name: str) -> Iterator[None]:
    """Builds every loop that is traced inside the block in this form.

    Raises:
        ValueError: if the name is not in ``FORMS``.

    >>> with form("unrolled"):
    ...     current_form()
    'unrolled'
    """
    if name not in FORMS:
        raise ValueError(f"form must be one of {', '.join(FORMS)}; got {name!r}")
    token = _form.set(name)
    try:
        yield
    finally:
        _form.reset(token)


def current_form() -> str:
    """Returns the form in which loops are currently built.

    >>> current_form()
    'auto'
    """
    return _form.get()


_keep: ContextVar[bool] = ContextVar("keep", default=True)


@contextmanager
def recompute() -> Iterator[None]:
    """Trades time for memory in every layer that is traced inside the block.

    A recurrent layer then keeps only its inputs for the backward pass, not the gates and states of every
    step. The backward pass computes the gates and states again (Chen et al. 2016, arXiv 1604.06174).

    >>> with recompute():
    ...     keeps()
    False
    """
    token = _keep.set(False)
    try:
        yield
    finally:
        _keep.reset(token)


def keeps() -> bool:
    """Returns True if layers keep intermediate results for the backward pass.

    Inside :func:`recompute` the result is False.

    >>> keeps()
    True
    """
    return _keep.get()
