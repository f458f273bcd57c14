"""Lazy imports: a package imports a module only when a name from the module is first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a ``__getattr__`` (PEP 562) that imports each public name of a package at its first use.

    Args:
        package: ``__name__`` of the package.
        names: dictionary whose keys are the public names. The value ``"cells:GRUCell"`` stands for the class
            or function ``GRUCell`` in the module ``cells``. The value ``"cells"`` stands for the module.
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
