"""A deprecated name works as before, warns at the caller's line, and is removed in the announced version."""

import ast
import doctest
import inspect
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import keras
import pytest
from packaging.version import Version

import seqmodels
from seqmodels import deprecation
from seqmodels.deprecation import deprecated

ROOT = Path(__file__).parents[1]
mark = deprecated(since="0.2", removed_in="0.4", use="total")


@mark
def add(first: int, *, second: int = 2) -> int:
    """Adds two numbers."""
    return first + second


@mark
class Old:
    """Keeps a number."""

    def __init__(self, number: int):
        self.number = number


class Younger(Old):
    pass


@mark
@dataclass
class Record:
    number: int


@mark
class Plain:
    pass


@mark
class OldLayer(keras.layers.Layer):
    def __init__(self, units: int, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def line() -> int:
    return inspect.currentframe().f_back.f_lineno


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("add", lambda: (add(1), line())),
        ("Old", lambda: (Old(1), line())),
        ("Old", lambda: (Younger(1), line())),
        ("Record", lambda: (Record(1), line())),
        ("Plain", lambda: (Plain(), line())),
        ("OldLayer", lambda: (OldLayer(3), line())),
    ],
)
def test_the_warning_names_the_replacement_and_the_line_of_the_caller(name, call):
    with pytest.warns(DeprecationWarning, match=name) as caught:
        _, expected = call()
    (warning,) = caught
    assert str(warning.message) == f"{name} is deprecated since 0.2 and will be removed in 0.4; use total"
    assert (warning.filename, warning.lineno) == (__file__, expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_deprecated_names_work_as_before():
    assert add(1) == 3
    assert add(1, second=4) == 5
    assert str(inspect.signature(add)) == "(first: int, *, second: int = 2) -> int"
    assert str(inspect.signature(Old)) == "(number: int)"
    assert isinstance(Younger(1), Old)
    assert pickle.loads(pickle.dumps(Record(5))) == Record(5)
    assert OldLayer.from_config(OldLayer(3).get_config()).units == 3
    with pytest.raises(TypeError):
        Plain(1)


def test_the_docstring_has_a_deprecation_note():
    note = "Deprecated since 0.2, will be removed in 0.4: use total."
    assert add.__doc__ == f"Adds two numbers.\n\n{note}"
    assert Old.__doc__ == f"Keeps a number.\n\n{note}"
    assert add.__deprecated__ == Old.__deprecated__.replace("Old", "add")


def test_a_definition_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @mark
        def unused():
            pass


def test_the_example_runs():
    tried = doctest.testmod(deprecation)
    assert tried.attempted > 0
    assert tried.failed == 0


def overdue(source: str, version: str) -> list[str]:
    """Returns the names whose ``removed_in`` is not later than the version."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == "deprecated":
                (removed_in,) = (word.value.value for word in call.keywords if word.arg == "removed_in")
                found += [node.name] if Version(removed_in) <= Version(version) else []
    return found


def test_names_are_removed_in_the_announced_version():
    source = '@deprecated(since="0.2", removed_in="0.4", use="b")\ndef a(): pass'
    assert overdue(source, "0.4.0") == ["a"]
    assert overdue(source, "0.3.9") == []
    for folder in ("apps", "seqmodels"):
        for path in (ROOT / folder).rglob("*.py"):
            assert overdue(path.read_text(encoding="utf-8"), seqmodels.__version__) == [], path
