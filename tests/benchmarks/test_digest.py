"""The digest of the code depends on the code that decides the scores, and on nothing else."""

import pytest

from benchmarks.scores import digest

SOURCES = {
    "apps/__init__.py": "",
    "apps/training.py": "from seqmodels.training import loop",
    "apps/toy/__init__.py": "",
    "apps/toy/task.py": (
        "from typing import TYPE_CHECKING\n"
        "from apps.toy import plots, options\n"
        "from apps.toy.phone import phone\n"
        "from seqmodels.data import tokenizer\n"
        "from seqmodels.models import Model\n"
        "if TYPE_CHECKING:\n    import seqmodels.typed\n"
        "def evaluate():\n    from seqmodels import late\n    return 1\n"
    ),
    "apps/toy/options.py": (
        "from seqmodels import registry\n"
        "class Train:\n    '''Options.'''\n    units = option(64, 'Number of units.', choices=('a', 'b'))\n"
    ),
    "apps/toy/plots.py": "",
    "apps/toy/phone.py": "from seqmodels.export import tflite",
    "apps/exporting.py": "",
    "seqmodels/__init__.py": "",
    "seqmodels/registry.py": "CELLS = {'lstm': 'seqmodels.cells:LSTM'}",
    "seqmodels/cells/__init__.py": (
        "from seqmodels.cells.lstm import LSTM\nfrom seqmodels.cells.gru import GRU"
    ),
    "seqmodels/cells/lstm.py": "x = 1",
    "seqmodels/cells/gru.py": "",
    "seqmodels/data/__init__.py": (
        "from seqmodels.lazy import lazy\n"
        "__getattr__ = lazy(__name__, {'tokenizer': 'tokens:tokenizer', 'tables': 'tables'})"
    ),
    "seqmodels/data/tokens.py": "from ..data import deep",
    "seqmodels/data/deep.py": "def f(x):\n    '''Doc.'''\n    # why\n    raise ValueError('x is wrong')\n",
    "seqmodels/data/tables.py": "",
    "seqmodels/models/__init__.py": "from .classifier import Model\nimport seqmodels.models.other",
    "seqmodels/models/classifier.py": "x = 1",
    "seqmodels/models/other.py": "",
    "seqmodels/export/__init__.py": "",
    "seqmodels/export/tflite.py": "",
    "seqmodels/training/__init__.py": "",
    "seqmodels/training/loop.py": "rate = 0.5",
    "seqmodels/late.py": "",
    "seqmodels/typed.py": "",
    "seqmodels/lazy.py": "",
}
DECIDING = {
    *("apps.toy.task", "apps.toy.options", "apps.toy", "apps.training", "seqmodels.training.loop"),
    *("seqmodels.data.tokens", "seqmodels.data.deep", "seqmodels.models.classifier", "seqmodels.late"),
    *("seqmodels.registry", "seqmodels.cells.lstm"),
}


@pytest.fixture
def tree(tmp_path):
    """Returns a function that writes the modules with changes, and returns the folder."""

    def write(changes=()):
        digest.read_again()
        for name, source in {**SOURCES, **dict(changes)}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return tmp_path

    yield write
    digest.read_again()


def test_the_imported_modules_decide(tree):
    found = set(digest.deciding("toy", root=tree()))
    assert found - {"apps.toy"} == DECIDING - {"apps.toy"}
    exported = set(digest.deciding("toy", files=True, root=tree()))
    assert exported - found == {"apps.exporting", "apps.toy.phone", "seqmodels.export.tflite"}


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("seqmodels/data/deep.py", "# why", "# because"),
        ("seqmodels/data/deep.py", "Doc.", "Another text."),
        ("seqmodels/data/deep.py", "x is wrong", "x must be right"),
        ("seqmodels/data/deep.py", "def f(x):", "def f( x ):  # spaces"),
        ("apps/toy/options.py", "Number of units.", "Units of a layer."),
        ("apps/toy/plots.py", "", "y = 2"),
        ("apps/toy/phone.py", "from", "y = 2\nfrom"),
        ("seqmodels/data/tables.py", "", "y = 2"),
        ("seqmodels/cells/gru.py", "", "y = 2"),
        ("seqmodels/models/other.py", "", "y = 2"),
        ("seqmodels/typed.py", "", "y = 2"),
    ],
)
def test_changes_without_effect_keep_the_digest(tree, path, old, new):
    before = digest.digest("toy", root=tree())
    assert digest.digest("toy", root=tree({path: SOURCES[path].replace(old, new, 1)})) == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("seqmodels/training/loop.py", "0.5", "0.25"),
        ("seqmodels/data/deep.py", "def f(x)", "def f(y)"),
        ("seqmodels/data/deep.py", "ValueError", "TypeError"),
        ("apps/toy/options.py", "64", "32"),
        ("apps/toy/options.py", "'b'", "'c'"),
        ("seqmodels/cells/lstm.py", "1", "2"),
        ("seqmodels/models/classifier.py", "1", "2"),
        ("seqmodels/late.py", "", "y = 2"),
        ("apps/toy/task.py", "return 1", "return 2"),
    ],
)
def test_changes_of_the_code_change_the_digest(tree, path, old, new):
    before = digest.digest("toy", root=tree())
    assert digest.digest("toy", root=tree({path: SOURCES[path].replace(old, new, 1)})) != before


def test_the_exporting_code_counts_for_files(tree):
    before = digest.digest("toy", files=True, root=tree())
    assert digest.digest("toy", files=True, root=tree({"seqmodels/export/tflite.py": "y = 2"})) != before


def test_the_modules_of_the_project():
    found = set(digest.deciding("sentiment"))
    assert {"apps.sentiment.linear", "seqmodels.cells.lstm", "seqmodels.kernels.lstm"} <= found
    assert {"apps.training", "seqmodels.training.loop", "seqmodels.data.tokenizer"} <= found
    others = ("apps.forecasting", "apps.translation", "apps.language_modeling", "apps.runner", "benchmarks")
    assert not [name for name in found if name.startswith(others)]
