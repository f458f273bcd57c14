"""TensorFlow settings for all tests: few messages and deterministic results."""

import os

from seqmodels.xla import set_xla_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
set_xla_flags()
