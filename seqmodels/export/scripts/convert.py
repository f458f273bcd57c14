"""Converts a SavedModel: ``convert.py FOLDER SIGNATURE QUANTIZE REPRESENTATIVE.npz FILE``.

A script in a process of its own, because the converter ends its process where it meets a case that its
authors did not expect.
"""

import re
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

folder, signature, quantize, representative, path = sys.argv[1:]
converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[signature])
converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
if quantize != "none":
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
if quantize == "float16":
    converter.target_spec.supported_types = [tf.float16]
if quantize == "int8":
    with np.load(representative) as arrays:
        tensors = {name: arrays[name] for name in arrays.files}
    count = len(next(iter(tensors.values())))
    converter.representative_dataset = lambda: (
        {name: rows[index : index + 1] for name, rows in tensors.items()} for index in range(count)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
try:
    content = converter.convert()
except Exception as error:
    missing = sorted(set(re.findall(r"'(tf\.\w+)' op is neither", str(error))))
    if missing:
        sys.exit(f"no built-in operator for {', '.join(missing)}")
    sys.exit(str(error).strip().split("\n")[0])
Path(path).write_bytes(content)
