"""How the loop over time is built: one scoped setting, read when a graph is traced.

No layer and no model carries a flag for export or speed. Where another form than the best one is wanted, say
so around the call::

    with kernels.form("unrolled"):
        function = tf.function(model).get_concrete_function(...)

- ``auto`` (the default): the fastest form that is exact for the cell and the machine.
- ``generic``: a ``tf.while_loop`` over ``cell.step``; for every cell, differentiable any number of times.
- ``unrolled``: the steps one after the other in the graph; the number of steps must be static.
- ``fused``: what TensorFlow Lite's converter makes one operator of, where a cell has one and starts from
  zeros; else ``generic``. Batch and number of steps must be static. Of the states only those that the
  operator hands out are returned: ``h`` of an LSTM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FORMS = ("auto", "generic", "unrolled", "fused")

_form: ContextVar[str] = ContextVar("form", default="auto")


@contextmanager
def form(name: str) -> Iterator[None]:
    """Build every loop that is traced inside the block in this form.

    Raises:
        ValueError: a name that is not in ``FORMS``.

    >>> with form("unrolled"):
    ...     current_form()
    'unrolled'
    """
    if name not in FORMS:
        raise ValueError(f"form is {name!r}; expected one of {', '.join(FORMS)}")
    token = _form.set(name)
    try:
        yield
    finally:
        _form.reset(token)


def current_form() -> str:
    """Returns the form in which loops are built now.

    >>> current_form()
    'auto'
    """
    return _form.get()


_keep: ContextVar[bool] = ContextVar("keep", default=True)


@contextmanager
def recompute() -> Iterator[None]:
    """Trade time for memory in every layer that is traced inside the block.

    Of a recurrent layer only its inputs are kept for the backward pass, not the gates and states of every
    step; they are computed again when the pass comes to the layer (Chen et al. 2016, arXiv 1604.06174).

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
    """Whether what the backward pass needs is kept: False inside :func:`recompute`.

    >>> keeps()
    True
    """
    return _keep.get()
