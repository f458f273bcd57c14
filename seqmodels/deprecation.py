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
    """Marks a function or a class as deprecated: it works as before, but each call emits a warning.

    The warning is a ``DeprecationWarning`` and names the caller's line. Python shows it in scripts, notebooks
    and tests, where the caller can change the call. Python hides it if an installed package makes the call,
    because the user of that package cannot change the call. A ``FutureWarning`` would be shown to that user.

    >>> @deprecated(since="0.2", removed_in="0.4", use="seqmodels.total")
    ... def add(numbers):
    ...     return sum(numbers)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     add([1, 2])
    3
    >>> print(caught[0].message)
    add is deprecated since 0.2 and will be removed in 0.4; use seqmodels.total

    A class warns when the class or a subclass is instantiated. The class object stays the same, so
    ``isinstance``, pickles and saved models keep working.

    Args:
        since: version that deprecates the name.
        removed_in: version that removes the name.
        use: replacement as it appears in code, such as ``seqmodels.total``.
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

    # Keras reads the arguments of __init__ with getfullargspec, which does not follow a wrapper.
    wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return wrapper
