"""Runs a SavedModel on recorded inputs: ``run_saved_model.py FOLDER INPUTS.npz OUTPUTS.npz``.

This is a script, not a module. It simulates a computer that has TensorFlow but not the project. The arrays in
both files have the names ``CASE/SIGNATURE/TENSOR``, where CASE is the number of a call, from 0.
"""

import sys
from collections import defaultdict
from typing import Any

for package in ("seqmodels", "apps"):  # a model that needs these packages must fail here
    sys.modules[package] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

folder, inputs, outputs = sys.argv[1:]
cases: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
with np.load(inputs) as arrays:
    for key in arrays.files:
        case, tensor = key.rsplit("/", 1)
        cases[case][tensor] = arrays[key]
signatures = tf.saved_model.load(folder).signatures
results: dict[str, Any] = {}
for case, tensors in cases.items():
    signature = signatures[case.split("/")[1]]
    for name, tensor in signature(**{name: tf.constant(value) for name, value in tensors.items()}).items():
        value = tensor.numpy()
        # TensorFlow returns strings as Python objects. NumPy would write such objects as pickles. To avoid
        # pickles, strings are converted to bytes of a fixed length.
        results[f"{case}/{name}"] = value.astype("S") if value.dtype == object else value
np.savez(outputs, **results)
