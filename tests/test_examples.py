"""Every public name has an example in its docstring, and all examples run.

Examples may use ``np``, ``tf``, ``keras``, the names of their own module, and ``folder``, an empty folder.
"""

from __future__ import annotations

import doctest
import inspect
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_public import PACKAGES, public

from seqmodels import xla

# Names that need no example: base classes, results, errors, and functions that need data.
BASES = {"Attention", "Cell", "LinearCell", "MatrixCell", "NextToken", "WindowModel"}
RECORDS = {"Clipped", "Converted", "Decoded", "Encoded", "Entry", "Outcome", "Position", "Ranked", "Trace"}
RECORDS |= {"Verdict"}  # all returned by functions with examples
ERRORS = {"Diverged", "Interrupted"}
NEED_DATA = {"labeled_splits", "text_splits", "translations"}  # data of tensorflow-datasets
WITHOUT = BASES | RECORDS | ERRORS | NEED_DATA
EXAMPLES = {
    package: {
        name: value
        for name, value in public(package).items()
        if inspect.isroutine(value) or (inspect.isclass(value) and value.__module__.startswith("seqmodels"))
    }
    for package in PACKAGES[1:]
}


def test_every_public_name_has_an_example() -> None:
    names = {name: value for examples in EXAMPLES.values() for name, value in examples.items()}
    assert {name for name, value in names.items() if ">>>" not in (value.__doc__ or "")} == WITHOUT


@pytest.mark.parametrize("package", EXAMPLES)
def test_examples(package: str, tmp_path: Path) -> None:
    run(list(EXAMPLES[package].values()), tmp_path)


def test_examples_of_xla(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    run([xla.set_xla_flags], tmp_path)


def run(objects: list, folder: Path) -> None:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    printed: list[str] = []
    for number, value in enumerate(objects):
        own = folder / str(number)
        own.mkdir()
        module = vars(sys.modules[value.__module__])
        names = {**module, "np": np, "tf": tf, "keras": keras, "folder": own}
        name = f"{value.__module__}.{value.__qualname__}"
        runner.run(parser.get_doctest(value.__doc__ or "", names, name, None, None), out=printed.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(printed)
