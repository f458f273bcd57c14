"""What every worker does: build what it is told, run it as often as it is told, one line of JSON each way.

A worker is a process of its own because the environment that a library reads at its start differs from
side to side. It works only between a request and its answer, so that one side at a time has the machine.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.shapes import Shape

Step = Callable[[], None]


def serve(side: str, build: Callable[[str, str, str, Shape], Step]) -> None:
    """Answers requests from stdin until it ends.

    ``{"cell", "mode", "shape"}`` builds a step and warms it up, with ``{"seconds"}`` that this took;
    ``{"repeat": k}`` runs it k times, with ``{"seconds": [..]}``; ``{"memory": true}`` answers
    ``{"megabytes"}``, the most that the process held since it was told to build, above what it held before.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    step: Step | None = None
    before = 0.0
    for line in sys.stdin:
        request = json.loads(line)
        if "shape" in request:
            step = None
            gc.collect()
            before = _memory("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
            start = time.perf_counter()
            step = build(side, request["cell"], request["mode"], Shape(**request["shape"]))
            for _ in range(2):
                step()
            answer: dict = {"seconds": time.perf_counter() - start}
        elif "memory" in request:
            answer = {"megabytes": _memory("VmHWM") - before}
        else:
            assert step is not None
            answer = {"seconds": [_timed(step) for _ in range(request["repeat"])]}
        print(json.dumps(answer), file=answers, flush=True)


def _timed(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _memory(field: str) -> float:
    """Megabytes of this process, from Linux."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {field}")
