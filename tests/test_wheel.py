"""The installed wheel needs only its dependencies: it trains, predicts and exports from any folder.

The tests build a wheel and install it into an empty environment, so they need a package index.
`make test-wheel` runs them.
"""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import seqmodels

ROOT = Path(__file__).parents[1]
PACKAGES = ("apps", "seqmodels")
CLEAN = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
IMPORT_ALL = """
import importlib, pkgutil, apps, seqmodels
for package in (apps, seqmodels):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if ".scripts." not in module.name:  # scripts are programs
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:
                if error.name != "optuna":  # the only extra that modules import when they are imported
                    raise
print(apps.__file__)
"""
TEST_TOOLS = (
    "from importlib.util import find_spec; print([t for t in ('pytest', 'hypothesis') if find_spec(t)])"
)

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> str:
    """Returns the standard output of a command that must succeed."""
    done = subprocess.run([*map(str, command)], cwd=cwd, env=CLEAN, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def package_files() -> set[str]:
    """Returns every file of the packages in the source tree, as a path in the wheel."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the wheel from a copy of the sources, because a build writes files next to them."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the programs of an environment with the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True, symlinks=True)
    run(folder / "bin" / "python", "-m", "pip", "install", wheel, cwd=folder)
    return folder / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Returns a folder from which the source tree cannot be imported."""
    return tmp_path


def test_the_wheel_contains_only_the_packages_and_their_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    installed = {name for name in names if ".dist-info/" not in name}
    assert installed == package_files()
    port = {"README.md", "Tokenizer.kt", "Tokenizer.swift", "Pieces.kt", "Pieces.swift"}
    assert installed >= {f"apps/sentiment/port/{name}" for name in port}
    assert installed >= {f"{package}/py.typed" for package in PACKAGES}
    assert f"seqmodels-{seqmodels.__version__}.dist-info/licenses/LICENSE" in names


def test_the_dependencies_are_complete_and_have_no_test_tools(binaries, elsewhere):
    assert run(binaries / "python", "-c", TEST_TOOLS, cwd=elsewhere).strip() == "[]"
    imported = run(binaries / "python", "-c", IMPORT_ALL, cwd=elsewhere).strip()
    assert Path(imported).is_relative_to(binaries.parent)


def test_the_installed_command_trains_predicts_and_exports(binaries, elsewhere):
    command = binaries / "seqmodels"
    assert run(command, "--version", cwd=elsewhere) == f"seqmodels {seqmodels.__version__}\n"
    run(command, "sentiment", "train", "--preset", "quick", "--run", "r", cwd=elsewhere)
    text = "The plot was boring, but the acting was great."
    assert "positive" in run(command, "sentiment", "predict", "--run", "r", text, cwd=elsewhere)
    run(command, "sentiment", "export", "--run", "r", cwd=elsewhere)
    assert list((elsewhere / "r" / "export" / "saved_model").rglob("saved_model.pb"))
    run(command, "sentiment", "convert", "--run", "r", cwd=elsewhere)
    assert {"README.md", "model.tflite"} <= {path.name for path in (elsewhere / "r").rglob("tflite/*")}
