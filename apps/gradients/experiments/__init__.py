"""The experiments of ``python -m apps.gradients``.

Each module defines ``run(options, say)``, which performs the experiment and returns its ``Findings``. ``say``
is a function that prints a line of progress.
"""
