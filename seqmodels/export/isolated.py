"""Runs scripts in separate processes that cannot import the project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from seqmodels.errors import UserError

CONVERT = Path(__file__).parent / "scripts" / "convert.py"
RUN_SAVED_MODEL = Path(__file__).parent / "scripts" / "run_saved_model.py"
RUN_TFLITE = Path(__file__).parent / "scripts" / "run_tflite.py"


def run(script: Path, *arguments: str | Path) -> None:
    """Runs a Python script in an empty folder and in a process that cannot import the project.

    If a script can use an exported file in this process, the file works without the project. A crash of the
    script does not affect the current process.

    Args:
        script: path of a Python file.
        arguments: arguments of the script. Relative paths are made absolute.

    Raises:
        UserError: the script failed or crashed. The message contains the reason.
    """
    with TemporaryDirectory() as elsewhere:
        process = subprocess.run(
            [sys.executable, "-I", str(script), *map(_absolute, arguments)],
            cwd=elsewhere,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
    if process.returncode < 0:
        name = signal.Signals(-process.returncode).name
        raise UserError(f"{script.stem} crashed ({name}); no file was written or replaced")
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise UserError(f"{script.stem} failed: {lines[-1]}")


def _absolute(argument: str | Path) -> str:
    return os.path.abspath(argument) if isinstance(argument, Path) else argument
