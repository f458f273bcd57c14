"""Public names: every package has an explicit list of its public names, and each name has a docstring."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
# Scripts run in separate processes and are not imported.
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in (ROOT / "seqmodels").rglob("__init__.py")
    if path.parent.name != "scripts"
)


def public(package: str) -> dict[str, Any]:
    module = import_module(package)
    return {name: getattr(module, name) for name in module.__all__}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_resolves_and_is_documented(package: str) -> None:
    module = import_module(package)
    assert len(set(module.__all__)) == len(module.__all__)
    assert module.__doc__
    for name, value in public(package).items():
        if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
            own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
            assert own, f"{package}.{name} has no docstring"
    with pytest.raises((AttributeError, ImportError)):
        getattr(module, "no_such_name")  # noqa: B009


@pytest.mark.parametrize("package", PACKAGES)
def test_the_list_is_a_literal(package: str) -> None:
    """Linters, editors and readers need a literal list; ruff's RUF022 checks its order."""
    tree = ast.parse((ROOT / Path(*package.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert [type(value) for value in values] == [ast.List]


def test_no_public_name_hides_a_module() -> None:
    """If a lazy name and a module had the same name, the one loaded last would replace the other."""
    for package in PACKAGES[1:]:
        if "lazy(" in (ROOT / Path(*package.split(".")) / "__init__.py").read_text(encoding="utf-8"):
            modules = {path.stem for path in (ROOT / Path(*package.split("."))).glob("*.py")}
            assert not modules & set(import_module(package).__all__)
