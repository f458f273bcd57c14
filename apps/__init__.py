"""Apps, one per task.

The command line is ``python -m apps.<task> <verb>``. The Python API is ``apps.<task>.train`` and
``apps.load_run``.
"""

from apps.api import TrainedRun, load_run

__all__ = ["TrainedRun", "load_run"]
