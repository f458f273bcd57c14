"""Computes a digest of the code that decides the scores of a task.

The code is the module ``apps/<task>/task.py``, the module ``apps/training.py``, and all modules that these
two import. A static analysis finds the imports, so no module is executed. Comments, docstrings, the texts of
errors, and the help of options do not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("apps", "seqmodels")
# These modules draw plots, print, or manage the files of a run. They cannot change a score.
WITHOUT_EFFECT = (
    *("apps.api", "apps.console", "apps.continuing", "apps.frames", "apps.outputs", "apps.run"),
    *("apps.*.plots", "apps.*.frames", "seqmodels.evaluation.*plots", "seqmodels.evaluation.style"),
)
# These modules write SavedModels and TFLite files. They decide only the scores of TFLite files.
EXPORTING = ("apps.bundle", "apps.exporting", "apps.*.phone", "apps.*.saved_model", "seqmodels.export*")
FIELDS = {"type_comment", "type_ignores", "type_params", "kind", "ctx"}  # parts of a tree that do not count


def digest(task: str, files: bool = False, root: Path = ROOT) -> str:
    """Returns the digest of the code of a task: 64 hexadecimal digits.

    Args:
        task: name of the app.
        files: if True, the code that writes TFLite files counts, too.
        root: folder that contains the packages.
    """
    return _digest(task, files, root)


@cache
def _digest(task: str, files: bool, root: Path) -> str:
    code = hashlib.sha256()
    for name in deciding(task, files, root):
        code.update(f"{name}\n{_normal_file(_modules(root)[name])}\n".encode())
    return code.hexdigest()


def read_again() -> None:
    """Forgets all results, so that the next digest reads the files again."""
    for function in (_digest, _modules, imported, _exported, _tree, _normal_file):
        function.cache_clear()


def deciding(task: str, files: bool = False, root: Path = ROOT) -> list[str]:
    """Returns the names of the modules that decide the scores of a task, in alphabetical order."""
    ignored = WITHOUT_EFFECT if files else (*WITHOUT_EFFECT, *EXPORTING)
    waiting = [f"apps.{task}.task", "apps.training", *(["apps.exporting"] if files else [])]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found and not any(fnmatchcase(name, pattern) for pattern in ignored):
            found.add(name)
            waiting += imported(name, root)
    return sorted(found)


@cache
def _modules(root: Path) -> dict[str, Path]:
    """Returns the modules of the packages: ``{dotted name: file}``."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imported(name: str, root: Path = ROOT) -> frozenset[str]:
    """Returns the modules of the project that a module imports, also in functions or by their names.

    If a name is imported from a package, only the module that defines the name is returned.
    """
    modules = _modules(root)
    found = set()
    for target in _targets(name, root):
        parent, _, attribute = target.rpartition(".")
        names = _exported(parent, root) if parent in modules else {}
        if target in modules:
            found |= {target, *_exported(target, root).values()}
        elif attribute in names:
            found.add(names[attribute])
        elif parent in modules:
            found.add(parent)
    return frozenset(found - {name})


def _targets(name: str, root: Path) -> Iterator[str]:
    """Yields the dotted names that a module imports, such as ``a.b.c`` for ``from a.b import c``."""
    modules = _modules(root)
    package = name if modules[name].name == "__init__.py" else name.rpartition(".")[0]
    for node in _executed(_tree(modules[name])):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{_source(node, package)}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # Registries name a class as "module:Class".
            module, _, attribute = node.value.partition(":")
            if "." in module and module in modules:
                yield f"{module}.{attribute}" if attribute else module


def _source(node: ast.ImportFrom, package: str) -> str:
    """Returns the absolute name of the module from which names are imported."""
    base = package.split(".")
    above = base[: len(base) - node.level + 1] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yields the nodes of a tree, without the blocks ``if TYPE_CHECKING``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


@cache
def _exported(package: str, root: Path) -> dict[str, str]:
    """Returns the names that a package takes from its modules: ``{name: module}``.

    A package imports these names at once, or lazily by :func:`seqmodels.lazy.lazy`. The result is empty for
    a module that is not a package.
    """
    path = _modules(root)[package]
    found: dict[str, str] = {}
    for node in ast.walk(_tree(path)) if path.name == "__init__.py" else ():
        if isinstance(node, ast.ImportFrom) and (source := _source(node, package)) in _modules(root):
            inner = _exported(source, root) if source != package else {}
            for alias in node.names:
                own = f"{source}.{alias.name}"
                module = own if own in _modules(root) else inner.get(alias.name, source)
                found[alias.asname or alias.name] = module
        if (
            isinstance(node, ast.Call)
            and getattr(node.func, "id", "") == "lazy"
            and isinstance(table := node.args[1], ast.Dict)
        ):
            names: dict[str, str] = ast.literal_eval(table)
            found |= {name: f"{package}.{value.partition(':')[0]}" for name, value in names.items()}
    return {name: module for name, module in found.items() if module.startswith(f"{package}.")}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def normal_form(source: str) -> str:
    """Returns the syntax tree of a module as text, without the parts that do not count.

    The text is the same for all supported versions of Python.

    >>> normal_form("x = 1  # one") == normal_form("x  =  1")
    True
    >>> normal_form("x = 1") == normal_form("x = 2")
    False
    """
    return _written(_Texts().visit(ast.parse(source)))


@cache
def _normal_file(path: Path) -> str:
    return normal_form(path.read_text(encoding="utf-8"))


class _Texts(ast.NodeTransformer):
    """Removes the docstrings, and the texts of errors and of options."""

    def _without_docstring(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = node.body  # type: ignore[attr-defined]
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            node.body = body[1:] if isinstance(body[0].value.value, str) else body  # type: ignore[attr-defined]
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = _without_docstring

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                each.value = ""
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.func).rpartition(".")[2]
        if name == "option" or name.endswith("_option") or name == "probability":
            for each in ast.walk(node):
                if isinstance(each, ast.Constant) and isinstance(each.value, str) and " " in each.value:
                    each.value = ""
        return node


def _written(node: object) -> str:
    if isinstance(node, ast.AST):
        fields = ((name, getattr(node, name, None)) for name in node._fields if name not in FIELDS)
        kept = (f"{name}={_written(value)}" for name, value in fields if value not in (None, []))
        return f"{type(node).__name__}({','.join(kept)})"
    return f"[{','.join(map(_written, node))}]" if isinstance(node, list) else repr(node)
