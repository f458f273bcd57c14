"""Lazy imports: a package imports the module of a public name when the name is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a ``__getattr__`` for a package (PEP 562) that imports public names at first use.

    Args:
        package: ``__name__`` of the package.
        names: location of each public name, as ``module:attribute`` or as a module alone.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = names[name].partition(":")
        found = import_module(f"{package}.{module}")
        value = getattr(found, attribute) if attribute else found
        setattr(sys.modules[package], name, value)  # later uses skip __getattr__
        return value

    return __getattr__
