"""Converts a SavedModel to TFLite: ``convert.py FOLDER QUANTIZE REPRESENTATIVE.npz FILE``.

REPRESENTATIVE.npz contains arrays with the names ``SIGNATURE/TENSOR`` and the shapes ``(rows, ...)``. The
TFLite file contains only the signatures that have an array in REPRESENTATIVE.npz.

The converter can crash. Therefore, the script runs in a separate process.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import tensorflow as tf

folder, quantize, representative, path = sys.argv[1:]
signatures: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
with np.load(representative) as arrays:
    for key in arrays.files:
        signature, tensor = key.split("/")
        signatures[signature][tensor] = arrays[key]
converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures))
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
if quantize != "none":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
if quantize == "float16":
    converter.target_spec.supported_types = [tf.float16]
if quantize == "int8":
    calls = [
        (signature, {name: rows[index : index + 1] for name, rows in tensors.items()})
        for signature, tensors in signatures.items()
        for index in range(len(next(iter(tensors.values()))))
    ]
    # For several signatures, the converter expects pairs of a signature name and a dictionary of inputs. For
    # one signature, it expects only the dictionary.
    converter.representative_dataset = lambda: iter(calls if len(signatures) > 1 else [c for _, c in calls])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
try:
    content = converter.convert()
except Exception as error:
    missing = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", str(error))))
    if missing:
        sys.exit(f"TFLite has no built-in operator for {', '.join(missing)}")
    sys.exit(str(error).strip().split("\n")[0])
Path(path).write_bytes(content)
