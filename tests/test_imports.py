"""Imports go strictly downward, and modules that must start fast load no heavy package.

The tests parse the source instead of importing it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
APPS = ("sentiment", "language_modeling", "forecasting", "translation", "gradients")
# Modules that every module may import; "seqmodels" is only the __init__.
EVERYONE = {"seqmodels", "seqmodels.deprecation", "seqmodels.errors", "seqmodels.lazy"}

# The modules that each module or package may import, in addition to itself and EVERYONE. A module belongs to
# the longest name here that is equal to it or contains it. A new module needs a row, and an unused permission
# must be removed.
ARROWS: dict[str, set[str]] = {
    "seqmodels": {"seqmodels.registration"},
    "seqmodels.deprecation": set(),
    "seqmodels.errors": set(),
    "seqmodels.lazy": set(),
    "seqmodels.registration": {"seqmodels.registry"},
    "seqmodels.registry": set(),
    "seqmodels.xla": set(),
    "seqmodels.kernels": set(),
    "seqmodels.cells": {"seqmodels.kernels"},
    "seqmodels.layers": {"seqmodels.cells", "seqmodels.kernels", "seqmodels.registry"},
    "seqmodels.models": {"seqmodels.cells", "seqmodels.kernels", "seqmodels.layers", "seqmodels.registry"},
    "seqmodels.data": {"seqmodels.registry"},
    "seqmodels.decoding": set(),
    "seqmodels.evaluation": set(),
    "seqmodels.training": {"seqmodels.registry", "seqmodels.xla"},
    "seqmodels.export": {"seqmodels.kernels"},
    "seqmodels.analysis": {"seqmodels.cells", "seqmodels.kernels", "seqmodels.layers"},
    "apps": {"apps.api"},
    "apps.__main__": {"apps.cli"},
    "apps.options": {"apps.continuing", "apps.search", "seqmodels.data", "seqmodels.registry"},
    "apps.search": set(),
    "apps.tune_options": {"apps.options", "apps.search"},
    "apps.study": {"apps.options", "apps.run", "apps.search", "apps.tune_options"},
    "apps.tuning_report": {"apps.options", "apps.run", "apps.study", "seqmodels.evaluation"},
    "apps.tuning": {
        "apps.console",
        "apps.interruption",
        "apps.options",
        "apps.outputs",
        "apps.run",
        "apps.runner",
        "apps.study",
        "apps.task",
        "apps.training",
        "apps.tune_options",
        "apps.tuning_report",
        "seqmodels.training",
    },
    "apps.continuing": set(),
    "apps.outputs": set(),
    "apps.inputs": {
        "apps.console",
        "apps.options",
        "apps.run",
        "apps.stdin",
        "apps.task",
        "seqmodels.data",
    },
    "apps.baseline_units": {"apps.console", "apps.run"},
    "apps.verdict": {"seqmodels.evaluation"},
    "apps.summary": {"apps.console", "apps.options"},
    "apps.console": set(),
    "apps.stdin": set(),
    "apps.interruption": set(),
    "apps.run": {"apps.continuing", "apps.options"},
    "apps.frames": {"apps.console", "apps.run", "seqmodels.data"},
    "apps.text_notes": {"seqmodels.data"},
    "apps.bundle": {"apps.run", "seqmodels.export"},
    "apps.inference": {"apps.run", "seqmodels.export"},
    "apps.task": {
        "apps.bundle",
        "apps.frames",
        "apps.options",
        "apps.outputs",
        "apps.run",
        "seqmodels.data",
        "seqmodels.export",
        "seqmodels.training",
    },
    "apps.training": {"apps.options", "apps.run", "apps.task", "seqmodels.training"},
    "apps.estimate": {
        "apps.console",
        "apps.options",
        "apps.run",
        "apps.task",
        "apps.training",
        "seqmodels.training",
    },
    "apps.exporting": {
        "apps.bundle",
        "apps.console",
        "apps.options",
        "apps.run",
        "apps.task",
        "seqmodels.export",
    },
    "apps.announcement": {"seqmodels.training"},
    "apps.progress": {"apps.announcement", "seqmodels.training"},
    "apps.runner": {
        "apps.announcement",
        "apps.baseline_units",
        "apps.console",
        "apps.estimate",
        "apps.inputs",
        "apps.interruption",
        "apps.options",
        "apps.outputs",
        "apps.progress",
        "apps.run",
        "apps.stdin",
        "apps.summary",
        "apps.task",
        "apps.training",
        "seqmodels.evaluation",
        "seqmodels.training",
    },
    "apps.cli": {"apps.options", "apps.run", "apps.tune_options", "seqmodels.xla"},
    "apps.api": {
        "apps.cli",
        "apps.exporting",
        "apps.frames",
        "apps.inputs",
        "apps.options",
        "apps.outputs",
        "apps.run",
        "apps.runner",
        "apps.task",
        "apps.tune_options",
        "apps.tuning",
    },
}
# The imports that the tasks share; OWN has all imports of each task.
OF_TASKS = {
    "apps.api",
    "apps.baseline_units",
    "apps.bundle",
    "apps.inference",
    "apps.run",
    "apps.task",
    "apps.verdict",
    "seqmodels.data",
    "seqmodels.evaluation",
    "seqmodels.export",
    "seqmodels.models",
    "seqmodels.training",
}
OWN: dict[str, set[str]] = {
    "sentiment": {
        *OF_TASKS,
        "apps.console",
        "apps.frames",
        "apps.options",
        "apps.text_notes",
        "seqmodels.layers",
    },
    "language_modeling": {
        *OF_TASKS,
        "apps.console",
        "apps.frames",
        "apps.text_notes",
        "apps.options",
        "seqmodels.decoding",
        "seqmodels.registry",
    },
    "forecasting": {*OF_TASKS, "apps.console", "apps.options", "apps.training", "seqmodels.registry"},
    "translation": {
        *OF_TASKS,
        "apps.console",
        "apps.frames",
        "apps.text_notes",
        "apps.options",
        "seqmodels.decoding",
        "seqmodels.layers",
    },
    "gradients": {
        "apps.language_modeling",
        "apps.options",
        "apps.run",
        "apps.sentiment",
        "apps.task",
        "apps.training",
        "seqmodels.analysis",
        "seqmodels.cells",
        "seqmodels.data",
        "seqmodels.evaluation",
        "seqmodels.kernels",
        "seqmodels.layers",
        "seqmodels.models",
        "seqmodels.registry",
        "seqmodels.training",
    },
}
for app in APPS:
    ARROWS[f"apps.{app}"] = {f"apps.{app}.options", *OWN[app]}
    ARROWS[f"apps.{app}.options"] = {"apps.options", "seqmodels.registry"}
    if app in ("sentiment", "language_modeling", "forecasting"):
        ARROWS[f"apps.{app}.options"].add("apps.search")
    ARROWS[f"apps.{app}.__main__"] = {"apps.cli", f"apps.{app}.options"}
ARROWS["apps.translation.__main__"].add("apps.options")
ARROWS["apps.sentiment.options"].add("apps.continuing")

# The modules that `--help` and a usage error load. Of the installed packages, they load only click.
LIGHT = {
    "seqmodels",
    "seqmodels.deprecation",
    "seqmodels.data",
    "seqmodels.export",
    "seqmodels.evaluation",
    "seqmodels.errors",
    "seqmodels.registry",
    "seqmodels.xla",
    "apps.__main__",
    "apps.cli",
    "apps.options",
    "apps.search",
    "apps.tune_options",
}
LIGHT |= {f"apps.{app}.{module}" for app in APPS for module in ("__main__", "options")}
ALLOWED_OUTSIDE = {*sys.stdlib_module_names, "click", "filelock"}


@dataclass(frozen=True)
class Import:
    """One imported name, such as ``a.b.c`` of ``from a.b import c``.

    ``at_once`` is True if the import runs when the module is imported.
    """

    target: str
    line: int
    at_once: bool


class Imports(ast.NodeVisitor):
    """Collects the imports of a module; those in functions or under ``TYPE_CHECKING`` do not run at once."""

    def __init__(self, package: str):
        self.package = package
        self.found: list[Import] = []
        self.at_once = True

    def add(self, target: str, node: ast.stmt | ast.expr) -> None:
        self.found.append(Import(target, node.lineno, self.at_once))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(alias.name, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.package.split(".")
        above = ".".join(base[: len(base) - node.level + 1]) if node.level else ""
        module = ".".join(part for part in (above, node.module) if part)
        for alias in node.names:
            self.add(f"{module}.{alias.name}", node)

    def visit_Call(self, node: ast.Call) -> None:
        """Adds ``import_module("a.b")`` as an import."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "import_module" and node.args and isinstance(node.args[0], ast.Constant):
            self.add(node.args[0].value, node)
        self.generic_visit(node)

    def later(self, node: ast.AST) -> None:
        before, self.at_once = self.at_once, False
        self.generic_visit(node)
        self.at_once = before

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = later

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            self.later(node)
        else:
            self.generic_visit(node)


class Tree:
    """Modules of ``apps`` and ``seqmodels`` in a folder, by dotted name."""

    def __init__(self, root: Path):
        self.paths: dict[str, Path] = {}
        for package in ("apps", "seqmodels"):
            for path in sorted((root / package).rglob("*.py")):
                parts = path.relative_to(root).with_suffix("").parts
                self.paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path

    def imports(self, module: str) -> list[Import]:
        """Returns the imports of a module; a name in a module of the project becomes the module itself."""
        path = self.paths[module]
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        visitor = Imports(package)
        visitor.visit(ast.parse(path.read_text(encoding="utf-8")))
        return [Import(self.module_of(each.target), each.line, each.at_once) for each in visitor.found]

    def module_of(self, target: str) -> str:
        while target not in self.paths and "." in target:
            shorter = target.rpartition(".")[0]
            if shorter.partition(".")[0] not in ("apps", "seqmodels"):
                break
            target = shorter
        return target

    def loaded_by(self, module: str) -> set[str]:
        """Returns the names that importing ``module`` loads, including its parent packages.

        For other distributions, only the top-level name is returned.
        """
        loaded: set[str] = set()
        waiting = [module]
        while waiting:
            current = waiting.pop()
            if current in loaded:
                continue
            loaded.add(current)
            if current in self.paths:
                waiting += [each.target for each in self.imports(current) if each.at_once]
            waiting += [current.rpartition(".")[0]] if "." in current else []
        return {name if name in self.paths else name.partition(".")[0] for name in loaded}


def row(module: str) -> str | None:
    """Returns the longest name in the table that is ``module`` or one of its parent packages."""
    while module and module not in ARROWS:
        module = module.rpartition(".")[0]
    return module or None


def violations(tree: Tree) -> Iterator[str]:
    for module in tree.paths:
        source = row(module)
        if source in ("apps", "seqmodels") and module != source:
            yield f"{module} has no row in ARROWS"
            continue
        for each in tree.imports(module):
            target = row(each.target)
            if module.startswith("seqmodels") and each.target.partition(".")[0] == "click":
                target = "click"  # the library must not depend on the command line
            if target and target not in {source, *EVERYONE, *ARROWS[source or ""]}:
                yield f"{module}, line {each.line}: imports {each.target}"


def heavy(tree: Tree) -> Iterator[str]:
    for module in sorted(LIGHT & set(tree.paths)):
        for name in sorted(tree.loaded_by(module) - set(tree.paths) - ALLOWED_OUTSIDE):
            yield f"{module} loads {name}"


def test_imports_run_downward() -> None:
    assert list(violations(Tree(ROOT))) == []


def test_light_modules_load_no_heavy_package() -> None:
    assert list(heavy(Tree(ROOT))) == []


def cycle(tree: Tree) -> list[str]:
    """Returns the modules that import each other at import time; the list is empty without a cycle."""
    graph = {
        module: {each.target for each in tree.imports(module) if each.at_once and each.target in tree.paths}
        for module in tree.paths
    }
    while free := [module for module, needs in graph.items() if not needs & graph.keys() - {module}]:
        for module in free:
            del graph[module]
    return sorted(graph)


def test_there_are_no_circular_imports(plant) -> None:
    assert cycle(Tree(ROOT)) == []
    circular = {"apps/a.py": "import apps.b", "apps/b.py": "from apps import a", "apps/c.py": "import apps.a"}
    assert set(cycle(plant({"apps/__init__.py": "", **circular}))) >= {"apps.a", "apps.b"}


def unused(tree: Tree) -> set[tuple[str, str]]:
    """Returns the permissions of the table that no module uses."""
    used = {(row(module), row(each.target)) for module in tree.paths for each in tree.imports(module)}
    return {(name, target) for name, targets in ARROWS.items() for target in targets} - used


def test_every_permission_is_used() -> None:
    assert unused(Tree(ROOT)) == set()


def test_the_table_has_no_cycle() -> None:
    order: list[str] = []
    while len(order) < len(ARROWS):
        free = [name for name in ARROWS if name not in order and ARROWS[name] <= set(order)]
        assert free, f"the table has a cycle among {sorted(set(ARROWS) - set(order))}"
        order += free


@pytest.fixture
def plant(tmp_path: Path):
    """Returns a function that writes modules and returns their tree."""

    def write(sources: dict[str, str]) -> Tree:
        for name, source in sources.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        return Tree(tmp_path)

    return write


@pytest.mark.parametrize(
    ("path", "source", "named"),
    [
        ("seqmodels/data/batching.py", "import seqmodels.layers.cell", "seqmodels.layers.cell"),
        ("seqmodels/data/batching.py", "from seqmodels import layers", "seqmodels.layers"),
        ("seqmodels/data/batching.py", "from ..layers.cell import Cell", "seqmodels.layers.cell"),
        ("seqmodels/data/__init__.py", "from .. import layers", "seqmodels.layers"),
        ("seqmodels/data/batching.py", "def f():\n    from seqmodels.layers import Cell", "seqmodels.layers"),
        ("seqmodels/data/batching.py", "import importlib\nimportlib.import_module('apps.cli')", "apps.cli"),
        ("seqmodels/kernels/scan.py", "from seqmodels.layers import Cell", "seqmodels.layers"),
        ("seqmodels/layers/cell.py", "import apps.cli", "apps.cli"),
        ("apps/forecasting/task.py", "from apps.sentiment.task import TASK", "apps.sentiment.task"),
        ("apps/forecasting/task.py", "from apps import runner", "apps.runner"),
        ("apps/options.py", "from apps.cli import application", "apps.cli"),
        ("seqmodels/training/loop.py", "import click", "click"),
    ],
)
def test_a_forbidden_import_is_found(plant, path: str, source: str, named: str) -> None:
    modules = ["seqmodels/layers/cell.py", "apps/cli.py", "apps/runner.py", "apps/sentiment/task.py"]
    packages = {str(Path(module).parent / "__init__.py"): "" for module in modules}
    tree = plant({**packages, **dict.fromkeys(modules, ""), path: source})
    (found,) = violations(tree)
    assert found.endswith(f"imports {named}")
    assert found.startswith(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def test_a_new_module_needs_a_row(plant) -> None:
    assert list(violations(plant({"seqmodels/helpers.py": ""}))) == ["seqmodels.helpers has no row in ARROWS"]


@pytest.mark.parametrize(
    ("run_source", "loads"),
    [
        ("import numpy as np", ["apps.cli loads numpy"]),
        ("from seqmodels.models import classifier", ["apps.cli loads tensorflow"]),
        ("class A:\n    from tensorflow import keras", ["apps.cli loads tensorflow"]),
        ("try:\n    import keras\nexcept ImportError:\n    pass", ["apps.cli loads keras"]),
        ("def f():\n    import numpy", []),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numpy", []),
    ],
)
def test_heavy_imports_are_found_through_other_modules(plant, run_source: str, loads: list[str]) -> None:
    tree = plant(
        {
            "apps/__init__.py": "",
            "apps/cli.py": "import click\nfrom apps.run import Run",
            "apps/run.py": run_source,
            "seqmodels/__init__.py": "",
            "seqmodels/models/__init__.py": "import tensorflow as tf",
            "seqmodels/models/classifier.py": "",
        }
    )
    assert list(heavy(tree)) == loads
