"""The notebooks of examples/ are short and have no stored outputs, and every cell runs (a slow test)."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
NAMES = ("cells", "forecasting", "language_modeling", "sentiment", "translation")
MISSING = "executing notebooks needs nbclient; run pip install 'seqmodels[dev]'"
ABSOLUTE = re.compile(r"""["'(=\s](/[A-Za-z]\w*/|~/|[A-Za-z]:\\)""")


def notebook(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))


def code_of(cell: dict) -> str:
    """Returns the source of a code cell without the lines that only IPython understands."""
    return "".join(line for line in cell["source"] if not line.startswith("%"))


def test_every_task_and_the_cells_have_a_notebook():
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_short_and_clean(name):
    content = notebook(name)
    cells = content["cells"]
    assert (content["nbformat"], content["metadata"]["kernelspec"]["name"]) == (4, "python3")
    assert len(cells) <= 15
    assert [cell["id"] for cell in cells] == sorted({cell["id"] for cell in cells})
    assert cells[0]["cell_type"] == "markdown"
    assert cells[0]["source"][0].startswith("# ")
    for cell in cells:
        assert not ABSOLUTE.search("".join(cell["source"])), cell["id"]
        if cell["cell_type"] == "code":
            ast.parse(code_of(cell), cell["id"])
            assert (cell["outputs"], cell["execution_count"]) == ([], None), cell["id"]


@pytest.mark.parametrize("line", ['run = "/tmp/run"', "open('~/x')", "cd C:\\Users", "data=/home/me/x"])
def test_absolute_paths_are_recognised(line):
    assert ABSOLUTE.search(line)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs(name, tmp_path, monkeypatch):
    """The kernel starts in the temporary folder. A cell that fails raises ``CellExecutionError``."""
    nbclient = pytest.importorskip("nbclient", reason=MISSING)
    nbformat = pytest.importorskip("nbformat", reason=MISSING)
    pytest.importorskip("ipykernel", reason=MISSING)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    book = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    nbformat.validate(book)
    client = nbclient.NotebookClient(book, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    assert not list(tmp_path.iterdir()), "a notebook must write its run to its own temporary folder"
