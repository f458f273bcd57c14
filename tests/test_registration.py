"""Keras loads the models of the project in a fresh process that only imports ``seqmodels``."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import inventory
import keras
import numpy as np
import pytest
from inventory import PARTS

from seqmodels.registration import SERIALIZABLE

ROOT = Path(__file__).parents[1]
MODELS = ["Classifier", "LanguageModel", "Translator", "Forecaster"]
LOAD = """
import sys
from pathlib import Path
import numpy as np
assert not {name for name in sys.modules if name.startswith(("seqmodels.layers", "seqmodels.models"))}
for path in sorted(Path(FOLDER).glob("*.keras")):
    model = load_model(path)
    arrays = dict(np.load(path.with_suffix(".npz")))
    expected = arrays.pop("expected")
    found = model(arrays.pop("only") if "only" in arrays else arrays)
    found = found[0] if isinstance(found, (tuple, list)) else found
    found = getattr(found, "logits", found)
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)
    print(type(model).__module__, type(model).__name__)
"""


def run(program: str) -> str:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_table_has_exactly_the_registered_classes() -> None:
    registered = set()
    for path in sorted((ROOT / "seqmodels").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", []):
                if "register_keras_serializable" in ast.unparse(decorator):
                    assert ast.unparse(decorator).endswith("(package='seqmodels')")
                    registered.add(node.name)
    assert registered == set(SERIALIZABLE)
    for name, module in SERIALIZABLE.items():
        kind = getattr(import_module(module), name)
        assert keras.saving.get_registered_object(f"seqmodels>{name}") is kind


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """Writes models, each with the arguments and the result of a call, and returns their folder."""
    folder = tmp_path_factory.mktemp("saved")
    for name in MODELS:
        part, sample = PARTS[name].built(), PARTS[name].arguments()
        part.save(folder / f"{name}.keras")
        flat = {key: np.asarray(value) for key, value in sample.items() if key != "states"}
        result = part(flat)
        result = result[0] if isinstance(result, tuple) else result
        np.savez(folder / f"{name}.npz", expected=np.asarray(getattr(result, "logits", result)), **flat)
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    cell = inventory.CELLS["gru"](5)
    layers = import_module("seqmodels.layers")
    stack = keras.Sequential([keras.Input((None, 3)), keras.layers.RNN(cell, return_sequences=True)])
    stack.add(layers.MeanPooling())
    stack.save(folder / "Sequential.keras")
    np.savez(folder / "Sequential.npz", expected=np.asarray(stack(x)), only=x)
    source = keras.Input((None, 3))
    outputs, _ = layers.Recurrent(inventory.CELLS["lstm"](5))(source)
    functional = keras.Model(source, outputs)
    functional.save(folder / "Functional.keras")
    np.savez(folder / "Functional.npz", expected=np.asarray(functional(x)), only=x)
    return folder


@pytest.mark.parametrize(
    "imports",
    [
        pytest.param(
            "import seqmodels, keras\nload_model = keras.models.load_model",
            id="keras second",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import keras, seqmodels\nload_model = keras.models.load_model",
            id="keras first",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import seqmodels\nimport tensorflow as tf\nload_model = tf.keras.models.load_model",
            id="tf.keras",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "import seqmodels\nfrom keras.saving import load_model",
            id="a module of keras",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_saved_models_load(saved: Path, imports: str) -> None:
    printed = run(imports + LOAD.replace("FOLDER", repr(str(saved))))
    assert [line.split()[1] for line in printed.splitlines()] == sorted([*MODELS, "Functional", "Sequential"])


def test_an_import_neither_loads_nor_hides_keras_and_tensorflow() -> None:
    run("""
import importlib.util, sys
import seqmodels, seqmodels.data, seqmodels.export, seqmodels.evaluation, seqmodels.registry, seqmodels.xla
assert not {"keras", "tensorflow", "numpy", "scipy", "matplotlib"} & set(sys.modules)
assert importlib.util.find_spec("keras").origin.endswith("keras/__init__.py")
assert "keras" not in sys.modules
import keras
assert not any(isinstance(finder, seqmodels.registration.Finder) for finder in sys.meta_path)
assert keras.saving.get_registered_object("seqmodels>LSTMCell").from_config({"units": 3}).units == 3
assert keras.saving.get_registered_object("seqmodels>LSTMCell") is seqmodels.cells.LSTMCell
""")
