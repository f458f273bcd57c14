"""What importing the library tells XLA, seen in the programs that it then makes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import tensorflow as tf
sums = tf.function(lambda x: (tf.reduce_sum(x, 1), tf.matmul(x, x), tf.reduce_max(x)), jit_compile=True)
sums(tf.ones((256, 256)))
"""


@pytest.mark.parametrize(
    ("imports", "flags", "fused"),
    [
        ("", "", True),  # once this fails, TensorFlow has changed: see whether the flag is still needed
        ("import seqmodels", "", False),
        ("import tensorflow, seqmodels", "", False),
        ("import seqmodels", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE", True),
    ],
)
def test_no_fusions_by_ynnpack_unless_asked_for(imports: str, flags: str, fused: bool, tmp_path: Path):
    """Two runs of one program at once, as of the parts of a batch, would write the same list in them."""
    flags = f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text {flags}"
    command = [sys.executable, "-c", f"{imports}\n{PROGRAM}"]
    subprocess.run(command, env=os.environ | {"XLA_FLAGS": flags}, check=True, capture_output=True)
    programs = [path.read_text() for path in tmp_path.glob("*after_optimizations.txt")]
    assert programs  # so the flags of whoever calls are in force, too
    assert any("__ynn_fusion" in program for program in programs) == fused


def test_a_file_of_flags_stays_in_force(tmp_path: Path) -> None:
    file, shown = tmp_path / "flags.txt", "import os, seqmodels; print(os.environ['XLA_FLAGS'])"
    file.write_text("--xla_cpu_enable_fast_math=false")
    environment = os.environ | {"XLA_FLAGS": str(file)}
    done = subprocess.run(
        [sys.executable, "-c", shown], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == f"{file}\n"
