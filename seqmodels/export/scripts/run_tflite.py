"""Runs a TFLite file on recorded inputs: ``run_tflite.py FILE INPUTS.npz OUTPUTS.npz``.

This is a script, not a module. It simulates a phone that has the TFLite interpreter but not the project. The
arrays in both files have the names ``SIGNATURE/TENSOR`` and one row per call, ``(calls, ...)``. OUTPUTS.npz
also contains one number per signature, with the name ``SIGNATURE``: the median time of a call in
milliseconds. To measure this time, the script runs the first row ``TIMED`` times on one thread.
"""

import sys
from collections import defaultdict
from statistics import median
from time import perf_counter
from typing import Any

for package in ("seqmodels", "apps", "tensorflow"):  # a file that needs them must fail, even if installed
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
    # One interpreter runs all rows, as in an application. If the interpreter wrongly kept a state between
    # calls, the outputs would differ from the outputs of the model.
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
