"""Deprecation of public functions and classes. The rules are in docs/versioning.md."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["deprecated"]

Named = TypeVar("Named", bound=Callable[..., Any])


def deprecated(*, since: str, removed_in: str, use: str) -> Callable[[Named], Named]:
    """Returns a decorator for a deprecated function or class. Each call emits a warning, but still works.

    The warning is a ``DeprecationWarning`` that shows the line of the call. Python shows this warning if the
    call is in a script, a notebook or a test, because the user can change such a call. Python hides the
    warning if the call is in an installed package, because the user cannot change the package. A
    ``FutureWarning`` is not used, because Python would show it in both cases.

    >>> @deprecated(since="0.2", removed_in="0.4", use="seqmodels.total")
    ... def add(numbers):
    ...     return sum(numbers)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     add([1, 2])
    3
    >>> print(caught[0].message)
    add is deprecated since 0.2 and will be removed in 0.4; use seqmodels.total

    A decorated class emits the warning when an instance of the class or of a subclass is created. The
    decorator returns the same class object, so ``isinstance``, pickles and saved models keep working.

    Args:
        since: first version in which the function or class is deprecated.
        removed_in: version in which the function or class will be removed.
        use: code that replaces the function or class, such as ``seqmodels.total``.
    """

    def decorate(named: Named) -> Named:
        message = (
            f"{named.__qualname__} is deprecated since {since} and will be removed in {removed_in}; use {use}"
        )
        if isinstance(named, type):
            initialize = named.__init__  # type: ignore[misc]
            named.__init__ = _warning(initialize, message)  # type: ignore[misc]
            marked: Any = named
        else:
            marked = _warning(named, message)
        note = f"Deprecated since {since}, will be removed in {removed_in}: use {use}."
        marked.__doc__ = "\n\n".join(filter(None, [inspect.getdoc(named), note]))
        marked.__deprecated__ = message  # the attribute that PEP 702 defines
        return marked

    return decorate


def _warning(function: Callable[..., Any], message: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return function(*args, **kwargs)

    # Keras reads the arguments of __init__ with getfullargspec, which ignores functools.wraps. Without the
    # attribute __signature__, getfullargspec would return *args and **kwargs.
    wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return wrapper
