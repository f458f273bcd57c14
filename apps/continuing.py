"""Functions for ``train --from RUN``. This command continues the training of a finished run in a new run.

This module does not import TensorFlow.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmodels.errors import UsageError


def stored_options(run: str, app: str, flag: str = "--from") -> dict[str, Any]:
    """Returns the options of an earlier run. They are read from its file ``options.json``.

    Args:
        run: folder of the run.
        app: name of the app that must have trained the run.
        flag: option that contains the folder, for error messages.

    Raises:
        UsageError: ``run`` does not contain a trained run of the app.
    """
    try:
        stored, data = (
            json.loads(Path(run, name).read_text(encoding="utf-8")) for name in ("options.json", "data.json")
        )
        made_by = data["task"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{flag} {run} does not contain a trained {app.replace('_', ' ')} run ({error}); pass the folder "
            "of a trained run"
        ) from error
    if made_by != app:
        raise UsageError(f"{flag} {run} is a run of {made_by}; pass the folder of a trained run of {app}")
    return stored


def check_run(earlier: str, run: str) -> None:
    """Checks the run in ``--from``.

    Args:
        earlier: folder of the run in ``--from``.
        run: folder of the new run.

    Raises:
        UsageError: the run in ``--from`` is not finished, or both folders are the same.
    """
    if not all(os.path.exists(os.path.join(earlier, name)) for name in ("model.keras", "metrics.json")):
        raise UsageError(f"--from {earlier} is not a finished run; pass the folder of a trained run")
    if os.path.realpath(earlier) == os.path.realpath(run):
        raise UsageError(
            f"--from {earlier} and --run are the same directory; choose another directory with --run"
        )


def command(run: Path, wanted: Mapping[str, Any]) -> str:
    """Returns the command that continues the training of a finished run.

    If the run is damaged, the function returns an empty string.

    Args:
        run: folder of the finished run.
        wanted: values of ``--data`` and ``--epochs`` in the command of the user.
    """
    try:
        options, data, metrics = (
            json.loads((run / name).read_text(encoding="utf-8"))
            for name in ("options.json", "data.json", "metrics.json")
        )
        parts = ["python", "-m", f"apps.{data['task']}", "train", "--from", str(run), "--run", _free(run)]
        if wanted["data"] != options["data"]:
            parts += ["--data", wanted["data"]]
        chosen = not isinstance(wanted["epochs"], int)  # "auto"
        more = 0 if chosen else wanted["epochs"] - metrics["epochs"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if more > 0 and wanted["epochs"] != options["epochs"]:
        parts += ["--epochs", str(more)]
    return shlex.join(parts)


def _free(run: Path) -> str:
    """Returns the first path of ``RUN-more``, ``RUN-more-2``, ``RUN-more-3`` ... that does not exist."""
    number, name = 1, f"{run}-more"
    while os.path.exists(name):
        number += 1
        name = f"{run}-more-{number}"
    return name
