"""The loop of every worker: builds and runs a step on request. Requests and answers are lines of JSON.

Each worker is a separate process, because the sides need different environment variables at their start. A
worker computes only between a request and its answer. Only one side at a time therefore uses the machine.
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
    """Answers requests from stdin until the end of stdin.

    - ``{"cell", "mode", "shape"}`` builds a step and runs it twice. The answer is ``{"seconds"}``, the time
      of the build and the two runs.
    - ``{"repeat": k}`` runs the step k times. The answer is ``{"seconds": [..]}``.
    - ``{"memory": true}`` returns ``{"megabytes"}``: the peak memory since the last build, above the memory
      before that build.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    step: Step | None = None
    before = 0.0
    for line in sys.stdin:
        request = json.loads(line)
        if "shape" in request:
            step = None
            gc.collect()
            before = _memory("VmRSS")
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak memory
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
    """Returns a memory figure of this process in megabytes, from Linux' /proc."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status does not contain {field}")
