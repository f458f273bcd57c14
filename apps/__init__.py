"""Apps, one per task.

The command line is ``python -m apps.<task> <verb>``. The Python API is ``apps.<task>.train``,
``apps.load_run`` and ``apps.tune``.
"""

from apps.api import TrainedRun, load_run, tune

__all__ = ["TrainedRun", "load_run", "tune"]
