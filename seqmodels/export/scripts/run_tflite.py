"""Runs a .tflite on recorded inputs: ``run_tflite.py FILE INPUTS.npz OUTPUTS.npz``.

A script, not a module: it stands for a phone, which has the interpreter and nothing of ours. Every input
array, ``SIGNATURE/TENSOR``, has one row for each call, ``(calls, ...)``, and so has every output array.
``SIGNATURE`` alone is the median of TIMED calls on the first row, in milliseconds, by one thread.
"""

import sys
from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import Any

for package in ("seqmodels", "apps", "tensorflow"):  # installed or not: a file needs none of them
    sys.modules[package] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
from ai_edge_litert.interpreter import Interpreter  # noqa: E402

TIMED, WARM_UP = 200, 20

path, inputs, outputs = sys.argv[1:]
signatures: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
with np.load(inputs) as arrays:
    for key in arrays.files:
        signature, tensor = key.split("/")
        signatures[signature][tensor] = arrays[key]
interpreter = Interpreter(model_path=path, num_threads=1)
found: dict[str, Any] = {}
for signature, tensors in signatures.items():
    call = interpreter.get_signature_runner(signature)
    rows = [
        {name: rows[index : index + 1] for name, rows in tensors.items()}
        for index in range(len(next(iter(tensors.values()))))
    ]
    # One interpreter for all rows, as in an application: what it keeps from call to call would show.
    results = [call(**row) for row in rows]
    times = []
    for _ in range(WARM_UP + TIMED):
        start = perf_counter()
        call(**rows[0])
        times.append(1000 * (perf_counter() - start))
    found[signature] = median(times[WARM_UP:])
    found |= {
        f"{signature}/{name}": np.concatenate([result[name] for result in results]) for name in results[0]
    }
np.savez(outputs, **found)
