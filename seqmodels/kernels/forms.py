"""The forms (implementations) of the loop over time. A context manager selects the form.

The form of a loop is fixed when TensorFlow traces the graph. Layers and models have no option for the form.
To use a form other than the default, trace the call inside a ``with`` block::

    with kernels.form("unrolled"):
        function = tf.function(model).get_concrete_function(...)

- ``auto`` (the default): the fast kernel of the cell. For a cell without a kernel, ``generic`` is used.
- ``generic``: a ``tf.while_loop`` over ``cell.step``. The loop supports every cell and can be differentiated
  any number of times.
- ``unrolled``: a graph with one copy of ``cell.step`` per time step. The number of time steps must be static.
- ``fused``: a loop that TensorFlow Lite's converter replaces by one operator. The cell must have a fused
  operator and start from zero states; otherwise ``generic`` is used. The batch size and the number of time
  steps must be static. The operator does not return all states. The loop of an LSTM therefore returns only
  the state ``h``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

FORMS = ("auto", "generic", "unrolled", "fused")

_form: ContextVar[str] = ContextVar("form", default="auto")


@contextmanager
def form(name: str) -> Iterator[None]:
    """Context manager: every loop that is traced inside the ``with`` block has the form ``name``.

    Raises:
        ValueError: ``name`` is not in ``FORMS``.

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
    """Returns the name of the form that is currently selected.

    >>> current_form()
    'auto'
    """
    return _form.get()


_keep: ContextVar[bool] = ContextVar("keep", default=True)


@contextmanager
def recompute() -> Iterator[None]:
    """Context manager: layers that are traced inside the ``with`` block use less memory, but more time.

    A recurrent layer then stores only its inputs for the backward pass, not the gates and states of every
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
    """Returns True if layers store gates and states for the backward pass.

    The result is False inside a ``with`` block of :func:`recompute`, and True outside.

    >>> keeps()
    True
    """
    return _keep.get()
