"""TensorFlow settings for all tests: few messages and deterministic results."""

import os
from pathlib import Path

from seqmodels.xla import set_xla_flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
set_xla_flags()

# Test files that take longest, so that no worker of pytest-xdist starts one of them last.
LONGEST = (
    "apps/test_language_modeling.py",
    "apps/test_translation.py",
    "apps/test_export.py",
    "test_inventory.py",
    "apps/test_laboratory.py",
    "apps/test_api.py",
    "apps/test_forecasting.py",
    "apps/test_continuing.py",
    "test_readme.py",
    "apps/test_sentiment.py",
    "apps/test_resume.py",
    "training/test_loop.py",
    "export/test_saved_model.py",
    "apps/test_predict.py",
    "apps/test_cli.py",
    "export/test_cell_options.py",
    "models/test_translator.py",
    "models/test_language_model.py",
    "training/test_replicas.py",
    "test_xla_flags.py",
    "export/test_tflite.py",
    "test_registration.py",
    "layers/test_padding.py",
    "layers/test_decoder.py",
    "layers/test_keras_options.py",
    "data/test_tokenizer.py",
    "apps/test_new_task.py",
    "test_new_cell.py",
    "analysis/test_analysis.py",
    "test_examples.py",
)


def pytest_collection_modifyitems(items):
    """Moves the longest files to the front and keeps the order within each file."""
    order = {str(Path(__file__).parent / name): place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))


def pytest_xdist_auto_num_workers(config):
    """Runs one worker more than there are cores: some tests wait for another process."""
    return (os.cpu_count() or 1) + 1
