"""The config of a model, taken from the arguments of its constructor."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


def keeps_arguments(init: Callable[..., None]) -> Callable[..., None]:
    """Decorates ``__init__`` so that its named arguments become ``self.config``.

    ``**kwargs`` belong to the base class, which stores its own arguments. The config of a subclass contains
    its own arguments and the arguments of its base class.

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
