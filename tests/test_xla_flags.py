"""Tests that the entry points disable YNNPACK fusions, by reading the programs that XLA has compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqmodels.xla import FLAG, set_xla_flags

ROOT = Path(__file__).parents[1]
COMPILED = """
import tensorflow as tf
sums = tf.function(lambda x: (tf.reduce_sum(x, 1), tf.matmul(x, x), tf.reduce_max(x)), jit_compile=True)
sums(tf.ones((256, 256)))
"""
TRAINED = """
from pathlib import Path
import tensorflow as tf, keras
from seqmodels.training import Outcome, Settings, Training
model = keras.Sequential([keras.Input((256,)), keras.layers.Dense(256, activation="softmax")])
def objective(model, inputs, targets, weights, carried, training):
    return Outcome(tf.reduce_sum(tf.square(model(inputs))), tf.reduce_sum(weights), {}, carried=carried)
data = tf.data.Dataset.from_tensors((tf.ones((256, 256)), tf.zeros(256), tf.ones(256)))
Training(model, objective, keras.optimizers.SGD(0.1), lambda epoch: data, lambda: data, Settings(epochs=1),
         Path(FOLDER)).run()
"""
COMMAND_LINE = "from apps.cli import import_tensorflow\nimport_tensorflow()"
USERS_FLAG = f"{FLAG}LIBRARY_FUSION_TYPE_REDUCE"
LATE = f"{COMPILED}\nfrom seqmodels.xla import set_xla_flags\nset_xla_flags()"


def run(program: str, flags: str) -> None:
    environment = os.environ | {"XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", program], env=environment, cwd=ROOT, check=True)


@pytest.mark.parametrize(
    ("program", "flags", "fused"),
    [
        # If the first case fails, TensorFlow has changed. Check whether the flag is still needed.
        pytest.param(COMPILED, "", True, id="nothing", marks=pytest.mark.slow),
        pytest.param(f"import seqmodels\n{COMPILED}", "", True, id="import", marks=pytest.mark.slow),
        pytest.param(f"{COMMAND_LINE}\n{COMPILED}", "", False, id="command line", marks=pytest.mark.slow),
        pytest.param(
            f"{COMMAND_LINE}\n{COMPILED}", USERS_FLAG, True, id="user's value", marks=pytest.mark.slow
        ),
        pytest.param(TRAINED, "", False, id="training", marks=pytest.mark.slow),
        pytest.param(TRAINED, USERS_FLAG, True, id="training user's value", marks=pytest.mark.slow),
        # XLA read its flags when it compiled the first program.
        pytest.param(LATE + COMPILED.replace("256", "128"), "", True, id="late", marks=pytest.mark.slow),
    ],
)
def test_ynnpack_fusions_are_disabled_unless_the_user_enables_them(
    program: str, flags: str, fused: bool, tmp_path: Path
):
    """With fusions, two runs of a program at the same time would write to the same list."""
    dump = tmp_path / "dump"
    program = program.replace("FOLDER", repr(str(tmp_path)))
    run(program, f"--xla_dump_to={dump} --xla_dump_hlo_as_text {flags}")
    programs = [path.read_text() for path in dump.glob("*after_optimizations.txt")]
    assert programs  # the flags of the user are also in effect
    assert any("__ynn_fusion" in program for program in programs) == fused


def test_an_import_changes_no_environment_variable() -> None:
    run("import os; before = dict(os.environ); import seqmodels; assert dict(os.environ) == before", "")
    libraries = "seqmodels.layers, seqmodels.models, seqmodels.training, seqmodels.data, seqmodels.export"
    check = "assert os.environ.get('XLA_FLAGS') == before"
    run(f"import os; before = os.environ.get('XLA_FLAGS'); import {libraries}; {check}", "--xla_dump_to=")


def test_a_file_of_flags_stays_in_effect(tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "flags.txt"
    file.write_text("--xla_cpu_enable_fast_math=false")
    monkeypatch.setenv("XLA_FLAGS", str(file))
    set_xla_flags()
    assert os.environ["XLA_FLAGS"] == str(file)


def test_other_flags_stay_and_the_flag_is_added_once(monkeypatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    set_xla_flags()
    set_xla_flags()
    assert os.environ["XLA_FLAGS"] == f"{FLAG} --xla_cpu_enable_fast_math=false"
