"""A decorator that stores the arguments of a constructor as the config of the model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def keeps_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Decorates ``__init__`` to store its arguments in the dictionary ``self.config``.

    The dictionary maps the name of each argument to its value. The arguments in ``**kwargs`` are not stored,
    because they belong to the base class. If the ``__init__`` of the base class is decorated too,
    ``self.config`` also contains the arguments of the base class.

    >>> class Model:
    ...     @keeps_arguments
    ...     def __init__(self, units, rate=0.5): ...
    >>> Model(3).config
    {'units': 3, 'rate': 0.5}
    """
    signature = inspect.signature(init)
    kinds = signature.parameters.values()
    names = [each.name for each in kinds if each.kind is each.POSITIONAL_OR_KEYWORD][1:]

    @functools.wraps(init)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        init(self, *args, **kwargs)
        self.config = {**getattr(self, "config", {}), **{name: bound.arguments[name] for name in names}}

    return wrapped
