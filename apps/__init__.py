"""Task apps: ``python -m apps.<task> <verb>``; from Python ``apps.<task>.train`` and ``apps.load_run``."""

from apps.api import TrainedRun, load_run

__all__ = ["TrainedRun", "load_run"]
