"""The loop of a worker process, which reads requests from stdin and writes answers to stdout.

On request, the worker builds a step or measures the time of the step. A step is a function that runs one
training step or one forward pass. Each request and each answer is a line of JSON.

In the code, an implementation such as Keras or PyTorch is called a side. Different implementations need
different environment variables at the start. Therefore each implementation has its own worker process. A
worker computes only between a request and its answer. The benchmark waits for each answer before it sends
another request. Therefore only one worker computes at a time.
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

    - ``{"cell", "mode", "shape"}`` builds a step and runs the step twice. The answer is ``{"seconds"}``, the
      total time of the build and of the two runs.
    - ``{"repeat": k}`` runs the step k times. The answer is ``{"seconds": [..]}``, the time of each run.
    - ``{"memory": true}`` measures the peak memory since the last build. The answer is ``{"megabytes"}``. The
      memory that the process used before the build is subtracted.

    Args:
        side: name of the implementation.
        build: function that receives ``side``, the cell, the mode and the shape, and returns a step.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # stdout must contain only the answers, but libraries may print to stdout
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
    """Reads a field of the Linux file /proc/self/status, such as VmRSS. Returns its value in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status does not contain {field}")
