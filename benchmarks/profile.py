"""Measures the time that each type of operation takes in a step of `benchmarks.layers`.

- ``python -m benchmarks.profile`` profiles the training step of the LSTM with our kernel, for every
  shape.
- ``python -m benchmarks.profile --cell gru --shape "2 x 512"`` profiles the GRU for one shape.

TensorFlow's profiler measures the times. The time of an operation is the sum over all threads. Therefore the
sum of the times of all operations may be larger than the time of the step. Matrix products use all cores.
Most other operations use one core.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.shapes import CELLS, MODES, OURS, SHAPES, SIDES

STEPS = 5
KINDS = {  # an operation belongs to the first pattern that matches its name
    "products": r"matmul|MatMul|dot|ynn|onednn",
    "moved": r"^(wrapped_)?(bitcast_|copy|transpose|concat|pad|slice$|broadcast$|dynamic-update-slice)",
    "elementwise": r"fusion|^wrapped_|tanh|logistic|reduce",
}
CONTAINERS = r"^(while|call|conditional|end: |multi_step|.*::|[A-Z]\w*$)"


def times(folder: str) -> Counter[str]:
    """Returns the milliseconds per step of each operation, from a profile in ``folder``.

    Operations whose names differ only in a number at the end count as one operation, for example ``fusion.1``
    and ``fusion.2``. The number is removed.
    """
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).glob("plugins/profile/*/*.xplane.pb")
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    found: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = re.sub(r"[.\d]+$", "", plane.event_metadata[event.metadata_id].name)
                if name == "MatMul" or not re.match(CONTAINERS, name):
                    found[name] += event.duration_ps / 1e9 / STEPS
    return found


@click.command(context_settings={"show_default": True})
@click.option("--shape", "part", default="", help="Profile only shapes whose name contains this text.")
@click.option("--cell", type=click.Choice(CELLS), default="lstm")
@click.option("--mode", type=click.Choice(MODES), default="training")
@click.option("--side", type=click.Choice([side for side in SIDES if side != "PyTorch"]), default=OURS)
def main(part: str, cell: str, mode: str, side: str) -> None:
    """Print the time of each type of operation, in ms per step.

    For each type, the table also shows the three operations that take the most time.
    """
    os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    os.environ |= {**SIDES[side][1], "TF_CPP_MIN_LOG_LEVEL": "3"}
    import tensorflow as tf

    from benchmarks.tensorflow_worker import build

    click.echo(f"| {cell.upper()}, {mode}, {side} | step, ms | cores busy | {' | '.join(KINDS)} |")
    click.echo(f"|---|---|---|{'---|' * len(KINDS)}")
    for name, shape in SHAPES.items():
        if part not in name:
            continue
        step = build(side, cell, mode, shape)
        for _ in range(3):
            step()
        with TemporaryDirectory() as folder:
            options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
            with tf.profiler.experimental.Profile(folder, options):
                start = time.perf_counter()
                for _ in range(STEPS):
                    step()
                seconds = time.perf_counter() - start
            found = times(folder)
        kinds: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for operation, milliseconds in found.items():
            kind = next((kind for kind, names in KINDS.items() if re.search(names, operation)), None)
            if kind:
                kinds[kind][operation] = milliseconds
        cells = [
            f"{sum(each.values()):.1f} ({', '.join(f'{key} {ms:.1f}' for key, ms in each.most_common(3))})"
            for each in kinds.values()
        ]
        step_time = seconds / STEPS * 1e3
        busy = sum(sum(each.values()) for each in kinds.values()) / step_time
        click.echo(f"| {name} | {step_time:.1f} | {busy:.2f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
